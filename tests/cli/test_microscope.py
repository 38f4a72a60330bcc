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
    *_, at, where, proof, through = out.rstrip().splitlines()
    assert at == "the first wrong rule on the way back from the loss: exp, in y2"
    assert where.startswith("the rule of operation 3 (mine_a.py:14) is wrong; it is written in ")
    assert where.rpartition(":")[2] == str(rule.function.__code__.co_firstlineno)
    assert __file__.endswith(os.path.basename(where.rpartition(":")[0]))
    assert proof.startswith("  the gradient of exp in y2: wrong (finite differences ")
    assert through == "  the gradients of what lies before it are wrong through it: w, 2 values"
    assert "operation 3 (mine_a.py:14)  std = exp(y2)\n" in out
    assert "the gradient of divide in h: rule right (" in out
    assert "the gradient of matmul in w: rule right (" in out
    assert "the gradient of square in std: right (" in out  # behind the wrong rule
    assert "  d loss / d w: wrong (" in out
    out = printed(capsys, f"{path}::loss", "--check", "--json", "a.json", code=1)
    assert "trace: a.json" in out


def test_a_wrong_rule_of_somebody_s_own_is_named_by_its_place(mine, capsys, tmp_path):
    text = '\n\n@ta.ops.primitive\ndef cube_of_mine(a):\n    return a * a * a\n\n\n@cube_of_mine.vjp("a")\ndef _(gy, a):\n    return gy * a\n'
    path = mine("\n\ndef loss(x, w):", text + "\n\ndef loss(x, w):\n    w = cube_of_mine(w)")
    try:
        out = printed(capsys, f"{path}::loss", "--check", code=1)
    finally:
        del ops.user_registry["cube_of_mine"]
    line = 1 + next(i for i, row in enumerate((tmp_path / path).read_text().splitlines()) if row.startswith("@cube_of_mine.vjp"))
    assert f"is wrong; it is written in {path}:{line}\n" in out
    assert out.rstrip().endswith("wrong through it: w")


@pytest.mark.parametrize("more", [[], ["--json", "a.json"]])
def test_a_loss_that_is_not_finite_names_the_first_operation_and_warns_of_nothing(more, mine, tmp_path):
    path = mine("error = square(std).sum()", "error = (square(std) - square(std)).log().sum()")
    environment = os.environ | {"PYTHONPATH": os.path.dirname(os.path.dirname(ta.__file__))}
    command = [sys.executable, "-m", "tinyae", "microscope", f"{path}::loss", "--check", *more]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    assert result.stderr == ""
    assert result.returncode == 1
    assert "the loss is not finite: -inf\nthe first operation with a result that is not finite: operation 7 (mine_a.py:15)" in result.stdout


def test_data_that_are_not_finite_and_a_gradient_alone_are_told(mine, capsys):
    path = mine("x = draw.normal(size=(5, 3))", "x = draw.normal(size=(5, 3)) * np.nan")
    assert "  what it is given is not finite already: x\n" in printed(capsys, f"{path}::loss", "--check", code=1)
    path = mine("return error", "return ta.ops.sqrt(square(h - h).sum()) + error")
    out = printed(capsys, f"{path}::loss", "--check", code=1)
    assert "the first gradient that is not finite, on the way back: that of sqrt in y" in out
    assert "with a result that is not finite" not in out


def refused(capsys, *arguments):
    """The one line of an error."""
    assert main([*arguments]) == 2
    return capsys.readouterr().err.strip()


def test_a_file_of_somebody_s_is_never_overwritten(mine, capsys, tmp_path):
    path, other = mine(), mine()
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "data.npz").write_bytes(b"mine")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    for option in ("--html", "--json"):
        for name in (path, f"./{path}", "link"):
            assert "is what is looked at, and would be overwritten." in refused(capsys, "microscope", f"{path}::loss", option, name)
        assert "tinyae unroll has not written it." in refused(capsys, "microscope", f"{path}::loss", option, other)
    for name, says in [
        (path, "is what is looked at"),
        ("link", "is what is looked at"),
        (other, "tinyae unroll has not written it"),
        ("data.npz", "this name is for the program's arrays"),
        ("data.py", "data.npz: it is there already, and data.py is no program"),
    ]:
        assert says in refused(capsys, "unroll", f"{path}::loss", "-o", name)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()} == before


def test_an_unrolled_program_may_be_written_again_and_a_record_is_not_its_own_page(mine, capsys, tmp_path):
    path = mine()
    for seed in ("0", "1"):
        assert main(["unroll", f"{path}::loss", "-o", "step.py", "--seed", seed]) == 0
    printed(capsys, f"{path}::loss", "--json", "a.json")
    before = (tmp_path / "a.json").read_bytes()
    assert "is what is looked at" in refused(capsys, "microscope", "a.json", "--html", "a.json")
    assert (tmp_path / "a.json").read_bytes() == before
    printed(capsys, f"{path}::loss", "--json", "a.json")


def test_a_record_is_printed_as_a_table(mine, capsys):
    path = mine()
    printed(capsys, f"{path}::loss", "--json", "a.json")
    out = printed(capsys, "a.json")
    assert len(out.splitlines()) <= len(printed(capsys, f"{path}::loss").splitlines()) + 12
    assert "\n       BACKWARD " in out


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
