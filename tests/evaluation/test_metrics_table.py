"""The table of metrics: each on a model of which the number is known, what needs what, and the known errors planted."""

import dataclasses
import math

import numpy as np
import pytest

import tinyae as ta
from tinyae.cli import parser
from tinyae.cli.settings import model_for, settings_of
from tinyae.data import Dataset
from tinyae.errors import ArgumentError, one_line
from tinyae.evaluation import METRICS, measure, metrics
from tinyae.evaluation.metrics import NEEDS, applicable
from tinyae.evaluation.subject import Subject, binned


def digits(binarisation="threshold", count=600):
    """(train, test): the first digits of each split."""
    return tuple(ta.data.load("digits", split=split, binarisation=binarisation).rows(slice(0, n)) for split, n in (("train", count), ("test", 203)))


@pytest.fixture(scope="module")
def vae():
    train, _ = digits()
    model = ta.models.VAE(64, 3, (32,), activation="tanh", rng=ta.rng(0))
    ta.fit(model, train, epochs=10, batch_size=50, progress=False)
    return model


def values(found):
    return {name: number.value for name, number in found.items()}


# ---- the table


def test_every_metric_says_what_it_is_in_which_unit_and_what_it_needs():
    for name, metric in METRICS.items():
        assert set(metric.needs) <= set(NEEDS), name
        assert metric.says, name
        assert metric.unit, name
        assert metric.function.__name__ == "<lambda>" or metric.function.__doc__, name


def test_of_a_vae_on_digits_all_that_apply_are_measured_each_with_its_unit(vae):
    train, test = digits()
    found = measure(vae, train, test, rng=ta.rng(0), samples=20, examples=50)
    assert applicable(Subject(vae, train, test, ta.rng(0))) == [
        "terms", "nll", "rate-distortion", "active-units", "kl-per-dimension", "aggregate-posterior", "mse", "psnr", "ssim", "explained-variance",
        "linear-probe", "neighbours", "anomaly-auroc", "frechet",
    ]  # fmt: skip
    assert all(number.unit for number in found.values())
    assert found["nll"].value < found["negative_elbo"].value
    assert math.isclose(sum(found["kl_per_dimension"].value), found["rate"].value, rel_tol=1e-6)
    assert math.isclose(found["negative_elbo"].value, found["reconstruction"].value + found["kl"].value, rel_tol=1e-5)
    assert abs(found["distortion"].value - found["reconstruction"].value) < 0.5
    assert found["auroc_shuffled"].value > 0.9
    assert found["frechet"].value > found["frechet_of_training_images"].value > 0
    again = measure(vae, train, test, ["mse", "nll", "linear-probe"], rng=ta.rng(0), samples=20, examples=50)
    assert again == {name: found[name] for name in again}, "a number does not depend on which others are asked for"


def test_of_an_autoencoder_only_what_it_has():
    train, test = digits("grey")
    model = ta.models.Autoencoder(64, 2, (8,), rng=ta.rng(0))
    found = measure(model, train, test, ["terms", "mse"], rng=ta.rng(0))
    assert found["loss"].value == pytest.approx(64 * found["mse"].value)
    assert "nats" not in found["loss"].unit
    assert not {"nll", "active-units", "frechet", "rate-distortion", "mig", "l0", "dead-share"} & set(
        applicable(Subject(model, train, test, ta.rng(0)))
    )


# ---- means over the whole split, and no other


def is_right(mse):
    """Whether a mean squared error is that of all test images at once: 203 of them, no whole number of batches."""
    train, test = digits("grey")
    model = ta.models.Autoencoder(64, 2, (8,), rng=ta.rng(0))
    x = test.images
    each = ((model.reconstruct(x) - x).astype(np.float64) ** 2).mean(axis=1)
    value, error = mse(model, train, test)
    return math.isclose(value, each.mean(), rel_tol=1e-6) and math.isclose(error, each.std(ddof=1) / math.sqrt(203), rel_tol=1e-5)


def ours(model, train, test):
    found = measure(model, train, test, ["mse"], rng=ta.rng(0))["mse"]
    return found.value, found.standard_error


def batches_of(model, test, size=100):
    return [
        ours(model, test.rows(slice(0, 2)).binarise("grey"), test.rows(np.arange(i, min(i + size, len(test))))) for i in range(0, len(test), size)
    ]


