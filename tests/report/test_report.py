"""The page of a run: complete, self-contained, and honest about what its numbers are."""

import base64
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import tinyae as ta
from tinyae.report import render, write_report
from tinyae.report.derivations import LIKELIHOODS, derivation, derivations

COMMAND = "tinyae train vae --out '<script>alert(1)</script>&x'"


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def all(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


def report(folder, model="vae", binarisation="threshold", rows=True, config=(), metrics=(), more=({},), data=None, **settings):
    """A report of an untrained model, written to `folder` (None: only the page, without pictures).  Returns (page, its parsed form).

    more: columns of the history, a dict for each epoch.  data: train and test, if not the digits.
    """
    train, test = data or (ta.data.load("digits", split=split, binarisation=binarisation) for split in ("train", "test"))
    built = ta.models.build({"model": model, "features": test.features, "latent": 2, "hidden": (16,)} | settings, ta.rng(0))
    terms = {"loss": 7.5, "mse": 0.125} if model == "autoencoder" else {"loss": 20.0, "negative_elbo": 20.0, "reconstruction": 17.0, "kl": 3.0}
    columns = {f"{split}_{k}": v + (split == "train") for split in ("train", "test") for k, v in terms.items()}
    history = [{"epoch": epoch, "seconds": 0.1} | columns | row for epoch, row in enumerate(more, 1)]
    content = {"model": built, "rows": history if rows else [], "train": train, "test": test}
    content |= {
        "config": {"command": COMMAND, "model": model, "hidden": (16, 8), "epochs": 5, "versions": {"numpy": "2.x"}} | dict(config),
        "metrics": {"test": terms, "units": "nats per example", "seed": 0, "backend": "numpy", "versions": {"numpy": "2.x"}} | dict(metrics),
    }
    source = render(**content, figures=[]) if folder is None else write_report(folder / "run", **content).read_text(encoding="utf-8")
    return source, Page(source)


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vae")
    return *report(folder), folder / "run"


def test_the_page_needs_no_network_and_no_script(vae):
    source, page, _ = vae
    assert not re.search(r"https?://|\burl\(|@import", source)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        assert attributes.get("href") in (None, "microscope.html")
        assert attributes.get("src", "data:").startswith("data:")
        assert not [name for name in attributes if name.startswith("on")]
    (policy,) = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv")]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_the_page_says_its_language_and_fits_small_screens(vae):
    _, page, _ = vae
    assert page.all("html") == [{"lang": "en"}]
    assert "viewport" in [meta.get("name") for meta in page.all("meta")]


def test_every_image_has_words_and_a_size_and_is_the_file_in_figures(vae):
    _, page, folder = vae
    names = [figure["id"] for figure in page.all("figure")]
    assert len(page.all("img")) == len(names) == 7
    for name, image in zip(names, page.all("img"), strict=True):
        assert len(image["alt"]) > 20
        assert 0 < int(image["width"]) <= 800
        assert base64.b64decode(image["src"].split(",")[1]) == (folder / "figures" / f"{name}.png").read_bytes()
    assert sorted(p.name for p in folder.iterdir()) == ["figures", "microscope.html", "report.html"]


def test_the_page_leads_to_one_training_step_line_by_line(vae):
    source, _, folder = vae
    assert 'href="microscope.html"' in source
    step = (folder / "microscope.html").read_text()
    assert "One training step: Variational autoencoder on" in step
    for line in ("z = q.rsample(noise)", "kl = kl_divergence(q, prior).mean()"):
        assert line.split(" = ")[1].split("(")[0] in re.sub(r"<[^>]+>", "", step)


def test_the_command_is_shown_as_it_was_typed_and_not_run(vae):
    source, page, _ = vae
    assert "<script>" not in source
    assert COMMAND in page.text


def test_the_terms_stand_in_a_table_with_train_test_and_units(vae):
    source, page, _ = vae
    cells = re.findall(r"<t[hd](?: [^>]*)?>(.*?)</t[hd]>", source)
    assert cells[:8] == ["term", "train", "test", "unit", "negative ELBO", "21.00", "20.00", "nats per example"]
    assert "last row of the history" in page.text


def test_the_train_column_comes_from_the_metrics_where_they_have_it():
    _, page = report(None, metrics={"train": {"negative_elbo": 18.25, "reconstruction": 16.0, "kl": 2.25}})
    assert "18.25" in page.text
    assert "last row of the history" not in page.text


def test_the_page_says_the_model_the_data_the_binarisation_and_the_settings_once(vae):
    _, page, _ = vae
    assert "Variational autoencoder on digits" in page.text
    assert "Images of 8 × 8 (height, width); threshold: 1 where the grey value is above 0.5." in page.text
    assert "16, 8" in page.text
    assert page.text.count("2.x") == 1


def test_an_interrupted_run_says_so():
    _, page = report(None, metrics={"interrupted": True})
    assert "interrupted after 1 of 5 epochs" in page.text


def test_a_finished_run_does_not_say_it_was_stopped(vae):
    for word in ("interrupted", "Early stopping", "Warning", "validation", "After the last epoch"):
        assert word not in vae[1].text


def test_early_stopping_says_which_weights_it_kept():
    validation = [{"validation_loss": -value, "validation_negative_elbo": value} for value in (22.0, 20.0, 21.0, 20.0)]
    _, page = report(None, config={"patience": 2}, more=validation, metrics={"stopped": True, "draws": {"test": 5, "train": 2}})
    assert "those after epoch 2, the best on the validation split" in page.text
    assert "after 4 epochs: the last 2 brought nothing better" in page.text
    assert "differ a little" not in page.text
    _, page = report(None, config={"patience": 3}, more=validation)
    assert "the best on the validation split" in page.text
    assert "Early stopping" not in page.text


def test_the_warnings_of_the_monitor_and_what_it_saw_are_shown():
    seen = [{"active_latents": 2, "dead_units": 8}, {"active_latents": 1, "dead_units": 7}]
    source, page = report(None, more=seen, metrics={"warnings": ["epoch 3: posterior collapse: <none> carries 0.01 nats"]})
    assert "Warning, epoch 3: posterior collapse: <none> carries 0.01 nats." in page.text
    assert "<none>" not in source
    assert "1 of 2 latent dimensions have a KL of more than 0.01 nats; 7 relu units are 0" in page.text
    assert "images of the test split" in page.text


def points(name):
    return [ta.data.toy(name, 50, ta.rng(0).stream(split), split) for split in ("train", "test")]


def test_the_page_of_points_shows_points_and_speaks_of_no_images(tmp_path):
    _, page = report(tmp_path, data=points("swiss-roll"), likelihood="gaussian")
    assert [figure["id"] for figure in page.all("figure")] == ["architecture", "learning_curves", "points", "posterior_means"]
    assert "trained on 50 points and tested on 50 others, Gaussian likelihood. Points with 3 coordinates." in page.text
    assert "images" not in page.text
    assert "binarised" not in page.text
    assert "distribution of these points is known" not in page.text


def test_where_the_truth_is_known_the_page_says_how_far_it_is():
    data = points("linear-gaussian")
    _, page = report(None, data=data, likelihood="gaussian")
    best = -data[1].truth.log_prob(data[1].images).mean()
    assert f"under it −log p(x) is {best:#.4g} nats" in page.text
    assert f"the negative ELBO above is {20.0 - best:#.4g} nats from it" in page.text
    assert "distribution of these points" not in report(None, data=points("superposition"), likelihood="gaussian")[1].text


def test_the_page_of_colour_images_says_their_channels():
    pixels = np.zeros((6, 192), np.uint8)
    data = [ta.data.Dataset("colours", split, pixels, np.arange(6) % 2, (3, 8, 8), 255) for split in ("train", "test")]
    _, page = report(None, data=data, likelihood="gaussian", channels=(4,), image_shape=(3, 8, 8))
    assert "Images of 3 × 8 × 8 (channels, height, width); not binarised, values in [0, 1]." in page.text


@pytest.mark.parametrize(
    ("binarisation", "likelihood", "warned"), [("grey", "bernoulli", True), ("grey", "gaussian", False), ("static", "bernoulli", False)]
)
def test_a_cross_entropy_of_grey_values_is_not_called_a_likelihood(binarisation, likelihood, warned):
    _, page = report(None, binarisation=binarisation, likelihood=likelihood)
    assert ("is not a bound on" in page.text) is warned


def test_an_autoencoder_has_a_squared_error_and_no_likelihood():
    _, page = report(None, model="autoencoder", binarisation="grey")
    assert "per feature" in page.text
    assert "0.1250" in page.text
    assert "nats" not in page.text
    assert "KL" not in page.text
    assert "square" in page.text


def test_a_run_without_a_finished_epoch_still_has_a_page(tmp_path):
    _, page = report(tmp_path, rows=False)
    assert len(page.all("img")) == 6


def test_the_same_run_gives_the_same_page(vae, tmp_path):
    assert report(tmp_path)[0] == vae[0]


@pytest.mark.parametrize("likelihood", [name for name in LIKELIHOODS if name])
def test_every_rule_of_what_was_minimised_is_shown_with_a_sentence(likelihood):
    parts = derivations(ta.models.VAE(features=4, hidden=(2,), likelihood=likelihood, rng=ta.rng(0)))
    assert [part["name"] for part in parts[:2]] == ["reparameterize", "kl_standard_normal"]
    for part in parts:
        assert len(part["rules"]) == len(ta.ops.registry[part["name"]].rules)
        for formula, note in part["rules"]:
            assert formula.startswith("<math")
            assert note.endswith((".", ")"))


def test_the_formulas_are_those_of_the_registry():
    shown = Page(derivation("kl_standard_normal")["value"]).text
    assert shown == "y=12∑j(μ2+σ2−logσ2−1)"


def test_formulas_stand_in_the_page_as_mathematics(vae):
    source, page, _ = vae
    assert len(page.all("math")) == 3 + 3 + 2 + 2
    assert "&lt;math" not in source
