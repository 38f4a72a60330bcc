"""A hierarchy of many stochastic layers beside the convolutional VAE, on MNIST in dynamic binarisation, at equal time.

    TINYAE_DATA=DIR python benchmarks/top_down.py --out FOLDER --seed 0  # train both, half an hour of one core; may be stopped and begun again
    TINYAE_DATA=DIR python benchmarks/top_down.py --out FOLDER --write   # what is there: benchmarks/top_down.md and top_down.json

Time is that of the processor in the training alone, with one thread of the linear algebra, as other work on the machine does not count there.  The
epochs of both take turns, so that a busy hour slows both; each has as many as make the times equal.  Both have Adam, the learning rate
falling along a cosine, and the mean of the weights.  FOLDER/seed-N keeps each one's checkpoint after every epoch, and its seconds; a seed
is of the first weights, the order of the images, their binarisation and the noise.
"""

import argparse
import json
import os
import pathlib
import statistics
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import tinyae as ta
from tinyae.training import Run

HERE = pathlib.Path(__file__)
SETTINGS = {"batch_size": 128, "average": 0.998, "skip_norm": 3000.0, "progress": False}
LR, DRAWS, ACTIVE = 2e-3, 5, 0.1
SHAPE = {"features": 784, "image_shape": (28, 28)}
MODELS = {
    "vae": {"model": "vae", "latent": 20, "hidden": (256,), "channels": (32, 64), "activation": "relu", **SHAPE},
    "top-down-vae": {"model": "top-down-vae", "layers": "1x8:256:4,4x3:32:2,7x2:24:1", "activation": "relu", **SHAPE},
}
EPOCHS = {"vae": 52, "top-down-vae": 24}
FREE_BITS, ANNEALED = 1.0, (0.1, 0.5)  # nats for each level at first; the parts of the training between which they go to 0


def schedules_of(name):
    """Of the learning rate, and of the hierarchy's free bits, over all the epochs of a model."""
    epochs = EPOCHS[name]
    found = {"lr": ta.optim.cosine(LR, LR / 50, epochs, warm_up=0.5)}
    if name != "vae":
        begin, end = (part * epochs for part in ANNEALED)
        fall = ta.optim.linear(FREE_BITS, 0.0, end - begin)
        found["free_bits"] = lambda t: fall(t - begin)
    return found


def one_epoch(name, seed, folder, data):
    """Train one more epoch of a model, from its checkpoint on.  Returns its seconds of the processor."""
    epochs = len(seconds_of(folder)[name]) + 1
    model = ta.models.build(MODELS[name], ta.rng(seed).stream("weights"))
    run = Run.open(folder / name) if (folder / name / "config.json").exists() else Run(folder / name, name, {"epochs": EPOCHS[name]})
    begun = time.process_time()
    history = ta.fit(model, data, epochs=epochs, schedules=schedules_of(name), seed=seed, run=run, resume=True, **SETTINGS)
    spent = time.process_time() - begun
    reached = history.rows[-1]["train_negative_elbo"]
    print(f"seed {seed}, {name}: epoch {epochs} of {EPOCHS[name]}, training {reached:.2f} nats, {spent:.0f} s", flush=True)
    return spent


def seconds_of(folder):
    """model -> the seconds of each epoch so far."""
    path = folder / "seconds.json"
    return json.loads(path.read_text()) if path.exists() else {name: [] for name in MODELS}


def train(folder, seed):
    """All epochs of both models from one seed, always one of the model that had less time."""
    folder.mkdir(parents=True, exist_ok=True)
    data = ta.data.load("mnist", split="train", binarisation="dynamic")
    while left := [name for name, seconds in seconds_of(folder).items() if len(seconds) < EPOCHS[name]]:
        found = seconds_of(folder)
        name = min(left, key=lambda name: sum(found[name]))
        found[name].append(round(one_epoch(name, seed, folder, data), 1))
        (folder / "seconds.json").write_text(json.dumps(found))


