"""Two traces side by side: a planted bug is named by its line, whatever its kind."""

import copy

import buggy
import numpy as np
import pytest

from tinyae import ops
from tinyae.checks import subjects
from tinyae.microscope.diff import diff
from tinyae.microscope.target import load_target


@pytest.fixture
def make(somebody):
    """make(bug): the record of the program with a bug, or of the right one."""
    return lambda bug=None, seed=0: load_target(f"{buggy.write(somebody, bug)}::loss", seed).record(checks=False, draws=0)


def test_a_trace_is_like_itself(make):
    found = diff(make(), make())
    assert found.first is None
    assert all(not row.differences for row in found.rows)
    assert "no difference" in found.to_text()


@pytest.mark.parametrize("bug", buggy.BUGS)
def test_the_first_difference_is_the_line_with_the_bug(bug, make):
    wrong, right = make(bug), make()
    found = diff(wrong, right, "own.json")
    node = found.first.b or found.first.a
    assert node["source"] in (buggy.line(bug), buggy.line(bug).replace(*buggy.BUGS[bug]))
    text = found.to_text()
    file = f"own_{bug}.py" if found.first.b is None else "own_right.py"
    assert f"first difference: {file}:{node['at']}   {node['source']}" in text
    assert max(len(row) for row in text[: text.index("first difference:")].splitlines()[2:]) <= 110
    assert text.count("\n> ") == 2  # the row, and the meaning of the mark


def test_operations_belong_together_across_an_inserted_one(make):
    found = diff(make("std"), make())
    (only,) = [row for row in found.rows if row.a is None]
    assert only.b["operation"] == "divide"
    assert only is found.first
    assert [row.b["operation"] for row in found.rows] == [node["operation"] for node in make()["nodes"]]
    after = found.rows[found.rows.index(only) + 1]
    assert (after.a["operation"], after.b["operation"]) == ("exp", "exp")
    assert set(after.differences) >= {"value", "source"}
    assert "std = exp(log_variance / 2)" in found.to_text()


def test_the_forgotten_half_is_told_with_both_numbers(make):
    wrong, right = make("kl"), make()
    text = diff(wrong, right).to_text()
    assert f"loss = {wrong['loss']['value']:.6g}" in text
    assert "only b has this operation" in text
    assert "kl = 0.5 *" in text


def test_a_broken_rule_is_found_on_the_way_back(make, monkeypatch):
    right = make()
    rule = ops.exp.rules[0]
    known = rule.function
    monkeypatch.setattr(rule, "function", lambda gy, y: 1.5 * known(gy, y))
    found = diff(make(), right)
    assert found.first.b["operation"] == "exp"
    assert "gradient" not in found.first.differences
    assert "norm" in found.first.differences["rule"]
    assert all("value" not in row.differences for row in found.rows)


def test_a_gradient_of_the_same_size_in_other_places_is_noticed(make):
    one, other = make(), make()
    (node,) = [node for node in other["nodes"] if node["operation"] == "tanh"]
    entries = node["gradient"]["entries"]
    entries[0], entries[1] = entries[1], entries[0]
    found = diff(one, other)
    assert found.first.b is node
    assert list(found.first.differences) == ["gradient"]
    assert "entry" in found.first.differences["gradient"]


def test_a_large_array_in_another_order_is_noticed():
    large = np.random.default_rng(0).normal(size=(20, 20))
    from tinyae.microscope.diff import unlike
    from tinyae.microscope.record import array_of

    assert unlike(array_of(large), array_of(large)) == ""
    assert "statistics" in unlike(array_of(large), array_of(large.T))
    assert unlike(array_of(large), array_of(large * (1 + 1e-7))) == ""
    assert "norm" in unlike(array_of(large), array_of(large * 1.001)) or unlike(array_of(large), array_of(large * 1.001))


def test_rounding_is_no_difference_and_float32_has_more_of_it(make):
    one, other = make(), make()
    other["nodes"][2]["value"]["norm"] *= 1 + 5e-6
    assert diff(one, other).first is None
    other["nodes"][2]["value"]["norm"] *= 1 + 5e-5
    assert diff(one, other).first is not None
    for record in (one, other):
        for node in record["nodes"]:
            node["value"]["dtype"] = "float32"
    assert diff(one, other).first is None


def test_another_name_alone_is_no_other_number_and_comes_last(make):
    one, other = make(), make()
    other["nodes"][1]["source"] = "hidden = tanh(x @ w1)"
    found = diff(one, other)
    assert list(found.first.differences) == ["source"]
    other["nodes"][-1]["value"]["norm"] = 7.0
    assert diff(one, other).first.b is other["nodes"][-1]


def test_other_weights_are_told_before_anything_else(make):
    one, other = make(), make()
    leaf = next(leaf for leaf in other["leaves"] if leaf["name"] == "w2")
    leaf["value"]["norm"] *= 2
    other["nodes"][0]["value"]["norm"] *= 2
    found = diff(one, other)
    assert found.starts == ["w2"]
    assert "these differ before anything is computed: w2" in found.to_text()


CONSTANTS = {
    "x": ("> 0.5).astype", "> 0.4).astype", "the data or noise differ: x, in operation 1 (own_right.py:15)"),
    "noise": ("noise = draw.normal(size=(5, 2))", "noise = 2 * draw.normal(size=(5, 2))", "the data or noise differ: noise, in operation 7"),
}


@pytest.mark.parametrize("kind", CONSTANTS)
def test_other_data_and_other_noise_are_told(kind, make, somebody, monkeypatch):
    old, new, says = CONSTANTS[kind]
    right = make()
    subjects._loaded.clear()
    monkeypatch.setattr(buggy, "RIGHT", buggy.RIGHT.replace(old, new))
    found = diff(right, make())
    assert says in found.to_text()
    assert len(found.given) == 1


@pytest.mark.parametrize("bug", buggy.BUGS)
def test_a_bug_is_no_other_data(bug, make):
    assert diff(make(bug), make()).given == []


def test_a_row_that_is_alike_alone_is_shown_and_long_names_keep_their_columns(make):
    one, other = make(), make()
    for i in (0, 8):
        other["nodes"][i]["value"]["norm"] = 77.0
    for record in (one, other):
        record["nodes"][2]["operation"] = "an_operation_with_a_name_of_some_length"
    text = diff(one, other).to_text()
    assert "... 1 alike" not in text
    assert "... 8 alike" in text
    rows = text[: text.index("> first")].splitlines()
    columns = [row.index(name) for name in ("y1 = x", "h = tanh", "mean = h", "log_variance = h", "y5 = log_variance") for row in rows if name in row]
    assert len(columns) == 5
    assert len({*columns}) == 1


def test_what_is_not_finite_on_one_side_is_a_difference(make):
    one, other = make(), make()
    other["nodes"][3]["value"]["norm"] = None
    assert "not finite in b" in diff(one, other).first.differences["value"]
    one = copy.deepcopy(other)
    assert diff(one, other).first is None


def test_a_gradient_that_is_missing_is_a_difference(make):
    one, other = make(), make()
    other["nodes"][3]["gradient"] = None
    assert diff(one, other).first.differences["gradient"] == "only a has one"
    assert diff(other, one).first.differences["gradient"] == "only b has one"
