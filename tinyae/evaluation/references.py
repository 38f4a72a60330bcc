"""Metrics that need something to compare with, made here: anomalies from the test images, the features of a small classifier."""

import dataclasses

import numpy as np

from tinyae.autograd import no_grad
from tinyae.backend import to_device
from tinyae.evaluation.anomaly import auroc, auroc_standard_error
from tinyae.evaluation.frechet import frechet_distance
from tinyae.evaluation.images import mse
from tinyae.evaluation.latent import Estimated
from tinyae.evaluation.likelihood import log_likelihood
from tinyae.evaluation.passes import first, host, over
from tinyae.nn import Linear, ReLU, Sequential
from tinyae.ops import cross_entropy_with_logits, one_hot
from tinyae.optim import Adam

DRAWS = 20  # K of an anomaly's score
WIDTHS, EPOCHS, BATCH, RATE = (64, 32), 10, 100, 2e-3  # of the classifier; its features are the last hidden layer
TRAINED, COMPARED = 10_000, 2000  # images that it is trained on at most; images on either side of a distance at most


# ---- anomalies


def anomalies(subject, rng):
    """AUROC of two kinds of anomalies, against the test images that they are made from, each with the standard error of Hanley & McNeil."""
    data = subject.some
    x = over(lambda model, x: x, subject.model, data, subject.stream("test"))
    order = rng.stream("order").permutation(data.features)
    turned = np.rot90(x.reshape(-1, *data.image_shape), axes=(-2, -1)).reshape(x.shape)
    normal = scores(subject, x, rng.stream("scores"))
    found = {}
    for name, kind in {"auroc_turned": turned, "auroc_shuffled": x[:, order]}.items():
        area = auroc(normal, scores(subject, kind, rng.stream("scores")))
        found[name] = Estimated(area, auroc_standard_error(area, len(x), len(x)))
    return found


def scores(subject, x, rng):
    """How unlike the data each image is, (N,): -log p(x), or the squared error where there is none.  x: (N, D) as the model is given it."""
    data = dataclasses.replace(subject.some, pixels=x.astype(np.float32), scale=1.0, binarisation="grey")
    if subject.fits:
        return -log_likelihood(subject.model, data, DRAWS, rng=rng).log_prob
    return mse(x, over(lambda model, x: model.reconstruct(x), subject.model, data, rng))


# ---- the Frechet distance


def frechet(subject, rng):
    """Of new examples to test images, and of as many training images to the same: about what a perfect model would have.

    New examples of a model of zeros and ones are drawn, as pixels; of others they are the means of p(x | z).  The classifier is not
    trained on the training images that are compared.
    """
    count = min(COMPARED, len(subject.test), len(subject.train) // 2)
    order = rng.stream("train").permutation(len(subject.train))
    test, train = subject.test.rows(slice(0, count)), subject.train.rows(np.sort(order[:count]))
    network = classifier(subject.train.rows(np.sort(order[count : count + TRAINED])), rng.stream("classifier"))

    def features(x):
        with no_grad():
            return host(network(to_device(x.astype(np.float32))))

    real, other = (features(subject.given(part)) for part in (test, train))
    new = features(new_examples(subject, test, rng.stream("new")))
    return {"frechet": frechet_distance(new, real), "frechet_of_training_images": frechet_distance(other, real)}


def new_examples(subject, test, rng):
    """As many new examples as `test` has, with its labels where the model takes any: (N, D) on the host."""

    def new(model, x):
        return model.sample(len(x), rng=rng)

    means = over(new, subject.model, test, subject.stream("test"))
    binary = getattr(getattr(first(subject.model, test), "likelihood", None), "binary", False) and test.binarisation != "grey"
    return host(rng.stream("pixels").bernoulli(means)) if binary else means


def classifier(data, rng):
    """The hidden layers, 64 and 32 wide, of a classifier of images by their labels, binarised as for the model: rows (N, D) to features (N, 32)."""
    names = np.unique(data.labels)
    (wide, narrow), weights = WIDTHS, rng.stream("weights")
    hidden = Sequential(Linear(data.features, wide, rng=weights), ReLU(), Linear(wide, narrow, rng=weights), ReLU())
    head = Linear(narrow, len(names), rng=weights)
    adam = Adam([*hidden.parameters(), *head.parameters()], lr=RATE)
    for epoch in range(EPOCHS):
        for x, labels in data.batches(BATCH, rng=rng.stream("batches", epoch), labels=True):
            which = to_device(np.searchsorted(names, host(labels)))
            adam.zero_grad()
            cross_entropy_with_logits(head(hidden(x)), one_hot(which, len(names))).mean().backward()
            adam.step()
    return hidden
