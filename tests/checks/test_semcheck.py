"""semcheck: eight classic errors are found, right losses are not accused, and nothing is touched."""

import math
import signal

import numpy as np
import pytest
import vae_bugs
from vae_bugs import BUGS, binary_images, functions, model

import tinyae as ta
from tinyae import ops
from tinyae.checks import SemanticsError, assert_semantics, gradcheck, semcheck
from tinyae.checks.semcheck import oracle, scores
from tinyae.checks.semcheck.subject import Subject
from tinyae.errors import ArgumentError

X = binary_images()
REAL = np.random.default_rng(3).normal(size=(60, 64))


def failed(result):
    """The names of the rows that failed."""
    return {row.check for row in result.failures}


def row(result, check):
    """The row of a check."""
    return next(row for row in result if row.check == check)


# ---- the eight


@pytest.mark.parametrize("bug", BUGS)
def test_every_classic_error_passes_the_gradient_check_and_fails_here(bug):
    small = model(bug, features=6, latent=3, hidden=(5,), activation="tanh").astype("float64")
    x, noise = binary_images(4, 6).astype(float), ta.rng(2).normal((4, 3), np.float64)
    assert gradcheck(lambda: small.loss(x, noise=noise).loss, small).worst < 1e-6
    assert not semcheck(model(bug), X).passed
    for seed in range(3):
        assert not semcheck(x=X, seed=seed, **functions(bug, seed=seed)).passed


@pytest.mark.parametrize("bug", sorted(BUGS.keys() - {"double sigmoid"}))
def test_with_a_gaussian_likelihood_they_are_found_too(bug):
    assert not semcheck(model(bug, likelihood="gaussian", latent=3), REAL).passed
    assert not semcheck(x=REAL, **functions(bug, likelihood="gaussian", variance=0.3)).passed


@pytest.mark.parametrize("bug", ["std = exp(log_variance)", "KL without 1/2", "no noise in training", "one noise for the batch"])
def test_a_loss_that_draws_its_own_noise_shows_them_too(bug):
    assert not semcheck(x=X, **functions(bug, own_noise=True)).passed


def test_one_noise_for_the_batch_is_found_by_the_spread_alone_where_there_are_only_functions():
    assert failed(semcheck(x=X, **functions("one noise for the batch"))) == {"spread"}
    assert {"spread", "spread, its own noise", "sampler: independence"} <= failed(semcheck(model("one noise for the batch"), X))


@pytest.mark.parametrize(("bug", "words"), [
    ("KL mean over latents", "1 reconstruction + 1/2 KL"),
    ("KL without 1/2", "1 reconstruction + 2 KL"),
    ("reconstruction mean over pixels", "1/64 reconstruction + 1 KL"),
    ("KL sign flipped", "1 reconstruction - 1 KL"),
    ("std = exp(log_variance)", "1 reconstruction + 1 KL, with exp(log_variance) for the standard deviation"),
    ({"deviation": ops.exp, **vae_bugs.wrong_kl(3)}, "1 reconstruction + 3 KL, with exp(log_variance)"),
    ("no noise in training", "look at the sampler"),
])  # fmt: skip
def test_the_meaning_says_what_a_wrong_loss_is(bug, words):
    assert words in row(semcheck(x=X, **functions(bug)), "loss").meaning


@pytest.mark.parametrize("lines", [vae_bugs.wrong_kl(1.01), vae_bugs.wrong_kl(0.99), vae_bugs.wrong_deviation(1.02), vae_bugs.wrong_deviation(0.98)])
def test_small_errors_are_found(lines):
    assert "loss" in failed(semcheck(x=X, **functions(lines)))


# ---- the right ones


