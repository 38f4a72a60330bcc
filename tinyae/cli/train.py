"""`tinyae train`: load, train, measure, draw; everything ends up in the run's folder."""

import argparse
import importlib.metadata
import pathlib
import platform
import shlex
import sys
import time

import tinyae as ta
from tinyae.backend import BACKENDS
from tinyae.cli.arguments import folder, named_or_folder, positive, whole
from tinyae.data.images import are_grey
from tinyae.errors import ArgumentError, RunError
from tinyae.models import LIKELIHOODS, MODELS
from tinyae.nn.layers import ACTIVATIONS
from tinyae.training import Run, numbered

BINARY = {"likelihood": "bernoulli", "binarisation": "dynamic"}
GREY = {"likelihood": "gaussian", "binarisation": "grey"}
LARGE = {"latent": 20, "hidden": [400], "activation": "relu", "epochs": 10, "batch": 128, "lr": 1e-3, **BINARY}
COLOUR = LARGE | GREY | {"latent": 32, "variance": 0.02, "epochs": 20}
POINTS = LARGE | GREY | {"latent": 2, "hidden": [64, 64], "variance": 0.02, "epochs": 30}
DEFAULTS = {
    "digits": {"latent": 2, "hidden": [128], "activation": "tanh", "epochs": 600, "batch": 100, "lr": 1e-3, **BINARY, "binarisation": "threshold"},
    "mnist": LARGE,
    "fashion-mnist": LARGE,
    "shapes": LARGE | {"latent": 6, "hidden": [200], "epochs": 30},
    "shapes-64": LARGE | {"latent": 6},
    "cifar-10": COLOUR,
    "celeba": COLOUR,
}
EVALUATED = 40_000  # examples that the final terms average over; a small test split is passed over several times,
QUICK = 2_560_000  # but more values than this (digits: those examples) only where as many examples were trained on
NETWORK = "latent hidden channels activation likelihood variance".split()  # settings that make the model


def add_train(commands):
    """The arguments of `tinyae train`."""
    add = commands.add_parser(
        "train",
        help="train a model and write a report",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: tinyae train vae --data mnist --channels 32 64 --hidden 256\n\ndefaults of the options marked *:\n" + defaults(),
    )
    add.add_argument("model", choices=MODELS)
    known = "one of `tinyae datasets` (default digits, which is embedded), or a folder of images, every tenth of which is kept for the test"
    add.add_argument("--data", type=named_or_folder(ta.data.DATASETS), metavar="NAME|DIR", help=known)
    add.add_argument("--binarisation", choices=ta.data.BINARISATIONS, help="of the grey values *")
    add.add_argument("--likelihood", choices=LIKELIHOODS, help="of the VAE *")
    add.add_argument("--variance", type=positive, metavar="V", help="of the gaussian likelihood (0.5: squared error + KL) *")
    add.add_argument("--latent", type=whole(1), metavar="N", help="dimensions of the code *")
    add.add_argument("--hidden", type=whole(1), nargs="*", metavar="N", help="widths of the encoder's layers; the decoder has them in reverse *")
    add.add_argument("--channels", type=whole(1), nargs="+", metavar="N", help="of convolutions before them, each of which halves the image")
    add.add_argument("--activation", choices=ACTIVATIONS, help="between the layers *")
    add.add_argument("--epochs", type=whole(1), metavar="N", help="passes over the training split; with --resume, a finished run may be given more *")
    add.add_argument("--batch", type=whole(1), metavar="N", help="examples a step *")
    add.add_argument("--lr", type=positive, metavar="X", help="learning rate of Adam *")
    add.add_argument("--warm-up", type=positive, metavar="E", help="epochs in which the weight of the KL rises from 0 to 1")
    add.add_argument("--free-bits", type=positive, metavar="NATS", help="that each latent dimension has for nothing")
    add.add_argument("--clip", type=positive, metavar="X", help="the largest norm of the gradient")
    add.add_argument(
        "--patience",
        type=whole(1),
        metavar="E",
        help="hold out a tenth of the training images; stop after E epochs, those of the warm-up not counted, without a better ELBO there",
    )
    add.add_argument("--seed", type=whole(0), metavar="N", help="default 0")
    add.add_argument("--backend", choices=BACKENDS, help="default numpy")
    add.add_argument("--out", type=folder, metavar="DIR", help="folder of the run (default: counts up runs/MODEL-DATA-1, -2, ...)")
    again = "go on with the run in DIR (default: the last runs/MODEL-DATA-N) where it was stopped; with more --epochs, also where it is finished"
    add.add_argument("--resume", action="store_true", help=again)
    add.set_defaults(run=train)


def defaults():
    """The defaults of each data set as options, a line each."""
    lines = []
    for name, settings in (DEFAULTS | {"points": POINTS}).items():
        options = {key: " ".join(map(str, value)) if isinstance(value, list) else value for key, value in settings.items()}
        lines.append(f"  {name:<15}" + " ".join(f"--{key} {value}" for key, value in options.items()))
    return "\n".join([*lines, "  (points: the sets from two-moons on; a folder: as mnist where all its images are grey, else as cifar-10)"])


