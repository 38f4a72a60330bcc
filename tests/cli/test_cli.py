"""The command line: the main job end to end, its files, and one readable line for bad input."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

import tinyae as ta
from tinyae.cli import main

FILES = ["checkpoint.safetensors", "config.json", "figures", "history.csv", "metrics.json", "microscope.html", "report.html"]


def test_training_a_vae_leaves_a_whole_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "vae", "--epochs", "3", "--hidden", "16", "8"]) == 0
    printed = capsys.readouterr().out
    run = tmp_path / "runs" / "vae-digits-1"
    assert f"report: {run.relative_to(tmp_path) / 'report.html'}" in printed
    assert sorted(path.name for path in run.iterdir()) == FILES
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["units"] == "nats per example"
    assert (metrics["binarisation"], metrics["seed"], metrics["backend"]) == ("threshold", 0, "numpy")
    test = metrics["test"]
    assert abs(test["negative_elbo"] - test["reconstruction"] - test["kl"]) < 1e-3
    assert f"negative_elbo {test['negative_elbo']:.4g}" in printed
    page = (run / "report.html").read_text()
    assert "tinyae train vae --epochs 3 --hidden 16 8" in page
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)
    config = json.loads((run / "config.json").read_text())
    assert (config["hidden"], config["epochs"], config["batch"]) == ([16, 8], 3, 100)
    assert ta.load(run).reconstruct(ta.data.load("digits").images[:2]).shape == (2, 64)


def test_the_defaults_reach_the_stated_bound_on_digits(tmp_path):
    """At most 20.5 nats on average over five seeds (benchmarks/elbo.md); here one of them."""
    assert main(["train", "vae", "--seed", "1", "--out", str(tmp_path / "run")]) == 0
    test = json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]
    assert 19 < test["negative_elbo"] < 20.5
    assert 2.5 < test["kl"] < 4.5


def test_training_an_autoencoder_reports_the_squared_error(tmp_path, capsys):
    assert main(["train", "autoencoder", "--epochs", "2", "--latent", "3", "--out", str(tmp_path / "run")]) == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert set(metrics["test"]) == {"loss", "mse"}
    assert metrics["binarisation"] == "grey"
    assert "mse" in capsys.readouterr().out


@pytest.mark.parametrize("extra", [["--likelihood", "gaussian", "--variance", "0.02"], ["--binarisation", "dynamic"], ["--latent", "5"]])
def test_every_setting_reaches_the_run(tmp_path, extra):
    assert main(["train", "vae", "--epochs", "1", "--out", str(tmp_path / "run"), *extra]) == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert str(config[extra[0].lstrip("-")]) == extra[1]
    assert config["binarisation"] == ("grey" if "gaussian" in extra else "dynamic" if "dynamic" in extra else "threshold")


def test_the_same_command_gives_the_same_weights_and_figures(tmp_path):
    for name in ("a", "b"):
        assert main(["train", "vae", "--epochs", "2", "--seed", "3", "--out", str(tmp_path / name)]) == 0
    a, b = (ta.load(tmp_path / name).state_dict() for name in ("a", "b"))
    assert all((a[key] == b[key]).all() for key in a)
    for figure in (tmp_path / "a" / "figures").iterdir():
        assert figure.read_bytes() == (tmp_path / "b" / "figures" / figure.name).read_bytes()


BAD = {
    "unknown data set": (["train", "vae", "--data", "cifar"], "invalid choice: 'cifar'"),
    "unknown model": (["train", "gan"], "invalid choice: 'gan'"),
    "no latent": (["train", "vae", "--latent", "0"], "'0' is not a whole number, 1 or more"),
    "negative width": (["train", "vae", "--hidden", "16", "-4"], "-4"),
    "infinite rate": (["train", "vae", "--lr", "inf"], "'inf' is not a finite number"),
    "no model": (["train"], "required"),
    "no command": ([], "required"),
    "unknown lesson": (["lesson", "999"], "999"),
    "likelihood of an autoencoder": (["train", "autoencoder", "--likelihood", "gaussian"], "squared error"),
    "variance of a bernoulli": (["train", "vae", "--variance", "0.1"], "only these likelihoods have one"),
    "folder under a file": (["train", "vae", "--out", "{tmp}/file/run"], "cannot be made"),
    "folder with a run": (["train", "vae", "--out", "{tmp}/run"], "holds a run already"),
    "folder without a name": (["train", "vae", "--out", ""], "a folder needs a name"),
    "divergence": (["train", "vae", "--lr", "1e9", "--epochs", "3", "--out", "run2"], "not a finite number in epoch"),
    "no gpu": (["train", "vae", "--backend", "cupy"], "CuPy"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_readable_line_and_exit_code_2(tmp_path, kind, on_a_gpu):
    arguments, says = BAD[kind]
    (tmp_path / "file").write_text("")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    if kind == "no gpu" and on_a_gpu:
        pytest.skip("a GPU answers")
    before = sorted(tmp_path.rglob("*"))
    result = subprocess.run(
        [sys.executable, "-m", "tinyae.cli", *(a.format(tmp=tmp_path) for a in arguments)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert says in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08 not gzip", bytes([0, 0, 8, 3]) + bytes(40)])
def test_a_damaged_data_file_is_one_readable_line(tmp_path, monkeypatch, capsys, content):
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "train-images-idx3-ubyte.gz").write_bytes(content)
    monkeypatch.setenv("TINYAE_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main(["train", "vae", "--data", "mnist"]) == 2
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1
    assert "train-images-idx3-ubyte.gz" in error[0]
    assert not (tmp_path / "runs").exists()


def test_ctrl_c_leaves_a_usable_run(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "tinyae.cli", "train", "vae", "--epochs", "1000000", "--out", "run"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    line = process.stdout.readline()  # printed just before the training
    assert line.startswith("vae on digits")
    progress = process.stderr.readline()  # after the first epoch
    assert progress.startswith("epoch 1/")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "interrupted after" in out
    assert ta.load(tmp_path / "run").latent == 2
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["interrupted"] is True


def test_ctrl_c_during_the_report_says_where_the_weights_are(tmp_path, monkeypatch, capsys):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(ta.report, "write_report", interrupted)
    assert main(["train", "vae", "--epochs", "1", "--out", str(tmp_path / "run")]) == 130
    assert "the trained weights are in" in capsys.readouterr().out
    assert ta.load(tmp_path / "run").latent == 2


def test_a_reader_that_goes_away_is_no_traceback(tmp_path):
    command = f"{sys.executable} -m tinyae microscope vae | head -1; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.stdout.startswith("One training step")
    assert result.stderr == ""
    assert result.returncode in (0, 141)


def test_a_gaussian_whose_images_hardly_depend_on_z_gets_a_hint(tmp_path, capsys):
    main(["train", "vae", "--epochs", "1", "--likelihood", "gaussian", "--out", str(tmp_path / "a")])
    assert "the images hardly depend on z; a smaller variance, --variance 0.05 say" in capsys.readouterr().out
    main(["train", "vae", "--epochs", "1", "--out", str(tmp_path / "b")])
    assert "--variance" not in capsys.readouterr().out


@pytest.mark.parametrize("command", [[], ["train"], ["microscope"], ["unroll"], ["ops"], ["check"], ["lesson"]])
def test_help_explains_and_shows_an_example(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--help"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    assert "usage: tinyae" in printed
    assert "example: tinyae" in printed


def test_the_microscope_prints_the_step(capsys):
    assert main(["microscope", "vae"]) == 0
    printed = capsys.readouterr().out
    assert "z = reparameterize(mean, log_variance, noise)" in printed
    assert "d loss / d log_variance = grad[z] * exp(log_variance / 2) * noise / 2" in printed


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is Linux's")
@pytest.mark.parametrize("command", ["models", "datasets", "ops"])
def test_output_that_finds_no_room_is_one_readable_line(command):
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "tinyae", command], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "No space left" in done.stderr


def test_a_terminal_that_knows_few_letters_gets_the_others_replaced():
    done = subprocess.run(
        [sys.executable, "-m", "tinyae", "models", "ladder-vae"], env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True
    )
    assert done.returncode == 0
    assert b"S?nderby" in done.stdout
