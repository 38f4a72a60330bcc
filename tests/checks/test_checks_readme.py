"""The page of the checks is true: its blocks run in order, its tests pass, its commands are understood."""

import pathlib
import re

import numpy as np
import pytest

import tinyae as ta
from tinyae.checks import GradientError, strategies
from tinyae.cli import parser
from tinyae.errors import ArgumentError

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
    (shown,) = re.findall(r"```text\n(.*?)\n```", PAGE, flags=re.S)
    assert re.sub(r"\d\d\d+", "", shown) == re.sub(r"\d\d\d+", "", str(error))
    assert capsys.readouterr().out.count("Report(worst=") == 2


def test_the_property_test_fails_for_a_wrong_backward(capsys):
    names, _ = run_all()
    names["softmax_backward"] = names["forgetful_backward"]
    with pytest.raises(GradientError):
        names["test_softmax"]()


def test_the_way_to_a_property_test_is_ten_lines_beside_the_function_itself():
    imports = [line for line in BLOCKS[0].splitlines() if line.startswith(("import", "from"))]
    backward_and_test = [line for line in BLOCKS[0][BLOCKS[0].index("def softmax_backward") :].splitlines() if line]
    assert len(imports) + len(backward_and_test) <= 10


def test_every_strategy_is_named_on_the_page():
    assert [name for name in strategies.__all__ if name not in PAGE and name not in ("SHAPE", "examples", "inputs_of")] == []


@pytest.mark.parametrize(("domain", "low", "high"), re.findall(r'`"(\w+)"` \((-?[\d.]+) to ([\d.]+)', PAGE))
@pytest.mark.parametrize("shape", [(12,), (200,)])
def test_the_values_of_a_domain_lie_in_the_range_shown(domain, low, high, shape):
    drawn = np.array(strategies.examples(strategies.arrays(shape, domain), 20, 0))
    drawn = np.abs(drawn) if domain == "nonzero" else drawn
    assert float(low) <= drawn.min() <= float(low) + 0.1
    assert float(high) - 0.1 <= drawn.max() <= float(high)


def test_a_domain_that_does_not_exist_is_refused_with_those_that_do():
    for wrong in ("foo", (2.0, 1.0), None):
        with pytest.raises(ArgumentError, match=r"no domain(?s:.*)expected  real, nonzero, positive, unit, boolean, binary, or an interval"):
            strategies.arrays((3,), wrong)
    assert all(f'`"{domain}"`' in PAGE for domain in strategies.values.DOMAINS)


@pytest.mark.parametrize("command", re.findall(r"`tinyae ([^`]+)`", PAGE))
def test_every_command_shown_is_understood(command):
    assert parser().parse_args(command.split()).run


def test_it_is_one_page():
    assert PAGE.count("\n") <= 130
