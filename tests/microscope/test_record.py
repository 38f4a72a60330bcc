"""The record of a trace: each operation on its right line of scripts that are not ours, long loops folded, marks and checks."""

import collections
import json
import linecache

import numpy as np
import pytest
import scripts

import tinyae as ta
from tinyae import ops
from tinyae.microscope import record_of, trace
from tinyae.microscope.target import load_target


@pytest.fixture
def recorded(somebody):
    """The record of the script."""
    return load_target(f"{scripts.write(somebody)}::loss").record()


def operations_by_line(record, file):
    """{line number: [operations]} of a file."""
    found = collections.defaultdict(list)
    for node in record["nodes"]:
        if record["functions"][node["function"]]["file"] == file:
            found[node["at"]].append(node["operation"])
    return dict(found)


@pytest.mark.parametrize(("file", "source"), [("main_of_somebody.py", scripts.MAIN), ("helper_of_main.py", scripts.HELPER)])
def test_every_operation_stands_on_its_line(recorded, file, source):
    assert operations_by_line(recorded, file) == scripts.expected(source)


def test_the_comments_of_the_script_name_every_operation(recorded):
    named = sum(len(operations) for source in (scripts.MAIN, scripts.HELPER) for operations in scripts.expected(source).values())
    assert named == len(recorded["nodes"]) > 25


def test_the_source_of_a_node_is_in_the_function_that_is_shown(recorded):
    for node in recorded["nodes"]:
        function = recorded["functions"][node["function"]]
        assert node["operation"] in function["lines"][node["at"] - function["first"]].partition("#")[2].split()
        assert function["first"] <= node["line"] <= node["at"] < function["first"] + len(function["lines"])


def test_a_record_is_what_json_can_hold(recorded):
    text = json.dumps(recorded, allow_nan=False)
    assert json.loads(text) == recorded


def test_the_same_seed_gives_the_same_record(somebody):
    (somebody / "drawn.py").write_text(
        "import tinyae as ta\nw = ta.Tensor([1.0, 2.0], requires_grad=True)\ndef loss(w, rng):\n    return (w * rng.normal((2,), 'float64')).sum()\n"
    )
    first, again, other = (load_target(f"{somebody / 'drawn.py'}::loss", seed).record() for seed in (1, 1, 2))
    assert first == again
    assert first["loss"] != other["loss"]


def loop(x):
    """A thousand turns."""
    h = x
    for _ in range(1000):
        h = ops.tanh(h * 1.01)
    return h.sum()


def test_a_loop_of_a_thousand_turns_is_folded_and_the_record_small():
    found = trace(loop, ta.Tensor(np.linspace(0.1, 1, 5), requires_grad=True))
    record = record_of(found)
    assert (len(found.lines), len(record["nodes"]), record["folded"]) == (2001, 7, 1994)
    assert [node["turn"] for node in record["nodes"]] == [0, 0, 1, 1, 999, 999, 0]
    assert len(json.dumps(record)) < 60_000
    assert record["checks"] == [{"what": "gradients", "passed": True, "text": "15 of 15 gradients agree with finite differences", "node": None}]


def test_a_short_loop_is_not_folded():
    def three(x):
        for _ in range(3):
            x = ops.tanh(x)
        return x.sum()

    record = record_of(trace(three, ta.Tensor(np.ones(2), requires_grad=True)))
    assert (len(record["nodes"]), record["folded"]) == (4, 0)


def test_surrogates_kinks_and_draws_are_marked():
    x, noise = ta.Tensor(np.array([[0.4, -1.2]]), requires_grad=True), np.array([[0.3, 0.1]])

    def loss(x):
        z = ops.reparameterize(x, x, noise)
        return ops.relu(z).sum() + ops.round_straight_through(x).sum()

    record = record_of(trace(loss, x), draws=2)
    notes = {node["operation"]: node["notes"] for node in record["nodes"]}
    assert notes["reparameterize"] == ["stochastic: its noise is an input, a constant for the gradient"]
    assert notes["relu"] == [f"kink at {ops.relu.kinks}"]
    assert notes["round_straight_through"][0] == "surrogate: its gradient is not the derivative, on purpose"
    assert notes["add"] == []
    verdicts = {node["operation"]: [rule["check"]["verdict"] for rule in node["rules"]] for node in record["nodes"]}
    assert verdicts["round_straight_through"] == ["surrogate"]
    assert verdicts["relu"] == ["right"]
    assert record["draws"] == 2


def test_the_shares_of_a_gradient_add_up_to_one(recorded):
    for node in recorded["nodes"]:
        if node["from"]:
            assert sum(one["share"] for one in node["from"]) == pytest.approx(1)
    (twice,) = [node for node in recorded["nodes"] if node["name"] == "twice"]
    assert len(twice["from"]) == 1
    (h,) = [node for node in recorded["nodes"] if node["operation"] == "subtract" and node["turn"] == 1]
    assert len(h["from"]) == 5


