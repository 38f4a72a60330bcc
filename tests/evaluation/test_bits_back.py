"""Bits-back coding: exact, and as long as the negative ELBO."""

import math
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyae as ta
from tinyae.errors import ArgumentError, DataError, ShapeError, one_line
from tinyae.evaluation import bits_back
from tinyae.evaluation.bits_back import Precision, account, compress, decompress, negative_elbo_bits
from tinyae.evaluation.rans import LOWEST, Message


@pytest.fixture(scope="module")
def digits():
    return ta.data.load("digits", "test", "threshold").take(slice(None), None)


@pytest.fixture(scope="module")
def trained():
    model = ta.models.VAE(64, 4, (64,), activation="tanh", rng=ta.rng(0))
    ta.fit(model, ta.data.load("digits", binarisation="threshold"), epochs=100, lr=3e-3, progress=False)
    return model


@pytest.fixture
def small():
    return ta.models.VAE(6, 3, (5,), rng=ta.rng(0))


def binary(*shape):
    return np.random.default_rng(0).integers(0, 2, shape)


def test_digits_come_back_exactly_at_the_size_of_the_negative_elbo(trained, digits):
    content = compress(trained, digits)
    assert np.array_equal(decompress(trained, content), digits)
    found = account(trained, digits, content)
    assert found.images == 397
    assert found.file_bits == 8 * len(content)
    assert found.net == pytest.approx(found.negative_elbo, rel=0.02)
    assert found.negative_elbo < 29
    assert found.net + found.overhead == pytest.approx(found.file_bits / 397)
    assert found.overhead < 2.2  # initial bits and unfilled heads of three lanes, the header: 7 % of so small a file


def test_the_negative_elbo_is_that_of_the_loss(trained, digits):
    nats = ta.evaluation.evaluate(trained, ta.data.load("digits", "test", "threshold"), rng=ta.rng(5), draws=40)["negative_elbo"]
    assert negative_elbo_bits(trained, digits, draws=40) == pytest.approx(nats / math.log(2), rel=3e-3)


@pytest.mark.parametrize("lanes", [1, 5, 64, 500])
def test_any_number_of_lanes_gives_the_images_back(trained, digits, lanes):
    content = compress(trained, digits[:120], lanes=lanes, seed=lanes)
    assert np.array_equal(decompress(trained, content), digits[:120])


def test_many_lanes_cost_initial_bits_and_no_net_bits(trained, digits):
    few, many = (account(trained, digits, compress(trained, digits, lanes=lanes)) for lanes in (1, 64))
    assert many.net == pytest.approx(many.negative_elbo, rel=0.02)
    assert many.initial == pytest.approx(64 * few.initial, rel=0.1)
    assert many.overhead > many.initial > 10
    assert few.overhead < 1.5


@pytest.mark.parametrize("shape", [(0, 6), (0, 2, 3), (1, 6), (1, 1, 2, 3), (7, 3, 2), (40, 6)])
def test_an_untrained_model_gives_images_of_any_shape_back(small, shape):
    images = binary(*shape)
    back = decompress(small, compress(small, images, lanes=3))
    assert back.shape == shape
    assert back.dtype == np.uint8
    assert np.array_equal(back, images)


def test_the_initial_bits_come_out_again(small):
    images = binary(20, 6)
    heads, _, supply = bits_back.initial(3, 4)
    header, message = bits_back.from_bytes(compress(small, images, seed=3, lanes=4))
    assert header.initial_words > 0
    with bits_back.networks(small):
        for first in reversed(range(0, 20, 4)):
            assert np.array_equal(bits_back.decode(small, message, 4, header), images[first : first + 4])
    assert message.heads.tolist() == heads.tolist()
    assert message.words.tolist() == supply(header.initial_words)[::-1].tolist()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(small):
    images = binary(20, 6)
    assert compress(small, images, seed=1) == compress(small, images, seed=1)
    assert compress(small, images, seed=1)[60:] != compress(small, images, seed=2)[60:]


def test_sender_and_receiver_run_the_networks_on_the_same_arrays(small, monkeypatch):
    seen = []
    for name in ("encode", "decode"):
        method = getattr(ta.models.VAE, name)
        monkeypatch.setattr(ta.models.VAE, name, lambda self, x, name=name, method=method: (seen.append((name, x.tobytes())), method(self, x))[1])
    content = compress(small, binary(10, 6), lanes=4)
    sent = seen[:]
    seen.clear()
    decompress(small, content)
    assert sorted(sent) == sorted(seen)
    assert {(name, len(data)) for name, data in sent} == {("encode", 4 * 4 * 6), ("decode", 4 * 4 * 3)}


