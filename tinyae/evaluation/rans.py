"""A message that grows by each symbol's information content, and gives symbols back last in, first out: rANS.

Range variant of asymmetric numeral systems (Duda 2009, arXiv:0902.0271; 2013, arXiv:1311.2540), with a whole number, the head,
as its state.  A symbol that owns the interval [start, start + frequency) of the 2^precision slots is pushed by

    head -> floor(head / frequency) 2^precision + head mod frequency + start        (the head grows by about precision - log2 frequency bits)

and popped by reading slot = head mod 2^precision, whose interval names the symbol, and undoing the push:

    head -> frequency floor(head / 2^precision) + slot - start

A head stays in [2^32, 2^64): before a push that would lead above, its low 32 bits go onto a stack; after a pop that led below, they
come back.  Popping from random bits draws a symbol from the distribution that the frequencies describe; pushing it returns the bits.
Several heads, the lanes, share the stack, and each step treats one symbol of every lane (interleaving: Giesen 2014, arXiv:1402.3392).
"""

import numpy as np

from tinyae.errors import ArgumentError, DataError, ShapeError

WORD_BITS = 32  # of a word of the stack
LOWEST = 1 << WORD_BITS  # of a head


class Message:
    """Heads, one a lane, and a stack of words.  `push` and `pop` are exact inverses of each other, in both orders.

    heads: (L,) whole numbers in [2^32, 2^64).  words: (n,) uint32, the top of the stack last.  supply: a function of a count that gives
    so many more words, (count,), where the stack is empty, the uppermost first; `supplied` counts them.  Without one, a pop that needs a word
    raises DataError.
    """

    def __init__(self, heads, words=(), supply=None):
        self.heads = np.array(heads, dtype=np.uint64)
        if self.heads.ndim != 1 or (self.heads < LOWEST).any():
            raise DataError("rans: a head is out of its range.", expected="heads (L,) in [2^32, 2^64)", got=f"shape {self.heads.shape}")
        self.stack, self.size = np.array(words, dtype=np.uint32), len(words)
        self.supply, self.supplied = supply, 0

    @property
    def words(self):
        """The words on the stack, the top last, (n,) uint32."""
        return self.stack[: self.size]

    def bits(self):
        """The information in the message, sum log2(heads) + 32 words, in bits: what its symbols have cost, and what it started with."""
        return float(np.log2(self.heads.astype(np.float64)).sum() + WORD_BITS * self.size)

    def push(self, starts, frequencies, precision):
        """Push one symbol a lane: slots [start, start + frequency) of 2^precision.

        starts, frequencies: (n,) whole numbers; n may be smaller than the number of lanes L, then the first n lanes take part.
        precision: 1 to 32.  Raises ArgumentError for an interval that is empty or outside, ShapeError for n > L; nothing changes then.
        """
        starts, frequencies = intervals(starts, frequencies, precision)
        heads = self.lanes(len(frequencies))
        full = heads >> (2 * WORD_BITS - precision) >= frequencies  # compared in the upper bits: frequency 2^64 has no place in 64 bits
        self.put((heads[full] & (LOWEST - 1)).astype(np.uint32))
        heads[full] >>= WORD_BITS
        quotients, remainders = np.divmod(heads, frequencies)
        heads[:] = (quotients << precision) + remainders + starts

    def pop(self, find, precision, count=None):
        """Pop one symbol from each of the first `count` lanes (all, if None).

        find: a function of the slots, (n,) uint64 in [0, 2^precision), that gives (symbols, starts, frequencies), each (n,): the symbols
        in whose intervals they lie.  Returns symbols.  Raises ArgumentError where a slot is outside its interval, and DataError
        where the stack is exhausted; the message does not change then.
        """
        heads = self.lanes(len(self.heads) if count is None else count)
        slots = heads & ((1 << check_precision(precision)) - 1)
        symbols, starts, frequencies = find(slots)
        starts, frequencies = intervals(starts, frequencies, precision)
        offsets = slots - starts
        if (offsets >= frequencies).any():  # below the start it wraps around to a huge number
            raise ArgumentError("rans: a symbol does not own the slot that it was found for.", expected="start <= slot < start + frequency")
        lower = frequencies * (heads >> precision) + offsets
        low = lower < LOWEST
        lower[low] = lower[low] << WORD_BITS | self.take(np.count_nonzero(low))
        heads[:] = lower
        return symbols

    def lanes(self, count):
        """A view of the first `count` heads."""
        if not 0 <= count <= len(self.heads):
            raise ShapeError("rans: more symbols than lanes.", expected=f"at most {len(self.heads)}", got=count)
        return self.heads[:count]

    def put(self, words):
        """Lay words onto the stack, the last one on top."""
        needed = self.size + len(words)
        if needed > len(self.stack):
            self.stack = np.concatenate([self.words, np.zeros(max(needed, 1024), np.uint32)])  # twice as long: few copies in all
        self.stack[self.size : needed] = words
        self.size = needed

    def take(self, count):
        """The `count` uppermost words, the top last, taken off the stack."""
        missing = max(count - self.size, 0)
        if missing and self.supply is None:
            raise DataError("rans: the message is exhausted.", likely="it is no message of these symbols, or its frequencies differ")
        words = self.stack[self.size - count + missing : self.size].copy()
        self.size -= count - missing
        if missing:
            words = np.concatenate([np.asarray(self.supply(missing)).astype(np.uint32)[::-1], words])
            self.supplied += missing
        return words


def check_precision(precision):
    """The precision as it is.  Raises ArgumentError unless it is a whole number from 1 to 32."""
    if precision not in range(1, WORD_BITS + 1):
        raise ArgumentError("rans: the precision is a whole number of bits.", expected=f"1 to {WORD_BITS}", got=precision)
    return precision


def intervals(starts, frequencies, precision):
    """Starts and frequencies, (n,), as uint64.  Raises ArgumentError unless each interval is one or more of the slots 0 to 2^precision - 1."""
    starts, frequencies, total = np.asarray(starts), np.asarray(frequencies), 1 << check_precision(precision)
    if starts.shape != frequencies.shape or starts.ndim != 1:
        raise ShapeError("rans: one start and one frequency a lane.", expected="(n,) and (n,)", got=f"{starts.shape} and {frequencies.shape}")
    if len(starts) and (starts.dtype.kind not in "iu" or frequencies.dtype.kind not in "iu"):
        raise ArgumentError("rans: starts and frequencies are whole numbers.", got=f"{starts.dtype} and {frequencies.dtype}")
    starts, frequencies = starts.astype(np.uint64), frequencies.astype(np.uint64)  # a negative one becomes huge
    if not ((frequencies - np.uint64(1) < total) & (starts <= total - frequencies)).all():
        raise ArgumentError(f"rans: an interval is empty, or not within the 2^{precision} slots.", expected="frequency >= 1, start >= 0")
    return starts, frequencies
