"""The accuracy of every primitive in float32, in units in the last place (ulp), forward and gradient, over the whole range of its inputs.

An elementwise operation is computed at numbers of every size and both signs, subnormal and infinite ones among them, and compared with
its formula in 120 digits (`exact`).  Operations on whole arrays get the calls that `strategies` draws, and large ones, and are
compared with themselves in float64.  An ulp is the distance of float32 numbers at the exact value; infinity counts as the number
after the largest.
"""

from typing import NamedTuple

import numpy as np

from tinyae.autograd import Tensor, grad
from tinyae.checks import exact

LIMIT = 4.0  # ulp; what is above it needs a reason
POINTS, CALLS = 1_000, 10  # for each elementwise operation; for each other one
SPECIAL = [0.0, 2.0**-149, 2.0**-127, 2.0**-126, 0.5, 1.0, 2.0, 2.0**24, float(np.finfo(np.float32).max), np.inf]
WITHIN = {"log_variance": 80, "prior_log_variance": 80, "noise": 40, "logits": 2.0**56}  # how far some inputs go: their exponential must exist
WITHIN |= {"softmax": 2.0**56, "log_softmax": 2.0**56, "logsumexp": 2.0**56}
ROWS = ("softmax", "log_softmax", "logsumexp", "cross_entropy_with_logits")  # wide too, in rows of three


class Reason(NamedTuple):
    """Why an operation may be above the limit.  unit: the ulp of what, see UNITS.  limit: how far above."""

    text: str
    unit: str = "terms"
    limit: float = LIMIT