def test_the_networks_run_in_evaluation_and_go_back_to_training(small, monkeypatch):
    seen = []
    right = ta.models.VAE.encode
    monkeypatch.setattr(ta.models.VAE, "encode", lambda self, x: (seen.append(self.encoder.training), right(self, x))[1])
    small.train()
    images = binary(3, 6)
    content = compress(small, images)
    decompress(small, content)
    account(small, images, content, draws=1)
    assert seen
    assert not any(seen)
    assert small.encoder.training


def test_a_pixel_that_the_model_holds_impossible_still_comes_back(small):
    small.decoder.parameters()[-1].data[:] = [200, -200, 200, -200, 200, -200]
    images = binary(20, 6)
    assert np.array_equal(decompress(small, compress(small, images)), images)


def test_a_model_in_float64_and_other_precisions_work(small):
    model, images = small.astype("float64"), binary(9, 6)
    for precision in (Precision(1, 3, 2), Precision(8, 14, 12), Precision(16, 32, 32)):
        assert np.array_equal(decompress(model, compress(model, images, precision=precision)), images)


NORMALS = st.lists(st.tuples(st.floats(-50, 50), st.floats(-100, 100)), min_size=1, max_size=5)


@given(NORMALS, st.integers(1, 10), st.integers(2, 16), st.integers(0, 2**32))
def test_every_bucket_has_slots_and_every_slot_a_bucket(normals, prior, more, seed):
    precision = Precision(prior, prior + more, 16)
    mean, log_variance = np.array(normals).T
    below = lambda buckets: bits_back.slots_below(mean, np.exp(log_variance / 2), precision, buckets)  # noqa: E731
    table = np.array([below(np.full(len(mean), bucket)) for bucket in range((1 << prior) + 1)])
    assert (np.diff(table, axis=0) >= 1).all()
    assert (table[0] == 0).all()
    assert (table[-1] == 1 << precision.posterior).all()
    slots = np.random.default_rng(seed).integers(0, 1 << precision.posterior, len(mean), dtype=np.uint64)
    buckets, starts, frequencies = bits_back.bucket_of(below, prior, slots)
    for lane, (bucket, slot) in enumerate(zip(buckets, slots.astype(int), strict=True)):
        assert table[bucket, lane] == starts[lane] <= slot < table[bucket + 1, lane] == starts[lane] + frequencies[lane]


def test_the_slots_of_the_prior_itself_are_equal():
    below = bits_back.slots_below(np.zeros(1025), np.ones(1025), Precision(), np.arange(1025))
    assert abs(np.diff(below) - 2**14).max() <= 1


def test_the_normal_cdf_and_its_inverse():
    assert bits_back.normal_cdf(np.array([0, 1.959963984540054, -10, -np.inf])) == pytest.approx([0.5, 0.975, 7.61985302416e-24, 0], rel=1e-11)
    assert bits_back.normal_cdf(bits_back.quantiles(9)) == pytest.approx(np.arange(1025) / 1024, abs=1e-15)


def test_a_variance_for_a_standard_deviation_stays_lossless_and_costs_bits(trained, digits, monkeypatch):
    right = bits_back.posterior_parameters
    net = account(trained, digits, compress(trained, digits)).net
    monkeypatch.setattr(bits_back, "posterior_parameters", lambda model, x: (right(model, x)[0], right(model, x)[1] ** 2))
    content = compress(trained, digits)
    assert np.array_equal(decompress(trained, content), digits)
    assert account(trained, digits, content).net > 1.05 * net


def test_a_variance_for_a_standard_deviation_at_the_receiver_alone_is_an_error(trained, digits, monkeypatch):
    content, right = compress(trained, digits), bits_back.posterior_parameters
    monkeypatch.setattr(bits_back, "posterior_parameters", lambda model, x: (right(model, x)[0], right(model, x)[1] ** 2))
    with pytest.raises(DataError, match=r"initial bits did not come back|exhausted"):
        decompress(trained, content)


