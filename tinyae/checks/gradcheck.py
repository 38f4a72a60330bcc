"""gradcheck: is the code the derivative of the function?  By differences in float64, entry by entry, and by a complex step."""

import functools
import inspect
from typing import NamedTuple

import numpy as np

from tinyae.autograd import Tensor, grad, raw
from tinyae.autograd.graph import nodes_of
from tinyae.backend import array_module, rng, to_numpy
from tinyae.checks import diagnosis
from tinyae.checks.slopes import ROUNDING, complex_slopes, numerical_slopes, slopes_along
from tinyae.errors import TinyaeError

__tracebackhide__ = True  # a failed test shows its own line, not this file
WHOLE = 1_000  # entries of an input that are compared one by one; of a larger one SOME of them, and DIRECTIONS through all
SOME, DIRECTIONS = 200, 3
DROWNED = 1e-6  # differences that are off by more, and by more than every slope, compare nothing
EXACT = 1e-8  # the relative accuracy asked of a rule where a complex step gives the derivative to rounding


class GradientError(TinyaeError, AssertionError):
    """A gradient that is not the derivative."""


class Report(NamedTuple):
    """worst: the largest relative error.  compared: how many entries (none of an empty input).  kinks: how many of them lie at a kink.

    complex_step: the largest relative error against a complex step; None where the code is not analytic.
    """

    worst: float
    compared: int
    kinks: int
    complex_step: float | None = None


def keeping(check):
    """The check, after which the buffers of a Module that it was given, the running means of a batch norm, are what they were before."""

    @functools.wraps(check)
    def kept(f, inputs=None, **options):
        buffers = [b for module in (f, inputs) if hasattr(module, "named_buffers") for _, b in module.named_buffers()]
        values = [array_module(b.data).array(b.data) for b in buffers]
        try:
            return check(f, inputs, **options)
        finally:
            for buffer, value in zip(buffers, values, strict=True):
                buffer.assign(value)

    return kept


@keeping
def gradcheck(f, inputs=None, *, backward=None, order=1, rtol=1e-6, seed=0, analytic=None):
    """Compare gradients with finite differences.  Returns a Report; raises GradientError, with a diagnosis, where they differ.

    f, inputs: one of
      a function of Tensors to a Tensor, any noise in it frozen, and a list of float64 arrays (integers and truth values are constants);
      a function of arrays to an array, a list of arrays, and `backward`, a function (gy, *inputs) to the gradient, or to a tuple of one
        for each input (None for integers and truth values);
      a function without arguments, and a Module or a dict of leaf Tensors (name -> parameter), which are changed and put back;
      a model with a method `loss`, and a batch x (random numbers if None): its parameters (no frozen ones) by name, with frozen noise.
    order: 2 checks the gradients of the gradients, which are functions of the inputs and of the cotangent.
    analytic: whether a complex step may be tried (None: what the registry says).
    Empty inputs pass, as there is nothing to compare: see `compared` in the Report.
    The result is contracted with a random cotangent, no two entries alike: with all ones, a softmax's wrong gradient passes.
    """
    random = np.random.default_rng(seed)
    subject = Subject(f, inputs, backward, order, random)
    weights = [to_numpy(c).copy() for c in subject.cotangents]
    gradients = subject.unwritten(subject.gradients, f"the backward of {subject.name}")
    if any((to_numpy(c) != w).any() for c, w in zip(subject.cotangents, weights, strict=True)):
        raise GradientError(
            f"gradcheck: a rule of {subject.name} writes into the cotangent that it is given.", remedy="gy = gy.copy(), or a new array"
        )

    def objective():
        return np.concatenate([(to_numpy(y) * w).reshape(-1) for y, w in zip(subject.values(), weights, strict=True)])

    here, again = objective(), objective()
    if not np.isfinite(here).all():
        raise GradientError(f"gradcheck: {subject.name} is not finite here.", got=here.sum(), remedy="inputs inside its domain")
    if (here != again).any():
        raise GradientError("gradcheck: two calls with the same inputs differ, so there is nothing to compare.", remedy="freeze the noise")
    found = [Comparison(name, leaf, g, objective, rtol, random) for (name, leaf), g in zip(subject.leaves.items(), gradients, strict=True)]
    for comparison in found:
        if comparison.wrong.any():
            raise comparison.error(subject, found)
        if comparison.drowned:
            rule = f"gradcheck: {subject.name}: the slopes of {comparison.name} are lost in the rounding of the result."
            got = f"differences that are off by up to {comparison.rounding.max():.1g}"
            raise GradientError(rule, expected="slopes that can be measured", got=got, remedy="a smaller result, say without its constant")
    exact = None
    if order == 1 and (subject.analytic() if analytic is None else analytic):
        exact = complex_step(subject, found, objective, np.abs(here).sum(), sure=analytic is not None)
    return Report(max((c.worst for c in found), default=0.0), sum(c.entries.size for c in found), sum(c.kinks for c in found), exact)


