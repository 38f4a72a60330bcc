"""How many threads the linear algebra has during a training: one where products are small, as many as before everywhere else."""

import numpy as np
import pytest
import threadpoolctl

import tinyae as ta
from tinyae.training import threads


def in_use():
    """The threads of the linear algebra now, the largest number of all libraries."""
    return max((library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"), default=1)


@pytest.fixture(autouse=True)
def two_threads():
    """Two threads, so that one can be told from all."""
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        if in_use() < 2:
            pytest.skip("this NumPy has no threads to be set")
        yield


class Watching(ta.models.VAE):
    """A VAE that notes how many threads a step has."""

    seen = ()

    def loss(self, x, noise=None, rng=None):
        self.seen = {*self.seen, in_use()}
        return super().loss(x, noise, rng)


@pytest.mark.parametrize(("hidden", "expected"), [(64, {1}), (5000, {2})])
def test_a_small_training_has_one_thread_and_a_large_one_all(hidden, expected):
    model = Watching(64, 2, (hidden,), rng=ta.rng(0))
    ta.fit(model, ta.data.load("digits", split="train").rows(slice(0, 64)), epochs=1, batch_size=64, progress=False)
    assert model.seen == expected
    assert in_use() == 2


def test_the_threads_come_back_after_an_error():
    class Broken(Watching):
        def loss(self, x, noise=None, rng=None):
            raise RuntimeError("in the middle of a step")

    with pytest.raises(RuntimeError, match="middle of a step"):
        ta.fit(Broken(64, rng=ta.rng(0)), np.zeros((4, 64), np.float32), epochs=1, progress=False)
    assert in_use() == 2


def test_the_largest_product_of_a_network():
    rng = ta.rng(0)
    assert threads.largest_product(ta.models.VAE(64, 2, (50,), rng=rng), 10) == 10 * 64 * 50
    assert threads.largest_product(ta.models.IWAE(64, 2, (50,), samples=7, rng=rng), 10) == 7 * 10 * 64 * 50
    convolutional = ta.models.VAE(64, 2, (8,), channels=(4, 16), image_shape=(1, 8, 8), rng=rng)
    assert threads.largest_product(convolutional, 10) == 10 * (4 * 16 * 4 * 4) * 64
    assert threads.largest_product(ta.nn.ReLU(), 10) == 0
