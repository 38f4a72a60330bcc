"""The terms of a model's loss over a whole data set."""

from tinyae.autograd import no_grad
from tinyae.backend import to_numpy


def evaluate(model, data, *, rng, draws=1, batch_size=1000):
    """The mean of each term over all examples of `data`: a dict of floats (nats per example for a VAE).

    A short last batch counts by its size.  draws: passes over the data, each with fresh noise (a model without noise
    gives the same in each).  rng: a stream; the same stream gives the same numbers.
    """
    totals, count = {}, 0
    with no_grad():
        for _ in range(draws):
            for x in data.batches(batch_size, rng=rng, shuffle=False):
                terms = model.loss(x, rng=rng) if hasattr(model, "draw_noise") else model.loss(x)
                for name, value in terms._asdict().items():
                    weighted = value.data * len(x)
                    totals[name] = totals[name] + weighted if name in totals else weighted
                count += len(x)
    return {name: to_numpy(total).item() / count for name, total in totals.items()}
