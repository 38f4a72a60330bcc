"""The training loop."""

import time

import numpy as np

from tinyae.backend import rng as make_rng
from tinyae.data import as_dataset
from tinyae.errors import ArgumentError, DataError
from tinyae.evaluation.terms import Mean, evaluate, named_loss
from tinyae.models.parts import check_values
from tinyae.optim import Adam
from tinyae.training.history import History
from tinyae.training.interrupt import graceful_interrupt
from tinyae.training.progress import Progress

SECONDS_BETWEEN_CHECKPOINTS = 30


def fit(model, data, *, test=None, epochs=20, batch_size=128, lr=1e-3, optimizer=None, seed=0, run=None, progress=True):
    """Train `model` on `data` with Adam, and measure it on `test` after every epoch.  Returns the History.

    model: a Module with `loss(x)` or `loss(x, rng=)`, which returns named terms, `loss` among them, or one Tensor.
    data, test: a Dataset, or an array (N, ...).  optimizer: made from lr if None.  seed: of the order of the batches, the
    noise and the binarisation; the same seed gives the same weights, bit for bit.  run: a Run whose folder gets the
    history and checkpoints.  Ctrl-C ends after the current step, with everything kept.

    The train terms are means over the epoch's batches, each at the weights it met; the test terms are measured after it.
    """
    data, test = as_dataset(data), test if test is None else as_dataset(test, "test")
    if epochs < 1 or batch_size < 1:
        raise ArgumentError("fit: epochs and batch_size must be 1 or more.", got=f"epochs={epochs}, batch_size={batch_size}")
    for part in (data, test):
        if part is not None:
            check_data(model, part)
    optimizer = Adam(model.parameters(), lr=lr) if optimizer is None else optimizer
    streams, history, start, saved = make_rng(seed), History(), time.perf_counter(), time.perf_counter()
    with graceful_interrupt() as interrupt, Progress(epochs, progress) as show:
        for epoch in range(1, epochs + 1):
            with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is reported below
                train_terms = train_epoch(model, data, optimizer, batch_size, streams, epoch, interrupt)
            if interrupt.asked:
                history.interrupted = True
                break
            test_terms = {} if test is None else evaluate(model, test, rng=streams.stream("test"))
            row = history.add(epoch, train_terms, test_terms, time.perf_counter() - start)
            if not abs(row["train_loss"]) < float("inf"):
                remedy = "a smaller learning rate (lr=, --lr), or a larger variance of a gaussian likelihood"
                raise DataError(f"the loss is not a finite number after epoch {epoch}.", remedy=remedy)
            show.epoch(row)
            if run is not None and time.perf_counter() - saved > SECONDS_BETWEEN_CHECKPOINTS:
                run.write_progress(model, optimizer, history)
                saved = time.perf_counter()
    if run is not None:
        run.write_progress(model, optimizer, history)
    return history


def check_data(model, data):
    """Raise an error, before anything is trained, where the data set does not fit the model."""
    if (features := getattr(model, "features", data.features)) != data.features:
        raise DataError("the data do not fit the model.", expected=f"{features} features", got=f"{data.features} in {data}")
    likelihood = getattr(model, "likelihood", None)
    low, high = (likelihood.low, likelihood.high) if likelihood else (-float("inf"), float("inf"))
    check_values(np.array([data.pixels.min(), data.pixels.max()]) / data.scale, low, high)  # NaN is passed on by both


def train_epoch(model, data, optimizer, batch_size, streams, epoch, interrupt):
    """One pass over the data.  Returns the mean of each term over the examples; the host waits for the device once."""
    loss, mean = named_loss(model), Mean()
    for step, x in enumerate(data.batches(batch_size, rng=streams.stream("batches", epoch))):
        terms = loss(x, streams.stream("noise", epoch, step))
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
        mean.add(terms, len(x))
        if interrupt.asked:
            break
    return mean.read()
