"""Proofs by replay: right gradients pass, an error planted in any rule is found at its operation and line, noise is drawn again."""

import inspect

import numpy as np
import pytest

import tinyae as ta
from tinyae import ops
from tinyae.microscope import redraw, replay, trace


def leaf(*shape, seed=0):
    return ta.Tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True)


def long_script(x, w, b):
    """Many operations on square matrices, each on a line of its own."""
    h = ops.matmul(x, w)
    h = ops.add(h, b)
    h = ops.tanh(h)
    h = ops.subtract(h, w)
    h = ops.multiply(h, x)
    h = ops.sigmoid(h)
    h = ops.divide(h, ops.exp(w))
    h = ops.softplus(h)
    h = ops.log(h)
    h = ops.square(h)
    h = ops.sqrt(h)
    h = ops.linear(h, w, b[0])
    h = ops.relu(h)
    h = ops.softmax(h)
    h = ops.gelu(h)
    h = ops.sin(h)
    h = ops.transpose(h)
    h = ops.reparameterize(h, w, NOISE)
    h = ops.log_softmax(h)
    h = ops.negative(h)
    h = ops.cos(h)
    h = ops.multiply(ops.mean(h, axis=0), ops.max(h, axis=1)) + ops.sum(h, axis=0)
    return h @ h


NOISE = np.random.default_rng(9).normal(size=(4, 4))
BROKEN = """add subtract multiply divide exp tanh sigmoid softplus log square sqrt matmul linear relu softmax log_softmax gelu sin cos
    transpose reparameterize negative mean max sum""".split()
ERRORS = {
    "half as much again": lambda g: 1.5 * g,
    "sign": lambda g: -g,
    "transposed": lambda g: np.swapaxes(g, -1, -2) if np.ndim(g) > 1 else np.roll(g, 1),
    "a part is missing": lambda g: np.where(np.abs(g) == np.abs(g).max(), 0, g),
}


def traced():
    """The trace of the script."""
    return trace(long_script, leaf(4, 4), leaf(4, 4, seed=1), leaf(4, 4, seed=2))


def plant(monkeypatch, primitive, error):
    """Put an error into the first rule of a primitive."""
    rule = primitive.rules[0]
    right = rule.function

    def wrong(*arguments, **settings):
        gradients = right(*arguments, **settings)
        return (error(gradients[0]), *gradients[1:]) if rule.joint else error(gradients)

    monkeypatch.setattr(rule, "function", wrong)
    monkeypatch.setattr(rule, "takes_out", False)


def test_right_rules_are_not_blamed():
    found = traced()
    assert found.blame() is None
    proofs = [found.check(line) for line in found.lines] + [proof for line in found.lines for proof in replay.check_rules(line)]
    assert {proof.verdict for proof in proofs} == {"right"}
    assert max(proof.error for proof in proofs) < 1e-6


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_blamed_with_its_operation_and_line(name, error, monkeypatch):
    plant(monkeypatch, ops.registry[name], ERRORS[error])
    proof = traced().blame()
    assert proof.verdict == "wrong"
    assert proof.line.primitive.name == name
    source = inspect.getsource(long_script).splitlines()[proof.line.call.line - inspect.getsourcelines(long_script)[1]]
    assert f"ops.{name}(" in source or {"add": " + ", "matmul": "h @ h"}.get(name, "nothing else") in source
    assert f"the gradient of {name} in {proof.at.text}: wrong" in str(proof)


def test_there_are_twenty_broken_operations_and_more():
    assert len(set(BROKEN)) >= 20


def test_the_value_of_a_line_before_a_wrong_rule_is_wrong_and_behind_it_right(monkeypatch):
    plant(monkeypatch, ops.softplus, ERRORS["half as much again"])
    found = traced()
    (wrong,) = [line for line in found.lines if line.primitive.name == "softplus"]
    verdicts = [found.check(line).verdict for line in found.lines if line.cotangent is not None]
    at = [line.number for line in found.lines if line.cotangent is not None].index(wrong.number)
    assert set(verdicts[at:]) == {"right"}
    assert verdicts[at - 1] == verdicts[0] == "wrong"


def test_a_cotangent_that_was_not_summed_is_wrong_though_every_rule_is_right():
    x = leaf(3)

    def both():
        y = ops.exp(x)
        return ops.sin(y).sum() + ops.cos(y).sum()

    found = trace(both)
    line = found.lines[0]
    assert found.check(line).verdict == "right"
    line.cotangent = found.lines[1].gradients[0].value  # what one of the two sends
    assert found.check(line).verdict == "wrong"
    assert found.check(line).line is line


# ---- long programs


def deep(x, turns):
    h = x
    for _ in range(turns):
        h = ops.tanh(h) + 0.3 * h
    return h.sum()


