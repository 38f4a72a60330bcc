"""`tinyae evaluate` and `tinyae compare`: what finished runs achieve on their test split."""

import argparse
import math
import sys

import tinyae as ta
from tinyae.backend import BACKENDS
from tinyae.cli.arguments import file, folder, whole
from tinyae.cli.runs import save
from tinyae.errors import ArgumentError, RunError
from tinyae.evaluation.metrics import METRICS, applicable, measure_one, missing
from tinyae.evaluation.subject import Subject
from tinyae.training import Run
from tinyae.training.files import checksum

SHOWN = 8  # of the numbers of each dimension, in a table


def add_settings(add):
    """The arguments that both commands have."""
    add.add_argument("--metrics", nargs="+", choices=METRICS, metavar="NAME", help="which (default: all that apply)")
    add.add_argument("--samples", type=whole(1), default=500, metavar="K", help="draws of the importance-weighted nll (default 500)")
    add.add_argument(
        "--examples", type=whole(2), default=1000, metavar="N", help="test examples of nll and anomaly-auroc at most (default 1000); others take all"
    )
    add.add_argument("--seed", type=whole(0), default=0, metavar="N", help="of draws, probes and the classifier (default 0)")
    add.add_argument("--backend", choices=BACKENDS, default="numpy", help="default numpy")
    add.formatter_class = argparse.RawDescriptionHelpFormatter


def add_evaluate(commands):
    """The arguments of `tinyae evaluate`."""
    lines = [f"  {name:<20} {metric.says}\n{'':<22} needs {'; '.join(metric.needs) or 'nothing more'}" for name, metric in METRICS.items()]
    epilog = "example: tinyae evaluate runs/vae-digits-1 --metrics nll active-units\n\nmetrics:\n" + "\n".join(lines)
    add = commands.add_parser("evaluate", help="measure a trained model on its test split", epilog=epilog)
    add.add_argument("folder", metavar="RUN", type=folder, help="the folder of a run; the numbers join its metrics.json, under evaluation")
    add_settings(add)
    add.set_defaults(run=evaluate)


def evaluate(arguments, command):
    """`tinyae evaluate`: a table, and the same in metrics.json."""
    ta.use(arguments.backend)
    evaluation = Evaluation(arguments.folder, arguments)
    evaluation.measure(arguments.metrics or evaluation.applicable(), again=True)
    test = evaluation.subject.test
    print(f"{arguments.folder}: {test.name}, {len(test)} test examples, {test.binarisation}")
    rows = [("metric", "number", "value", "standard error", "unit")]
    for metric in arguments.metrics or evaluation.applicable():
        for name, number in evaluation.found[metric]["numbers"].items():
            rows.append((metric, name, *cells(number), number["unit"] + qualifier(metric, evaluation)))
    print_table(rows)
    print(f"written: {evaluation.run.folder / 'metrics.json'}")


def qualifier(metric, evaluation):
    """What must be said beside some numbers."""
    settings = evaluation.settings
    if metric == "nll":
        return f" (K = {settings['samples']}, {len(evaluation.subject.some)} examples)"
    return f" ({len(evaluation.subject.some)} examples)" if metric == "anomaly-auroc" else ""


class Evaluation:
    """The evaluation of one run: what its metrics.json has of it, and what is measured and added to that.

    found: metric -> {"numbers": {name: {"value", "unit", "standard_error"}}, and the settings that they were measured with}.
    """

    def __init__(self, folder, arguments):
        self.run, self.model = Run.open(folder), ta.load(folder)
        self.subject = Subject(
            self.model,
            self.run.data("train"),
            self.run.data("test"),
            ta.rng(arguments.seed).stream("evaluation"),
            arguments.samples,
            arguments.examples,
        )
        weights = checksum("", {name: ta.backend.to_numpy(array) for name, array in self.model.state_dict().items()})
        self.settings = {name: getattr(arguments, name) for name in ("seed", "samples", "examples")} | {"weights": weights}
        self.metrics = self.run.read_metrics()
        path = self.run.folder / "metrics.json"
        if not self.metrics and path.exists() and path.read_bytes().strip() not in (b"", b"{}"):
            raise RunError(f"{path}: it cannot be read, and is left as it is.", remedy="move it away")
        found = self.metrics.get("evaluation", {})
        self.found = found if isinstance(found, dict) else {}

    def applicable(self):
        """The metrics that the model and the data have what is needed for."""
        return applicable(self.subject)

    def measure(self, names, again=False):
        """Measure the metrics that were not, with these weights and settings (or all of them `again`), and write metrics.json."""
        for name in names:
            if need := missing(name, self.subject):
                raise ArgumentError(f"{name}: it needs {need}.", got=f"{self.run.folder}: {self.run.config['model']} on {self.subject.test!r}")
        names = [name for name in names if again or not self.is_there(name)]
        if not names:
            return
        print(f"measuring {self.run.folder}: {', '.join(names)} ...", file=sys.stderr, flush=True)
        for name in names:
            numbers = {key: as_json(number) for key, number in measure_one(name, self.subject).items()}
            self.found[name] = {"numbers": numbers} | self.settings
        self.run.write_metrics(self.metrics | {"evaluation": self.found})

    def is_there(self, name):
        """Whether metrics.json has a metric, measured with these weights and settings."""
        there = self.found.get(name)
        return isinstance(there, dict) and "numbers" in there and all(there.get(key) == value for key, value in self.settings.items())


