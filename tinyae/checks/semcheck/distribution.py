"""semcheck for a distribution: its density is summed over a grid, and the sums are compared with what it says and what it draws.

Continuous features are summed by the trapezoidal rule after a double-exponential change of variables (Takahasi & Mori 1974).  How exact
that is enters the limits.
"""

import math

import numpy as np

from tinyae.autograd import no_grad, raw
from tinyae.backend import rng
from tinyae.checks.semcheck import scores
from tinyae.checks.semcheck.result import FAILED, NOT_TESTED, Row, Semantics, judged, untested
from tinyae.checks.semcheck.subject import plain
from tinyae.errors import ArgumentError

POINTS = 70_000  # of a grid, at most
DOUBT = 3e-3  # the largest error of a sum with which anything is compared
RARE = 50  # a mean is that of so many times its kurtosis draws, at least, or it is not judged


def semcheck_distribution(distribution, *, others=(), kl=None, support=None, draws=1_000_000, seed=0):
    """Test a distribution's log_prob, sampler, mean, entropy and divergences against sums over a grid.  Returns Semantics.

    distribution: one of tinyae.distributions, or anything with log_prob(x), (..., D) -> (...,), and sample(rng, draws) -> (*draws, ..., D);
    mean, entropy(), and rsample(noise) with draw_noise(rng, draws) where there are any.  Its parameters are NumPy arrays, or Tensors of
    them: a few rows, and so few features that a grid can hold them (two continuous ones, 16 bits, any number of categories).
    others: distributions of the same shape, to which kl(distribution, other) is compared with sum p (log p - log p').
    support: a pair (low, high), the list of the values of a feature, "one-hot" or "simplex"; default distribution.support.
    draws: numbers that are drawn; a million see 1 % in a scale.  Raises ArgumentError for what no grid can hold.
    """
    support = getattr(distribution, "support", None) if support is None else support
    with np.errstate(all="ignore"), no_grad():  # what is not finite is a row that fails
        rows = [check_shapes(distribution, seed)]
        if rows[0].verdict == FAILED:  # there is nothing to compute with
            return Semantics(rows, type(distribution).__name__)
        stream, count = rng(seed).stream("semcheck"), max(1000, draws // plain(distribution.sample(rng(seed))).size)
        drawn = plain(distribution.sample(stream, (count,)))
        grid = Grid(distribution, support, drawn)
        rows += check_sums(distribution, grid)
        coarse = next(row for row in rows if row.check == "sum").verdict == NOT_TESTED
        rows += [untested("draws", "The grid is too coarse for this density.")] if coarse else check_draws(distribution, grid, drawn)
        if others and kl is None:
            raise ArgumentError("semcheck: the divergence is missing.", remedy="kl=ta.distributions.kl_divergence")
        for other in others:
            log_ratio = grid.log_p - plain(other.log_prob(grid.x))
            rows.append(grid.compare(f"KL to {type(other).__name__}", plain(kl(distribution, other)), log_ratio))
    return Semantics(rows, type(distribution).__name__)


def assert_distribution(*args, **settings):
    """semcheck_distribution for a test: the table, or a SemanticsError with the rows that failed."""
    return semcheck_distribution(*args, **settings).require()


class Grid:
    """Points x, (G, ..., D), of a distribution's support, and the probability p of each of them, (G, ...); total: its sum before it was made 1.

    axes: the numbers of nodes whose product G is, for an integral.  rounding: the relative error of the distribution's arithmetic.
    """

    def __init__(self, distribution, support, drawn):
        self.rounding = 1e-4 if drawn.dtype == np.float32 else 1e-7
        self.x, weight, self.axes = points_of(support, drawn[:5000].astype(np.float64))
        self.x = self.x.astype(drawn.dtype)
        if isinstance(support, tuple):  # no node is rounded to an end, where a density may be infinite
            low, high = (plain(end).astype(drawn.dtype) for end in support)
            self.x = np.clip(self.x, np.nextafter(low, high), np.nextafter(high, low))
        self.log_p = plain(distribution.log_prob(self.x)).astype(np.float64)
        self.mass = np.where(weight > 0, np.exp(self.log_p) * weight, 0)
        self.total = self.mass.sum(axis=0)
        self.p = self.mass / self.total

    def mean(self, values):
        """(the mean of values, (G, ...) or (G, ..., D), under p; how exact it is)."""
        p = self.p.reshape(self.p.shape + (1,) * (values.ndim - self.p.ndim))
        terms = np.where(p > 0, p * values, 0)
        mean = terms.sum(axis=0)
        return mean, np.where(np.isfinite(mean), self.doubt(terms) + np.abs(mean) * self.doubt(p), 0)

    def doubt(self, terms):
        """A bound on the error of the sum of `terms`, (G, ...)."""
        return roughness(terms, self.axes)

    def compare(self, check, found, values, scale=1.0):
        """The row of a claim: `found` is the mean of `values`, up to so much of `scale`."""
        expected, doubt = self.mean(values)
        return self.judge(check, found, expected, doubt, scale)

    def judge(self, check, found, expected, doubt, scale=1.0):
        """The row of numbers that are as `expected`, which is known up to `doubt`."""
        if np.shape(found) != expected.shape:
            return Row(check, "", math.nan, 0.0, FAILED, f"Its shape is {np.shape(found)}, where {expected.shape} belongs.")
        if (doubt > DOUBT * scale).any():
            return untested(check, "The grid is too coarse for this density.")
        scale = scale + np.where(np.isfinite(expected), np.abs(expected), 0)
        error, limit = distance(found, expected) / scale, self.rounding + doubt / scale
        k = np.unravel_index(np.argmax(np.where(np.isnan(error), np.inf, error / limit)), error.shape)
        wrong = f"It is {np.asarray(found)[k]:.6g}, where the sum over the density is {expected[k]:.6g}."
        return judged(check, "error", error[k], limit[k], "It is the sum over the density.", wrong)


def roughness(terms, axes):
    """A bound on the error of the sum of `terms`, (G, ...), on a grid of these axes: fourth differences along each of them.

    Beside a jump of the slope they are 24 times the error of the trapezoidal rule, or more; where all is smooth they vanish.
    """
    total = np.zeros(terms.shape[1:])
    for axis in range(len(axes)):
        others = tuple(k for k in range(len(axes)) if k != axis)
        margin = terms.reshape(*axes, *terms.shape[1:]).sum(axis=others)
        total += np.abs(np.diff(margin, 4, axis=0)).sum(axis=0) / 8
    return total


def distance(a, b):
    """|a - b|; 0 between equal infinities."""
    return np.where(a == b, 0.0, np.abs(a - b))


def points_of(support, drawn):
    """(x, (G, ..., D); the weights of a sum over x, (G, ...); the axes of an integral) for a support."""
    features = drawn.shape[-1]
    if isinstance(support, str) and support == "one-hot":
        rows = np.eye(features).reshape(features, *[1] * (drawn.ndim - 2), features)
        return np.broadcast_to(rows, (features, *drawn.shape[1:])), np.ones((features, *drawn.shape[1:-1])), ()
    if isinstance(support, str) and support == "simplex":
        logits = np.log(np.maximum(drawn, 1e-300))
        y, weight, axes = points_of((-np.inf, np.inf), logits[..., :-1] - logits[..., -1:])
        y = np.concatenate([y, 0 * y[..., :1]], axis=-1)
        x = np.exp(y - y.max(axis=-1, keepdims=True))
        x = x / x.sum(axis=-1, keepdims=True)
        return x, weight * x.prod(axis=-1), axes
    if isinstance(support, list):
        nodes = np.broadcast_to(np.reshape(support, (-1,) + (1,) * (drawn.ndim - 1)), (len(support), *drawn.shape[1:]))
        weights, axes = np.ones(nodes.shape), ()
    elif isinstance(support, tuple):
        nodes, weights = interval(*support, drawn, {1: 4097, 2: 257}.get(features, POINTS))
        axes = (len(nodes),) * features
    else:
        raise ArgumentError("semcheck: the support.", expected="(low, high), a list of values, 'one-hot' or 'simplex'", got=support)
    if len(nodes) ** features > POINTS:
        got = f"{features} features"
        raise ArgumentError("semcheck: no grid can hold so many features.", got=got, remedy="a distribution of fewer: two continuous ones, say")
    index = np.indices((len(nodes),) * features).reshape(features, -1)
    x = np.stack([nodes[index[j], ..., j] for j in range(features)], axis=-1)
    weight = math.prod(weights[index[j], ..., j] for j in range(features))
    return x, weight, axes


def interval(low, high, drawn, count):
    """Nodes and weights, (count, ..., D), for integrals over [low, high], or over all numbers; fine where the draws lie."""
    shape = drawn.shape[1:]
    low, high = (np.broadcast_to(plain(end), shape) for end in (low, high))
    u = np.linspace(-3.2, 3.2, count).reshape(-1, *[1] * len(shape))
    y, slope = math.pi / 2 * np.sinh(u), (u[1] - u[0]) * math.pi / 2 * np.cosh(u)
    if np.isinf(low).all() and np.isinf(high).all():
        first, middle, third = np.quantile(drawn, [0.25, 0.5, 0.75], axis=0)
        scale = np.where(third > first, third - first, 1.0)
        return middle + scale * np.sinh(y), scale * np.cosh(y) * slope
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise ArgumentError("semcheck: an interval is finite, or all numbers.", got=f"from {low} to {high}")
    return low + (high - low) / (1 + np.exp(-2 * y)), (high - low) * slope / (2 * np.cosh(y) ** 2)


def has(distribution, name):
    """Whether it has such an attribute, even one that fails when it is asked for."""
    return hasattr(type(distribution), name) or hasattr(distribution, name)


def check_shapes(distribution, seed):
    """Shapes and dtypes fit each other; the same noise gives the same draw."""
    x = raw(distribution.sample(rng(seed), (3,)))
    shape, several = x.shape[1:], raw(distribution.log_prob(x))
    found = {"log_prob": (several, (3, *shape[:-1])), "draw": (raw(distribution.sample(rng(seed))), shape)}
    if has(distribution, "mean"):
        found["mean"] = raw(distribution.mean) + np.zeros(shape, x.dtype), shape
    if has(distribution, "entropy"):
        found["entropy"] = raw(distribution.entropy()), shape[:-1]
    wrong = [f"{name}: {np.shape(y)}, not {fits}" for name, (y, fits) in found.items() if np.shape(y) != fits]
    wrong += [f"{name}: {y.dtype}, where the draws are {x.dtype}" for name, (y, _) in found.items() if getattr(y, "dtype", x.dtype) != x.dtype]
    if has(distribution, "rsample"):
        noise = distribution.draw_noise(rng(seed), (3,))
        same = noise.dtype == x.dtype and noise.shape == x.shape and np.array_equal(raw(distribution.rsample(noise)), x)
        wrong += [] if same else ["rsample of draw_noise is not sample"]
    return judged("shapes", "wrong", len(wrong), 0.0, "Shapes and dtypes fit each other.", "; ".join(wrong) + ".")


def check_sums(distribution, grid):
    """The density sums to one; its mean and entropy are those of the grid."""
    yield grid.judge("sum", grid.total, np.ones(grid.total.shape), grid.doubt(grid.mass))
    if has(distribution, "mean"):
        center = grid.mean(grid.x)[0]
        spread = np.sqrt(grid.mean((grid.x - center) ** 2)[0])
        yield grid.compare("mean", plain(distribution.mean) + np.zeros(grid.x.shape[1:]), grid.x, spread)
    if has(distribution, "entropy"):
        yield grid.compare("entropy", plain(distribution.entropy()), -grid.log_p)


def check_draws(distribution, grid, drawn):
    """Functions of the draws, standardised, have the means that the grid says; draws, rows and features share no noise."""
    center, _ = grid.mean(grid.x)
    spread = np.sqrt(grid.mean((grid.x - center) ** 2)[0]) + 1e-12
    on_grid, u = (grid.x - center) / spread, (drawn.astype(np.float64) - center) / spread
    log_prob = plain(distribution.log_prob(drawn)).astype(np.float64)
    scored = [("log_prob", score(grid, log_prob, grid.log_p))]
    scored += [(name, np.concatenate([score(grid, f(u), f(on_grid)) for f in functions])) for name, functions in FUNCTIONS]
    for name, found in scored:
        wrong = f"The draws have another {name} than the density."
        yield judged(f"draws: {name}", "z", scores.worst(found), scores.limit(found.size), "The draws are as the density says.", wrong)
    features, common = u.shape[-1], RARE * grid.mean(on_grid**4)[0].ravel() ** 2 < len(u)
    together = [score(grid, u[..., i] * u[..., j], on_grid[..., i] * on_grid[..., j]) for i in range(features) for j in range(i)]
    series, row = u.reshape(len(u), -1).T[common], np.flatnonzero(common) // features
    across = (series @ series.T)[row[:, None] < row] / math.sqrt(len(u))
    along = (series[:, 1:] * series[:, :-1]).sum(axis=1) / math.sqrt(len(u))
    found = np.concatenate([*together, across, along, [0.0]])
    right, wrong = "Draws and rows are independent, features as the density says.", "Draws, rows or features share noise."
    yield judged("draws: independence", "z", scores.worst(found), scores.limit(found.size), right, wrong)


def score(grid, values, on_grid):
    """How surprising the means of values (S, ..., D) of draws are beside those on the grid: for each row and feature, and for all together.

    0 for a value that is different so rarely that the mean of S is not normal yet.
    """
    found = []
    for drawn, points in ((values, on_grid), [x.reshape(*x.shape[: grid.p.ndim], -1).sum(axis=-1) for x in (values, on_grid)]):
        expected, doubt = grid.mean(points)
        variance, fourth = (grid.mean((points - expected) ** power)[0] for power in (2, 4))
        constant = variance < grid.rounding**2
        seen = constant | (RARE * fourth < len(drawn) * variance**2)
        error = np.sqrt(variance / len(drawn) + doubt**2 + grid.rounding**2)
        found.append((np.where(seen, drawn.mean(axis=0) - expected, 0), error))
    (single, error), (rows, error_of_rows) = found
    return np.append(single / error, rows.sum() / np.sqrt((error_of_rows**2).sum()))


FUNCTIONS = (
    ("mean", [lambda u: u]),
    ("variance", [lambda u: u**2]),
    ("shape", [lambda u, f=f, k=k: f(k * u) for f in (np.sin, np.cos) for k in (1, 2, 4)]),
)