@pytest.mark.parametrize("planted", [
    lambda model, train, test: (batches_of(model, test)[0][0] / 3, ours(model, train, test)[1]),  # returns inside the loop
    lambda model, train, test: (np.mean([v for v, _ in batches_of(model, test)[:-1]]), ours(model, train, test)[1]),  # one batch too few
    lambda model, train, test: (np.mean([v for v, _ in batches_of(model, test)]), ours(model, train, test)[1]),  # the short batch as a full one
    lambda model, train, test: ours(model, test, train.rows(slice(0, 203))),  # on training images
    lambda model, train, test: (ours(model, train, test)[0], ours(model, train, test)[1] * math.sqrt(203)),  # deviation for error of the mean
])  # fmt: skip
def test_a_planted_error_of_the_mean_is_seen(planted):
    assert is_right(ours)
    assert not is_right(planted)


def test_the_splits_of_digits_have_no_image_in_common_and_one_split_twice_is_refused(vae):
    train, test = (ta.data.load("digits", split=split) for split in ("train", "test"))
    assert not {row.tobytes() for row in train.pixels} & {row.tobytes() for row in test.pixels}
    for same in (train, train.rows(slice(0, 50))):
        with pytest.raises(ArgumentError, match="the test split is that of the training"):
            measure(vae, train, same, rng=ta.rng(0))


# ---- known codes


FACTORS = np.array([(a, b, c) for a in range(4) for b in range(5) for c in range(3)] * 40, float)


def factor_sets():
    """(train, test): rows that are their own factors."""
    order = np.random.default_rng(0).permutation(len(FACTORS))

    def of(rows, split):
        labels = np.zeros(len(rows), np.uint8)
        return Dataset("factors", split, rows.astype(np.float32), labels, (1, 3), 1, factors=rows, factor_names=("a", "b", "c"))

    return of(FACTORS[order[:1200]], "train"), of(FACTORS[order[1200:]], "test")


class Fake:
    """A model without parameters."""

    likelihood = None

    def loss(self, x):
        raise AssertionError("nobody asks for it")


class Coder(Fake):
    """A model whose code is a matrix times x."""

    def __init__(self, matrix):
        self.matrix = np.asarray(matrix, np.float32)

    def encode(self, x):
        return x @ self.matrix


def scores(matrix):
    return values(measure(Coder(matrix), *factor_sets(), ["mig", "sap", "dci"], rng=ta.rng(0)))


TURN = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]


def test_a_code_that_is_the_factors_has_full_scores_and_a_turned_one_has_not():
    perfect, turned = scores(np.diag([1.0, -2.0, 5.0])), scores(TURN)
    for name in ("mig", "sap", "disentanglement", "completeness", "informativeness"):
        assert perfect[name] == pytest.approx(1, abs=0.02), name
    for name in ("mig", "sap", "disentanglement", "completeness"):
        assert turned[name] < 0.6, name
    assert turned["informativeness"] == pytest.approx(1, abs=1e-5), "a line reads a turned code as well"


def test_axes_that_were_scrambled_are_seen(monkeypatch):
    """(J, N) reshaped where it should be transposed: every score of the perfect code falls."""
    right = Subject.codes.func
    monkeypatch.setattr(Subject, "codes", property(lambda self: np.ascontiguousarray(right(self).T).reshape(-1, 3)))
    assert scores(np.eye(3))["mig"] < 0.1


def test_factors_of_many_values_are_binned_and_kinds_are_no_numbers():
    column = np.random.default_rng(0).normal(size=1000)
    assert np.unique(binned(column), return_counts=True)[1].tolist() == [100] * 10
    train, test = (ta.data.load("shapes", split=split).rows(slice(0, 300)) for split in ("train", "test"))
    subject = Subject(Coder(np.ones((256, 2))), train, test, ta.rng(0))
    assert subject.factors(test).shape == (300, 5)
    assert subject.factors(test, numbers=True).shape == (300, 4), "the shape is a kind, not a number"
    test.factors[:, 3] = 0.5
    assert Subject(Coder(np.ones((256, 2))), train, test, ta.rng(0)).factors(test).shape == (300, 4), "a factor that does not vary is left out"


def test_a_perfect_reconstruction_has_an_infinite_psnr_without_an_error():
    train, test = digits("grey")
    found = measure(Knows(test.images), train, test, ["psnr", "mse"], rng=ta.rng(0))
    assert (found["psnr"].value, found["psnr"].standard_error, found["mse"].value) == (math.inf, None, 0.0)


def test_labels_are_read_from_codes_that_hold_them():
    train, test = digits("grey")
    for shift, expected in ((0, 1.0), (1, 0.0)):
        subject = Subject(Fake(), train, test, ta.rng(0))
        vars(subject).update(probed_codes=np.eye(10)[subject.probed.labels], codes=np.eye(10)[(test.labels + shift) % 10])
        for metric in (metrics.probe, metrics.neighbours):
            (found,) = metric(subject, ta.rng(0)).values()
            assert found == (expected, 0.0)


# ---- sparse codes, codebooks


