"""What each term of a loss contributes to the gradients: named as the source names them, and adding up."""

import numpy as np
import pytest

import tinyae as ta
from tinyae import ops
from tinyae.microscope import terms, trace


def leaf(*shape, seed=0):
    return ta.Tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True)


def vae():
    """The trace of one step."""
    rng = ta.rng(3)
    model = ta.models.VAE(features=6, latent=2, hidden=(5,), activation="tanh", rng=rng)
    return trace(model.loss, rng.bernoulli(np.full((4, 6), 0.5, np.float32)), noise=rng.normal((4, 2)))


def mixed(x):
    """Named and unnamed terms, a difference, a mean on the way."""
    error = ops.square(x - 1).sum()
    size = ops.exp(x).sum() / 3
    return (error - 0.5 * size + ((x * x).mean() + 2.0)) * 3.0


def test_the_terms_of_a_vae_are_reconstruction_and_kl():
    found = vae()
    assert list(found.terms) == ["reconstruction", "kl"]
    assert sum(terms.contribution(term) for term in found.terms.values()) == pytest.approx(found.loss.item(), rel=1e-6)


def test_contributions_add_up_at_every_line_and_leaf():
    for found, parts in ((vae(), 2), (trace(mixed, leaf(3, 2)), 3)):
        for line in found.lines:
            if line.cotangent is not None and line.by_term:
                np.testing.assert_allclose(sum(line.by_term.values()), line.cotangent, rtol=1e-5, atol=1e-6)
        for key, (_, tensor) in found.leaves.items():
            np.testing.assert_allclose(sum(found.leaf_terms[key].values()), tensor.grad, rtol=1e-5, atol=1e-6)
        assert len(found.terms) == parts


def test_a_term_contributes_what_its_own_backward_gives():
    x = leaf(3, 2)
    found = trace(mixed, x)
    assert list(found.terms) == ["error", "-0.5 * size", "y10 + 2.0"]
    alone = ta.Tensor(x.data, requires_grad=True)
    (3.0 * ops.square(alone - 1).sum()).backward()
    np.testing.assert_allclose(found.leaf_terms[id(x)]["error"], alone.grad, rtol=1e-12)


def test_a_loss_that_is_no_sum_has_one_term():
    x = leaf(3)
    found = trace(lambda: ops.exp(x).sum())
    assert [line.primitive.name for line in found.terms.values()] == ["sum"]
    np.testing.assert_array_equal(next(iter(found.leaf_terms[id(x)].values())), x.grad)


def test_two_terms_of_one_name_are_kept_apart():
    x = leaf(3)

    def loss():
        part = ops.exp(x).sum()
        first = part
        part = ops.square(x).sum()
        return first + part

    found = trace(loss)
    assert len(found.terms) == 2
    assert len(set(found.terms)) == 2


def test_a_term_that_another_term_uses_contributes_its_own_part_only():
    x = leaf(3)

    def loss():
        size = ops.square(x).sum()
        return size + 0.1 * size * size

    found = trace(loss)
    size = found.terms["size"]
    assert terms.contribution(size) == pytest.approx(size.value.item())
    assert sum(map(terms.contribution, found.terms.values())) == pytest.approx(found.loss.item())
    np.testing.assert_allclose(found.leaf_terms[id(x)]["size"], 2 * x.data)


def test_a_term_that_is_added_twice_is_one_term():
    x = leaf(3)

    def loss():
        size = ops.square(x).sum()
        return size + size

    found = trace(loss)
    assert list(found.terms) == ["size"]
    assert terms.contribution(found.terms["size"]) == pytest.approx(found.loss.item())


def test_gradients_next_to_nothing_add_up_as_well():
    x = leaf(4)

    def loss():
        h = x
        for _ in range(1500):
            h = ops.tanh(h) * 0.6 + ops.sigmoid(h) * 0.01
        return (h + h * h).sum()

    found = trace(loss)
    assert 0 <= np.abs(found.lines[0].cotangent).max() < 1e-300


def test_a_loss_that_is_not_finite_can_be_looked_at():
    x = ta.Tensor(np.array([1.0, -1.0, 0.0]), requires_grad=True)
    with np.errstate(all="ignore"):
        found = trace(lambda: ops.log(x).sum() + (1 / x).sum() + ops.square(x).sum())
    assert np.isnan(found.loss.item())
    assert len(found.terms) == 3


def test_terms_that_do_not_add_up_are_noticed(monkeypatch):
    whole = terms.backward_steps

    def halved(value, cotangent, **settings):
        yield from whole(value, cotangent * 0.5, **settings)

    monkeypatch.setattr(terms, "backward_steps", halved)
    with pytest.raises(AssertionError, match="the terms do not add up"):
        vae()


# ---- the reverse pass in steps


def stepped(make, args):
    with ta.microscope.record() as found:
        loss = make(*args)
    return found, loss


def test_stepping_to_the_end_gives_the_very_gradients_of_backward():
    for make in (mixed, lambda x: ops.matmul(x, x.T).sum() + ops.softmax(x).max()):
        x, y = leaf(3, 2), leaf(3, 2)
        found, loss = stepped(make, (x,))
        numbers = [line.number for line in found.backward_steps(loss)]
        make(y).backward()
        assert x.grad.tobytes() == y.grad.tobytes()
        assert numbers == sorted(numbers, reverse=True)
        assert len(numbers) == len(set(numbers)) > 5


def test_a_step_shows_a_cotangent_that_is_whole_and_nothing_beyond_it():
    x = leaf(3, 2)
    found, loss = stepped(mixed, (x,))
    final = {line.number: line.cotangent.copy() for line in found.backward_steps(loss)}
    for line in found.backward_steps(loss):
        assert line.cotangent.tobytes() == final[line.number].tobytes()
        later = [other for other in found.lines if other.number < line.number]
        assert all(other.cotangent is None for other in later)


def test_stepping_again_begins_at_nothing():
    x = leaf(3, 2)
    found, loss = stepped(mixed, (x,))
    list(found.backward_steps(loss))
    first = x.grad.copy()
    list(found.backward_steps(loss))
    np.testing.assert_array_equal(x.grad, first)
