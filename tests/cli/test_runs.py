"""Runs at the command line: resumed, sampled, reconstructed; every kind of data; the table of data sets."""

import json
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest

import tinyae as ta
from tinyae.cli import main, train
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
    assert capsys.readouterr().out.startswith("nothing to resume in runs/autoencoder-digits-1: a new run begins\n")
    assert main(["train", "autoencoder", "--resume", "--lr", "0.5", "--hidden", "9"]) == 2
    assert "begun with other settings. (expected: hidden [128], lr 0.001; got: hidden [9], lr 0.5" in capsys.readouterr().err
    assert main(["train", "autoencoder", "--out", "runs/autoencoder-digits-1", "--epochs", "1"]) == 2
    assert "go on with it: --resume" in capsys.readouterr().err


def config(folder="run"):
    return json.loads(pathlib.Path(folder, "config.json").read_text())


def metrics(folder="run"):
    return json.loads(pathlib.Path(folder, "metrics.json").read_text())


def test_a_finished_run_that_is_given_more_epochs_says_so_everywhere(capsys):
    assert main(["train", "vae", "--epochs", "2", "--hidden", "16", "--out", "run"]) == 0
    first = metrics()["wall_seconds"]
    assert main(["train", "vae", "--resume", "--out", "run", "--epochs", "3"]) == 0
    command = "tinyae train vae --hidden 16 --out run --epochs 3"
    assert (config()["epochs"], config()["command"], metrics()["epochs"]) == (3, command, 3)
    assert command in pathlib.Path("run/report.html").read_text()
    assert metrics()["wall_seconds"] > first  # of both sessions
    assert len(ta.training.Run.open("run").data("test")) == 397
    assert main(["train", "vae", "--resume", "--out", "run", "--epochs", "2"]) == 0
    assert config()["epochs"] == 3
    assert main([*command.split()[1:6], "again", "--epochs", "3"]) == 0
    assert all((a == b).all() for a, b in zip(weights("run"), weights("again"), strict=True))


def test_a_finished_run_is_not_measured_again(capsys, monkeypatch):
    assert main(["train", "vae", "--epochs", "2", "--hidden", "16", "--out", "run"]) == 0
    before = {path: path.stat().st_mtime_ns for path in pathlib.Path("run").rglob("*")}
    capsys.readouterr()
    assert main(["train", "vae", "--resume", "--out", "run"]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("all 2 epochs are done; --epochs for more\nreport: run/report.html\n", "")
    assert {path: path.stat().st_mtime_ns for path in pathlib.Path("run").rglob("*")} == before
    pathlib.Path("run/report.html").unlink()  # as Ctrl-C leaves it
    assert main(["train", "vae", "--resume", "--out", "run"]) == 0
    assert capsys.readouterr().err == "measuring the model, and drawing the report ...\n"
    assert pathlib.Path("run/report.html").exists()


def test_the_wall_time_is_that_of_all_sessions():
    assert main(["train", "vae", "--epochs", "2", "--hidden", "16", "--out", "run"]) == 0
    found = metrics()
    ta.training.Run.open("run").write_metrics(found | {"wall_seconds": 1000.0, "interrupted": True})
    assert main(["train", "vae", "--resume", "--out", "run"]) == 0
    assert metrics()["wall_seconds"] > 1000
    pathlib.Path("run/metrics.json").unlink()  # killed before it was written: what the checkpoint knows
    arrays, metadata = files.read_tensors("run/checkpoint.safetensors")
    metadata["state"]["seconds"] = 500.0
    files.write_tensors("run/checkpoint.safetensors", arrays, metadata)
    assert main(["train", "vae", "--resume", "--out", "run"]) == 0
    assert metrics()["wall_seconds"] > 500


def test_a_second_ctrl_c_says_how_to_go_on(capsys, monkeypatch):
    def interrupted(model, data, test, s, run, resume):
        run.checkpoint.write_bytes(b"") if resume else None
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "fit", interrupted)
    assert main(["train", "vae", "--out", "run"]) == 130
    assert not pathlib.Path("run").exists()
    assert main(["train", "vae", "--out", "run", "--resume"]) == 130
    assert "go on from the last checkpoint with: tinyae train vae --out run --resume" in capsys.readouterr().out


