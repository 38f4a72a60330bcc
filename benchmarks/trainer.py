"""What `ta.fit` costs beyond the loop by hand: microseconds of a training step of a small VAE (64-64-2-64-64, digits, batches of 64).

    python benchmarks/trainer.py             # half a minute

Both train the same model on the same number of batches, dynamically binarised, by turns in one process with one BLAS thread; shown are
medians of process time.  fit does more: a stream of noise for each step, the norm of the gradient, the mean of every term, and after an
epoch a copy of the state to go back to and a look at 500 examples (active latents, dead units).  In an epoch ten times as long the latter
are shared by ten times as many steps.

Then what the noise of a step costs, (128, 20) numbers as for the dense VAE: from the step's own stream, as fit draws it; the same numbers for
BLOCK steps written into one array, which on a GPU would be one copy instead of BLOCK; and from one stream for all of them, in one call, which
are other numbers.  With --write both tables go to benchmarks/trainer.md.
"""

import argparse
import gc
import os
import pathlib
import statistics
import time

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is loaded

import numpy as np

import tinyae as ta

TABLE = pathlib.Path(__file__).with_suffix(".md")
BATCH, STEPS, ROUNDS = 64, 220, 25  # STEPS: of a round
NOISE, BLOCK = (128, 20), 100


def small_vae():
    """The model."""
    return ta.models.VAE(features=64, latent=2, hidden=(64,), rng=ta.rng(0))


def by_hand(data, epochs):
    """The loop of the README."""
    rng, model = ta.rng(0), small_vae()
    adam = ta.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        for x in data.batches(BATCH, rng=rng):
            terms = model.loss(rng.bernoulli(x), rng=rng)
            adam.zero_grad()
            terms.loss.backward()
            adam.step()


def by_fit(data, epochs):
    """The same with `ta.fit`."""
    ta.fit(small_vae(), data.binarise("dynamic"), epochs=epochs, batch_size=BATCH, progress=False)


def microseconds(loop, data):
    """Process time of a step, over about STEPS of them."""
    steps = -(-len(data) // BATCH)
    epochs = max(1, STEPS // steps)
    gc.collect()
    start = time.process_time()
    loop(data, epochs)
    return (time.process_time() - start) / (epochs * steps) * 1e6


def compared(data):
    """(microseconds by hand, by fit, and by fit beyond by hand), each the median over the rounds."""
    for loop in (by_hand, by_fit):
        microseconds(loop, data)
    rounds = [(microseconds(by_hand, data), microseconds(by_fit, data)) for _ in range(ROUNDS)]
    return *map(statistics.median, zip(*rounds, strict=True)), statistics.median(fit - hand for hand, fit in rounds)


def step_by_step(rng):
    """The noise of BLOCK steps, each drawn from the step's own stream when it is needed."""
    return [rng.stream("noise", 1, step).normal(NOISE) for step in range(BLOCK)]


def block_of_streams(rng):
    """The same numbers, drawn beforehand into one array (BLOCK, 128, 20)."""
    block = np.empty((BLOCK, *NOISE), np.float32)
    for step in range(BLOCK):
        block[step] = rng.stream("noise", 1, step).normal(NOISE)
    return block


def block_of_one(rng):
    """As many numbers in one call from one stream."""
    return rng.stream("noise", 1).normal((BLOCK, *NOISE))


def noise_compared():
    """(name, microseconds a step) of the three, medians over the rounds."""
    ways = {"a stream for each step (fit)": step_by_step, "the same in one array": block_of_streams, "one stream for all": block_of_one}
    rng, times = ta.rng(0), {name: [] for name in ways}
    assert np.array_equal(step_by_step(rng), block_of_streams(rng))
    for _ in range(ROUNDS):
        for name, draw in ways.items():
            start = time.process_time()
            draw(rng)
            times[name].append((time.process_time() - start) / BLOCK * 1e6)
    return [(name, statistics.median(taken)) for name, taken in times.items()]


def main():
    """Measure, print the tables, and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"put the tables into {TABLE.name}")
    arguments = parser.parse_args()
    digits = ta.data.load("digits", split="train")
    lines = ["| steps an epoch | by hand | ta.fit | beyond | of the step by hand |", "|---|---|---|---|---|"]
    for data in (digits, digits.rows(np.tile(np.arange(len(digits)), 10))):
        hand, fit, beyond = compared(data)
        lines.append(f"| {-(-len(data) // BATCH)} | {hand:.0f} | {fit:.0f} | {beyond:.0f} | {beyond / hand:.1%} |")
    lines += ["", f"The noise of a step, {NOISE}, and the same for {BLOCK} steps at once:", "", "| drawn | microseconds a step |", "|---|---|"]
    lines += [f"| {name} | {taken:.1f} |" for name, taken in noise_compared()]
    print("\n".join(lines))
    if arguments.write:
        head = (
            "# What `ta.fit` costs beyond the loop by hand\n\nMade by `python benchmarks/trainer.py --write`: microseconds a step of a small VAE.\n\n"
        )
        TABLE.write_text(head + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