@pytest.mark.parametrize("settings", [
    {}, {"likelihood": "gaussian"}, {"likelihood": "gaussian", "variance": 0.01}, {"latent": 1},
    {"latent": 20, "hidden": (9, 7)}, {"activation": "softplus"},
])  # fmt: skip
def test_a_right_model_is_not_accused(settings):
    data = REAL if "likelihood" in settings else X
    result = semcheck(ta.models.VAE(64, **settings, rng=ta.rng(0)), data)
    assert result.passed, result
    assert not result.where("not tested")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"own_noise": True},
        {"own_noise": True, "parts": True},
        {"parts": True},
        {"likelihood": "gaussian", "variance": 0.3},
        {"features": 5, "latent": 1},
    ],
)
def test_right_functions_are_not_accused(settings):
    data = REAL if "likelihood" in settings else binary_images(90, settings.get("features", 64))
    for seed in range(1 if "own_noise" in settings else 3):
        assert semcheck(x=data, seed=seed, **functions(seed=seed, **settings)).passed


def test_a_right_loss_that_uses_the_noise_in_its_own_way_is_not_accused():
    """Its rows in another order, with the other sign, with the KL from the sample: the mean is the negative ELBO all the same."""
    given = functions()

    def loss(x, noise):
        (mean, log_variance), noise = given["encode"](x), -noise[::-1]
        z = mean + np.exp(log_variance / 2) * noise
        kl = oracle.log_ratio(log_variance, z, noise)
        return float(kl.mean() - oracle.Bernoulli().log_prob(given["decode"](z), x).mean())

    for seed in range(5):
        assert semcheck(x=X, seed=seed, **given | {"loss": loss}).passed


@pytest.mark.parametrize("given", [True, False])
def test_a_model_that_takes_the_kl_from_its_sample_is_not_accused(given):
    class Sampled(ta.models.VAE):
        def loss(self, x, noise=None, rng=None):
            noise = self.draw_noise(len(x), noise, rng)
            q = self.encode(x)
            z = q.rsample(noise)
            reconstruction = -self.likelihood(self.decode(z)).log_prob(x).mean()
            kl = (q.log_prob(z) + (z**2 / 2 + math.log(2 * math.pi) / 2).sum(-1)).mean()
            return {"loss": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}

    class Drawing(Sampled):
        def loss(self, x, rng=None):
            return super().loss(x, rng=rng)

    for seed in range(1):
        result = semcheck((Sampled if given else Drawing)(64, 2, (64,), rng=ta.rng(seed)), X, seed=seed)
        assert result.passed, result
        assert row(result, "KL").verdict == ("ok" if given else "not tested")


def test_a_trained_model_is_not_accused():
    trained = ta.models.VAE(64, 2, (32,), rng=ta.rng(0))
    digits = ta.data.load("digits", binarisation="threshold")
    ta.fit(trained, digits, epochs=3, progress=False)
    assert_semantics(trained, next(iter(digits.batches(150, rng=ta.rng(1)))))


def test_extreme_weights_and_few_examples_are_no_error():
    made = model()
    for parameter in made.parameters():
        parameter.assign(parameter.data * 30)
    assert semcheck(made, X).passed
    assert semcheck(model(), X[:2]).passed
    given = functions()
    still = given | {"encode": lambda x: (given["encode"](x)[0], given["encode"](x)[1] - 80)}
    still["loss"] = lambda x, noise: vae_bugs.functions(parts=True)["loss"](x, noise, still["encode"])
    assert semcheck(x=X, **still).passed


def test_weights_that_are_not_finite_fail():
    made = model()
    for parameter in made.parameters():
        parameter.assign(np.nan)
    assert "loss" in failed(semcheck(made, X))


def test_it_runs_where_the_weights_are(backend):
    assert semcheck(ta.models.VAE(12, 2, (9,), rng=ta.rng(0)).to(backend), binary_images(40, 12)).passed


