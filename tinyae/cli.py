"""The `tinyae` command."""

import argparse
import importlib.metadata
import os
import platform
import shlex
import shutil
import signal
import sys
import time

import tinyae as ta
from tinyae.backend import BACKENDS
from tinyae.errors import ArgumentError, TinyaeError, one_line
from tinyae.models import LIKELIHOODS, MODELS
from tinyae.nn.layers import ACTIVATIONS
from tinyae.training import Run

LARGE = {"latent": 20, "hidden": [400], "activation": "relu", "epochs": 10, "batch": 128, "lr": 1e-3, "binarisation": "dynamic"}
DEFAULTS = {
    "digits": {"latent": 2, "hidden": [128], "activation": "tanh", "epochs": 600, "batch": 100, "lr": 1e-3, "binarisation": "threshold"},
    "mnist": LARGE,
    "fashion-mnist": LARGE,
}
EVALUATED = 40_000  # examples that the final terms average over; a small test split is passed over several times


def main(argv=None):
    """Run the command line `argv`; returns the exit code: 0, 1 for a failed check, 2 for bad input, 130 after Ctrl-C."""
    argv = sys.argv[1:] if argv is None else argv
    arguments = parser().parse_args(argv)
    try:
        return arguments.run(arguments, shlex.join(["tinyae", *argv])) or 0
    except TinyaeError as error:
        print(f"tinyae: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("tinyae: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away: head, less
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nor may the interpreter's last flush complain
        return 128 + signal.SIGPIPE


def parser():
    """The arguments of every command."""
    top = argparse.ArgumentParser(prog="tinyae", description="Backpropagation through autoencoders and variational autoencoders, line by line.")
    top.epilog = "example: tinyae train vae"
    top.add_argument("--version", action="version", version=f"tinyae {ta.__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    add_train(commands)
    add = commands.add_parser("microscope", help="one training step, line by line", epilog="example: tinyae microscope vae")
    add.add_argument("model", choices=MODELS)
    add.add_argument("--seed", type=whole(0), default=0, metavar="N", help="of weights and noise (default 0)")
    add.set_defaults(run=microscope)
    add = commands.add_parser(
        "ops", help="every operation with its gradient", epilog="example: tinyae ops softmax, or: tinyae ops --html operations.html"
    )
    add.add_argument("name", nargs="?", metavar="NAME", help="show this operation in full (default: a table of all)")
    add.add_argument("--html", type=file, metavar="FILE", help="write the reference of all operations as one page")
    add.set_defaults(run=operations)
    add_check(commands)
    add = commands.add_parser("lesson", help="run a lesson", epilog="example: tinyae lesson 6 --fast")
    add.add_argument("number", type=whole(0), metavar="N")
    add.add_argument("--fast", action="store_true", help="less training: seconds instead of half a minute")
    add.add_argument("--seed", type=whole(0), default=0, metavar="N", help="default 0")
    add.add_argument("--out", type=folder, metavar="DIR", help="folder for metrics and figures (default: counts up runs/lesson-N)")
    add.set_defaults(run=lesson)
    return top


def add_train(commands):
    """The arguments of `tinyae train`."""
    add = commands.add_parser(
        "train",
        help="train a model and write a report",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: tinyae train vae --data mnist --latent 20 --hidden 400 --epochs 10\n\ndefaults of the options marked *:\n" + defaults(),
    )
    add.add_argument("model", choices=MODELS)
    add.add_argument(
        "--data",
        default="digits",
        choices=ta.data.DATASETS,
        help="default digits, which is embedded; the others from the folder $TINYAE_DATA/NAME, or downloaded",
    )
    add.add_argument(
        "--binarisation",
        choices=ta.data.BINARISATIONS,
        help="of the grey values; default threshold (digits) or dynamic, and grey where nothing is binary",
    )
    add.add_argument("--likelihood", choices=LIKELIHOODS, help="of the VAE (default bernoulli)")
    add.add_argument("--variance", type=positive, metavar="V", help="of the gaussian likelihood (default 0.5: squared error + KL)")
    add.add_argument("--latent", type=whole(1), metavar="N", help="dimensions of the code *")
    add.add_argument("--hidden", type=whole(1), nargs="+", metavar="N", help="widths of the encoder's layers; the decoder has them in reverse *")
    add.add_argument("--activation", choices=ACTIVATIONS, help="between the layers *")
    add.add_argument("--epochs", type=whole(1), metavar="N", help="passes over the training split *")
    add.add_argument("--batch", type=whole(1), metavar="N", help="examples a step *")
    add.add_argument("--lr", type=positive, metavar="X", help="learning rate of Adam *")
    add.add_argument("--seed", type=whole(0), default=0, metavar="N", help="default 0")
    add.add_argument("--backend", default="numpy", choices=BACKENDS, help="default numpy")
    add.add_argument("--out", type=folder, metavar="DIR", help="folder of the run (default: counts up runs/MODEL-DATA-1, -2, ...)")
    add.set_defaults(run=train)


def add_check(commands):
    """The arguments of `tinyae check`."""
    add = commands.add_parser(
        "check", help="check the gradients of operations, or of your function", epilog="example: tinyae check softmax, or: tinyae check mine.py::f"
    )
    add.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="an operation; or file.py::function, with a function_backward(gy, *inputs) beside it, or of Tensors (default: every operation)",
    )
    add.add_argument("--order", type=int, choices=(1, 2), default=2, help="2 checks the gradients of gradients too (default 2)")
    add.add_argument("--seed", type=whole(0), default=0, metavar="N", help="of the inputs (default 0)")
    add.add_argument("--examples", type=whole(1), default=20, metavar="N", help="calls drawn for each (default 20)")
    add.add_argument("--mutants", action="store_true", help="check the checks: put every small error into the rules, and list those nobody sees")
    add.set_defaults(run=check)


def defaults():
    """The defaults of each data set as options, a line each."""
    lines = []
    for name, settings in DEFAULTS.items():
        options = {key: " ".join(map(str, value)) if isinstance(value, list) else value for key, value in settings.items()}
        lines.append(f"  {name:<15}" + " ".join(f"--{key} {value}" for key, value in options.items() if key != "binarisation"))
    return "\n".join(lines)


def whole(least):
    """An argument type: a whole number, `least` or more."""

    def number(text):
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or value < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, {least} or more")
        return value

    return number


def positive(text):
    """An argument type: a finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number above 0")
    return value


def folder(text):
    """An argument type: the name of a folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError("a folder needs a name")
    return text


def file(text):
    """An argument type: the name of a file in a folder that is there."""
    if not text.strip() or os.path.isdir(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a file")
    if not os.path.isdir(os.path.dirname(text) or "."):
        raise argparse.ArgumentTypeError(f"there is no folder {os.path.dirname(text)!r}")
    return text


def settings_of(arguments):
    """All settings of a training: what was given, else the default for the data set."""
    settings = {k: v for k, v in vars(arguments).items() if k not in ("run", "out")}
    if arguments.model == "autoencoder":
        if given := [name for name in ("likelihood", "variance") if settings[name] is not None]:
            raise ArgumentError(f"--{given[0]}: an autoencoder has none; it minimises the squared error.")
    else:
        settings["likelihood"] = settings["likelihood"] or "bernoulli"
    if settings["binarisation"] is None and settings["likelihood"] != "bernoulli":
        settings["binarisation"] = "grey"
    return {k: DEFAULTS[arguments.data].get(k) if v is None else v for k, v in settings.items()}


def train(arguments, command):
    """`tinyae train`: load, train, measure, draw; everything ends up in the run's folder."""
    start = time.perf_counter()
    s = settings_of(arguments)
    ta.use(s["backend"])
    data, test = (ta.data.load(s["data"], split=split, binarisation=s["binarisation"]) for split in ("train", "test"))
    names = ("model", "latent", "hidden", "activation") + (("likelihood", "variance") if s["model"] == "vae" else ())
    model = ta.models.build({name: s[name] for name in names} | {"features": data.features}, ta.rng(s["seed"]).stream("weights"))
    run = Run(arguments.out, f"{s['model']}-{s['data']}", s | {"command": command, "versions": versions()})
    print(f"{s['model']} on {data.name} ({len(data)} images, {s['binarisation']}), {sum(p.size for p in model.parameters()):,} parameters")
    try:
        history = ta.fit(model, data, test=test, epochs=s["epochs"], batch_size=s["batch"], lr=s["lr"], seed=s["seed"], run=run)
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
    summarise(metrics, run, history)
    return 130 if history.interrupted else 0


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
    return terms | {"units": units} | {name: s[name] for name in names} | done


def versions():
    """The versions that a number depends on."""
    return {"tinyae": ta.__version__, "python": platform.python_version(), "numpy": importlib.metadata.version("numpy")}


def summarise(metrics, run, history):
    """Print the final terms and where everything is."""
    if history.interrupted:
        print(f"interrupted after {len(history)} whole epochs; the weights of that moment are kept")
    terms = "  ".join(f"{name} {value:.4g}" for name, value in metrics["test"].items() if name != "loss" or len(metrics["test"]) == 2)
    print(f"test split: {terms}  ({metrics['units']}, {metrics['binarisation']})")
    if metrics["likelihood"] == "gaussian" and metrics["test"]["kl"] < 1:
        print("the KL is small: the images hardly depend on z; a smaller variance, --variance 0.02 say, gives the squared error more weight")
    print(f"wall time {metrics['wall_seconds']:.1f} s")
    print(f"report: {run.folder / 'report.html'}" if len(history) else f"run: {run.folder} (no report: no epoch was finished)")


def microscope(arguments, command):
    """`tinyae microscope`: the lines of one training step."""
    print(ta.microscope.microscope_model(arguments.model, seed=arguments.seed))


def operations(arguments, command):
    """`tinyae ops`: a table of all operations, one in full, or the page."""
    from tinyae.report import operations as reference

    if arguments.html and arguments.name:
        raise ArgumentError("--html writes all operations on one page.", remedy="leave out " + arguments.name)
    if arguments.html:
        print(f"reference: {reference.write_page(arguments.html)}")
    elif arguments.name:
        print(reference.describe(reference.find(arguments.name), width=min(shutil.get_terminal_size((100, 24)).columns, 100)))
    else:
        reference.print_table()


def check(arguments, command):
    """`tinyae check`: a table of the checks; exit code 1 where one failed."""
    from tinyae.checks import command as checks

    if arguments.mutants:
        from tinyae.evaluation.targets import targets

        return checks.check_mutants(arguments.names, targets())
    return checks.check(arguments.names, order=arguments.order, seed=arguments.seed, examples=arguments.examples)


def lesson(arguments, command):
    """`tinyae lesson`: run it, and say where its numbers are."""
    from tinyae.course import run_lesson

    run_lesson(arguments.number, fast=arguments.fast, seed=arguments.seed, out=arguments.out)


if __name__ == "__main__":
    sys.exit(main())
