"""One epoch of training, step by step; what stops it, and what it says then."""

import functools
import math
import sys

import numpy as np

from tinyae.autograd import raw
from tinyae.backend import rng as make_rng
from tinyae.backend import to_device, to_numpy
from tinyae.errors import AnomalyError, ArgumentError, DataError
from tinyae.evaluation.terms import conditioned, evaluate, evaluating, named_loss, size_of, takes_labels
from tinyae.models.parts import check_values
from tinyae.optim import clip_norm, gradient_norm
from tinyae.training.monitor import look, warnings_of

LOOKED_AT = 500  # examples, by the monitor


class Trainer:
    """The parts of a training.  state: a State.  settings: seed, batch_size, schedules, clip_norm, skip_norm."""

    def __init__(self, state, data, splits, *, seed, batch_size, schedules, clip_norm=None, skip_norm=None):
        self.state, self.data, self.splits, self.batch_size = state, data, splits, batch_size
        self.streams, self.schedules, self.clip, self.skip = make_rng(seed), schedules, clip_norm, skip_norm
        self.loss, self.takes_labels = named_loss(state.model), takes_labels(state.model)

    def epoch(self, after_step):
        """The steps of the present epoch that are left.  after_step() says whether to go on.  Returns whether the epoch is done."""
        state, epoch = self.state, self.state.epoch
        for step, batch in enumerate(self.data.batches(self.batch_size, rng=self.streams.stream("batches", epoch), labels=self.takes_labels)):
            self.set_schedules(epoch, step)
            if step >= state.step:  # a resumed epoch draws the earlier batches again: the stream goes on as it did
                self.one_step(batch, self.streams.stream("noise", epoch, step))
                state.step = step + 1
                if not after_step():
                    return False
        return True

    def go_on(self):
        """What is scheduled is again what it was in the last step that was done, if any: there may be none left to do."""
        steps = self.state.step + (self.state.epoch - 1) * self.steps
        if steps:
            self.set_schedules(1 + (steps - 1) // self.steps, (steps - 1) % self.steps)

    @property
    def steps(self):
        """The number of steps of an epoch."""
        return math.ceil(len(self.data) / self.batch_size)

    def set_schedules(self, epoch, step):
        """What is scheduled gets its value at this step of an epoch; both begin the time, which is in epochs, at 0 in step 0 of epoch 1."""
        t = epoch - 1 + step / self.steps
        for name, schedule in self.schedules.items():
            for owner in self.state.optimizers if name == "lr" else [self.state.model.objective]:
                setattr(owner, name, scheduled(name, schedule(t), t))

    def one_step(self, batch, stream):
        """Loss, gradients, and a step of every optimiser; the terms join the epoch's means.

        A model's own before_step() may change its gradients, its after_step(rng) its weights: a projection, a codebook's moving average.
        """
        model = self.state.model
        terms = self.loss(batch, stream)
        for optimizer in self.state.optimizers:
            optimizer.zero_grad()
        terms["loss"].backward()
        if hasattr(model, "before_step"):
            model.before_step()
        norms = [gradient_norm(o) if self.clip is None else clip_norm(o, self.clip) for o in self.state.optimizers]
        stepped = [o.step(skip_above=self.skip, norm=norm) for o, norm in zip(self.state.optimizers, norms, strict=True)]
        if hasattr(model, "after_step"):
            model.after_step(stream.stream("after step"))
        if self.state.average is not None:
            self.state.average.update()
        if not any(stepped):
            self.state.skipped += size_of(batch)
            if not all(np.isfinite(to_numpy(raw(term))).all() for term in terms.values()):
                return
        more = {"gradient_norm": norms[0] if len(norms) == 1 else sum(norm * norm for norm in norms) ** 0.5}
        self.state.mean.add(terms | more, size_of(batch))

    def measure(self):
        """(terms of each split after the epoch, what the monitor saw), with the averaged weights if there are any."""
        found = {name: evaluate(self.state.model, split, rng=self.streams.stream(name)) for name, split in self.splits.items()}
        x, labels = self.looked_at
        with evaluating(self.state.model):
            return found, look(conditioned(self.state.model, labels), x)

    @functools.cached_property
    def looked_at(self):
        """The examples that the monitor looks at, and their labels: after every epoch the same, binarised alike."""
        shown = next(iter(self.splits.values()), self.data)
        x = shown.take(slice(0, LOOKED_AT), self.streams.stream("monitor"))
        return to_device(x), to_device(shown.labels[:LOOKED_AT])

    def warn(self, seen, early):
        """Keep, and print once of a kind, what the monitor has to say; `early` epochs are not judged."""
        history = self.state.history
        for kind, sentence in ({} if early else warnings_of(seen)).items():
            if not any(kind == known for known, _ in history.warnings):
                history.warnings.append([kind, f"epoch {len(history)}: {sentence}"])
                print(f"warning: {history.warnings[-1][1]}", file=sys.stderr)

    def explain(self, before):
        """The error for an epoch whose numbers are not finite: go back to `before` it, and see which operation makes the first one."""
        from tinyae.checks.anomaly import detect_anomaly  # the room of the checks is large, and a training that goes well needs none of it

        state, epoch = self.state, self.state.epoch
        state.restore(*before)
        remedy = "a smaller learning rate (lr=, --lr), clipping (clip_norm=), or a larger variance of a gaussian likelihood"
        found = "a step made the weights too large, or the norm of the gradient is too large for its dtype"
        try:
            with detect_anomaly(), np.errstate(all="ignore"):
                self.epoch(lambda: True)
        except AnomalyError as error:
            found = f"in step {state.step + 1}, " + " ".join(line.strip() for line in str(error).splitlines() if "remedy" not in line)
        finally:
            state.restore(*before)
        return DataError(f"the loss is not a finite number in epoch {epoch}; the weights are those from before it.", got=found, remedy=remedy)


def check_data(model, data):
    """Raise an error, before anything is trained, where the data set does not fit the model."""
    features, likelihood = getattr(model, "features", None), getattr(model, "likelihood", None)
    if isinstance(features, int) and features != data.features:
        raise DataError("the data do not fit the model.", expected=f"{features} features", got=f"{data.features} in {data}")
    low, high = getattr(likelihood, "low", -math.inf), getattr(likelihood, "high", math.inf)
    check_values(np.array([data.pixels.min(), data.pixels.max()]) / data.scale, low, high)  # NaN is passed on by both


def scheduled(name, value, t):
    """What a schedule gave at time t, as a Python number: a NumPy number would widen float32.  Raises ArgumentError for what is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number < math.inf:
        raise ArgumentError(f"schedules: {name} must be 0 or more.", expected="a finite number", got=f"{value!r} at epoch {t:.6g}")
    return number


def check_schedules(model, schedules):
    """Raise ArgumentError for a schedule of something that is not there."""
    known = ["lr", *getattr(getattr(model, "objective", None), "__dict__", ())]
    if unknown := [name for name in schedules if name not in known]:
        raise ArgumentError(f"schedules: nothing is called {unknown[0]}.", expected="one of " + ", ".join(known))