def test_single_precision_is_tested_as_such():
    def single(function):
        return lambda *arrays: tuple(np.float32(a) for a in found) if isinstance(found := function(*arrays), tuple) else np.float32(found)

    def narrow(bug=None):
        return {name: single(part) if name in ("encode", "decode") else part for name, part in functions(bug).items()}

    def loss(x, noise, bug=None):
        return np.float32(functions(bug)["loss"](x, noise))

    assert semcheck(x=X, **narrow() | {"loss": loss}).passed
    assert "loss" in failed(semcheck(x=X, **narrow() | {"loss": lambda x, noise: loss(x, noise, vae_bugs.wrong_kl(1.01))}))


# ---- other errors of the catalogue


def changed(**methods):
    """A right model with other methods."""
    return type("Changed", (vae_bugs.Patched,), methods)(64, 2, (64,), rng=ta.rng(0))


def test_a_decoder_that_ends_in_a_sigmoid_gives_no_logits():
    assert "logits" in failed(semcheck(changed(decode=lambda self, z: ops.sigmoid(self.decoder(z))), X))


def test_a_reconstruction_with_noise_and_one_from_another_place_are_found():
    generator = np.random.default_rng(0)
    noisy = changed(reconstruct=lambda self, x: ops.sigmoid(self.decode(self.encode(x).mean + generator.normal(size=(len(x), 2)))).data)
    assert "another each time" in row(semcheck(noisy, X), "reconstruct").meaning
    shifted = changed(reconstruct=lambda self, x: ops.sigmoid(self.decode(self.encode(x).mean + self.encode(x).standard_deviation)).data)
    assert failed(semcheck(shifted, X)) == {"reconstruct"}


def test_samples_that_are_not_from_the_prior_are_found():
    narrow = changed(sample=lambda self, n, rng=None, noise=None: ops.sigmoid(self.decode(0.5 * self.draw_noise(n, noise, rng))).data)
    assert failed(semcheck(narrow, X)) == {"generation", "own samples"}


def test_a_uniform_noise_with_the_right_moments_is_found():
    uniform = changed(draw_noise=lambda self, n, noise, rng: noise if rng is None else (rng.uniform((n, 2), dtype=np.float64) - 0.5) * math.sqrt(12))
    result = semcheck(uniform, X)
    assert "sampler: shape" in failed(result)
    assert not {"sampler: mean", "sampler: variance"} & failed(result)
    given = functions(own_noise=True)
    generator = np.random.default_rng(0)
    sample = lambda mean, log_variance, noise: mean + np.exp(log_variance / 2) * generator.uniform(-math.sqrt(3), math.sqrt(3), mean.shape)  # noqa: E731
    assert failed(semcheck(x=X, **given, sample=sample)) == {"sampler: shape"}


@pytest.mark.parametrize(("sample", "check"), [
    (lambda mean, log_variance, noise: mean + np.exp(log_variance / 2) * noise[:, :1], "independence"),
    (lambda mean, log_variance, noise: mean + np.exp(log_variance / 2) * np.repeat(noise[::2], 2, axis=0), "independence"),
    (lambda mean, log_variance, noise: mean + 1.02 * np.exp(log_variance / 2) * noise, "variance"),
    (lambda mean, log_variance, noise: mean + np.exp(log_variance / 2) * (noise + 0.1), "mean"),
])  # fmt: skip
def test_samplers_are_judged_by_their_draws(sample, check):
    right = lambda mean, log_variance, noise: mean + np.exp(log_variance / 2) * noise  # noqa: E731
    assert semcheck(x=X, **functions(), sample=right).passed
    assert f"sampler: {check}" in failed(semcheck(x=X, **functions(), sample=sample))


def right_kl(mean, log_variance):
    return 0.5 * (mean**2 + np.exp(log_variance) - log_variance - 1).sum(axis=1)


@pytest.mark.parametrize(("kl", "checks"), [
    (lambda m, v: 1.001 * right_kl(m, v), {"KL"}),
    (lambda m, v: right_kl(m, v) + 0.01, {"KL", "KL at the prior"}),
    (lambda m, v: right_kl(m[:, :1], v[:, :1]), {"KL", "KL elsewhere"}),
    (lambda m, v: 0.5 * (m**2 + np.exp(v) ** 2 - 2 * v - 1).sum(axis=1), {"KL"}),
])  # fmt: skip
def test_closed_divergences_are_judged_by_samples_and_at_the_prior(kl, checks):
    assert semcheck(x=X, **functions(), kl=right_kl).passed
    assert failed(semcheck(x=X, **functions(), kl=kl)) == checks


