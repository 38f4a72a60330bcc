"""The benchmarks of speed: tables say what the JSON says, and all frameworks are given the same mathematics.  Nothing is timed here."""

import copy
import importlib.util
import json
import pathlib
import types

import numpy as np
import pytest

import tinyae as ta
from benchmarks.__main__ import main
from benchmarks.speed import rounds, table
from benchmarks.speed.networks import NETWORKS, batches_of, noise_of, weights_of
from benchmarks.speed.peers import FLOORS, PEERS, build, reason_to_leave_out
from benchmarks.speed.peers.products import products_of
from benchmarks.speed.plain import Plain

ROOT = pathlib.Path(__file__).parents[2]
TEACHING = ("mygrad", "autograd")


def made_up():
    """Results of a small run, with numbers that are easy to check."""
    times = {"tinyae": [2.0, 3.0, 40.0], "tinyae-fast": [1.0, 1.0, 9.0], "torch": [2.0, 2.0, 50.0], "jax": [4.0, 0.5, 10.0]}
    times["torch-compiled"] = [1.0, 1.0, 10.0]
    more = {peer: {"peak_megabytes": 100.0 * i, "faults": 7.0 * i} for i, peer in enumerate(times, 1)}
    facts = {"date": "2026-01-31", "busy": 0.0, "left_out": {"tinygrad": "it needs clang"}, "quick": False}
    dense = facts | {"unit": "milliseconds", "clock": "wall", "rounds": times, "more": more}
    imports = facts | {"unit": "seconds", "rounds": {"numpy": [0.1, 0.2], "tinyae": [0.15, 0.2]}}
    overhead = facts | {"unit": "microseconds", "rounds": {"by hand": [1.0, 2.0, 1.5], "tinyae": [4.0, 4.0, 4.75]}}
    machine = {"processor": "Processor X", "cores": 2, "system": "Linux", "versions": {"python": "3.11.7", "torch": "2.13.0"}}
    return {"machine": machine, "measured": {"dense": dense, "import": imports, "overhead": overhead}}


def cells(page, *beginning):
    """The cells of the one line of a page that begins with these cells."""
    (line,) = (line for line in page.splitlines() if line.startswith("| " + " | ".join(beginning) + " |"))
    return line.strip("| ").split(" | ")


def test_the_readme_shows_what_speed_json_holds():
    readme = table.README.read_text()
    assert table.with_table(readme, table.readme_table(table.read())) == readme


def test_the_page_is_what_speed_json_holds():
    assert table.PAGE.read_text() == table.render(table.read())


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds():
    page = table.render(made_up())
    assert cells(page, "dense VAE: a step", "PyTorch")[2:] == ["1.00, at most 1.05: met", "0.50, at most 0.85: met"]  # 1, 1.5, 0.8; 0.5, 0.5, 0.18


def test_beside_several_frameworks_the_best_one_of_each_round_counts():
    page = table.render(made_up())
    assert cells(page, "dense VAE: a step", "the best of compiled PyTorch and JAX")[2:] == ["4.00", "1.00, at most 1.10: met"]  # 2, 6, 4; 1, 2, 0.9


def test_memory_overhead_and_imports_are_judged_as_well():
    page = table.render(made_up())
    assert cells(page, "dense VAE: peak memory", "PyTorch")[2:] == ["0.33, at most 0.35: met", "0.67, at most 0.60: **missed**"]
    assert cells(page, "an operation, forward and backward: microseconds beyond")[2] == "3.00, at most 3.00: met"
    assert cells(page, "import", "NumPy")[2] == "1.25, at most 1.30: met"


def test_what_was_not_measured_is_said():
    page = table.render(made_up())
    assert cells(page, "small VAE: a step", "JAX")[2] == "not measured"
    assert "- tinygrad, TinyJit (dense, import, overhead): it needs clang" in page


def test_the_numbers_of_the_page_are_medians():
    page = table.render(made_up())
    lines = [line for line in page.splitlines() if line.startswith("| " + NETWORKS["dense"].title)]
    assert [line.strip("| ").split(" | ")[2:] for line in lines] == [
        ["3", "1", "2", "1", "4"],
        ["100", "200", "300", "500", "400"],
        ["7", "14", "21", "35", "28"],
    ]
    assert cells(page, table.PROGRAM_TITLES["import"])[1:4:2] == ["150", "175"]


def test_the_page_says_when_where_and_whether_the_machine_was_quiet():
    results = made_up()
    quiet = table.circumstances(results)
    assert quiet == "Measured on 2026-01-31: Processor X, 2 cores, Linux; Python 3.11.7, PyTorch 2.13.0."
    results["measured"]["import"] |= {"busy": 1.2, "quick": True, "date": "2026-02-01"}
    results["measured"]["dense"]["clock"] = "processor"
    assert "2026-01-31 to 2026-02-01" in table.circumstances(results)
    assert "In processor time instead of wall time: dense. A trial, with few and short rounds." in table.circumstances(results)
    assert table.circumstances(results).endswith("Other programs kept up to 1.2 cores busy at the time: times are rough.")


