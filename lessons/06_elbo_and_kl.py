# %% [markdown]
# # Lesson 6: The ELBO and the KL divergence
#
# **Goal.** A VAE minimises -ELBO, but we want -log p(x). Say where every nat between the two goes:
# the part left unexplained must stay below **0.000001 nats** for each test image.
#
# ## Picture
#
#     0 ----------------- -log p(x) ------------------>|<--- gap --->|   nats
#                                                      |  KL(q || posterior)
#     0 ------------------------ -ELBO ----------------------------->|
#     0 ------------ reconstruction ---------->|<--- KL(q || prior) --->|   (the same -ELBO, cut elsewhere)
#
# q is the encoder's answer q(z | x), the posterior is the true one, p(z | x). Two cuts of one bar, two different KLs.
# The figure `gap.png`, made at the end, shows the bar's gap for real digits.

# %% [markdown]
# ## Derivation
#
# 1. The model is p(x, z) = p(x | z) p(z), with z ~ N(0, I). The likelihood p(x) is the integral of p(x, z) over z.
#    With two latent dimensions a sum over a grid gives it; with twenty nothing does.
# 2. Bayes' rule, p(x) = p(x, z) / p(z | x), holds at every z. Take the logarithm, insert log q - log q, and average
#    over z ~ q:
#
#        log p(x) = E_q[log p(x, z) - log q(z)] + E_q[log q(z) - log p(z | x)]
#                 =            ELBO             +       KL(q || p(z | x))
#
# 3. The ELBO is E_q[log w] with w = p(x, z) / q(z), and E_q[w] = p(x). Jensen's inequality for the concave logarithm
#    says E_q[log w] <= log E_q[w] = log p(x). What it loses, the Jensen gap, is by step 2 exactly KL(q || p(z | x)).
#    It is zero only where q is the posterior.
# 4. Split p(x, z) once more: -ELBO = E_q[-log p(x | z)] + KL(q || p(z)), reconstruction plus KL to the prior.
# 5. For q = N(m, exp(l)) in one dimension, with E_q[(z - m)^2] = exp(l) and E_q[z^2] = m^2 + exp(l):
#
#        E_q[log q] = -(log 2 pi + l + 1) / 2         E_q[log p] = -(log 2 pi + m^2 + exp(l)) / 2
#        KL(q || p(z)) = (m^2 + exp(l) - l - 1) / 2   summed over the latent dimensions
#
# 6. Its derivatives: dKL/dm = m, and dKL/dl = (exp(l) - 1) / 2. Both vanish at the prior, m = l = 0.
# 7. The reconstruction needs a draw from q. Write it z = m + exp(l / 2) e with e ~ N(0, 1). Now z is a function of m
#    and l, with derivatives dz/dm = 1 and dz/dl = e exp(l / 2) / 2.

# %% Settings.  Short form: TINYAE_FAST=1.  Another seed: TINYAE_SEED=3.
import numpy as np
from matplotlib.figure import Figure

import tinyae as ta
from tinyae import course

lesson = course.begin(6)
rng, epochs = ta.rng(lesson.seed), 100 if lesson.fast else 600
PRIOR = ta.distributions.Normal(0.0, 0.0)


# %% [markdown]
# ## Code
# Backward rules by hand: each takes the cotangent of the result, and multiplies it by the derivatives of steps 6 and 7.


# %%
def kl_backward(gy, mean, log_variance):
    """Step 6.  gy: (N,).  Returns the gradients of mean and log_variance, (N, J)."""
    return gy[:, None] * mean, gy[:, None] * (np.exp(log_variance) - 1) / 2


def draw_backward(gz, log_variance, noise):
    """Step 7.  gz: (N, J).  Returns the gradients of mean and log_variance, (N, J)."""
    return gz, gz * noise * np.exp(log_variance / 2) / 2


# %% Steps 1 to 4, on a grid
def make_grid(points=241, limit=6.0):
    """Points (G, 2) of a square grid over the latent plane, and the logarithm of the area of a cell."""
    axis = np.linspace(-limit, limit, points)
    return np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2), 2 * np.log(axis[1] - axis[0])