def bernoulli(logits, x):
    return (x * logits - np.logaddexp(0, logits)).sum(axis=-1)


def normal(mean, x):
    return -0.5 * ((x - mean) ** 2 / 0.04 + math.log(2 * math.pi * 0.04)).sum(axis=-1)


@pytest.mark.parametrize(("log_prob", "data", "right"), [
    (bernoulli, X, True),
    (lambda logits, x: bernoulli(logits, x) / 3, X, False),
    (lambda logits, x: -((x - logits) ** 2).sum(axis=-1), X, False),
    (normal, REAL, True),
    (lambda mean, x: -((x - mean) ** 2).sum(axis=-1), REAL, False),
    (lambda mean, x: normal(mean, x) / 2, REAL, False),
])  # fmt: skip
def test_a_given_likelihood_must_be_a_probability(log_prob, data, right):
    result = semcheck(x=data, likelihood=log_prob)
    assert result.passed == right
    assert failed(result) == (set() if right else {"likelihood"})


def test_a_models_likelihood_must_be_a_probability():
    class Mean(ta.models.LIKELIHOODS["bernoulli"]):
        def __call__(self, decoded):
            found = super().__call__(decoded)
            whole = found.log_prob
            found.log_prob = lambda x: whole(x) / x.shape[-1]
            return found

    wrong = changed()
    wrong.likelihood = Mean()
    assert {"likelihood", "loss", "pixels twice", "constant pixel"} <= failed(semcheck(wrong, X))


def test_a_missing_constant_is_told_as_one():
    given = functions(likelihood="gaussian", variance=0.3)
    constant = 32 * math.log(2 * math.pi * 0.3)
    result = semcheck(x=REAL, **given | {"loss": lambda x, noise: given["loss"](x, noise) - constant})
    assert f"{-constant:.4f} nats, a constant" in row(result, "loss").meaning


@pytest.mark.parametrize("own_noise", [False, True])
def test_the_spread_of_a_wrong_loss_is_judged_only_where_there_is_none(own_noise):
    check = "spread, its own noise" if own_noise else "spread"
    wrong = functions("reconstruction mean over pixels", own_noise=own_noise)
    assert row(semcheck(x=X, **wrong), check).meaning == "not comparable while the loss is wrong"
    assert "is the noise used" in row(semcheck(x=X, **functions("no noise in training", own_noise=own_noise)), check).meaning


def test_a_loss_that_grows_with_the_batch_is_found():
    for own in (False, True):
        given = functions(own_noise=own)
        summed = (lambda x, f=given["loss"]: len(x) * f(x)) if own else (lambda x, noise, f=given["loss"]: len(x) * f(x, noise))
        assert "batch twice" in failed(semcheck(x=X, **given | {"loss": summed}))


def test_a_column_against_a_row_is_found():
    """(N, 1) + (N,) is (N, N): the mean of it hides that the examples were mixed, a factor does not."""
    given = functions()

    def loss(x, noise):
        mean, log_variance = given["encode"](x)
        return float((bernoulli(given["decode"](mean + np.exp(log_variance / 2) * noise), x)[:, None] * -right_kl(mean, log_variance)).mean())

    assert "loss" in failed(semcheck(x=X, **given | {"loss": loss}))


def test_grey_and_impossible_data_are_told():
    grey = row(semcheck(ta.models.VAE(64, rng=ta.rng(0)), np.full((20, 64), 0.5, np.float32)), "grey data")
    assert grey.verdict == "warning"
    assert f"{64 * math.log(2):.3g} nats" in grey.meaning
    assert "data" in failed(semcheck(x=REAL, **functions()))


