"""The terms of a model's loss over a whole data set."""

import contextlib
import inspect

from tinyae.autograd import Tensor, no_grad, raw
from tinyae.backend import to_numpy
from tinyae.data import Dataset, as_dataset
from tinyae.errors import ArgumentError


def named_loss(model):
    """`model.loss` as a function of (batch, rng) to a dict of its terms, Tensors with one entry.

    batch: x, or for a model whose loss takes labels the pair (x, labels).  A loss that takes no `rng` is called without, and one that
    returns a bare Tensor has the single term "loss".  Terms with names: a dict, or a NamedTuple.
    """
    takes_rng = "rng" in inspect.signature(model.loss).parameters

    def loss(batch, rng):
        given = batch if isinstance(batch, tuple) else (batch,)
        terms = model.loss(*given, rng=rng) if takes_rng else model.loss(*given)
        return as_named(terms)

    return loss


def as_named(terms):
    """What a loss returned, as a dict of its terms."""
    return {"loss": terms} if isinstance(terms, Tensor) else terms if isinstance(terms, dict) else terms._asdict()


def takes_labels(model):
    """Whether the loss of a model is one of examples and their labels: loss(x, labels, ...)."""
    return "labels" in inspect.signature(model.loss).parameters


def labelled(model, data, split="test"):
    """The data as a Dataset.  Raises ArgumentError for a bare array where the model needs labels."""
    if takes_labels(model) and not isinstance(data, Dataset):
        remedy = "dataclasses.replace(dataset, pixels=x, labels=labels)"
        raise ArgumentError("a conditional model needs labels.", expected="a Dataset", got=type(data).__name__, remedy=remedy)
    return as_dataset(data, split)


def size_of(batch):
    """The number of examples of a batch, x or (x, labels)."""
    return len(batch[0] if isinstance(batch, tuple) else batch)


def conditioned(model, labels):
    """The model of examples with these labels: one that takes no labels as it is."""
    return model.given(labels) if hasattr(model, "given") else model


class Mean:
    """The mean of each term over examples; on a GPU nothing waits for it before `read`."""

    def __init__(self):
        self.totals, self.count = {}, 0

    def add(self, terms, examples):
        """Add the terms (a dict of Tensors, or arrays, with one entry) of a batch of so many examples."""
        for name, value in terms.items():
            self.totals[name] = self.totals.get(name, 0.0) + raw(value) * examples
        self.count += examples

    def read(self):
        """A dict of floats."""
        return {name: to_numpy(total).item() / self.count for name, total in self.totals.items()}


@contextlib.contextmanager
def evaluating(model):
    """`with evaluating(model):` its modules are in evaluation (no dropout, running statistics), and afterwards in what they were before."""
    modules = [(module, module.training) for module in model.modules()] if hasattr(model, "modules") else []
    try:
        for module, _ in modules:
            module.training = False
        yield
    finally:
        for module, training in modules:
            module.training = training


def evaluate(model, data, *, rng, draws=1, batch_size=1000):
    """The mean of each term over all examples of `data`: a dict of floats (nats per example for a VAE).  The model is in evaluation mode.

    A short last batch counts by its size.  draws: passes over the data, each with fresh noise (a model without noise
    gives the same in each).  rng: a stream; the same stream gives the same numbers, whatever the size of the batches, where the loss is a
    mean over examples with one draw for each.  Not where it couples a batch, as free bits, a capacity or the sparsity of a unit do, or draws
    several numbers for an example (IWAE, probes): those are then means over batches of `batch_size`.
    """
    data, loss, mean = labelled(model, data), named_loss(model), Mean()
    with no_grad(), evaluating(model):
        for draw in range(draws):
            noise = rng.stream("noise", draw)
            for batch in data.batches(batch_size, rng=rng.stream("pixels", draw), shuffle=False, labels=takes_labels(model)):
                mean.add(loss(batch, noise), size_of(batch))
    return mean.read()
