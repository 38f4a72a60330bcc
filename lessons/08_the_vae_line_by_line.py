# %% [markdown]
# # Lesson 8: The VAE, line by line
#
# **Goal.** Write every line of one training step of a VAE forward and backward, with NumPy alone: each gradient must agree
# with the engine's to **0.000000000001** (1e-12, relative). Then use one of the lines to predict what training must end in.
#
# ## Picture
#
#     x --1--> h --2--> mean ----------+--4--> z --5--> k --6--> logits --7--> reconstruction --+
#                 --3--> log_variance -+                                                        9--> loss
#                          |  e (noise)          mean, log_variance ----------8--> kl ----------+
#
# Forward goes to the right, the numbers are those of the lines below. Backward goes to the left, and where an arrow forks
# on the way forward, two gradients meet on the way back: at mean and log_variance, one from each term of the loss.

# %% [markdown]
# ## Derivation
# N images in a batch; g_y is the derivative of the loss in y, an array of y's shape. Each line below turns g of its left
# side into g of its right side, by the chain rule alone.
#
# 1. h = tanh(x W1' + b1). With t = x W1' + b1: g_t = g_h (1 - h h), then g_W1 = g_t' x and g_b1 = the sum of g_t's rows.
# 2. mean = h Wm' + bm: g_Wm = g_mean' h, g_bm = sum of rows, and to h goes g_mean Wm.
# 3. log_variance = h Wl' + bl: the same with g_log_variance. What arrives at h is the sum of 2 and 3.
# 4. z = mean + exp(log_variance / 2) e: mean gets g_z, log_variance gets g_z e exp(log_variance / 2) / 2. The noise e is
#    an input like x. It has a derivative too, but nobody asks for it.
# 5. k = tanh(z W3' + b3): as line 1.
# 6. logits = k W4' + b4: as line 2.
# 7. reconstruction = mean over images of sum over pixels of log(1 + exp(logits)) - x logits: g_logits = (sigmoid(logits) - x) / N.
# 8. kl = mean over images of sum of (mean^2 + exp(log_variance) - log_variance - 1) / 2: mean gets mean / N,
#    log_variance gets (exp(log_variance) - 1) / 2N.
# 9. loss = reconstruction + kl: each gets 1. So everything above has two parts that add up.
#
# Now look at line 2 once more, and at what its gradients know (Euler, for a line that is linear in its weights):
#
# 10. sum(Wm g_Wm) + sum(bm g_bm) = sum over images of mean g_mean, because mean is Wm h + bm.
# 11. Where training ends, g_Wm and g_bm are 0. Then the sum over images of mean g_mean is 0 as well, and by lines 4 and 8
#     g_mean is g_z + mean / N. So **the pull of the reconstruction balances the pull of the KL**:
#
#        balance(mean) = - sum(mean g_z) / sum(mean^2 / N) = 1
#
#     and for the other half  - sum(log_variance g_z e exp(log_variance / 2) / 2) / sum(log_variance (exp(log_variance) - 1) / 2N) = 1.

# %% Settings.  Short form: TINYAE_FAST=1.  Another seed: TINYAE_SEED=3.
import numpy as np
from matplotlib.figure import Figure

import tinyae as ta
from tinyae import course

lesson = course.begin(8)
rng, epochs = ta.rng(lesson.seed), 40 if lesson.fast else 300


# %% [markdown]
# ## Code
# The numbers are those of the derivation. `w` holds the weights by the names of the picture.


# %%
def forward(w, x, e):
    """Lines 1 to 9.  x: (N, D) of zeros and ones, e: (N, J).  Returns every value by name."""
    h = np.tanh(x @ w["W1"].T + w["b1"])  # 1
    mean = h @ w["Wm"].T + w["bm"]  # 2
    log_variance = h @ w["Wl"].T + w["bl"]  # 3
    z = mean + np.exp(log_variance / 2) * e  # 4
    k = np.tanh(z @ w["W3"].T + w["b3"])  # 5
    logits = k @ w["W4"].T + w["b4"]  # 6
    reconstruction = (np.logaddexp(0, logits) - x * logits).sum(axis=1).mean()  # 7
    kl = (mean**2 + np.exp(log_variance) - log_variance - 1).sum(axis=1).mean() / 2  # 8
    loss = reconstruction + kl  # 9
    return {name: value for name, value in locals().items() if name not in ("w", "x", "e")}


