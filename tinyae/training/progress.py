"""Progress of a training: a bar on a terminal, plain lines elsewhere."""

import sys

SHOWN = ("loss", "negative_elbo", "reconstruction", "kl", "mse")


def line(row):
    """An epoch in one line: the test terms where there are some, else the train terms; then the validation terms."""
    parts = []
    for split in ("test" if any(name.startswith("test_") for name in row) else "train", "validation"):
        found = {name: row[f"{split}_{name}"] for name in SHOWN if f"{split}_{name}" in row}
        if "negative_elbo" in found:
            del found["loss"]
        parts += [split, *(f"{name} {value:.4g}" for name, value in found.items())] if found else []
    return "  ".join(parts)


def peak_memory():
    """The largest memory that the process has had, in MB; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3), 1)


class Progress:
    """Shows each epoch; `with Progress(epochs, True) as show: ... show.epoch(row)`."""

    def __init__(self, epochs, wanted):
        self.epochs, self.wanted, self.bar = epochs, wanted, None

    def __enter__(self):
        if self.wanted and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = "epoch", MofNCompleteColumn(), BarColumn(bar_width=24), TimeRemainingColumn(), TextColumn("{task.description}")
            self.bar = Bar(*columns, console=Console(stderr=True))
            self.task = self.bar.add_task("", total=self.epochs)
            self.bar.start()
        return self

    def __exit__(self, *error):
        if self.bar is not None:
            self.bar.stop()

    def epoch(self, row):
        """Show a row of the history; without a terminal about twenty lines in all."""
        if self.bar is not None:
            self.bar.update(self.task, completed=row["epoch"], description=line(row))
        elif self.wanted and (row["epoch"] % max(1, self.epochs // 20) == 0 or row["epoch"] in (1, self.epochs)):
            print(f"epoch {row['epoch']}/{self.epochs}  {row['seconds']:.1f} s  {line(row)}", file=sys.stderr, flush=True)