UNITS = {
    "value": "of the exact value",
    "terms": "of the sum of its absolute terms",
    "largest": "of the largest entry of the result",
    "one": "of the exact value, or of 1 where that is larger",
}
SUM = Reason("rounded products and sums, whose terms may cancel")
PRODUCTS = "matmul linear contract conv1d conv2d conv_transpose1d conv_transpose2d conv1d_weight conv2d_weight cumsum avg_pool1d avg_pool2d".split()
SUMMED = {
    "value": [*PRODUCTS, "sum", "mean", "overlap_add"],
    "gradient": [*PRODUCTS, "outer", "upsample_nearest", "broadcast_to", "repeat", "getitem", "gather"],
}
REASONS = {(name, part): SUM for part, names in SUMMED.items() for name in names} | {
    ("sigmoid", "gradient"): Reason("y (1 - y) keeps y alone, and 1 - y cancels where y is rounded to 1"),
    ("tanh", "gradient"): Reason("1 - y y keeps y alone, and cancels where y is rounded to 1"),
    ("gelu", "value"): Reason("the exponential of a rounded number u has a relative error of abs(u) / 2 ulp, and u comes to 100", "value", 110),
    ("gelu", "gradient"): Reason("as for the value; and the slope has a zero at x = -0.75, where two terms cancel", "terms", 110),
    ("silu", "value"): Reason("below -87 sigmoid(x) is subnormal, and x enlarges its rounding", "value", 110),
    ("silu", "gradient"): Reason("as for the value; and the slope has a zero at x = -1.28, where two terms cancel", "terms", 110),
    ("divide", "gradient"): Reason("where a / b is subnormal, the gradient lacks the digits that it has lost", "value", 2.0**24),
    ("power", "gradient"): Reason(
        "a ** (b - 1) has the rounding of b - 1, b ln(a) times as large; and it may overflow for a subnormal a", "value", 1e60
    ),
    ("softmax", "value"): Reason("the exponential of a rounded difference u has a relative error of abs(u) / 2 ulp, and u comes to 100", "value", 64),
    ("softmax", "gradient"): Reason("as for the value; and differences of gy", "terms", 64),
    ("log_softmax", "value"): Reason("x minus the largest minus a logarithm, which cancel where it is the only one that counts", "one"),
    ("log_softmax", "gradient"): Reason("the exponential of a rounded y; and a difference of terms in gy", "terms", 64),
    ("logsumexp", "value"): Reason("the largest x plus a logarithm, which cancel near 0", "one"),
    ("logsumexp", "gradient"): Reason("the exponential of a rounded difference, as in softmax", "value", 64),
    ("one_hot_straight_through", "gradient"): Reason("differences of gy", "one"),
    ("bce_with_logits", "value"): Reason("softplus minus x logit cancels where x is near 1"),
    ("bce_with_logits", "gradient"): Reason("sigmoid minus x cancels where the prediction is right"),
    ("binary_cross_entropy", "gradient"): Reason("two terms cancel where the prediction is right, or p is near 1/2"),
    ("cross_entropy_with_logits", "value"): Reason("as in log_softmax", "one"),
    ("cross_entropy_with_logits", "gradient"): Reason("softmax minus target cancels where the prediction is right", "one"),
    ("gaussian_nll", "value"): Reason("the log-variance and the squared distance cancel; a square doubles the error of exp", "terms", 8),
    ("gaussian_nll", "gradient"): Reason("1 minus the squared distance cancels; a square doubles the error of exp", "terms", 8),
    ("reparameterize", "value"): Reason("mean plus noise may cancel"),
    ("kl_standard_normal", "value"): Reason("exp(l) - l - 1 cancels near the prior, where it is l^2 / 2"),
    ("kl_normal_normal", "value"): Reason("exp(l) - l - 1 cancels where q is near p; l is a rounded difference, as in softmax", "terms", 64),
    ("kl_normal_normal", "gradient"): Reason("as for the value; and the variances and the squared distance cancel", "terms", 64),
    ("var", "gradient"): Reason("x minus its mean cancels", "largest"),
    ("prod", "value"): Reason("n factors are n - 1 roundings", "value", 50),
    ("prod", "gradient"): Reason("n factors are n - 1 roundings", "value", 50),
    ("layer_norm", "value"): Reason("x minus its mean cancels", "largest"),
    ("layer_norm", "gradient"): Reason("three terms cancel: a shift and a stretch of x change nothing", "largest", 16),
    ("batch_norm", "value"): Reason("x minus its mean cancels", "largest"),
    ("batch_norm", "gradient"): Reason("three terms cancel: a shift and a stretch of x change nothing", "largest", 16),
    ("solve_triangular", "value"): Reason("rounded sums, which may cancel", "largest"),
    ("solve_triangular", "gradient"): Reason("rounded sums, which may cancel", "largest"),
}
LARGE = {  # calls with many entries: shapes, attributes
    "sum": [([(100_000,)], {}), ([(1000, 100)], {"axis": 0})],
    "mean": [([(100_000,)], {})],
    "cumsum": [([(10_000,)], {"axis": 0})],
    "var": [([(10_000,)], {})],
    "norm": [([(10_000,)], {})],
    "prod": [([(64,)], {})],
    "logsumexp": [([(8, 1000)], {"axis": -1})],
    "softmax": [([(8, 1000)], {"axis": -1})],
    "matmul": [([(16, 1000), (1000, 16)], {})],
    "linear": [([(64, 784), (32, 784), (32,)], {})],
    "conv2d": [([(4, 16, 12, 12), (8, 16, 3, 3), (8,)], {"padding": 1})],
    "layer_norm": [([(8, 1000), (1000,), (1000,)], {})],
    "batch_norm": [([(64, 8, 4, 4), (8,), (8,)], {})],
}


class Accuracy(NamedTuple):
    """The worst errors of an operation, in ulp, and where they are.  reasons: why they may be large, "value" or "gradient" -> Reason."""

    name: str
    forward: float
    forward_at: str
    gradient: float
    gradient_at: str
    passed: bool
    reasons: dict


class Case(NamedTuple):
    """A call in float32.  wide: whether it is elementwise, over the whole range, and compared with the formula."""

    values: list
    attributes: dict
    wide: bool


def accuracy(operation, *, seed=0, points=POINTS, calls=CALLS):
    """The worst errors of a primitive and its rules in float32, an Accuracy.  Needs Hypothesis unless the operation is elementwise."""
    rng, worst = np.random.default_rng(seed), {"value": (0.0, ""), "gradient": (0.0, "")}
    reasons = {part: REASONS[operation.name, part] for part in worst if (operation.name, part) in REASONS}
    with np.errstate(all="ignore"):
        for case in cases(operation, rng, seed, points, calls):
            gy, found = computed(operation, case, np.float32, rng)
            reference, sizes = references(operation, case, gy, {part: reason.unit for part, reason in reasons.items()})
            for i, (value, expected, size) in enumerate(zip(found, reference, sizes, strict=True)):
                errors, part = ulps(value, expected, size), "gradient" if i else "value"
                if errors.size and not errors.max() <= worst[part][0]:
                    worst[part] = float(errors.max()), place(operation, case, np.unravel_index(errors.argmax(), errors.shape))
    passed = all(error <= reasons.get(part, Reason("")).limit for part, (error, _) in worst.items())
    return Accuracy(operation.name, *worst["value"], *worst["gradient"], passed, reasons)


