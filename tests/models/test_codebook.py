"""The codebook of a VQ-VAE: where its gradients go, its moving average against the closed recursion, codes that nobody chooses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyae as ta
from tinyae.backend import to_device, to_numpy
from tinyae.models.codebook import Codebook


def test_the_straight_through_step_gives_the_code_forward_and_the_decoders_cotangent_back_unchanged():
    codebook = Codebook(5, 3, rng=ta.rng(0)).astype("float64")
    z_e, cotangent = ta.Tensor(ta.rng(1).normal((4, 6, 3), np.float64), requires_grad=True), ta.rng(2).normal((4, 6, 3), np.float64)
    found = codebook(z_e)
    np.testing.assert_array_equal(found.z.numpy(), codebook.weight.numpy()[found.indices])
    (found.z * cotangent).sum().backward()
    np.testing.assert_array_equal(z_e.grad, cotangent)
    assert codebook.weight.grad is None


@given(st.integers(0, 1000))
def test_the_terms_gradients_are_twice_the_difference_to_the_code(seed):
    codebook, n = Codebook(4, 2, rng=ta.rng(seed)).astype("float64"), 3
    z_e = ta.Tensor(ta.rng(seed + 1).normal((n, 5, 2), np.float64), requires_grad=True)
    found = codebook(z_e)
    e = codebook.weight.numpy()[found.indices]
    (found.codebook.sum() + found.commitment.sum()).backward()
    np.testing.assert_allclose(z_e.grad, 2 * (z_e.numpy() - e), rtol=1e-12)
    expected = np.zeros((4, 2))
    np.add.at(expected, found.indices, 2 * (e - z_e.numpy()))
    np.testing.assert_allclose(codebook.weight.grad, expected, rtol=1e-9, atol=1e-12)


def test_gradcheck_rejects_the_step_itself():
    """The true derivative of the nearest code is 0: what the encoder gets is a surrogate, and says so."""
    codebook = Codebook(5, 3, rng=ta.rng(0)).astype("float64")
    with pytest.raises(ta.checks.GradientError):
        ta.checks.gradcheck(lambda z: codebook(z).z, [ta.rng(1).normal((2, 3, 3), np.float64)])


def remember(codebook, z):
    codebook.seen = z[None], codebook.nearest(z)[None]


def test_the_moving_average_is_its_closed_recursion(backend):
    """N_t = g^t + (1 - g) sum_i g^(t - i) n_i, m_t likewise, e_t = m_t over the smoothed N_t."""
    g, steps, k = 0.7, 6, 4
    codebook = Codebook(k, 2, method="ema", decay=g, restart=0, rng=ta.rng(3)).astype("float64").to(backend)
    first, ns, ss = to_numpy(codebook.weight.data).copy(), [], []
    for t in range(1, steps + 1):
        z = ta.rng(t).normal((9, 2), np.float64)
        chosen = to_numpy(codebook.nearest(z))
        ns.append(np.bincount(chosen, minlength=k))
        ss.append(np.stack([to_numpy(z)[chosen == i].sum(axis=0) for i in range(k)]))
        remember(codebook, z)
        codebook.update(ta.rng(0))
        weights = (1 - g) * g ** np.arange(t - 1, -1, -1.0)
        n, m = g**t + np.tensordot(weights, ns, 1), g**t * first + np.tensordot(weights, ss, 1)
        smoothed = (n + 1e-5) / (n.sum() + k * 1e-5) * n.sum()
        np.testing.assert_allclose(to_numpy(codebook.counts.data), n, rtol=1e-12)
        np.testing.assert_allclose(to_numpy(codebook.weight.data), m / smoothed[:, None], rtol=1e-12, atol=1e-14)


def test_the_moving_average_comes_to_rest_at_the_means_of_the_clusters():
    centres, rng = np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 3.0]]), np.random.default_rng(0)
    codebook = Codebook(3, 2, method="ema", decay=0.9, restart=0, rng=ta.rng(0)).astype("float64")
    codebook.weight.assign(centres * 0.4)
    z = (centres[:, None] + 0.1 * rng.normal(size=(3, 20, 2))).reshape(-1, 2)
    for _ in range(300):
        remember(codebook, z)
        codebook.update(ta.rng(0))
    np.testing.assert_allclose(codebook.weight.numpy(), z.reshape(3, 20, 2).mean(axis=1), atol=1e-4)


@pytest.mark.parametrize("method", ["loss", "ema"])
def test_restart_makes_vectors_of_the_batch_from_codes_that_nobody_chose(method, backend):
    codebook = Codebook(6, 2, method=method, restart=3, rng=ta.rng(0)).astype("float64").to(backend)
    far = np.full((6, 2), 50.0)
    far[0] = 0
    codebook.weight.assign(to_device(far))
    if method == "ema":
        codebook.sums.assign(to_device(far))
    z = ta.rng(1).normal((9, 2), np.float64)
    for step in range(3):
        assert (to_numpy(codebook.nearest(z)) == 0).all(), step
        remember(codebook, z)
        codebook.update(ta.rng(step))
    revived = to_numpy(codebook.weight.data)[1:]
    assert (revived[:, None] == to_numpy(z)).all(-1).any(-1).all()
    assert len(np.unique(revived, axis=0)) == 5
    assert len(np.unique(to_numpy(codebook.nearest(z)))) >= 5
    assert (to_numpy(codebook.idle.data) == 0).all()
    if method == "ema":
        np.testing.assert_array_equal(to_numpy(codebook.sums.data)[1:], revived)
        np.testing.assert_array_equal(to_numpy(codebook.counts.data)[1:], 1)


def test_without_restart_a_code_out_of_reach_stays_there_and_with_it_a_code_in_use_is_left_alone():
    for restart in (0, 3):
        codebook = Codebook(2, 2, restart=restart, rng=ta.rng(0))
        codebook.weight.assign(np.array([[0.0, 0.0], [50.0, 50.0]], np.float32))
        for step in range(5):
            remember(codebook, ta.rng(1).normal((9, 2)))
            codebook.update(ta.rng(step))
        assert (codebook.weight.numpy()[0] == 0).all()
        assert (codebook.weight.numpy()[1] == 50).all() == (restart == 0)


def test_more_dead_codes_than_vectors_are_revived_all_the_same():
    codebook = Codebook(6, 2, restart=1, rng=ta.rng(0))
    codebook.weight.assign(np.full((6, 2), 50.0, np.float32))
    z = ta.rng(1).normal((2, 2))
    remember(codebook, z)
    codebook.update(ta.rng(0))
    assert (codebook.weight.numpy()[1:, None] == z).all(-1).any(-1).all()
