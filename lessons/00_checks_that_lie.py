# %% [markdown]
# # Lesson 0: Checks that lie
#
# **Goal.** Eight wrong loss functions pass a check of their gradients. Build a second check that finds **8 of the 8**.
#
# ## Picture
#
#     what we mean  ------- ? -------  the function in the code  ------- ? -------  its derivative in the code
#     (formulas)    right function?      loss of the weights       right slope?        gradient by the weights
#                     STATISTICS                                   DIFFERENCES
#
# A *loss* is a number that says how badly a model does on some images. It depends on the model's *weights*, the numbers that
# training changes. The *gradient* is the array of its derivatives by them. Each link can break, and no check sees both.
# ## Derivation
# 1. **Differences.** Take a function $f$ of a number $x$, and a small step $h > 0$. Taylor's series of $f(x + h)$ and $f(x - h)$
#    differ in odd terms. So the *central difference* has a small error:
# $$\frac{f(x + h) - f(x - h)}{2 h} = f'(x) + \frac{h^2}{6} f'''(x) + \dots$$
# 2. A computer rounds each value by up to $\epsilon / 2$ of its size; $\epsilon$ is $2.2 \cdot 10^{-16}$ for float64 and
#    $1.2 \cdot 10^{-7}$ for float32. The difference of two such values, over $2 h$, is off by up to $\epsilon |f| / 2 h$. For
#    $f = \exp$, where $f' = f''' = f$, both errors together are, as a share of $f'$, at most about
# $$E(h) = \frac{h^2}{6} + \frac{\epsilon}{2 h}, \qquad E'(h) = 0 \ \text{ at } \ h = \left(\frac{3 \epsilon}{2}\right)^{1/3}$$
#    A larger step cuts too much off the series, a smaller one drowns in rounding: on logarithmic axes the error over the step is a
#    V. (Rounding is milder than this worst case on average, and the best step is a little smaller.)
# 3. **Lie 1: fresh noise.** If each evaluation of a loss draws its own noise, and $s$ is the loss's spread (standard deviation),
#    the difference of two losses has the spread $\sqrt{2} s$, and the quotient of step 1 has $s / (\sqrt{2} h)$: it *grows* as $h$
#    shrinks. So noise must be frozen: drawn once, and passed in.
# 4. **Lie 2: a cotangent of ones.** Of a function with many results $y_i$ one checks the slopes of $\sum_i g_i y_i$. The numbers
#    $g_i$ are called the *cotangent*. Take the softmax, which makes probabilities, $y_i = e^{x_i} / \sum_k e^{x_k}$. By the
#    quotient rule $\partial y_i / \partial x_k$ is $-y_i y_k$, and $y_k$ more where $i = k$:
# $$\frac{\partial}{\partial x_k} \sum_i g_i y_i = y_k \left( g_k - \sum_i g_i y_i \right)$$
#    If all $g_i$ are 1 this is 0, for $\sum_i y_i$ is always 1: a rule that returns zeros passes. So cotangents must be random.
# 5. **Lie 3: the right derivative of the wrong function.** The check compares a slope with the loss as written, not as meant.
# 6. **Statistics.** Our example is the loss of a VAE (variational autoencoder), derived in lessons 6 and 8. An image is an array
#    $x$ of $D$ pixels, 0 or 1; a *batch* is $B$ of them. Logarithms are natural, and their unit is called *nats*. The *encoder*, a
#    function with weights, turns $x$ into $J$ means $m_j$ and $J$ log-variances (logarithms of variances) $l_j$. Noise $e_j$, from
#    the normal density $N(0, 1)$, makes the *latents* $z_j = m_j + \exp(l_j / 2) e_j$: normal, with the means $m_j$ and the
#    variances $\exp(l_j)$. The *decoder*, with weights too, turns $z$ into $D$ *logits* $a_d$: pixel $d$ is 1 with probability
#    $1 / (1 + \exp(-a_d))$. The loss is the mean over the batch of $R + K$:
# $$R = \sum_{d=1}^{D} [\log(1 + \exp(a_d)) - x_d a_d] \qquad K = \frac{1}{2} \sum_{j=1}^{J} [m_j^2 + \exp(l_j) - l_j - 1]$$
# 7. What do we *mean* by it? $R$, the reconstruction, is $-\log p(x | z)$, with $p(x | z)$ the probability of the image once $z$ is
#    known: a pixel that is 1 with probability $p$ costs $-\log p = \log(1 + \exp(a)) - a$ where it is 1, and
#    $-\log(1 - p) = \log(1 + \exp(a))$ where it is 0. $K$, the KL (Kullback-Leibler) divergence, is the mean over $z$ of
#    $\log q(z) - \log p(z)$, with two normal densities: $q$ has the means and variances of step 6, $p$ has 0 and 1. (These
#    logarithms hold the squares $e_j^2$ and $z_j^2$, whose means are 1 and $m_j^2 + \exp(l_j)$.) With $p(x, z) = p(x | z) p(z)$ the
#    mean of $R + K$ is the mean of $\log q(z) - \log p(x, z)$, called $-$ELBO (evidence lower bound). So draw many $z$ and average
#    these logarithms as they stand: an **oracle**. It shares the encoder and the decoder with the loss, and no formula.
# 8. Let $A_1$ and $A_2$ be averages of independent values. Their *standard errors* $\sigma_1$, $\sigma_2$ are the spread of the
#    values over the root of their number. If both averages estimate the same number, the *score*
#    $(A_1 - A_2) / \sqrt{\sigma_1^2 + \sigma_2^2}$ is about $N(0, 1)$, and hardly ever beyond 6. An error of fewer standard errors
#    can hide from this check, until there are more draws.
# 9. An average does not see everything. If the images of a batch share one noise, the average over draws is still right. So put the
#    same image $B$ times into a batch. If each copy has noise of its own, the mean of the $B$ losses has the spread $s / \sqrt{B}$;
#    if all share one noise, it has $s$.
# %% Settings.  The short form: --fast.  Another seed: --seed 3.  All of them: --help.
import numpy as np
from matplotlib.figure import Figure

