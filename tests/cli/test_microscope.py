"""`tinyae microscope` and `tinyae unroll`: text, page, record, comparison, proofs, and one readable line for bad input."""

import html
import json
import os
import re
import runpy
import subprocess
import sys

import numpy as np
import pytest

import tinyae as ta
from tinyae import ops
from tinyae.checks import subjects
from tinyae.cli import main

SCRIPT = """
import numpy as np
import tinyae as ta
from tinyae.ops import exp, square

print("running")
draw = np.random.default_rng(0)
w = ta.Tensor(draw.normal(size=(3, 4)), requires_grad=True)
x = draw.normal(size=(5, 3))


def loss(x, w):
    h = x @ w
    std = exp(h / 2)
    error = square(std).sum()
    return error + 0.5 * square(h).mean()


if __name__ == "__main__":
    raise SystemExit("not to be run")
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """mine(old, new): the script in a file of its own with a change."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(subjects, "_loaded", {})
    modules, names = set(sys.modules), iter(f"mine_{letter}" for letter in "abcdef")

    def write(old="", new=""):
        name = next(names)
        (tmp_path / f"{name}.py").write_text(SCRIPT.replace(old, new) if old else SCRIPT)
        return f"{name}.py"

    yield write
    for name in set(sys.modules) - modules:
        if name.startswith("mine_"):
            del sys.modules[name]


def printed(capsys, *arguments, code=0):
    assert main(["microscope", *arguments]) == code
    return capsys.readouterr().out


def test_without_a_terminal_the_lines_are_printed_as_ever(capsys):
    assert printed(capsys, "vae") == ta.microscope.microscope_model("vae") + "\n"
    assert printed(capsys, "vae", "--seed", "3", "--plain") == ta.microscope.microscope_model("vae", seed=3) + "\n"


def test_sizes_reach_the_model(capsys):
    out = printed(capsys, "vae", "--latent", "3", "--hidden", "8", "5", "--batch", "6")
    assert "VAE(features=64, latent=3, hidden=(8, 5)," in out
    assert "a batch of 6 training digits" in out
    assert "conv2d" in printed(capsys, "autoencoder", "--channels", "2")


def test_a_function_in_a_file_is_printed(mine, capsys):
    path = mine()
    out = printed(capsys, f"{path}::loss")
    assert out.startswith(f"running\n{path}::loss, seed 0.\n")
    assert "std = exp(y2)" in out
    assert "d loss / d w = x.T @ grad[h]" in out
    assert printed(capsys, path).startswith(f"{path}::loss, seed 0.\n")


def test_terms_of_somebody_s_loss_are_told(mine, capsys):
    path = mine("return error + 0.5 * square(h).mean()", "return {'loss': error + 1, 'error': error, 'note': 'x'}")
    out = printed(capsys, f"{path}::loss")
    assert out.rstrip().splitlines()[-1].split()[0] == "error"


def test_a_record_is_written_read_and_shown(mine, capsys, tmp_path):
    path = mine()
    assert "trace: trace.json" in printed(capsys, f"{path}::loss", "--json", "trace.json")
    first = (tmp_path / "trace.json").read_bytes()
    printed(capsys, f"{path}::loss", "--json", "again.json")
    assert (tmp_path / "again.json").read_bytes() == first
    assert json.loads(first)["title"] == f"{path}::loss"
    assert "std = exp(y2)" in printed(capsys, "trace.json")
    printed(capsys, "trace.json", "--json", "copy.json")
    assert (tmp_path / "copy.json").read_bytes() == first


def test_two_programs_are_compared(mine, capsys):
    right, wrong = mine(), mine("exp(h / 2)", "exp(h)")
    printed(capsys, f"{right}::loss", "--json", "right.json")
    assert "no difference" in printed(capsys, f"{right}::loss", "--diff", "right.json")
    out = printed(capsys, f"{wrong}::loss", "--diff", "right.json", "--json", "wrong.json", code=1)
    assert "first difference: mine_a.py:14   std = exp(h / 2)" in out
    assert "mine_b.py:14   std = exp(h)" in out
    assert "first difference: mine_a.py:14" in printed(capsys, "wrong.json", "--diff", "right.json", code=1)