def settings_of(arguments):
    """All settings of a training: what was given, else the default for the data set."""
    given = {k: v for k, v in vars(arguments).items() if k not in ("run", "out", "resume")}
    given |= {"data": given["data"] or "digits", "seed": given["seed"] or 0, "backend": given["backend"] or "numpy"}
    default = defaults_for(given["data"])
    if given["model"] == "autoencoder":
        if unused := [name for name in ("likelihood", "variance", "warm_up", "free_bits") if given[name] is not None]:
            option = unused[0].replace("_", "-")
            raise ArgumentError(f"--{option}: an autoencoder has none; it minimises the squared error.")
        default = default | {"likelihood": None, "variance": None}
    if given["likelihood"] not in (None, default["likelihood"]):
        default = default | {"variance": None} | ({} if given["likelihood"] == "bernoulli" else {"binarisation": "grey"})
    if default["likelihood"] is None and given["binarisation"] is None:
        default = default | {"binarisation": "grey"}
    found = {k: default.get(k) if v is None else v for k, v in given.items()}
    if found["likelihood"] == "bernoulli" and found["variance"] is not None:
        raise ArgumentError("--variance: only the gaussian likelihood has one.", remedy="add --likelihood gaussian, or leave it out")
    return found


def defaults_for(data):
    """The default settings for a data set, or for a folder of images."""
    if data in ta.data.DATASETS:
        return DEFAULTS.get(data, POINTS)
    return LARGE if are_grey(data) else COLOUR


def run_of(arguments):
    """(the Run to resume, or None, settings).  Raises RunError where the settings given are not those of the run."""
    s = settings_of(arguments)
    folder = arguments.out or next(reversed(list(numbered(name_of(s), missing=False))), None)
    if not arguments.resume or folder is None or not (pathlib.Path(folder) / "config.json").exists():
        return None, s
    run = Run.open(folder)
    given = {k: v for k, v in vars(arguments).items() if k in s and v is not None}
    if differ := [k for k, v in given.items() if k not in ("epochs", "backend") and run.config.get(k) != v]:
        expected, got = (", ".join(f"{k} {of.get(k)}" for k in differ) for of in (run.config, given))
        raise RunError(f"{folder}: it was begun with other settings.", expected=expected, got=got, remedy="leave them out: a run knows its settings")
    given["epochs"] = max(given.get("epochs", run.config["epochs"]), len(run.progress().get("history", [])))
    for k in ("epochs", "backend"):
        if run.config.get(k) != given.get(k, run.config.get(k)):
            run.config |= {k: given[k], "command": with_option(run.config["command"], k, given[k])}
    return run, {k: run.config.get(k) for k in s}


def name_of(s):
    """What the run's default folder is called."""
    return f"{s['model']}-{pathlib.Path(s['data']).name}"


def with_option(command, name, value):
    """The command with another value of an option."""
    words = [word for word in shlex.split(command) if not word.startswith(f"--{name}=")]
    if f"--{name}" in words:
        place = words.index(f"--{name}")
        del words[place : place + 2]
    return shlex.join([*words, f"--{name}", str(value)])


def train(arguments, command):
    """`tinyae train`."""
    start = time.perf_counter()
    run, s = run_of(arguments)
    if run is not None and (done := nothing_left(run, s["epochs"])):
        print(f"{done}\nreport: {run.folder / 'report.html'}")
        return 0
    earlier = 0.0 if run is None else max(run.read_metrics().get("wall_seconds", 0.0), run.progress().get("seconds", 0.0))
    ta.use(s["backend"])
    data, test = (ta.data.load(s["data"], split=split, binarisation=s["binarisation"]) for split in ("train", "test"))
    model = model_for(s, data)
    if run is None:
        run = Run(arguments.out, name_of(s), s | {"command": command, "versions": versions()})
        if arguments.resume:
            print(f"nothing to resume in {run.folder}: a new run begins")
    print(f"{s['model']} on {data.name} ({len(data)} images, {s['binarisation']}), {sum(p.size for p in model.parameters()):,} parameters")
    try:
        history = fit(model, data, test, s, run, arguments.resume)
    except BaseException as error:
        run.discard()
        if isinstance(error, KeyboardInterrupt) and run.checkpoint.exists():
            print(f"interrupted at once; go on from the last checkpoint with: {again(run, s)}")
            return 130
        raise
    try:
        print("measuring the model, and drawing the report ...", file=sys.stderr, flush=True)
        metrics = measure(model, data, test, s, history) | {"wall_seconds": round(earlier + time.perf_counter() - start, 2)}
        (run.folder / "report.html").unlink(missing_ok=True)  # that of fewer epochs: where it is missing, it is made by --resume
        run.write_metrics(metrics)
        if len(history):
            ta.report.write_report(run.folder, model=model, rows=history.rows, train=data, test=test, config=run.config, metrics=metrics)
    except KeyboardInterrupt:
        print(f"interrupted before the report was made; the trained weights are in {run.folder}: ta.load({str(run.folder)!r})")
        print(f"make the report with: {again(run, s)}")
        return 130
    summarise(metrics, run, history, test, s)
    return 130 if history.interrupted else 0