def test_a_long_program_is_proved_piece_by_piece(monkeypatch):
    found = trace(deep, leaf(3), 200)
    assert len(found.lines) > 5 * replay.HORIZONS[0]
    moves = replay.Moves(found, None, None, line=found.lines[0])
    assert len(moves.followers(replay.HORIZONS[0])) == replay.HORIZONS[0]
    assert {found.check(line).verdict for line in found.lines} == {"right"}
    plant(monkeypatch, ops.tanh, ERRORS["half as much again"])
    broken = trace(deep, leaf(3), 200)
    verdicts = [broken.check(line).verdict for line in broken.lines]
    assert verdicts.count("wrong") > len(verdicts) / 2


def test_a_gradient_that_vanishes_is_lost_in_rounding_and_proved_nearer_by(monkeypatch):
    def fading(x):
        h = x
        for _ in range(60):
            h = 0.5 * ops.sin(h) + 1.0
        return h.sum()

    found = trace(fading, leaf(3))
    assert 0 < np.abs(found.lines[0].cotangent).max() < 1e-14
    assert {found.check(line).verdict for line in found.lines} == {"right"}
    plant(monkeypatch, ops.sin, ERRORS["half as much again"])
    broken = trace(fading, leaf(3))
    assert broken.check(3).verdict == "wrong"
    assert broken.blame().line.primitive.name == "sin"


@pytest.mark.parametrize("horizon", [1, 2, 3, 7, 1000])
def test_the_horizon_does_not_change_the_slope(horizon, monkeypatch):
    found = traced()
    reached = [line for line in found.lines if line.cotangent is not None]
    wanted = [found.check(line).numeric for line in reached]
    monkeypatch.setattr(replay, "HORIZONS", (horizon,))
    np.testing.assert_allclose([found.check(line).numeric for line in reached], wanted, rtol=1e-5, atol=1e-8)


# ---- kinks, surrogates, what is not finite


def test_zeros_at_the_kink_of_relu_are_no_error():
    x = np.maximum(np.random.default_rng(0).normal(size=(6, 5)), 0)
    x[2:4] = 0
    w = leaf(5, 4)
    found = trace(lambda: (ops.relu(x @ w) * np.array([1, -1, 2, -0.5])).sum())
    assert [found.check(line).verdict for line in found.lines] == ["kink", "right", "right", "right"]
    assert [proof.verdict for line in found.lines for proof in replay.check_rules(line)] == ["right", "kink", "right", "right"]
    assert found.blame() is None
    backward, forward = found.check(1).slopes
    assert backward != pytest.approx(forward)


@pytest.mark.parametrize("error", [lambda g: 1.5 * g, lambda g: -g])
def test_an_error_does_not_hide_behind_a_kink(error, monkeypatch):
    x = np.maximum(np.random.default_rng(0).normal(size=(6, 5)), 0)
    x[2:4] = 0
    w = leaf(5, 4)
    plant(monkeypatch, ops.relu, error)
    found = trace(lambda: (ops.relu(x @ w) * np.array([1, -1, 2, -0.5])).sum())
    assert found.blame().line.primitive.name == "relu"


def test_an_error_upstream_of_a_kink_is_seen_at_the_value(monkeypatch):
    plant(monkeypatch, ops.multiply, lambda g: 1.2 * g)
    x = leaf(4, 3)
    zeros = np.array([[1.0], [0.0], [0.0], [1.0]])
    found = trace(lambda: ops.relu(ops.exp(x) * zeros).sum())
    assert found.check(1).verdict == "wrong"
    assert found.blame().line.primitive.name == "multiply"


def test_a_kink_within_the_step_is_no_error():
    x = ta.Tensor(np.array([3e-5, -2e-5, 1.0]), requires_grad=True)
    found = trace(lambda: (ops.relu(x) * np.array([2.0, -3.0, 1.0])).sum())
    assert [proof.verdict for proof in replay.check_rules(found.lines[0])] == ["right"]


def test_a_surrogate_is_called_one_wherever_it_is_passed():
    x = leaf(3)
    found = trace(lambda: (ops.round_straight_through(ops.exp(x)) * 2).sum() + ops.sin(x).sum())
    verdicts = {line.primitive.name: found.check(line).verdict for line in found.lines}
    assert (verdicts["exp"], verdicts["round_straight_through"], verdicts["sin"]) == ("surrogate", "right", "right")
    assert found.blame() is None
    assert "surrogate" in str(found.check(1))


def test_a_line_without_a_gradient_says_so():
    x = leaf(3)

    def loss():
        unused = ops.exp(x)  # noqa: F841
        return x.sum()

    assert trace(loss).check(1).verdict == "no gradient"