def test_early_stopping_says_what_was_kept(capsys):
    given = ["train", "vae", "--data", "linear-gaussian", "--hidden", "--variance", "0.25", "--batch", "1000", "--lr", "0.2"]
    assert main([*given, "--patience", "1", "--epochs", "200", "--out", "run"]) == 0
    out, err = capsys.readouterr()
    history = files.read_tensors("run/checkpoint.safetensors")[1]["state"]["history"]
    best = min(history, key=lambda row: row["validation_negative_elbo"])
    assert len(history) == best["epoch"] + 1 < 200
    assert f"stopped after epoch {len(history)}: no better since epoch {best['epoch']}\n" in err
    assert f"validation  negative_elbo {history[0]['validation_negative_elbo']:.4g}" in err.splitlines()[0]
    assert f"validation split: negative_elbo {best['validation_negative_elbo']:.4g} after epoch {best['epoch']}, the best there" in out
    assert main(["train", "vae", "--resume", "--out", "run", "--epochs", "300"]) == 0
    assert capsys.readouterr().out.startswith(f"stopped early after {len(history)} epochs, by --patience: nothing is left to do")


def test_the_advice_on_the_variance_names_a_smaller_one(capsys):
    for variance, smaller in (("0.5", "0.05"), ("0.02", "0.002")):
        given = ["--data", "gaussian-ring", "--lr", "1e-9", "--variance", variance]
        assert main(["train", "vae", *given, "--epochs", "1", "--out", variance]) == 0
        assert f"the points hardly depend on z; a smaller variance, --variance {smaller} say" in capsys.readouterr().out


@pytest.mark.parametrize(("side", "epochs", "expected"), [(8, 1, (100, 28)), (8, 600, (100, 28)), (64, 1, (3, 1)), (64, 600, (100, 28))])
def test_measuring_takes_no_more_examples_than_training_did_but_digits_are_always_measured_well(side, epochs, expected):
    history = ta.training.History()
    history.rows = [{}] * epochs
    sizes, drawn = {"train": 1400, "test": 397}, []
    train_part, test = (ta.data.Dataset("x", split, np.zeros((n, side**2), np.uint8), np.zeros(n), (side, side), 1) for split, n in sizes.items())
    s = {"model": "vae", "seed": 0, "likelihood": "bernoulli", "binarisation": "grey", "backend": "numpy"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ta.evaluation, "evaluate", lambda model, part, rng, draws: drawn.append(draws))
        train.measure(ta.models.VAE(side**2), train_part, test, s, history)
    assert tuple(drawn) == expected


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


def test_many_reconstructions_are_bands_of_ten():
    from matplotlib.image import imread

    assert main(["train", "vae", "--epochs", "1", "--out", "run"]) == 0
    sizes = []
    for count in ("10", "13", "200"):
        assert main(["reconstruct", "run", "--count", count, "--out", "some.png"]) == 0
        sizes.append(imread("some.png").shape[:2])
    (one, width), (two, _), (twenty, _) = sizes
    assert [size[1] for size in sizes] == [width] * 3
    assert 2 * one < two < 3 * one
    assert 20 * one < twenty < 30 * one


