"""Fused kernels: one launch, the plain code's values, on the fake device and as the C++ that a GPU's compiler is given."""

import ctypes
import importlib.util
import math
import pathlib
import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyae as ta
from tinyae.autograd import registry
from tinyae.autograd.graph import observed
from tinyae.autograd.primitive import Primitive
from tinyae.backend import to_device, to_numpy
from tinyae.checks import strategies
from tinyae.checks.fake_device import fake_gpu
from tinyae.checks.fake_device.array import FakeDeviceError
from tinyae.checks.fake_device.kernels import ElementwiseKernel, ReductionKernel
from tinyae.errors import BackendError
from tinyae.kernels import fused, plain

ODD = [0.0, -0.0, 1.5, -2.0, 30.0, -30.0, 1e30, -1e30, math.inf, -math.inf, math.nan]
COMPILER = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")


def can(function, names, positional=None, least=2):
    """The trace of a function of these arguments, all of them known later; of a single result its text instead of a list."""
    positional = len(names) if positional is None else positional
    found = fused.trace(function, np.dtype(np.float32), [fused.ENTRY] * len(names), positional, names[positional:], least)
    return found and (found[0][0] if len(found[0]) == 1 else found[0], *found[1:])


def traces():
    """Every traced function of the registry: (name, function, trace, the attributes' defaults)."""
    for primitive in registry.values():
        defaults = {name: 0.5 if name in primitive.required else value for name, value in primitive.attributes.items()}
        if primitive.fast and (found := can(primitive.forward, [*primitive.inputs, *defaults], len(primitive.inputs))):
            yield primitive.name, primitive.forward, found, len(primitive.inputs), defaults
        for rule in primitive.rules:
            if not (rule.joint or rule.takes_out) and (found := can(rule.function, [rule.cotangent, *rule.arguments], least=1)):
                yield f"{primitive.name}_{rule.inputs[0]}", rule.function, found, 1 + len(rule.arguments), {}


TRACES = {name: rest for name, *rest in traces()}
FORWARD = [primitive for primitive in registry.values() if primitive.name in TRACES]
WITH_RULES = [p for p in registry.values() if any(f"{p.name}_{rule.inputs[0]}" in TRACES for rule in p.rules)]


def test_what_is_fused():
    assert set(TRACES) >= set("sigmoid softplus gelu reparameterize kl_standard_normal kl_normal_normal bce_with_logits gaussian_nll".split())
    assert set(TRACES) >= set("relu_x tanh_x gelu_x bce_with_logits_logits reparameterize_log_variance dropout_x".split())
    assert not set(TRACES) & set("relu add exp getitem sum matmul softmax".split())  # one launch already, or no expression of entries


def test_the_text_is_the_formula():
    text, terms, used = can(ta.ops.reparameterize.forward, ta.ops.reparameterize.inputs)
    assert (text, terms) == ("(x0 + (exp((x1 / T(2.0))) * x2))", None)
    text, terms, used = can(ta.ops.kl_standard_normal.forward, ta.ops.kl_standard_normal.inputs)
    assert (text, terms) == ("(a / T(2.0))", "(((x0 * x0) + expm1(x1)) - x1)")
    text, terms, used = can(ta.ops.kl_standard_normal.rules[1].function, ["gy", "log_variance"])
    assert (text, terms, used) == ("((x0_column * expm1(x1)) / T(2.0))", None, [(0, "_column"), (1, "")])
    assert can(lambda x: 1 - x**3, ["x"])[0] == "(T(1.0) - pow(x0, T(3.0)))"
    assert can(lambda x: 1 - x**2, ["x"])[0] == "(T(1.0) - (x0 * x0))"
    assert can(lambda x, n: 1 - x**n, ["x", "n"])[0] == "(T(1.0) - pow(x0, x1))"


def run(operation, values, attributes, cotangent):
    """[value, gradients] as NumPy arrays."""
    inputs = [ta.Tensor(v, requires_grad=True) if v.dtype.kind == "f" else v for v in values]
    y = operation(*inputs, **attributes)
    return [to_numpy(t.data) for t in (y, *ta.grad(y, [x for x in inputs if isinstance(x, ta.Tensor)], cotangent))]


