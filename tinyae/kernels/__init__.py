"""Hot spots written once more for speed, on arrays alone.  Nobody has to read this room to understand a gradient.

Each kernel is the twin of plain code that stands where it is used (`@relu.kernel` beside relu, `Adam.update`), and equal to it by test.
It returns NotImplemented where it has nothing to offer: then the plain code runs.

elementwise, bernoulli, views   NumPy alone: what NumPy does many times faster in another form
adam                            a step in one pass: compiled by Numba (`tinyae[fast]`), or one launch on a GPU
fused                           elementwise functions, and neighbouring rules, as one launch on a GPU, made from the plain code itself
scatter                         a slice's gradient as one launch on a GPU
compiled, loops                 when Numba is imported, and what it compiles
"""

import contextlib

from tinyae.autograd.graph import state


@contextlib.contextmanager
def plain():
    """`with plain():` runs the code of the primitives that the lessons read, and no kernel in its place; each thread has its own switch."""
    before, state.plain = state.plain, True
    try:
        yield
    finally:
        state.plain = before
