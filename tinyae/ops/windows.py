"""The windows that a kernel sees as it slides over its input: cut out, and added back.  Convolution and pooling are made of both.

Arrays come and go as (N, C, *size).  Inside, the batch is the last axis, (C, *size, N): then whatever is cut out consists
of long runs in memory, also for images of one channel.  Results keep that order in memory, so the next layer finds it again.
"""

import itertools
import math
import numbers

from tinyae.autograd import primitive
from tinyae.backend import array_module
from tinyae.ops.indexing import scatter_add


def batch_last(x):
    """(N, C, *size) as (C, *size, N), a view."""
    return x.transpose(*range(1, x.ndim), 0)


def side_by_side(x):
    """(N, C, *size) as (C, *size, N) with the examples side by side in memory: a view where they are, else a copy.  Arrays only."""
    return array_module(x).ascontiguousarray(batch_last(x))


def batch_first(x):
    """(C, *size, N) as (N, C, *size), a view."""
    return x.transpose(x.ndim - 1, *range(x.ndim - 1))


@primitive(formula="sum([scatter_add(part, index=place, shape=shape) for part, place in zip(parts, places)], axis=0)")
def overlap_add(*parts, places, shape):
    """Zeros of `shape`, to which each part is added at its place, an index of slices: where parts overlap, they are summed."""
    xp = array_module(parts[0])
    y = xp.zeros(shape, parts[0].dtype)
    for part, place in zip(parts, places, strict=True):
        there = y[place]  # a view, so that nothing is assigned back
        there += part
    return y


@overlap_add.vjp("*parts")
def _(gy, places):
    return tuple(gy[place] for place in places)