def test_what_cannot_be_shown_in_lines_is_still_recorded():
    namespace = {"ops": ops}
    exec(compile("def loss(x):\n    return ops.exp(x).sum()\n", "<typed>", "exec"), namespace)
    record = record_of(trace(namespace["loss"], ta.Tensor(np.ones(2), requires_grad=True)))
    assert [node["operation"] for node in record["nodes"]] == ["exp", "sum"]
    assert not linecache.getlines("<typed>")


def test_a_model_is_told_by_the_lines_of_its_file():
    record = load_target("vae").record(draws=0)
    assert {function["file"] for function in record["functions"]} == {"vae.py", "objective.py"}
    assert all(check["passed"] for check in record["checks"])


def test_a_wrong_rule_of_a_fused_operation_is_shown_and_fails_the_checks(monkeypatch):
    rule = ops.kl_standard_normal.rules[0]
    right = rule.function
    monkeypatch.setattr(rule, "function", lambda gy, mean: 1.5 * right(gy, mean))
    record = load_target("vae").record(draws=0)
    (node,) = [node for node in record["nodes"] if node["operation"] == "kl_standard_normal"]
    assert [one["check"]["verdict"] for one in node["rules"]] == ["wrong", "right"]
    assert node["inside"]
    assert [check["passed"] for check in record["checks"] if check["what"] == "gradients"] == [False]


@pytest.mark.parametrize(("write", "constant"), [
    (lambda a, b: a + b + 2.0, 2.0),
    (lambda a, b: 3.0 - (a - b) * 2.0, 3.0),
    (lambda a, b: (a + b + np.array([1.0, 2.0])).mean(), 1.5),
    (lambda a, b: a + b, 0.0),
])  # fmt: skip
def test_constants_of_the_loss_are_counted_and_everything_adds_up(write, constant):
    w = ta.Tensor(np.array(0.7), requires_grad=True)

    def loss():
        first = w * w
        second = ta.ops.exp(w)
        return write(first, second)

    record = record_of(trace(loss), draws=0)
    assert [term["name"].lstrip("-") for term in record["terms"]] == ["first", "second"]
    assert record["loss"]["constant"] == pytest.approx(constant)
    assert record["checks"][0]["passed"]
    assert ("constants" in record["checks"][0]["what"]) == bool(constant)


def test_entries_that_hardly_differ_have_a_histogram():
    w = ta.Tensor(np.array([1.0, 1.0 + 2e-16]), requires_grad=True)
    record = record_of(trace(lambda: (w * 1.0).sum()), draws=0)
    assert record["nodes"][0]["value"]["histogram"] == [2]


def test_only_what_meets_the_data_entry_by_entry_is_drawn_as_images():
    model = ta.models.VAE(64, 2, (64,), channels=(4, 4), image_shape=(8, 8), rng=ta.rng(0))
    x = ta.rng(1).bernoulli(np.full((3, 64), 0.5, np.float32))
    record = record_of(trace(model.loss, x, noise=ta.rng(2).normal((3, 2))), image_shape=(8, 8), draws=0, checks=False)
    drawn = {node["name"]: node["value"]["picture"] for node in record["nodes"] if node["value"]["picture"]}
    assert drawn["logits"]["images"] == 3
    hidden = next(node for node in record["nodes"] if node["operation"] == "linear")  # 64 units, as many as an image has pixels
    assert hidden["value"]["shape"] == [3, 64]
    assert hidden["value"]["picture"]["images"] == 0
    wide = next(node for node in record["nodes"] if node["value"]["shape"] == [3, 4, 4, 4])  # 4 channels of 4x4 are 64 numbers too
    assert (wide["value"]["picture"]["rows"], wide["value"]["picture"]["images"]) == (4, 4)
    dense = ta.models.VAE(64, 2, (16,), rng=ta.rng(0))
    record = record_of(trace(dense.loss, x, noise=ta.rng(2).normal((3, 2))), image_shape=(8, 8), draws=0, checks=False)
    weights = {leaf["name"]: leaf["value"]["picture"]["images"] for leaf in record["leaves"]}
    assert weights["encoder.0.weight"] == 6
    assert weights["decoder.2.weight"] == 0


def test_what_is_subtracted_says_so_in_the_name_of_its_term():
    w = ta.Tensor(np.array([0.7, 0.2]), requires_grad=True)

    def loss():
        first = (w * w).sum()
        second = ta.ops.exp(w).sum()
        return first - 0.5 * second

    record = record_of(trace(loss), draws=0)
    assert [term["name"] for term in record["terms"]] == ["first", "-0.5 * second"]
    assert " - " in record["checks"][0]["what"]
    assert record["checks"][0]["passed"]


def test_a_wrong_rule_is_named_and_the_parameters_before_it_fail_too(monkeypatch):
    rule = ta.ops.tanh.rules[0]
    right = rule.function
    monkeypatch.setattr(rule, "function", lambda *given: 1.5 * right(*given))
    w = ta.Tensor(np.array([0.7, 0.2]), requires_grad=True)
    record = record_of(trace(lambda: ta.ops.tanh(w * 2.0).sum()), draws=0)
    assert [leaf["check"]["verdict"] for leaf in record["leaves"]] == ["wrong"]
    check = record["checks"][-1]
    assert not check["passed"]
    assert (check["node"], "tanh" in check["text"]) == (2, True)