def superposed():
    train, test = (ta.data.load("superposition", split=split).rows(slice(0, 500)) for split in ("train", "test"))
    return train, test


class Sparse(Fake):
    """A sparse code of the superposition set, made of its true dictionary; every second unit is off."""

    def __init__(self, dictionary):
        self.dictionary = dictionary

    def encode(self, x):
        code = np.maximum(x @ self.dictionary - 0.5, 0)
        code[:, ::2] = 0
        return code

    def reconstruct(self, x):
        return 0.5 * x


def test_sparse_codes_are_counted_and_known_features_found():
    train, test = superposed()
    model = Sparse(test.truth.dictionary)
    found = values(measure(model, train, test, ["l0", "dead-share", "mean-max-cosine", "explained-variance"], rng=ta.rng(0)))
    code = model.encode(test.images)
    assert found["l0"] == (code != 0).sum() / 500
    assert found["dead_share"] == (~(code != 0).any(axis=0)).mean() >= 0.5
    assert found["mean_max_cosine"] == pytest.approx(1)
    assert (found["features_found"], type(found["features_found"])) == (32, int)
    x = test.images.astype(np.float64)
    assert found["explained_variance"] == pytest.approx(1 - ((0.5 * x) ** 2).sum() / ((x - x.mean(axis=0)) ** 2).sum(), rel=1e-6)


class Quantised(Fake):
    """Two sites a row, each with one of eight codes, in blocks: over a batch fewer are in use than over all."""

    def indices(self, x):
        return x[:, :2].astype(np.int64)


def test_perplexity_is_that_of_the_whole_split_not_the_mean_over_batches():
    index = np.sort(np.arange(1600) % 8)
    rows = np.stack([index, index], axis=1).astype(np.float32)
    train, test = (Dataset("blocks", split, rows + 0.0, np.zeros(1600, np.uint8), (1, 2), 1) for split in ("train", "test"))
    found = values(measure(Quantised(), train, test, ["perplexity"], rng=ta.rng(0)))
    assert found == {"perplexity": pytest.approx(8), "codes_in_use": 8}
    batches = [len(np.unique(index[i : i + 200])) for i in range(0, 1600, 200)]
    assert np.mean(batches) == 1, "what an average over batches would give"


# ---- anomalies, new examples


class Knows(Fake):
    """A model that gives back what is one of its images, and half of anything else; its new examples are drawn from those."""

    def __init__(self, images):
        self.known, self.images = {row.tobytes() for row in np.float32(images)}, np.float32(images)

    def reconstruct(self, x):
        return np.stack([row if row.tobytes() in self.known else 0.5 * row for row in x])

    def sample(self, n, rng=None):
        return self.images[rng.permutation(len(self.images))[:n]]


def test_a_model_that_knows_the_images_finds_every_anomaly():
    train, test = digits("grey")
    found = measure(Knows(test.images), train, test, ["anomaly-auroc"], rng=ta.rng(0))
    assert found["auroc_turned"].value == found["auroc_shuffled"].value == 1.0
    nothing = measure(Knows(test.images[:0]), train, test, ["anomaly-auroc"], rng=ta.rng(0))
    assert abs(nothing["auroc_turned"].value - 0.5) < 0.1, "half of any image is an error of its size, which a turn does not change"


def test_new_examples_that_are_training_images_are_as_near_as_these():
    train, test = digits("grey")
    found = values(measure(Knows(train.images), train, test, ["frechet"], rng=ta.rng(0)))
    assert found["frechet"] < 2 * found["frechet_of_training_images"]
    noise = values(measure(Knows(np.random.default_rng(0).random((600, 64))), train, test, ["frechet"], rng=ta.rng(0)))
    assert noise["frechet"] > 10 * found["frechet"]


# ---- the whole family


@pytest.mark.parametrize("name", sorted(ta.models.MODELS))
def test_every_model_of_the_family_is_measured(name):
    settings = settings_of(parser().parse_args(["train", name]))
    splits = (ta.data.load(settings["data"], split=split, binarisation=settings["binarisation"]) for split in ("train", "test"))
    train, test = (split.rows(slice(0, 60)) for split in splits)
    model = model_for(settings, train)
    names = [one for one in applicable(Subject(model, train, test, ta.rng(0))) if one not in ("frechet", "linear-probe")]
    found = measure(model, train, test, names, rng=ta.rng(0), samples=3, examples=10)
    assert {"terms", "mse"} <= set(names)
    assert all(np.isfinite(number.value).all() for key, number in found.items() if key != "psnr"), found
    if hasattr(model, "log_weights"):
        assert {"nll", "negative_elbo"} <= set(found)
    if hasattr(model, "level_kls"):
        assert sum(found["kl_per_level"].value) == pytest.approx(found["rate"].value, rel=0.2, abs=0.2)


