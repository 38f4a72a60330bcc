"""Lossless compression with a trained VAE: the negative ELBO as the size of a file.

Bits-back coding with rANS (Townsend, Bird & Barber 2019, ICLR; Hinton & van Camp 1993 for the argument).  For each image x:

    1. pop z from q(z | x)     the message lends the bits that choose z:  - log2 1 / q(z | x)
    2. push x with p(x | z)                                               + log2 1 / p(x | z)
    3. push z with p(z)                                                   + log2 1 / p(z)

On average over z the message grows by the negative ELBO.  The receiver undoes 3, 2, 1; undoing 1 returns the bits that were lent, and
the next image uses them.  Only the first images borrow from random bits: the initial bits, which come out again at the end.

A latent dimension is cut into 2^prior buckets of equal prior mass, and stands for its bucket's median.  Sender and receiver must
compute the same whole frequencies, so both run the networks on the same batches, in the same shapes.  That holds on one machine with one
number of threads; another one may round differently, which is noticed when the initial bits do not come back, and is an error then.
"""

import contextlib
import functools
import hashlib
import math
import struct
import zlib
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from tinyae.autograd import no_grad, raw
from tinyae.backend import array_module, to_numpy
from tinyae.backend import rng as make_rng
from tinyae.distributions import Bernoulli, Normal, StandardNormal
from tinyae.errors import ArgumentError, DataError, ShapeError
from tinyae.evaluation.rans import LOWEST, WORD_BITS, Message
from tinyae.evaluation.terms import evaluating, takes_labels

MAGIC = b"tinyaeBB\x01"  # the last byte counts versions of the format
HEADER = struct.Struct("<8s4BIQII")  # fingerprint; prior, posterior, pixel bits, dimensions; lanes, seed, initial words, words
CHECKSUM = struct.Struct("<I")
IMAGES_PER_LANE = 128  # a lane costs its initial bits and about a head; more lanes are faster


class Precision(NamedTuple):
    """Bits of the whole frequencies: of a latent's buckets under the prior, of its posterior, and of a pixel."""

    prior: int = 10
    posterior: int = 24
    pixel: int = 16


class Account(NamedTuple):
    """Where the bits of a file of N images are: `file_bits` in all; the other four are bits per image.

    net: what the images added to the message.  negative_elbo: the model's, over many draws, which `net` should meet.
    initial: random bits that the message began with, and gives back.  overhead: what the file has beside the net bits: initial bits,
    heads that are not full, the header.
    """

    images: int
    file_bits: int
    net: float
    negative_elbo: float
    initial: float
    overhead: float


class Header(NamedTuple):
    """What a file says before its message.  shape: of the images, (N, ...).  initial_words: how many of the seed's words were needed."""

    fingerprint: bytes
    precision: Precision
    shape: tuple
    lanes: int
    seed: int
    initial_words: int
    words: int


