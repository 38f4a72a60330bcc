"""A hierarchy of many stochastic layers beside the convolutional VAE, on MNIST in dynamic binarisation, at equal time.

    TINYAE_DATA=DIR python benchmarks/top_down.py --out FOLDER          # train both, an hour or so on one core; may be stopped and begun again
    TINYAE_DATA=DIR python benchmarks/top_down.py --out FOLDER --write  # what is there: benchmarks/top_down.md and top_down.json

Time is that of the processor in the training alone, with one thread of the linear algebra, as other work on the machine does not count there.  The
epochs of both take turns, so that a busy hour slows both; each has as many as make the times equal.  Both have Adam, the learning rate
falling along a cosine, and the mean of the weights; FOLDER keeps each one's checkpoint after every epoch, and its seconds.
"""

import argparse
import json
import os
import pathlib
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import tinyae as ta
from tinyae.training import Run

HERE = pathlib.Path(__file__)
SETTINGS = {"batch_size": 128, "average": 0.998, "skip_norm": 3000.0, "seed": 0, "progress": False}
LR, DRAWS, ACTIVE = 2e-3, 5, 0.1
SHAPE = {"features": 784, "image_shape": (28, 28)}
MODELS = {
    "vae": {"model": "vae", "latent": 20, "hidden": (256,), "channels": (32, 64), "activation": "relu", **SHAPE},
    "top-down-vae": {"model": "top-down-vae", "layers": "1x8:256:4,4x3:32:2,7x2:24:1", "activation": "relu", **SHAPE},
}
EPOCHS = {"vae": 40, "top-down-vae": 24}
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


def one_epoch(name, folder, data):
    """Train one more epoch of a model, from its checkpoint on.  Returns its seconds of the processor."""
    epochs = len(seconds_of(folder)[name]) + 1
    model = ta.models.build(MODELS[name], ta.rng(0).stream("weights"))
    run = Run.open(folder / name) if (folder / name / "config.json").exists() else Run(folder / name, name, {"epochs": EPOCHS[name]})
    begun = time.process_time()
    history = ta.fit(model, data, epochs=epochs, schedules=schedules_of(name), run=run, resume=True, **SETTINGS)
    spent = time.process_time() - begun
    print(f"{name}: epoch {epochs} of {EPOCHS[name]}, training {history.rows[-1]['train_negative_elbo']:.2f} nats, {spent:.0f} s", flush=True)
    return spent


def seconds_of(folder):
    """model -> the seconds of each epoch so far."""
    path = folder / "seconds.json"
    return json.loads(path.read_text()) if path.exists() else {name: [] for name in MODELS}


def train(folder):
    """All epochs of both models, always one of the model that had less time."""
    folder.mkdir(parents=True, exist_ok=True)
    data = ta.data.load("mnist", split="train", binarisation="dynamic")
    while left := [name for name, seconds in seconds_of(folder).items() if len(seconds) < EPOCHS[name]]:
        found = seconds_of(folder)
        name = min(left, key=lambda name: sum(found[name]))
        found[name].append(round(one_epoch(name, folder, data), 1))
        (folder / "seconds.json").write_text(json.dumps(found))


def measured(name, folder):
    """What a model reached, from its checkpoint: a dict."""
    model, seconds = ta.load(folder / name / "checkpoint.safetensors"), seconds_of(folder)[name]
    test = ta.data.load("mnist", split="test", binarisation="dynamic")
    terms = ta.evaluation.evaluate(model, test, rng=ta.rng(1), draws=DRAWS)
    found = {"settings": MODELS[name], "parameters": sum(p.size for p in model.parameters()), "epochs": len(seconds)}
    found |= {"planned_epochs": EPOCHS[name], "cpu_seconds": sum(seconds), "test": terms}
    if name != "vae":
        with ta.no_grad():
            levels = [0.0] * len(model.levels)
            for i, x in enumerate(test.batches(1000, rng=ta.rng(2), shuffle=False)):
                kls = model.level_kls(x, ta.rng(3).stream("noise", i).normal((len(x), model.latent)))
                levels = [total + kl.data.sum().item() / len(test) for total, kl in zip(levels, kls, strict=True)]
        found |= {"sizes": [stage.size for stage in model.levels_at], "level_kls": levels, "active": sum(kl > ACTIVE for kl in levels)}
    return found


def page(found):
    """The content of top_down.md."""
    lines = [
        "# Many stochastic layers at equal time",
        "",
        "Made by `python benchmarks/top_down.py --out FOLDER --write`: MNIST, dynamic binarisation,",
    ]
    lines += [f"one seed; the mean of {DRAWS} draws over the 10,000 test images.  Time is the processor's, one core, in the training alone.", ""]
    lines += ["| model | parameters | epochs | seconds | negative ELBO, nats | reconstruction | KL |", "|" + "---|" * 7]
    for name, of in found.items():
        terms = " | ".join(f"{of['test'][term]:.2f}" for term in ("negative_elbo", "reconstruction", "kl"))
        epochs = of["epochs"] if of["epochs"] == of["planned_epochs"] else f"{of['epochs']} of {of['planned_epochs']}"
        lines.append(f"| {name} | {of['parameters']:,} | {epochs} | {of['cpu_seconds']:.0f} | {terms} |")
    deep = found["top-down-vae"]
    lines += [
        "",
        f"The hierarchy: `layers={deep['settings']['layers']}`, {len(deep['sizes'])} stochastic layers at {len(set(deep['sizes']))} resolutions;",
    ]
    lines += [f"{deep['active']} of them have a KL above {ACTIVE} nat, which is from the top down (nats, means over the test split):", ""]
    lines += ["| resolution | KL of each of its layers |", "|---|---|"]
    for size in sorted(set(deep["sizes"])):
        kls = [kl for kl, where in zip(deep["level_kls"], deep["sizes"], strict=True) if where == size]
        lines.append(f"| {size}x{size} | " + ", ".join(f"{kl:.2f}" for kl in kls) + " |")
    return "\n".join(lines) + "\n"


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True, metavar="FOLDER", help="of the checkpoints")
    parser.add_argument("--write", action="store_true", help="train nothing: write what the folder holds")
    arguments = parser.parse_args()
    if not arguments.write:
        train(arguments.out)
    found = {name: measured(name, arguments.out) for name in MODELS}
    print(page(found))
    if arguments.write:
        HERE.with_suffix(".json").write_text(json.dumps(found, indent=2) + "\n")
        HERE.with_suffix(".md").write_text(page(found))


if __name__ == "__main__":
    main()