def nothing_left(run, epochs):
    """Why there is nothing to resume in a run, a sentence; None where there is."""
    metrics = run.read_metrics()
    done = metrics.get("epochs", 0)
    if metrics.get("interrupted", True) or not (run.folder / "report.html").exists():
        return None
    if metrics.get("stopped"):
        return f"stopped early after {done} epochs, by --patience: nothing is left to do"
    return f"all {done} epochs are done; --epochs for more" if done >= epochs else None


def again(run, s):
    """The command that goes on with a run."""
    return shlex.join(["tinyae", "train", s["model"], "--out", str(run.folder), "--resume"])


def fit(model, data, test, s, run, resume):
    """Train the model as the settings say.  Returns the History."""
    part, validation = (data, None) if s["patience"] is None else data.hold_out(0.1)
    more = {"schedules": {} if s["warm_up"] is None else {"beta": ta.optim.linear(0, 1, s["warm_up"])}, "clip_norm": s["clip"]}
    more |= {"validation": validation, "patience": s["patience"], "run": run, "resume": resume}
    return ta.fit(model, part, test=test, epochs=s["epochs"], batch_size=s["batch"], lr=s["lr"], seed=s["seed"], **more)


def model_for(s, data):
    """The model of these settings for images of this data set."""
    config = {"model": s["model"], "features": data.features} | {name: s[name] for name in NETWORK if s[name] is not None}
    if s["channels"]:
        if ta.figures.are_points(data.image_shape):
            raise ArgumentError(f"--channels: {data.name} are points, not images.", remedy="leave it out; --hidden for more layers")
        config["image_shape"] = data.image_shape
        most = min(data.image_shape[-2:]).bit_length() - 1
        if len(s["channels"]) > most:
            expected = f"at most {most} of them on {data.image_shape[-2]}x{data.image_shape[-1]} pixels"
            raise ArgumentError("--channels: each convolution halves the image.", expected=expected, got=len(s["channels"]))
    model = ta.models.build(config, ta.rng(s["seed"]).stream("weights"))
    if s["free_bits"] is not None:
        model.objective = ta.models.ELBO(free_bits=s["free_bits"])
    return model


def measure(model, data, test, s, history):
    """The content of metrics.json, without the time."""
    terms, draws = {}, {}
    examples = min(EVALUATED, max(len(history) * len(data), QUICK // data.features))  # so that it takes less than the training
    for part in (test, data):
        draws[part.split] = max(1, examples // len(part)) if s["model"] == "vae" else 1
        terms[part.split] = ta.evaluation.evaluate(model, part, rng=ta.rng(s["seed"]).stream("metrics", part.split), draws=draws[part.split])
    units = "nats per example" if s["model"] == "vae" else "squared error: loss per example, mse per feature"
    if s["likelihood"] == "bernoulli" and s["binarisation"] == "grey":
        units += " (a cross entropy of grey values, not a likelihood)"
    names = ("binarisation", "likelihood", "seed", "backend")
    done = {"draws": draws, "epochs": len(history), "interrupted": history.interrupted, "versions": versions()}
    done |= {"stopped": history.stopped, "warnings": [sentence for _, sentence in history.warnings]}
    return terms | {"units": units} | {name: s[name] for name in names} | done


def versions():
    """The versions that a number depends on."""
    return {"tinyae": ta.__version__, "python": platform.python_version(), "numpy": importlib.metadata.version("numpy")}


def summarise(metrics, run, history, test, s):
    """Print the final terms, what the monitor saw, and where everything is."""
    if history.interrupted:
        print(f"interrupted after {len(history)} whole epochs; go on with: {again(run, s)}")
    if history.kept:
        term = "negative_elbo" if s["model"] == "vae" else "loss"
        best = history[f"validation_{term}"][history.kept - 1]
        print(f"validation split: {term} {best:.4g} after epoch {history.kept}, the best there; the weights are those of that moment")
    terms = "  ".join(f"{name} {value:.4g}" for name, value in metrics["test"].items() if name != "loss" or len(metrics["test"]) == 2)
    print(f"test split: {terms}  ({metrics['units']}, {metrics['binarisation']})")
    if metrics["likelihood"] == "gaussian" and metrics["test"]["kl"] < 1:
        smaller = f"a smaller variance, --variance {(s['variance'] or 0.5) / 10:.2g} say, gives the squared error more weight"
        print(f"the KL is small: the {ta.figures.things(test)} hardly depend on z; {smaller}")
    print(f"wall time {metrics['wall_seconds']:.1f} s")
    print(f"report: {run.folder / 'report.html'}" if len(history) else f"run: {run.folder} (no report: no epoch was finished)")