def backward(w, x, e, v, g_reconstruction=1.0, g_kl=1.0):
    """The same lines from the last to the first.  v: what `forward` returned.  Returns every gradient by name."""
    n, h, k, mean, log_variance = len(x), v["h"], v["k"], v["mean"], v["log_variance"]
    g_mean = g_kl * mean / n  # 8
    g_log_variance = g_kl * (np.exp(log_variance) - 1) / 2 / n  # 8
    g_logits = g_reconstruction * (1 / (1 + np.exp(-v["logits"])) - x) / n  # 7
    g_W4, g_b4, g_k = g_logits.T @ k, g_logits.sum(axis=0), g_logits @ w["W4"]  # 6
    g_u = g_k * (1 - k * k)  # 5
    g_W3, g_b3, g_z = g_u.T @ v["z"], g_u.sum(axis=0), g_u @ w["W3"]  # 5
    g_mean = g_mean + g_z  # 4, beside what came from 8
    g_log_variance = g_log_variance + g_z * e * np.exp(log_variance / 2) / 2  # 4
    g_Wl, g_bl, g_h = g_log_variance.T @ h, g_log_variance.sum(axis=0), g_log_variance @ w["Wl"]  # 3
    g_Wm, g_bm, g_h = g_mean.T @ h, g_mean.sum(axis=0), g_h + g_mean @ w["Wm"]  # 2, beside what came from 3
    g_t = g_h * (1 - h * h)  # 1
    g_W1, g_b1 = g_t.T @ x, g_t.sum(axis=0)  # 1
    return {name[2:]: value for name, value in locals().items() if name[:2] == "g_"}


def weights_of(model):
    """The weights of a tinyae VAE by the names of the picture, in float64: the last layer of its encoder gives both halves."""
    (W1, b1, Wh, bh), (W3, b3, W4, b4) = ([p.numpy().astype(np.float64) for p in part.parameters()] for part in (model.encoder, model.decoder))
    j = model.latent
    return {"W1": W1, "b1": b1, "Wm": Wh[:j], "bm": bh[:j], "Wl": Wh[j:], "bl": bh[j:], "W3": W3, "b3": b3, "W4": W4, "b4": b4}


# %% [markdown]
# ## Check
# The microscope records the engine's own pass. It knows every value by the name that the code gives it, its gradient, the
# part of each term of the loss, and can move any value a little and run the rest again (finite differences, same noise).


# %% Against the engine, value by value
def largest_error(ours, theirs):
    """The largest difference of two arrays, relative to the largest entry."""
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


model = ta.models.VAE(features=64, latent=2, hidden=(64,), activation="tanh", rng=rng.stream("weights")).astype(np.float64)
train = ta.data.load("digits", split="train", binarisation="threshold")
x, e = train.take(slice(0, 50), rng).astype(np.float64), rng.stream("noise").normal((50, 2), np.float64)
trace, w = ta.microscope.trace(model.loss, x, noise=e), weights_of(model)
lines = {line.name: line for line in trace.lines if line.name}
values = forward(w, x, e)
ways = {"total": (1.0, 1.0), "reconstruction": (1.0, 0.0), "kl": (0.0, 1.0)}
gradients = {way: backward(w, x, e, values, *starts) for way, starts in ways.items()}
names = "mean", "log_variance", "z", "logits"
for name in names:
    lesson.claim(f"value.{name}", largest_error(values[name], lines[name].value.data), "relative error", at_most=1e-12)
for name in names:
    lesson.claim(f"gradient.{name}", largest_error(gradients["total"][name], lines[name].cotangent), "relative error", at_most=1e-12)
    for way, part in lines[name].by_term.items():
        lesson.claim(f"{way}.{name}", largest_error(gradients[way][name], part), "relative error", at_most=1e-12)
    lesson.claim(f"differences.{name}", trace.check(lines[name]).error, "relative error", at_most=1e-6)

# %% Against the engine, weight by weight; and line 10, which holds for any weights
slopes = {name: p.grad for name, p in model.named_parameters()}
encoder, decoder = ([slopes[f"{part}.{i}.{kind}"] for i in (0, 2) for kind in ("weight", "bias")] for part in ("encoder", "decoder"))
ours = gradients["total"]
pairs = zip(encoder, [ours["W1"], ours["b1"], np.concatenate([ours["Wm"], ours["Wl"]]), np.concatenate([ours["bm"], ours["bl"]])], strict=True)
pairs = [*pairs, *zip(decoder, [ours[name] for name in ("W3", "b3", "W4", "b4")], strict=True)]
lesson.claim("gradient.weights", max(largest_error(by_hand, theirs) for theirs, by_hand in pairs), "relative error", at_most=1e-12)
by_weights, by_images = (w["Wm"] * ours["Wm"]).sum() + (w["bm"] * ours["bm"]).sum(), (values["mean"] * ours["mean"]).sum()
lesson.claim("check.line_10", abs(by_weights - by_images) / np.abs(values["mean"] * ours["mean"]).sum(), "relative error", at_most=1e-12)
lesson.claim("check.blamed", 0.0 if trace.blame() is None else 1.0, "wrong rules", at_most=0)

# %% [markdown]
# ## Prediction
# Written before the run. At the start the weights are random and neither term knows of the other: the balances may have any
# sign and size. By line 11 both must end at 1, whatever the data, as far as training with noisy steps comes to an end:
# **between 0.9 and 1.1.** Does each single image balance too? Line 11 does not say so. Your guess of the correlation
# between the two pulls over images: ______
#
# ## Experiment
# All 1,400 training digits, many draws of the noise averaged, with the code above; the training is the engine's.