def log_likelihoods(model, x, z):
    """log p(x | z) of binary images for every image and every z: x (N, D), z (G, 2).  Returns (N, G)."""
    logits = model.decode(z).data
    return x @ logits.T - np.logaddexp(0, logits).sum(axis=-1)


def negative_log_likelihood(log_joint, log_cell):
    """Step 1: -log p(x) from log p(x, z) on a grid, (N, G), by a sum that cannot overflow.  Returns (N,), in nats."""
    largest = log_joint.max(axis=-1)
    return -(largest + log_cell + np.log(np.exp(log_joint - largest[:, None]).sum(axis=-1)))


def account(model, x, z, log_cell):
    """Steps 1 to 4 for images x (N, D): -log p(x), the same from every second grid point, reconstruction, both KLs; each (N,)."""
    q = model.encode(x)
    mean, log_variance = q.mean.data, q.log_variance.data
    log_likelihood, side = log_likelihoods(model, x, z), round(len(z) ** 0.5)
    log_joint = log_likelihood + PRIOR.log_prob(z)
    half = log_joint.reshape(-1, side, side)[:, ::2, ::2].reshape(len(x), -1)
    nll, nll_half = negative_log_likelihood(log_joint, log_cell), negative_log_likelihood(half, log_cell + np.log(4))
    log_posterior = log_joint + nll[:, None]  # step 2: p(z | x) = p(x, z) / p(x)
    log_q = ta.distributions.Normal(mean[:, None], log_variance[:, None]).log_prob(z)
    weight = np.exp(log_q + log_cell)  # q's share of each cell
    gap = (weight * (log_q - log_posterior)).sum(axis=-1)  # step 3: KL(q || p(z | x))
    return nll, nll_half, -(weight * log_likelihood).sum(axis=-1), ta.ops.kl_standard_normal(mean, log_variance), gap


# %% [markdown]
# ## Check
# First: is the code the derivative of the formula? Four gradients, each three more ways: the engine, the engine on the
# twin made of simple operations, and finite differences. The noise is frozen: with fresh noise in each evaluation a
# difference quotient is nonsense. The cotangents are random: ones would hide a transposed or summed axis.


# %% The three-way gradient check
def differences(f, x, step=1e-5):
    """The gradient of the number f(x) by central differences, one entry of x at a time."""
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        change = np.zeros_like(x)
        change[i] = step
        gradient[i] = (f(x + change) - f(x - change)) / (2 * step)
    return gradient


m, s, noise, gz = (rng.stream("gradients", i).normal((5, 3), np.float64) for i in range(4))  # s is the log-variance
gy, kl, draw = rng.stream("cotangent").normal(5, np.float64), ta.ops.kl_standard_normal, ta.ops.reparameterize
for name, f, cotangent, extra, by_hand in (("kl", kl, gy, (), kl_backward(gy, m, s)), ("draw", draw, gz, (noise,), draw_backward(gz, s, noise))):
    ways = {}
    for way, function in (("engine", f), ("twin", f.composed)):
        inputs = [ta.Tensor(m, requires_grad=True), ta.Tensor(s, requires_grad=True)]
        ways[way] = [g.data for g in ta.grad(function(*inputs, *extra), inputs, cotangent)]
    ways["differences"] = differences(lambda ms, f=f, c=cotangent, extra=extra: (c * f(*ms, *extra)).sum(), np.stack([m, s]))
    for way, gradients in ways.items():
        for of, gradient, exact in zip(("mean", "log_variance"), gradients, by_hand, strict=True):
            error = np.abs(gradient - exact).max() / np.abs(exact).max()
            lesson.claim(f"check.{name}_{of}_{way}", error, "relative error", at_most=1e-8 if way == "differences" else 1e-12)

# %% [markdown]
# Second: is the formula the right one? A gradient check cannot know. Samples can: the average of log q - log p over
# the engine's own draws must be the closed KL, here 0.4956 nats. A sampler that takes exp(l), the variance, for the
# standard deviation has perfect gradients of its own and gives 0.7398.


