"""The training loop."""

import contextlib
import math
import numbers
import sys
import time

import numpy as np

from tinyae.data import as_dataset
from tinyae.errors import ArgumentError, GraphError
from tinyae.evaluation.terms import Mean
from tinyae.optim import Adam, Optimizer, WeightAverage
from tinyae.training.interrupt import graceful_interrupt
from tinyae.training.progress import Progress, peak_memory
from tinyae.training.state import State
from tinyae.training.threads import suited_to
from tinyae.training.trainer import Trainer, check_data, check_schedules

SECONDS_BETWEEN_CHECKPOINTS = 30


def fit(
    model, data, *, test=None, validation=None, epochs=20, batch_size=128, lr=1e-3, optimizer=None, schedules=None, clip_norm=None, skip_norm=None,
    average=None, patience=None, seed=0, run=None, resume=False, checkpoint_seconds=SECONDS_BETWEEN_CHECKPOINTS, progress=True,
):  # fmt: skip
    """Train `model` on `data`, and measure it on `test` and `validation` after every epoch.  Returns the History.

    model: a Module with `loss(x)` or `loss(x, rng=)`, which returns named terms, `loss` among them, or one Tensor.
    data, test, validation: a Dataset, or an array (N, ...).  optimizer: one, or a list of several that share the parameters out;
    Adam with `lr` if None.  schedules: name -> function of the time in epochs (`ta.optim.linear(0, 1, 10)`, ...): "lr", or what
    `model.objective` has: "beta", "capacity", "free_bits".  clip_norm: the largest norm of an optimiser's gradient.  skip_norm:
    no step where it is larger, or not finite (waits for the device); a loss that is not finite is then left out of the means.
    average: decay of a moving average of the weights, which is what is measured and kept.  patience: stop after so many epochs
    without a better negative ELBO (else: loss) on `validation`, and keep the best weights; epochs in which the schedule of beta
    rises (warm-up) do not count.
    seed: of the order of the batches, the noise and the binarisation: the same seed gives the same weights, bit for bit.
    run: a Run, whose folder gets history and checkpoints, the latter every `checkpoint_seconds` and at the end.  resume: go on where
    its checkpoint is, to the very end of a training that was never interrupted.  Ctrl-C ends after the current step, everything kept.

    History: a row an epoch; train terms are means over the epoch's batches, each at the weights it met, weighted by its size; then
    gradient_norm, the other splits' terms after the epoch, active_latents and dead_units (see training/monitor.py), seconds, and the
    process's peak memory_mb.  Raises ArgumentError, DataError for what does not fit, before anything is changed; DataError, naming
    the operation, where the loss stops being finite: the weights are then those from before that epoch.
    """
    data = as_dataset(data)
    splits = {name: as_dataset(given, name) for name, given in (("validation", validation), ("test", test)) if given is not None}
    check_numbers(epochs, batch_size, patience, validation, {"clip_norm": clip_norm, "skip_norm": skip_norm})
    for part in (data, *splits.values()):
        check_data(model, part)
    schedules = getattr(model, "schedules", {}) | (schedules or {})
    check_schedules(model, schedules)
    optimizers = optimizers_of(optimizer, model, lr)
    state = State(model, optimizers, None if average is None else WeightAverage(model, average))
    trainer = Trainer(state, data, splits, seed=seed, batch_size=batch_size, schedules=schedules, clip_norm=clip_norm, skip_norm=skip_norm)
    if run is not None:
        run.training = {"seed": seed, "batch_size": batch_size, "examples": len(data), "data": data.name}
        if resume:
            run.resume(state)
            if patience is None:  # what early stopping kept is no longer what is asked for
                state.best = state.best_weights = None
    with suited_to(model, batch_size):
        loop(trainer, epochs, patience, run, checkpoint_seconds, progress)
    return state.history


def check_numbers(epochs, batch_size, patience, validation, limits):
    """Raise ArgumentError for a number that `fit` cannot have."""
    if not all(isinstance(number, numbers.Integral) and number >= 1 for number in (epochs, batch_size)):
        raise ArgumentError("fit: epochs and batch_size are whole numbers, 1 or more.", got=f"epochs={epochs}, batch_size={batch_size}")
    if patience is not None and (patience < 1 or validation is None):
        remedy = "train, validation = data.hold_out(0.1); fit(model, train, validation=validation, patience=10); never the test split"
        raise ArgumentError("fit: patience is a number of epochs, 1 or more, and needs a validation split.", got=f"{patience=}", remedy=remedy)
    for name, limit in limits.items():
        if limit is not None and not limit > 0:
            raise ArgumentError(f"fit: {name} must be above 0.", got=limit)