def test_every_backend_gives_the_same_numbers(backend, vae):
    given = {"samples": 5, "examples": 20}
    with ta.using("numpy"):
        expected = values(measure(vae, *digits(), rng=ta.rng(0), **given))
    model = ta.models.build(vae.config, ta.rng(0)).to(backend)
    model.load_state_dict(vae.state_dict())
    found = values(measure(model, *digits(), rng=ta.rng(0), **given))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-3, atol=1e-3, err_msg=name)


# ---- what is refused


@pytest.mark.parametrize(("names", "line"), [
    (["fid"], "unknown metric 'fid'. (expected: one of terms, nll"),
    (["mig"], "mig: it needs two named factors or more, and two codes. (got: vae on Dataset('digits', 'test', 203 examples of (8, 8), threshold))"),
    (["perplexity"], "perplexity: it needs a codebook."),
    (["kl-per-level"], "kl-per-level: it needs levels of latent variables."),
])  # fmt: skip
def test_what_does_not_apply_is_refused_in_one_line(vae, names, line):
    with pytest.raises(ArgumentError) as error:
        measure(vae, *digits(), names, rng=ta.rng(0))
    assert one_line(error.value).startswith(line)


def test_grey_data_have_no_nll_and_k_is_at_least_one(vae):
    with pytest.raises(ArgumentError) as error:
        measure(vae, *digits("grey"), ["nll"], rng=ta.rng(0))
    assert one_line(error.value).startswith("nll: it needs data that fit the likelihood (no grey values under a Bernoulli).")
    assert "nll" not in applicable(Subject(vae, *digits("grey"), ta.rng(0)))
    with pytest.raises(ArgumentError, match=r"samples \(K\) is out of range(.|\n)*got +0"):
        measure(vae, *digits(), ["nll"], rng=ta.rng(0), samples=0)
    with pytest.raises(ArgumentError, match="both splits have the same features"):
        measure(vae, digits()[0], ta.data.load("shapes", split="test"), rng=ta.rng(0))


def test_a_new_metric_is_one_line_of_the_table(monkeypatch, vae):
    monkeypatch.setitem(metrics.METRICS, "half", metrics.Metric(lambda s, rng: {"half": 0.5}, "share", (), "a half"))
    assert measure(vae, *digits(), ["half"], rng=ta.rng(0))["half"] == metrics.Number(0.5, "share")


def test_on_a_few_examples_what_applies_is_measured():
    """All that are said to apply do: of data sets of any size, and of factors of which one only numbers the kinds."""
    train, test = digits(count=30)
    model = ta.models.VAE(64, 2, (8,), rng=ta.rng(0))
    for few in (1, 2, 5, 20):
        found = measure(model, train, test.rows(slice(0, few)), rng=ta.rng(0), samples=5)
        assert np.isfinite(found["nll"].value)
        assert ("squared_mmd" in found) == (few >= 20)
    assert "linear_probe" not in measure(model, train.rows(slice(0, 3)), test, rng=ta.rng(0), samples=5)


def test_disentanglement_needs_factors_that_are_numbers():
    shapes = [ta.data.load("shapes", split=split).rows(slice(0, 300)) for split in ("train", "test")]
    model = ta.models.VAE(shapes[0].features, 3, (8,), rng=ta.rng(0))
    for chosen in (["shape", "scale"], ["shape"]):
        columns = [shapes[0].factor_names.index(name) for name in chosen]
        few = [dataclasses.replace(part, factors=part.factors[:, columns], factor_names=tuple(chosen)) for part in shapes]
        assert not {"dci", "sap"} & set(applicable(Subject(model, *few, ta.rng(0))))
    assert {"dci", "sap", "mig"} <= set(applicable(Subject(model, *shapes, ta.rng(0))))


def test_a_conditional_model_is_not_measured_on_an_array_without_labels():
    train, test = digits()
    model = ta.models.build({"model": "conditional-vae", "features": 64, "latent": 2, "classes": 10}, ta.rng(0))
    x = test.take(slice(0, 20), None)
    for ask in (
        lambda: ta.evaluation.log_likelihood(model, x, 5, rng=ta.rng(0)),
        lambda: ta.evaluation.evaluate(model, x, rng=ta.rng(0)),
        lambda: ta.evaluation.uses.anomaly_scores(model, x, rng=ta.rng(0)),
        lambda: measure(model, train, x, rng=ta.rng(0)),
    ):
        with pytest.raises(ArgumentError, match="a conditional model needs labels"):
            ask()
    assert np.isfinite(ta.evaluation.evaluate(model, test, rng=ta.rng(0))["loss"])
