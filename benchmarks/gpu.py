"""tinyae on a GPU: values against the CPU, time of a training step beside PyTorch and JAX; and what a step asks of any GPU, counted without one.

    python benchmarks/gpu.py            # both; without a GPU the counts alone, and a line that says so
    python benchmarks/gpu.py --write    # into benchmarks/gpu.md and gpu.json

Launches, waits (synchronisations) and copies are counted on the fake device of `tinyae.checks`, which refuses what CuPy refuses.
The times: see `python -m benchmarks --help`; here every framework uses the GPU, and a block of steps ends with a wait for it.
An experiment besides: whether CuPy can replay a step as a CUDA graph, and what that is worth.
"""

import argparse
import json
import os
import pathlib
import sys
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import tinyae as ta
from benchmarks.speed.machine import described
from benchmarks.speed.networks import NETWORKS, batches_of, noise_of, weights_of
from benchmarks.speed.peers.with_tinyae import Peer
from benchmarks.speed.rounds import measure_network
from tinyae.backend import cupy_module, to_device, to_numpy
from tinyae.checks.fake_device import fake_gpu
from tinyae.errors import BackendError, one_line

PAGE = pathlib.Path(__file__).with_suffix(".md")
PEERS = ["tinyae", "torch", "torch-compiled", "jax"]
GRAPH = "A step as a CUDA graph: not with CuPy, up to 14.2 at least, which refuses to capture a call of cuBLAS, and so every matrix product."
MEASURED, TOLERANCE = ("dense", "conv", "small"), 1e-4


def counts(name):
    """What a training step of a network asks of a GPU, once all is warm: launches so far after each part; waits; copies in both directions."""
    network = NETWORKS[name]
    with fake_gpu() as counters:
        peer = Peer(network, weights_of(network))
        peer.model.to("fake")
        peer.adam = ta.optim.Adam(peer.model.parameters())
        x = to_device(batches_of(network, 1)[0])
        peer.step(x)
        counters.reset()
        loss = peer.loss(x)
        forward = counters.launches
        peer.adam.zero_grad()
        loss.backward()
        backward = counters.launches - forward
        peer.adam.step()
        found = {"forward": forward, "backward": backward, "Adam": counters.launches - forward - backward, "launches": counters.launches}
        return found | {"waits": counters.synchronisations, "copies to the GPU": counters.copies_to_device, "back": counters.copies_to_host}


def loss_and_gradient(name, backend):
    """The loss and all gradients of a network at given weights, data and noise, computed on a backend: NumPy arrays."""
    network = NETWORKS[name]
    with ta.using(backend):
        peer = Peer(network, weights_of(network))
        peer.model.to(backend)
        noise = noise_of(network, 1)[0]
        loss = peer.loss(to_device(batches_of(network, 1)[0]), None if noise is None else to_device(noise))
        loss.backward()
        return loss.item(), np.concatenate([to_numpy(p.grad).ravel() for p in peer.model.parameters()])


def difference(name, backend):
    """How far loss and gradient on a backend are from those on NumPy: the larger relative error, of the loss and in the gradients' norm."""
    (loss, gradient), (expected, theirs) = loss_and_gradient(name, backend), loss_and_gradient(name, "numpy")
    return max(abs(loss - expected) / abs(expected), float(np.linalg.norm(gradient - theirs) / np.linalg.norm(theirs)))