def ulps(found, expected, size=None):
    """The errors of float32 numbers in units of float32 at the exact value, or at `size` where that is larger.

    An infinite one counts as 2^128, and is forgiven where the exact value comes within a factor of 4 of that.  One that is not a number is
    infinitely wrong; where the exact value is none, nothing is compared.
    """
    largest, overflown = 2.0**128, np.isinf(found) & (np.abs(expected) >= 2.0**126) & (np.sign(found) == np.sign(expected))
    found, expected = (np.clip(np.asarray(x, dtype=np.float64), -largest, largest) for x in (found, expected))
    exponent = np.frexp(np.fmax(np.abs(expected), 0 if size is None else np.clip(size, 0, largest)))[1] - 1
    errors = np.abs(found - expected) / np.ldexp(1.0, np.clip(exponent - 23, -149, 104))
    return np.where(np.isnan(expected) | overflown, 0.0, np.where(np.isnan(found), np.inf, errors))


def cases(operation, rng, seed, points, calls):
    """The calls that are tried."""
    if is_wide(operation):
        shape = (points, 3) if operation.name in ROWS else (points, 1) if operation.shapes else (points,)
        attributes = {name: -1 if name == "axis" else default for name, default in operation.attributes.items()}
        values = [numbers(operation.domain[name], shape, rng) for name in operation.inputs]
        for name, value in zip(operation.inputs, values, strict=True):
            largest = WITHIN.get(operation.name, WITHIN.get(name, 2.0**126 if value.ndim > 1 else np.inf))  # two of them add without overflow
            value[...] = np.where(np.abs(value) > largest, largest * np.sign(value), value) if value.dtype.kind == "f" else value
        yield Case(values, attributes, True)
    else:
        yield from drawn(operation, seed, calls)
    for shapes, attributes in LARGE.get(operation.name, ()):
        yield Case([rng.standard_normal(shape, dtype=np.float32) for shape in shapes], attributes, False)


def drawn(operation, seed, calls):
    """Calls from the operation's strategy."""
    from tinyae.checks import strategies

    for values, attributes in strategies.examples(strategies.inputs(operation, np.float32), calls, seed):
        yield Case(values, attributes, False)


def is_wide(operation):
    """Whether each entry of the result depends on one entry of each input, or on one row, so that the whole range can be tried."""
    if operation.name in ROWS:
        return True
    if operation.shapes:  # "(d),(d)->()" sums over entries: rows of one
        left, right = operation.shapes.split("->")
        return right == "()" and len(set(left.split(","))) == 1 and "," not in left.split("),")[0]
    numbers_only = all(isinstance(default, (int, float)) and not isinstance(default, bool) for default in operation.attributes.values())
    return numbers_only and not (operation.view or operation.variadic or exact.formulas.is_indexed(operation.formula))


