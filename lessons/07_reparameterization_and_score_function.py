# %% [markdown]
# # Lesson 7: Reparameterization against the score function
#
# **Goal.** Two estimators have the same mean, the gradient that we want. Say beforehand how many times larger the variance of one
# is: **138 times** for a sum of ten squares, measured to 5 percent; then the same for a VAE.
#
# ## Picture
#
#     score function: the draw z stays, m moves q           pathwise: the draw z = m + s e moves with m and s
#        .-'-.                                                \         .'
#     .-'     '-.    slope of log q, times f(z)                '.__.--z->    slope of f, times dz/dm
#     ------z----    needs only the VALUE of f                ---------->    needs the SLOPE of f
#
# ## Derivation
# A random $z$ has the density $q(z)$ of $N(m, e^{l})$: mean $m$, log-variance $l$, deviation $s = e^{l/2}$; in a model it is
# called *latent*. We want the slopes of $L = E_q[f(z)]$, the average of $f$ over draws from $q$. An *estimator* is a number
# computed from one draw; it is *unbiased* where its own average is what it estimates.
#
# 1. **Log-derivative trick.** Write the average as an integral. Only $q$ depends on $m$, and $(\log q)' = q' / q$, so:
#    $$\frac{dL}{dm} = \int f \frac{dq}{dm} dz = \int f q \frac{d \log q}{dm} dz = E_q\left[ f(z) \frac{d \log q}{dm} \right]$$
# 2. The slope of $\log q$ is called the *score*. With $z = m + s\,e$, and $e$ the noise, drawn from $N(0, 1)$, the scores are
#    $$\frac{d \log q}{dm} = \frac{z - m}{s^2} = \frac{e}{s} \qquad \frac{d \log q}{dl} = \frac{e^2 - 1}{2}$$
# 3. **Pathwise.** Let the draw move: $L = E_e[f(m + s e)]$; $e$ knows nothing of $m$ and $l$. The chain rule goes through $z$:
#    $$\frac{dL}{dm} = E_e[f'(z)] \qquad \frac{dL}{dl} = E_e\left[ f'(z) \frac{s e}{2} \right]$$
# 4. **Baseline.** The score $g$ has mean 0 (step 1 for $f = 1$). So $(f - b) g$ has the same mean for any $b$ that does not see
#    the draw. Its variance $E[f^2 g^2] - 2 b E[f g^2] + b^2 E[g^2] - (dL/dm)^2$ is least at $b = E[f g^2] / E[g^2]$.
# 5. **An exact case.** $f(z) = (z - c)^2$, $m - c = r s$. As $e^2, e^4, e^6, e^8$ have the means 1, 3, 15, 105, all is known.
#    The means are $dL/dm = 2 r s$ and $dL/dl = s^2$; the variances of one draw, in $m$ and then in $l$:
#    $$V_m^{path} = 4 s^2 \qquad V_m^{score} = s^2 (r^4 + 14 r^2 + 15) \qquad V_m^{baseline} = s^2 (8 r^2 + 6)$$
#    $$V_l^{path} = s^4 (r^2 + 2) \qquad V_l^{score} = s^4 \left( \frac{r^4}{2} + 15 r^2 + \frac{37}{2} \right)$$
# 6. **J dimensions**, $f = \sum_j (z_j - c_j)^2$, the slope in one $m_j$. Pathwise does not see the other $J - 1$ terms; to the
#    score function they are a factor of mean $(J-1) s^2 (r^2+1)$ and variance $(J-1) s^4 (4 r^2+2)$, which adds to its variance
#    $$2 (J-1) s^2 (r^2+1)(r^2+3) + (J-1)^2 s^2 (r^2+1)^2 + (J-1) s^2 (4 r^2+2)$$
#    The best baseline takes all but the last term away: growth with $J^2$ becomes growth with $J$.
# 7. **A VAE** gives each image x its q (the *encoder*) and each z a probability $p(x|z)$ (the *decoder*). It minimises
#    -ELBO, the mean $R$ of $f = -\log p(x|z)$, *reconstruction*, plus the KL divergence to N(0, 1), $(m^2 + s^2 - l - 1)/2$,
#    all in *nats* (natural logarithms). Take f for a parabola of curvature $h$. Its slope in $l$ is $h s^2 / 2$, that of the KL
#    $(s^2 - 1)/2$: balance at $h = 1/s^2 - 1$. Pathwise then has the variance $h^2 s^2 = (1 - s^2)^2 / s^2$, the score function
#    about $R^2 / s^2$, and $R$ is $f(m) + h s^2 / 2$. **The ratio is** $(R / (1 - s^2))^2$: no draw is needed.
# 8. **Discrete** $z$, one of $K$ values with $p = softmax(a)$: $z$ jumps, so step 3 has no slope to use. Step 1 still holds, with
#    $d \log p_z / d a_k = [k = z] - p_k$, and a sum over all values gives the exact gradient: $dL/da_k = p_k (f_k - L)$.