import tinyae as ta
from tinyae import course, ops

lesson = course.begin(0)
rng, draws, (B, D, J, LIMIT) = ta.rng(lesson.seed), 40 if lesson.fast else 100, (100, 64, 8, 6)
images = ta.data.load("digits", split="train", binarisation="threshold").take(slice(0, 12), rng).astype(np.float64)

# %% [markdown]
# ## Code
# The loss of step 6 with five places where a line can be exchanged, and eight classic errors; each exchanges one line. The engine,
# `ta` and `ops`, computes and then differentiates what it computed. `lesson.predict` prints a prediction, `lesson.claim` a number
# with limits that must hold, `lesson.number` one that is compared with runs of other seeds.
# %%
RIGHT = {"noise": lambda e: e, "deviation": lambda v: ops.exp(v / 2), "logits": lambda a: a, "R": lambda nats: nats, "K": lambda nats: nats}
ERRORS = {
    "variance_as_deviation": {"deviation": lambda v: ops.exp(v)},
    "kl_mean_over_latents": {"K": lambda nats: nats / J},
    "kl_without_half": {"K": lambda nats: 2 * nats},
    "mean_over_pixels": {"R": lambda nats: nats / D},
    "kl_sign_flipped": {"K": lambda nats: -nats},
    "no_noise": {"noise": lambda e: 0 * e},
    "double_sigmoid": {"logits": lambda a: ops.sigmoid(a)},  # sigmoid(a) is 1 / (1 + exp(-a)): a probability where a logit belongs
    "one_noise_for_all": {"noise": lambda e: e[:1] + 0 * e},
}
LINES = {"right": RIGHT} | {name: RIGHT | ({} if lesson.control else error) for name, error in ERRORS.items()}


class Suspect(ta.models.VAE):
    """A VAE whose loss is written here.  encode(x) gives mean and log-variance, decode(z) the logits."""

    def loss(self, x, noise):
        """Step 6.  x: (B, D), noise: (B, J).  Returns one number, nats per example."""
        q = self.encode(x)
        z = q.mean + self.lines["deviation"](q.log_variance) * self.lines["noise"](noise)
        logits = self.lines["logits"](self.decode(z))
        reconstruction = self.lines["R"]((ops.softplus(logits) - x * logits).sum(axis=-1))  # softplus(a) is log(1 + exp(a))
        kl = self.lines["K"]((q.mean**2 + ops.exp(q.log_variance) - q.log_variance - 1).sum(axis=-1) / 2)
        return (reconstruction + kl).mean()


