"""`tinyae evaluate` and `tinyae compare`: tables, metrics.json, the picture, and one readable line for bad input."""

import json
import pathlib

import numpy as np
import pytest

import tinyae as ta
from tinyae.cli import main
from tinyae.cli.evaluate import cells
from tinyae.figures.comparison import comparison

QUICK = ["--epochs", "1", "--hidden", "8"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with runs a and b of a VAE, `grey` of an autoencoder, `same` of one on the data of a and b, `bernoulli` of a VAE on grey values."""
    folder = tmp_path_factory.mktemp("runs")
    for name, model, extra in (
        ("a", "vae", []),
        ("b", "vae", ["--latent", "3"]),
        ("grey", "autoencoder", []),
        ("same", "autoencoder", ["--binarisation", "threshold"]),
        ("bernoulli", "vae", ["--binarisation", "grey"]),
    ):
        assert main(["train", model, *QUICK, *extra, "--out", str(folder / name)]) == 0
    return folder


@pytest.fixture(autouse=True)
def runs(trained, tmp_path, monkeypatch):
    """The runs as they were, in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    for run in trained.iterdir():
        pathlib.Path(run.name).mkdir()
        for file in run.iterdir():
            if file.is_file():
                (tmp_path / run.name / file.name).write_bytes(file.read_bytes())


def metrics(run="a"):
    return json.loads(pathlib.Path(run, "metrics.json").read_text())


def refusal(capsys, *argv):
    try:
        code = main(list(argv))
    except SystemExit as error:
        code = error.code
    assert code == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_evaluate_prints_a_table_and_adds_the_numbers_to_metrics_json(capsys):
    before = metrics()
    assert main(["evaluate", "a", "--samples", "5", "--examples", "50"]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0] == "a: digits, 397 test examples, threshold"
    assert lines[1].split() == ["metric", "number", "value", "standard", "error", "unit"]
    after = metrics()
    assert {key: value for key, value in after.items() if key != "evaluation"} == before
    nll = after["evaluation"]["nll"]
    assert (nll["samples"], nll["examples"], nll["seed"]) == (5, 50, 0)
    number = nll["numbers"]["nll"]
    assert number["unit"] == "nats per example"
    assert " ".join(["nll", "nll", *cells(number)]) in " ".join(out.split())
    assert "(K = 5, 50 examples)" in out
    terms = after["evaluation"]["terms"]["numbers"]
    assert terms["negative_elbo"]["value"] == pytest.approx(after["test"]["negative_elbo"], abs=0.3)
    assert len(after["evaluation"]["kl-per-dimension"]["numbers"]["kl_per_dimension"]["value"]) == 2


def test_the_numbers_are_those_of_measure_on_the_test_split():
    assert main(["evaluate", "a", "--metrics", "nll", "mse", "--samples", "5", "--seed", "3"]) == 0
    train, test = (ta.data.load("digits", split=split, binarisation="threshold") for split in ("train", "test"))
    found = ta.evaluation.measure(ta.load("a"), train, test, ["nll", "mse"], rng=ta.rng(3).stream("evaluation"), samples=5)
    for name, metric in (("nll", "nll"), ("mse", "mse")):
        stored = metrics()["evaluation"][metric]["numbers"][name]
        assert (stored["value"], stored["standard_error"]) == (found[name].value, found[name].standard_error)
    assert set(metrics()["evaluation"]) == {"nll", "mse"}


def test_a_second_evaluation_keeps_what_it_does_not_measure():
    assert main(["evaluate", "a", "--metrics", "mse"]) == 0
    first = metrics()["evaluation"]
    assert main(["evaluate", "a", "--metrics", "active-units"]) == 0
    assert metrics()["evaluation"] == first | {"active-units": metrics()["evaluation"]["active-units"]}


def test_compare_sets_runs_side_by_side_and_measures_only_what_is_missing(capsys):
    assert main(["evaluate", "a", "--metrics", "mse"]) == 0
    capsys.readouterr()
    assert main(["compare", "a", "b", "same", "--metrics", "mse", "active-units", "--out", "side.png"]) == 0
    out, err = capsys.readouterr()
    rows = {line.split("  ")[0]: line for line in out.splitlines()}
    assert rows[""].split()[:3] == ["a", "b", "same"]
    assert rows["model"].split()[1:] == ["vae", "vae", "autoencoder"]
    parameters = [f"{sum(p.size for p in ta.load(run).parameters()):,}" for run in ("a", "b", "same")]
    assert rows["parameters"].split()[1:] == parameters
    assert rows["active_units"].split()[3] == "-", "an autoencoder has none"
    assert "measuring a: active-units" in err
    assert "measuring b: mse, active-units" in err
    assert pathlib.Path("side.png").read_bytes().startswith(b"\x89PNG")
    assert "picture: side.png" in out
    assert main(["compare", "a", "b", "same", "--metrics", "mse", "active-units", "--out", "side.png"]) == 0
    assert "measuring" not in capsys.readouterr().err


def test_other_weights_or_settings_are_measured_again(capsys):
    assert main(["evaluate", "a", "--metrics", "mse"]) == 0
    stored = metrics()
    stored["evaluation"]["mse"]["weights"] = "of another training"
    pathlib.Path("a/metrics.json").write_text(json.dumps(stored))
    capsys.readouterr()
    assert main(["compare", "a", "b", "--metrics", "mse"]) == 0
    assert "measuring a: mse" in capsys.readouterr().err
    assert main(["compare", "a", "b", "--metrics", "mse", "--seed", "1"]) == 0
    assert "measuring a: mse" in capsys.readouterr().err


@pytest.mark.parametrize(("argv", "line"), [
    (["evaluate", "nowhere"], "tinyae: nowhere/config.json: it cannot be read."),
    (["evaluate", "a", "--metrics", "fid"], "invalid choice: 'fid'"),
    (["evaluate", "a", "--samples", "0"], "'0' is not a whole number, 1 or more"),
    (["evaluate", "a", "--metrics", "mig"], "mig: it needs two named factors or more, and two codes. (got: a: vae on Dataset('digits', 'test'"),
    (["evaluate", "grey", "--metrics", "nll"], "tinyae: nll: it needs a variational model. (got: grey: autoencoder on Dataset("),
    (["compare", "a", "grey"], "compare: the runs have other data. (expected: digits, threshold (a); got: digits, grey (grey); remedy: train both"),
    (["compare", "a"], "tinyae: compare: two runs or more, each once. (got: a)"),
    (["compare", "a", "a"], "tinyae: compare: two runs or more, each once. (got: a a)"),
    (["compare", "a", "b", "--metrics", "mig"], "tinyae: mig: it needs two named factors"),
    (["compare", "a", "b", "--out", "no/where.png"], "there is no folder 'no'"),
])  # fmt: skip
def test_bad_input_is_one_readable_line(capsys, argv, line):
    before = {path: path.read_bytes() for path in pathlib.Path().rglob("*") if path.is_file()}
    assert line in refusal(capsys, *argv)
    assert {path: path.read_bytes() for path in pathlib.Path().rglob("*") if path.is_file()} == before


def test_a_grey_run_of_a_bernoulli_model_has_no_nll(capsys):
    refused = refusal(capsys, "evaluate", "bernoulli", "--metrics", "nll")
    assert "nll: it needs data that fit the likelihood (no grey values under a Bernoulli)." in refused


def test_a_damaged_metrics_json_is_left_as_it_is(capsys):
    pathlib.Path("a/metrics.json").write_text("{half of")
    assert "a/metrics.json: it cannot be read, and is left as it is." in refusal(capsys, "evaluate", "a", "--metrics", "mse")
    assert pathlib.Path("a/metrics.json").read_text() == "{half of"


@pytest.mark.parametrize("command", ["evaluate", "compare"])
def test_the_help_has_an_example(capsys, command):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    out = capsys.readouterr().out
    assert f"example: tinyae {command} runs/" in out
    if command == "evaluate":
        assert all(f"  {name} " in out for name in ta.evaluation.METRICS)


@pytest.mark.parametrize(("number", "shown"), [
    ({"value": 97.12345, "standard_error": 0.0312}, ("97.123", "0.031")),
    ({"value": 1234.5, "standard_error": 31.0}, ("1234", "31")),
    ({"value": 0.123456}, ("0.1235", "")),
    ({"value": 7}, ("7", "")),
    ({"value": None}, ("-", "")),
    ({"value": 1.0, "standard_error": 0.0}, ("1", "0")),
    ({"value": [1.0, 0.25, None]}, ("1.00 0.25 -", "")),
    ({"value": [0.0] * 9}, ("0.00 " * 8 + "... (9)", "")),
])  # fmt: skip
def test_a_number_is_shown_to_the_places_that_its_error_leaves(number, shown):
    assert cells(number) == shown


def test_the_picture_has_a_panel_for_each_number_that_differs():
    runs = {
        "one": {
            "nll": {"value": 2.0, "unit": "nats", "standard_error": 0.5},
            "kl": {"value": [1.0, 3.0], "unit": "nats"},
            "same": {"value": 1, "unit": ""},
        },
        "two": {"nll": {"value": None, "unit": "nats"}, "same": {"value": 1, "unit": ""}},
    }
    figure = comparison(runs, ["nll", "kl", "same"])
    panels = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title() for axes in panels] == ["nll", "kl"]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["one", "two"]
    (bar,) = panels[0].collections
    np.testing.assert_allclose(bar.get_segments()[0][:, 0], [1.0, 3.0])  # two standard errors to either side
    assert list(panels[1].lines[0].get_ydata()) == [3.0, 1.0]
    assert ta.figures.png(figure) == ta.figures.png(comparison(runs, ["nll", "kl", "same"]))
