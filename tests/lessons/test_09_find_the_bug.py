"""Lesson 9: its bugs are those of the checkers' tests, its formulas hold, and its checks fail when a line is broken."""

import importlib.util
import pathlib

import numpy as np
import pytest

import tinyae as ta

NUMBER = 9
TRAINING = "cases = {bug: symptoms"
SPEC = importlib.util.spec_from_file_location("vae_bugs_of_lesson_09", pathlib.Path(__file__).parent.parent / "checks" / "vae_bugs.py")
SPEC.loader.exec_module(vae_bugs := importlib.util.module_from_spec(SPEC))
NAMES = {
    "right": None,
    "deviation": "std = exp(log_variance)",
    "latent_mean": "KL mean over latents",
    "no_half": "KL without 1/2",
    "pixel_mean": "reconstruction mean over pixels",
    "sign": "KL sign flipped",
    "no_noise": "no noise in training",
    "double_sigmoid": "double sigmoid",
    "shared_noise": "one noise for the batch",
}


def test_there_are_all_the_bugs_that_the_checkers_are_tested_with(lesson):
    assert lesson["BUGS"] == list(NAMES)
    assert {name for name in NAMES.values() if name} == vae_bugs.BUGS.keys()


@pytest.mark.parametrize("bug", NAMES)
def test_each_loss_is_wrong_in_the_line_it_is_named_after_and_nowhere_else(lesson, bug):
    mine = lesson["make"](bug, 2.0)
    theirs = vae_bugs.model(NAMES[bug], latent=8, hidden=(64,), activation="tanh").astype(np.float64)
    theirs.load_state_dict(mine.state_dict())
    x, e = lesson["x"][:20], np.random.default_rng(0).normal(size=(20, 8))
    assert mine.loss(x, noise=e).loss.item() == pytest.approx(theirs.loss(x, noise=e).loss.item(), rel=1e-12)


def test_the_account_is_that_of_the_library(lesson):
    model = lesson["make"]("no_half", 2.0)
    right = ta.models.VAE(64, 8, (64,), activation="tanh", rng=ta.rng(0)).astype(np.float64)
    right.load_state_dict(model.state_dict())
    x = lesson["x"][:50]
    own, true, apart, kl = lesson["account"](model, x, draws=200)
    q = right.encode(x)
    assert kl.sum(axis=1) == pytest.approx(ta.ops.kl_standard_normal(q.mean.data, q.log_variance.data), rel=1e-10)
    losses = np.array([right.loss(x, noise=e).loss.item() for e in np.random.default_rng(0).normal(size=(200, 50, 8))])
    assert abs(losses.mean() - true.mean()) < 5 * np.hypot(losses.std(), true.std()) / np.sqrt(200)
    assert own.mean() - true.mean() == pytest.approx(kl.sum(axis=1).mean(), rel=0.05)
    assert apart > 20


def test_no_logit_brings_a_double_sigmoid_below_the_floor(lesson):
    x, logits = lesson["x"][:10], np.linspace(-60, 60, 401)
    nats = np.array([ta.ops.bce_with_logits(ta.ops.sigmoid(np.full((1, 1), a)), np.array([[0.0], [1.0]])) for a in logits])
    best = nats.min(axis=0)
    floor = (x * best[1] + (1 - x) * best[0]).sum(axis=1).mean()
    stated = (x * np.log1p(np.exp(-1)) + (1 - x) * np.log(2)).sum(axis=1).mean()
    assert floor == pytest.approx(stated, rel=1e-12)


@pytest.mark.parametrize(("bug", "share", "target"), [("right", 1.0, 1.0), ("deviation", 0.5, 0.5)])
def test_the_slope_of_the_loss_along_the_hidden_scale_is_that_of_step_7(lesson, bug, share, target):
    """Scale the codes by c, undo it in the decoder's first weights: the loss moves by J times (average of m^2 + share v, less target)."""
    x, e, model = lesson["x"][:20], np.random.default_rng(0).normal(size=(20, 8)), lesson["make"](bug, 2.0)
    with ta.no_grad():
        q = model.encode(x)
        m, v = q.mean.data, np.exp(q.log_variance.data)
    last, first = model.encoder[-1], model.decoder[0]
    weight, bias, into = last.weight.data.copy(), last.bias.data.copy(), first.weight.data.copy()

    def loss(c):
        moved = (2 if bug == "right" else 1) * np.log(c)
        last.weight.assign(np.concatenate([c * weight[:8], weight[8:]]))
        last.bias.assign(np.concatenate([c * bias[:8], bias[8:] + moved]))
        first.weight.assign(into / c)
        return model.loss(x, noise=e).loss.item()

    slope = (loss(1 + 1e-5) - loss(1 - 1e-5)) / 2e-5
    assert slope == pytest.approx(8 * ((m**2 + share * v).mean() - target), rel=1e-6)