def test_what_is_seen_but_no_error_is_a_warning():
    result = semcheck(
        x=X, loss=None, likelihood="bernoulli", encode=lambda x: (0 * x[:, :2], 0 * x[:, :2] + 0.01), decode=lambda z: np.ones((len(z), 64)) * 3
    )
    assert {row.check for row in result.where("warning")} == {"posterior", "log-variances", "logits"}


def test_the_weight_of_the_kl_is_compared_with_the_one_declared():
    class Beta(vae_bugs.Patched):
        def loss(self, x, noise=None, rng=None):
            terms = super().loss(x, noise, rng)
            return terms._replace(loss=terms.reconstruction + self.used * terms.kl)

    made = Beta(64, 2, (64,), rng=ta.rng(0))
    made.used = made.objective.beta = 4.0
    assert semcheck(made, X).passed
    made.used = 1.0
    assert "loss" in failed(semcheck(made, X))
    assert semcheck(made, X, beta=1).passed
    made.used = made.beta = 4.0  # the model's own is the one that its loss uses
    made.objective.beta = 1.0
    assert semcheck(made, X).passed


@pytest.mark.parametrize("settings", [{"capacity": 3.0}, {"free_bits": 0.1}])
def test_what_is_minimised_without_being_a_weighted_sum_is_refused_not_accused(settings):
    model = ta.models.VAE(64, 2, (64,), rng=ta.rng(0))
    model.objective = ta.models.ELBO(**settings)
    with pytest.raises(ArgumentError, match="capacity or free bits"):
        semcheck(model, X)


# ---- partial information


def test_a_loss_may_ask_for_encode_and_decode():
    given = functions(parts=True)
    for loss in (
        lambda x, noise, encode, decode: given["loss"](x, noise, encode, decode),
        lambda x, decode, encode, beta=1.0, noise=None: beta * given["loss"](x, noise, encode, decode),
    ):
        result = semcheck(x=X, **given | {"loss": loss})
        assert result.passed, result
        assert row(result, "dead latent").verdict == "ok"
    with pytest.raises(ArgumentError, match=r"loss\(x, noise\) or loss\(x\)(?s:.*)got       loss\(x, noise, encode, decode\)"):
        semcheck(x=X, loss=lambda x, noise, encode, decode: 0.0, encode=given["encode"])
    with pytest.raises(ArgumentError, match=r"got       loss\(x, noise, epoch\)"):
        semcheck(x=X, loss=lambda x, noise, epoch: 0.0)


def test_a_sampler_of_images_is_tested_where_it_is_given():
    given = functions()
    mean = lambda z: 1 / (1 + np.exp(-given["decode"](z)))  # noqa: E731
    assert row(semcheck(x=X, **given, generate=mean), "generation").verdict == "ok"
    assert failed(semcheck(x=X, **given, generate=lambda noise: mean(0.9 * noise))) == {"generation"}
    assert row(semcheck(x=X, **given), "generation").meaning == "not given: generate."


def test_what_is_not_given_is_not_tested():
    result = semcheck(x=X, kl=right_kl, encode=functions()["encode"])
    assert result.passed
    assert {"loss", "spread", "sampler", "likelihood", "reconstruct", "batch twice"} <= {row.check for row in result.where("not tested")}
    assert "not given: decode, likelihood" in row(result, "loss").meaning
    assert not semcheck(x=REAL).passed


def test_a_loss_that_takes_other_parts_is_tested_as_far_as_a_model():
    result = semcheck(x=X, **functions(parts=True))
    assert {"pixels twice", "dead latent", "constant pixel", "sampler: variance"} <= {row.check for row in result.where("ok")}
    assert "dead latent" in failed(semcheck(x=X, **functions("KL mean over latents", parts=True)))
    assert {"pixels twice", "constant pixel"} <= failed(semcheck(x=X, **functions("reconstruction mean over pixels", parts=True)))