# %% Settings.  The short form: --fast.  Another seed: --seed 3.  All of them: --help.
import numpy as np
from matplotlib.figure import Figure

import tinyae as ta
from tinyae import course, ops

lesson = course.begin(7)
rng, (epochs, toy_draws, draws, images) = ta.rng(lesson.seed), (20, 100_000, 4_000, 12) if lesson.fast else (100, 200_000, 20_000, 30)

# %% [markdown]
# ## Code
# Both estimators take the same four things and use what they need.


# %%
def score_function(value, slope, noise, log_variance):
    """Steps 1, 2: estimates of dL/dm and dL/dl, one for each draw.  value = f(z): (N, 1).  noise: (N, J).  Returns two arrays (N, J)."""
    return value * noise / np.exp(log_variance / 2), value * (noise**2 - 1) / 2


def pathwise(value, slope, noise, log_variance):
    """Step 3: the same from the slope of f at z, (N, J)."""
    return slope, slope * noise * np.exp(log_variance / 2) / 2


def toy_variances(r, s, latents):
    """Steps 5 and 6: the exact variances of one draw, in m: pathwise, score function, the same with the best baseline."""
    others = latents - 1
    added = s**2 * others * (2 * (r**2 + 1) * (r**2 + 3) + others * (r**2 + 1) ** 2 + 4 * r**2 + 2)
    return 4 * s**2, s**2 * (r**4 + 14 * r**2 + 15) + added, s**2 * (8 * r**2 + 6 + others * (4 * r**2 + 2))


def predicted_ratio(model, x):
    """Step 7: from the encoder's answer and one decoding without noise, an image at a time.  x: (N, D).  Returns (N,)."""
    q = model.encode(x)
    variance, at_mean = np.exp(q.log_variance.data), -model.likelihood(model.decode(q.mean)).log_prob(x).data
    reconstruction = at_mean + (1 - variance).sum(axis=-1) / 2  # and both variances of step 7 are summed over the latents:
    return reconstruction**2 * (1 / variance).sum(axis=-1) / ((1 - variance) ** 2 / variance).sum(axis=-1)


# %% [markdown]
# ## Check
# Steps 2 and 3 four ways: by hand, by the engine, by differences, by a complex step. What multiplies the result (its *cotangent*:
# here the values f, one for each draw) is random: ones would hide a wrong sum.

# %%
m, log_v, e, weight = (rng.stream("check", i).normal((5, 3), np.float64) for i in range(4))
drawn, value, inputs = m + np.exp(log_v / 2) * e, weight[:, :1], {"mean": m, "log_variance": log_v}
scores, paths = score_function(value, None, e, log_v), pathwise(None, 2 * weight * (drawn - 0.3), e, log_v)
lesson.gradients("log_q", lambda *q: ta.distributions.Normal(*q).log_prob(drawn), inputs, dict(zip(inputs, scores, strict=True)), value[:, 0])
lesson.gradients("path", lambda *q: (ops.reparameterize(*q, e) - 0.3) ** 2, inputs, dict(zip(inputs, paths, strict=True)), weight)

# %% [markdown]
# ## Prediction
# By steps 5 and 6, with $r = 1$ (the mean is one standard deviation off the minimum): the ratio of variances in ten dimensions is
# $(30 + 22 \cdot 9 + 4 \cdot 81) / 4 = 138$; the best baseline leaves 17. In the log-variance, in one dimension, it is $34 / 3$.
# For a VAE step 7 predicts each image's ratio, once it is trained. Your guess for a reconstruction of 17 nats: ______
#
# ## Experiment
# First the sum of squares, where everything is known. (A control run puts pathwise in the place of the score function.)

# %% The toy of steps 5 and 6
score_function = pathwise if lesson.control else score_function
r, s, latents = 1.0, 0.5, (1, 2, 5, 10, 20, 50)
exact = {J: toy_variances(r, s, J) for J in latents}
toy = {"ratio_10": exact[10][1] / exact[10][0], "baseline_10": exact[10][2] / exact[10][0], "ratio_log_variance": 34 / 3}
for name, ratio in toy.items():
    lesson.predict(f"toy.{name}", ratio, "times")
found, off = {}, []
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
for (name, ratio), value in zip(toy.items(), measured, strict=True):
    limit = 1.05 if name == "ratio_10" else 1.15
    lesson.claim(f"toy.{name}", value, "times", at_least=ratio / limit, at_most=ratio * limit, effect=True)

