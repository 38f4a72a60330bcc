"""What the microscope costs: recording beside the plain step, and the way from a trace to its page.

    OPENBLAS_NUM_THREADS=1 python benchmarks/microscope.py --write      # half a minute
    python benchmarks/microscope.py --screenshot                        # the README's picture, by Chromium

Medians of interleaved rounds, in one process: both sides are this library.
"""

import argparse
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import tinyae as ta  # noqa: E402
from tinyae.microscope import record, record_of, to_html, trace  # noqa: E402

TABLE = pathlib.Path(__file__).with_suffix(".md")
ROUNDS, BATCH = 60, 4
MODELS = {
    "autoencoder 64-16-2": (ta.models.Autoencoder, {"hidden": (16,)}),
    "VAE 64-16-2": (ta.models.VAE, {"hidden": (16,)}),
    "convolutional VAE 64-2, channels 4 8": (ta.models.VAE, {"hidden": (16,), "channels": (4, 8), "image_shape": (8, 8)}),
}


def step_of(kind, settings, batch):
    """A function without arguments that computes the loss, for a batch of random binary images and fixed noise."""
    model = kind(64, latent=2, **settings, rng=ta.rng(0))
    x = ta.rng(1).bernoulli(np.full((batch, 64), 0.5, np.float32))
    noise = {"noise": ta.rng(2).normal((batch, 2))} if kind is ta.models.VAE else {}
    return model, lambda: model.loss(x, **noise).loss


def long_loop():
    """A loop of 1,000 turns, three operations each."""
    x, w = ta.Tensor(np.linspace(-1, 1, 5), requires_grad=True), ta.Tensor(np.ones(5), requires_grad=True)
    for _ in range(1000):
        x = ta.ops.tanh(w * x) + 0.1
    return x.sum()


def recording_costs():
    """Lines: milliseconds of a plain step and of a recorded one."""
    yield "| one step, forward and backward | batch | plain, ms | recorded, ms | ratio |"
    yield "|---|---|---|---|---|"
    for name, (kind, settings) in MODELS.items():
        for batch in (BATCH, 128):
            model, step = step_of(kind, settings, batch)

            def recorded(model=model, step=step):
                with record(model) as found:
                    loss = step()
                found.backward(loss)

            times = medians(lambda step=step: step().backward(), recorded)
            yield f"| {name} | {batch} | {times[0]:.2f} | {times[1]:.2f} | {times[1] / times[0]:.2f} |"


def medians(*functions):
    """The median milliseconds of each function, their calls taking turns."""
    found = [[] for _ in functions]
    for function in functions:
        function()
    for _ in range(ROUNDS):
        for function, times in zip(functions, found, strict=True):
            start = time.perf_counter()
            function()
            times.append(1e3 * (time.perf_counter() - start))
    return [statistics.median(times) for times in found]


def page_costs():
    """Lines: seconds from the call to the finished page, every gradient proved and the noise drawn again 200 times, and its size."""
    yield "| page | operations | seconds | kilobytes |"
    yield "|---|---|---|---|"
    for name, step in {**{name: step_of(*made, BATCH)[1] for name, made in MODELS.items()}, "a loop of 1,000 turns": long_loop}.items():
        start = time.perf_counter()
        found = trace(step)
        page = to_html(record_of(found, title=name, image_shape=(8, 8)))
        yield f"| {name} | {len(found.lines):,} | {time.perf_counter() - start:.2f} | {len(page.encode()) / 1e3:,.0f} |"


def take_screenshot():
    """Write microscope.png: the page of `tinyae microscope vae`, at the draw of z."""
    with tempfile.TemporaryDirectory() as folder:
        page = pathlib.Path(folder) / "vae.html"
        subprocess.run([sys.executable, "-m", "tinyae", "microscope", "vae", "--html", page], check=True, cwd=ROOT)
        flags = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --hide-scrollbars --window-size=1280,900"
        picture = f"--screenshot={TABLE.with_suffix('.png')}"
        subprocess.run(["chromium", *flags.split(), f"--user-data-dir={folder}/profile", picture, f"file://{page}#n6,backward"], check=True)


def main():
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"put the tables into {TABLE.name}")
    parser.add_argument("--screenshot", action="store_true", help="take the README's picture instead")
    lines, arguments = [], parser.parse_args()
    if arguments.screenshot:
        return take_screenshot()
    for measure in (recording_costs, page_costs):
        for line in measure():
            print(line, flush=True)
            lines.append(line)
        lines.append("")
    if arguments.write:
        made = "Made by `OPENBLAS_NUM_THREADS=1 python benchmarks/microscope.py --write`; one core, a batch of 4 in the pages."
        head = f"# What the microscope costs\n\n{made}\n\n"
        TABLE.write_text(head + "\n".join(lines))


if __name__ == "__main__":
    main()
