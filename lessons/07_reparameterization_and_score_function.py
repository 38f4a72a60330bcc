# %% [markdown]
# # Lesson 7: Reparameterization against the score function
#
# **Goal.** Two *estimators*, guesses of a gradient from a random draw, have the same mean, the gradient, but one varies more. Say
# beforehand how many times larger its variance is: **138 times** for a sum of ten squares, to 5 percent; then for a VAE (lesson 6).
# ## Picture
#
#     score function: the draw z stays, m moves q           pathwise: the draw z = m + s e moves with m and s
#        .-'-.                                                \         .'
#     .-'     '-.    slope of log q, times f(z)                '.__.--z->    slope of f, times dz/dm
#     ------z----    needs only the VALUE of f                ---------->    needs the SLOPE of f
# ## Derivation
# A random $z$, in a model called *latent*, has the density $q(z)$ of $N(m, e^{l})$, the normal distribution with mean $m$ and
# log-variance $l$; its deviation is $s = e^{l/2}$. ($e$ with a letter in its power is 2.718; any other $e$ is noise.) We want the
# slopes of $L = E_q[f(z)]$, the mean of $f$ over draws from $q$: the integral of $f q$. An estimator is *unbiased* where its own
# mean is what it estimates. To write $z$ as a function of noise, as step 3 does, is the *reparameterization* of the title.
# 1. **Log-derivative trick.** Write the average as an integral. Only $q$ depends on $m$, and $(\log q)' = q' / q$, so:
#    $$\frac{dL}{dm} = \int f \frac{dq}{dm} dz = \int f q \frac{d \log q}{dm} dz = E_q\left[ f(z) \frac{d \log q}{dm} \right]$$
# 2. **The score** is the slope of $\log q = -(\log 2 \pi + l + (z - m)^2 e^{-l}) / 2$, with $z$ held fixed. Only afterwards put in
#    $z = m + s\,e$, where the *noise* $e$ is drawn from $N(0, 1)$:
#    $$\frac{d \log q}{dm} = \frac{z - m}{s^2} = \frac{e}{s} \qquad \frac{d \log q}{dl} = \frac{e^2 - 1}{2}$$
# 3. **Pathwise.** Let the draw move: $L = E_e[f(m + s e)]$, where $e$ does not depend on $m$ and $l$. The chain rule goes through
#    $z$, with $dz/dm = 1$ and $dz/dl = s e / 2$, for an $f$ that has slopes and no jumps:
#    $$\frac{dL}{dm} = E_e[f'(z)] \qquad \frac{dL}{dl} = E_e\left[ f'(z) \frac{s e}{2} \right]$$
# 4. **Baseline.** The score $g$ has mean 0 (step 1 for $f = 1$). So $(f - b) g$ has the mean of $f g$ for any *baseline* $b$ that
#    does not see the draw. Its variance $E[f^2 g^2] - 2 b E[f g^2] + b^2 E[g^2] - (dL/dm)^2$ is least at $b = E[f g^2] / E[g^2]$.
# 5. **An exact case.** $f(z) = (z - c)^2$ with a fixed $c$, and $m - c = r s$. Then $z - c = s (r + e)$, and in $m$ the estimates
#    are $2 s (r + e)$ and $s (r + e)^2 e$. Multiply out: odd powers of $e$ have mean 0, and $e^2, e^4, e^6, e^8$ have 1, 3, 15,
#    105, so $dL/dm = 2 r s$, $dL/dl = s^2$, the best baseline in $m$ is $s^2 (r^2 + 3)$, and one draw has, in $m$ and then in $l$,
#    the variances
#    $$V_m^{\text{path}} = 4 s^2 \quad V_m^{\text{score}} = s^2 (r^4 + 14 r^2 + 15) \quad V_m^{\text{baseline}} = s^2 (8 r^2 + 6)$$
#    $$V_l^{\text{path}} = s^4 (r^2 + 2) \qquad V_l^{\text{score}} = s^4 \left( \frac{r^4}{2} + 15 r^2 + \frac{37}{2} \right)$$
# 6. **J dimensions**, all with the same $r$ and $s$: $f = \sum_j (z_j - c_j)^2$, and the slope is that in one $m_j$. The pathwise
#    estimate does not see the other terms. The score is multiplied by their sum too, which has the mean $(J-1) s^2 (r^2+1)$ and the
#    variance $(J-1) s^4 (4 r^2+2)$. That adds to the variance of the estimate
#    $$2 (J-1) s^2 (r^2+1)(r^2+3) + (J-1)^2 s^2 (r^2+1)^2 + (J-1) s^2 (4 r^2+2)$$
#    The best baseline, $s^2 (r^2 + 3 + (J-1)(r^2+1))$, takes all but the last term away: growth with $J^2$ becomes growth with $J$.
# 7. **A VAE** (variational autoencoder) gives each image $x$ a $q$ (by its *encoder*), and each $z$ a probability $p(x|z)$ (by its
#    *decoder*). It minimises -ELBO: the *reconstruction* $R$, the mean of $f = -\log p(x|z)$, plus the KL divergence to $N(0, 1)$,
#    $(m^2 + s^2 - l - 1)/2$, in *nats* (natural logarithms). Suppose that $f$ varies little beside its size, is a parabola of
#    curvature $h$ in each latent by itself, and that each image has its best $l$. $R = f(m) + h s^2 / 2$ has the slope $h s^2 / 2$
#    in $l$, and the KL has $(s^2 - 1)/2$: they cancel at $h = 1/s^2 - 1$. Then $f'$ has the variance $h^2 s^2 = (1 - s^2)^2 / s^2$,
#    and the score estimate, about $R e / s$, has $R^2 / s^2$. **The ratio is** $(R / (1 - s^2))^2$: no draw is needed.
# 8. **Discrete** $z$ is one of $K$ values, with $p_k = e^{a_k} / \sum_i e^{a_i}$ (the *softmax* of numbers $a$). A small move of
#    $a$ leaves a draw where it is or makes it jump, so step 3 has no slope to use. Step 1 still holds, with
#    $d \log p_z / d a_k = [k = z] - p_k$, where $[k = z]$ is 1 if $k$ is $z$, else 0. With $f_k$ the value of $f$ at $k$, a sum
#    over all values gives the exact gradient: $dL/da_k = p_k (f_k - L)$.