def as_json(number):
    """A Number as JSON: what is not finite, as the PSNR of a perfect image, is null."""

    def finite(value):
        return value if math.isfinite(value) else None

    value = [finite(one) for one in number.value] if isinstance(number.value, tuple) else finite(number.value)
    return {"value": value, "unit": number.unit} | ({} if number.standard_error is None else {"standard_error": finite(number.standard_error)})


def cells(number):
    """Value and standard error as text: the error with two digits, the value with as many places."""
    value, error = number["value"], number.get("standard_error")
    if isinstance(value, list):
        more = f" ... ({len(value)})" if len(value) > SHOWN else ""
        return " ".join("-" if one is None else f"{one:.2f}" for one in value[:SHOWN]) + more, ""
    if value is None or isinstance(value, int):
        return "-" if value is None else str(value), ""
    if not error:
        return f"{value:.4g}", "" if error is None else "0"
    places = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{places}f}", f"{error:.{places}f}"


def print_table(rows):
    """Print rows of text in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


# ---- several runs


def add_compare(commands):
    """The arguments of `tinyae compare`."""
    epilog = "example: tinyae compare runs/vae-digits-1 runs/vae-digits-2 --metrics nll mse --out comparison.png"
    add = commands.add_parser("compare", help="runs on the same data side by side: a table and a picture", epilog=epilog)
    add.add_argument("folders", metavar="RUN", nargs="+", type=folder, help="folders of runs on the same data, two or more")
    add.add_argument("--out", type=file, default="comparison.png", metavar="FILE", help="the picture, a PNG (default comparison.png)")
    add_settings(add)
    add.set_defaults(run=compare)


def compare(arguments, command):
    """`tinyae compare`: a table and a picture; what metrics.json does not have yet is measured, and added to it."""
    from tinyae.figures.comparison import comparison

    ta.use(arguments.backend)
    if len(set(arguments.folders)) < max(2, len(arguments.folders)):
        raise ArgumentError("compare: two runs or more, each once.", got=" ".join(arguments.folders))
    check_same_data(arguments.folders)
    evaluations = {name: Evaluation(name, arguments) for name in arguments.folders}
    names, having = arguments.metrics or list(METRICS), {name: set(one.applicable()) for name, one in evaluations.items()}
    for metric in arguments.metrics or ():
        if not any(metric in metrics for metrics in having.values()):
            evaluations[arguments.folders[0]].measure([metric])  # says what it needs
    numbers = {}
    for name, one in evaluations.items():
        own = [metric for metric in names if metric in having[name]]
        one.measure(own)
        numbers[name] = {key: number for metric in own for key, number in one.found[metric]["numbers"].items()}
    keys = [key for metric in names for key in numbers_of(metric, evaluations.values())]
    keys = list(dict.fromkeys(key for key in keys if any(key in each for each in numbers.values())))
    print_comparison(evaluations, numbers, keys)
    save(comparison(numbers, keys), arguments.out)


def numbers_of(metric, evaluations):
    """The names of a metric's numbers, in order."""
    return [key for one in evaluations for key in one.found.get(metric, {}).get("numbers", ())]


def check_same_data(folders):
    """Raise ArgumentError where runs differ in data or binarisation: their numbers say nothing of each other."""
    configs = {name: Run.open(name).config for name in folders}
    said = {name: f"{config.get('data')}, {config.get('binarisation')}" for name, config in configs.items()}
    first = folders[0]
    for name in folders[1:]:
        if said[name] != said[first]:
            remedy = "train both with the same --data and --binarisation"
            raise ArgumentError(
                "compare: the runs have other data.", expected=f"{said[first]} ({first})", got=f"{said[name]} ({name})", remedy=remedy
            )


def print_comparison(evaluations, numbers, keys):
    """The table: a row for each number, a column for each run."""
    configs = [one.run.config for one in evaluations.values()]
    rows = [("", *evaluations, "unit"), ("model", *(str(config["model"]) for config in configs), "")]
    rows.append(("parameters", *(f"{sum(p.size for p in one.model.parameters()):,}" for one in evaluations.values()), ""))
    rows.append(("epochs", *(str(one.metrics.get("epochs", "?")) for one in evaluations.values()), ""))
    for key in keys:
        there = [each.get(key) for each in numbers.values()]
        unit = next(number["unit"] for number in there if number)
        rows.append((key, *("-" if number is None else in_brackets(number) for number in there), unit))
    print_table(rows)
    print("in brackets: standard errors over the test examples, which the runs share, so that differences are more certain than these say")
    if len(kinds := {config.get("likelihood") for config in configs} - {None}) > 1:
        print(f"the likelihoods differ ({', '.join(sorted(kinds))}): nats of x under one are not those under another")


def in_brackets(number):
    """value (standard error)."""
    value, error = cells(number)
    return f"{value} ({error})" if error else value
