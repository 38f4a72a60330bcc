"""What holds for every model of the table: it says what it is, builds itself again, is saved, and its stated numbers are the measured ones."""

import importlib.util
import inspect
import json
import pathlib

import numpy as np
import pytest

import tinyae as ta
from tinyae.cli import parser
from tinyae.cli.settings import accepted, model_for, settings_of
from tinyae.errors import ArgumentError
from tinyae.evaluation.terms import named_loss, takes_labels
from tinyae.models import MODELS, build, model_named

ROOT = pathlib.Path(ta.__file__).parent.parent
MEASURED = ROOT / "benchmarks" / "family"


def made(name, *options):
    """(model, data) as `tinyae train NAME OPTION ...` makes them."""
    settings = settings_of(parser().parse_args(["train", name, *options]))
    data = ta.data.load(settings["data"], split="train", binarisation=settings["binarisation"])
    return model_for(settings, data), data


def first_batch(model, data, n):
    """The first n examples, with their labels for a model that takes some."""
    return next(data.rows(slice(0, n)).batches(n, labels=takes_labels(model)))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_says_what_it_minimises_where_it_is_from_and_what_it_is_for(name):
    kind = model_named(name)
    about = kind.about
    assert about.title
    assert about.objective
    assert any(character.isdigit() for character in about.paper)
    assert about.good_for
    assert about.data in ta.data.DATASETS
    assert len(inspect.getdoc(kind)) > 100
    if about.drawing is not None:
        from tinyae.figures import drawings

        assert about.drawing in drawings.names()


def test_no_two_models_say_the_same():
    abouts = [model_named(name).about for name in MODELS]
    assert len({about.title for about in abouts}) == len(abouts)
    assert len({about.objective for about in abouts}) == len(abouts)


@pytest.mark.parametrize("path", sorted((ROOT / "tinyae" / "models").glob("*.py")), ids=lambda path: path.name)
def test_no_file_of_the_family_is_long(path):
    assert path.read_text().count("\n") <= 250


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_built_again_from_its_config(name):
    model, _ = made(name)
    again = build(json.loads(json.dumps(model.config)), ta.rng(0).stream("weights"))
    assert model.config["model"] == name
    assert json.dumps(again.config) == json.dumps(model.config)
    missing = accepted(type(model)).keys() - model.config.keys()
    assert not missing, "settings that a saved model would forget"
    for (key, value), other in zip(model.state_dict().items(), again.state_dict().values(), strict=True):
        np.testing.assert_array_equal(value, other, err_msg=key)
        assert value.dtype.kind != "f" or value.dtype == np.float32


@pytest.mark.parametrize("name", MODELS)
def test_the_terms_are_single_numbers_that_repeat_with_their_noise(name):
    model, data = made(name)
    batch, loss = first_batch(model, data, 20), named_loss(model)
    one, two = (loss(batch, ta.rng(3)) for _ in range(2))
    for key, value in one.items():
        assert value.shape == (), key
        assert value.dtype == np.float32, key
        assert np.isfinite(value.data), key
        assert value.data == two[key].data, key
    one["loss"].backward()
    silent = [key for key, p in model.named_parameters() if p.grad is None]
    assert not silent, "parameters that no gradient reaches"
    if "negative_elbo" in one:
        assert np.isclose(one["negative_elbo"].data, one["reconstruction"].data + one["kl"].data, rtol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_reconstructs_the_same(name, tmp_path):
    model, data = made(name)
    ta.fit(model, data.rows(slice(0, 200)), epochs=1, batch_size=100, progress=False)
    ta.save(model, tmp_path / "model.safetensors")
    again = ta.load(tmp_path / "model.safetensors")
    x = first_batch(model, data, 5)
    if takes_labels(model):
        x, labels = x
        model, again = model.given(labels), again.given(labels)
    np.testing.assert_array_equal(model.reconstruct(x), again.reconstruct(x))
    assert model.reconstruct(x).shape == x.shape
    if hasattr(model, "sample"):
        drawn = model.sample(5, rng=ta.rng(1))
        np.testing.assert_array_equal(drawn, again.sample(5, rng=ta.rng(1)))
        assert drawn.shape == x.shape


@pytest.mark.parametrize("name", MODELS)
def test_an_example_does_not_depend_on_its_neighbours_where_nothing_says_so(name):
    model, data = made(name)
    batch = first_batch(model, data, 8)
    model.eval()
    if takes_labels(model):
        batch, labels = batch
        both, alone = model.given(labels).reconstruct(batch), model.given(labels[:3]).reconstruct(batch[:3])
    else:
        both, alone = model.reconstruct(batch), model.reconstruct(batch[:3])
    np.testing.assert_allclose(both[:3], alone, rtol=1e-4, atol=1e-5)


def test_an_unknown_model_or_setting_is_one_readable_line(capsys):
    from tinyae.cli import main

    with pytest.raises(ArgumentError, match="unknown model"):
        model_named("gan")
    for options, says in ((["vae", "--set", "beta=4"], "no such settings"), (["autoencoder", "--likelihood", "bernoulli"], "has none")):
        assert main(["train", *options]) == 2
        error = capsys.readouterr().err
        assert says in error
        assert error.count("\n") == 1


def shown(number):
    """As the table of benchmarks/family.md prints the mean."""
    spec = importlib.util.spec_from_file_location("family_table", ROOT / "benchmarks" / "family.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.shown(number).partition(" ")[0]


@pytest.mark.parametrize("name", MODELS)
def test_the_number_in_the_docstring_is_the_measured_one(name):
    found = json.loads((MEASURED / f"{name}.json").read_text())
    said = " ".join(inspect.getdoc(model_named(name)).partition("Measured (benchmarks/family.md)")[2].split())
    assert said, "the docstring says what was measured"
    assert found["name"] == name
    assert len(found["seeds"]) >= 5
    assert shown(found["model"]) in said
    assert shown(found["baseline"]) in said
    assert said.rstrip(".").endswith(found["verdict"])
    mean, error = found["difference"]["mean"], found["difference"]["standard_error"]
    assert (abs(mean) <= 2 * error) == (found["verdict"] == "no difference")


def test_the_table_of_the_family_has_a_row_for_each():
    table = (ROOT / "benchmarks" / "family.md").read_text()
    assert [name for name in MODELS if f"\n| {name} |" not in table] == []
