"""Trials of a primitive: calls that are the same in every run, and all that its rules must do on them.

What gradcheck cannot see has a trial of its own: the published conventions at kinks and edges, the stand-ins of surrogates, a narrower
dtype, extreme numbers, and gradients written in place.
"""

import contextlib
import itertools
import math
import signal
import threading
import warnings
from functools import partial

import numpy as np

from tinyae import ops
from tinyae.autograd import Tensor, grad, raw
from tinyae.checks.gradcheck import gradcheck
from tinyae.errors import ArgumentError

INF = math.inf
SMALL, SMALLER = 36, 16  # entries of a call for first and second order: gradcheck perturbs each
# what inputs are multiplied with, and then shifted by
SCALES = {
    "float32": ((1.0, 0.0), (1e3, 0.0), (1e-3, 0.0), (1e-30, 0.0), (1.0, 1e4)),
    "extremes": ((1e200, 0.0), (1e120, 0.0), (1e-120, 0.0), (0.0, 0.0)),
    "infinite cotangent": ((1.0, 0.0), (0.0, 0.0)),
    "infinite input": ((1.0, INF), (1.0, -INF)),
}

# What the rules give at kinks and edges: name -> calls (inputs, attributes, slopes of the inputs, None for a constant).
# The gradient is the slope times the cotangent; where several entries make one, the slope says how they share.
CONVENTIONS = {
    "abs": [([[0.0, -2.0]], {}, [[0.0, -1.0]])],
    "sign": [([[0.0, -2.0]], {}, [[0.0, 0.0]])],
    "relu": [([[0.0, 1.0]], {}, [[0.0, 1.0]])],
    "leaky_relu": [([[0.0, 1.0]], {"slope": 0.3}, [[0.3, 1.0]])],
    "elu": [([[0.0, 1.0]], {"alpha": 2.0}, [[2.0, 1.0]])],
    "clip": [([[-1.0, 1.0, 2.0, 0.0]], {"min": -1.0, "max": 1.0}, [[1.0, 1.0, 0.0, 1.0]])],
    "maximum": [([[1.0, 1.0, 2.0], [1.0, 2.0, 1.0]], {}, [[0.5, 0.0, 1.0], [0.5, 1.0, 0.0]])],
    "minimum": [([[1.0, 1.0, 2.0], [1.0, 2.0, 1.0]], {}, [[0.5, 1.0, 0.0], [0.5, 0.0, 1.0]])],
    "max": [([[2.0, 2.0, 1.0]], {}, [[0.5, 0.5, 0.0]]), ([[[1.0, 1.0], [0.0, 2.0]]], {"axis": 1, "keepdims": True}, [[[0.5, 0.5], [0.0, 1.0]]])],
    "min": [([[1.0, 1.0, 2.0]], {}, [[0.5, 0.5, 0.0]]), ([[[1.0, 1.0], [0.0, 2.0]]], {"axis": 1, "keepdims": True}, [[[0.5, 0.5], [1.0, 0.0]]])],
    "max_pool1d": [([[[[3.0, 1.0, 3.0, 3.0]]]], {"kernel_size": 4}, [[[[1 / 3, 0.0, 1 / 3, 1 / 3]]]])],
    "max_pool2d": [([[[[[3.0, 1.0], [3.0, 2.0]]]]], {"kernel_size": 2}, [[[[[0.5, 0.0], [0.5, 0.0]]]]])],
    "norm": [([[[0.0, 0.0], [3.0, 4.0]]], {"axis": 1, "keepdims": True}, [[[0.0, 0.0], [0.6, 0.8]]])],
    "power": [([[0.0, 0.0, 2.0], [0.0, 1.0, 3.0]], {}, [[0.0, 1.0, 12.0], None])],
    "logsumexp": [([[-INF, -INF]], {}, [[0.0, 0.0]]), ([[-INF, 1.0]], {}, [[0.0, 1.0]])],
    "softmax": [([[-INF, 1.0]], {}, [[0.0, 0.0]])],
    "log_softmax": [([[1.0]], {}, [[0.0]])],
    "cross_entropy_with_logits": [([[-INF, 1.0], [0.0, 1.0]], {}, [[0.0, 0.0], None])],
    "binary_cross_entropy": [
        ([[0.0, 1.0, 0.0, 1.0, 5e-324], [0.0, 1.0, 1.0, 0.0, 1.0]], {}, [[1.0, -1.0, -INF, INF, -INF], None]),
        ([[0.0, 1.0], [0.0, 0.5]], {}, [None, [INF, -INF]]),
    ],
    "dropout": [([[1.0, 2.0, 3.0]], {"noise": np.array([0.5, 0.7, 0.2]), "rate": 0.5}, [[2.0, 2.0, 0.0]])],
    "arctan": [([[0.0, 1.0, INF, -INF]], {}, [[1.0, 0.5, 0.0, 0.0]])],
    "sign_straight_through": [([[-1.0, 0.0, 1.0, 2.0]], {}, [[1.0, 1.0, 1.0, 0.0]])],
}