@pytest.mark.parametrize(("colour", "shape", "likelihood"), [(False, (28, 28), "bernoulli"), (True, (3, 32, 32), "gaussian")])
def test_ones_own_images_are_a_data_set(colour, shape, likelihood, capsys, monkeypatch):
    from PIL import Image

    rng = np.random.default_rng(0)
    for i in range(21):
        path = pathlib.Path("mine", "ab"[i % 2], f"{i:02}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (30, 40, 3) if colour and i == 20 else (30, 40), np.uint8)).save(path)
    assert main(["train", "vae", "--data", "mine", "--epochs", "1", "--hidden", "8"]) == 0
    run = str(pathlib.Path("runs/vae-mine-1").resolve())
    train_part, test = (ta.training.Run.open(run).data(split) for split in ("train", "test"))
    assert (train_part.image_shape, len(train_part), len(test)) == (shape, 19, 2)
    assert (config(run)["likelihood"], test.binarisation) == (likelihood, "grey" if colour else "dynamic")
    whole = ta.data.folder("mine", size=shape[-1], grey=not colour)
    assert (test.pixels == whole.pixels[9::10]).all()
    assert (test.labels == whole.labels[9::10]).all()
    assert test.classes == ("a", "b")
    assert main(["train", "vae", "--data", "mine", "--resume", "--epochs", "2"]) == 0
    monkeypatch.chdir("/")  # the run knows where its images are
    assert main(["sample", run]) == 0
    assert main(["reconstruct", run]) == 0
    assert "Traceback" not in capsys.readouterr().err


def test_a_data_set_that_is_not_there_is_told_with_a_guess(capsys):
    pathlib.Path("few").mkdir()
    for data, says in [("digit", "did you mean digits?"), ("nowhere/images", "no such folder"), ("", "no such folder")]:
        with pytest.raises(SystemExit):
            main(["train", "vae", "--data", data])
        assert says in capsys.readouterr().err.splitlines()[-1]
    assert main(["train", "vae", "--data", "few"]) == 2
    assert "few: there are no images" in capsys.readouterr().err


def test_ones_own_images_are_reconstructed(capsys):
    from PIL import Image

    assert main(["train", "vae", "--epochs", "1", "--out", "run"]) == 0
    pathlib.Path("mine").mkdir()
    for i in range(3):
        Image.fromarray(np.full((20, 30), 80 * i, np.uint8)).save(f"mine/{i}.png")
    for path, count in (("mine", 3), ("mine/1.png", 1)):
        assert main(["reconstruct", "run", path]) == 0
        said = f"{count} of {count} images, the square in the middle, to grey, 8 x 8; threshold: 1 where the grey value is above 0.5"
        assert said in capsys.readouterr().out.splitlines()
    assert pathlib.Path("run/figures/reconstructed.png").exists()


@pytest.mark.parametrize(("command", "says"), [
    (["sample", "nowhere"], "config.json: it cannot be read"),
    (["reconstruct", "nowhere"], "config.json: it cannot be read"),
    (["sample", "auto"], "an autoencoder has no prior to sample from"),
    (["reconstruct", "auto", "nowhere"], "nowhere: no such folder"),
    (["reconstruct", "auto", "auto/empty"], "auto/empty: there are no images"),
    (["reconstruct", "auto", "--count", "201"], "--count: at most 200 images"),
    (["train", "vae", "--data", "two-moons", "--channels", "4"], "two-moons are points, not images"),
    (["train", "vae", "--data", "two-moons", "--likelihood", "bernoulli"], "use likelihood='gaussian' (--likelihood gaussian)"),
    (["train", "vae", "--data", "two-moons", "--binarisation", "static"], "--binarisation grey"),
    (["train", "vae", "--channels", "4", "4", "4", "4"], "at most 3 of them on 8x8 pixels; got: 4"),
    (["train", "vae", "--variance", "0.1"], "remedy: add --likelihood gaussian"),
])  # fmt: skip
def test_what_is_no_run_or_no_image_is_one_readable_line(command, says, capsys):
    if "auto" in command:
        main(["train", "autoencoder", "--epochs", "1", "--out", "auto"])
        pathlib.Path("auto/empty").mkdir()
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
    assert f"mnist is not there, and downloaded at its first use; it is looked for in\n  {tmp_path / 'data' / 'mnist'}\n" in printed
    assert "celeba is not there, and not for tinyae to download" in printed
    assert all(line == line.rstrip() for line in printed.splitlines())
    for name in ta.data.DATASETS:
        assert rows[name][4] in ("yes", "no")


def test_the_table_of_data_sets_counts_what_was_found(capsys, monkeypatch, tmp_path):
    folder = tmp_path / "cifar-10-sample"
    folder.mkdir()
    for name, images in (("data_batch_1.bin", 3), ("data_batch_2.bin", 2), ("test_batch.bin", 4)):
        (folder / name).write_bytes(bytes(3073 * images))
    monkeypatch.setenv("TINYAE_DATA", str(tmp_path))
    assert main(["datasets"]) == 0
    printed = capsys.readouterr().out
    assert next(line.split()[1:5] for line in printed.splitlines() if line.startswith("cifar-10")) == ["5", "4", "3x32x32", "yes"]
    assert f"cifar-10 is read from {folder}\n" in printed


@pytest.mark.parametrize("command", ["sample", "reconstruct", "datasets"])
def test_help_explains_and_shows_an_example(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert f"example: tinyae {command}" in capsys.readouterr().out