def suspect(i):
    """Encoder and decoder with 32 tanh (smooth steps from -1 to 1) inside; weights random and large (small ones would hide KL and noise)."""
    model = Suspect(D, J, (32,), activation="tanh", rng=rng.stream("unused")).astype(np.float64)
    for k, w in enumerate(model.parameters()):
        w.assign(1.5 * rng.stream("weights", i, k).normal(w.shape, np.float64) / np.sqrt(w.shape[-1]))
    return model


def oracle(model, x, stream):
    """Step 7.  x: (B, D).  Returns -log p(x | z) and log q(z) - log p(z), each (draws, B); a log_prob is a sum over latents."""
    q, found = model.encode(x), []
    for _ in range(draws):
        z = q.mean.data + np.sqrt(np.exp(q.log_variance.data)) * stream.normal((B, J), np.float64)
        p = 1 / (1 + np.exp(-model.decode(z).data))
        found.append((-np.log(np.where(x == 1, p, 1 - p)).sum(axis=-1), (q.log_prob(z) - model.prior.log_prob(z)).data))
    return np.swapaxes(found, 0, 1)


def slopes_along(model, along, x, noise, other_noise, h=1e-5):
    """Step 1: the slope of the loss along a direction through all weights, from its gradient, and from a difference."""
    gradient, values = ta.grad(model.loss(x, noise), model.parameters()), []
    for step, e in ((h, noise), (-2 * h, other_noise), (h, noise)):  # ahead, behind, and back
        for w, d in zip(model.parameters(), along, strict=True):
            w.data += step * d
        values.append(float(model.loss(x, e).data))
    return sum((g.data * d).sum() for g, d in zip(gradient, along, strict=True)), (values[0] - values[1]) / (2 * h)


# %% [markdown]
# ## Check
# The rule of step 4, against the engine (lesson 1 does its work by hand), against differences, and against a *complex step*:
# $f(x + ih) = f + i h f' + \dots$, so the imaginary part over $h$ is the slope, and nothing is subtracted. Then a wrong rule that
# returns zeros, with a cotangent of ones and with a random one.
# %%
x, cotangent = (rng.stream("softmax", i).normal((4, 6), np.float64) for i in range(2))
softmax = lambda x: ops.exp(x) / ops.exp(x).sum(axis=-1, keepdims=True)  # noqa: E731
lesson.gradients("softmax", softmax, {"x": x}, {"x": softmax(x) * (cotangent - (cotangent * softmax(x)).sum(axis=-1, keepdims=True))}, cotangent)
for name, g, limit in (("ones", np.ones((4, 6)), {"at_most": 1e-8}), ("random", cotangent, {"at_least": 0.05})):
    slopes = np.array([(g * (softmax(x + c) - softmax(x - c))).sum() for c in 1e-5 * np.eye(24).reshape(24, 4, 6)]) / 2e-5
    lesson.claim(f"zeros.error_by_{name}", np.abs(slopes - 0).max(), "largest error", **limit)

# %% [markdown]
# ## Prediction
# All of this is computed from formulas, before any loss is run. Steps 2 and 3 give the best step, and the spread of a quotient with
# fresh noise (which is in $R$ alone). Step 9 gives a spread $\sqrt{B} = 10$ times too large. How much does an error move the loss?
# A KL without its half is $2 K$: too high by $K$. The mean over latents is $K / J$: too low by $(1 - 1/J) K$. The mean over pixels
# is too low by $(1 - 1/D) R$, the flipped sign by $2 K$. The oracle knows $R$ and $K$. Guess: how many of the eight print a *lower*
# loss than the right one? ______ Which one moves it least? ______
# %% Twelve models with random weights, and for each a batch that holds one image 100 times
bench = [(suspect(i), np.repeat(image[None], B, axis=0)) for i, image in enumerate(images)]
truth = [oracle(model, x, rng.stream("oracle", i)) for i, (model, x) in enumerate(bench)]
R, K = map(float, np.mean(truth, axis=(0, 2, 3)))
expected = {"kl_without_half": K, "kl_mean_over_latents": -(1 - 1 / J) * K, "kl_sign_flipped": -2 * K, "mean_over_pixels": -(1 - 1 / D) * R}
for dtype in ("float64", "float32"):
    lesson.predict(f"step.best_{dtype}", np.log10(1.5 * np.finfo(dtype).eps) / 3, "log10 of h")
