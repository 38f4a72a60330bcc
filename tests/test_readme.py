"""The README is true: its Python runs word for word, its files exist, its numbers are those of the committed table."""

import inspect
import pathlib
import re
import runpy

import numpy as np
import pytest

import tinyae as ta
from tinyae.cli import parser

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.S)
PROGRAMS = [block for block in BLOCKS if not block.startswith("@primitive")]  # that one is an excerpt, of the code that is there


def program(text):
    """The program that has this text."""
    (found,) = (block for block in PROGRAMS if text in block)
    return found


def run(source):
    """The names that a program leaves behind, begun with none: each is complete."""
    names = {}
    exec(compile(source, "README.md", "exec"), names)
    return names


def test_every_program_is_run_by_a_test():
    known = [
        "for epoch in range(20)",
        "patience=5",
        "ta.Replay(model)",
        "class Residual",
        "StandardNormal",
        "class VAE",
        "def swish",
        "detect_anomaly",
        "fake_gpu",
        "backward_steps",
    ]
    assert [program(text) for text in known] == PROGRAMS
    assert len(BLOCKS) == len(PROGRAMS) + 1


def test_the_loop_by_hand_lowers_the_loss():
    names = run(program("for epoch in range(20)"))
    model, digits = names["model"], names["digits"]
    fresh = ta.models.build(model.config, ta.rng(0))
    data = digits.binarise("dynamic")
    before, after = (ta.evaluation.evaluate(m, data, rng=ta.rng(1))["loss"] for m in (fresh, model))
    assert after < before - 10
    assert model.sample(16, rng=names["rng"]).shape == (16, 64)


def test_a_replay_trains_as_the_loop_by_hand_does():
    names = run(program("ta.Replay(model)"))
    rng = ta.rng(0)
    model = ta.models.VAE(features=64, latent=2, hidden=(64,), rng=rng)
    adam = ta.optim.Adam(model.parameters(), lr=1e-3)
    for x in names["digits"].batches(64, rng=rng):
        terms = model.loss(x, rng=rng)
        adam.zero_grad()
        terms.loss.backward()
        adam.step()
    assert names["terms"]["loss"] == terms.loss.data
    assert all((value == model.state_dict()[name]).all() for name, value in names["model"].state_dict().items())
    assert names["step"].calls == len(list(names["digits"].batches(64)))


def test_the_model_of_ones_own_trains_and_passes_the_check(capsys):
    names = run(program("class Residual"))
    assert capsys.readouterr().out.startswith("Report(worst=")
    assert names["loss"].item() < 12


def test_the_trace_steps_back_through_the_lines_and_proves_them(capsys, tmp_path):
    (tmp_path / "mine.py").write_text(program("backward_steps"))  # from a file: the lines are named after what stands there
    runpy.run_path(str(tmp_path / "mine.py"))
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(" = ")[0] for line in printed[:5]] == ["y5", "y4", "error", "y2", "y1"]
    assert "['g4 * error', 'g4 * error']" in printed[1]
    assert "right" in printed[-2]
    assert printed[-1] == "None"


def test_the_primitive_shown_is_the_code():
    (shown,) = (block for block in BLOCKS if block.startswith("@primitive"))
    code = re.sub(r'    """.*?"""\n', "", (ROOT / "tinyae" / "ops" / "variational.py").read_text(), flags=re.S)
    for block in shown.strip().split("\n\n\n"):
        assert block in code


def operations_listed():
    """(files, primitives, other functions) of each row of the README's table of operations."""
    table = re.search(r"\| file \| operations \|\n\|.*?\n(.*?)\n\n", README, flags=re.S).group(1)
    for row in table.splitlines():
        _, files, names, _ = row.split("|")
        names = re.sub(r"\(.*?\)", "", names)
        primitives, _, functions = names.partition(";")
        yield tuple(re.findall(r"`(\w+)`", part) for part in (files, primitives, functions))


def test_every_operation_is_listed_under_its_file():
    listed = list(operations_listed())
    assert sorted(name for _, primitives, _ in listed for name in primitives) == sorted(ta.ops.registry)
    for files, primitives, functions in listed:
        for name in primitives + functions:
            assert getattr(ta.ops, name).__module__.removeprefix("tinyae.ops.") in files, name
    functions = {name for name, value in vars(ta.ops).items() if inspect.isfunction(value)} - {"install", "primitive"}
    assert {name for *_, names in listed for name in names} == functions


def test_every_model_of_the_family_is_listed_once():
    (table,) = re.findall(r"\| \| models \|\n\|---\|---\|\n(.*?)\n\n", README, flags=re.S)
    assert sorted(re.findall(r"`([a-z0-9-]+)`", table)) == sorted(ta.models.MODELS)


@pytest.mark.bench
def test_the_same_vae_in_pytorch_gives_the_same_numbers(capsys):
    pytest.importorskip("torch")
    (theirs,) = re.findall(r"```py\n(.*?)```", README, flags=re.S)
    names = run(program("class VAE"))
    model, loss = names["model"], names["loss"].item()
    exec(compile(theirs, "README.md", "exec"), names)
    assert names["model"] is not model
    assert np.isclose(loss, names["loss"].item(), rtol=1e-6)
    for (name, value), (other, p) in zip(model.state_dict().items(), names["model"].named_parameters(), strict=True):
        assert name == other
        difference = np.abs(value - p.detach().numpy())
        assert np.sqrt(np.mean(difference**2)) < 1e-6
        assert difference.max() < 1e-3  # of one step: where a gradient is almost 0, Adam divides rounding by rounding
    ours, theirs = map(float, capsys.readouterr().out.split())
    assert np.isclose(ours, theirs, rtol=1e-6)


def test_the_vae_that_pytorch_is_compared_with_runs(capsys):
    assert run(program("class VAE"))["loss"].item() == float(capsys.readouterr().out)


def test_training_with_a_validation_split_runs():
    history = run(program("patience=5"))["history"]
    assert history["validation_negative_elbo"][-1] < history["validation_negative_elbo"][0] - 10


def test_the_distributions_agree_with_their_draws():
    names = run(program("StandardNormal"))
    assert names["z"].shape == (1000, 5, 2)
    np.testing.assert_allclose(names["q"].log_prob(names["z"]).mean(axis=0), -names["q"].entropy(), atol=0.2)


def test_the_operation_of_ones_own_passes_its_check():
    try:
        run(program("def swish"))
        assert "swish" in ta.ops.user_registry
    finally:
        ta.ops.user_registry.pop("swish", None)


def test_the_examples_for_what_is_wrong_run(capsys):
    run(program("detect_anomaly"))
    assert "kept in all" in capsys.readouterr().out
    run(program("fake_gpu"))
    assert "launches" in capsys.readouterr().out


def test_every_file_that_is_named_exists():
    links = re.findall(r"\]\(([^)#]+)\)", README) + re.findall(r'src="([^"]+)"', README)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link


@pytest.mark.parametrize("command", re.findall(r"^(?:pip install \. && )?(tinyae [^#\n]+)$", README, flags=re.M))
def test_every_command_shown_is_understood(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("path/to/images").mkdir(parents=True)
    assert parser().parse_args(command.split()[1:]).run


def test_the_numbers_shown_are_those_of_the_committed_table():
    table = (ROOT / "benchmarks" / "elbo.md").read_text()
    rows = [line for line in README.splitlines() if line.startswith(("| digits |", "| mnist |", "| mnist-conv |"))]
    assert rows == [line for line in table.splitlines() if line.startswith(("| digits |", "| mnist |", "| mnist-conv |"))]