# %%
def pulls(model, draws=60):
    """(balance of the mean, of the log-variance, the pulls of reconstruction and KL on each mean): averages over draws."""
    x, w, rows = train.take(slice(0, len(train)), rng).astype(np.float64), weights_of(model), []
    for draw in range(draws):
        e = rng.stream("pulls", draw).normal((len(x), 2), np.float64)
        v = forward(w, x, e)
        rows.append((backward(w, x, e, v, 1.0, 0.0), backward(w, x, e, v, 0.0, 1.0)))
    found = []
    for name in ("mean", "log_variance"):
        away, back = (np.mean([row[side][name] for row in rows], axis=0) for side in (0, 1))
        found.append((-(v[name] * away).sum() / (v[name] * back).sum(), away, back))
    return found[0][0], found[1][0], -found[0][1] * len(x), found[0][2] * len(x)


start = pulls(model)
adam, curve = ta.optim.Adam(model.parameters(), lr=2e-3), [start[:2]]
for epoch in range(epochs):
    noise, adam.lr = rng.stream("training", epoch), 2e-3 * (1 - epoch / epochs)  # ever smaller steps: training comes to an end
    for batch in train.batches(100, rng=rng.stream("order", epoch)):
        terms = model.loss(batch, rng=noise)
        adam.zero_grad()
        terms.loss.backward()
        adam.step()
    if epoch in (0, 1, 3, 7, 15, 31, 63, 127, 255):
        curve.append(pulls(model, draws=20)[:2])
end = pulls(model)
for name, (mean_balance, variance_balance, away, back) in (("start", start), ("end", end)):
    lesson.number(f"{name}.balance_mean", mean_balance, "1 is balance")
    lesson.number(f"{name}.balance_log_variance", variance_balance, "1 is balance")
    lesson.number(f"{name}.correlation", np.corrcoef(away.ravel(), back.ravel())[0, 1], "over images")
lesson.claim("check.balance", end[0], "1 is balance", at_least=0.9, at_most=1.1)

# %% How much of a gradient is noise: the engine's pass again, with fresh noise in each
trace = ta.microscope.trace(model.loss, x, noise=e)
spread = ta.microscope.redraw(trace, draws=200, seed=lesson.seed)
for name in ("z", "mean", "log_variance"):
    average, deviation = spread[next(line.number for line in trace.lines if line.name == name)]
    lesson.number(f"noise.{name}", np.linalg.norm(deviation) / np.linalg.norm(average), "spread / mean")

# %% The figure
figure = Figure(figsize=(9, 4.2), layout="constrained")
left, right = figure.subplots(1, 2)
seen = [0, *(n + 1 for n in (0, 1, 3, 7, 15, 31, 63, 127, 255) if n < epochs)]
for values, label in zip(zip(*curve, strict=True), ("mean", "log-variance"), strict=True):
    left.plot(seen, values, "o-", markersize=4, label=label)
left.axhline(1, color="gray", linewidth=1)
left.set_xscale("symlog", linthresh=1)
left.set(xlim=(-0.2, epochs), title="the two pulls come into balance", xlabel="epoch", ylabel="pull of reconstruction / pull of KL", ylim=(-1, 3))
left.legend()
right.plot(end[3].ravel(), end[2].ravel(), ".", markersize=3)
limit = np.abs(end[3]).max()
right.plot([-limit, limit], [-limit, limit], color="gray", linewidth=1)
right.set(title="but not image by image", xlabel="pull of the KL on a mean (nats)", ylabel="pull of the reconstruction (nats)")
alt = "Left: both balances come to 1 over the epochs. Right: the pulls on single means scatter around the diagonal."
lesson.figure(figure, "pulls.png", alt=alt)
lesson.finish(binarisation="threshold")

# %% [markdown]
# ## What surprised us
# - The balance of the mean is near 1 after a handful of epochs, long before the loss stops falling (see `pulls.png`): the last
#   layer of the encoder learns fast, the rest of training goes on in balance.
# - A single image is not in balance, and *less* so at the end of the full form than of the short one: the sum over images is
#   what the weights can see. An encoder with weights for each image alone would balance each (lesson 6, exercise 3).
# - One draw of the noise gives a gradient that is mostly noise: its spread is larger than its mean, several times larger for
#   the log-variance. Training works because steps are many, not because gradients are exact.
#
# ## Exercises
# 1. **Do.** Add a second hidden layer to `forward` and `backward`. Which lines change? Check it against the engine as above.
# 2. **Break.** Leave out `+ g_z` in the line "4, beside what came from 8". Predict which checks fail and which do not, then run
#    it. Then break a rule of the engine, `reparameterize` in `tinyae/ops/variational.py`, and let `trace.blame()` find it.
# 3. **Extend.** Derive line 11 for a KL with weight beta, predict both balances for beta = 4, and measure them
#    (`model.objective = ta.models.ELBO(beta=4)`).
#
# To step through such a pass line by line: `tinyae microscope vae`, or `--html page.html` for a page.
#
# ## Conventions
# Loss = -ELBO, in nats per example: summed over pixels and latent dimensions, mean over the batch. The encoder gives mean and
# log-variance, the standard deviation is exp(log_variance / 2). The decoder gives logits. Noise is an input. Evaluation uses
# the mean, or many draws for a bound; generation draws from the prior. Pixels: threshold at 0.5.