class Subject:
    """What is checked: named leaves, the values computed from them, the cotangents of these, and the gradients of the leaves."""

    def __init__(self, f, inputs, backward, order, random):
        if order not in (1, 2):
            raise GradientError("gradcheck: order is 1 or 2.", got=order)
        if order == 2 and backward is not None:
            raise GradientError("gradcheck: order=2 needs a function of Tensors.", got="a function of arrays with backward=")
        if hasattr(f, "named_parameters"):
            f, inputs = loss_of(f, inputs), f
        self.name = getattr(f, "name", getattr(f, "__name__", type(f).__name__)).replace("<lambda>", "the function")
        self.leaves, self.names, self.call, self.backward = leaves_of(f, inputs, backward)
        for name, leaf in self.leaves.items():
            if leaf.dtype != np.float64:
                remedy = f"{name}.astype('float64')" if isinstance(inputs, (list, tuple)) else "model.astype('float64') and float64 data"
                raise GradientError(f"gradcheck: {name} must be float64.", got=leaf.dtype, remedy=remedy)
            if np.isnan(to_numpy(leaf.data)).any():
                raise GradientError(f"gradcheck: the input {name} holds NaN.")
        if not self.leaves:
            raise GradientError("gradcheck: no input has a gradient: integers and truth values are constants.", remedy="x.astype('float64')")
        first = self.unwritten(self.result, self.name)
        self.outputs = lambda: [self.call()]
        if order == 2:
            inputs, cotangent = list(self.leaves.values()), Tensor(random_like(first, random), requires_grad=True)
            self.outputs = lambda: grad(self.call(), inputs, cotangent, create_graph=True)
            self.leaves = self.leaves | {"the cotangent": cotangent}
        self.cotangents = [random_like(y, random) for y in self.outputs()]

    def result(self):
        """What the function returns.  Raises GradientError unless it is one Tensor, or one array of float64 where there is a `backward`."""
        try:
            found = self.call()
        except Exception as error:
            if self.backward is None:
                error.add_note("gradcheck: no backward= was given, so the function was called with Tensors")
            raise
        if self.backward is None and not isinstance(found, Tensor):
            remedy = "return terms.loss, say; a function of arrays needs backward="
            raise GradientError(f"gradcheck: {self.name} must return one Tensor.", got=type(found).__name__, remedy=remedy)
        if self.backward is not None and (isinstance(found, (tuple, list)) or np.asarray(found).dtype != np.float64):
            got = f"an array of {found.dtype}" if hasattr(found, "dtype") else type(found).__name__
            raise GradientError(f"gradcheck: {self.name} must return one array of float64.", got=got)
        return found

    def unwritten(self, work, who):
        """work().  Raises GradientError where it writes into an input."""
        before = [to_numpy(leaf.data).copy() for leaf in self.leaves.values()]
        done = work()
        for (name, leaf), value in zip(self.leaves.items(), before, strict=True):
            if (to_numpy(leaf.data) != value).any():
                raise GradientError(f"gradcheck: {who} writes into its input {name}.", remedy="a new array")
        return done

    def values(self):
        """The arrays computed from the leaves' present data."""
        return [y.data if isinstance(y, Tensor) else np.asarray(y) for y in self.outputs()]

    def gradients(self):
        """The gradients of the leaves, summed over all outputs, as NumPy arrays.

        The cotangents go in as they are: a contraction by operations of the engine could hide an error in one of these.
        """
        leaves = list(self.leaves.values())
        if self.backward is not None:
            return self.by_hand(self.backward(self.cotangents[0]))
        totals = [np.zeros(leaf.shape) for leaf in leaves]
        for y, cotangent in zip(self.outputs(), self.cotangents, strict=True):
            if y.requires_grad:
                for total, gradient in zip(totals, grad(y, leaves, cotangent, retain_graph=True), strict=True):
                    total += to_numpy(gradient.data)
        return totals

    def by_hand(self, gradients):
        """The gradients of the leaves among what `backward` gave: one for each input, those of constants None or left out."""
        gradients = gradients if isinstance(gradients, (tuple, list)) else [gradients]
        constants = [name for name in self.names if name not in self.leaves]
        if len(gradients) not in (len(self.names), len(self.leaves)):
            expected = ", ".join(f"None for {n} (integers or truth values)" if n in constants else n for n in self.names)
            rule = f"gradcheck: the backward of {self.name} gives another number of gradients."
            raise GradientError(rule, expected=f"{len(self.names)}: {expected}", got=len(gradients))
        given = dict(zip(self.names if len(gradients) == len(self.names) else self.leaves, gradients, strict=True))
        for name, gradient in given.items():
            title = f"gradcheck: the backward of {self.name} gives"
            if gradient is None and name in self.leaves:
                raise GradientError(f"{title} None for {name}, which is float64.", remedy="zeros where the result does not depend on it")
            if gradient is not None and name in constants:
                remedy = f"None in its place, or {name}.astype('float64')"
                raise GradientError(f"{title} a gradient for {name}, which is a constant: integers or truth values.", remedy=remedy)
        try:
            return [np.array(given[name], dtype=np.float64) for name in self.leaves]  # copies: it may write into them in its next call
        except (TypeError, ValueError) as error:
            got = ", ".join(type(given[name]).__name__ for name in self.leaves)
            raise GradientError(f"gradcheck: the backward of {self.name} gives no arrays.", expected="an array for each input", got=got) from error

    def with_cotangent(self, cotangent):
        """The gradients for another cotangent."""
        self.cotangents = [cotangent]
        return self.gradients()

    def analytic(self):
        """Whether every operation of the graph is analytic, and lies on NumPy."""
        if self.backward is not None or not all(isinstance(leaf.data, np.ndarray) for leaf in self.leaves.values()):
            return False
        return all(node.primitive.analytic and not node.primitive.kinks for y in self.outputs() for node in nodes_of(y))