def compress(model, images, seed=0, lanes=None, precision=Precision()):
    """Binary images as bytes, about the model's negative ELBO long; `decompress` gives them back exactly.

    model: a VAE with a Bernoulli likelihood and a standard normal prior.  images: (N, ...) zeros and ones, D features an image; N may be 0.
    seed: of the initial random bits, 0 to 2^64 - 1.  lanes: images that are coded side by side, one for 128 images (at most 256) if None.
    Raises ArgumentError for another model, DataError for images that are not binary or a posterior that is not finite, ShapeError.
    """
    check_model(model)
    images = check_images(model, images)
    lanes = min(max(len(images) // IMAGES_PER_LANE, 1), 256) if lanes is None else lanes
    check_settings(lanes, seed, precision)
    message, rows = Message(*initial(seed, lanes)), images.reshape(len(images), model.features)
    with networks(model):
        for first in range(0, len(rows), lanes):
            encode(model, message, rows[first : first + lanes], lanes, precision)
    header = Header(fingerprint(model), precision, images.shape, lanes, seed, message.supplied, message.size)
    return to_bytes(header, message)


def decompress(model, content):
    """The images, (N, ...) uint8 zeros and ones, of which `compress` made `content` with the same model.

    Raises DataError for bytes that are foreign, truncated or damaged, of another model, or whose initial bits do not come back.
    """
    check_model(model)
    header, message = from_bytes(content)
    if header.fingerprint != fingerprint(model) or math.prod(header.shape[1:]) != model.features:
        raise DataError("bits-back: the images were compressed with another model.", remedy="load the model that compressed them")
    count, batches = header.shape[0], []
    with networks(model):
        for first in reversed(range(0, count, header.lanes)):
            batches.append(decode(model, message, min(header.lanes, count - first), header))
    heads, _, supply = initial(header.seed, header.lanes)
    if not (np.array_equal(message.heads, heads) and np.array_equal(message.words, supply(header.initial_words)[::-1])):
        likely = "the networks rounded differently than when the images were compressed"
        raise DataError("bits-back: the initial bits did not come back.", likely=likely, remedy="the same machine, NumPy and number of threads")
    return np.concatenate(batches[::-1]).reshape(header.shape) if batches else np.zeros(header.shape, np.uint8)


def account(model, images, content, draws=100, seed=0):
    """The Account of `content`, which `compress` made of `images`, (N, ...) with N >= 1.  draws: of z an image, for the negative ELBO."""
    check_model(model)
    (header, message), images = from_bytes(content), check_images(model, images)
    if header.shape != images.shape or not len(images):
        raise ShapeError("bits-back: an account needs the images of the file, one or more.", expected=header.shape, got=images.shape)
    count, file_bits = len(images), 8 * len(content)
    begun = Message(initial(header.seed, header.lanes)[0]).bits() + WORD_BITS * header.initial_words
    net = message.bits() - begun
    return Account(count, file_bits, net / count, negative_elbo_bits(model, images, draws, seed), begun / count, (file_bits - net) / count)


def negative_elbo_bits(model, images, draws=100, seed=0):
    """The model's negative ELBO on images (N, ...), the mean over images and draws of z, in bits per image."""
    rows = check_images(model, images).reshape(len(images), model.features)
    stream, total = make_rng(seed).stream("negative ELBO"), 0.0
    with networks(model):
        for draw in range(draws):
            for first in range(0, len(rows), 1000):
                x = on_device(model, rows[first : first + 1000])
                terms = model.loss(x, rng=stream.stream("noise", draw, first))
                total += to_numpy(terms.negative_elbo.data).item() * len(x)
    return total / draws / len(rows) / math.log(2)


def encode(model, message, x, lanes, precision):
    """Push the images x, (n, D) uint8 with n <= lanes, in three steps."""
    cumulative = posterior(model, padded(x, lanes), precision)
    z = np.zeros((lanes, model.latent), np.int64)
    for j in range(model.latent):
        z[: len(x), j] = message.pop(functools.partial(bucket_of, cumulative[j], precision.prior), precision.posterior, len(x))
    ones = frequencies_of_ones(model, z, len(x), precision)
    total = 1 << precision.pixel
    for pixel, one in zip(x.T, ones.T, strict=True):
        message.push(np.where(pixel, total - one, 0), np.where(pixel, one, total - one), precision.pixel)
    for bucket in z[: len(x)].T:
        message.push(bucket, np.ones_like(bucket), precision.prior)


def decode(model, message, count, header):
    """Pop `count` images, (count, D) uint8: the three steps of `encode` undone, the last first."""
    precision, lanes = header.precision, header.lanes
    z = np.zeros((lanes, model.latent), np.int64)
    for j in reversed(range(model.latent)):
        z[:count, j] = message.pop(lambda slots: (slots, slots, np.ones_like(slots)), precision.prior, count)
    ones, x = frequencies_of_ones(model, z, count, precision), np.zeros((count, model.features), np.uint8)
    for d in reversed(range(model.features)):
        x[:, d] = message.pop(functools.partial(pixel_of, ones[:, d], 1 << precision.pixel), precision.pixel, count)
    cumulative = posterior(model, padded(x, lanes), precision)
    for j in reversed(range(model.latent)):
        starts = cumulative[j](z[:count, j])
        message.push(starts, cumulative[j](z[:count, j] + 1) - starts, precision.posterior)
    return x


def posterior_parameters(model, x):
    """Means and standard deviations of q(z | x), float64 (n, J), for x (n, D).  Raises DataError where they are not finite."""
    q = model.encode(on_device(model, x))
    if type(q) is not Normal:
        raise ArgumentError("bits-back: the posterior must be a Normal with a diagonal covariance.", got=type(q).__name__)
    mean, log_variance = (to_numpy(raw(parameter)).astype(np.float64) for parameter in (q.mean, q.log_variance))
    if not (np.isfinite(mean).all() and np.isfinite(log_variance).all()):
        raise DataError("bits-back: the posterior of an image is not finite.", remedy="use a model whose training has not diverged")
    return mean, np.exp(np.clip(log_variance, -100, 100) / 2)  # so that neither overflows nor becomes zero


def posterior(model, x, precision):
    """For each latent dimension, a function of buckets (n,), for the first n of the images x: the slots below them, int64 (n,)."""
    mean, deviation = posterior_parameters(model, x)
    return [functools.partial(slots_below, mean[:, j], deviation[:, j], precision) for j in range(model.latent)]


def slots_below(mean, deviation, precision, buckets):
    """How many of the posterior's 2^posterior slots lie below a bucket, int64 (n,); all, for the bucket after the last.

    2 bucket + floor((2^posterior - 2 buckets) Phi((edge - mean) / deviation)): so each bucket has a slot of its own even where Phi is flat,
    and where rounding makes the computed Phi fall by one.  mean, deviation: (n,) or more.  buckets: (n,) in 0, ..., 2^prior.
    """
    count = 1 << precision.prior
    edges = quantiles(precision.prior)[2 * buckets]
    at = (edges - mean[: len(buckets)]) / deviation[: len(buckets)]
    return 2 * buckets + np.floor(((1 << precision.posterior) - 2 * count) * normal_cdf(at)).astype(np.int64)


def bucket_of(cumulative, prior, slots):
    """(buckets, starts, frequencies), each (n,), of the buckets in which slots (n,) lie: bisection, one step a bit."""
    slots = slots.astype(np.int64)
    low, starts = np.zeros_like(slots), np.zeros_like(slots)
    ends = cumulative(low + (1 << prior))
    for bit in reversed(range(prior)):
        middle = low + (1 << bit)
        at = cumulative(middle)
        above = at <= slots
        low, starts, ends = np.where(above, middle, low), np.where(above, at, starts), np.where(above, ends, at)
    return low, starts, ends - starts


def pixel_of(ones, total, slots):
    """(pixels, starts, frequencies), each (n,), where the last `ones` of the `total` slots mean a 1.  ones, slots: (n,)."""
    pixels = slots.astype(np.int64) >= total - ones
    return pixels, np.where(pixels, total - ones, 0), np.where(pixels, ones, total - ones)


def frequencies_of_ones(model, z, count, precision):
    """The slots of a 1 for each pixel of the first `count` images, int64 (count, D), from 1 to 2^pixel - 1.  z: (lanes, J) buckets."""
    values = quantiles(precision.prior)[2 * z + 1]
    weight = model.parameters()[0].data
    decoded = model.decode(array_module(weight).asarray(values.astype(weight.dtype)))
    probability = to_numpy(raw(Bernoulli(decoded).mean)).astype(np.float64)[:count]
    if not np.isfinite(probability).all():
        raise DataError("bits-back: the decoder's output is not finite.", remedy="use a model whose training has not diverged")
    return 1 + np.floor(((1 << precision.pixel) - 2) * probability).astype(np.int64)


@functools.cache
def quantiles(prior):
    """Phi^-1(i / (2 buckets)) for i = 0, ..., 2 buckets: the buckets' edges at even i, their medians at odd i; +-inf at the ends.

    By the standard library, to a relative error of about 1e-16 (Wichura 1988, algorithm AS 241).
    """
    count, inverse = 2 << prior, NormalDist().inv_cdf
    return np.array([-np.inf, *(inverse(i / count) for i in range(1, count)), np.inf])


def normal_cdf(x):
    """Phi(x) = erfc(-x / sqrt 2) / 2 of a float64 array (n,), in the lower tail too."""
    return np.array([math.erfc(value) for value in (x * -math.sqrt(0.5)).tolist()]) / 2


def initial(seed, lanes):
    """The beginning of a message: heads (L,) with 32 random bits each, no words, and a supply of random words (Philox)."""
    source = np.random.Philox(key=seed)

    def supply(count):
        return (source.random_raw(count) & (LOWEST - 1)).astype(np.uint32)

    return supply(lanes).astype(np.uint64) + LOWEST, (), supply


def padded(x, lanes):
    """x, (n, D), with rows of zeros up to (lanes, D): every batch has the same shape."""
    return np.concatenate([x, np.zeros((lanes - len(x), x.shape[1]), x.dtype)])


def on_device(model, x):
    """The array x in the dtype and on the device of the model's weights."""
    weight = model.parameters()[0].data
    return array_module(weight).asarray(x.astype(weight.dtype))


@contextlib.contextmanager
def networks(model):
    """The model in evaluation mode, and nothing recorded."""
    with no_grad(), evaluating(model):
        yield


def fingerprint(model):
    """8 bytes that tell the weights of models apart."""
    digest = hashlib.blake2b(digest_size=8)
    for name, array in model.state_dict().items():
        digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return digest.digest()


def check_model(model):
    """Raise ArgumentError unless the model is a VAE with a Bernoulli likelihood and a standard normal prior."""
    likelihood = getattr(getattr(model, "likelihood", None), "name", None)
    flat = type(getattr(model, "prior", None)) is StandardNormal and not hasattr(model, "levels") and not takes_labels(model)
    if likelihood != "bernoulli" or not flat:
        got = f"{type(model).__name__}, likelihood {likelihood}"
        raise ArgumentError("bits-back: a VAE with a bernoulli likelihood and a standard normal prior is needed.", got=got)


def check_images(model, images):
    """Images (N, ...) as uint8 on the host.  Raises ShapeError where they do not fit the model, DataError where they are not binary."""
    images = to_numpy(images)
    if not 2 <= images.ndim <= 8 or math.prod(images.shape[1:]) != model.features:
        raise ShapeError("bits-back: the images do not fit the model.", expected=f"(N, {model.features})", got=images.shape)
    if not ((images == 0) | (images == 1)).all():
        raise DataError("bits-back: only zeros and ones can be compressed.", remedy='binarise the images: data.binarise("threshold")')
    return images.astype(np.uint8)


def check_settings(lanes, seed, precision):
    """Raise ArgumentError for lanes, a seed or a precision out of range."""
    whole = all(isinstance(value, (int, np.integer)) for value in (lanes, seed, *precision))
    if not (whole and 1 <= lanes <= 65536 and 0 <= seed < 2**64):
        raise ArgumentError("bits-back: lanes or seed out of range.", expected="1 to 65536 lanes, a seed from 0 to 2^64 - 1", got=f"{lanes}, {seed}")
    if not (1 <= precision.prior <= 16 and precision.prior + 2 <= precision.posterior <= 32 and 2 <= precision.pixel <= 32):
        expected = "prior 1 to 16, posterior prior + 2 to 32, pixel 2 to 32"
        raise ArgumentError("bits-back: a precision is out of range.", expected=expected, got=precision)


def to_bytes(header, message):
    """The file: magic, header, shape, heads, words, and a CRC-32 of all that."""
    h = header
    fields = HEADER.pack(h.fingerprint, *h.precision, len(h.shape), h.lanes, h.seed, h.initial_words, h.words)
    shape = struct.pack(f"<{len(h.shape)}I", *h.shape)
    content = MAGIC + fields + shape + message.heads.astype("<u8").tobytes() + message.words.astype("<u4").tobytes()
    return content + CHECKSUM.pack(zlib.crc32(content))


def from_bytes(content):
    """(Header, Message) of a file that `to_bytes` made.  Raises DataError where it is foreign, truncated or damaged."""
    if not isinstance(content, (bytes, bytearray, memoryview)):
        raise DataError("bits-back: the content of a file is needed.", expected="bytes", got=type(content).__name__)
    content = bytes(content)
    if content[: len(MAGIC)] != MAGIC:
        raise DataError("bits-back: these bytes are no compressed images.", expected=f"a beginning {MAGIC!r}", got=repr(content[: len(MAGIC)]))
    body, offset = content[: -CHECKSUM.size], len(MAGIC) + HEADER.size
    if len(body) < offset or CHECKSUM.pack(zlib.crc32(body)) != content[-CHECKSUM.size :]:
        raise DataError("bits-back: the file is truncated or damaged.", got=f"{len(content)} bytes with a checksum that does not fit")
    mark, prior, posterior_bits, pixel, dimensions, lanes, seed, initial_words, words = HEADER.unpack_from(body, len(MAGIC))
    if not 2 <= dimensions <= 8 or len(body) != offset + 4 * dimensions + 8 * lanes + 4 * words or initial_words > LOWEST >> 4:
        raise DataError("bits-back: the header and the length of the file do not fit.", got=f"{len(content)} bytes")
    precision = Precision(prior, posterior_bits, pixel)
    check_settings(lanes, seed, precision)
    shape = struct.unpack_from(f"<{dimensions}I", body, offset)
    heads = np.frombuffer(body, "<u8", lanes, offset + 4 * dimensions)
    message = Message(heads, np.frombuffer(body, "<u4", words, offset + 4 * dimensions + 8 * lanes))
    return Header(mark, precision, shape, lanes, seed, initial_words, words), message
