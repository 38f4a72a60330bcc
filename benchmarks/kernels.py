"""What each kernel is worth: microseconds of a call beside the plain code that it stands for, on arrays alone.

    python benchmarks/kernels.py --write     # half a minute, one thread

Kernel and plain code take turns in one process; shown are the fastest of many rounds, in process time.  That they are equal is tested in
tests/kernels; what they are worth in a training step is on the page of `python -m benchmarks`.
"""

import argparse
import contextlib
import os
import pathlib
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import tinyae as ta
from tinyae.kernels import adam as adam_file
from tinyae.kernels import plain
from tinyae.kernels.compiled import found
from tinyae.ops import registry

TABLE = pathlib.Path(__file__).with_suffix(".md")
SHAPES, ROUNDS, SECONDS = ((64, 64), (128, 784), (128, 6272)), 15, 0.02


def calls_of(shape):
    """name -> (inputs, attributes) of a call of each primitive that has a kernel for NumPy; half of the numbers are negative, in no order."""
    rng = np.random.default_rng(0)
    x, g = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    return {
        "bce_with_logits": ((x, (g > 0).astype(np.float32)), {}),
        "broadcast_to": ((np.asarray(x[0, 0]),), {"shape": shape}),
        "mean": ((x,), {}),
        "relu": ((x,), {}),
        "sigmoid": ((x,), {}),
        "where": ((x > 0, g, 0), {}),
    }


def fastest(calls):
    """For each of the functions its fastest time, in microseconds a call; they take turns."""
    times = [[] for _ in calls]
    for call in calls:
        call()
    for _ in range(ROUNDS):
        for own, call in zip(times, calls, strict=True):
            count, start = 0, time.process_time()
            while (spent := time.process_time() - start) < SECONDS:
                call()
                count += 1
            own.append(1e6 * spent / count)
    return [min(own) for own in times]


def rows():
    """The rows of the table: name, shape, microseconds plain and with the kernel."""
    for name in calls_of((1, 1)):
        for shape in SHAPES:
            primitive, (inputs, attributes) = registry[name], calls_of(shape)[name]
            if primitive.fast(*inputs, **attributes) is not NotImplemented:

                def call(switch, primitive=primitive, inputs=inputs, attributes=attributes):
                    with switch():
                        primitive(*inputs, **attributes)

                yield primitive.name, shape, *fastest([lambda call=call: call(plain), lambda call=call: call(contextlib.nullcontext)])
    yield from adam_rows()


def adam_rows():
    """Adam's step: the plain one of `optim/adam.py`, in chunks, and the compiled loop, if Numba is there."""
    if found("adam") is None:
        return
    for n in (100_000, 650_000, 2_000_000):
        parameter = ta.nn.Parameter(np.ones(n, np.float32))
        adam = ta.optim.Adam([parameter])
        parameter.grad = parameter.gradient_buffer
        parameter.grad[:] = 0.1

        def without(adam=adam):
            known, adam_file.compiled = adam_file.compiled, lambda name, array: None
            try:
                adam.step()
            finally:
                adam_file.compiled = known

        yield "Adam (`fast`)", (n,), *fastest([without, adam.step])


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"put the table into {TABLE.name}")
    arguments = parser.parse_args()
    lines = ["| operation | shape | plain, microseconds | kernel | ratio |", "|---|---|---|---|---|"]
    lines += [f"| {name} | {' x '.join(map(str, shape))} | {a:.1f} | {b:.1f} | {b / a:.2f} |" for name, shape, a, b in rows()]
    print("\n".join(lines))
    if arguments.write:
        TABLE.write_text("# Kernels\n\nMade by `python benchmarks/kernels.py --write`, float32, one thread.\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