class Comparison:
    """One input: its gradient, and its slopes by differences."""

    def __init__(self, name, leaf, gradient, objective, rtol, random):
        self.name, self.leaf, self.gradient = name, leaf, gradient
        self.whole, self.misshapen = leaf.size <= WHOLE, gradient.shape != leaf.shape
        self.entries = np.arange(leaf.size) if self.whole else np.sort(random.choice(leaf.size, SOME, replace=False))
        low, high, rounding = numerical_slopes(leaf, objective, self.entries)
        analytic = self.at_entries() if not self.misshapen else np.full(low.shape, np.nan)
        if not self.whole:
            directions = random.normal(size=(DIRECTIONS, leaf.size))
            directions /= np.linalg.norm(directions, axis=1, keepdims=True)
            more = slopes_along(leaf, objective, directions)
            low, high, rounding = (np.append(a, b) for a, b in zip((low, high, rounding), more, strict=True))
            analytic = np.append(analytic, directions @ gradient.reshape(-1) if not self.misshapen else [np.nan] * DIRECTIONS)
        self.low, self.high, self.rounding, self.analytic = low, high, rounding, analytic
        nearest = np.clip(analytic, low, high)
        size, error = np.maximum(np.abs(analytic), np.abs(nearest)), np.abs(analytic - nearest)
        self.wrong = ~(error <= rounding + rtol * size) | ~np.isfinite(analytic)
        self.drowned = bool(((size <= rounding) & (rounding > DROWNED)).any() and (size <= rounding).all())
        smallest = max(1e-3 * np.abs(low).max(initial=0), rounding.max(initial=0) / rtol, np.finfo(np.float64).tiny)
        with np.errstate(invalid="ignore"):  # an infinite gradient
            self.relative = error / np.maximum(size, smallest)
        self.bent = (low != high) & np.isfinite(low)
        self.worst, self.kinks = float(self.relative.max(initial=0.0)), int(self.bent.sum())

    def at_entries(self):
        """The gradient at the entries that are compared."""
        return self.gradient.reshape(-1)[self.entries]

    def slope(self):
        """The slopes by differences in the input's shape; those of the compared entries in a row where these are not all."""
        n = len(self.entries)
        return ((self.low[:n] + self.high[:n]) / 2).reshape(self.leaf.shape if self.whole else -1)

    def error(self, subject, found):
        """The GradientError: operation, input, the worst entry with both numbers, and what the error looks like."""
        title = f"gradcheck: {subject.name}: the gradient of {self.name}"
        if self.misshapen:
            likely = diagnosis.misshapen(self.gradient, self.slope()) if self.whole else None
            return GradientError(f"{title} has another shape than the input.", expected=self.leaf.shape, got=self.gradient.shape, likely=likely)
        worst = int(np.argmax(np.where(self.wrong, np.nan_to_num(self.relative, nan=np.inf), -1.0)))
        where = "along a random direction through all entries"
        if worst < len(self.entries):
            where = f"at {tuple(int(i) for i in np.unravel_index(self.entries[worst], self.leaf.shape))}"
        low, high = self.low[worst], self.high[worst]
        slopes = f"{low:.10g}" if low == high else f"between {low:.10g} and {high:.10g} (a kink)"
        if np.isnan(low):
            expected = f"finite values on both sides of the input {where}"
            return GradientError(f"{title} cannot be compared.", expected=expected, remedy="inputs of order one, inside the function's domain")
        return GradientError(
            f"{title} is wrong in {int(self.wrong.sum())} of {len(self.wrong)} {'entries' if self.whole else 'entries and directions'}.",
            expected=f"{slopes} {where}, by finite differences",
            got=f"{self.analytic[worst]:.10g}",
            likely=self.diagnose(subject, found),
        )

    def diagnose(self, subject, found):
        """What the error looks like, in one sentence, or None."""
        subject.values()  # of inputs that are back in place, should the function keep what its backward needs
        if not np.array_equal(subject.gradients()[found.index(self)], self.gradient, equal_nan=True):
            return "noise: it differs between two calls"
        alike = [c for c in found if not c.misshapen and c.whole == self.whole]
        gradients = {c.name: c.gradient if c.whole else c.at_entries() for c in alike}
        results = subject.values()
        shapes = [c.leaf.shape for c in found] + [y.shape for y in results]
        masks = (mask[: len(self.entries)].reshape(self.slope().shape) for mask in (self.wrong, self.bent))
        x = to_numpy(self.leaf.data).reshape(-1)[self.entries].reshape(self.slope().shape)
        return diagnosis.diagnose(self.name, gradients, {c.name: c.slope() for c in alike}, shapes, x, results, *masks)