@pytest.mark.parametrize(
    ("line", "instead", "check"),
    [
        ('"no_half": 2,', '"no_half": 1,', "start.no_half"),
        ("ops.exp(q.log_variance if bug", "ops.exp(q.log_variance / 2 if bug", "start.deviation"),
        ("ops.sigmoid(self.decode(z)) if bug", "self.decode(z) if bug", "start.double_sigmoid"),
        ("kl = (m**2 + np.exp(log_v) - log_v - 1) / 2", "kl = m**2 + np.exp(log_v) - log_v - 1", "start.right"),
        ("model.decode(m + np.exp(log_v / 2) * e)", "model.decode(m + np.exp(log_v) * e)", "start.right"),
        ("gy[:, :1] * m / 3", "gy[:, :1] * m", "gradients.latent_mean_mean_engine"),
        ("(p.grad * p.data).sum()", "(p.grad * p.data).mean()", "slope.right"),
    ],
)
def test_a_wrong_line_is_found(assert_found, line, instead, check):
    assert_found((line, instead), check=check, before=TRAINING)


def test_the_tree_reads_symptoms_and_not_names(lesson):
    """What it says depends on what was measured alone: two cases that look healthy differ in their jumps only."""
    cases, name_of = lesson["cases"], lesson["name_of"]
    assert [name_of(cases[bug]) for bug in NAMES] == list(NAMES)
    assert name_of(cases["right"] | {"jumps": 12.0}) == "shared_noise"
    assert name_of(cases["shared_noise"] | {"jumps": 1.0}) == "right"
    assert sorted(lesson["letters"].values()) == sorted(NAMES)


def test_a_bug_that_the_tree_does_not_know_has_no_name(lesson):
    """A KL of half its weight: its report is too low by half the KL."""
    case = lesson["cases"]["latent_mean"]
    assert lesson["name_of"](case | {"own": case["true"] - case["kl"] / 2}) == "none of these"


def test_a_double_sigmoid_without_a_useful_z_costs_what_is_predicted(lesson):
    """The best constant logit of each pixel, found by search, on the images whose frequencies it was found for."""
    x = lesson["x_train"]
    wrong_logit = 1 / (1 + np.exp(-np.linspace(-40, 40, 8001)))
    on, off, frequency = np.logaddexp(0, -wrong_logit), np.logaddexp(0, wrong_logit), x.mean(axis=0)
    searched = (frequency[:, None] * on + (1 - frequency[:, None]) * off).min(axis=1).sum()
    p = np.clip(frequency, lesson["least"], lesson["most"])
    assert searched == pytest.approx(-(frequency * np.log(p) + (1 - frequency) * np.log(1 - p)).sum(), rel=1e-6)
    row = lesson["lesson"].rows["double_sigmoid.own"]
    assert row["value"] == pytest.approx(row["predicted"], abs=0.3)


def test_what_the_lesson_says_of_its_own_numbers(lesson, measured):
    assert measured["double_sigmoid.true"] > 2 * measured["right.true"]
    assert measured["shared_noise.true"] > measured["right.true"] + 0.8
    assert measured["double_sigmoid.own"] > lesson["floor"]
    assert measured["pixel_mean.own"] == pytest.approx(measured["pixel_mean.true"] / 64, rel=1e-2)
    assert abs(measured["right.moment"] - 1) < 0.12
    assert abs(measured["deviation.moment"] - 0.5) < 0.17
    assert lesson["cases"]["latent_mean"]["m2+v"] > 1.3
    assert lesson["cases"]["right"]["nearest"] < 8