def test_forgetting_bits_back_costs_the_entropy_of_the_posterior(trained, digits, monkeypatch):
    class Forgetful(Message):
        def pop(self, find, precision, count):  # z is drawn from other random bits, which nobody gets back
            return other.pop(find, precision, count)

    heads, _, supply = bits_back.initial(9, 3)
    net, other = account(trained, digits, compress(trained, digits)).net, Message(heads, (), supply)
    monkeypatch.setattr(bits_back, "Message", Forgetful)
    forgetful = account(trained, digits, compress(trained, digits)).net
    kl = ta.evaluation.evaluate(trained, ta.data.load("digits", "test", "threshold"), rng=ta.rng(0))["kl"]
    entropy = 4 * Precision().prior - kl / math.log(2)  # of the buckets: KL = log2(all buckets) - entropy
    assert forgetful - net == pytest.approx(entropy, rel=0.02)
    assert entropy > 20


def refused(model, content):
    """The error that `decompress` raises, as one line."""
    with pytest.raises(DataError) as caught:
        decompress(model, content)
    line = one_line(caught.value)
    assert line.startswith("bits-back: ")
    assert "\n" not in line
    return line


def test_truncated_damaged_and_foreign_files_give_one_readable_error(small):
    content = compress(small, binary(30, 6))
    for end in range(len(content)):
        assert "truncated" in refused(small, content[:end]) or end < 9
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        assert ("damaged" if place >= 9 else "no compressed images") in refused(small, bytes(damaged))
    for foreign in (b"", b"\x89PNG\r\n", b"\x80\x04pickle" * 20):
        assert "no compressed images" in refused(small, foreign)
    assert "truncated or damaged" in refused(small, content + b"\0")
    assert "expected: bytes" in refused(small, "text")


def test_a_damage_with_a_right_checksum_is_found_by_the_initial_bits(small):
    content = bytearray(compress(small, binary(30, 6))[:-4])
    content[-1] ^= 1
    assert "initial bits did not come back" in refused(small, bytes(content) + zlib.crc32(content).to_bytes(4, "little"))
    content[-1] ^= 1
    content[33] ^= 1  # the count of initial words: all heads come back, and other words than it says
    assert "initial bits did not come back" in refused(small, bytes(content) + zlib.crc32(content).to_bytes(4, "little"))
    content[33] ^= 1
    content[37] ^= 1  # the count of words
    assert "do not fit" in refused(small, bytes(content) + zlib.crc32(content).to_bytes(4, "little"))


def test_another_model_is_an_error(small):
    content = compress(small, binary(3, 6))
    assert "another model" in refused(ta.models.VAE(6, 3, (5,), rng=ta.rng(1)), content)
    tanh = ta.models.VAE(6, 3, (5,), activation="tanh", rng=ta.rng(0))  # the same weights, another activation
    content = compress(small, binary(30, 6))
    assert "initial bits" in refused(tanh, content)


def test_bad_arguments_are_errors(small):
    with pytest.raises(ArgumentError, match="bernoulli likelihood"):
        compress(ta.models.VAE(6, likelihood="gaussian"), binary(3, 6))
    with pytest.raises(ArgumentError, match="standard normal prior"):
        compress(ta.models.Autoencoder(6), binary(3, 6))
    with pytest.raises(DataError, match="zeros and ones"):
        compress(small, np.full((3, 6), 0.5))
    with pytest.raises(ShapeError, match="do not fit the model"):
        compress(small, binary(3, 7))
    for settings in ({"lanes": 0}, {"seed": -1}, {"seed": 0.5}, {"precision": Precision(10, 11)}, {"precision": Precision(pixel=33)}):
        with pytest.raises(ArgumentError, match="out of range"):
            compress(small, binary(3, 6), **settings)
    with pytest.raises(ShapeError, match="one or more"):
        account(small, binary(0, 6), compress(small, binary(0, 6)))


def test_a_model_that_diverged_is_an_error(small):
    small.decoder.parameters()[-1].data[:] = np.nan
    with pytest.raises(DataError, match="decoder's output is not finite"):
        compress(small, binary(3, 6))
    small.encoder.parameters()[-1].data[:] = np.inf
    with pytest.raises(DataError, match="posterior of an image is not finite"):
        compress(small, binary(3, 6))


def test_no_images_are_a_header_and_one_head(small):
    header, message = bits_back.from_bytes(compress(small, binary(0, 6)))
    assert header.shape == (0, 6)
    assert (message.heads >= LOWEST).all()
    assert (message.size, header.initial_words) == (0, 0)
