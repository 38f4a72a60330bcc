"""`tinyae train`: load, train, measure, draw; everything ends up in the run's folder."""

import argparse
import importlib.metadata
import pathlib
import platform
import time

import tinyae as ta
from tinyae.backend import BACKENDS
from tinyae.cli.arguments import folder, positive, whole
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
EVALUATED = 40_000  # examples that the final terms average over; a small test split is passed over several times
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
    add.add_argument("--data", choices=ta.data.DATASETS, metavar="NAME", help="one of `tinyae datasets` (default digits, which is embedded)")
    add.add_argument("--binarisation", choices=ta.data.BINARISATIONS, help="of the grey values *")
    add.add_argument("--likelihood", choices=LIKELIHOODS, help="of the VAE *")
    add.add_argument("--variance", type=positive, metavar="V", help="of the gaussian likelihood (0.5: squared error + KL) *")
    add.add_argument("--latent", type=whole(1), metavar="N", help="dimensions of the code *")
    add.add_argument("--hidden", type=whole(1), nargs="*", metavar="N", help="widths of the encoder's layers; the decoder has them in reverse *")
    add.add_argument("--channels", type=whole(1), nargs="+", metavar="N", help="of convolutions before them, each of which halves the image")
    add.add_argument("--activation", choices=ACTIVATIONS, help="between the layers *")
    add.add_argument("--epochs", type=whole(1), metavar="N", help="passes over the training split *")
    add.add_argument("--batch", type=whole(1), metavar="N", help="examples a step *")
    add.add_argument("--lr", type=positive, metavar="X", help="learning rate of Adam *")
    add.add_argument("--warm-up", type=positive, metavar="E", help="epochs in which the weight of the KL rises from 0 to 1")
    add.add_argument("--free-bits", type=positive, metavar="NATS", help="that each latent dimension has for nothing")
    add.add_argument("--clip", type=positive, metavar="X", help="the largest norm of the gradient")
    add.add_argument(
        "--patience", type=whole(1), metavar="E", help="hold out a tenth of the training images; stop after E epochs without a better ELBO there"
    )
    add.add_argument("--seed", type=whole(0), metavar="N", help="default 0")
    add.add_argument("--backend", choices=BACKENDS, help="default numpy")
    add.add_argument("--out", type=folder, metavar="DIR", help="folder of the run (default: counts up runs/MODEL-DATA-1, -2, ...)")
    add.add_argument("--resume", action="store_true", help="go on with the run in DIR (default: the last runs/MODEL-DATA-N) where it was stopped")
    add.set_defaults(run=train)


def defaults():
    """The defaults of each data set as options, a line each."""
    lines = []
    for name, settings in (DEFAULTS | {"points": POINTS}).items():
        options = {key: " ".join(map(str, value)) if isinstance(value, list) else value for key, value in settings.items()}
        lines.append(f"  {name:<15}" + " ".join(f"--{key} {value}" for key, value in options.items()))
    return "\n".join([*lines, "  (points: the sets from two-moons on)"])


def settings_of(arguments):
    """All settings of a training: what was given, else the default for the data set."""
    given = {k: v for k, v in vars(arguments).items() if k not in ("run", "out", "resume")}
    given |= {"data": given["data"] or "digits", "seed": given["seed"] or 0, "backend": given["backend"] or "numpy"}
    default = DEFAULTS.get(given["data"], POINTS)
    if given["model"] == "autoencoder":
        if unused := [name for name in ("likelihood", "variance", "warm_up", "free_bits") if given[name] is not None]:
            option = unused[0].replace("_", "-")
            raise ArgumentError(f"--{option}: an autoencoder has none; it minimises the squared error.")
        default = default | {"likelihood": None, "variance": None}
    if given["likelihood"] not in (None, default["likelihood"]):
        default = default | {"variance": None} | ({} if given["likelihood"] == "bernoulli" else {"binarisation": "grey"})
    if default["likelihood"] is None and given["binarisation"] is None:
        default = default | {"binarisation": "grey"}
    return {k: default.get(k) if v is None else v for k, v in given.items()}