def complex_step(subject, found, objective, scale, sure):
    """The largest relative error against a complex step; None where the code does not compute with complex numbers.

    The differences agree already.  So where the complex step is far off, the code is not analytic, unless one is `sure` of it.
    """
    worst = 0.0
    for comparison in found:
        slopes = complex_slopes(comparison.leaf, objective, comparison.entries)
        if slopes is None:
            return None
        analytic = comparison.at_entries()
        error, size = np.abs(analytic - slopes), np.maximum(np.abs(analytic), np.abs(slopes))
        floor = max(1e-3 * size.max(initial=0), 1e-6 * scale, np.finfo(np.float64).tiny)
        relative = error / np.maximum(size, floor)
        if not sure and not (relative <= 1e-5).all():
            return None
        if not (relative <= EXACT).all():
            at = int(np.argmax(relative))
            raise GradientError(
                f"gradcheck: {subject.name}: the gradient of {comparison.name} is right to {relative.max():.1g} only.",
                expected=f"{slopes[at]:.16g} at flat index {comparison.entries[at]}, by a complex step",
                got=f"{analytic[at]:.16g}",
                remedy="look for a constant with too few digits, or cancellation; analytic=False where the function is not analytic",
            )
        worst = max(worst, float(relative.max(initial=0.0)))
    return worst


def loss_of(model, x):
    """The loss of a model as a function without arguments: the batch x, or random numbers, and the same noise in every call."""
    if not callable(getattr(model, "loss", None)) or (x is None and not hasattr(model, "features")):
        remedy = "gradcheck(lambda: function(x), model), and float64 data"
        raise GradientError(f"gradcheck: {type(model).__name__} has no loss(x), or no batch x was given.", remedy=remedy)
    x = rng(0).uniform((3, model.features), dtype=np.float64) if x is None else x
    asked = inspect.signature(model.loss).parameters
    noise = {"rng"} & asked.keys()
    if [p for p in list(asked.values())[1:] if p.default is p.empty and p.name != "rng" and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]:
        remedy = "gradcheck(lambda: model.loss(x, noise), model)"
        raise GradientError("gradcheck: the model's loss needs more than a batch.", got=f"loss({', '.join(asked)})", remedy=remedy)

    def loss():
        terms = model.loss(x, **{name: rng(0) for name in noise})
        return getattr(terms, "loss", terms)

    loss.__name__ = f"the loss of {type(model).__name__}"
    return loss


