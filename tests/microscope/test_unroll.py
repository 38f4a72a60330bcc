"""The unrolled program runs alone, and its gradients are the engine's to the last bit."""

import re
import subprocess
import sys

import hypothesis
import hypothesis.strategies as strategies_of_hypothesis
import numpy as np
import pytest

import tinyae as ta
from tinyae import nn, ops
from tinyae.autograd import primitive, registry, user_registry
from tinyae.checks import strategies
from tinyae.errors import ArgumentError
from tinyae.microscope import record, to_text, trace
from tinyae.microscope.unroll import unroll, write

ALONE = """
import sys
sys.modules["tinyae"] = None  # so that it cannot be imported
program = {"__name__": "alone", "__file__": sys.argv[1]}
exec(compile(open(sys.argv[1]).read(), sys.argv[1], "exec"), program)
program["np"].savez(sys.argv[2], **program["gradients"])
"""


def leaf(*shape, seed=0, dtype=np.float64):
    """A Tensor of normal numbers that wants a gradient."""
    return ta.Tensor(np.random.default_rng(seed).normal(size=shape).astype(dtype), requires_grad=True)


def run_alone(program, tmp_path):
    """The gradients of a program that runs in a process of its own, without tinyae; a warning is an error."""
    saved = tmp_path / "found.npz"
    command = [sys.executable, "-I", "-W", "error", "-c", ALONE, str(program), str(saved)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(np.load(saved))


def assert_same_bits(trace, leaves, tmp_path):
    """The text of the program, after it was written, run alone and compared bit by bit with the `.grad` of these leaves, by name."""
    program, _ = write(trace, tmp_path / "step.py")
    found = run_alone(program, tmp_path)
    assert found
    assert sorted(found) == sorted(name for name, x in leaves.items() if x.grad is not None)
    for name, gradient in found.items():
        expected = leaves[name].grad
        assert (gradient.dtype, gradient.shape) == (expected.dtype, expected.shape)
        assert gradient.tobytes() == expected.tobytes(), name
    return program.read_text()


def traced(model, x, **inputs):
    """The trace of a step of a model."""
    with record(model) as trace:
        terms = model.loss(x, **inputs)
    trace.backward(terms.loss)
    return trace


MODELS = {
    "autoencoder": (ta.models.Autoencoder, {}),
    "bernoulli": (ta.models.VAE, {}),
    "gaussian": (ta.models.VAE, {"likelihood": "gaussian", "variance": 0.3, "activation": "gelu"}),
    "convolutional": (ta.models.VAE, {"channels": (4, 8), "image_shape": (8, 8)}),
    "convolutional autoencoder": (ta.models.Autoencoder, {"channels": (3,), "image_shape": (8, 8), "activation": "softplus"}),
}


def model_trace(name):
    """(model, the trace of one of its steps)."""
    kind, settings = MODELS[name]
    rng = ta.rng(3)
    model = kind(features=64, latent=2, hidden=(16,), rng=rng, **settings)
    x = rng.bernoulli(np.full((5, 64), 0.5, np.float32))
    return model, traced(model, x, **({"noise": rng.normal((5, 2))} if kind is ta.models.VAE else {}))


@pytest.mark.parametrize("name", MODELS)
def test_the_program_of_a_model_runs_alone_with_the_very_gradients(name, tmp_path):
    model, trace = model_trace(name)
    assert_same_bits(trace, dict(model.named_parameters()), tmp_path)


def test_networks_with_normalisation_dropout_and_gates(tmp_path):
    class Net(nn.Module):
        def __init__(self, rng):
            self.first, self.norm, self.rows = nn.Linear(6, 8, rng=rng), nn.BatchNorm1d(8), nn.LayerNorm(8)
            self.gate = nn.Gated(nn.Linear(8, 3, rng=rng), nn.Linear(8, 3, bias=False, rng=rng))
            self.drop = nn.Dropout(0.4, rng=rng)

        def forward(self, x):
            return self.gate(self.drop(self.rows(ops.silu(self.norm(self.first(x))))))

    net = Net(ta.rng(1))
    with record(net) as trace:
        loss = ops.cross_entropy_with_logits(net(ta.rng(2).normal((7, 6))), ops.one_hot(np.array([0, 1, 2, 0, 1, 2, 2]), 3)).mean()
    trace.backward(loss)
    assert_same_bits(trace, dict(net.named_parameters()), tmp_path)


HELPER = """
from tinyae import ops

def layer(x, w, b):
    return ops.tanh(x @ w + b)

def tree(parts):
    if len(parts) == 1:
        return parts[0]
    return tree(parts[: len(parts) // 2]) * tree(parts[len(parts) // 2 :])
"""


def test_a_script_with_a_loop_a_comprehension_recursion_and_a_second_file(tmp_path, monkeypatch):
    (tmp_path / "second_file.py").write_text(HELPER)
    monkeypatch.syspath_prepend(tmp_path)
    import second_file

    x, w, b = leaf(4, 3), leaf(3, 3, seed=1), leaf(3, seed=2)
    target = np.random.default_rng(9).random((4, 3))
    with record() as trace:
        h = x
        for _ in range(3):
            h = second_file.layer(h, w, b)
        pieces = [h[:, i : i + 1] + 2.0 for i in range(3)]
        joined = ops.concatenate([second_file.tree(pieces), x * b, ops.softmax(h)[:, :2]], axis=1)
        joined += 1.0
        probabilities = ops.sigmoid(joined[:, 1:4] - x.T[0, 1])
        loss = ops.bce_with_logits(h, target).sum() + ops.binary_cross_entropy(probabilities, target).mean() + (w / (1 + w * w)).sum()
        loss = loss + ops.max(joined) + ops.var(h, axis=0).sum() + joined[np.array([0, 0, 2])].sum()
    trace.backward(loss)
    text = assert_same_bits(trace, {"x": x, "w": w, "b": b}, tmp_path)
    for line in ("# second_file.py:5  return ops.tanh(x @ w + b)", "d_w = d_w + "):
        assert line in text


def test_a_primitive_of_the_user_is_unrolled_from_its_own_code(tmp_path):
    @primitive
    def swish(x, *, beta=1.0):
        """x times the logistic function of beta x."""
        return x * gate(x, beta)

    @swish.vjp("x")
    def _(gy, x, y, beta):
        s = gate(x, beta)
        return gy * (s + beta * y * (1 - s))

    def gate(x, beta):
        if beta == 0:
            return 0.5
        return 1 / (1 + np.exp(-beta * x))

    try:
        x = leaf(3, 2)
        with record() as trace:
            loss = swish(x, beta=1.5).sum()
        trace.backward(loss)
        text = assert_same_bits(trace, {"x": x}, tmp_path)
        assert "np.exp(-1.5 * x)" in text
        assert "def " not in text
    finally:
        del user_registry["swish"]


def test_a_value_that_is_read_before_the_array_changes_keeps_its_place(tmp_path):
    @primitive
    def staged(x):
        """x, plus its first entry."""
        y = np.zeros(x.shape, x.dtype)
        y[0] = x[0]
        first = y.sum()
        y[1:] = x[1:]
        return y + first

    @staged.vjp("x")
    def _(gy):
        first = gy[0] + gy.sum()
        gx = gy * 1.0
        gx[0] = first
        return gx

    try:
        x = leaf(3)
        with record() as trace:
            loss = (staged(x) * staged(x)).sum()
        trace.backward(loss)
        assert_same_bits(trace, {"x": x}, tmp_path)
    finally:
        del user_registry["staged"]


def test_code_that_branches_on_the_entries_is_copied_as_a_function(tmp_path):
    @primitive
    def damped(x):
        """x, or x / 2 where its largest entry is above 1."""
        if np.abs(x).max() > 1:
            return x / 2
        return x

    @damped.vjp("x")
    def _(gy, x):
        return gy / 2 if np.abs(x).max() > 1 else gy

    try:
        x = leaf(3, 2)
        with record() as trace:
            loss = damped(x * 3).sum()
        trace.backward(loss)
        text = assert_same_bits(trace, {"x": x}, tmp_path)
        assert "def damped(x):" in text
        assert "def damped_vjp_x(gy, x):" in text
    finally:
        del user_registry["damped"]


def test_an_operation_that_is_not_numpy_is_one_clear_error():
    @primitive
    def outside(x):
        """Something from a library of its own."""
        return pytest.approx(x).expected

    @outside.vjp("x")
    def _(gy):
        return gy

    try:
        with record() as trace:
            loss = outside(leaf(3)).sum()
        trace.backward(loss)
        with pytest.raises(ArgumentError, match=r"outside cannot be written out(?s:.*)test_unroll\.py"):
            unroll(trace)
    finally:
        del user_registry["outside"]


@pytest.mark.parametrize("name", sorted(name for name, operation in registry.items() if operation.rules))
def test_every_primitive_of_the_registry_is_unrolled(name):
    operation = registry[name]

    @hypothesis.seed(1)
    @hypothesis.settings(max_examples=5, database=None, deadline=None, phases=[hypothesis.Phase.generate])
    @hypothesis.given(strategies.inputs(operation), strategies_of_hypothesis.sampled_from([np.float32, np.float64]))
    def unrolled(call, dtype):
        values, attributes = call
        attributes = attributes | ({"dtype": dtype} if "dtype" in attributes else {})
        inputs = [ta.Tensor(v.astype(dtype), requires_grad=True) if v.dtype.kind == "f" else v for v in values]
        with np.errstate(all="ignore"):
            with record() as trace:
                y = operation(*inputs, **attributes)
                loss = (y * np.linspace(-1.5, 1.0, y.size).reshape(y.shape).astype(y.dtype)).sum()
            trace.backward(loss)
            assert "\n# BACKWARD\n" in unroll(trace)  # which compares the gradients of a run with those of the trace

    unrolled()


def test_a_program_that_gives_other_gradients_is_refused():
    x, w = leaf(3, 2), leaf(2, seed=1)
    with record() as trace:
        loss = (x * w).sum()
    trace.backward(loss)
    unroll(trace)
    w.data[0] += 1e-9
    with pytest.raises(ArgumentError, match=r"the gradient of x is not that of the engine(?s:.*)optimiser"):
        unroll(trace)


def test_a_trace_without_a_backward_pass_is_refused():
    with record() as trace:
        leaf(3).sum()
    with pytest.raises(ArgumentError, match="there is no backward pass"):
        unroll(trace)


def test_a_cotangent_a_detached_value_and_a_broadcast_scalar(tmp_path):
    x, s = leaf(2, 3), leaf()
    with record() as trace:
        h = ops.exp(x)
        y = h * h.detach() + s
    trace.backward(y, np.arange(6.0).reshape(2, 3))
    text = assert_same_bits(trace, {"x": x, "s": s}, tmp_path)
    assert "y2 = h * h" in text or "h * h" in text
    assert ".sum(axis=(0, 1))" in text


def test_a_change_of_dtype_and_a_leaf_used_twice_in_one_operation(tmp_path):
    x = leaf(3, dtype=np.float32)
    with record() as trace:
        loss = (x * x).astype(np.float64).sum() + (x - x).astype(np.float64).sum()
    trace.backward(loss)
    assert_same_bits(trace, {"x": x}, tmp_path)


def test_the_dense_vae_reads_as_on_a_blackboard():
    text = unroll(model_trace("bernoulli")[1])
    assert len(text.splitlines()) < 80
    assert max(map(len, text.splitlines())) <= 150
    assert text.isascii()
    assert not re.search(r"\?\d|xp\.|tinyae|\bdef\b", text)
    squeezed = [" ".join(re.sub(r"(\.py):\d+", r"\1", row).split()) for row in text.splitlines()]
    for line in (
        "# vae.py z = q.rsample(noise)",
        "z = mean + np.exp(log_variance / 2) * noise # (5, 2) reparameterize: mean + exp(log_variance / 2) * noise",
        "d_logits = d_nll[..., None] * (sigmoid_logits - x) # (5, 64) bce_with_logits: glogits = gy[..., None] * (sigmoid(logits) - x)",
        "d_nll = np.broadcast_to(d_reconstruction / 5, (5,)) # (5,) mean: gx = spread(gy / 5, (5,))",
        "d_z = d_y7 @ decoder_0_weight # (5, 2) linear: gx = gy @ weight",
        "d_decoder_0_weight = d_y7.T @ z # (16, 2) linear: gweight = gy.T @ x",
        "d_mean = d_mean + d_z # (5, 2) reparameterize: gmean = gz",
        "d_h[:, 2:] = d_log_variance # (5, 4) getitem: gx = scatter_add(gy, index=index, shape=(5, 4))",
    ):
        assert line in squeezed, line


def test_every_line_of_both_passes_says_a_shape():
    text = unroll(model_trace("convolutional")[1])
    passes = text[text.index("# FORWARD") : text.index("gradients = {")].splitlines()
    lines = [line for line in passes if line and not line.startswith("#")]
    assert len(lines) > 60
    assert not re.search(r"\braise\b|array_module|\bxp\b|@primitive|Error\(", text)  # of the copied functions only what computes
    without = [line for line in lines if not re.search(r"# \([\d, ]*\)", line)]
    assert all(re.match(r"\w+\[.*\] = ", line) for line in without)


def test_the_program_prints_the_loss_and_the_norms(tmp_path):
    model, trace = model_trace("bernoulli")
    program, data = write(trace, tmp_path / "vae.py")
    assert data.name == "vae.npz"
    done = subprocess.run([sys.executable, "-I", str(program)], capture_output=True, text=True, check=True)
    first, *rows = done.stdout.splitlines()
    assert first.startswith(f"negative_elbo = {trace.lines[-1].value.item():.6f}")
    assert rows[0].split() == ["encoder.0.weight", f"{np.linalg.norm(dict(model.named_parameters())['encoder.0.weight'].grad):.6g}"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["vae.npz", "vae.py"]


def test_unrolling_leaves_the_trace_as_it_was():
    trace = model_trace("bernoulli")[1]
    before = to_text(trace)
    assert unroll(trace) == unroll(trace)
    assert to_text(trace) == before


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(10))
def test_a_likelihood_used_nonlinearly_is_the_same_to_the_last_bit(seed, dtype):
    """Its kernel adds in the order of the plain code, which the program has."""
    rng = np.random.default_rng(seed)
    w, x = ta.Tensor(rng.normal(size=(5, 7)).astype(dtype), requires_grad=True), rng.integers(0, 2, (5, 7)).astype(dtype)
    assert "gradients" in unroll(trace(lambda: ops.square(ops.bce_with_logits(w, x)).mean()))