def test_a_measurement_made_anew_replaces_the_old_one_and_another_machine_all():
    old, new = made_up(), copy.deepcopy(made_up())
    new["measured"] = {"dense": new["measured"]["dense"] | {"date": "2026-02-01"}}
    both = table.merged(old, new)
    assert list(both["measured"]) == ["dense", "import", "overhead"]
    assert both["measured"]["dense"]["date"] == "2026-02-01"
    new["machine"] = new["machine"] | {"processor": "Processor Y"}
    assert list(table.merged(old, new)["measured"]) == ["dense"]


def test_written_results_are_read_as_they_were(tmp_path, monkeypatch):
    monkeypatch.setattr(table, "RESULTS", tmp_path / "speed.json")
    monkeypatch.setattr(table, "PAGE", tmp_path / "speed.md")
    table.write(made_up())
    assert table.read() == json.loads((tmp_path / "speed.json").read_text()) == made_up()
    assert '"tinyae": [2.0, 3.0, 40.0]' in (tmp_path / "speed.json").read_text()
    assert (tmp_path / "speed.md").read_text() == table.render(made_up())


def test_a_readme_without_markers_is_refused():
    with pytest.raises(ValueError, match="the README has no lines"):
        table.with_table("# tinyae\n", "| a |")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "unknown measurement 'nothing'; there are dense, conv, "),
        (["--peers", "torch,theano"], "unknown framework 'theano'; there are tinyae, "),
        (["--rounds", "0"], "--rounds is 1 or more"),
        (["--rounds", "x"], "argument --rounds: invalid int value: 'x'"),
    ],
)
def test_bad_input_is_one_line(arguments, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith(f"python -m benchmarks: {said}")


def given(name):
    """A network, its weights, three batches with their noise, and what the loss is measured on."""
    network = NETWORKS[name]
    *xs, x = batches_of(network, 4)
    *noises, noise = noise_of(network, 4)
    return network, weights_of(network), list(zip(xs, noises, strict=True)), (x, noise)


def losses_of(peer, name):
    """The loss before and after three steps, as a worker compares them."""
    network, weights, steps, (x, noise) = given(name)
    peer = build(peer, network, weights)
    x, noise = peer.array(x), noise if noise is None else peer.array(noise)
    before = peer.loss_at(x, noise)
    for batch, e in steps:
        peer.step(peer.array(batch), e if e is None else peer.array(e))
    return {"loss": before, "after": peer.loss_at(x, noise)}


@pytest.mark.parametrize("name", NETWORKS)
def test_tinyae_has_the_loss_that_plain_numpy_has(name):
    network, weights, _, (x, noise) = given(name)
    expected = float(Plain().loss(network, weights, x, noise))
    assert np.isclose(build("tinyae", network, weights).loss_at(x, noise), expected, rtol=1e-5)


@pytest.mark.parametrize("name", [name for name in NETWORKS if NETWORKS[name].layer_kinds <= {"linear", "relu", "tanh"} or name == "conv"])
def test_the_model_is_the_one_that_a_user_gets(name):
    network = NETWORKS[name]
    hidden = {"dense": (400,), "small": (64,), "iwae": (200, 200), "conv": (256,)}[name]
    settings = {"channels": (32, 64), "image_shape": (28, 28)} if name == "conv" else {}
    kind = ta.models.IWAE if network.kind == "iwae" else ta.models.VAE
    model = kind(network.features, latent=network.latent, hidden=hidden, rng=ta.rng(0), **settings)
    assert {key: value.shape for key, value in model.state_dict().items()} == {key: w.shape for key, w in weights_of(network).items()}


def assert_learn_the_same(name, *peers):
    """The losses of these frameworks on a network are one, before and after some steps; else a BenchmarkError names the one that differs."""
    found = {peer: losses_of(peer, name) for peer in peers}
    rounds.compare(found, found[peers[0]]["loss"])


@pytest.mark.parametrize("name", ["small", "dense", "deep", "normed"])
@pytest.mark.parametrize("peer", TEACHING)
@pytest.mark.bench
def test_teaching_engines_learn_the_same(peer, name):
    if reason := reason_to_leave_out(peer):
        pytest.skip(reason)
    assert_learn_the_same(name, "tinyae", peer)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.bench
def test_pytorch_learns_the_same(name):
    pytest.importorskip("torch").set_num_threads(1)  # its threads wait for each other where other tests keep the cores busy
    assert_learn_the_same(name, "tinyae", "torch", "torch-fused")


def test_the_comparison_names_the_framework_that_differs():
    good = losses_of("tinyae", "small")
    rounds.compare({"tinyae": good, "torch": good}, good["loss"])
    with pytest.raises(rounds.BenchmarkError, match=r"^torch: its loss is"):
        rounds.compare({"tinyae": good, "torch": good | {"loss": good["loss"] * 1.001}}, good["loss"])
    with pytest.raises(rounds.BenchmarkError, match=r"^torch: after 3 steps its loss is"):
        rounds.compare({"tinyae": good, "torch": good | {"after": good["after"] * 1.01}}, good["loss"])
    with pytest.raises(rounds.BenchmarkError, match=r"^tinyae: its loss is nan"):
        rounds.compare({"tinyae": good | {"loss": float("nan")}}, good["loss"])


def test_a_learning_rate_that_differs_is_noticed(monkeypatch):
    good = losses_of("tinyae", "dense")
    monkeypatch.setattr("benchmarks.speed.peers.with_tinyae.LR", 1.1e-3)
    with pytest.raises(rounds.BenchmarkError, match=r"^torch: after 3 steps"):
        rounds.compare({"tinyae": good, "torch": losses_of("tinyae", "dense")}, good["loss"])


def test_a_worker_that_fails_is_named_with_its_last_words():
    with pytest.raises(rounds.BenchmarkError, match=r"^tinyae: KeyError: 'nothing'"), rounds.Worker("tinyae", "nothing") as worker:
        worker.ask("check")


def test_a_worker_answers_and_is_what_the_tests_above_test():
    with rounds.Worker("tinyae", "small") as worker:
        found = worker.ask("check")
        assert {"wall", "processor", "faults"} <= worker.ask("run 2").keys()
        assert 10 < worker.ask("report")["peak_megabytes"] < 1000
    expected = losses_of("tinyae", "small")
    assert all(np.isclose(found[key], expected[key], rtol=1e-5) for key in ("loss", "after"))


def test_measures_are_made_in_turn_and_every_second_round_backwards():
    order = []
    found = rounds.in_turn({name: lambda name=name: order.append(name) or len(order) for name in "abc"}, 3)
    assert order == list("abccbaabc")
    assert found == {"a": [1, 6, 7], "b": [2, 5, 8], "c": [3, 4, 9]}


def test_the_products_are_those_of_the_layers():
    """(rows, inner, columns, whether the left factor needs a gradient)."""
    dense = [(128, 784, 400, False), (128, 400, 40, True), (128, 20, 400, True), (128, 400, 784, True)]
    assert products_of(NETWORKS["dense"]) == dense
    assert products_of(NETWORKS["iwae"])[3] == (1000, 50, 200, True)
    conv = products_of(NETWORKS["conv"])
    assert conv[:2] == [(128 * 14 * 14, 16, 32, False), (128 * 7 * 7, 512, 64, True)]
    assert conv[-2:] == [(128 * 7 * 7, 64, 512, True), (128 * 14 * 14, 32, 16, True)]
    pooled = products_of(NETWORKS["pooled"])
    assert [rows // 32 for rows, *_ in pooled] == [28 * 28, 14 * 14, 1, 1, 14 * 14, 28 * 28]


def test_the_functions_of_a_step_alone_are_those_of_the_step():
    """As many calls as operations and rules, every array of the right size among them, and afterwards everything as it was."""
    network = NETWORKS["small"]
    before = {name: (f.forward, f.fast, *(rule.function for rule in f.rules)) for name, f in ta.ops.registry.items()}
    peer = build("functions", network, weights_of(network))
    assert before == {name: (f.forward, f.fast, *(rule.function for rule in f.rules)) for name, f in ta.ops.registry.items()}
    shapes = [np.shape(argument) for _, arguments, _ in peer.calls for argument in arguments]
    assert {(64, 64), (64, 2), (4, 64)} <= set(shapes)
    assert 35 < len(peer.calls) < 45
    assert peer.calls[-1][0].__name__ == "update"
    peer.step(None)


def test_what_is_not_installed_or_cannot_express_a_network_is_left_out_with_a_reason(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert reason_to_leave_out("jax") == "jax is not installed"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: types.SimpleNamespace(origin=None))
    assert "is not installed" in reason_to_leave_out("autograd", NETWORKS["small"])  # a folder of that name, as tests/autograd
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: types.SimpleNamespace(origin=name))
    assert reason_to_leave_out("mygrad", NETWORKS["conv"]) == "it has no conv"
    assert reason_to_leave_out("mygrad", NETWORKS["dense"]) is None
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert reason_to_leave_out("torch-compiled") == "it needs g++"


def test_every_framework_has_a_file():
    for about in PEERS.values():
        assert (ROOT / "benchmarks" / "speed" / "peers" / f"{about.file}.py").exists()
    assert set(FLOORS) < set(PEERS)
