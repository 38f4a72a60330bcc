"""Checks of the exercises of lesson 9: the learner's checks are run on right functions, a named bug, and hidden ones."""

import numpy as np

from tinyae.course.exercises import Exercise, Mismatch, expect


def kl_terms(m, v):
    """(m^2 + exp(v) - v - 1) / 2 of each latent dimension.  m: mean, v: log_variance, as everywhere below."""
    return (m**2 + np.exp(v) - v - 1) / 2


def kl_by_loops(m, v):
    """The KL from E_q[log q] - E_q[log p], an example and a dimension at a time."""
    rows = []
    for mean, log_variance in zip(m, v, strict=True):
        log_q = [-0.5 * (np.log(2 * np.pi) + b + 1) for b in log_variance]
        log_p = [-0.5 * (np.log(2 * np.pi) + a * a + np.exp(b)) for a, b in zip(mean, log_variance, strict=True)]
        rows.append(sum(log_q) - sum(log_p))
    return np.array(rows)


def kl_in_float32(m, v):
    """The KL, to the accuracy of float32."""
    m, v = np.asarray(m, np.float32), np.asarray(v, np.float32)
    return (0.5 * (m * m + np.expm1(v) - v)).sum(axis=-1)


RIGHT_KL = {
    "written as in step 5 of lesson 6": lambda m, v: kl_terms(m, v).sum(axis=-1),
    "from standard deviations": lambda m, v: (np.square(m) / 2 + np.exp(v / 2) ** 2 / 2 - np.log(np.exp(v / 2)) - 0.5).sum(-1),
    "written with loops": kl_by_loops,
    "in float32": kl_in_float32,
}
SHOWN_KL = {"a mean over the latent dimensions": lambda m, v: kl_terms(m, v).mean(axis=-1)}
HIDDEN_KL = {
    "without its half": lambda m, v: 2 * kl_terms(m, v).sum(axis=-1),
    "the other sign": lambda m, v: -kl_terms(m, v).sum(axis=-1),
    "log_variance taken for the logarithm of the standard deviation": lambda m, v: kl_terms(m, 2 * v).sum(axis=-1),
    "in bits": lambda m, v: kl_terms(m, v).sum(axis=-1) / np.log(2),
    "the mean over the batch, for every example": lambda m, v: np.full(len(m), kl_terms(m, v).sum(axis=-1).mean()),
    "from the prior to q, not from q to the prior": lambda m, v: ((m**2 + 1) * np.exp(-v) + v - 1).sum(axis=-1) / 2,
    "the mean not squared": lambda m, v: kl_terms(np.sqrt(np.abs(m)), v).sum(axis=-1),
    "log_variance clipped at 1": lambda m, v: kl_terms(m, np.minimum(v, 1)).sum(axis=-1),
}

RIGHT_SAMPLER = {
    "written as in the lesson": lambda m, v, e: m + np.exp(v / 2) * e,
    "from the variance": lambda m, v, e: e * np.sqrt(np.exp(v)) + m,
    "written with loops": lambda m, v, e: np.array(
        [[a + np.exp(b / 2) * c for a, b, c in zip(*row, strict=True)] for row in zip(m, v, e, strict=True)]
    ),
    "in float32": lambda m, v, e: (m + np.exp(v / 2) * e).astype(np.float32),
}
SHOWN_SAMPLER = {"exp(log_variance) for the standard deviation": lambda m, v, e: m + np.exp(v) * e}
HIDDEN_SAMPLER = {
    "no noise": lambda m, v, e: m + 0 * e,
    "the noise of the first example for all": lambda m, v, e: m + np.exp(v / 2) * e[:1],
    "noise of its own": lambda m, v, e: m + np.exp(v / 2) * np.random.standard_normal(e.shape),  # noqa: NPY002
    "log_variance itself for the standard deviation": lambda m, v, e: m + v * e,
    "a softplus for the exponential": lambda m, v, e: m + np.sqrt(np.logaddexp(0, v)) * e,
    "only noise above 0": lambda m, v, e: m + np.exp(v / 2) * np.abs(e),
    "one noise for all latent dimensions": lambda m, v, e: m + np.exp(v / 2) * e[:, :1],
    "the mean scaled as well": lambda m, v, e: np.exp(v / 2) * (m + e),
}