# %% Settings.  The short form: --fast.  Another seed: --seed 3.  All of them: --help.
import numpy as np
from matplotlib.figure import Figure

import tinyae as ta
from tinyae import course, ops

lesson = course.begin(7)
rng, (epochs, toy_draws, draws, images) = ta.rng(lesson.seed), (20, 100_000, 4_000, 12) if lesson.fast else (100, 200_000, 20_000, 30)

# %% [markdown]
# ## Code
# Both estimators take the same four things and use what they need. In a network the score function needs a *surrogate*, a number of
# no meaning whose gradient is the estimator. `detach()` makes z and f constants; else both estimates would reach the encoder.


# %%
def score_function(value, slope, noise, log_variance):
    """Steps 1, 2: estimates of dL/dm and dL/dl, one for each draw.  value = f(z): (N, 1).  noise: (N, J).  Returns two arrays (N, J)."""
    return value * noise / np.exp(log_variance / 2), value * (noise**2 - 1) / 2


def pathwise(value, slope, noise, log_variance):
    """Step 3: the same from the slope of f at z, (N, J)."""
    return slope, slope * noise * np.exp(log_variance / 2) / 2


def toy_variances(r, s, latents):
    """Steps 5 and 6: the exact variances of one draw, in m: pathwise, score function, the same with the best baseline."""
    added = s**2 * (latents - 1) * (2 * (r**2 + 1) * (r**2 + 3) + (latents - 1) * (r**2 + 1) ** 2 + 4 * r**2 + 2)
    return 4 * s**2, s**2 * (r**4 + 14 * r**2 + 15) + added, s**2 * (8 * r**2 + 6 + (latents - 1) * (4 * r**2 + 2))


def predicted(model, x):
    """Step 7: both variances, pathwise and score function, from one decoding without noise.  x: (N, D).  Returns two arrays (N,)."""
    variance, at_mean = np.exp((q := model.encode(x)).log_variance.data), -model.likelihood(model.decode(q.mean)).log_prob(x).data
    reconstruction = at_mean + (1 - variance).sum(axis=-1) / 2  # f(m) and the sum of h s^2 / 2 over the latents
    return ((1 - variance) ** 2 / variance).sum(axis=-1), reconstruction**2 * (1 / variance).sum(axis=-1)


def surrogate(model, x, noise, baseline):
    """Steps 1 and 4: the decoder's gradient as ever, the encoder's through log q alone.  Also returns f, the mean reconstruction."""
    q = model.encode(x)
    z = q.rsample(noise).detach()
    f = -model.likelihood(model.decode(z)).log_prob(x)
    return (f + (f.detach() - baseline) * q.log_prob(z) + ops.kl_standard_normal(q.mean, q.log_variance)).mean(), f.detach().mean()