# Values at the ends of the domain: name -> calls (inputs, attributes, value).
EDGES = {
    "binary_cross_entropy": [([[0.0], [1.0]], {}, INF), ([[1.0], [0.0]], {}, INF), ([[0.0, 1.0], [0.0, 1.0]], {}, 0.0)],
    "logsumexp": [([[-INF, -INF]], {}, -INF), ([[-INF, INF, 1.0]], {}, INF)],
    "norm": [([[INF, -1.0]], {}, INF), ([[0.0, 0.0]], {}, 0.0)],
}

# Calls that are drawn seldom or never: name -> (inputs, or their shapes, attributes).
SELDOM = {
    "binary_cross_entropy": [([np.array([0.3, 0.6, 0.8]), np.array([0.0, 1.0, 0.2])], {})],
    "avg_pool1d": [([(1, 2, 5)], {"kernel_size": 2, "stride": None})],
    "avg_pool2d": [([(1, 1, 3, 4)], {"kernel_size": (3, 2), "stride": None})],
    "diagonal": [
        ([shape], {"offset": offset, "axis1": 0, "axis2": 1}) for shape, offset in (((4, 2), -2), ((4, 2), 0), ((5, 2), -3), ((2, 3, 2), 1))
    ],
    "logsumexp": [([(2, 3)], {"axis": 1, "keepdims": False})],
    "matmul": [
        ([shape, other], {})
        for shape, other in (((2, 2, 3), (3, 2)), ((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((3,), (2, 3, 2)), ((2, 2, 3), (3,)))
    ],
    "max_pool1d": [([(1, 2, 5)], {"kernel_size": 2, "stride": None})],
    "norm": [([(1,)], {}), ([(0, 2)], {"axis": 0, "keepdims": True}), ([(2, 0)], {"axis": 1, "keepdims": False})],
    "prod": [([(2, 3, 2)], {"axis": 0, "keepdims": False}), ([(2, 3)], {"axis": (), "keepdims": False})],
    "sum": [([()], {"axis": 0, "keepdims": False}), ([(2, 3)], {"axis": (), "keepdims": True})],
    "transpose": [([(2, 3, 2)], {"axes": (-1, 0, -2)})],
    "upsample_nearest": [([(1, 2, 2)], {"scale": 2}), ([(1, 1, 1, 2, 1)], {"scale": (1, 2, 3)})],
}

# The smooth functions whose gradients the surrogates have.
STAND_INS = {
    "straight_through": lambda x, *, value: x * 1.0,
    "round_straight_through": lambda x: x * 1.0,
    "sign_straight_through": lambda x: ops.clip(x, min=-1, max=1),
    "one_hot_straight_through": ops.softmax,
}


def calls(operation, most=24):
    """Calls (input arrays, attributes) of a primitive, the same in every run: drawn by Hypothesis, small, and of many kinds."""
    try:
        import hypothesis

        from tinyae.checks import strategies
    except ImportError:
        raise ArgumentError("trials: the calls of a primitive are drawn by Hypothesis.", remedy="pip install 'tinyae[checks]'") from None
    drawn, draws = {}, 200 if operation.attributes or "?" in (operation.shapes or "") else 60

    @hypothesis.seed(0)
    @hypothesis.settings(
        max_examples=draws, database=None, deadline=None, phases=[hypothesis.Phase.generate], suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(strategies.inputs(operation))
    def draw(call):
        drawn.setdefault(str(([v.shape for v in call[0]], call[1])), call)

    draw()
    kinds = {}
    for call in sorted(drawn.values(), key=lambda call: abs(size(call) - 8)):
        if size(call) <= SMALL:
            kinds.setdefault(kind_of(call), []).append(call)
    turns = itertools.zip_longest(*kinds.values())  # one of each kind, then a second one of each
    seldom = [([numbers(given, i) for i, given in enumerate(inputs)], attributes) for inputs, attributes in SELDOM.get(operation.name, [])]
    return seldom + [call for turn in turns for call in turn if call is not None][:most]


def numbers(shape, seed=0):
    """Numbers of order one, no two alike, none of them 0; an array is one already."""
    if isinstance(shape, np.ndarray):
        return shape
    return np.random.default_rng(seed).permutation(np.linspace(-2, 2.1, math.prod(shape))).reshape(shape)


def kind_of(call):
    """Calls of one kind have inputs with as many axes, and attributes alike: of one sign, or of one type."""
    values, attributes = call
    signs = [(v > 0) - (v < 0) if isinstance(v, (int, float)) else (type(v), len(v) if isinstance(v, tuple) else 0) for v in attributes.values()]
    return tuple(v.ndim for v in values), tuple(signs)


def size(call):
    """How many entries the inputs of a call have."""
    return sum(value.size for value in call[0])


def trials(operation, check=gradcheck):
    """name of a check -> functions without arguments, one a call, that raise where the primitive's rules are wrong.

    What the right rules do not pass, say extreme numbers that overflow for one, is no trial.  check: `gradcheck`, or another one.
    """
    found, made = calls(operation), {}
    if operation.name in STAND_INS:
        made["stand-in"] = [partial(same_gradients, operation, STAND_INS[operation.name], call) for call in found]
    elif not operation.surrogate:
        made["gradcheck"] = [partial(check, partial(operation, **attributes), values) for values, attributes in found]
        small = [call for call in found if size(call) <= SMALLER]
        made["second order"] = [partial(check, partial(operation, **attributes), values, order=2, rtol=1e-5) for values, attributes in small]
    made["kinks"] = [partial(at_kinks, operation, *convention) for convention in CONVENTIONS.get(operation.name, [])]
    made["edges"] = [partial(at_edges, operation, *edge) for edge in EDGES.get(operation.name, [])]
    if any(rule.takes_out for rule in operation.rules):
        made["in place"] = [partial(in_place, operation, call) for call in found]
    for name, trial in {"float32": in_float32, "extremes": finite, "infinite cotangent": no_nan, "infinite input": a_value}.items():
        more = [scaled(operation, call, *scale) for call in found[:6] for scale in SCALES[name]]
        made[name] = [once for once in (partial(trial, operation, call) for call in more) if error_of(once) is None]
    if None in [p.default for p in operation.signature.parameters.values() if p.name in operation.inputs]:
        made["left out"] = [partial(left_out, operation, call) for call in found]
    if operation.composed is not None:
        made["twin"] = [partial(same_values, operation, operation.composed, call) for call in found]
    return {name: every for name, every in made.items() if every}


def error_of(trial, limit=20.0):
    """What a trial raises, a warning included, or None.  One that takes longer than `limit` seconds is stopped, and raises TooSlow."""
    with warnings.catch_warnings(), stopped_after(limit):
        warnings.simplefilter("error")
        try:
            trial()
        except (Exception, TooSlow) as error:
            return error


class TooSlow(BaseException):
    """Longer than the limit: perhaps for ever."""


@contextlib.contextmanager
def stopped_after(seconds):
    """`with stopped_after(20):` raises TooSlow after so long; no limit outside the main thread, or where there are no alarms."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_):
        raise TooSlow(f"longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def leaves(values, dtype=np.float64):
    """Arrays as Tensors that want a gradient; what is no floating-point number as it is."""
    return [Tensor(v.astype(dtype), requires_grad=True) if v.dtype.kind == "f" else v for v in values]


def first_gradients(operation, inputs, attributes, create_graph=False):
    """(y, cotangent, the gradients of those inputs that want one), for a cotangent with no two entries alike."""
    y = operation(*inputs, **attributes)
    cotangent = np.linspace(-1.5, 1.0, y.size).reshape(y.shape).astype(y.dtype)
    given = Tensor(cotangent, requires_grad=True) if create_graph else cotangent
    return y, given, grad(y, [x for x in inputs if isinstance(x, Tensor)], given, create_graph=create_graph)


def agree(found, expected, rtol=1e-9, floor=1e-3):
    """Raise AssertionError where an array differs from what is expected, relative to its largest number, or to `floor`."""
    for a, b in zip(found, expected, strict=True):
        a, b = np.asarray(raw(a)), np.asarray(raw(b))
        largest = np.abs(b[np.isfinite(b)]).max(initial=floor)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * largest)


def same_gradients(operation, other, call):
    """A surrogate and its stand-in have the same gradients, of first and second order."""
    results = []
    for function in (operation, other):
        inputs = leaves(call[0])
        _, cotangent, first = first_gradients(function, inputs, call[1], create_graph=True)
        results.append(first + grad(sum((g * g * g).sum() for g in first), [*inputs, cotangent]))
    agree(*results)


def same_values(operation, other, call):
    """A primitive and its composed twin have the same value and the same gradients; of an empty array the same value."""
    results = []
    for function in (operation, other):
        if not size(call):
            results.append([function(*call[0], **call[1])])
            continue
        y, _, first = first_gradients(function, leaves(call[0]), call[1])
        results.append([y, *first])
    agree(*results)


def at_kinks(operation, values, attributes, slopes):
    """The gradient at kinks and edges is the one that is published, on arrays and on Tensors."""
    for create_graph in (False, True):
        inputs = [Tensor(np.array(v), requires_grad=True) if s is not None else np.array(v) for v, s in zip(values, slopes, strict=True)]
        _, cotangent, found = first_gradients(operation, inputs, attributes, create_graph)
        agree(found, [raw(cotangent)[..., *[None] * (np.ndim(s) - cotangent.ndim)] * np.array(s) for s in slopes if s is not None])
    if all(np.isfinite(raw(x)).all() for x in (*inputs, *found)) and (total := sum(g.sum() for g in found)).requires_grad:
        agree([(grad(total, [cotangent])[0] * cotangent).sum()], [total])  # what is linear in the cotangent is its slope times the cotangent


def at_edges(operation, values, attributes, expected):
    """The value at the end of the domain, an infinity too."""
    agree([operation(*map(np.array, values), **attributes)], [np.array(expected)])


def in_place(operation, call):
    """A gradient that is written into a given array is the same."""
    inputs = leaves(call[0])
    y, cotangent, expected = first_gradients(operation, inputs, call[1])
    y = operation(*inputs, **call[1])
    for x in inputs:
        x.gradient_buffer = np.full(x.shape, np.nan)
    y.backward(cotangent)
    agree([x.grad for x in inputs], expected)


def in_float32(operation, call):
    """In float32 the value and the gradients are those of float64, as well as a narrow type can say."""
    results = []
    for dtype in (np.float32, np.float64):
        attributes = call[1] | ({"dtype": dtype} if "dtype" in call[1] else {})
        values = [np.asarray(v, np.float32) if v.dtype.kind == "f" else v for v in call[0]]
        y, _, first = first_gradients(operation, leaves(values, dtype), attributes)
        results.append([y, *first])
    agree(*results, rtol=3e-6, floor=0.0)


def finite(operation, call):
    """The value and the gradients are finite, whatever the size of the inputs."""
    for create_graph in (False, True):
        y, _, found = first_gradients(operation, leaves(call[0]), call[1], create_graph)
        if not all(np.isfinite(g.data).all() for g in (y, *found)):
            raise AssertionError("a number is not finite")


def no_nan(operation, call):
    """A part that gets none of an infinite cotangent gets 0, not 0 times infinity."""
    inputs = leaves(call[0])
    y = operation(*inputs, **call[1])
    with np.errstate(all="ignore"):
        found = grad(y, [x for x in inputs if isinstance(x, Tensor)], np.full(y.shape, INF))
    if any(np.isnan(g.data).any() for g in found):
        raise AssertionError("0 times infinity")


def a_value(operation, call):
    """The value is a number, or an infinity."""
    if np.isnan(operation(*call[0], **call[1])).any():
        raise AssertionError("not a number")


def left_out(operation, call):
    """An input that may be left out, the last, is 0 then."""
    *others, last = call[0]
    agree([operation(*others, **call[1])], [operation(*others, 0 * last, **call[1])])


def scaled(operation, call, scale, shift):
    """The call with those inputs that may be any number multiplied with `scale`, and shifted."""
    domains = operation.inputs * len(call[0]) if operation.variadic else operation.inputs
    free = [operation.domain[name] in ("real", "nonzero", "positive") and v.dtype.kind == "f" for name, v in zip(domains, call[0], strict=False)]
    shifts = [shift if np.isfinite(shift) else np.where(np.arange(v.size).reshape(v.shape) % 3 == 1, shift, 0.0) for v in call[0]]  # one in three
    return [v * scale + by if one else v for v, by, one in zip(call[0], shifts, free, strict=True)], call[1]
