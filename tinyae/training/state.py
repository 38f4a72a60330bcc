"""All that a training changes, as arrays and plain numbers: what a checkpoint holds, so that resuming ends in the same bits."""

import numpy as np

from tinyae.backend import to_device, to_numpy
from tinyae.errors import RunError, TinyaeError
from tinyae.evaluation.terms import Mean
from tinyae.training.history import History


class State:
    """Where a training stands: epoch (the one under way, from 1), step (steps of it that are done), the running means, history,
    best; skipped: the examples of the epoch for which no step was made.

    model: a Module.  optimizers: a list.  average: a WeightAverage or None.
    """

    def __init__(self, model, optimizers, average=None):
        self.model, self.optimizers, self.average = model, optimizers, average
        self.history, self.mean, self.epoch, self.step, self.seconds = History(), Mean(), 1, 0, 0.0
        self.skipped = 0
        self.best, self.best_weights = None, None  # (value, epoch) of early stopping, and the weights of that moment

    def arrays(self):
        """name -> NumPy array: the weights in training, the optimisers, the averages, the best weights so far, the running means."""
        found = {f"training.{name}": array for name, array in self.model.state_dict().items()}
        for i, optimizer in enumerate(self.optimizers):
            found |= {f"optimizer.{i}.{name}": array for name, array in optimizer.state_dict().items()}
        if self.average is not None:
            found |= {f"average.{name}": array for name, array in self.average.state_dict().items()}
        found |= {f"best.{name}": array for name, array in (self.best_weights or {}).items()}
        return found | {f"mean.{name}": np.array(to_numpy(total)) for name, total in self.mean.totals.items()}

    def numbers(self):
        """The rest, as values that JSON can hold."""
        numbers = {
            "epoch": self.epoch,
            "step": self.step,
            "terms": list(self.mean.totals),
            "examples": self.mean.count,
            "skipped": self.skipped,
            "seconds": self.seconds,
            "best": self.best,
        }
        numbers["streams"] = {name: stream.state() for name, stream in self.model.named_streams()}
        return numbers | {"history": list(self.history.rows), "warnings": list(self.history.warnings)}

    def restore(self, arrays, numbers):
        """Take up what `arrays` and `numbers` hold.  Raises RunError where they belong to another training, and leaves all as it was."""
        before = self.arrays(), self.numbers()
        try:
            self.take_up(arrays, numbers)
        except (KeyError, TypeError, ValueError, TinyaeError) as error:
            self.take_up(*before)
            raise RunError("this checkpoint belongs to another training.", got=str(error).splitlines()[0]) from error

    def take_up(self, arrays, numbers):
        """As `restore`; where something does not fit, what was before it is taken up already."""

        def part(prefix):
            return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}

        streams = dict(self.model.named_streams())
        if streams.keys() != numbers["streams"].keys() or (self.average is None) == bool(part("average.")):
            raise RunError("other random streams, or another averaging of weights.")
        if part(f"optimizer.{len(self.optimizers)}."):
            raise RunError("more optimisers.")
        for i, optimizer in enumerate(self.optimizers):
            optimizer.load_state_dict(part(f"optimizer.{i}."))
        self.model.load_state_dict(part("training."))
        if self.average is not None:
            self.average.load_state_dict(part("average."))
        for name, stream in streams.items():
            stream.restore(numbers["streams"][name])
        self.mean.totals = {name: to_device(arrays[f"mean.{name}"]) for name in numbers["terms"]}
        self.best, self.best_weights = numbers["best"], part("best.") or None
        self.mean.count, self.skipped = numbers["examples"], numbers.get("skipped", 0)
        self.epoch, self.step = numbers["epoch"], numbers["step"]
        self.seconds, self.history.rows, self.history.warnings = numbers["seconds"], numbers["history"], numbers["warnings"]

    def weights(self):
        """The weights to be used: the best ones if early stopping looked for them, else the averaged ones, else those in training."""
        if self.best_weights is not None:
            return self.best_weights
        if self.average is None:
            return self.model.state_dict()
        with self.average.applied():
            return self.model.state_dict()
