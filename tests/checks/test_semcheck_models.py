"""semcheck of the models with more than one posterior: hierarchies, importance-weighted bounds, codebooks; each with errors planted."""

import numpy as np
import pytest

import tinyae as ta
from tinyae.checks import assert_semantics, semcheck
from tinyae.distributions import Normal, StandardNormal, kl_divergence
from tinyae.errors import ArgumentError
from tinyae.models import codebook, hierarchy, iwae, top_down_vae, vq_vae

X = (ta.data.load("digits", split="train").images[:70] > 0.5).astype(np.float32)
GREY = ta.data.load("digits", split="train").images[:70]
SETTINGS = {
    "two-level-vae": [{}, {"likelihood": "gaussian", "variance": 0.3}],
    "ladder-vae": [{"levels": (2, 3, 4), "hidden": (16,)}],
    "top-down-vae": [{"image_shape": (8, 8)}],
    "vq-vae": [{"image_shape": (8, 8)}, {"image_shape": (8, 8), "codebook": "loss", "commitment": 2.0}],
    "iwae": [{"samples": 5}, {"samples": 3, "bounds": 2, "gradient": "doubly-reparameterized"}],
    "conditional-vae": [{"classes": 10}],
}


def made(name, **settings):
    return ta.models.build({"model": name, "features": 64} | (settings or SETTINGS[name][0]), ta.rng(0))


def failed(model, x=X):
    """The names of the rows that failed."""
    return {row.check for row in semcheck(model, x).failures}


@pytest.mark.parametrize(("name", "settings"), [(name, settings) for name, all in SETTINGS.items() for settings in all])
def test_nothing_is_wrong_with_these_models_and_nothing_is_left_untested(name, settings):
    model = made(name, **settings)
    model = model.given(3) if name == "conditional-vae" else model
    before = [p.data for p in model.parameters()]
    result = assert_semantics(model, GREY if "variance" in settings else X)
    assert not result.where("not tested")
    assert all(p.data is data for p, data in zip(model.parameters(), before, strict=True))


def test_the_calibrated_variance_is_checked_in_evaluation_and_refused_in_training():
    model = made("sigma-vae", latent=2)
    with pytest.raises(ArgumentError, match=r"variance is that of the batch[\s\S]*model.eval\(\)"):
        semcheck(model, GREY)
    assert not assert_semantics(model.eval(), GREY).where("not tested")


def no_prior_variance(q, p):
    return ((q.mean - p.mean) ** 2 + ta.ops.exp(q.log_variance) - q.log_variance - 1).sum(axis=-1) / 2


def turned_round(q, p):
    p = p if hasattr(p, "mean") else Normal(0 * q.mean, 0 * q.log_variance)
    return kl_divergence(p, q)


HIERARCHY_BUGS = {
    "KL against N(0, I)": (lambda q, p: kl_divergence(q, StandardNormal()), {"kl", "loss", "KL of level 1"}),
    "the prior's variance forgotten": (no_prior_variance, {"kl", "loss", "KL of level 1"}),
    "KL turned round": (turned_round, {"kl", "loss", "KL of level 1"}),
    "a mean over latents": (lambda q, p: kl_divergence(q, p) / q.mean.shape[-1], {"kl", "kl_top", "KL of level 0"}),
}


@pytest.mark.parametrize("bug", HIERARCHY_BUGS)
@pytest.mark.parametrize("name", ["two-level-vae", "ladder-vae", "top-down-vae"])
def test_a_wrong_kl_of_a_level_is_found(name, bug, monkeypatch):
    planted, rows = HIERARCHY_BUGS[bug]
    monkeypatch.setattr(hierarchy, "kl_divergence", planted)
    assert rows <= failed(made(name))


@pytest.mark.parametrize(
    ("planted", "rows"),
    [
        (lambda right: lambda self, log_likelihood, kls: right(self, log_likelihood, kls[1:]), {"kl", "loss", "negative_elbo"}),
        (lambda right: lambda self, log_likelihood, kls: right(self, log_likelihood, kls)._replace(loss=-log_likelihood.mean()), {"loss"}),
        (lambda right: lambda self, log_likelihood, kls: right(self, log_likelihood / 64, kls), {"reconstruction", "loss"}),
        (lambda right: lambda self, log_likelihood, kls: right(self, log_likelihood * len(log_likelihood), kls), {"reconstruction", "batch twice"}),
    ],
    ids=["the top's KL left out", "no KL in the loss", "a mean over pixels", "a sum over the batch"],
)
def test_a_wrong_sum_of_the_terms_of_a_hierarchy_is_found(planted, rows, monkeypatch):
    monkeypatch.setattr(hierarchy.HierarchyELBO, "__call__", planted(hierarchy.HierarchyELBO.__call__))
    assert rows <= failed(made("two-level-vae"))