# %% The closed KL against samples
def standard_error(values):
    """Of the mean of independent values."""
    return values.std() / np.sqrt(len(values))


mean, log_variance, draws = np.array([0.7]), np.array([-1.2]), 200_000
q, noise = ta.distributions.Normal(mean, log_variance), rng.stream("samples").normal((draws, 1), np.float64)
closed = ta.ops.kl_standard_normal(mean, log_variance)
lesson.claim("kl.closed", closed, "nats", at_least=0.49555, at_most=0.49565)
for name, z in (("samples", q.rsample(noise)), ("wrong_sampler", mean + np.exp(log_variance) * noise)):
    values = q.log_prob(z) - PRIOR.log_prob(z)
    lesson.number(f"kl.{name}", values.mean(), "nats")
    lesson.number(f"kl.{name}_error", standard_error(values), "nats")
    limit = {"at_most": 5} if name == "samples" else {"at_least": 20}
    lesson.claim(f"check.kl_{name}", abs(values.mean() - closed) / standard_error(values), "standard errors", **limit)

# %% [markdown]
# ## Prediction
# Written before the run. Suppose a posterior has two equal, separate peaks and q sits on one: then q = 2 p(z | x) there,
# and the gap is log 2 = 0.69 nats. Most digits should have one peak, a little bent. So: **the mean gap is below log 2,
# and fewer than one image in three has a larger one.** Write your own guess here: ______ nats.
#
# ## Experiment
# Train on 1,400 digits, pixels above 0.5 set to 1. Then take the 397 test digits, in float64.

# %% Train
train, test = (ta.data.load("digits", split=split, binarisation="threshold") for split in ("train", "test"))
model = ta.models.VAE(features=64, latent=2, hidden=(128,), activation="tanh", rng=rng.stream("weights"))
adam = ta.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(epochs):
    noise = rng.stream("noise", epoch)
    for x in train.batches(100, rng=rng.stream("order", epoch)):
        terms = model.loss(x, rng=noise)
        adam.zero_grad()
        terms.loss.backward()
        adam.step()

# %% Steps 1 to 4: the account of each test image, and of as many training images
model.astype(np.float64)
x, x_train = (data.take(slice(0, 397), rng).astype(np.float64) for data in (test, train))
z, log_cell = make_grid(161 if lesson.fast else 241)
with ta.no_grad():
    parts = [account(model, images[i : i + 25], z, log_cell) for images in (x, x_train) for i in range(0, 397, 25)]
    nll, nll_half, reconstruction, kl, gap = np.concatenate(parts, axis=1)[:, :397]
    train_gap = np.concatenate(parts, axis=1)[-1, 397:]
    q = model.encode(x)
    draws = q.rsample(rng.stream("test").normal((50, 397, 2), np.float64))
    sampled = kl - model.likelihood(model.decode(draws)).log_prob(x).data.mean(axis=0)  # as model.loss does, an image at a time
    from_prior = rng.stream("prior").normal((20_000, 2), np.float64)
    prior_ratio = np.exp(log_likelihoods(model, x, from_prior) + nll[:, None]).mean(axis=0)  # p(x | z) / p(x): 1 on average

# %% What must hold for every seed
difference = sampled - nll - gap
lesson.claim("account.unexplained", np.abs(reconstruction + kl - nll - gap).max(), "nats", at_most=1e-6)
lesson.claim("account.smallest_gap", gap.min(), "nats", at_least=0)
lesson.claim("check.half_grid", np.abs(nll - nll_half).max(), "nats", at_most=1e-3)
lesson.claim("check.prior_draws", abs(prior_ratio.mean() - 1) / standard_error(prior_ratio), "standard errors", at_most=5)
lesson.claim("check.sampled_elbo", abs(difference.mean()) / standard_error(difference), "standard errors", at_most=5)

