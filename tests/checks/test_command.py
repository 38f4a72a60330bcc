"""`tinyae check`: our operations, somebody's functions, exit codes, one line for bad input."""

import importlib
import itertools
import os
import sys

import numpy as np
import pytest

import tinyae as ta
from tinyae import ops
from tinyae.checks import command, mutants, subjects
from tinyae.cli import main

counter = itertools.count()

SOFTMAX = """
import numpy as np

def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)

def {name}(gy, x):
    y = softmax(x)
    return {rule}
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """write(text): a file of its own name with that text; modules and primitives are forgotten afterwards."""
    modules, known = set(sys.modules), dict(ops.user_registry)
    path_before = list(sys.path)

    def make(text):
        path = tmp_path / f"own_file_{next(counter)}.py"
        path.write_text(text)
        return path

    yield make
    sys.path[:] = path_before
    for name in set(sys.modules) - modules:
        if name.startswith(("own_file", "beside")):
            del sys.modules[name]
    for name in set(ops.user_registry) - set(known):
        del ops.user_registry[name]


def row(out, name):
    """The line of an operation, as columns."""
    (line,) = [line for line in out.splitlines() if line.startswith(f"{name} ")]
    return [part.strip() for part in line.split("  ") if part.strip()]


def test_every_operation_passes(capsys):
    assert main(["check", "--examples", "3", "--order", "1"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split() == "operation inputs gradient second order float32 its gradient verdict".split()
    assert [line.split()[0] for line in lines[1 : 1 + len(ops.registry)]] == list(ops.registry)
    assert lines[-1] == f"{len(ops.registry)} checked, none failed"
    assert "\x1b" not in out
    assert f"checked 40 of {len(ops.registry)}" in err
    assert row(out, "exp")[-1] == "ok"
    assert row(out, "gelu")[-1] == "ok, with a reason"
    assert row(out, "round_straight_through")[2:] == ["-", "-", "0 ulp", "0 ulp", "surrogate"]


def test_one_operation_is_shown_with_both_orders_and_its_reasons(capsys):
    assert main(["check", "gelu", "exp"]) == 0
    out = capsys.readouterr().out
    _, inputs, first, second, *_ = row(out, "gelu")
    assert inputs.startswith("20 calls, up to (")
    assert 0 < float(first) < 1e-6
    assert 0 < float(second) < 1e-5
    assert "gelu, float32 value: the exponential of a rounded number" in out
    assert "exp, float32" not in out


def test_the_same_seed_gives_the_same_table_and_another_other_inputs(capsys):
    tables = []
    for seed in ("0", "0", "1"):
        main(["check", "tanh", "divide", "--seed", seed])
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1] != tables[2]


@pytest.mark.parametrize("wrong", [lambda gy, y: -gy * (1 - y * y), lambda gy, y: gy * (1 - y * y) * 1.0001])
def test_a_wrong_rule_fails_with_its_diagnosis_and_exit_code_1(wrong, monkeypatch, capsys):
    monkeypatch.setattr(ops.tanh.rules[0], "function", wrong)
    assert main(["check", "exp", "tanh"]) == 1
    out = capsys.readouterr().out
    assert row(out, "tanh")[-1] == "FAILED"
    assert row(out, "exp")[-1] == "ok"
    assert "gradcheck: tanh: the gradient of x is wrong" in out
    assert out.splitlines()[-1] == "1 of 2 failed: tanh"


def test_a_rule_that_is_wrong_in_the_second_order_only_fails_with_order_2(monkeypatch, capsys):
    monkeypatch.setattr(ops.square.rules[0], "function", lambda gy, x: 2 * gy * ta.autograd.raw(x))
    assert main(["check", "square", "--order", "1"]) == 0
    assert main(["check", "square"]) == 1


def test_a_float32_error_without_a_reason_fails(monkeypatch, capsys):
    monkeypatch.setattr(ops.softplus, "forward", lambda x: np.log(1 + np.exp(x)))
    with np.errstate(all="ignore"):
        assert main(["check", "softplus"]) == 1
    assert "softplus: more than 4 ulp in float32, and no reason is stated in checks/accuracy.py: x " in capsys.readouterr().out


# ---- somebody's functions


@pytest.mark.parametrize("name", ["softmax_backward", "softmax_vjp", "softmax_grad"])
def test_a_hand_written_backward_is_found_by_its_name(name, write, capsys):
    path = write(SOFTMAX.format(name=name, rule="y * (gy - (gy * y).sum(-1, keepdims=True))"))
    assert main(["check", f"{path}::softmax"]) == 0
    _, inputs, first, second, *ulp, verdict = row(capsys.readouterr().out, "softmax")
    assert inputs == "20 calls, up to (3,4)"
    assert float(first) < 1e-6
    assert second == "-"
    assert all(float(text.split()[0]) < 1000 for text in ulp)
    assert verdict == "ok"


@pytest.mark.parametrize(("rule", "likely"), [("0 * y", "zero"), ("-y * (gy - (gy * y).sum(-1, keepdims=True))", "sign"), ("y * gy", "")])
def test_a_wrong_backward_fails_with_exit_code_1(rule, likely, write, capsys):
    path = write(SOFTMAX.format(name="softmax_backward", rule=rule))
    assert main(["check", f"{path}::softmax"]) == 1
    out = capsys.readouterr().out
    assert "gradcheck: softmax: the gradient of x is wrong" in out
    assert likely in out


def test_a_function_of_tensors_is_checked_with_the_engines_gradients(write, capsys):
    path = write("from tinyae import ops\ndef f(x, y):\n    return ops.tanh(x * y).sum(axis=0)\ndef f_bakward(gy, x, y):\n    return gy\n")
    assert main(["check", f"{path}::f"]) == 0
    out = capsys.readouterr().out
    assert f"\nf: there is no f_backward(gy, *inputs) in {path}, so it was called with Tensors\n" in out
    _, inputs, first, second, *_ = row(out, "f")
    assert inputs == "20 calls, up to (3,4) (3,4)"
    assert float(first) < 1e-6
    assert float(second) < 1e-5


def test_a_primitive_in_a_file_gets_the_inputs_of_its_registry_data(write, capsys):
    rule = '@root.vjp("x")\ndef _(gy, y):\n    return gy / (2 * y)\n'
    path = write(
        'from tinyae.ops import primitive\n@primitive(domain={"x": "positive"})\ndef root(x):\n    """Root."""\n    return x ** 0.5\n' + rule
    )
    assert main(["check", f"{path}::root"]) == 0
    assert row(capsys.readouterr().out, "root")[-1] == "ok"
    assert "root" not in ops.registry


def test_annotations_say_shape_and_domain_and_a_parameter_with_a_default_is_a_constant(write, capsys):
    path = write(
        "from __future__ import annotations\nimport numpy as np\n"
        "def f(x: (2, 5), w: 'positive', scale=3.0):\n    return (np.log(w).sum() * scale) * x\n"
        "def f_backward(gy, x, w):\n    return gy * np.log(w).sum() * 3, (gy * x).sum() * 3 / w\n"
    )
    assert main(["check", f"{path}::f"]) == 0
    assert row(capsys.readouterr().out, "f")[1] == "20 calls, up to (2,5) (3,4)"


def test_a_list_of_inputs_in_the_file_is_used(write, capsys):
    path = write(
        "import numpy as np\nf_inputs = [np.array([1, 2, 0]), [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]]\n"
        "def f(rows, table):\n    return table[rows]\n"
        "def f_backward(gy, rows, table):\n    g = np.zeros(table.shape)\n    np.add.at(g, rows, gy)\n    return None, g\n"
    )
    assert main(["check", f"{path}::f"]) == 0
    assert row(capsys.readouterr().out, "f")[1] == "1 call, up to (3,) (3,2)"


@pytest.mark.parametrize(("rule", "says"), [("2 * gy", "is wrong in"), ("gy, gy", "another number of gradients")])
def test_a_failure_says_which_inputs_were_assumed_and_how_to_annotate(rule, says, write, capsys):
    signature = "from numpy import positive\ndef f(x, gain, rate: 'positive', shift: (2, 1, 1)):\n    return x + gain + rate + shift\n"
    path = write(signature + f"def f_backward(gy, *inputs):\n    return {rule}\n")
    assert main(["check", f"{path}::f"]) == 1
    told = "shape (3, 4) and both signs were assumed for x, gain: annotate `x: (4,)` or `x: 'positive'`, or list arrays, `f_inputs = [...]`"
    assert f"\n  inputs    {told}\n" in capsys.readouterr().out


def test_a_function_that_is_not_finite_or_raises_is_told_with_the_inputs_assumed(write, capsys):
    path = write("import numpy as np\ndef f(x):\n    return np.log(x)\ndef f_backward(gy, x):\n    return gy / x\n")
    assert main(["check", f"{path}::f"]) == 1
    out, err = capsys.readouterr()
    assert "f is not finite here" in out
    assert "both signs were assumed for x" in out
    assert "Warning" not in err
    path = write("import numpy as np\ndef f(x: 'np.ndarray', gain):\n    return x @ gain\ndef f_backward(gy, x, gain):\n    return gy, gy\n")
    assert main(["check", f"{path}::f"]) == 2
    assert "line 3: ValueError: matmul: " in (err := capsys.readouterr().err)
    assert "remedy: shape (3, 4) and both signs were assumed for x, gain: annotate" in err


def test_a_file_alone_checks_each_function_with_a_backward_and_each_primitive(write, capsys):
    right = "from tinyae.ops import exp, primitive\ndef f(x):\n    return 2 * x\ndef f_vjp(gy, x):\n    return 2 * gy\ndef helper(x):\n    return x\n"
    path = write(right + '@primitive\ndef third(x):\n    """Third."""\n    return x / 3\n@third.vjp("x")\ndef _(gy):\n    return gy / 3\n')
    assert main(["check", str(path)]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()[1:3]] == ["f", "third"]
    assert out.endswith("2 checked, none failed\n")


def test_a_float32_column_without_a_number_is_explained(write, capsys):
    backward = "def f_backward(gy, x):\n    return 2.0 * gy\n"
    for body, explained in (("np.float64(2) * x", True), ("2.0 * x", False)):
        path = write(f"import numpy as np\ndef f(x):\n    return {body}\n{backward}")
        assert main(["check", f"{path}::f"]) == 0
        out = capsys.readouterr().out
        assert (row(out, "f")[4] == "-") == explained
        assert ("f, float32: - stands for what is float64 though the inputs are float32" in out) == explained


def test_the_files_own_folder_is_on_the_path(write, capsys):
    path = write("from beside import double as f, double_backward as f_backward\n")
    (path.parent / "beside.py").write_text("def double(x):\n    return 2 * x\ndef double_backward(gy, x):\n    return 2 * gy\n")
    importlib.invalidate_caches()
    assert main(["check", f"{path}::f"]) == 0


# ---- bad input

BAD = {
    "unknown operation": ("", "sofmax", "no operation is called 'sofmax'. (remedy: did you mean softmax?)"),
    "no such thing": ("", "qqqq", "tinyae ops lists them all"),
    "no file": ("", "nowhere.py::f", "there is no file nowhere.py"),
    "no function": ("def softmax(x):\n    return x\n", "{file}::sofmax", "there is no function 'sofmax'. (remedy: did you mean softmax?)"),
    "no name": ("x = 1\n", "{file}::", "there is no function ''"),
    "a number": ("f = 1\n", "{file}::f", "there is no function 'f'"),
    "an error in the file": ("import numpy\n\nx = 1 / 0\n", "{file}::f", ", line 3: ZeroDivisionError: division by zero"),
    "no Python": ("def f(:\n", "{file}::f", ", line 1: SyntaxError: invalid syntax"),
    "it exits": ("import sys\nsys.exit(3)\n", "{file}::f", ", line 2: SystemExit: 3"),
    "an error in the function": ("def f(x):\n    return x + {}\ndef f_backward(gy, x):\n    return gy\n", "{file}::f", ", line 2: TypeError"),
    "no parameters": ("def f():\n    return 1\n", "{file}::f", "f has no parameter"),
    "NumPy without a backward": (
        "import numpy as np\ndef f(x):\n    return np.exp(x)\ndef f_bakward(gy, x):\n    return gy\n",
        "{file}::f",
        "remedy: f: there is no f_backward(gy, *inputs) in {file}, so it was called with Tensors; shape (3, 4) and both signs were assumed for x",
    ),
    "an unknown domain": (
        "def f(x: 'postive'):\n    return x\n",
        "{file}::f",
        "no domain 'postive'. (expected: real, nonzero, positive, unit, boolean",
    ),
    "a file without a backward": (
        "def f(x):\n    return x\n",
        "{file}",
        "no function has a backward beside it, so say which one is meant. (expected: ",
    ),
    "no file to look through": ("", "nowhere.py", "there is no file nowhere.py"),
    "inputs that are no list": ("f_inputs = 3\ndef f(x):\n    return x\n", "{file}::f", "f_inputs is a list of arrays"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_readable_line_and_exit_code_2(kind, write, capsys):
    text, name, says = BAD[kind]
    path = write(text)
    assert main(["check", name.replace("{file}", str(path))]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("tinyae: ")
    assert says.replace("{file}", str(path)) in line


@pytest.mark.parametrize("arguments", [["--order", "3"], ["--examples", "0"], ["--seed", "-1"]])
def test_settings_outside_their_range_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["check", "exp", *arguments])
    assert stopped.value.code == 2


def test_without_hypothesis_one_line_says_what_to_install(monkeypatch, capsys, tmp_path):
    for name in [name for name in sys.modules if name.startswith(("hypothesis", "tinyae.checks.strategies"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(ta.checks, "strategies", raising=False)
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    (tmp_path / "mine.py").write_text("def f(x):\n    return x * x\n")
    for name in ("exp", f"{tmp_path / 'mine.py'}::f"):
        assert main(["check", name]) == 2
        assert 'Hypothesis, which is not installed. (remedy: pip install "tinyae[checks]")' in capsys.readouterr().err


def test_ctrl_c_is_exit_code_130(monkeypatch, capsys):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "row_of", interrupted)
    assert main(["check", "exp"]) == 130
    assert capsys.readouterr().err == "tinyae: interrupted\n"


def test_what_is_done_is_shown_after_ctrl_c(monkeypatch, capsys):
    def interrupted(one, order, seed):
        if one.name == "exp":
            raise KeyboardInterrupt
        return right(one, order, seed)

    right = command.row_of
    monkeypatch.setattr(command, "row_of", interrupted)
    assert main(["check", "tanh", "exp", "sin"]) == 130
    out = capsys.readouterr().out
    assert row(out, "tanh")[-1] == "ok"
    assert len(out.splitlines()) == 2


# ---- mutants


def test_the_mutants_of_a_rule_are_counted(capsys):
    assert main(["check", "--mutants", "expm1"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert "mutants of 1 functions" in first
    assert first.endswith("0 survived")


def test_a_mutant_that_nobody_sees_is_exit_code_1(capsys, monkeypatch):
    monkeypatch.setattr(mutants, "verdicts", lambda targets: [mutants.Verdict(targets[0].name, mutants.Mutant(None, 1, "a", "b", None), None)])
    assert main(["check", "--mutants", "expm1"]) == 1
    assert "SURVIVED" in capsys.readouterr().out


def test_mutants_of_a_file_are_refused(capsys):
    assert main(["check", "--mutants", "mine.py::f"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "the library's own operations. (got: mine.py::f; remedy: tinyae check mine.py::f)" in line


def test_mutants_of_what_does_not_exist_are_one_readable_line(capsys):
    assert main(["check", "--mutants", "exq"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "nothing is called exq" in line


def test_a_file_that_was_changed_within_a_second_is_read_again(tmp_path):
    file = tmp_path / "changed_at_once.py"
    for number in (1, 2):
        file.write_text(f"found = {number}\n")
        os.utime(file, (1e9, 1e9))
        subjects._loaded.clear()
        assert subjects.loaded(file).found == number
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