lesson.predict("fresh_noise.spread", noisy := float(truth[0][0].std() / np.sqrt(B) / (np.sqrt(2) * 1e-5)), "nats")
for name, value in expected.items():
    lesson.predict(f"difference.{name}", value, "nats")
lesson.predict("spread.one_noise_for_all", np.sqrt(B), "of the right one")
lesson.predict("found.by_statistics", 8, "of 8")

# %% [markdown]
# ## Experiment
# First the V of step 2, for $f = \exp$ at 2,000 points. (The code divides by the step really taken, for $x + h$ and $x - h$ are
# rounded too.) Then 400 quotients of step 3, for the derivative by one weight.
# %%
steps, points, curves = np.logspace(-12, 0, 121), rng.stream("points").uniform(2000, dtype=np.float64), {}
for dtype, least, most in (("float64", -5.5, -5), ("float32", -2.6, -2.1)):
    x, errors, eps = points.astype(dtype), [], float(np.finfo(dtype).eps)
    for h in steps.astype(dtype):
        with np.errstate(divide="ignore", invalid="ignore"):  # a step so small that x + h is x: 0 / 0
            errors.append(np.abs((np.exp(x + h) - np.exp(x - h)) / ((x + h) - (x - h)) / np.exp(x) - 1).astype(np.float64).mean())
    curves[dtype], best = (errors, steps**2 / 6 + eps / (2 * steps)), np.nanargmin(errors)
    lesson.claim(f"step.best_{dtype}", np.log10(steps[best]), "log10 of h", at_least=least, at_most=most)
    lesson.claim(f"step.error_{dtype}", errors[best] / curves[dtype][1].min(), "of the least E(h)", at_most=1)
(model, x), e = bench[0], rng.stream("fresh").normal((800, B, J), np.float64)
model.lines, along = RIGHT, [np.zeros(w.shape) for w in model.parameters()[:-1]] + [np.eye(D)[0]]  # the bias of the first logit alone
slopes, quotients = zip(*(slopes_along(model, along, x, *e[i : i + 2]) for i in range(0, 800, 2)), strict=True)
lesson.number("fresh_noise.derivative", np.mean(slopes), "nats")
lesson.claim("fresh_noise.spread", np.std(quotients), "nats", at_least=0.75 * noisy, at_most=1.25 * noisy)

# %% [markdown]
# Now the suspects. An error is *found by differences* if in one of twelve models, along a random direction, gradient and difference
# disagree by more than a millionth of the gradient's length. It is *found by statistics* if in one of the models the score is
# beyond 6, or if the spread (root mean square over the models) is more than twice the $s / \sqrt{B}$ of step 9.
# %%
strength, frozen = {}, rng.stream("frozen").normal((12, J), np.float64)
for name, lines in LINES.items():
    scores, shifts, spreads, errors = [], [], [], []
    for i, ((model, x), (reconstruction, kl)) in enumerate(zip(bench, truth, strict=True)):
        model.lines, elbos, e = lines, reconstruction + kl, rng.stream("loss", name, i).normal((draws, B, J), np.float64)
        with ta.no_grad():
            losses = np.array([float(model.loss(x, noise).data) for noise in e])
        shifts.append(losses.mean() - elbos.mean())
        scores.append(shifts[-1] / np.sqrt(losses.var(ddof=1) / draws + elbos.var() / elbos.size))
        spreads.append(losses.std(ddof=1) / (reconstruction.std() / np.sqrt(B)))
        length = np.sqrt(sum((g.data**2).sum() for g in ta.grad(model.loss(images, frozen), model.parameters())))
        along = [rng.stream("along", i, k).normal(w.shape, np.float64) for k, w in enumerate(model.parameters())]
        errors.append(abs(np.subtract(*slopes_along(model, along, images, frozen, frozen))) / length)
    score, spread, unbiased = np.abs(scores).max(), np.sqrt(np.mean(np.square(spreads))), name in ("right", "one_noise_for_all")
    lesson.claim(f"gradient.{name}", max(errors), "relative error", at_most=1e-6)
    if name in expected:  # the formulas must hold, to within chance
        lesson.claim(f"difference.{name}", np.mean(shifts), "nats", at_least=expected[name] - 0.4, at_most=expected[name] + 0.4, effect=True)
    else:
        lesson.number(f"difference.{name}", np.mean(shifts), "nats")
    lesson.claim(f"score.{name}", score, "standard errors", **({"at_most": LIMIT} if unbiased else {"at_least": LIMIT, "effect": True}))
    if unbiased:
        lesson.number(f"spread.{name}", spread, "of the right one", effect=name != "right")
    strength[name] = max(errors) / 1e-6, max(score / LIMIT, spread / 2)