def leaves_of(f, inputs, backward):
    """(name -> leaf Tensor, names of all inputs, a function without arguments that calls f on them, one of a cotangent for `backward` or None)."""
    if hasattr(inputs, "named_parameters"):
        inputs = {name: parameter for name, parameter in inputs.named_parameters() if parameter.requires_grad}
        if not inputs:
            raise GradientError("gradcheck: the model has no parameter that learns.", remedy="model.unfreeze()")
    if isinstance(inputs, dict):
        return inputs, list(inputs), f, None
    if not isinstance(inputs, (list, tuple)) or not all(hasattr(x, "dtype") and hasattr(x, "ndim") for x in inputs):
        got = type(inputs).__name__ if not isinstance(inputs, (list, tuple)) else "a list of " + ", ".join(type(x).__name__ for x in inputs)
        raise GradientError("gradcheck: the inputs do not fit.", expected="a list of float64 arrays, a Module, or a dict of leaf Tensors", got=got)
    names = names_of(f, len(inputs))
    if other := [f"{n}: {x.dtype}" for n, x in zip(names, inputs, strict=True) if x.dtype.kind not in "fiub"]:
        raise GradientError("gradcheck: an input is no real number.", expected="float64, integers or truth values", got=", ".join(other))
    leaves = {n: Tensor(array_module(x).array(x), requires_grad=True) for n, x in zip(names, inputs, strict=True) if x.dtype.kind == "f"}
    if backward is None:
        return leaves, names, lambda: f(*(leaves.get(n, x) for n, x in zip(names, inputs, strict=True))), None

    def arrays():
        return [leaves[n].data if n in leaves else x for n, x in zip(names, inputs, strict=True)]

    return leaves, names, lambda: f(*arrays()), lambda gy: backward(gy, *arrays())


def names_of(f, count):
    """The names of f's first parameters; `input 0`, ... where it has none."""
    try:
        parameters = inspect.signature(getattr(f, "forward", f) if hasattr(f, "rules") else f).parameters.values()
    except (TypeError, ValueError):
        parameters = ()
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return named[:count] if len(named) >= count else [f"input {i}" for i in range(count)]


def random_like(x, random):
    """Random numbers between 0.5 and 1.5 with random signs, an array like x, a Tensor or an array."""
    shape = np.shape(x) if not hasattr(x, "shape") else x.shape
    numbers = np.asarray(random.uniform(0.5, 1.5, shape) * random.choice([-1.0, 1.0], shape))
    return array_module(x.data).asarray(numbers) if isinstance(x, Tensor) else numbers


@keeping
def assert_gradients(f, inputs=None, *, backward=None, orders=(1, 2), rtol=1e-6, seed=0):
    """All that a gradient must be, for a test: the derivative (at each of `orders`), repeatable, linear in its cotangent.

    Arguments as for `gradcheck`; with `backward` the first order only.  Raises GradientError, which pytest shows as a failed assertion.
    """
    for order in orders if backward is None else (1,):
        gradcheck(f, inputs, backward=backward, order=order, rtol=rtol if order == 1 else 10 * rtol, seed=seed)
    random = np.random.default_rng(seed)
    subject = Subject(f, inputs, backward, 1, random)
    c = subject.cotangents[0]
    y = subject.outputs()[0]
    d, rounding = random_like(y, random), ROUNDING * np.abs(to_numpy(raw(y))).sum()
    first, second, both, again = (subject.with_cotangent(x) for x in (c, d, 2.0 * c - 3.0 * d, c))
    for name, g, h, b, a in zip(subject.leaves, first, second, both, again, strict=True):
        if (g != a).any():
            raise GradientError(f"gradcheck: {subject.name}: the gradient of {name} differs between two calls.", remedy="freeze the noise")
        if not np.allclose(b, 2 * g - 3 * h, rtol=1e-9, atol=rounding + 1e-9 * max(np.abs(g).max(initial=0), np.abs(h).max(initial=0))):
            raise GradientError(f"gradcheck: {subject.name}: the gradient of {name} is not linear in the cotangent.")