def test_a_loss_that_does_not_call_encode_cannot_be_given_parts():
    class Direct(vae_bugs.Patched):
        def encode(self, x):
            return super().encode(x)

        def loss(self, x, noise=None, rng=None):
            return vae_bugs.Patched.loss(self.original, x, noise, rng)

    made = Direct(64, 2, (64,), rng=ta.rng(0))
    made.original = vae_bugs.Patched(64, 2, (64,), rng=ta.rng(0))
    made.original.encoder, made.original.decoder = made.encoder, made.decoder
    result = semcheck(made, X)
    assert result.passed
    assert "does not call self.encode" in row(result, "dead latent").meaning


def test_a_loss_that_ignores_the_noise_it_is_given_is_compared_as_one_with_its_own():
    given, generator = functions(), np.random.default_rng(0)
    result = semcheck(x=X, **given | {"loss": lambda x, noise: given["loss"](x, generator.standard_normal(noise.shape))})
    assert result.passed
    assert row(result, "noise").verdict == "warning"
    assert row(result, "loss, its own noise").verdict == "ok"


def test_a_loss_that_is_not_finite_fails():
    assert "loss" in failed(semcheck(x=X, **functions() | {"loss": lambda x, noise: math.nan}))


# ---- the model is left alone, the result is the same, the text is readable


def fingerprint(made):
    """All that must stay: arrays by identity and bytes, gradients, flags, attributes."""
    parameters = made.parameters()
    return [
        (id(p.data), p.data.tobytes(), p.dtype, p.grad if p.grad is None else p.grad.tobytes(), p.requires_grad, p.version[0]) for p in parameters
    ], dict(vars(made))


def test_the_model_is_left_as_it_was():
    made = model()
    made.loss(X, rng=ta.rng(0)).loss.backward()
    made.parameters()[0].requires_grad = False
    before = fingerprint(made)
    semcheck(made, X)
    assert fingerprint(made) == before


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("calls", [1, 40, 700])
def test_the_model_is_left_as_it_was_after_an_error(error, calls):
    made, left = model(), iter(range(calls))
    right = made.loss

    def interrupted(x, noise=None, rng=None):
        if next(left, None) is None:
            raise error
        return right(x, noise, rng)

    made.loss = interrupted
    before = fingerprint(made)
    with pytest.raises(error):
        semcheck(made, X)
    assert fingerprint(made) == before


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers that interrupt")
def test_an_interruption_at_any_moment_leaves_the_weights():
    parameters = [ta.Tensor(np.zeros(2), requires_grad=True) for _ in range(20)]
    own, others = [p.data for p in parameters], [np.ones(2)] * 20
    subject = Subject("x", parameters=parameters)

    def interrupt(*_):
        raise KeyboardInterrupt

    def work_for(seconds):
        signal.setitimer(signal.ITIMER_REAL, seconds)
        while True:
            subject.with_weights(others, lambda: None)

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for moment in np.random.default_rng(0).uniform(1e-5, 3e-4, 400):
            with pytest.raises(KeyboardInterrupt):
                work_for(moment)
            assert all(p.data is array for p, array in zip(parameters, own, strict=True))
    finally:
        signal.signal(signal.SIGALRM, before)


def test_the_same_seed_gives_the_same_table():
    assert str(semcheck(model(), X, seed=3)) == str(semcheck(model(), X, seed=3))
    assert str(semcheck(model(), X, seed=3)) != str(semcheck(model(), X, seed=4))


def test_the_table_is_text_and_the_assertion_shows_what_failed():
    text = str(semcheck(model(), X))
    assert text.startswith("semcheck of Patched: ")
    assert max(map(len, text.splitlines())) <= 150
    with pytest.raises(SemanticsError, match="1 reconstruction \\+ 2 KL") as caught:
        assert_semantics(model("KL without 1/2"), X)
    assert isinstance(caught.value, AssertionError)
    assert "spread" not in str(caught.value)


