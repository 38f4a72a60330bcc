"""Scripts that are not ours, in files of their own: each line says in a comment which operations it runs, in their order."""

MAIN = """
import numpy as np

import tinyae as ta
from helper_of_main import Layer, scaled, total
from tinyae.ops import concatenate, exp, tanh

draw = np.random.default_rng(5)
x = draw.normal(size=(4, 3))
w, b = (ta.Tensor(draw.normal(size=shape), requires_grad=True) for shape in ((3, 3), (3,)))
layer = Layer(w)


def halves(t, times):
    if times == 0:
        return t
    return halves(t / 2, times - 1)  # divide divide divide


def loss(x, w, b, power=2):
    h = tanh(x @ w + b)  # matmul add tanh
    for _ in range(2):
        h = layer(h) - b  # subtract subtract
    a, c = exp(h), -h[:, :1]  # exp getitem negative
    d = (
        a  # multiply add
        * c
        + scaled(h)
    )
    e = concatenate(  # concatenate power
        [d,
         h],
        axis=1,
    ) ** power
    parts = [part.sum() for part in (d, e)]  # sum sum
    e *= 0.5  # multiply
    small = halves(total(parts), 3)
    deep = (lambda t: t * t)(small)  # multiply
    chain = (
        h.exp()  # exp
        .sum(axis=0)  # sum
        .mean()  # mean
    )
    return deep + chain if power else None  # add


if __name__ == "__main__":
    raise SystemExit("this is not to be run")
"""

HELPER = '''
from tinyae import ops


class Layer:
    def __init__(self, weight):
        self.weight = weight

    def __call__(self, x):
        y = x @ self.weight  # matmul matmul
        return ops.sigmoid(y)  # sigmoid sigmoid


def scaled(t):
    """Twice t, squared."""
    twice = 2 * t  # multiply
    return twice * twice  # multiply


def total(parts):
    result = 0.0
    for part in parts:
        result = result + part  # add add
    return result
'''


def write(folder):
    """Write both files; returns the path of the first."""
    (folder / "main_of_somebody.py").write_text(MAIN)
    (folder / "helper_of_main.py").write_text(HELPER)
    return folder / "main_of_somebody.py"


def expected(source):
    """{line number: [operations]} of the lines whose comment names some."""
    lines = {number: text.partition("#")[2].split() for number, text in enumerate(source.splitlines(), 1) if "#" in text}
    return {number: operations for number, operations in lines.items() if operations}
