"""The prior over the codes of a VQ-VAE: against sums over all codes, and its samples against its probabilities."""

import itertools
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import tinyae as ta
from tinyae.backend import to_numpy
from tinyae.models.code_prior import CodePrior


def prior(sites=3, codes=3, hidden=(8, 5), seed=0):
    """A prior with weights far from the uniform one, and all its codes, (K^S, S)."""
    made = CodePrior(sites, codes, hidden, rng=ta.rng(seed)).astype("float64")
    for i, p in enumerate(made.parameters()):
        p.assign(ta.rng(seed + 50 + i).normal(p.shape, np.float64))
    return made, np.array(list(itertools.product(range(codes), repeat=sites)))


@given(st.integers(1, 4), st.integers(1, 3), st.sampled_from([(), (4,), (6, 5)]), st.integers(0, 100))
def test_the_prior_sums_to_one_over_all_codes(sites, codes, hidden, seed):
    made, everything = prior(sites, codes, hidden, seed)
    assert math.isclose(np.exp(made.log_prob(everything).numpy()).sum(), 1, rel_tol=1e-12)


def test_a_sites_logits_depend_on_all_the_sites_before_it_and_on_no_other():
    made, everything = prior(4, 3, (9,))
    for i, j in itertools.product(range(4), range(4)):
        changed = everything.copy()
        changed[:, j] = (changed[:, j] + 1) % 3
        moved = np.abs(made.logits(changed).numpy() - made.logits(everything).numpy())[:, i].max()
        assert (moved > 1e-6) == (j < i)


def frequencies(indices, everything):
    return (indices[:, None] == everything).all(-1).mean(0)


def test_samples_of_the_prior_come_with_its_probabilities(backend):
    with ta.using("numpy"):
        made, everything = prior(2, 3)
        p, n = np.exp(made.log_prob(everything).numpy()), 20_000
    found = frequencies(to_numpy(made.to(backend).sample(n, rng=ta.rng(1))), everything)
    assert (np.abs(found - p) < 5 * np.sqrt(p * (1 - p) / n) + 1e-9).all()


def test_a_sampler_that_forgets_the_sites_before_is_caught():
    made, everything = prior(2, 3)
    p, n = np.exp(made.log_prob(everything).numpy()), 20_000
    logits, blank = made.logits, np.zeros((n, 2), int)
    made.logits = lambda indices: logits(blank)
    found = frequencies(made.sample(n, rng=ta.rng(1)), everything)
    assert (np.abs(found - p) > 5 * np.sqrt(p * (1 - p) / n)).any()


def test_the_noise_of_a_sample_is_an_input_and_its_ends_are_codes_too():
    made, _ = prior(3, 4)
    noise = ta.rng(0).uniform((50, 3))
    assert (made.sample(50, noise=noise) == made.sample(50, noise=noise)).all()
    assert (made.sample(2, noise=np.zeros((2, 3))) == 0).all()
    assert made.sample(2, noise=np.full((2, 3), np.nextafter(1, 0))).max() == 3