def optimizers_of(given, model, lr):
    """A list of optimisers.  Raises ArgumentError for what is none, GraphError where two of them train the same parameter."""
    optimizers = [Adam(model.parameters(), lr=lr)] if given is None else list(given) if isinstance(given, (list, tuple)) else [given]
    if not optimizers or not all(isinstance(optimizer, Optimizer) for optimizer in optimizers):
        got = ", ".join(type(optimizer).__name__ for optimizer in optimizers) or "an empty list"
        raise ArgumentError("fit: the optimizer is one of ta.optim, or a list of them.", got=got, remedy="None, for Adam with lr=")
    trained = [id(p) for optimizer in optimizers for p in optimizer.flat.parameters]
    if len(set(trained)) < len(trained):
        raise GraphError("fit: two optimisers train the same parameter.", remedy="give each optimiser parameters of its own")
    return optimizers


def loop(trainer, epochs, patience, run, checkpoint_seconds, progress):
    """Epoch after epoch, until all are done, Ctrl-C, or the patience is at its end; then the weights to be used are put in place."""
    state, saved = trainer.state, time.perf_counter()
    begun = saved - state.seconds
    state.history.interrupted = False
    trainer.go_on()

    def save(now=False):
        nonlocal saved
        if run is not None and (now or time.perf_counter() - saved > checkpoint_seconds):
            saved = time.perf_counter()
            state.seconds = saved - begun
            run.write_progress(state)

    with graceful_interrupt() as interrupt, Progress(epochs, progress) as show:

        def after_step():
            save()
            return not interrupt.asked

        while state.epoch <= epochs and not out_of_patience(state, patience, trainer.schedules.get("beta")):
            before = state.arrays(), state.numbers()
            with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is explained
                done = trainer.epoch(after_step)
            if not done:
                state.history.interrupted = True
                break
            terms = state.mean.read()
            judged = [value for name, value in terms.items() if name != "gradient_norm" or trainer.skip is None]
            if not all(map(math.isfinite, judged)) or not terms:
                error = trainer.explain(before)
                save(now=len(state.history) > 0)
                raise error
            finish_epoch(trainer, terms, patience, early=state.epoch <= epochs // 4, seconds=time.perf_counter() - begun)
            show.epoch(state.history.rows[-1])
            save()
    state.history.stopped = state.epoch <= epochs and not state.history.interrupted
    state.history.kept = state.best and state.best[1]
    save(now=True)
    if state.history.stopped and progress:
        print(f"stopped after epoch {len(state.history)}: no better since epoch {state.history.kept}", file=sys.stderr)
    if state.average is not None or state.best_weights is not None:
        state.model.load_state_dict(state.weights())


def finish_epoch(trainer, terms, patience, early, seconds):
    """The row of the history, early stopping's best, and the beginning of the next epoch."""
    state = trainer.state
    with state.average.applied() if state.average is not None else contextlib.nullcontext():
        splits, seen = trainer.measure()
        validation = splits.get("validation", {})
        value = validation.get("negative_elbo", validation.get("loss"))
        if patience is not None and (state.best is None or value < state.best[0] or math.isnan(state.best[0])):
            state.best, state.best_weights = [value, state.epoch], state.model.state_dict()
    more = {"gradient_norm": terms.pop("gradient_norm")}
    if trainer.skip is not None:
        more["skipped"] = state.skipped / len(trainer.data)
    more |= {name: seen[name] for name in ("active_latents", "dead_units") if name in seen}
    state.history.add(state.epoch, {"train": terms} | splits, **more, seconds=round(seconds, 4), memory_mb=peak_memory())
    trainer.warn(seen, early)
    state.epoch, state.step, state.mean, state.skipped = state.epoch + 1, 0, Mean(), 0


def out_of_patience(state, patience, beta=None):
    """Whether the validation split has waited long enough for something better: `patience` epochs, without those in which `beta` rises."""
    if patience is None or state.best is None:
        return False
    waited = range(state.best[1] + 1, state.epoch)
    return sum(beta is None or beta(epoch) <= beta(epoch - 1) for epoch in waited) >= patience
