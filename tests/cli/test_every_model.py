"""Every model of the table trains from the command line, leaves a whole run, and is used by the other commands."""

import json
import re

import pytest

from tinyae.cli import main
from tinyae.models import MODELS

SMALL = {"top-down-vae": ["--set", "layers=1x2:16:2,4x1:8:1"], "vq-vae": ["--set", "codes=8"]}  # a page of every operation takes its time


@pytest.mark.parametrize("name", MODELS)
def test_a_model_trains_to_a_report_and_is_drawn(name, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["train", name, "--epochs", "2", *SMALL.get(name, ()), "--out", str(run)]) == 0
    assert "report: " in capsys.readouterr().out
    metrics = json.loads((run / "metrics.json").read_text())
    assert all(isinstance(value, float) for value in metrics["test"].values())
    page = (run / "report.html").read_text()
    assert page.count("<figure") >= 3
    assert "None" not in re.sub(r"base64,[^\"')]+", "", page)  # letters that stand for a picture may say anything
    assert (run / "microscope.html").stat().st_size > 10_000
    assert main(["reconstruct", str(run)]) == 0
    drawn = main(["sample", str(run)])
    assert drawn == 0 or "no prior to sample from" in capsys.readouterr().err


def test_a_model_that_takes_labels_draws_points_too(tmp_path):
    assert main(["train", "conditional-vae", "--data", "two-moons", "--epochs", "1", "--out", str(tmp_path / "run")]) == 0
