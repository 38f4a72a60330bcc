"""One training step of a finished model, line by line: the microscope's page of a run."""

from pathlib import Path

from tinyae.backend import rng as make_rng
from tinyae.evaluation.terms import named_loss, takes_labels
from tinyae.microscope import record_of, trace, write_page

BATCH = 4
NAME = "microscope.html"


def write_step(folder, *, model, test, seed, title):
    """Write `folder`/microscope.html: a step on the first images of the test split, with the weights as they are.  Returns its path."""
    rng = make_rng(seed).stream("microscope")
    (batch,) = test.rows(slice(0, BATCH)).batches(BATCH, rng=rng.stream("pixels"), shuffle=False, labels=takes_labels(model))
    loss, kept = named_loss(model), [parameter.grad for parameter in model.parameters()]
    try:
        step = trace(lambda: loss(batch, rng.stream("noise")), model=model)
        record = record_of(step, title=title, seed=seed, image_shape=test.image_shape)
    finally:
        for parameter, gradient in zip(model.parameters(), kept, strict=True):
            parameter.grad = gradient
    return write_page(record, Path(folder) / NAME)