def run_of(arguments, command):
    """(a function that gives the Run, its settings): a new run; or, with --resume, the one in the folder, if there is one."""
    s = settings_of(arguments)
    name, folder = f"{s['model']}-{s['data']}", arguments.out
    if arguments.resume and folder is None:
        folder = next(reversed(list(numbered(name, missing=False))), None)
    if not arguments.resume or folder is None or not (pathlib.Path(folder) / "config.json").exists():
        return (lambda: Run(arguments.out, name, s | {"command": command, "versions": versions()})), s
    run = Run.open(folder)
    given = {k: v for k, v in vars(arguments).items() if k in s and k not in ("epochs", "backend") and v is not None}
    if differ := [k for k, v in given.items() if run.config.get(k) != v]:
        expected, got = (", ".join(f"{k} {of.get(k)}" for k in differ) for of in (run.config, given))
        raise RunError(f"{folder}: it was begun with other settings.", expected=expected, got=got, remedy="leave them out: a run knows its settings")
    more = {k: v for k, v in vars(arguments).items() if k in ("epochs", "backend") and v is not None}
    return (lambda: run), {k: run.config.get(k) for k in s} | more


def train(arguments, command):
    """`tinyae train`."""
    start = time.perf_counter()
    make_run, s = run_of(arguments, command)
    ta.use(s["backend"])
    data, test = (ta.data.load(s["data"], split=split, binarisation=s["binarisation"]) for split in ("train", "test"))
    model = model_for(s, data)
    run = make_run()
    print(f"{s['model']} on {data.name} ({len(data)} images, {s['binarisation']}), {sum(p.size for p in model.parameters()):,} parameters")
    part, validation = (data, None) if s["patience"] is None else data.hold_out(0.1)
    more = {"schedules": {} if s["warm_up"] is None else {"beta": ta.optim.linear(0, 1, s["warm_up"])}, "clip_norm": s["clip"]}
    more |= {"validation": validation, "patience": s["patience"], "run": run, "resume": arguments.resume}
    try:
        history = ta.fit(model, part, test=test, epochs=s["epochs"], batch_size=s["batch"], lr=s["lr"], seed=s["seed"], **more)
    except BaseException:
        run.discard()
        raise
    try:
        metrics = measure(model, data, test, s, history) | {"wall_seconds": round(time.perf_counter() - start, 2)}
        run.write_metrics(metrics)
        if len(history):
            ta.report.write_report(run.folder, model=model, rows=history.rows, train=data, test=test, config=run.config, metrics=metrics)
    except KeyboardInterrupt:
        print(f"interrupted before the report was made; the trained weights are in {run.folder}: ta.load({str(run.folder)!r})")
        return 130
    summarise(metrics, run, history, s)
    return 130 if history.interrupted else 0


def model_for(s, data):
    """The model of these settings for images of this data set."""
    config = {"model": s["model"], "features": data.features} | {name: s[name] for name in NETWORK if s[name] is not None}
    if s["channels"]:
        config["image_shape"] = data.image_shape
    model = ta.models.build(config, ta.rng(s["seed"]).stream("weights"))
    if s["free_bits"] is not None:
        model.objective = ta.models.ELBO(free_bits=s["free_bits"])
    return model


def measure(model, data, test, s, history):
    """The content of metrics.json, without the time."""
    terms, draws = {}, {}
    for part in (test, data):
        draws[part.split] = max(1, EVALUATED // len(part)) if s["model"] == "vae" else 1
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


def summarise(metrics, run, history, s):
    """Print the final terms, what the monitor saw, and where everything is."""
    if history.interrupted:
        print(f"interrupted after {len(history)} whole epochs; go on with: tinyae train {s['model']} --out {run.folder} --resume")
    if history.stopped:
        print(f"stopped after {len(history)} epochs: the validation split found nothing better; the best weights are kept")
    terms = "  ".join(f"{name} {value:.4g}" for name, value in metrics["test"].items() if name != "loss" or len(metrics["test"]) == 2)
    print(f"test split: {terms}  ({metrics['units']}, {metrics['binarisation']})")
    if metrics["likelihood"] == "gaussian" and metrics["test"]["kl"] < 1:
        print("the KL is small: the images hardly depend on z; a smaller variance, --variance 0.02 say, gives the squared error more weight")
    print(f"wall time {metrics['wall_seconds']:.1f} s")
    print(f"report: {run.folder / 'report.html'}" if len(history) else f"run: {run.folder} (no report: no epoch was finished)")