def numbers(domain, shape, rng):
    """Float32 numbers of a domain, evenly spread on a logarithmic scale: half over the whole range, half near 1; some are SPECIAL."""
    count = int(np.prod(shape))
    if domain == "boolean":
        return rng.integers(0, 2, shape).astype(bool)
    exponents = np.where(rng.random(count) < 0.5, rng.uniform(-149, 128, count), rng.uniform(-14, 10, count))
    sizes = np.append(np.resize(SPECIAL, count // 5), 2.0**exponents)[:count]
    return rng.permutation(within(domain, sizes * rng.choice([-1.0, 1.0], count)).astype(np.float32)).reshape(shape)


def within(domain, x):
    """Numbers of all sizes as float32 numbers of a domain; those near an end of an interval lie close together there."""
    if domain in ("real", "nonzero"):
        return np.where(x == 0, 1.0, x) if domain == "nonzero" else x
    low, high = {"positive": (0.0, np.inf), "unit": (0.0, 1.0)}.get(domain, domain)
    size = np.abs(x)
    if np.isinf(high) or np.isinf(low):
        inside = low + size if np.isinf(high) else high - size
    else:
        size = np.minimum(size, 2.0**60)
        share = size / (1 + size) * (high - low)
        inside = np.where(x < 0, high - share, low + share)
    if domain == "unit":  # 0 and 1 belong to it
        return inside
    first, last = np.nextafter(np.float32(low), np.float32(np.inf)), np.nextafter(np.float32(high), np.float32(-np.inf))
    return np.clip(inside.astype(np.float32), first, np.inf if np.isinf(high) else last)


def computed(operation, case, dtype, rng=None, gy=None):
    """(cotangent, [value, gradients]) of a call in `dtype`, as float64 arrays; the cotangent is drawn where it is not given."""
    inputs = [Tensor(v.astype(dtype), requires_grad=True) if v.dtype.kind == "f" else v for v in case.values]
    attributes = case.attributes | ({"dtype": dtype} if "dtype" in case.attributes else {})
    y = operation(*inputs, **attributes)
    if gy is None:
        gy = (rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1.0, 1.0], y.shape)).astype(np.float32)
    gradients = grad(y, [x for x in inputs if isinstance(x, Tensor)], gy.astype(dtype))
    return gy, [x.numpy().astype(np.float64) for x in (y, *gradients)]


def references(operation, case, gy, units):
    """([exact value, exact gradients], [None, or an array of sizes that the ulp is taken of]) of a call, as float64 arrays."""
    _, wide = computed(operation, case, np.float64, gy=gy)
    found, sizes = (by_formula(operation, case, gy, units, wide) if case.wide else None) or (wide, [None] * len(wide))
    for i in range(len(found)):
        unit = units.get("gradient" if i else "value")
        if unit == "largest":
            sizes[i] = max(np.abs(g).max(initial=0.0) for g in (found[1:] if i else found[:1]))
        elif unit == "one":
            sizes[i] = 1.0
        elif unit == "terms" and sizes[i] is None:  # of a sum of products: the same sum of the absolute values
            positive = Case([np.abs(v) for v in case.values], case.attributes, False)
            sizes[i] = computed(operation, positive, np.float64, gy=np.abs(gy))[1][i]
    return found, sizes


def by_formula(operation, case, gy, units, wide):
    """As `references`, from the formulas in 120 digits; None where one has no meaning there.

    Where a formula gives no number, log(1 + exp(1e30)) say, the value in float64 stands.
    """
    names = dict(zip(operation.inputs, case.values, strict=True)) | case.attributes
    names |= {f"{name}_shape": value.shape for name, value in zip(operation.inputs, case.values, strict=True)}
    rules = {name: rule for rule in operation.rules for name in rule.inputs}
    wanted = [name for name in operation.inputs if name in rules]
    found, sizes = [], []
    try:
        for i, value in enumerate(wide):
            source = rules[wanted[i - 1]] if i else operation
            if i:
                names[source.cotangent] = gy
            result = exact.evaluate(source.formula, names, value.shape)
            names.setdefault("y", result)
            result = exact.floats(result)
            size = exact.evaluate(exact.terms(source.formula), names, value.shape) if units.get("gradient" if i else "value") == "terms" else None
            found.append(np.where(np.isnan(result), value, result))
            sizes.append(None if size is None else np.nan_to_num(exact.floats(size), nan=0.0))
    except NameError:
        return None
    return found, sizes


def place(operation, case, index):
    """Where the worst error is: the inputs of that entry, or the shapes of the call."""
    names = operation.inputs * len(case.values) if operation.variadic else operation.inputs
    if not case.wide:
        return ", ".join(f"{name} {value.shape}" for name, value in zip(names, case.values, strict=False))
    return ", ".join(f"{name} {shown(value[index[0]])}" for name, value in zip(names, case.values, strict=True))


def shown(value):
    """A number, or those of a row, in six digits."""
    numbers = [f"{number:.6g}" for number in np.ravel(value)]
    return numbers[0] if len(numbers) == 1 else f"[{', '.join(numbers)}]"