def milliseconds(call, wait, steps, rounds=5):
    """Of one call, the median of rounds that end with a wait."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(steps):
            call()
        wait()
        times.append((time.perf_counter() - start) / steps * 1e3)
    return float(np.median(times))


def replayed(name, backend, xp, steps=200):
    """An experiment: a training step run by Python, and replayed as a CUDA graph.  {"by Python": ms, "as a graph": ms, or "refused": why}.

    A graph freezes whatever Python decides: data and noise are given arrays here, and Adam's correction for the first steps stands still.
    CuPy, up to 14.2 at least, captures no call of cuBLAS (setStream in cupy_backends/cuda/libs/cublas.pyx), so no step with a matrix product:
    the result is "refused", until that changes.
    """
    network, stream = NETWORKS[name], xp.cuda.Stream(non_blocking=True)
    with ta.using(backend), stream:
        peer = Peer(network, weights_of(network))
        peer.model.to(backend)
        peer.adam = ta.optim.Adam(peer.model.parameters())
        x, noise = to_device(batches_of(network, 1)[0]), to_device(noise_of(network, 1)[0])
        for _ in range(3):  # all kernels are compiled, all memory is in the pool
            peer.step(x, noise)
        found, refused = {"by Python": milliseconds(lambda: peer.step(x, noise), stream.synchronize, steps)}, None
        stream.begin_capture()
        try:
            peer.step(x, noise)
        except Exception as error:  # of a library that cannot be captured
            refused = error
        try:
            graph = stream.end_capture()
        except Exception as error:
            refused = refused or error
        if refused:
            return found | {"refused": f"{type(refused).__name__}: {one_line(refused)}"}
        before = to_numpy(peer.adam.flat.values).copy()
        found["as a graph"] = milliseconds(graph.launch, stream.synchronize, steps)
        if np.array_equal(before, to_numpy(peer.adam.flat.values)):
            return found | {"refused": "the graph was launched and changed no parameter"}
        return found


def measure():
    """Values and times on the GPU: {"GPU": its model, network: {"difference": ..., "times": ...}}.  Raises BackendError without one."""
    cupy = cupy_module()
    found = {"GPU": cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()}
    os.environ["BENCHMARK_DEVICE"] = "gpu"  # for the processes that are started below
    for name in MEASURED:
        error = difference(name, "cupy")
        if not error <= TOLERANCE:
            raise SystemExit(f"{name}: on the GPU loss or gradient differ by {error:.2g}, at most {TOLERANCE} is rounding")
        found[name] = {"difference": error, "times": measure_network(name, PEERS, rounds=9, seconds=0.3)}
    return found | {"graph": replayed("dense", "cupy", cupy)}


def page(result):
    """The content of gpu.md."""
    lines = ["# On a GPU", "", "Made by `python benchmarks/gpu.py --write`.  What a training step asks of a GPU, counted on the fake device:", ""]
    columns = list(next(iter(result["counts"].values())))
    lines += ["| network | " + " | ".join(columns) + " |", "|" + "---|" * (len(columns) + 1)]
    lines += [f"| {NETWORKS[name].title} | " + " | ".join(str(row[c]) for c in columns) + " |" for name, row in result["counts"].items()]
    if "GPU" not in result:
        return "\n".join([*lines, "", f"Nothing was timed: {result['why']}.", "", GRAPH, ""])
    lines += ["", f"On one {result['GPU']}, milliseconds a step (medians) and the difference from the CPU:", ""]
    lines += ["| network | " + " | ".join(PEERS) + " | difference |", "|" + "---|" * (len(PEERS) + 2)]
    for name in MEASURED:
        times = result[name]["times"]["rounds"]
        cells = [f"{np.median(times[peer]):.3g}" if peer in times else "" for peer in PEERS]
        lines.append(f"| {NETWORKS[name].title} | " + " | ".join([*cells, f"{result[name]['difference']:.1e}"]) + " |")
    graph = result["graph"]
    told = f"refused ({graph['refused']})" if "refused" in graph else f"{graph['as a graph']:.3g} ms"
    lines += [
        "",
        f"A step of the {NETWORKS['dense'].title}, on given data and noise, run by Python: {graph['by Python']:.3g} ms; as a CUDA graph: {told}.",
    ]
    return "\n".join([*lines, ""])


def main(argv=None):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write benchmarks/gpu.md and gpu.json")
    arguments = parser.parse_args(argv)
    result = {"machine": described(), "counts": {name: counts(name) for name in NETWORKS}}
    try:
        result |= measure()
    except BackendError as error:
        result["why"] = one_line(error).split(" (")[0].rstrip(".")
        print(f"no GPU answered: {result['why']}", file=sys.stderr)
    print(page(result))
    if arguments.write:
        PAGE.with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")
        PAGE.write_text(page(result))


if __name__ == "__main__":
    main()