def test_a_page_is_written_also_of_a_record_and_of_a_comparison(mine, capsys, tmp_path):
    path = mine()
    assert "page: page.html" in printed(capsys, f"{path}::loss", "--html", "page.html", "--json", "a.json")
    page = (tmp_path / "page.html").read_text()
    assert "std = exp(h / 2)" in html.unescape(re.sub("<[^>]*>", "", page))
    printed(capsys, "a.json", "--html", "again.html")
    assert (tmp_path / "again.html").read_text() == page
    wrong = mine("exp(h / 2)", "exp(h)")
    printed(capsys, f"{wrong}::loss", "--html", "compared.html", "--diff", "a.json", code=1)
    assert (tmp_path / "compared.html").read_text() != page


def test_every_proof_is_printed_and_a_wrong_one_blamed(mine, capsys, monkeypatch):
    path = mine()
    out = printed(capsys, f"{path}::loss", "--check")
    assert "d loss / d std: right (finite differences" in out
    assert "the gradient of matmul in w: right" in out
    assert out.rstrip().endswith("right")
    assert "wrong" not in out
    rule = ops.exp.rules[0]
    right = rule.function
    monkeypatch.setattr(rule, "function", lambda gy, y: 1.5 * right(gy, y))
    out = printed(capsys, f"{path}::loss", "--check", code=1)
    *_, at, line, proof = out.rstrip().splitlines()
    assert at == "the first wrong rule on the way back from the loss: exp, in y2"
    assert "mine_a.py:14  std = exp(y2)" in line
    assert "the gradient of exp in y2: wrong" in proof
    out = printed(capsys, f"{path}::loss", "--check", "--json", "a.json", code=1)
    assert "trace: a.json" in out


def test_unrolled_programs_give_the_gradients(mine, capsys, tmp_path):
    path = mine()
    assert main(["unroll", f"{path}::loss", "-o", "step.py"]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == ["written: step.py", "written: step.npz"]
    found = runpy.run_path(str(tmp_path / "step.py"))["gradients"]
    module = subjects.loaded(path)
    module.w.grad = None
    module.loss(module.x, module.w).backward()
    np.testing.assert_array_equal(found["w"], module.w.grad)
    assert main(["unroll", f"{path}::loss"]) == 0
    assert "np.exp" in capsys.readouterr().out
    assert sorted(file.name for file in tmp_path.iterdir() if file.suffix != ".pyc" and file.is_file()) == [path, "step.npz", "step.py"]


BAD = {
    "unknown model": (["microscope", "gan"], "unknown model 'gan'"),
    "no target": (["microscope"], "required"),
    "no file": (["microscope", "nowhere.py::f"], "there is no file nowhere.py"),
    "no function": (["microscope", "{mine}::f"], "there is no function 'f'"),
    "no loss": (["microscope", "{mine}::square"], "square takes x"),
    "sizes of a file": (["microscope", "{mine}::loss", "--hidden", "3"], "--hidden is the size of a model"),
    "no width": (["microscope", "vae", "--hidden", "0"], "'0' is not a whole number"),
    "no record": (["microscope", "nowhere.json"], "nowhere.json: it cannot be read as a trace"),
    "no record to compare": (["microscope", "vae", "--diff", "{mine}"], "it is no JSON"),
    "record with a seed": (["microscope", "a.json", "--seed", "3"], "--seed needs the program"),
    "record to check": (["microscope", "a.json", "--check"], "--check needs the program"),
    "folder of the record": (["microscope", "vae", "--json", "nowhere/a.json"], "there is no folder 'nowhere'"),
    "folder of the page": (["microscope", "vae", "--html", "nowhere/a.html"], "there is no folder 'nowhere'"),
    "unroll nothing": (["unroll", "gan"], "unknown model 'gan'"),
    "unroll a folder": (["unroll", "vae", "-o", "."], "'.' is not the name of a file"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_readable_line_and_exit_code_2(kind, mine, capsys, tmp_path):
    arguments, says = BAD[kind]
    path = mine("x = draw", "rows = draw") if kind == "no loss" else mine()
    try:
        code = main([argument.format(mine=path) for argument in arguments])
    except SystemExit as stopped:
        code = stopped.code
    error = capsys.readouterr().err
    assert code == 2
    assert says in error.splitlines()[-1]
    assert "Traceback" not in error
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == [path]


def test_an_error_of_somebody_s_file_is_told_with_its_line_and_no_traceback(mine, tmp_path):
    path = mine("error = square(std).sum()", "error = square(std).sum() / nothing")
    environment = os.environ | {"PYTHONPATH": os.path.dirname(os.path.dirname(ta.__file__))}
    command = [sys.executable, "-m", "tinyae", "microscope", f"{path}::loss"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 2
    assert result.stderr == f"tinyae: {path}, line 15: NameError: name 'nothing' is not defined\n"