# %% [markdown]
# ## Check
# Steps 2 and 3 four ways: by hand, by the *engine* (lesson 1), by differences, by a complex step (lesson 0). The *cotangent* (what
# multiplies the result before slopes are taken: here f, for each draw) is random: ones would hide a wrong sum. Then the surrogate:
# at an encoder's last bias its gradient must be the score estimate plus the KL's slopes, $m$ and $(s^2 - 1)/2$.

# %%
m, log_v, e, weight = (rng.stream("check", i).normal((5, 3), np.float64) for i in range(4))
drawn, value, inputs = m + np.exp(log_v / 2) * e, weight[:, :1], {"mean": m, "log_variance": log_v}
scores, paths = score_function(value, None, e, log_v), pathwise(None, 2 * weight * (drawn - 0.3), e, log_v)
lesson.gradients("log_q", lambda *q: ta.distributions.Normal(*q).log_prob(drawn), inputs, dict(zip(inputs, scores, strict=True)), value[:, 0])
lesson.gradients("path", lambda *q: (ops.reparameterize(*q, e) - 0.3) ** 2, inputs, dict(zip(inputs, paths, strict=True)), weight)
start = ta.models.VAE(64, 2, (64,), activation="tanh", rng=rng.stream("weights")).astype(np.float64)
x, e = rng.stream("x").uniform((7, 64)).round().astype(np.float64), rng.stream("e").normal((7, 2), np.float64)
f = -start.likelihood(start.decode((q := start.encode(x)).rsample(e))).log_prob(x).data[:, None]
by_hand = np.add(score_function(f - 20, None, e, q.log_variance.data), (q.mean.data, (np.exp(q.log_variance.data) - 1) / 2))
(by_engine,) = ta.grad(surrogate(start, x, e, 20.0)[0], [start.encoder[-1].bias])
lesson.claim("surrogate.gradient", np.abs(by_engine.data - np.hstack(by_hand).mean(axis=0)).max(), "largest error", at_most=1e-9)

# %% [markdown]
# ## Prediction
# By steps 5 and 6, with $r = 1$ (the mean is one standard deviation off the minimum), the ratio of variances in ten dimensions is
# $(30 + 22 \cdot 9 + 4 \cdot 81) / 4 = 138$; with the best baseline it is 17. In the log-variance, in one dimension, it is
# $34 / 3$. For a trained VAE step 7 predicts each image's ratio. Your guess for a reconstruction of 17 nats: ______
# ## Experiment
# The *toy* is the sum of squares, where everything is known. (A control run puts pathwise in the place of the score function.)

# %% The toy of steps 5 and 6
score_function = pathwise if lesson.control else score_function
r, s, latents, found, off = 1.0, 0.5, (1, 2, 5, 10, 20, 50), {}, []
exact = {J: toy_variances(r, s, J) for J in latents}
toy = {"ratio_10": exact[10][1] / exact[10][0], "baseline_10": exact[10][2] / exact[10][0], "ratio_log_variance": 34 / 3}
[lesson.predict(f"toy.{name}", ratio, "times") for name, ratio in toy.items()]
for J in latents:
    e = rng.stream("toy", J).normal((toy_draws, J), np.float64)
    away, b = r * s + s * e, s**2 * (r**2 + 3 + (J - 1) * (r**2 + 1))  # z - c, and step 4 by formula
    of = np.square(away).sum(axis=1), 2 * away[:, 0], e[:, 0], 2 * np.log(s)
    ways = np.array([pathwise(*of), score_function(*of), score_function(of[0] - b, *of[1:])])  # (3, 2, draws): in m and in l
    off.append(np.abs(ways.mean(axis=-1) - [2 * r * s, s**2]) / ways.std(axis=-1) * np.sqrt(toy_draws))
    found[J] = ways.var(axis=-1)
wrong = np.array([np.abs(found[J][:, 0] / exact[J] - 1) for J in latents]).max(axis=0)
measured = found[10][1, 0] / found[10][0, 0], found[10][2, 0] / found[10][0, 0], found[1][1, 1] / found[1][0, 1]
lesson.claim("toy.means", np.max(off), "standard errors", at_most=5)
lesson.claim("toy.pathwise_variances", wrong[0], "relative error", at_most=0.05)
lesson.claim("toy.score_variances", wrong[1:].max(), "relative error", at_most=0.1, effect=True)
for (name, ratio), value, limit in zip(toy.items(), measured, (1.05, 1.15, 1.15), strict=True):
    lesson.claim(f"toy.{name}", value, "times", at_least=ratio / limit, at_most=ratio * limit, effect=True)