# %% What depends on the seed
means = {"negative_elbo": sampled, "reconstruction": sampled - kl, "kl": kl, "negative_log_likelihood": nll, "gap": gap}
for name, values in means.items():
    lesson.number(f"test.{name}", values.mean(), "nats per example")
for name in ("negative_elbo", "gap"):
    lesson.number(f"test.{name}_error", standard_error(means[name]), "nats per example")
lesson.number("test.gap_above_log2", (gap > np.log(2)).mean(), "share of images")
lesson.number("train.gap", train_gap.mean(), "nats per example")

# %% The figure.  Left, for the smallest and the largest gap: the ellipses lie at one and two standard deviations of q,
# the contours where a normal density with the posterior's peak would have its own.  Right: all test images.
figure = Figure(figsize=(9, 4.6), layout="constrained")
left, right = figure.subplots(1, 2)
angle, highest = np.linspace(0, 2 * np.pi, 100), (reconstruction + kl).max() + 2
for i, colour, label in ((gap.argmin(), "tab:blue", "smallest"), (gap.argmax(), "tab:orange", "largest")):
    posterior = np.exp(log_likelihoods(model, x[i : i + 1], z)[0] + PRIOR.log_prob(z) + nll[i])
    left.tricontour(*z.T, posterior, levels=posterior.max() * np.exp([-2, -0.5]), colors=colour)
    for radius in (1, 2):
        ellipse = q.mean.data[i] + radius * np.exp(q.log_variance.data[i] / 2) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        left.plot(*ellipse.T, "--", color=colour, label=f"{label} gap, {gap[i]:.2f} nats" if radius == 1 else None)
left.set(title="exact posterior (solid), q (dashed)", xlabel="latent dimension 1", ylabel="latent dimension 2", xlim=(-4, 4), ylim=(-4, 4))
right.plot([0, highest], [0, highest], color="gray", linewidth=1, label="no gap")
right.plot(nll, reconstruction + kl, ".", markersize=4, label="a test image")
right.set(title="the bound lies above the truth", xlabel="exact -log p(x) (nats)", ylabel="-ELBO (nats)")
for axes in (left, right):
    axes.set_aspect("equal")
    axes.legend(loc="upper left", fontsize="small")
lesson.figure(figure, "gap.png", alt="Left: posterior and q of two test digits. Right: -ELBO against -log p(x), all points above the diagonal.")
lesson.finish(binarisation="threshold")

# %% [markdown]
# ## What surprised us
# - **Our prediction was wrong.** The gap of the full form is above log 2. It *grows* while the model trains: after 100
#   epochs (the short form) it is several times smaller. Roughly half of what the decoder learns later is lost in the gap.
# - Two peaks are not the reason. The figure shows the worst image: one peak, nearly normal, but q sits beside it. The
#   encoder has to guess the posterior of an image it never saw; on training images the gap is less than half.
# - The account cannot see a wrong p(x): -log p(x) stands on both sides and cancels. So `half_grid` and `prior_draws`
#   check it on their own.
#
# ## Exercises
# 1. **Do.** Derive KL(N(m, exp(l)) || N(0, s^2)) and its two derivatives. Check them as above; s = 1 must give step 5.
# 2. **Break.** Make exp(log_variance) the standard deviation everywhere: value, rules and twin of `reparameterize` in
#    `tinyae/ops/variational.py`, and `draw_backward` here. Predict which checks still pass, then run `tinyae lesson 6
#    --fast` (after `pip install -e .`: what is installed is what runs). Do the same with the KL without its / 2.
# 3. **Extend.** Keep the decoder. Give each test image a mean and log-variance of its own, start them at the encoder's,
#    and train them with Adam on the sampled -ELBO. Predict how much of the gap is left, then measure it.
#
# ## Conventions
# Loss = -ELBO, in nats per example: summed over pixels and latent dimensions, mean over the batch. The encoder gives
# mean and log-variance, the standard deviation is exp(log_variance / 2). The decoder gives logits. Noise is an input.
# Evaluation uses the mean, or many draws for a bound; generation draws from the prior. Pixels: threshold at 0.5.
