"""Threads of the linear algebra: shared by several, a small matrix product takes no less time, and far more where other programs are at work.

Each thread then waits for one that the system has sent to sleep: with one busy core, a training on digits takes several times as long
(benchmarks/threads.md).
"""

import contextlib
import math

LARGE = 2**22  # multiplications in a product that are worth a second thread


def suited_to(model, batch_size):
    """`with suited_to(model, 128):` one thread where the largest matrix product of a training step is small, else as many as there are."""
    return contextlib.nullcontext() if largest_product(model, batch_size) >= LARGE else one_thread()


def one_thread():
    """`with one_thread():` the linear algebra of this process has one thread, and afterwards as many as before."""
    import threadpoolctl  # here, as it looks at every library that is loaded

    return threadpoolctl.threadpool_limits(1, user_api="blas")


def largest_product(model, batch_size):
    """An upper bound on the multiplications in one matrix product of a step, from the sizes of the weights.

    A linear layer has one product for all rows of the batch (and all draws of a bound); a convolution uses its weight at every place.
    """
    rows, places = batch_size * getattr(model, "samples", 1), getattr(model, "features", 1)
    places = places if isinstance(places, int) else 1  # a model of one's own may call a part of it so
    return rows * max((math.prod(p.shape) * (places if p.ndim > 2 else 1) for p in model.parameters() if p.ndim > 1), default=0)