# %% [markdown]
# Now VAEs on the digits (8x8 pixels, 1 where above 0.5), trained with each estimator; first weights, noise and order are the same.
# `vae` is the one trained pathwise, `latents8` the same with 8 latents in place of 2, `start` is not trained. `microscope.html`,
# beside the figure, shows a step by the score function: the encoder's gradient comes from log q, not through z.


# %% Train: the pathwise loss, and the surrogate without and with a baseline
def trained(method, latent=2):
    """A VAE after training with an estimator, and its mean -ELBO on the test images.  Adam: gradient descent, a step size for each weight."""
    with lesson.device():
        model = ta.models.VAE(64, latent, (64,), activation="tanh", rng=rng.stream("weights"))
        adam, baseline = ta.optim.Adam(model.parameters(), lr=2e-3), 0.0
        for epoch in range(epochs):
            noise = rng.stream("noise", epoch)
            for x in train.batches(100, rng=rng.stream("order", epoch)):  # a batch: 100 images that share a step
                e = noise.normal((len(x), latent))
                loss, f = (model.loss(x, noise=e).loss, 0.0) if method == "pathwise" or lesson.control else surrogate(model, x, e, baseline)
                baseline = 0.95 * baseline + 0.05 * f if method == "baseline" else 0.0  # known before the next draw
                adam.zero_grad()
                loss.backward()
                adam.step()
        end = ta.evaluation.terms.evaluate(model, test, rng=rng.stream("test"), draws=10)["negative_elbo"]
    return model.to("numpy").astype(np.float64), end


def variances(model, x, draws):
    """Of each image the variances in the means, summed over latents: pathwise, score, with a baseline; and how far the means differ.  (N, 4)."""
    q, rows = model.encode(x), []
    for i, (m, log_v) in enumerate(zip(q.mean.data, q.log_variance.data, strict=True)):
        z = ta.Tensor(m + np.exp(log_v / 2) * (e := rng.stream("draws", i).normal((draws, len(m)), np.float64)), requires_grad=True)
        f = -model.likelihood(model.decode(z)).log_prob(x[i])
        (slope,), value = (g.data for g in ta.grad(f.sum(), [z])), f.data[:, None]
        b = (value * e**2).mean(axis=0) / (e**2).mean(axis=0)  # step 4, from the draws
        ways = [way(value - c, slope, e, log_v) for way, c in ((pathwise, 0), (score_function, 0), (score_function, b))]
        path, score = np.hstack(ways[0]), np.hstack(ways[2])
        apart = np.abs((score - path).mean(axis=0)) / np.hypot(path.std(axis=0), score.std(axis=0)) * np.sqrt(draws)
        rows.append([*(of_m.var(axis=0).sum() for of_m, _ in ways), apart.max()])
    return np.array(rows)


train, test = (ta.data.load("digits", split=split, binarisation="threshold") for split in ("train", "test"))
runs = {method: trained(method) for method in ("pathwise", "score", "baseline")}
[lesson.number(f"train.{method}", end, "nats per example") for method, (_, end) in runs.items()]
lesson.claim("train.score_costs", runs["score"][1] - runs["pathwise"][1], "nats per example", at_least=0.4, effect=True)
models = {"vae": runs["pathwise"][0], "latents8": trained("pathwise", 8)[0], "start": start}
x = test.take(slice(0, images), rng).astype(np.float64)
lesson.microscope(ta.microscope.trace(lambda x, e: surrogate(models["vae"], x, e, 20.0)[0], x, np.ones((images, 2))))

