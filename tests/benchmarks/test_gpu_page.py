"""What `benchmarks/gpu.py` counts and compares, on the fake device; what it says where no GPU answers."""

import types

import pytest

from benchmarks import gpu
from tinyae.backend import cupy_module
from tinyae.checks import fake_device
from tinyae.errors import BackendError


@pytest.fixture
def no_gpu():
    try:
        cupy_module()
    except BackendError:
        return
    pytest.skip("here a GPU answers")


def test_a_step_waits_for_nothing_and_adam_is_one_launch():
    found = gpu.counts("small")
    assert (found["waits"], found["back"], found["copies to the GPU"]) == (0, 0, 1)  # the noise is drawn on the host
    assert found["Adam"] == 1
    assert found["launches"] == found["forward"] + found["backward"] + found["Adam"]


@pytest.mark.parametrize("name", ["small", "normed", "pooled"])
def test_values_on_the_device_are_those_of_the_cpu(name):
    with fake_device.functions.installed():
        assert gpu.difference(name, "fake") < gpu.TOLERANCE


def test_a_wrong_value_on_the_device_is_seen(monkeypatch):
    right = gpu.loss_and_gradient

    def wrong(name, backend):
        loss, gradient = right(name, backend)
        return loss, gradient * (1.001 if backend == "fake" else 1)

    monkeypatch.setattr(gpu, "loss_and_gradient", wrong)
    with fake_device.functions.installed():
        assert gpu.difference("small", "fake") > gpu.TOLERANCE


class Stream:
    """CuPy's, as far as a capture goes: `refuses` says what happens while one is under way."""

    def __init__(self, refuses=None, lost=False, non_blocking=False):
        self.refuses, self.lost, self.capturing, self.launched = refuses, lost, False, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False

    def synchronize(self):
        assert not self.capturing

    def begin_capture(self):
        self.capturing = True

    def end_capture(self):
        self.capturing = False
        if self.refuses:
            raise RuntimeError("the capture was invalidated")
        return types.SimpleNamespace(launch=self.launch)

    def launch(self):
        self.launched += 1
        if not self.lost:
            self.peer.adam.flat.values += 1


def replay(monkeypatch, stream):
    step = gpu.Peer.step

    def watched(peer, x, noise):
        stream.peer = peer
        if stream.capturing and stream.refuses:
            raise NotImplementedError(stream.refuses)
        step(peer, x, noise)

    monkeypatch.setattr(gpu.Peer, "step", watched)
    with fake_device.functions.installed():
        return gpu.replayed("small", "fake", types.SimpleNamespace(cuda=types.SimpleNamespace(Stream=lambda non_blocking: stream)), steps=2)


def test_a_graph_is_launched_instead_of_the_step(monkeypatch):
    stream = Stream()
    found = replay(monkeypatch, stream)
    assert stream.launched == 10
    assert set(found) == {"by Python", "as a graph"}


def test_a_step_that_cannot_be_captured_says_why(monkeypatch):
    found = replay(monkeypatch, Stream(refuses="cuBLAS is not captured"))
    assert found["refused"] == "NotImplementedError: cuBLAS is not captured"
    assert "as a graph" not in found


def test_a_graph_that_does_nothing_is_seen(monkeypatch):
    assert "changed no parameter" in replay(monkeypatch, Stream(lost=True))["refused"]


def test_without_a_gpu_it_counts_and_says_in_one_line_that_none_answered(no_gpu, capsys, monkeypatch):
    monkeypatch.setattr(gpu, "NETWORKS", {"small": gpu.NETWORKS["small"]})
    gpu.main([])
    out, err = capsys.readouterr()
    assert err.startswith("no GPU answered: ")
    assert err.count("\n") == 1
    assert "Nothing was timed" in out
    assert "small VAE" in out


def test_the_page_shows_what_was_measured_on_a_gpu():
    times = {"rounds": {"tinyae": [1.0, 3.0, 2.0], "torch": [4.0]}}
    measured = {name: {"difference": 2e-6, "times": times} for name in gpu.MEASURED}
    measured |= {"counts": {"small": gpu.counts("small")}, "GPU": "One GPU"}
    page = gpu.page(measured | {"graph": {"by Python": 1.5, "as a graph": 0.25}})
    assert "by Python: 1.5 ms; as a CUDA graph: 0.25 ms." in page
    assert "as a CUDA graph: refused (no cuBLAS)." in gpu.page(measured | {"graph": {"by Python": 1.5, "refused": "no cuBLAS"}})
    assert "On one One GPU" in page
    assert "| 2 | 4 |  |  | 2.0e-06 |" in page
