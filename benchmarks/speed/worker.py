"""One framework with one network in a process of its own: `python -m benchmarks.speed.worker PEER NETWORK`.

Lines on stdin are commands, each is answered by a line of JSON: `check`, `warm SECONDS`, `run STEPS`, `report`, `now`.  The end of stdin ends it.
"""

import json
import os
import pathlib
import resource
import sys
import time

from benchmarks.speed.networks import NETWORKS, batches_of, noise_of, weights_of
from benchmarks.speed.peers import build

STEPS_CHECKED = 3


class Worker:
    """The commands."""

    def __init__(self, name, network):
        self.network, self.peer = network, build(name, network, weights_of(network))
        self.batches = [self.peer.array(x) for x in batches_of(network, 4)]

    def check(self):
        """The loss at given weights and noise, and again after three steps of Adam; the training goes on from there."""
        noise = [e if e is None else self.peer.array(e) for e in noise_of(self.network, STEPS_CHECKED + 1)]
        before = self.peer.loss_at(self.batches[-1], noise[-1])
        for x, e in zip(self.batches[:STEPS_CHECKED], noise, strict=False):
            self.peer.step(x, e)
        return {"loss": before, "after": self.peer.loss_at(self.batches[-1], noise[-1])}

    def run(self, steps):
        """That many steps: wall and processor seconds, and page faults that needed no disk."""
        steps, batches, step = int(steps), self.batches, self.peer.step
        faults, processor, start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.process_time(), time.perf_counter()
        for i in range(steps):
            step(batches[i % len(batches)])
        self.peer.wait()
        seconds, processor = time.perf_counter() - start, time.process_time() - processor
        return {"wall": seconds, "processor": processor, "faults": resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults}

    def warm(self, seconds):
        """Compile what there is to compile; then how many steps take that long."""
        self.run(5)
        steps, took = 1, 0.0
        while took < float(seconds):
            steps = max(2 * steps, min(int(1.1 * steps * float(seconds) / max(took, 1e-6)) + 1, 10 * steps)) if took else steps
            took = self.run(steps)["wall"]
        return {"steps": steps}

    def now(self):
        """The time of day in seconds, for one who knows when this process was begun."""
        return {"now": time.time()}

    def report(self):
        """Peak memory in megabytes and the number of threads of this process."""
        return {"peak_megabytes": peak_megabytes(), "threads": int(status("Threads") or 0)}


def status(field):
    """A number of /proc/self/status; None where there is none."""
    path = pathlib.Path("/proc/self/status")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((int(line.split()[1]) for line in lines if line.startswith(field + ":")), None)


def peak_megabytes():
    """The most memory that this process has held.  Linux counts in ru_maxrss what the parent held before exec, but not in VmHWM."""
    own = status("VmHWM")
    return (own or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "darwin" else 1)) / 1024


def main(name, network):
    """Answer commands until stdin ends.  What a framework prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    worker = Worker(name, NETWORKS[network])
    for line in sys.stdin:
        command, *arguments = line.split()
        print(json.dumps(getattr(worker, command)(*arguments)), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
