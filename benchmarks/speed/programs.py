"""Whole programs in fresh processes, round after round in turn: an import, a first step, a training, what an operation costs."""

import os
import subprocess
import sys
import tempfile
import time
from functools import partial

from benchmarks import overhead
from benchmarks.speed.machine import ROOT, busy, environment
from benchmarks.speed.networks import NETWORKS
from benchmarks.speed.peers import FLOORS, OURS, PEERS, REPLAYED
from benchmarks.speed.rounds import BenchmarkError, Worker, entry, in_turn, usable

ROUNDS = {"import": 15, "overhead": 9, "cold-start": 5, "digits": 3, "mnist-epoch": 3}
IMPORT = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


def run(peer, *command):
    """What a Python program prints.  Raises BenchmarkError, with the program's last words, where it fails."""
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment(peer), capture_output=True, text=True)
    if done.returncode:
        raise BenchmarkError(f"{peer}: {(done.stderr.strip() or 'it failed').splitlines()[-1]}")
    return done.stdout


def import_seconds(module, peer):
    """Seconds of an import in a fresh interpreter, whose own start does not count."""
    return float(run(peer, "-c", IMPORT.format(module)))


def overhead_microseconds(program, peer):
    """Microseconds an operation, forward and backward."""
    return float(run(peer, overhead.__file__, "--only", program))


def cold_start_seconds(peer):
    """Seconds from nothing to the end of the first training step of the dense VAE."""
    start = time.time()
    with Worker(peer, "dense") as worker:
        worker.ask("run 1")
        return worker.ask("now")["now"] - start


def digits_seconds(peer):
    """Seconds of `tinyae train vae` as it stands, its report included."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        run(peer, "-m", "tinyae", "train", "vae", "--out", os.path.join(folder, "run"))
        return time.perf_counter() - start


def mnist_seconds(peer):
    """Seconds of an epoch on MNIST, with reading the files and measuring on the test split, imports apart."""
    return float(run(peer, "-m", "benchmarks.speed.epoch", "tinyae" if peer in OURS else peer))


def measures_of(name, peers):
    """program -> function that measures it once, and returns a number; the unit of that number."""
    frameworks = [peer for peer in peers if peer not in (*FLOORS, REPLAYED)]
    ours = [peer for peer in peers if peer in OURS]
    if name == "import":
        modules = {peer: "tinyae" if peer in ours else PEERS[peer].needs[0] for peer in frameworks if peer in (*OURS, *PEERS[peer].needs)}
        return {"numpy": partial(import_seconds, "numpy", "numpy")} | {p: partial(import_seconds, m, p) for p, m in modules.items()}, "seconds"
    if name == "overhead":
        engines = {peer: partial(overhead_microseconds, "engine", peer) for peer in ours}
        return {"by hand": partial(overhead_microseconds, "by hand", "by hand")} | engines, "microseconds"
    if name == "cold-start":
        return {peer: partial(cold_start_seconds, peer) for peer in frameworks}, "seconds"
    if name == "digits":
        return {peer: partial(digits_seconds, peer) for peer in ours}, "seconds"
    return {peer: partial(mnist_seconds, peer) for peer in frameworks if peer in (*OURS, "torch")}, "seconds"


def measure_programs(name, peers, rounds):
    """What speed.json holds of one kind of program.  A round before the first, that does not count, fills the caches of files and compilers."""
    if name == "mnist-epoch" and "TINYAE_DATA" not in os.environ:
        raise BenchmarkError("TINYAE_DATA must name the folder in which mnist/ lies")
    peers, left_out = usable(peers, NETWORKS["dense"])
    measures, unit = measures_of(name, peers)
    others = busy()
    in_turn(measures, 1)
    times = in_turn(measures, rounds)
    return entry(unit, times, max(others, busy()), left_out)
