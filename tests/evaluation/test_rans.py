"""rANS: an exact stack, as long as the information in it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyae.errors import ArgumentError, DataError, ShapeError
from tinyae.evaluation import rans
from tinyae.evaluation.rans import LOWEST, Message


def finder(edges):
    """The function for `pop`: slots -> (symbols, starts, frequencies), for edges 0 = e_0 < ... < e_k = 2^precision."""

    def find(slots):
        symbols = np.searchsorted(edges, slots.astype(np.int64), side="right") - 1
        return symbols, edges[symbols], edges[symbols + 1] - edges[symbols]

    return find


def push(message, edges, symbols, precision):
    message.push(edges[symbols], edges[symbols + 1] - edges[symbols], precision)


@st.composite
def tables(draw):
    """(precision, edges of a random alphabet)."""
    precision = draw(st.integers(1, 32))
    inner = draw(st.sets(st.integers(1, (1 << precision) - 1), max_size=9))
    return precision, np.array([0, *sorted(inner), 1 << precision])


def snapshot(message):
    return message.heads.tolist(), message.words.tolist()


@given(st.lists(tables(), min_size=1, max_size=12), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_a_pop_undoes_a_push(steps, lanes, seed):
    rng = np.random.default_rng(seed)
    message = Message(rng.integers(LOWEST, 2**64, lanes, dtype=np.uint64), rng.integers(0, 2**32, 3))
    begun, pushed = snapshot(message), []
    for precision, edges in steps:
        symbols = rng.integers(0, len(edges) - 1, rng.integers(0, lanes + 1))  # sometimes not every lane takes part
        push(message, edges, symbols, precision)
        assert (message.heads >= LOWEST).all()
        pushed.append(symbols)
    for (precision, edges), symbols in zip(steps[::-1], pushed[::-1], strict=True):
        assert message.pop(finder(edges), precision, len(symbols)).tolist() == symbols.tolist()
    assert snapshot(message) == begun


@given(st.lists(tables(), min_size=1, max_size=12), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_a_push_undoes_a_pop(steps, lanes, seed):
    rng = np.random.default_rng(seed)
    message = Message(rng.integers(LOWEST, 2**64, lanes, dtype=np.uint64), rng.integers(0, 2**32, 12 * lanes))
    begun = snapshot(message)
    popped = [message.pop(finder(edges), precision) for precision, edges in steps]
    for (precision, edges), symbols in zip(steps[::-1], popped[::-1], strict=True):
        push(message, edges, symbols, precision)
    assert snapshot(message) == begun


@given(st.lists(tables(), min_size=1, max_size=12), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_the_lanes_are_the_definition_with_whole_numbers_of_any_size(steps, lanes, seed):
    rng = np.random.default_rng(seed)
    message, heads, words = Message([LOWEST] * lanes), [LOWEST] * lanes, []
    for precision, edges in steps:
        symbols = rng.integers(0, len(edges) - 1, lanes)
        push(message, edges, symbols, precision)
        for lane, symbol in enumerate(symbols):
            start, frequency = int(edges[symbol]), int(edges[symbol + 1] - edges[symbol])
            after = (heads[lane] // frequency << precision) + heads[lane] % frequency + start
            if after >= 2**64:
                words.append(heads[lane] % LOWEST)
                after = (heads[lane] // LOWEST // frequency << precision) + heads[lane] // LOWEST % frequency + start
            heads[lane] = after
    assert snapshot(message) == (heads, words)


@pytest.mark.parametrize("lanes", [1, 7])
def test_the_length_is_the_information_of_the_symbols(lanes):
    rng, precision = np.random.default_rng(0), 16
    edges = np.array([0, 3, 100, 5000, 40000, 65530, 65536])
    share = np.diff(edges) / 65536
    symbols = rng.choice(6, size=(60000 // lanes, lanes), p=share)
    message = Message([LOWEST] * lanes)
    for row in symbols:
        push(message, edges, row, precision)
    information = -np.log2(share[symbols]).sum()
    assert message.bits() - 32 * lanes == pytest.approx(information, rel=1e-3)
    assert 64 * lanes + 32 * message.size == pytest.approx(information, rel=1e-3 + 64 * lanes / information)


def test_popping_random_bits_draws_from_the_distribution():
    rng, edges = np.random.default_rng(1), np.array([0, 1, 10, 60, 64])
    message = Message(rng.integers(LOWEST, 2**64, 10, dtype=np.uint64), supply=lambda count: rng.integers(0, 2**32, count))
    counts = np.bincount(np.concatenate([message.pop(finder(edges), 6) for _ in range(2000)]), minlength=4)
    share = np.diff(edges) / 64
    assert (abs(counts - 20000 * share) < 4.5 * np.sqrt(20000 * share * (1 - share))).all()
    entropy = -20000 * (share * np.log2(share)).sum()
    assert 32 * message.supplied == pytest.approx(entropy, rel=0.05)


def test_the_supply_lies_below_the_stack_and_comes_back():
    def supply(count, source=iter(range(100, 200))):
        return np.array([next(source) for _ in range(count)])

    message, find = Message([LOWEST + 5, LOWEST + 6], [7], supply), finder(np.arange(0, 2**16 + 1, 256))
    popped = [message.pop(find, 16) for _ in range(30)]
    assert message.supplied > 5
    for symbols in popped[::-1]:
        push(message, np.arange(0, 2**16 + 1, 256), symbols, 16)
    assert snapshot(message) == ([LOWEST + 5, LOWEST + 6], [*reversed(range(100, 100 + message.supplied)), 7])


def test_an_exhausted_message_says_so_and_stays_as_it_was():
    message, find = Message([LOWEST] * 2, [7, 8, 9]), finder(np.arange(2**16 + 1))
    message.pop(find, 16)
    message.pop(find, 16)
    before = snapshot(message)
    assert message.size == 1  # and two are needed
    with pytest.raises(DataError, match="exhausted"):
        message.pop(find, 16)
    assert snapshot(message) == before


@pytest.mark.parametrize(("start", "frequency"), [(0, 0), (0, 257), (250, 7), (-1, 1), (3, -1), (256, 1), (0.0, 1.0)])
def test_an_interval_that_is_none_is_refused(start, frequency):
    message = Message([LOWEST])
    with pytest.raises(ArgumentError, match=r"interval|whole"):
        message.push([start], [frequency], 8)
    assert snapshot(message) == ([LOWEST], [])


def test_other_bad_input_is_refused():
    message = Message([LOWEST] * 2)
    with pytest.raises(ShapeError, match="more symbols than lanes"):
        message.push([0] * 3, [1] * 3, 8)
    with pytest.raises(ShapeError, match="one frequency a lane"):
        message.push([0], [1, 1], 8)
    for precision in (0, 33, 2.5):
        with pytest.raises(ArgumentError, match="precision"):
            message.push([0], [1], precision)
    with pytest.raises(ArgumentError, match="does not own the slot"):
        message.pop(lambda slots: (slots, slots + np.uint64(1), np.ones(2, int)), 8)
    for heads in ([5], [[LOWEST]]):
        with pytest.raises(DataError, match="head is out of its range"):
            Message(heads)


def test_words_that_go_to_the_wrong_lanes_are_found(monkeypatch):
    right = Message.take
    monkeypatch.setattr(Message, "take", lambda self, count: right(self, count)[::-1])
    with pytest.raises((AssertionError, ExceptionGroup)):  # a group where Hypothesis finds several failures
        test_a_pop_undoes_a_push()


def test_a_head_that_sheds_its_bits_too_late_is_found(monkeypatch):
    monkeypatch.setattr(rans, "WORD_BITS", 33)
    with pytest.raises((AssertionError, ExceptionGroup)):  # a group where Hypothesis finds several failures
        test_the_lanes_are_the_definition_with_whole_numbers_of_any_size()
