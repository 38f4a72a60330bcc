"""The switch, the copies, and the random streams."""

import hashlib
import json
import sys
import threading
import types

import numpy as np
import pytest

import tinyae as ta
from tinyae import backend as backends
from tinyae.errors import BackendError, DtypeError


def test_new_arrays_are_made_on_the_backend_in_use(backend):
    made = ta.Tensor([1.0, 2.0]).data
    assert backends.array_module(made) is backends.module_named(backend)
    assert made.dtype == np.float32
    given = ta.nn.Parameter(np.ones(3)).data  # an array from the host goes there too
    assert backends.array_module(given) is backends.module_named(backend)
    assert given.dtype == np.float64


def test_using_goes_back_even_after_an_error():
    with pytest.raises(KeyError), ta.checks.fake_device.installed(), ta.using("fake"):
        raise KeyError
    assert backends.current() == "numpy"


def test_using_in_one_thread_is_not_seen_in_another():
    seen = []
    with ta.checks.fake_device.installed(), ta.using("fake"):
        thread = threading.Thread(target=lambda: seen.append(backends.current()))
        thread.start()
        thread.join()
    assert seen == ["numpy"]


def test_cupy_that_is_not_installed_is_one_clear_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(BackendError, match="CuPy is not installed"):
        ta.use("cupy")


def test_cupy_without_a_gpu_is_another_clear_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", types.SimpleNamespace(is_available=lambda: False))
    with pytest.raises(BackendError, match="installed, but no GPU answers"):
        ta.use("cupy")
    assert backends.current() == "numpy"


def test_an_unknown_backend_names_the_known_ones():
    with pytest.raises(BackendError, match="numpy, cupy"):
        ta.use("torch")


def test_a_list_is_not_taken_for_an_array():
    with pytest.raises(DtypeError, match="not an array"):
        backends.array_module([1.0])


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others():
    assert (ta.rng(3).normal((5,)) == ta.rng(3).normal((5,))).all()
    assert (ta.rng(3).normal((5,)) != ta.rng(4).normal((5,))).all()


def test_a_stream_does_not_depend_on_what_was_drawn_elsewhere():
    first, second = ta.rng(0), ta.rng(0)
    second.normal((100,))
    second.stream("noise", 1, 1).normal((3,))
    assert (first.stream("noise", 2, 5).normal((3,)) == second.stream("noise", 2, 5).normal((3,))).all()


def test_streams_of_other_purposes_epochs_and_steps_differ():
    streams = [ta.rng(0), ta.rng(0).stream("noise"), ta.rng(0).stream("noise", 1, 2), ta.rng(0).stream("noise", 12), ta.rng(0).stream("noise", 2, 1)]
    draws = {stream.normal((4,)).tobytes() for stream in streams}
    assert len(draws) == len(streams)


def test_a_stream_goes_on_from_its_saved_state():
    rng = ta.rng(5).stream("noise", 3)
    rng.normal((7,))
    rng.permutation(5)
    state = json.loads(json.dumps(rng.state()))
    expected = rng.normal((6,)), rng.uniform((3,)), rng.permutation(9)
    again = backends.Rng.from_state(state)
    for a, b in zip(expected, (again.normal((6,)), again.uniform((3,)), again.permutation(9)), strict=True):
        assert (a == b).all()


def test_every_backend_gets_the_same_numbers(backend):
    found = [backends.to_numpy(x) for x in (ta.rng(1).normal((4, 3)), ta.rng(1).uniform((4,), -2, 2))]
    p = backends.to_device(np.linspace(0, 1, 50, dtype=np.float32))
    found.append(backends.to_numpy(ta.rng(2).bernoulli(p)))
    with ta.using("numpy"):
        expected = [ta.rng(1).normal((4, 3)), ta.rng(1).uniform((4,), -2, 2), ta.rng(2).bernoulli(np.linspace(0, 1, 50, dtype=np.float32))]
    for a, b in zip(found, expected, strict=True):
        assert (a == b).all()
        assert a.dtype == np.float32


def test_draws_have_the_moments_of_their_distributions():
    n = 200_000
    x, u, b = ta.rng(0).normal((n,)), ta.rng(0).uniform((n,), -1, 3), ta.rng(0).bernoulli(np.full(n, 0.3, np.float32))
    assert abs(x.mean()) < 5 / n**0.5
    assert abs(x.var() - 1) < 5 * (2 / n) ** 0.5
    assert abs(u.mean() - 1) < 5 * (16 / 12 / n) ** 0.5
    assert abs(b.mean() - 0.3) < 5 * (0.21 / n) ** 0.5
    assert set(np.unique(b)) == {0, 1}


@pytest.mark.parametrize("seed", [-1, 1.5, True, "0"])
def test_a_seed_that_is_no_whole_number_is_refused(seed):
    with pytest.raises(DtypeError, match="seed"):
        ta.rng(seed)


def test_the_names_of_a_stream_are_words_and_whole_numbers():
    assert (ta.rng(0).stream("noise", np.int64(1)).normal((3,)) == ta.rng(0).stream("noise", 1).normal((3,))).all()
    with pytest.raises(TypeError):
        ta.rng(0).stream("noise", 0.5)


def test_a_stream_is_numpys_philox_under_the_key_of_its_path():
    digest = hashlib.blake2b(repr((3, "noise", 5, 2)).encode(), digest_size=16).digest()
    theirs = np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
    np.testing.assert_array_equal(ta.rng(3).stream("noise", 5, 2).normal((100,), np.float64), theirs.standard_normal(100))


def test_a_one_is_nobody_elses(backend, monkeypatch):
    monkeypatch.setattr(ta.backend.Ones, "many", 4)
    for y in (ta.Tensor(2.0), ta.Tensor([[3.0]])):
        for _ in range(3):
            one = ta.backend.ones.like(y.data)
            assert (one.shape, one.dtype, type(one)) == (y.shape, y.dtype, type(y.data))
            assert ta.backend.to_numpy(one).item() == 1
            one *= 5
        y.requires_grad = True
        y.backward()
        assert ta.backend.to_numpy(y.grad).item() == 1