class Windows:
    """The windows of a kernel on an input of `size`.

    Along each spatial axis, step i sees the entries stride * i + dilation * k - padding, for the offsets k = 0, ..., kernel - 1;
    what lies outside is zero.  There are as many steps as fit; `left_over` entries at the end are not seen.  mirrored: the padding of
    the windows of stride 1 by which the entries see the steps that see them; None for other strides, or padding wider than the kernel.
    All numbers are tuples with one for each axis; a single number may be given for all.
    Raises ValueError where a number is outside its range, or not even one step fits.
    """

    def __init__(self, size, kernel_size, stride=1, padding=0, dilation=1):
        self.size, axes = tuple(size), len(size)
        self.kernel, self.stride = per_axis("kernel_size", kernel_size, axes), per_axis("stride", stride, axes)
        self.padding, self.dilation = per_axis("padding", padding, axes, least=0), per_axis("dilation", dilation, axes)
        self.padded = tuple(n + 2 * p for n, p in zip(self.size, self.padding, strict=True))
        spans = tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))
        if any(n < span for n, span in zip(self.padded, spans, strict=True)):
            raise ValueError(f"a kernel that spans {spans} is larger than the input with its padding, {self.padded}")
        room = [(n - span, s) for n, span, s in zip(self.padded, spans, self.stride, strict=True)]
        self.steps = tuple(n // s + 1 for n, s in room)
        self.left_over = tuple(n % s for n, s in room)
        around = tuple(span - 1 - p for span, p in zip(spans, self.padding, strict=True))
        self.mirrored = around if min(around) >= 0 and set(self.stride) == {1} else None

    def offsets(self):
        """The offsets in the kernel, (0, 0), (0, 1), ..., in the order of its entries."""
        return list(itertools.product(*map(range, self.kernel)))

    def places(self):
        """For each offset, what all steps see there: an index of slices into the padded (C, *size, N)."""
        axes = list(zip(self.steps, self.stride, self.dilation, strict=True))
        return [(slice(None), *(slice(d * k, d * k + s * n, s) for k, (n, s, d) in zip(offset, axes, strict=True))) for offset in self.offsets()]

    def inside(self):
        """The index of (C, *size, N) in its padded form."""
        return (slice(None), *(slice(p, p + n) for p, n in zip(self.padding, self.size, strict=True)))

    def overlaps(self, box):
        """For each offset, those steps in a box (a range along each axis) that see an entry of x there, not padding.

        Yields the index of these steps in the box, for an array (C, *steps, N), and that of what they see in (C, *size, N).
        """
        axes = zip(self.kernel, box, self.size, self.stride, self.padding, self.dilation, strict=True)
        along = [[overlap(part, n, s, d * k - p) for k in range(kernel)] for kernel, part, n, s, p, d in axes]
        for pairs in itertools.product(*along):
            steps, entries = zip(*pairs, strict=True)
            yield (slice(None), *steps), (slice(None), *entries)

    def all_at_once(self, x):
        """A view (C, *kernel, *steps, N) of what all steps see of an array x (C, *size, N), padded."""
        xp = array_module(x)
        x = self.wrapped(x)
        channel, *along, example = x.strides
        strides = [s * d for s, d in zip(along, self.dilation, strict=True)] + [s * n for s, n in zip(along, self.stride, strict=True)]
        shape = x.shape[0], *self.kernel, *self.steps, x.shape[-1]
        return xp.lib.stride_tricks.as_strided(x, shape, (channel, *strides, example))

    def wrapped(self, x):
        """x (C, *size, N) in its padding, zeros."""
        if not any(self.padding):
            return x
        return scatter_add(x, index=self.inside(), shape=(x.shape[0], *self.padded, x.shape[-1]))

    def cut(self, x):
        """For each offset, what all steps see of x (C, *size, N) there: a list of (C, *steps, N)."""
        x = self.wrapped(x)
        return [x[place] for place in self.places()]

    def add(self, parts):
        """The transpose of `cut`: each part (C, *steps, N) is added where it came from.  Returns (C, *size, N)."""
        shape = (parts[0].shape[0], *self.padded, parts[0].shape[-1])
        return overlap_add(*parts, places=self.places(), shape=shape)[self.inside()]


def overlap(steps, size, stride, shift):
    """Along one axis: those `steps`, a range, whose entry stride * i + shift lies in 0, ..., size - 1, and these entries, as two slices."""
    first = max(steps.start, -(shift // stride))
    stop = max(first, min(steps.stop, (size - 1 - shift) // stride + 1))
    return slice(first - steps.start, stop - steps.start), slice(stride * first + shift, stride * stop + shift, stride)


def runs(steps, most):
    """All steps, in their order, cut into runs of consecutive ones: at most `most` in each, or one.  Yields boxes, a range along each axis."""
    first, *others = steps
    inner = math.prod(others)
    if others and inner > most:
        yield from ((range(i, i + 1), *box) for i in range(first) for box in runs(others, most))
    else:
        many = max(1, most // inner)
        yield from ((range(i, min(i + many, first)), *map(range, others)) for i in range(0, first, many))


def size_before(steps, kernel_size, stride, padding, dilation, left_over):
    """The size on which windows take so many steps and leave so much over.  Raises ValueError where there is none."""
    axes = len(steps)
    kernel, stride = per_axis("kernel_size", kernel_size, axes), per_axis("stride", stride, axes)
    padding, dilation = per_axis("padding", padding, axes, least=0), per_axis("dilation", dilation, axes)
    left_over = per_axis("output_padding", left_over, axes, least=0)
    if any(rest >= s for rest, s in zip(left_over, stride, strict=True)):
        raise ValueError(f"output_padding {left_over} must be smaller than stride {stride}")
    along = zip(steps, kernel, stride, padding, dilation, left_over, strict=True)
    size = tuple(s * (n - 1) + d * (k - 1) + 1 - 2 * p + rest for n, k, s, p, d, rest in along)
    if min(size) < 1:
        raise ValueError(f"padding {padding} leaves a result of size {size}")
    return size


def spatial(axes, **shapes):
    """Raise ValueError unless all these shapes have two axes and `axes` more, those of space."""
    for name, shape in shapes.items():
        if len(shape) != axes + 2:
            raise ValueError(f"{name} must have {axes + 2} axes, {axes} of them in space; it has {len(shape)}")


def per_axis(name, value, axes, least=1):
    """A whole number, or a tuple of them, as a tuple with one for each axis.  Raises ValueError for anything else."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes  # int is asked for first: an abstract class answers slowly
    if len(values) != axes or not all(isinstance(n, (int, numbers.Integral)) and n >= least for n in values):
        raise ValueError(f"{name} must be a whole number, at least {least}, or {axes} of them; it is {value}")
    return values