# %% Variances on one and the same q: many draws for each of the first test images
said, ratios = {name: predicted(models[name], x) for name in ("vae", "latents8")}, {}
[lesson.predict(f"{name}.ratio", np.median(score / path), "times, median") for name, (path, score) in said.items()]
for name, model in models.items():
    measured = variances(model, x, draws if name == "vae" else draws // 4)
    ratios[name] = measured[:, 1] / measured[:, 0]
    lesson.claim(f"{name}.means_agree", measured[:, 3].max(), "standard errors", at_most=5.5)
    lesson.claim(f"{name}.ratio", np.median(ratios[name]), "times, median", at_least=2000 if name == "start" else 150, effect=True)
    lesson.claim(f"{name}.ratio_baseline", np.median(measured[:, 2] / measured[:, 0]), "times, median", at_least=1.5, effect=True)
    if name in said:  # which of its two variances is off?
        path, score = np.median(measured[:, :2] / np.transpose(said[name]), axis=0)
        lesson.claim(f"{name}.path", path, "of the predicted", at_least=1 if name == "latents8" else 0.5, at_most=3)
        lesson.claim(f"{name}.score", score, "of the predicted", at_least=0.95, at_most=1.3, effect=True)

# %% Step 8: z says which of ten mean digits explains a test image.  Each pathwise estimate is 0, the gradient is not
prototypes = np.stack([(train.images[train.labels == k] > 0.5).mean(axis=0).ravel() * 0.98 + 0.01 for k in range(10)])
a, f = rng.stream("logits").normal(10, np.float64), -(x[0] * np.log(prototypes) + (1 - x[0]) * np.log(1 - prototypes)).sum(axis=1)
gradient = (p := np.exp(a) / np.exp(a).sum()) * (f - p @ f)
lesson.gradients("discrete", lambda a: (ops.softmax(a) * f).sum(), {"a": a}, {"a": gradient})
gumbel = -np.log(-np.log(rng.stream("gumbel").uniform((toy_draws, 10), dtype=np.float64)))
z, moved = ((a + step * gradient + gumbel).argmax(axis=1) for step in (0, 1e-10))  # draws from p: where a + Gumbel noise is largest
estimates = f[z, None] * (np.eye(10)[z] - p)
lesson.claim("discrete.pathwise", np.abs((f[moved] - f[z]) / 1e-10).mean(), "slope", at_most=0)
wrong = np.max(np.abs(estimates.mean(axis=0) - gradient) / estimates.std(axis=0)) * np.sqrt(toy_draws)
lesson.claim("discrete.score", wrong, "standard errors", at_most=5)

# %% The figure.  Left: lines are the formulas of step 6, dots are measured.  Right: a dot is an image, step 7 against many draws.
guess, (left, right) = said["vae"][1] / said["vae"][0], (figure := Figure(figsize=(9, 4.2), layout="constrained")).subplots(1, 2)
for way, label, colour in ((1, "score function", "tab:red"), (2, "with the best baseline", "tab:orange")):
    left.plot(latents, [exact[J][way] / exact[J][0] for J in latents], color=colour, label=label)
    left.plot(latents, [found[J][way, 0] / found[J][0, 0] for J in latents], "o", color=colour)
left.set(title="formula (lines) and samples (dots)", xlabel="dimensions J", ylabel="variance / that of pathwise", xscale="log", yscale="log")
right.plot(guess, guess, color="gray", linewidth=1, label="prediction = measurement")
right.plot(guess, ratios["vae"], "o", color="tab:red", markersize=4, label="a test image")
right.set(title="a trained VAE, 2 latents", xlabel="ratio predicted without a draw", ylabel="measured ratio", xscale="log", yscale="log")
[axes.legend(fontsize="small") for axes in (left, right)]
lesson.figure(figure, "variance.png", alt="Ratios of variances, formula and measurement: the same over dimensions, roughly so over test images.")
lesson.finish(binarisation="threshold")

# %% [markdown]
# ## What surprised us
# - In a trained VAE the ratio hardly depends on the number of latents (`vae.ratio`, `latents8.ratio`): f does not grow with them.
#   Before training (`start.ratio`) it is far larger: f is large, with hardly a slope. What a baseline leaves (`ratio_baseline`)
#   grows with the latents.
# - Step 7 predicts the variance of the score function (`vae.score`, `latents8.score`) better than that of pathwise
#   (`latents8.path`): the other latents move its slopes.
# - All the same the score function trains, and loses about one to three nats (`train.score_costs`), not a factor of hundreds: a
#   weight sees sums over batches and many steps, and the decoder's gradient has no score. A moving average of f wins part back.
# ## Exercises
# 1. **Do.** `score_gradients`: steps 1, 2 and 4 for a batch: estimates in mean and log-variance from values, noise, a baseline.
# 2. **Break.** `hard_function`: find a function for which the *pathwise* estimator is ten times noisier than the score function.
# 3. **Extend.** `leave_one_out`: K draws of each image; the baseline of each draw is the mean of the others, no moving average.
# ## Conventions
# Loss = -ELBO, in nats per example: summed over pixels and latent dimensions, mean over the batch. The encoder gives mean and
# log-variance; standard deviation: exp(log_variance / 2). The decoder gives logits. Noise is an input. Pixels: threshold at 0.5.
# ## References
# - R. J. Williams 1992, Simple statistical gradient-following algorithms for connectionist reinforcement learning.
# - S. Mohamed, M. Rosca, M. Figurnov and A. Mnih 2020, Monte Carlo gradient estimation in machine learning.
