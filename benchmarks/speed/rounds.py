"""Every framework with one network in a process of its own, round after round in turn, after a comparison of their losses."""

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from statistics import median

from benchmarks.speed.machine import ROOT, busy, environment, today
from benchmarks.speed.networks import NETWORKS, batches_of, noise_of, weights_of
from benchmarks.speed.peers import FLOORS, OURS, reason_to_leave_out
from benchmarks.speed.plain import Plain
from benchmarks.speed.worker import STEPS_CHECKED

PAUSE = 0.25  # seconds before each block: OpenBLAS's threads keep a core busy for a tenth of a second after their last product
TOLERANCE, TOLERANCE_AFTER = 1e-4, 1e-3  # relative, of the loss, and of the loss after some steps


class BenchmarkError(Exception):
    """A measurement that would be worthless; the message names the framework."""


class Worker:
    """The process of one framework with one network; used in a `with` statement, at whose end the process ends."""

    def __init__(self, peer, network):
        self.peer, self.errors = peer, tempfile.TemporaryFile("w+")  # noqa: SIM115, closed by __exit__
        command = [sys.executable, "-m", "benchmarks.speed.worker", peer, network]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.errors, "text": True}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment(peer), **pipes)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()

    def ask(self, command):
        """The answer to a command, a dict.  Raises BenchmarkError where the process has ended instead."""
        with contextlib.suppress(BrokenPipeError):
            print(command, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            raise BenchmarkError(f"{self.peer}: {(self.errors.read().strip() or 'it ended without a word').splitlines()[-1]}")
        return json.loads(line)


def in_turn(measures, rounds):
    """name -> list of what each of the functions `measures` returned; every second round goes through them backwards."""
    found = {name: [] for name in measures}
    for i in range(rounds):
        for name in measures if i % 2 == 0 else reversed(measures):
            time.sleep(PAUSE)
            found[name].append(measures[name]())
    return found


def compare(found, expected):
    """Raise BenchmarkError, which names the framework, where a loss is not that of NumPy, or not tinyae's after the same steps of Adam.

    found: framework -> {"loss": ..., "after": ...}.  expected: the loss, a number.
    """
    for peer, losses in found.items():
        if not abs(losses["loss"] - expected) <= TOLERANCE * abs(expected):
            raise BenchmarkError(f"{peer}: its loss is {losses['loss']:.7g}, NumPy's is {expected:.7g}")
        after = found[OURS[0]]["after"]
        if not abs(losses["after"] - after) <= TOLERANCE_AFTER * abs(after):
            raise BenchmarkError(f"{peer}: after {STEPS_CHECKED} steps its loss is {losses['after']:.7g}, tinyae's is {after:.7g}")


def check(name, peers):
    """Compare the frameworks on a network, each in a process of its own, which ends."""
    network = NETWORKS[name]
    x, noise = batches_of(network, STEPS_CHECKED + 1)[-1], noise_of(network, STEPS_CHECKED + 1)[-1]
    expected, found = float(Plain().loss(network, weights_of(network), x, noise)), {}
    for peer in peers:
        if peer not in FLOORS:
            with Worker(peer, name) as worker:
                found[peer] = worker.ask("check")
    compare(found, expected)


def usable(peers, network):
    """The frameworks that can be measured with a network, a list, and why not the others: framework -> reason."""
    left_out = {peer: reason for peer in peers if (reason := reason_to_leave_out(peer, network))}
    return [peer for peer in peers if peer not in left_out], left_out


def measure_network(name, peers, rounds, seconds, clock="wall"):
    """Milliseconds a step, memory and page faults of frameworks with a network, after a comparison of their losses.

    seconds: the least that a block of steps takes.  clock: "wall", or "processor", the time of all threads, which others at work do not
    lengthen; it compares only where each framework has one core.  Memory is that of the process that only trains.
    """
    peers, left_out = usable(peers, NETWORKS[name])
    others = busy()
    check(name, peers)
    with contextlib.ExitStack() as stack:
        workers, runs = {peer: stack.enter_context(Worker(peer, name)) for peer in peers}, {}
        for peer, worker in workers.items():
            steps = worker.ask(f"warm {seconds}")["steps"]
            runs[peer] = lambda worker=worker, steps=steps: worker.ask(f"run {steps}") | {"steps": steps}
        found = in_turn(runs, rounds)
        more = {peer: worker.ask("report") for peer, worker in workers.items()}
    others = max(others, busy())
    for peer, rows in found.items():
        more[peer] |= {"steps": rows[0]["steps"], "faults": median(row["faults"] / row["steps"] for row in rows)}
    times = {peer: [1000 * row[clock] / row["steps"] for row in rows] for peer, rows in found.items()}
    return entry("milliseconds", times, others, left_out) | {"clock": clock, "more": {peer: significant(values) for peer, values in more.items()}}


def entry(unit, times, others, left_out):
    """What speed.json holds of one measurement.  times: name -> a number for each round."""
    times = {name: significant(values) for name, values in times.items()}
    return {"unit": unit, "date": today(), "busy": others, "left_out": left_out, "rounds": times}


def significant(value, digits=4):
    """Numbers, in a list or a dict, rounded to so many digits that count."""
    if isinstance(value, dict):
        return {key: significant(item, digits) for key, item in value.items()}
    return [significant(item, digits) for item in value] if isinstance(value, list) else float(f"{value:.{digits}g}")
