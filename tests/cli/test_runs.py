"""Runs at the command line: resumed, sampled, reconstructed; every kind of data; the table of data sets."""

import json
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest

import tinyae as ta
from tinyae.cli import main
from tinyae.training import files


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Every command runs in a folder of its own."""
    monkeypatch.chdir(tmp_path)


def weights(folder):
    return ta.load(folder).state_dict().values()


def test_a_run_that_ctrl_c_stopped_is_resumed_to_the_same_bits():
    train = [sys.executable, "-m", "tinyae", "train", "vae"]
    process = subprocess.Popen([*train, "--epochs", "400"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stderr.readline()  # after the first epoch
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "go on with: tinyae train vae --out runs/vae-digits-1 --resume" in out
    done = len(pathlib.Path("runs/vae-digits-1/history.csv").read_text().splitlines()) - 1
    assert 1 <= done < 400
    assert main(["train", "vae", "--resume", "--epochs", str(done + 3)]) == 0
    assert main(["train", "vae", "--epochs", str(done + 3), "--out", "whole"]) == 0
    assert all((a == b).all() for a, b in zip(weights("runs/vae-digits-1"), weights("whole"), strict=True))
    assert json.loads(pathlib.Path("runs/vae-digits-1/metrics.json").read_text())["interrupted"] is False


def test_resume_begins_where_there_is_nothing_yet_and_refuses_other_settings(capsys):
    assert main(["train", "autoencoder", "--epochs", "1", "--resume"]) == 0
    assert main(["train", "autoencoder", "--resume", "--lr", "0.5", "--hidden", "9"]) == 2
    assert "begun with other settings. (expected: hidden [128], lr 0.001; got: hidden [9], lr 0.5" in capsys.readouterr().err
    assert main(["train", "autoencoder", "--out", "runs/autoencoder-digits-1", "--epochs", "1"]) == 2
    assert "go on with it: --resume" in capsys.readouterr().err


def test_samples_and_reconstructions_of_a_run_are_pictures(capsys):
    from matplotlib.image import imread

    assert main(["train", "vae", "--epochs", "1", "--out", "run"]) == 0
    assert main(["sample", "run", "--count", "12"]) == 0
    assert main(["reconstruct", "run", "--out", "again.png"]) == 0
    for path in ("run/figures/samples.png", "again.png"):
        assert f"picture: {path}" in capsys.readouterr().out or path == "again.png"
        assert imread(path).std() > 0.1
    before = pathlib.Path("run/figures/samples.png").read_bytes()
    assert main(["sample", "run", "--count", "12"]) == 0
    assert pathlib.Path("run/figures/samples.png").read_bytes() == before


def test_samples_and_reconstructions_of_points_are_drawn_as_points(capsys, monkeypatch):
    assert main(["train", "vae", "--data", "two-moons", "--epochs", "1", "--out", "moons"]) == 0
    monkeypatch.setattr(ta.figures.images, "draw_grid", None)
    for command in ("sample", "reconstruct"):
        assert main([command, "moons"]) == 0
        assert main([command, "moons", "--count", "3", "--out", "three.png"]) == 0
        assert pathlib.Path("three.png").stat().st_size > 5000
    assert main(["reconstruct", "moons", "."]) == 2
    assert "trained on points, not on images" in capsys.readouterr().err


def test_ones_own_images_are_reconstructed():
    from PIL import Image

    assert main(["train", "vae", "--epochs", "1", "--out", "run"]) == 0
    pathlib.Path("mine").mkdir()
    for i in range(3):
        Image.fromarray(np.full((20, 30), 80 * i, np.uint8)).save(f"mine/{i}.png")
    assert main(["reconstruct", "run", "mine"]) == 0
    assert pathlib.Path("run/figures/reconstructed.png").exists()


@pytest.mark.parametrize(("command", "says"), [
    (["sample", "nowhere"], "config.json: it cannot be read"),
    (["reconstruct", "nowhere"], "config.json: it cannot be read"),
    (["sample", "auto"], "an autoencoder has no prior to sample from"),
    (["reconstruct", "auto", "nowhere"], "nowhere: there are no images"),
])  # fmt: skip
def test_what_is_no_run_or_no_image_is_one_readable_line(command, says, capsys):
    main(["train", "autoencoder", "--epochs", "1", "--out", "auto"])
    capsys.readouterr()
    assert main(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


@pytest.mark.parametrize("options", [
    ["vae", "--data", "shapes", "--channels", "4", "8", "--hidden", "16", "--warm-up", "1", "--clip", "50"],
    ["autoencoder", "--data", "digits", "--channels", "4", "--hidden"],
    ["vae", "--data", "two-moons", "--free-bits", "0.1"],
    ["vae", "--data", "linear-gaussian", "--hidden", "--latent", "3", "--variance", "0.25", "--patience", "1"],
])  # fmt: skip
def test_convolutions_points_and_the_options_of_training(options):
    assert main(["train", *options, "--epochs", "2", "--out", "run"]) == 0
    model, config = ta.load("run"), json.loads(pathlib.Path("run/config.json").read_text())
    assert config["channels"] == (list(model.config["channels"]) or None)
    assert (config["binarisation"] == "grey") == (config["likelihood"] != "bernoulli")
    history = files.read_tensors("run/checkpoint.safetensors")[1]["state"]["history"]
    assert len(history) == 2
    assert ("validation_loss" in history[0]) == ("--patience" in options)
    if "--warm-up" in options:
        assert history[0]["train_loss"] < history[0]["train_negative_elbo"]


@pytest.mark.data
@pytest.mark.parametrize("data", ["mnist", "fashion-mnist", "cifar-10"])
def test_a_convolutional_vae_trains_on_the_files_of_real_data(data, monkeypatch):
    present = {row.name: row.present for row in ta.data.table()}
    if not present[data]:
        pytest.skip(f"{data} is not there: set TINYAE_DATA")
    load = ta.data.load
    monkeypatch.setattr(ta.data, "load", lambda *args, **settings: load(*args, **settings).rows(slice(0, 300)))
    assert main(["train", "vae", "--data", data, "--channels", "4", "8", "--hidden", "16", "--epochs", "2", "--out", "run"]) == 0
    metrics = json.loads(pathlib.Path("run/metrics.json").read_text())
    assert np.isfinite(metrics["test"]["negative_elbo"])


def test_the_table_of_data_sets_says_what_is_there(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TINYAE_DATA", str(tmp_path / "data"))
    assert main(["datasets"]) == 0
    printed = capsys.readouterr().out
    rows = {line.split()[0]: line.split() for line in printed.split("\n\n")[0].splitlines()}
    assert rows["digits"][1:5] == ["1,400", "397", "8x8", "yes"]
    assert "CC BY 4.0" in printed
    assert f"{tmp_path / 'data' / 'mnist'}" in printed
    for name in ta.data.DATASETS:
        assert rows[name][4] in ("yes", "no")


@pytest.mark.parametrize("command", ["sample", "reconstruct", "datasets"])
def test_help_explains_and_shows_an_example(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert f"example: tinyae {command}" in capsys.readouterr().out