# %% [markdown]
# Now VAEs on the digits (8x8 pixels, above 0.5 set to 1), trained with each estimator: same first weights, noise, order. The
# score function needs a *surrogate*, a number of no meaning whose gradient is the estimator: `detach()` makes z and f constants.
# `microscope.html`, beside the figure, shows such a step line by line: the encoder's gradient comes from log q, not through z.

# %% Train: the pathwise loss, and the surrogate without and with a baseline
train, test = (ta.data.load("digits", split=split, binarisation="threshold") for split in ("train", "test"))


def surrogate(model, x, noise, baseline):
    """Steps 1 and 4: the decoder's gradient as ever, the encoder's through log q alone.  Also returns f, the mean reconstruction."""
    q = model.encode(x)
    z = q.rsample(noise).detach()
    f = -model.likelihood(model.decode(z)).log_prob(x)
    return (f + (f.detach() - baseline) * q.log_prob(z) + ops.kl_standard_normal(q.mean, q.log_variance)).mean(), f.detach().mean()


def trained(method, latent=2):
    """A VAE after training with an estimator, and its mean -ELBO on the test images."""
    with lesson.device():
        model = ta.models.VAE(64, latent, (64,), activation="tanh", rng=rng.stream("weights"))
        adam, baseline = ta.optim.Adam(model.parameters(), lr=2e-3), 0.0
        for epoch in range(epochs):
            noise = rng.stream("noise", epoch)
            for x in train.batches(100, rng=rng.stream("order", epoch)):  # a batch: 100 images that share a step
                if method == "pathwise" or lesson.control:
                    loss = model.loss(x, rng=noise).loss
                else:
                    loss, f = surrogate(model, x, noise.normal((len(x), latent)), baseline)
                    baseline = 0.95 * baseline + 0.05 * f if method == "baseline" else 0.0  # known before the next draw
                adam.zero_grad()
                loss.backward()
                adam.step()
        end = ta.evaluation.terms.evaluate(model, test, rng=rng.stream("test"), draws=10)["negative_elbo"]
    return model.to("numpy").astype(np.float64), end


runs = {method: trained(method) for method in ("pathwise", "score", "baseline")}
for method, (_, end) in runs.items():
    lesson.number(f"train.{method}", end, "nats per example")
lesson.claim("train.score_costs", runs["score"][1] - runs["pathwise"][1], "nats per example", at_least=0.2, effect=True)
models = {"vae": runs["pathwise"][0], "latents8": trained("pathwise", 8)[0]}
models["start"] = ta.models.VAE(64, 2, (64,), activation="tanh", rng=rng.stream("weights")).astype(np.float64)
x = test.take(slice(0, images), rng).astype(np.float64)
lesson.microscope(ta.microscope.trace(lambda x, e: surrogate(models["vae"], x, e, 20.0)[0], x, np.ones((images, 2))))


# %% Variances on one and the same q: many draws for each of the first test images
def variances(model, x, draws):
    """For each image the variance in the means, summed over latents: pathwise, score, score with baseline, (N, 3); and the worst mean, in errors."""
    q, rows, worst = model.encode(x), [], 0.0
    for i, (m, log_v) in enumerate(zip(q.mean.data, q.log_variance.data, strict=True)):
        e = rng.stream("draws", i).normal((draws, len(m)), np.float64)
        z = ta.Tensor(m + np.exp(log_v / 2) * e, requires_grad=True)
        f = -model.likelihood(model.decode(z)).log_prob(x[i])
        (slope,), value = (g.data for g in ta.grad(f.sum(), [z])), f.data[:, None]
        b = (value * e**2).mean(axis=0) / (e**2).mean(axis=0)  # step 4
        ways = [way(value - c, slope, e, log_v) for way, c in ((pathwise, 0), (score_function, 0), (score_function, b))]
        rows.append([of_m.var(axis=0).sum() for of_m, _ in ways])
        path, score = (np.concatenate(way, axis=1) for way in ways[:2])
        worst = max(worst, np.abs((score - path).mean(axis=0) / np.hypot(path.std(axis=0), score.std(axis=0)) * np.sqrt(draws)).max())
    return np.array(rows), worst


predicted, ratios = {name: predicted_ratio(models[name], x) for name in ("vae", "latents8")}, {}
for name, values in predicted.items():
    lesson.predict(f"{name}.ratio", np.median(values), "times, median")