@pytest.mark.parametrize(("call", "words"), [
    (lambda: semcheck(object(), X), "object has no loss"),
    (lambda: semcheck(model()), "data x are missing"),
    (lambda: semcheck(model(), X[0]), "two examples"),
    (lambda: semcheck(model(), X * np.nan), "all finite"),
    (lambda: semcheck(model(), X, kl=right_kl), "not both"),
    (lambda: semcheck(x=X, encoder=abs), "knows no encoder(?s:.*)expected  loss, encode, decode, likelihood, variance, sample, kl, reconstruct, gen"),
    (lambda: semcheck(x=X, likelihood="poisson"), "'poisson'"),
    (lambda: semcheck(x=X, likelihood="gaussian"), "variance=None"),
    (lambda: semcheck(x=X, **functions() | {"loss": lambda x, noise: x}), "one number"),
])  # fmt: skip
def test_what_cannot_be_tested_is_a_clear_error(call, words):
    with pytest.raises(ArgumentError, match=words):
        call()


# ---- autoencoders


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_autoencoder_is_tested_for_being_one(dtype):
    table = semcheck(ta.models.Autoencoder(64, 3, (8,), rng=ta.rng(0)).astype(dtype), X)
    assert table.passed
    assert [row.check for row in table] == ["reconstruct", "loss", "mse", "batch twice", "halves apart"]


@pytest.mark.parametrize(("loss", "failures"), [
    (lambda self, x: ops.square(self.decode(self.encode(x)) - x).mean(), {"loss"}),
    (lambda self, x: ops.square(self.decode(self.encode(x)) - x).sum(), {"loss", "batch twice", "halves apart"}),
    (lambda self, x: ops.square(self.decode(self.encode(x) + 0.01) - x).sum(axis=-1).mean(), {"loss"}),
    (lambda self, x: ops.square(self.decode(self.encode(x)) - x[::-1]).sum(axis=-1).mean(), {"loss", "halves apart"}),
])  # fmt: skip
def test_an_autoencoder_with_another_loss_fails(loss, failures):
    kind = type("Wrong", (ta.models.Autoencoder,), {"loss": loss})
    table = semcheck(kind(64, 3, (8,), rng=ta.rng(0)).astype("float64"), X)
    assert {row.check for row in table.failures} == failures


def test_an_autoencoder_that_shows_other_images_than_it_is_trained_on_fails():
    kind = type("Wrong", (ta.models.Autoencoder,), {"reconstruct": lambda self, x: 0.99 * self.decode(self.encode(x)).data})
    assert {row.check for row in semcheck(kind(64, 3, (8,), rng=ta.rng(0)), X).failures} == {"reconstruct", "loss", "mse"}


# ---- the scores


def test_balanced_draws_have_the_moments_exactly():
    noise = oracle.balanced_noise((5, 3), np.random.default_rng(0))
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=1e-15)
    np.testing.assert_allclose((noise**2).mean(axis=0), 1, rtol=1e-14)


def test_scores_are_normal_scores():
    stats = pytest.importorskip("scipy.stats")
    for degrees in (10, 39, 200):
        for tail in (1e-2, 1e-6, 1e-9):
            z = stats.norm.isf(tail)
            assert abs(scores.of_t(stats.t.isf(tail, degrees), degrees) - z) < 0.1
            assert abs(scores.of_chi_square(stats.chi2.isf(tail, degrees), degrees) - z) < 0.2
    assert math.isclose(scores.limit(7), stats.norm.isf(1e-6 / (2 * scores.CHECKS * 7)), rel_tol=1e-9)


def test_the_oracles_divergence_is_the_closed_one():
    mean, log_variance = np.array([[0.7]]), np.array([[-1.2]])
    noise = oracle.balanced_noise((1, 1), np.random.default_rng(0))
    assert round(float(oracle.log_ratio(log_variance, oracle.draw(mean, log_variance, noise), noise).mean()), 4) == 0.4956