def made_of(draw=RIGHT_SAMPLER["written as in the lesson"], logits=lambda a: a, pixels=np.sum, latents=np.sum, weight=1.0, batch=np.mean):
    """A loss of exchangeable lines."""

    def loss(x, noise, encode, decode):
        m, v = encode(x)
        a = logits(decode(draw(m, v, noise)))
        reconstruction = pixels(np.logaddexp(0, a) - x * a, axis=-1)
        return batch(reconstruction + weight * latents(kl_terms(m, v), axis=-1))

    return loss


def loss_by_examples(x, noise, encode, decode):
    """-ELBO from log-probabilities, an example at a time; encode and decode see the whole batch, as they are the learner's."""
    m, v = encode(x)
    a = np.asarray(decode(m + np.sqrt(np.exp(v)) * noise))
    total = 0.0
    for image, logits, mean, log_variance in zip(x, a, m, v, strict=True):
        log_p = np.where(image > 0.5, -np.logaddexp(0, -logits), -np.logaddexp(0, logits))
        total += float(kl_by_loops(mean[None], log_variance[None])[0] - log_p.sum())
    return total / len(x)


def sigmoid(a):
    """1 / (1 + exp(-a)), which cannot overflow."""
    return np.exp(-np.logaddexp(0, -a))


RIGHT_LOSS = {
    "written as in the lesson": made_of(),
    "written with loops": loss_by_examples,
    "sum over the batch, divided by its size": made_of(batch=lambda nats: nats.sum() / len(nats)),
    "in float32": lambda x, noise, encode, decode: np.float32(made_of()(x, noise, encode, decode)),
}
SHOWN_LOSS = {"a mean over the latent dimensions in the KL": made_of(latents=np.mean)}
HIDDEN_LOSS = {
    "exp(log_variance) for the standard deviation": made_of(draw=SHOWN_SAMPLER["exp(log_variance) for the standard deviation"]),
    "the KL without its half": made_of(weight=2.0),
    "a mean over the pixels": made_of(pixels=np.mean),
    "the KL with the other sign": made_of(weight=-1.0),
    "no noise": made_of(draw=HIDDEN_SAMPLER["no noise"]),
    "a sigmoid of the logits, taken for logits": made_of(logits=sigmoid),
    "one noise for the whole batch": made_of(draw=HIDDEN_SAMPLER["the noise of the first example for all"]),
    "a sum over the batch": made_of(batch=np.sum),
}


def tell(condition, text, expected=None, got=None):
    """As expect; the functions that were tried are not shown."""
    expect(condition, text, expected, got, arguments={})


def hunter(what, names, right, shown, hidden):
    """A judge that runs the learner's check on all of these.  names: of the arguments, as the exercise has them."""

    def verdict(answer, function, is_right):
        """What the check says of a function, and whether it called it.  An error on a wrong function counts as False."""
        calls, broken = [], []

        def suspect(*arguments, **named):
            calls.append(1)
            try:
                if unknown := [name for name in named if name not in names[len(arguments) :]]:
                    raise TypeError(f"{what} takes {', '.join(names)}; {unknown[0]} is given twice, or unknown")
                arguments = [*arguments, *(named[name] for name in names[len(arguments) :] if name in named)]
                return function(*(np.array(a) if isinstance(a, np.ndarray) else a for a in arguments))
            except Exception as error:
                broken.append(error)
                raise

        try:
            said = answer(suspect)
        except Exception as error:
            if is_right and broken and error is broken[-1]:
                text = f"{what} that is right raises an error when it is called as you do: are they arrays (N, J)?"
                tell(False, text, got=f"{type(error).__name__}: {error}")
            if is_right or isinstance(error, (Mismatch, NotImplementedError)):
                raise
            said = False
        tell(isinstance(said, (bool, np.bool_)), "it must return True or False.", "True or False", said)
        return bool(said), bool(calls)

    def judge(answer, solution, arguments):
        for name, function in right.items():
            said, called = verdict(answer, function, True)
            tell(called or not said, f"it never calls the function that it is given: it tests something else, and not {what}.")
            tell(said, f"it rejects {what} that is right, {name}.", "True", "False")
        for name, function in shown.items():
            said, _ = verdict(answer, function, False)
            tell(not said, f"it accepts {what} with the named bug, {name}.", "False", "True")
        alive = [name for name, function in hidden.items() if verdict(answer, function, False)[0]]
        told = f"kills {len(hidden) - len(alive)} of {len(hidden)} hidden mutants"
        name, function = next(iter(right.items()))
        tell(verdict(answer, function, True)[0], f"asked for a second time it rejects {what} that is right, {name}: does it count its calls?")
        tell(2 * len(alive) <= len(hidden), f"it {told}, and half of them are asked for.", got=f"it accepts {what} with: {alive[0] if alive else ''}")
        return told + (f"; alive: {'; '.join(alive)}" if alive else "")

    return judge


