"""The page of the checks is true: its blocks run in order, its tests pass, its commands are understood."""

import pathlib
import re

import pytest

import tinyae as ta
from tinyae.checks import GradientError, strategies
from tinyae.cli import parser

PAGE = (pathlib.Path(ta.__file__).parent / "checks" / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)


def run_all():
    """The names that all blocks leave behind, and the error of the one that shows an error."""
    names, errors = {"__name__": "README"}, []
    for block in BLOCKS:
        try:
            exec(compile(block, "<README>", "exec"), names)
        except GradientError as error:
            assert "# GradientError" in block
            errors.append(error)
        else:
            assert "# GradientError" not in block
    return names, errors


def test_every_block_runs_and_every_test_in_it_passes(capsys):
    names, errors = run_all()
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()
    (error,) = errors
    assert "forgetful" not in str(error)
    assert re.search(r"softmax: the gradient of x is wrong in \d of 3 entries", str(error))
    assert capsys.readouterr().out.count("Report(worst=") == 2


def test_the_property_test_fails_for_a_wrong_backward(capsys):
    names, _ = run_all()
    names["softmax_backward"] = names["forgetful_backward"]
    with pytest.raises(GradientError):
        names["test_softmax"]()


def test_the_way_to_a_property_test_is_ten_lines_beside_the_function_itself():
    imports = [line for line in BLOCKS[0].splitlines() if line.startswith(("import", "from"))]
    backward = BLOCKS[0][BLOCKS[0].index("def softmax_backward") :].strip().splitlines()
    test = BLOCKS[1].strip().splitlines()
    assert len(imports) + len(backward) + len(test) <= 10


def test_every_strategy_is_named_on_the_page():
    assert [name for name in strategies.__all__ if name not in PAGE and name not in ("SHAPE", "examples", "inputs_of")] == []


@pytest.mark.parametrize("command", re.findall(r"`tinyae ([^`]+)`", PAGE))
def test_every_command_shown_is_understood(command):
    assert parser().parse_args(command.split()).run


def test_it_is_one_page():
    assert PAGE.count("\n") <= 130