@pytest.mark.parametrize("operation", {p.name: p for p in FORWARD + WITH_RULES}.values(), ids=lambda operation: operation.name)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 2e-6)], ids=["float64", "float32"])
@given(data=st.data())
def test_value_and_gradients_are_those_of_the_plain_code(operation, dtype, tolerance, data):
    values, attributes = data.draw(strategies.inputs(operation))
    values = [v.astype(dtype) if v.dtype.kind == "f" else v for v in values]
    attributes = {name: v.astype(dtype) if isinstance(v, np.ndarray) else v for name, v in attributes.items()}
    y = operation(*values, **attributes)
    with fake_gpu():
        there = {name: to_device(v) if isinstance(v, np.ndarray) else v for name, v in attributes.items()}
        cotangent = to_device(np.random.default_rng(0).normal(size=np.shape(y)).astype(dtype))
        fast = run(operation, list(map(to_device, values)), there, cotangent)
        with plain():
            slow = run(operation, list(map(to_device, values)), there, cotangent)
    for one, other in zip(fast, slow, strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def test_a_fused_primitive_is_one_launch_and_so_is_each_of_its_rules():
    class Watch:
        on_forward = on_rules = on_sum = lambda *_: counters.reset()

        def on_backward(self, node, gy, gradients):
            assert (counters.launches, counters.synchronisations) == (self.rules, 0), node.primitive.name

    watch = Watch()
    with fake_gpu() as counters:
        mean, log_variance, noise, m, v = (ta.Tensor(to_device(np.ones((3, 2), np.float32)), requires_grad=True) for _ in range(5))
        for operation, inputs, rules in (
            (ta.ops.reparameterize, (mean, log_variance, noise.detach()), 1),  # the mean's gradient is the cotangent itself
            (ta.ops.kl_standard_normal, (mean, log_variance), 1),  # both in one launch
            (ta.ops.kl_standard_normal, (mean, log_variance.detach()), 1),
            (ta.ops.kl_normal_normal, (mean, log_variance, m, v), 1),
            (ta.ops.multiply, (mean, log_variance), 1),
            (ta.ops.subtract, (mean, log_variance), 1),
            (ta.ops.bce_with_logits, (mean, noise.data), 1),
            (ta.ops.gelu, (mean,), 1),
        ):
            watch.rules = rules
            counters.reset()
            y = operation(*inputs)
            assert counters.launches == 1, operation.name
            with observed(watch):
                y.backward(to_device(np.ones(y.shape, np.float32)))


def test_what_was_broadcast_is_counted_once_by_a_kernel_of_several_results():
    generator, several = np.random.default_rng(0), (ta.ops.multiply, ta.ops.divide, ta.ops.subtract, ta.ops.kl_standard_normal)
    for shapes in [((3, 2), (2,)), ((1, 2), (3, 2)), ((3, 1), (3, 2)), ((3, 2), ()), ((2,), (2,))]:
        values = [np.abs(generator.normal(size=shape)) + 0.5 for shape in shapes]
        for operation in several if shapes[0][-1:] == shapes[1][-1:] else several[:-1]:
            cotangent = generator.normal(size=operation(*values).shape)
            expected = run(operation, values, {}, cotangent)
            with fake_gpu():
                for one, other in zip(run(operation, list(map(to_device, values)), {}, to_device(cotangent)), expected, strict=True):
                    np.testing.assert_allclose(one, other, rtol=1e-13)


def test_a_rule_finds_its_arguments_in_its_own_order():
    def divided(a, b, c):
        return a / b * c + c

    cases = [(order, zero) for order in ("gy, a, b, c", "gy, c, b, a", "gy, b, c, a") for zero in ("0 * a", "0 * a.sum()")]
    for order, zero in cases:  # a sum over all cannot be said by a kernel
        made = Primitive(divided)
        for name, rule in {"a": f"gy * c / b + {zero}", "b": "-gy * a * c / (b * b)", "c": "gy * (a / b + 1)"}.items():
            made.vjp(name)(eval(f"lambda {'gy, a, b, c' if name == 'a' else order}: {rule}"))
        fused.attach(made)
        values = [np.array([1.0, 2.0]), np.array([3.0, 5.0]), np.array([7.0, 11.0])]
        for wanted in ([0], [1], [0, 1], [1, 2], [2, 0], [0, 1, 2]):
            with fake_gpu() as counters:
                inputs = [ta.Tensor(to_device(v), requires_grad=True) if i in wanted else to_device(v) for i, v in enumerate(values)]
                y = made(*inputs)
                gy = to_device(np.ones(2))
                counters.reset()
                y.node.pull_back(gy)
                assert counters.launches == 1 or "sum" in zero
                found = [to_numpy(g.data) for g in ta.grad(y, [inputs[i] for i in wanted], gy)]
            a, b, c = values
            for i, one in zip(wanted, found, strict=True):
                np.testing.assert_allclose(one, (c / b, -a * c / b**2, a / b + 1)[i])


def test_a_kernel_is_made_once_whatever_its_numbers(monkeypatch):
    made, make = [], fused.launch
    monkeypatch.setattr(fused, "launch", lambda xp, name, *rest: made.append(name) or make(xp, name, *rest))
    with fake_gpu():
        x, operation = to_device(np.ones(3, np.float32)), ta.ops.leaky_relu
        fused.attach(operation)
        for slope in (0.1, 0.2, 0.3):
            assert to_numpy(operation(-x, slope=slope)).tolist() == pytest.approx([-slope] * 3)
        assert made == ["tinyae_leaky_relu"]
        operation(-x.astype(np.float64), slope=0.1)
        assert len(made) == 2


def test_what_no_kernel_can_do_is_left_to_the_plain_code():
    def decides(x):
        return x * 2 + 1 if x > 0 else x

    def spreads(x):
        return x - x.sum(axis=-1, keepdims=True) + 1

    def sums_twice(x):
        return (x * x).sum(axis=-1) * x.sum(axis=-1)

    def shapes(x):
        return (x * 2 + 1).reshape(-1)

    def asks(x):
        return (x * 2 + 1).astype(np.float64)

    def measures(x):
        return x * math.log(x) + 1

    def compares(x):
        return (x > 0) & (x < 1)

    def counts(x):
        return (x > 0) + (x < 1)

    def infinite(x):
        return x * 2 + math.inf

    def grows(x):
        for _ in range(20):
            x = x * x + 1
        return x

    def adds_all(x):
        return (x * x).sum() / 2

    def picks(x):
        return x[0] * 2 + 1

    def widens_late(x):
        return (x * 2)[..., None] + 1

    def chooses_truth(x):
        return ta.ops.where(x > 0, x < 1, x + 1)

    def mixes(x):
        return ((x > 0) & x) * x

    several = (adds_all, picks, widens_late, chooses_truth, mixes)
    for function in (*several, decides, spreads, sums_twice, shapes, asks, measures, compares, counts, infinite, grows, lambda x: x, lambda x: -x):
        assert can(function, ["x"]) is None, function.__name__


def test_other_dtypes_host_arrays_and_mixtures_run_as_ever():
    with fake_gpu() as counters:
        single, double, whole = (to_device(np.ones((2, 3), dtype)) for dtype in (np.float32, np.float64, np.int64))
        assert to_numpy(ta.ops.softplus(whole)).dtype == np.float64
        counters.reset()
        assert to_numpy(ta.ops.reparameterize(single, double, single)).dtype == np.float64
        assert counters.launches > 1
        assert ta.ops.softplus(np.ones(2)).shape == (2,)
        with pytest.raises(BackendError, match="different backends"):
            ta.ops.reparameterize(single, np.ones((2, 3), np.float32), single)


def test_gradients_of_gradients_run_the_rules_on_tensors():
    with fake_gpu():
        x = ta.Tensor(to_device(np.array([0.3, -1.2], np.float64)), requires_grad=True)
        (g,) = ta.grad(ta.ops.softplus(x).sum(), [x], create_graph=True)
        (gg,) = ta.grad(g.sum(), [x])
        s = 1 / (1 + np.exp([-0.3, 1.2]))
        np.testing.assert_allclose(to_numpy(gg.data), s * (1 - s), rtol=1e-12)


def test_a_rule_that_was_replaced_is_not_run_from_an_old_kernel(monkeypatch):
    rule = ta.ops.tanh.rules[0]
    with fake_gpu():
        x = ta.Tensor(to_device(np.ones(2)), requires_grad=True)
        right = to_numpy(ta.grad(ta.ops.tanh(x).sum(), [x])[0].data)
        monkeypatch.setattr(rule, "function", lambda gy, y: gy * (1 + y * y))
        wrong = to_numpy(ta.grad(ta.ops.tanh(x).sum(), [x])[0].data)
    assert not np.allclose(right, wrong)


# The text as C++


def source(head, loop):
    """C++ with a function for every trace: out[k] for float inputs p0[k], p1[k], ..., k as `loop` says."""
    lines = [head, "typedef float T;", fused.PREAMBLE]
    for name, (_, (text, terms, used), _, _) in TRACES.items():
        parameters = "".join(f"const float *p{i}, " for i in range(len(used)))
        lines += [f'extern "C" KIND void {name}({parameters}float *out, int n) {{ {loop} {{']
        lines += [f"const T x{place}{column} = p{i}[k];" for i, (place, column) in enumerate(used)]
        lines += [f"const T a = {terms};" if terms else "", f"T y; y = {text}; out[k] = y; }} }}"]
    return "\n".join(lines)


def compiled(tmp_path):
    """name -> the function of pointers and a length, for every trace."""
    head = "#include <cmath>\nusing namespace std;\n#define __device__ static inline\n#define KIND"
    (tmp_path / "kernels.cpp").write_text(source(head, "for (int k = 0; k < n; k++)"))
    command = [COMPILER, "-std=c++14", "-O1", "-ffp-contract=off", "-shared", "-fPIC", "kernels.cpp", "-o", "kernels.so"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    library = ctypes.CDLL(str(tmp_path / "kernels.so"))
    return {name: getattr(library, name) for name in TRACES}


@pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")
def test_a_compiler_reads_the_text_as_numpy_does(tmp_path):
    # rows of one entry: a sum over the last axis is that entry
    functions, generator = compiled(tmp_path), np.random.default_rng(0)
    sample = np.concatenate([generator.normal(0, 3, 100), np.repeat(ODD, 5)]).astype(np.float32)
    for name, (function, (_, _, used), positional, defaults) in TRACES.items():
        values = [generator.permutation(sample)[:, None] for _ in range(positional)] + [np.float32(0.4)] * len(defaults)
        values = [np.ravel(value) if (place, "_column") in used else value for place, value in enumerate(values)]  # the cotangent of a sum
        out = np.empty(len(sample), np.float32)
        given = [np.ascontiguousarray(np.broadcast_to(np.ravel(values[place]), sample.shape)) for place, _ in used]
        functions[name](*(ctypes.c_void_p(v.ctypes.data) for v in (*given, out)), len(out))
        with np.errstate(all="ignore"), plain():
            expected = np.ravel(function(*values[:positional], **dict(zip(defaults, values[positional:], strict=True))))
        np.testing.assert_allclose(out, expected, rtol=2e-5, atol=1e-6, err_msg=name)


def test_cudas_compiler_reads_the_text():
    wheel = importlib.util.find_spec("nvidia.cuda_nvrtc") if importlib.util.find_spec("nvidia") else None
    if wheel is None:
        pytest.skip("needs NVIDIA's compiler, but no GPU: pip install nvidia-cuda-nvrtc-cu12")
    library = ctypes.CDLL(str(next(pathlib.Path(next(iter(wheel.submodule_search_locations))).glob("lib/libnvrtc.so*"))))
    text = source("#define KIND __global__", "const int k = blockIdx.x * blockDim.x + threadIdx.x; if (k < n)").encode()
    for code, right in ((text, True), (text.replace(b"log1p(", b"no_function("), False)):
        program = ctypes.c_void_p()
        assert library.nvrtcCreateProgram(ctypes.byref(program), code, b"kernels.cu", 0, None, None) == 0
        assert (library.nvrtcCompileProgram(program, 0, None) == 0) == right


# The fake device's kernels


def test_the_fake_devices_kernels_refuse_what_a_gpu_would():
    walk = ElementwiseKernel("T x, T rate", "T y", "y = y - x * rate; y *= 2", "walk")
    with fake_gpu() as counters:
        x, y = to_device(np.ones(3, np.float32)), to_device(np.zeros(3, np.float32))
        counters.reset()
        assert walk(x, 0.5, y) is y
        assert to_numpy(y).tolist() == [-1, -1, -1]
        assert counters.launches == 1
        with pytest.raises(FakeDeviceError, match="from the host"):
            walk(np.ones(3, np.float32), 0.5, y)
        with pytest.raises(FakeDeviceError, match="have the shape of its inputs"):
            walk(to_device(np.ones(4, np.float32)), 0.5, y)
        with pytest.raises(FakeDeviceError, match="one dtype"):
            walk(to_device(np.ones(3)), 0.5, y)
        with pytest.raises(FakeDeviceError, match="writes into device arrays"):
            walk(x, 0.5, np.zeros(3, np.float32))
    with pytest.raises(FakeDeviceError, match="one type"):
        ElementwiseKernel("float32 x", "T y", "y = x", "copy")
    with pytest.raises(FakeDeviceError, match="knows sums"):
        ReductionKernel("T x", "T y", "x", "a * b", "y = a", "1", "product")


def test_the_fake_devices_kernels_broadcast_and_make_their_results():
    add = ElementwiseKernel("T x, T b", "T y", "y = x + b", "add")
    total = ReductionKernel("T x, T b", "T y", "x * b", "a + b", "y = a / T(2)", "0", "total")
    with fake_gpu():
        x, b = to_device(np.arange(6, dtype=np.float32).reshape(2, 3)), to_device(np.ones(3, np.float32))
        assert to_numpy(add(x, b)).tolist() == [[1, 2, 3], [4, 5, 6]]
        assert to_numpy(total(x, b, axis=-1)).tolist() == [1.5, 6]
