"""Operations with noise: it is given, so the same noise gives the same numbers and the gradient is exact."""

from tinyae.autograd import primitive
from tinyae.errors import ArgumentError, ShapeError, caller, show
from tinyae.ops.selection import where


@primitive(formula="x * (noise >= rate) / (1 - rate)")
def dropout(x, *, noise, rate=0.5):
    """x with entries set to 0 where noise < rate, the others scaled up so that the mean over the noise is x.

    x, and the result: any shape.  noise: uniform in [0, 1), of x's shape, as `rng.uniform(x.shape)` draws it.  rate: the probability
    that an entry is dropped, in [0, 1); 0 changes nothing.  Raises ArgumentError, ShapeError.  Srivastava et al. 2014, section 10.
    """
    if not 0 <= rate < 1:
        raise ArgumentError("dropout: the rate is the probability that an entry is dropped.", expected="0 <= rate < 1", got=rate, at=show(caller()))
    if getattr(noise, "shape", None) != x.shape:
        raise ShapeError(
            "dropout: every entry of x has its own noise.",
            expected=f"noise {x.shape}",
            got=f"noise {getattr(noise, 'shape', type(noise).__name__)}",
            at=show(caller()),
            remedy="noise=rng.uniform(x.shape)",
        )
    return x * (noise >= rate) / (1 - rate)


@dropout.vjp("x", formula="gy * (noise >= rate) / (1 - rate)")
def _(gy, noise, rate):
    return where(noise >= rate, gy / (1 - rate), 0)