def measured(name, folder):
    """What a model reached, from its checkpoint: a dict."""
    model, seconds = ta.load(folder / name / "checkpoint.safetensors"), seconds_of(folder)[name]
    test = ta.data.load("mnist", split="test", binarisation="dynamic")
    terms = ta.evaluation.evaluate(model, test, rng=ta.rng(1), draws=DRAWS)
    found = {"settings": MODELS[name], "parameters": sum(p.size for p in model.parameters()), "epochs": len(seconds)}
    found |= {"cpu_seconds": sum(seconds), "test": terms}
    if name != "vae":
        with ta.no_grad():
            levels = [0.0] * len(model.levels)
            for i, x in enumerate(test.batches(1000, rng=ta.rng(2), shuffle=False)):
                kls = model.level_kls(x, ta.rng(3).stream("noise", i).normal((len(x), model.latent)))
                levels = [total + kl.data.sum().item() / len(test) for total, kl in zip(levels, kls, strict=True)]
        found |= {"sizes": [stage.size for stage in model.levels_at], "level_kls": levels, "active": sum(kl > ACTIVE for kl in levels)}
    return found


def spread(values, digits=2):
    """The mean of a number over the seeds, and their standard deviation where there are several."""
    return f"{statistics.mean(values):.{digits}f}" + (f" ({statistics.stdev(values):.{digits}f})" if len(values) > 1 else "")


def page(found):
    """The content of top_down.md; found: seed -> model -> what it reached."""
    models = {name: [of[name] for of in found.values()] for name in MODELS}
    lines = ["# Many stochastic layers at equal time", ""]
    lines += ["Made by `python benchmarks/top_down.py --out FOLDER --write`: MNIST, dynamic binarisation, the mean of"]
    lines += [f"{DRAWS} draws over the 10,000 test images.  Mean (standard deviation) over {len(found)} seeds.  Time is the processor's,"]
    lines += ["one core, in the training alone.", ""]
    lines += ["| model | parameters | epochs | seconds | negative ELBO, nats | reconstruction | KL | of each seed |", "|" + "---|" * 8]
    for name, of in models.items():
        terms = " | ".join(spread([one["test"][term] for one in of]) for term in ("negative_elbo", "reconstruction", "kl"))
        each = ", ".join(f"{one['test']['negative_elbo']:.2f}" for one in of)
        seconds = spread([one["cpu_seconds"] for one in of], 0)
        lines.append(f"| {name} | {of[0]['parameters']:,} | {of[0]['epochs']} | {seconds} | {terms} | {each} |")
    deep = models["top-down-vae"]
    better = [b["test"]["negative_elbo"] - a["test"]["negative_elbo"] for a, b in zip(deep, models["vae"], strict=True)]
    sizes, active = deep[0]["sizes"], [one["active"] for one in deep]
    lines += ["", f"The hierarchy is better by {spread(better)} nats.  It is `layers={deep[0]['settings']['layers']}`,"]
    lines += [f"{len(sizes)} stochastic layers at {len(set(sizes))} resolutions; {', '.join(map(str, active))} of them have a KL above {ACTIVE} nat"]
    lines += ["in the seeds.  From the top down (nats, means over the test split):", "", "| resolution | KL of each of its layers |", "|---|---|"]
    for size in sorted(set(sizes)):
        kls = [[one["level_kls"][level] for one in deep] for level, where in enumerate(sizes) if where == size]
        lines.append(f"| {size}x{size} | " + ", ".join(spread(values) for values in kls) + " |")
    return "\n".join(lines) + "\n"


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True, metavar="FOLDER", help="of the checkpoints")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="(default: 0)")
    parser.add_argument("--write", action="store_true", help="train nothing: write what the folder holds, all its seeds")
    arguments = parser.parse_args()
    if not arguments.write:
        train(arguments.out / f"seed-{arguments.seed}", arguments.seed)
    found = {}
    for folder in sorted(arguments.out.glob("seed-*"), key=lambda folder: int(folder.name[5:])):
        if all(len(seconds) == EPOCHS[name] for name, seconds in seconds_of(folder).items()):
            found[folder.name[5:]] = {name: measured(name, folder) for name in MODELS}
    if not found:
        parser.error(f"{arguments.out} holds no seed whose training is finished")
    print(page(found))
    if arguments.write:
        HERE.with_suffix(".json").write_text(json.dumps(found, indent=2) + "\n")
        HERE.with_suffix(".md").write_text(page(found))


if __name__ == "__main__":
    main()
