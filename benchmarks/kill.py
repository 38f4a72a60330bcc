"""Trainings that are killed and resumed: do they end in the same bits?

    python benchmarks/kill.py --write      # 50 trainings, killed twice each, about two minutes; puts the table into kill.md

A small training with everything that has a state (batch normalisation, dropout, a moving average, a schedule, two optimisers,
early stopping, dynamic binarisation) writes a checkpoint after every step.  It is killed (SIGKILL) at a random time, or at a place
that was chosen for being bad; then resumed, and compared with the one that was never interrupted: weights bit by bit, history
row by row.  Exit code 1 if one differs.
"""

import argparse
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import tinyae as ta
from tinyae.training import Run, files, trainer

PLACES = ("random time", "in a step", "in a write", "between file and rename", "after the rename")
TABLE = pathlib.Path(__file__).with_suffix(".md")
TITLE = """# Killed and resumed

Made by `python benchmarks/kill.py --write`: a training with batch normalisation, dropout, averaged weights, schedules, two optimisers and early
stopping, a checkpoint after every step; killed (SIGKILL) up to twice, resumed, and compared with the training that was never interrupted:
every array of the checkpoint bit by bit, the history number by number.

"""
MAY_DIFFER = ("seconds", "memory_mb")
EPOCHS = 3


class Model(ta.models.VAE):
    """A VAE with batch normalisation and dropout in its encoder."""

    def __init__(self):
        super().__init__(64, 3, (12,), rng=ta.rng(0))
        rng = ta.rng(1)
        layers = ta.nn.Linear(64, 12, rng=rng), ta.nn.BatchNorm1d(12), ta.nn.ReLU(), ta.nn.Dropout(0.2, rng=rng), ta.nn.Linear(12, 6, rng=rng)
        self.encoder = ta.nn.Sequential(*layers)


def train(folder):
    """Begin the training in a folder, or go on with it."""
    run = Run.open(folder) if (pathlib.Path(folder) / "config.json").exists() else Run(folder, "kill", {"seed": 0})
    model = Model()
    data, validation = ta.data.load("digits", binarisation="dynamic").hold_out(0.1)
    optimizers = ta.optim.SGD(model.encoder.parameters(), lr=1e-3, momentum=0.9), ta.optim.Adam(model.decoder.parameters(), lr=1e-3)
    schedules = {"beta": ta.optim.linear(0, 1, 2), "lr": ta.optim.cosine(1e-3, 1e-4, EPOCHS)}
    settings = {"schedules": schedules, "average": 0.9, "patience": 2, "clip_norm": 50.0, "seed": 3, "batch_size": 200, "progress": False}
    ta.fit(model, data, validation=validation, epochs=EPOCHS, optimizer=optimizers, run=run, resume=True, checkpoint_seconds=0, **settings)


def die():
    """SIGKILL: nothing is cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


def armed(place, count):
    """Make this process die at the count-th time that it comes to a place."""
    left = [count]

    def before(function, *args, **settings):
        left[0] -= 1
        if left[0] == 0:
            if place == "in a write":
                args[0].parent.joinpath(f".{args[0].name}.half{files.PART}").write_bytes(args[1][: len(args[1]) // 2])
            if place == "after the rename":
                function(*args, **settings)
            die()
        return function(*args, **settings)

    owner, name = {
        "in a step": (trainer.Trainer, "one_step"),
        "in a write": (files, "replace"),
        "between file and rename": (os, "replace"),
        "after the rename": (os, "replace"),
    }[place]
    function = getattr(owner, name)
    setattr(owner, name, lambda *args, **settings: before(function, *args, **settings))


def child(folder, place=None, count=0):
    """A process that trains; with a place, one that dies there."""
    more = ["--place", place, "--count", str(count)] if place else []
    return subprocess.Popen([sys.executable, __file__, "--folder", str(folder), *more], env=os.environ | {"OPENBLAS_NUM_THREADS": "1"})


def killed(folder, place, chance, seconds):
    """Train in a folder until killed at a place; returns whether it was."""
    if place == "random time":
        process = child(folder)
        time.sleep(chance.uniform(0.1, 1.0) * seconds)
        process.kill()
    else:
        process = child(folder, place, chance.randint(1, 18 if place == "in a step" else 30))
    return process.wait() == -signal.SIGKILL


def result(folder):
    """(name -> bytes of every array of the checkpoint, the history without times)."""
    arrays, metadata = files.read_tensors(pathlib.Path(folder) / "checkpoint.safetensors")
    rows = [[pair for pair in row.items() if pair[0] not in MAY_DIFFER] for row in metadata["state"]["history"]]
    return {name: array.tobytes() for name, array in arrays.items()}, rows


def main():
    """Kill and resume, and print a row for each place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="put the table into kill.md")
    for name in ("--folder", "--place", "--count"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.folder:
        if given.place:
            armed(given.place, int(given.count))
        return train(given.folder)
    chance, counts, wrong = random.Random(given.seed), {place: [0, 0, 0] for place in PLACES}, 0
    with tempfile.TemporaryDirectory() as temporary:
        whole = pathlib.Path(temporary) / "whole"
        start = time.perf_counter()
        assert child(whole).wait() == 0
        seconds = time.perf_counter() - start
        expected = result(whole)
        for i in range(given.kills):
            folder, place = pathlib.Path(temporary) / str(i), PLACES[i % len(PLACES)]
            died = killed(folder, place, chance, seconds) + killed(folder, place, chance, seconds)
            same = child(folder).wait() == 0 and result(folder) == expected and not list(folder.glob(".*"))
            wrong += not same
            counts[place] = [a + b for a, b in zip(counts[place], (1, died, same), strict=True)]
    lines = ["| killed | trainings | kills | same bits and history at the end |", "|---|---|---|---|"]
    lines += [f"| {place} | {trainings} | {kills} | {same} |" for place, (trainings, kills, same) in counts.items()]
    print("\n".join(lines))
    if given.write:
        TABLE.write_text(TITLE + "\n".join(lines) + "\n")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