for name, model in models.items():
    measured, worst = variances(model, x, draws if name == "vae" else draws // 4)
    ratios[name] = measured[:, 1] / measured[:, 0]
    lesson.claim(f"{name}.means_agree", worst, "standard errors", at_most=5.5)
    lesson.claim(f"{name}.ratio", np.median(ratios[name]), "times, median", at_least=2000 if name == "start" else 50, effect=True)
    lesson.claim(f"{name}.ratio_baseline", np.median(measured[:, 2] / measured[:, 0]), "times, median", at_least=1.5, effect=True)
lesson.claim("vae.off_by", np.exp(np.median(np.abs(np.log(ratios["vae"] / predicted["vae"])))), "factor, median", at_most=2, effect=True)

# %% Step 8: z says which of ten mean digits explains a test image.  Only the score function is left
prototypes = np.stack([(train.images[train.labels == k] > 0.5).mean(axis=0).ravel() * 0.98 + 0.01 for k in range(10)])
a, f = rng.stream("logits").normal(10, np.float64), -(x[0] * np.log(prototypes) + (1 - x[0]) * np.log(1 - prototypes)).sum(axis=1)
p = np.exp(a) / np.exp(a).sum()
gradient = p * (f - p @ f)
lesson.gradients("discrete", lambda a: (ops.softmax(a) * f).sum(), {"a": a}, {"a": gradient})
gumbel = -np.log(-np.log(rng.stream("gumbel").uniform((toy_draws, 10), dtype=np.float64)))
z = (a + gumbel).argmax(axis=1)  # a draw from p as a function of noise, but a step function of a
moved = (a + 1e-10 * gradient + gumbel).argmax(axis=1)  # the same draw, a little further on
estimates = f[z, None] * (np.eye(10)[z] - p)
lesson.claim("discrete.pathwise", np.abs((f[moved] - f[z]) / 1e-10).mean(), "nats", at_most=0)
wrong = np.abs(estimates.mean(axis=0) - gradient) / estimates.std(axis=0) * np.sqrt(toy_draws)
lesson.claim("discrete.score", wrong.max(), "standard errors", at_most=5)

# %% The figure.  Left: lines are the formulas of step 6, dots are measured.  Right: a dot is an image, step 7 against many draws.
left, right = (figure := Figure(figsize=(9, 4.2), layout="constrained")).subplots(1, 2)
for way, label, colour in ((1, "score function", "tab:red"), (2, "with the best baseline", "tab:orange")):
    left.plot(latents, [exact[J][way] / exact[J][0] for J in latents], color=colour, label=label)
    left.plot(latents, [found[J][way, 0] / found[J][0, 0] for J in latents], "o", color=colour)
left.set(title="formula (lines) and samples (dots)", xlabel="dimensions J", ylabel="variance / that of pathwise", xscale="log", yscale="log")
right.plot(predicted["vae"], predicted["vae"], color="gray", linewidth=1, label="prediction = measurement")
right.plot(predicted["vae"], ratios["vae"], "o", color="tab:red", markersize=4, label="a test image")
right.set(title="a trained VAE, 2 latents", xlabel="ratio predicted without a draw", ylabel="measured ratio", xscale="log", yscale="log")
[axes.legend(fontsize="small") for axes in (left, right)]
lesson.figure(figure, "variance.png", alt="Ratios of variances, formula and measurement: the same over dimensions, roughly so over test images.")
lesson.finish(binarisation="threshold")

# %% [markdown]
# ## What surprised us
# - A trained VAE's ratio hardly depends on the number of latents (`vae.ratio`, `latents8.ratio`): hundreds, roughly the square of
#   the reconstruction in nats. In the toy f grows with J, here it does not. What a baseline leaves (`ratio_baseline`) grows.
# - Before training (`start.ratio`) it is far worse: f is at its largest, and hardly has a slope: the pathwise estimator is quiet.
# - All the same the score function trains, and loses a nat or more (`train.score_costs`), not a factor of hundreds: a weight sees
#   sums over batches and many steps, and the decoder's gradient has no score in it. A moving average of f takes part of it back.
#
# ## Exercises
# 1. **Do.** `score_gradients`: steps 1, 2 and 4 for a batch: estimates in mean and log-variance from values, noise, a baseline.
# 2. **Break.** `hard_function`: find a function for which the *pathwise* estimator is ten times noisier than the score function.
# 3. **Extend.** `leave_one_out`: K draws of each image; the baseline of each draw is the mean of the others, no moving average.
#
# ## Conventions
# Loss = -ELBO, in nats per example: summed over pixels and latent dimensions, mean over the batch. The encoder gives mean and
# log-variance; standard deviation: exp(log_variance / 2). The decoder gives logits. Noise is an input. Pixels: threshold at 0.5.
#
# ## References
# - R. J. Williams, 1992, Simple statistical gradient-following algorithms for connectionist reinforcement learning.
# - S. Mohamed, M. Rosca, M. Figurnov and A. Mnih, 2020, Monte Carlo gradient estimation in machine learning.