def careless(what):
    """Checks that accept everything, or nothing."""
    return (
        ("accepts everything", "return bool(found.shape", "return found is not None or bool(found.shape", f"it accepts {what} with the named bug"),
        ("rejects everything", "return bool(found.shape", "return False and bool(found.shape", f"it rejects {what} that is right"),
    )


def inexact(what):
    """The same, and checks that do not look at the values, or at their last bit; for what gives an array."""
    return (
        *careless(what),
        ("only the shape", " and np.allclose(found, exact, rtol=1e-4)", "", f"it accepts {what} with the named bug"),
        ("to the last bit", "np.allclose(found, exact, rtol=1e-4)", "(found == exact).all()", f"it rejects {what} that is right"),
    )


EXERCISES = (
    Exercise(
        function="check_kl",
        kind="do",
        goal="a check that accepts the KL, and nothing that looks like it",
        example={"kl": RIGHT_KL["written as in step 5 of lesson 6"]},
        judge=hunter("a KL", ("mean", "log_variance"), RIGHT_KL, SHOWN_KL, HIDDEN_KL),
        hints=(
            "You know the formula. Choose a mean and a log_variance for which no two mistakes give the same number: not 0, several each way.",
            "Compute the exact divergences by (mean^2 + exp(l) - l - 1) / 2, summed over the last axis. Compare the shape first, then the values.",
            "return bool(found.shape == exact.shape and np.allclose(found, exact, rtol=1e-4)), with random arrays (5, 3).",
        ),
        wrong=(
            *inexact("a KL"),
            ("tests the reference", "np.asarray(kl(mean, log_variance))", "exact", "it never calls the function that it is given"),
            ("only the sign", "np.allclose(found, exact, rtol=1e-4)", "(found >= 0).all()", "it accepts a KL with the named bug"),
            ("too loose", "rtol=1e-4", "rtol=1.0", "it accepts a KL with the named bug"),
            ("at the prior only", "2 * _normal(2, 5, 3)", "np.zeros((2, 5, 3))", "it accepts a KL with the named bug"),
            ("one latent dimension", "_normal(2, 5, 3)", "_normal(2, 5, 1)", "it accepts a KL with the named bug"),
            ("the bug in the check as well", ".sum(axis=1) / 2", ".mean(axis=1) / 2", "it rejects a KL that is right"),
            (
                "it counts its calls",
                "return bool(found.shape",
                "calls = globals().setdefault('calls', [])\n    calls.append(0)\n    return bool(len(calls) < 5 and found.shape",
                "for a second time",
            ),
            ("only from above", "np.allclose(found, exact, rtol=1e-4)", "(found <= exact + 1e-6).all()", "it accepts a KL with the named bug"),
            (
                "a single example, at log_variance 0",
                "2 * _normal(2, 5, 3)",
                "np.array([[[1.0, 0.0]], [[0.0, 0.0]]])",
                "kills 3 of 8 hidden mutants, and half of them are asked for",
            ),
        ),
    ),
    Exercise(
        function="check_sampler",
        kind="break",
        goal="break every sampler but the right one",
        example={"sampler": RIGHT_SAMPLER["written as in the lesson"]},
        judge=hunter("a sampler", ("mean", "log_variance", "noise"), RIGHT_SAMPLER, SHOWN_SAMPLER, HIDDEN_SAMPLER),
        hints=(
            "The noise is an input: nothing is random. For given arrays there is one right answer, and no statistics are needed.",
            "Where log_variance is 0 the named bug hides, where the noise is the same in all places others do. Random arrays hide nothing.",
            "Compare with mean + np.exp(log_variance / 2) * noise by np.allclose, shape first, for random arrays (5, 3).",
        ),
        wrong=(
            *inexact("a sampler"),
            ("tests the reference", "np.asarray(sampler(mean, log_variance, noise))", "exact", "it never calls the function that it is given"),
            (
                "log-variances of 0",
                "mean, log_variance, noise = 2 * _normal(3, 5, 3)",
                "mean, log_variance, noise = _normal(3, 5, 3) * [[[1]], [[0]], [[1]]]",
                "the named bug",
            ),
            ("fresh noise", "sampler(mean, log_variance, noise)", "sampler(mean, log_variance, noise[::-1])", "it rejects a sampler that is right"),
            (
                "only the mean",
                "np.allclose(found, exact, rtol=1e-4)",
                "np.allclose(found.mean(), mean.mean(), atol=3)",
                "it accepts a sampler with the named bug",
            ),
            ("too loose", "rtol=1e-4", "atol=50", "it accepts a sampler with the named bug"),
            ("the bug in the check as well", "np.exp(log_variance / 2)", "np.exp(log_variance)", "it rejects a sampler that is right"),
        ),
    ),
    Exercise(
        function="check_loss",
        kind="extend",
        goal="a check of a whole loss, on a toy model whose -ELBO you compute",
        example={"loss": made_of()},
        judge=hunter("a loss", ("x", "noise", "encode", "decode"), RIGHT_LOSS, SHOWN_LOSS, HIDDEN_LOSS),
        hints=(
            "You choose encoder and decoder: let encode return fixed arrays, and decode be a matrix. Then -ELBO for a given noise is one number.",
            "Let N, D and J differ and be more than 1, so that no mean hides; let the noises of the examples differ; keep log_variance off 0.",
            "reconstruction: np.logaddexp(0, logits) - x * logits, summed over pixels; KL as in check_kl; the mean of their sum over the "
            "batch. Then np.isclose with rtol=1e-4, and the shape ().",
        ),
        wrong=(
            *careless("a loss"),
            (
                "tests the reference",
                "np.asarray(loss(x, noise, lambda x: (mean, log_variance), lambda z: z @ weight.T))",
                "(reconstruction + kl).mean()",
                "never calls",
            ),
            ("only the sign", "np.isclose(found, (reconstruction + kl).mean(), rtol=1e-4)", "found > 0", "it accepts a loss with the named bug"),
            ("too loose", "rtol=1e-4", "rtol=0.5", "it accepts a loss with the named bug"),
            ("fresh noise", "loss(x, noise, lambda", "loss(x, noise[::-1], lambda", "it rejects a loss that is right"),
            ("q is the prior", "1 + _normal(3, 4, 3)", "_normal(3, 4, 3) * [[[1]], [[0]], [[0]]]", "it accepts a loss with the named bug"),
            ("a sum over the batch", "(reconstruction + kl).mean()", "(reconstruction + kl).sum()", "it rejects a loss that is right"),
            ("half forgotten in the check", ".sum(axis=1) / 2", ".sum(axis=1)", "it rejects a loss that is right"),
            (
                "one latent dimension",
                "2 * _normal(7, 3), 1 + _normal(3, 4, 3)",
                "2 * _normal(7, 1), 1 + _normal(3, 4, 1)",
                "it accepts a loss with the named bug",
            ),
            (
                "a true sigmoid in the check",
                "np.logaddexp(0, logits) - x * logits",
                "np.logaddexp(0, 1 / (1 + np.exp(-logits))) - x / (1 + np.exp(-logits))",
                "it rejects a loss that is right",
            ),
        ),
    ),
)