def test_a_loss_that_is_not_finite_has_no_slope_and_blames_nobody():
    x = ta.Tensor(np.array([1.0, -1.0]), requires_grad=True)
    with np.errstate(all="ignore"):
        found = trace(lambda: ops.log(x).sum())
        assert [found.check(line).verdict for line in found.lines] == ["not finite", "not finite"]
        assert found.blame() is None


def test_a_gradient_that_is_not_finite_where_the_loss_is_smooth_is_wrong(monkeypatch):
    plant(monkeypatch, ops.exp, lambda g: g / np.zeros(g.shape))
    with np.errstate(all="ignore"):
        assert trace(lambda: ops.exp(leaf(3)).sum()).blame().line.primitive.name == "exp"


def test_float32_is_held_to_what_float32_can_do(monkeypatch):
    def made():
        model = ta.models.VAE(features=6, latent=2, hidden=(5,), activation="tanh", rng=ta.rng(3))
        return trace(model.loss, ta.rng(1).bernoulli(np.full((4, 6), 0.5, np.float32)), rng=ta.rng(2))

    assert made().blame() is None
    plant(monkeypatch, ops.kl_standard_normal, lambda g: g * np.float32(1.001))
    assert made().blame().line.primitive.name == "kl_standard_normal"


# ---- noise drawn again


def test_redrawn_gradients_agree_with_an_independent_estimate():
    mean, log_variance = np.array([[0.5, -1.0]]), np.array([[0.2, -0.4]])
    a, b = (ta.Tensor(values, requires_grad=True) for values in (mean, log_variance))
    found = trace(lambda: ops.square(ops.reparameterize(a + 0.0, b, np.zeros((1, 2)))).sum())
    spread = redraw(found, draws=4000)
    (line,) = [line for line in found.lines if line.primitive.name == "reparameterize"]
    middle, deviation = spread[line.number]
    # d/dz sum z^2 = 2 z, z ~ N(mean, exp(log_variance))
    np.testing.assert_allclose(middle, 2 * mean, atol=4 * 2 * np.exp(log_variance / 2).max() / 4000**0.5)
    np.testing.assert_allclose(deviation, 2 * np.exp(log_variance / 2), rtol=0.05)
    upstream, _ = spread[1]
    np.testing.assert_allclose(upstream, middle)


def test_redrawing_leaves_the_gradients_of_the_trace_alone():
    a = leaf(1, 2)
    found = trace(lambda: ops.square(ops.reparameterize(a, a, np.ones((1, 2)))).sum())
    before = a.grad.copy(), found.lines[0].cotangent.copy()
    first, again, other = redraw(found, 5), redraw(found, 5), redraw(found, 5, seed=1)
    np.testing.assert_array_equal(a.grad, before[0])
    np.testing.assert_array_equal(found.lines[0].cotangent, before[1])
    np.testing.assert_array_equal(first[1][0], again[1][0])
    assert not np.array_equal(first[1][0], other[1][0])


def test_nothing_is_drawn_where_there_is_no_noise():
    assert redraw(traced_without_noise()) == {}


def traced_without_noise():
    x = leaf(3)
    return trace(lambda: ops.exp(x).sum())


# ---- leaves


def shared(w, x):
    h = ops.tanh(x * w)
    return (h * w).sum() + ops.relu(w).sum()


def test_the_gradient_of_a_leaf_is_proved_over_all_lines_that_use_it():
    w, x = leaf(4), np.linspace(-1, 1, 4)
    found = trace(shared, w, x)
    proof = found.check(w)
    assert proof.verdict == "right"
    assert proof.error < 1e-8
    assert "d loss / d w: right" in str(proof)


def test_a_leaf_before_a_wrong_rule_is_wrong_though_its_own_rules_are_right(monkeypatch):
    plant(monkeypatch, ops.tanh, ERRORS["half as much again"])
    w, x = leaf(4), np.linspace(-1, 1, 4)
    found = trace(shared, w, x)
    assert {proof.verdict for proof in replay.check_rules(found.lines[0])} == {"right"}
    assert found.check(w).verdict == "wrong"
    assert found.blame().line.primitive is ops.tanh


def test_a_leaf_behind_a_surrogate_or_without_a_gradient_is_no_failure():
    w = leaf(3)
    assert trace(lambda: (ops.sign_straight_through(w) * w).sum()).check(w).verdict == "surrogate"
    other = leaf(3)
    found = trace(lambda: (w * w).sum() + (w * ops.relu(other).detach()).sum())
    assert found.check(w).verdict == "right"
    assert found.check(other).verdict == "no gradient"


def test_tracing_twice_does_not_add_up_gradients():
    w = leaf(3)
    first = trace(lambda: (w * w).sum()).leaves[id(w)][1].grad.copy()
    trace(lambda: (w * w).sum())
    np.testing.assert_array_equal(w.grad, first)
