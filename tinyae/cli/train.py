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
from tinyae.cli.arguments import folder, named_or_folder, positive, share, whole
from tinyae.cli.settings import defaults, model_for, settings_of
from tinyae.errors import RunError
from tinyae.models import LIKELIHOODS, MODELS
from tinyae.nn.layers import ACTIVATIONS
from tinyae.training import Run, numbered
from tinyae.training.threads import suited_to

EVALUATED = 40_000  # examples that the final terms average over; a small test split is passed over several times,
QUICK = 2_560_000  # but more values than this (digits: those examples) only where as many examples were trained on


def add_train(commands):
    """The arguments of `tinyae train`."""
    add = commands.add_parser(
        "train",
        help="train a model and write a report",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: tinyae train vae --data mnist --channels 32 64 --hidden 256\n\ndefaults of the options marked *:\n" + defaults(),
    )
    add.add_argument("model", metavar="MODEL", choices=MODELS, help="one of `tinyae models`: " + ", ".join(MODELS))
    known = "one of `tinyae datasets` (default digits, which is embedded; `tinyae models` tells which models have another), or a folder of images, "
    known += "every tenth of which is kept for the test"
    add.add_argument("--data", type=named_or_folder(ta.data.DATASETS), metavar="NAME|DIR", help=known)
    more = "settings of the model that have no option of their own: `tinyae models MODEL` lists them"
    add.add_argument("--set", nargs="+", action="extend", metavar="NAME=VALUE", help=more)
    add.add_argument("--binarisation", choices=ta.data.BINARISATIONS, help="of the grey values *")
    add.add_argument("--likelihood", choices=LIKELIHOODS, help="p(x | z) of a model that has one *")
    add.add_argument("--variance", type=positive, metavar="V", help="of the gaussian likelihood (0.5: squared error + KL) *")
    add.add_argument("--latent", type=whole(1), metavar="N", help="dimensions of the code *")
    add.add_argument("--hidden", type=whole(1), nargs="*", metavar="N", help="widths of the encoder's layers; the decoder has them in reverse *")
    add.add_argument("--channels", type=whole(1), nargs="+", metavar="N", help="of convolutions before them, each of which halves the image")
    add.add_argument("--activation", choices=ACTIVATIONS, help="between the layers *")
    add.add_argument("--epochs", type=whole(1), metavar="N", help="passes over the training split; with --resume, a finished run may be given more *")
    add.add_argument("--batch", type=whole(1), metavar="N", help="examples a step *")
    add.add_argument("--lr", type=positive, metavar="X", help="learning rate of Adam *")
    add.add_argument("--warm-up", type=positive, metavar="E", help="epochs in which the weight of the KL rises from 0 to that of the model")
    add.add_argument("--free-bits", type=positive, metavar="NATS", help="that each latent dimension, of a hierarchy each level, has for nothing")
    add.add_argument("--clip", type=positive, metavar="X", help="the largest norm of the gradient")
    add.add_argument("--skip", type=positive, metavar="X", help="no step where the norm of the gradient is larger")
    add.add_argument("--average", type=share, metavar="D", help="keep a moving average of the weights with this decay, 0.99 say")
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


def run_of(arguments):
    """(the Run to resume, or None, settings).  Raises RunError where the settings given are not those of the run."""
    s = settings_of(arguments)
    folder = arguments.out or next(reversed(list(numbered(name_of(s), missing=False))), None)
    if not arguments.resume or folder is None or not (pathlib.Path(folder) / "config.json").exists():
        return None, s
    run = Run.open(folder)
    given = {k: s[k] for k, v in vars(arguments).items() if k in s and v is not None}
    if differ := [k for k, v in given.items() if k not in ("epochs", "backend") and run.config.get(k) != v]:
        expected, got = (", ".join(f"{k} {of.get(k)}" for k in differ) for of in (run.config, given))
        raise RunError(f"{folder}: it was begun with other settings.", expected=expected, got=got, remedy="leave them out: a run knows its settings")
    given["epochs"] = max(given.get("epochs", run.config["epochs"]), len(run.progress().get("history", [])))
    for k in ("epochs", "backend"):
        if run.config.get(k) != given.get(k, run.config.get(k)):
            run.config |= {k: given[k], "command": with_option(run.config["command"], k, given[k])}
    return run, {k: run.config.get(k) for k in s} | {"set": run.config.get("set") or {}}


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
    print(f"{s['model']} on {data.name} ({len(data):,} examples, {s['binarisation']}), {sum(p.size for p in model.parameters()):,} parameters")
    with suited_to(model, s["batch"]):
        return trained(model, data, test, s, run, arguments.resume, start - earlier)


def trained(model, data, test, s, run, resume, start):
    """Train, measure, draw the report.  start: when it all began.  Returns the exit code."""
    try:
        history = fit(model, data, test, s, run, resume)
    except BaseException as error:
        run.discard()
        if isinstance(error, KeyboardInterrupt) and run.checkpoint.exists():
            print(f"interrupted at once; go on from the last checkpoint with: {again(run, s)}")
            return 130
        raise
    try:
        print("measuring the model, and drawing the report ...", file=sys.stderr, flush=True)
        metrics = measure(model, data, test, s, history) | {"wall_seconds": round(time.perf_counter() - start, 2)}
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


def fit(model, data, test, s, run, resume, progress=True):
    """Train the model as the settings say.  Returns the History."""
    part, validation = (data, None) if s["patience"] is None else data.hold_out(0.1)
    schedules = {} if s["warm_up"] is None else {"beta": ta.optim.linear(0, getattr(model.objective, "beta", 1), s["warm_up"])}
    more = {"schedules": schedules, "clip_norm": s["clip"], "skip_norm": s["skip"], "average": s["average"], "progress": progress}
    more |= {"validation": validation, "patience": s["patience"], "run": run, "resume": resume}
    return ta.fit(model, part, test=test, epochs=s["epochs"], batch_size=s["batch"], lr=s["lr"], seed=s["seed"], **more)


def measure(model, data, test, s, history):
    """The content of metrics.json, without the time."""
    terms, draws = {}, {}
    examples = min(EVALUATED, max(len(history) * len(data), QUICK // data.features))  # so that it takes less than the training
    for part in (test, data):
        draws[part.split] = max(1, examples // len(part)) if model.likelihood is not None else 1
        terms[part.split] = ta.evaluation.evaluate(model, part, rng=ta.rng(s["seed"]).stream("metrics", part.split), draws=draws[part.split])
    units = "nats per example" if model.likelihood is not None else "squared error: loss per example, mse per feature"
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
        term = "negative_elbo" if "negative_elbo" in metrics["test"] else "loss"
        best = history[f"validation_{term}"][history.kept - 1]
        print(f"validation split: {term} {best:.4g} after epoch {history.kept}, the best there; the weights are those of that moment")
    terms = "  ".join(f"{name} {value:.4g}" for name, value in metrics["test"].items() if name != "loss" or len(metrics["test"]) == 2)
    print(f"test split: {terms}  ({metrics['units']}, {metrics['binarisation']})")
    if metrics["likelihood"] == "gaussian" and metrics["test"].get("kl", 1) < 1:
        smaller = f"a smaller variance, --variance {(s['variance'] or 0.5) / 10:.2g} say, gives the squared error more weight"
        print(f"the KL is small: the {ta.figures.things(test)} hardly depend on z; {smaller}")
    print(f"wall time {metrics['wall_seconds']:.1f} s")
    print(f"report: {run.folder / 'report.html'}" if len(history) else f"run: {run.folder} (no report: no epoch was finished)")