differences, statistics = (np.array(list(strength.values()))[1:] > 1).sum(axis=0)
lesson.claim("found.by_differences", differences, "of 8", at_most=0)
lesson.claim("found.by_statistics", statistics, "of 8", at_least=8, effect=True)

# %% The library's two checks.  pixels twice: the loss of images with each pixel twice.  sampler: has each image its own z?
for name in ("right", "one_noise_for_all") if lesson.fast else LINES:
    model.lines = LINES[name]
    ta.checks.gradcheck(lambda: model.loss(images, frozen), model)  # raises an error where a gradient is wrong
    failures = ta.checks.semcheck(model, images).failures
    lesson.claim(f"semcheck.{name}", len(failures), "failures", **({"at_most": 0} if name == "right" else {"at_least": 1, "effect": True}))
    print("    fails:", ", ".join(row.check for row in failures) or "nothing")
lesson.microscope(ta.microscope.trace(model.loss, images, frozen))

# %% The figure
figure = Figure(figsize=(9, 4), layout="constrained")
left, right = figure.subplots(1, 2, width_ratios=(1, 1.1))
for dtype, (errors, bound) in curves.items():
    (line,) = left.loglog(steps, errors, label=f"{dtype}, measured")
    left.loglog(steps, bound, "--", color=line.get_color(), linewidth=1, label=f"{dtype}, bound E(h)")
left.set(title="too large a step, too small a step", xlabel="step h", ylabel="mean relative error of the difference", ylim=(1e-16, 10))
for values, mark, label in zip(zip(*strength.values(), strict=True), "os", ("by differences", "by statistics"), strict=True):
    right.semilogx(values, range(9), mark, label=label)
right.axvline(1, color="gray", linewidth=1)
right.set(title="what is right of the line is found", xlabel="error in units of its limit", yticks=range(9), yticklabels=strength, ylim=(9.8, -0.5))
for axes, place in ((left, "lower left"), (right, "lower right")):
    axes.legend(loc=place, fontsize="small")
lesson.figure(figure, "checks.png", alt="Left: errors over the step, two V shapes. Right: differences find no loss, statistics all eight.")
lesson.finish(binarisation="threshold")

# %% [markdown]
# ## What surprised us
# - Five of the eight print a *lower* loss than the right code for every seed, a sixth by chance (`difference.*`): it says nothing.
# - `variance_as_deviation` moves the mean by about one nat of sixty. `one_noise_for_all` does not: only the spread finds it.
# - With fresh noise the quotients of a *right* loss are off by tens of thousands (`fresh_noise.*`), and smaller steps make it
#   worse. `microscope.html` shows, line by line, right slopes of a wrong loss.
# ## Exercises
# 1. **Do.** Write `gradient_error(f, backward, x, cotangent, step)`: a gradient check for any function of an array.
# 2. **Break.** Write `wrong_softmax_rule(gy, y)`: wrong, and yet with a cotangent `gy` of ones nobody tells it from the right rule.
# 3. **Extend.** Write `total_probability(log_likelihood, logits)`: the probabilities of all images must add up to 1.
# ## Conventions
# Loss = -ELBO, in nats per example: summed over pixels and latents, mean over the batch. Noise is an input. Pixels: 1 above 0.5.
# ## References
# Kingma, Welling 2014, Auto-Encoding Variational Bayes. Nocedal, Wright 2006, Numerical Optimization, section 8.1. Squire, Trapp
# 1998, Using Complex Variables to Estimate Derivatives of Real Functions.