def test_a_prior_that_knows_the_data_is_found():
    class Cheat(ta.models.TwoLevelVAE):
        seen = None

        def evidence(self, x):
            self.seen = x.mean(axis=-1, keepdims=True)
            return super().evidence(x)

        def prior_at(self, level, above):
            p = super().prior_at(level, above)
            if level == 0 or self.seen is None or len(self.seen) != len(above):
                return p
            seen, self.seen = self.seen, None
            return Normal(p.mean + seen, p.log_variance)

    assert failed(Cheat(64, (2, 3), (16,), rng=ta.rng(0))) == {"prior"}


def test_samples_from_n_0_i_at_every_level_are_found(monkeypatch):
    monkeypatch.setattr(hierarchy.Hierarchy, "sample", lambda self, n, noise: ta.ops.sigmoid(self.decode(noise)).data)
    for name in ("two-level-vae", "ladder-vae", "top-down-vae"):
        assert failed(made(name)) == {"generation"}


def test_importance_weights_that_forget_the_conditional_prior_are_found(monkeypatch):
    def planted(self, x, noise):
        levels, nll = self.infer(x, noise)
        log_weights = -nll
        for q, _, z in levels:
            log_weights = log_weights + self.prior.log_prob(z) - q.log_prob(z)
        return log_weights

    monkeypatch.setattr(hierarchy.Hierarchy, "log_weights", planted)
    assert failed(made("two-level-vae")) == {"log_weights"}


def test_a_posterior_whose_scale_forgets_its_prior_is_another_model_and_not_wrong(monkeypatch):
    """What q is, is the model's choice: the bound holds for every q."""
    monkeypatch.setattr(top_down_vae.ResidualPosterior, "__call__", lambda self, p, changes: Normal(*changes))
    assert not failed(made("top-down-vae"))


@pytest.mark.parametrize(
    "planted",
    [
        lambda log_weights: -log_weights.mean(),  # the mean of the logarithms: K draws of the ELBO
        lambda log_weights: np.log(log_weights.shape[-1]) - iwae.logsumexp(log_weights, axis=-1).mean(),  # over the batch
        lambda log_weights: -iwae.logsumexp(log_weights, axis=-2).mean(),  # a sum of weights
        lambda log_weights: (np.log(log_weights.shape[-2]) - iwae.logsumexp(log_weights, axis=-2)).sum(),  # over the batch
    ],
    ids=["mean of logarithms", "over the batch", "log K forgotten", "summed over the batch"],
)
def test_a_wrong_bound_of_k_draws_is_found(planted, monkeypatch):
    def wrong(self, log_likelihood, log_ratio):
        value = planted(log_likelihood - log_ratio)
        return iwae.ImportanceTerms(value, value, -log_likelihood.mean() + log_ratio.mean(), -log_likelihood.mean(), log_ratio.mean())

    monkeypatch.setattr(iwae.ImportanceBound, "__call__", wrong)
    assert "bound of K = 5" in failed(made("iwae"))


def test_a_code_that_is_not_the_nearest_is_found(monkeypatch):
    right = codebook.Codebook.nearest
    monkeypatch.setattr(codebook.Codebook, "nearest", lambda self, z: (right(self, z) + 1) % len(self.weight))
    assert "codes" in failed(made("vq-vae"))


@pytest.mark.parametrize(
    ("planted", "rows"),
    [
        (lambda t: t._replace(negative_elbo=t.reconstruction), {"negative_elbo"}),
        (lambda t: t._replace(loss=t.loss + t.commitment), {"loss"}),
        (lambda t: t._replace(commitment=t.commitment / 4, codebook=t.codebook / 4), {"commitment", "codebook"}),
        (lambda t: t._replace(kl=t.kl / 4), {"kl"}),
    ],
    ids=["codes for nothing", "commitment twice", "mean over sites", "KL a mean over sites"],
)
def test_wrong_terms_of_a_codebook_are_found(planted, rows, monkeypatch):
    right = vq_vae.VQVAE.loss
    monkeypatch.setattr(vq_vae.VQVAE, "loss", lambda self, x: planted(right(self, x)))
    assert failed(made("vq-vae")) == rows


def test_codes_summed_over_the_batch_are_found(monkeypatch):
    right = vq_vae.VQVAE.loss
    monkeypatch.setattr(vq_vae.VQVAE, "loss", lambda self, x: (t := right(self, x))._replace(loss=t.loss + t.kl * len(x)))
    assert {"loss", "batch twice"} <= failed(made("vq-vae"))
