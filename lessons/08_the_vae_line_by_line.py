# %% [markdown]
# # Lesson 8: The VAE, line by line
#
# **Goal.** Write every line of one training step of a VAE forward and backward, with NumPy alone: each gradient must agree with
# the engine's to **0.000000000001** (1e-12, relative). Then use one of the lines to predict what training must end in.
#
# A *VAE* (variational autoencoder, lesson 6) has two networks. The *encoder* turns an image $x$ into the mean and the log-variance
# of a normal distribution $q$ over a few hidden numbers $z$, the *latent* variables. The *decoder* turns a draw $z$ into *logits*
# $a$: a pixel is 1 with probability $\mathrm{sigmoid}(a) = 1 / (1 + e^{-a})$. The loss has two terms, in nats (units of the natural
# logarithm): the *reconstruction*, $-\log$ of the probability of the image, and the *KL*, the divergence of $q$ from the standard
# normal. The *engine* is the part of tinyae that takes derivatives by itself (lesson 1).
#
# ## Picture
#
#     x --1--> h --2--> mean ----------+--4--> z --5--> k --6--> logits --7--> reconstruction --+
#                 --3--> log_variance -+                                                        9--> loss
#                          |  e (noise)          mean, log_variance ----------8--> kl ----------+
#
# Forward goes to the right; the numbers are those of the lines below, h and k are the hidden layers. Backward goes to the left.
# Where an arrow forks on the way forward, two gradients meet on the way back: at mean and log_variance, one from each term.

# %% [markdown]
# ## Derivation
# A *batch* is the $N$ images of one step, the rows of an array. $g_y$ is the derivative of the loss in $y$, an array of $y$'s
# shape. $W$ are weights, $b$ biases, $W^\top$ is $W$ transposed, $\odot$ multiplies entry by entry, and "rows of $y$" is short for
# the sum of the rows of $y$. Each line turns the gradient of its left side into those of its right side, by the chain rule alone.
#
# 1. $h = \tanh t$, $t = x W_1^\top + b_1$: $g_t = g_h \odot (1 - h \odot h)$, $g_{W_1} = g_t^\top x$, $g_{b_1}$ = rows of $g_t$.
# 2. $m = h W_m^\top + b_m$, the mean: $g_{W_m} = g_m^\top h$, $g_{b_m}$ = rows of $g_m$, and to $h$ goes $g_m W_m$.
# 3. $l = h W_l^\top + b_l$, the log-variance: the same with $g_l$. What arrives at $h$ is the sum of 2 and 3.
# 4. $z = m + e^{l/2} \odot \varepsilon$. The noise $\varepsilon$ (`e` in the code), drawn from the standard normal, is an input
#    like $x$. $m$ gets $g_z$, and $l$ gets $g_z \odot \varepsilon \odot e^{l/2} / 2$.
# 5. $k = \tanh u$, $u = z W_3^\top + b_3$: as line 1.
# 6. $a = k W_4^\top + b_4$, the logits: as line 2.
# 7. reconstruction = $\frac{1}{N} \sum (\log(1 + e^a) - x a)$ over all pixels (lesson 1): $g_a = (\mathrm{sigmoid}(a) - x) / N$.
# 8. kl = $\frac{1}{2N} \sum (m^2 + e^l - l - 1)$ over all entries (lesson 6): $m$ gets $m / N$, and $l$ gets $(e^l - 1) / 2N$.
# 9. loss = reconstruction + kl: each of the two gets 1. So the gradients of lines 1 to 3 are sums of two parts, one from each.
#
# Now look once more at line 2, and at what its gradients know ($\sum$: the sum over all entries):
#
# 10. $\sum W_m \odot g_{W_m} + \sum b_m \odot g_{b_m} = \sum m \odot g_m$. To see it, let $n$ count images, $i$ latents and $j$
#     hidden numbers: by line 2 the left side is the sum of all $W_{m,ij} \, g_{m,ni} \, h_{nj}$ and $b_{m,i} \, g_{m,ni}$. Add over
#     $j$ first, and each $g_{m,ni}$ has the factor $m_{ni}$.
# 11. Average the gradients over the noise. Where training ends, those of the weights are then 0, so by line 10
#     $\sum m \odot g_m = 0$. By lines 4 and 8 $g_m = g_z + m / N$. Training steps against gradients: the reconstruction *pulls*
#     each mean by $-g_z$, the KL pulls it by $-m / N$, back to 0. Weighted with $m$ and added up, **the two pulls are in balance**:
#     the ratio of their sizes is 1,
#     $$\mathrm{balance}(m) = -\frac{\sum m \odot g_z}{\sum m \odot m / N} = 1$$
#     and so it is for $l$, with $g_z \odot \varepsilon \odot e^{l/2} / 2$ and $(e^l - 1) / 2N$ in place of $g_z$ and $m / N$.

# %% Settings.  The short form: --fast.  Another seed: --seed 3.  All of them: --help.
import numpy as np
from matplotlib.figure import Figure

import tinyae as ta
from tinyae import course, ops

lesson = course.begin(8)
rng, epochs = ta.rng(lesson.seed), 40 if lesson.fast else 300
beta = 0.25 if lesson.control else 1.0  # what the KL counts in training; line 9 says 1, the control run does not
WATCHED = 0, 1, 3, 7, 15, 31, 63, 127, 255  # epochs after which the balances are measured


# %% [markdown]
# ## Code
# The numbers behind the lines are those of the derivation. `w` holds the weights by the names they have there.


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


def weights_of(model, kind="data"):
    """The weights of a tinyae VAE by the names of the derivation, or (kind="grad") their gradients: its encoder's last layer gives both halves."""
    W1, b1, Wh, bh, W3, b3, W4, b4 = (ta.backend.to_numpy(getattr(p, kind)).astype(np.float64) for p in model.parameters())
    j = model.latent
    return {"W1": W1, "b1": b1, "Wm": Wh[:j], "bm": bh[:j], "Wl": Wh[j:], "bl": bh[j:], "W3": W3, "b3": b3, "W4": W4, "b4": b4}


# %% [markdown]
# ## Check
# The microscope records the engine's own pass. It knows every value by the name that the code gives it, its gradient, and how much
# of that comes from each term of the loss. It can move any value a little and run the rest again with the same noise (finite
# differences), and `blame` looks for a backward rule that is wrong.


# %% Against the engine, value by value
def largest_error(ours, theirs):
    """The largest difference of two arrays, relative to the largest entry."""
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


model = ta.models.VAE(features=64, latent=2, hidden=(64,), activation="tanh", rng=rng.stream("weights")).astype(np.float64)
train = ta.data.load("digits", split="train", binarisation="threshold")
x, e = train.take(slice(0, 50), rng).astype(np.float64), rng.stream("noise").normal((50, 2), np.float64)
trace, w = ta.microscope.trace(model.loss, x, noise=e), weights_of(model)
values, lines = forward(w, x, e), {line.name: line for line in trace.lines if line.name}
starts = {"total": (1.0, 1.0), "reconstruction": (1.0, 0.0), "kl": (0.0, 1.0)}
gradients = {way: backward(w, x, e, values, *start) for way, start in starts.items()}
for name in ("mean", "log_variance", "z", "logits"):
    lesson.claim(f"value.{name}", largest_error(values[name], lines[name].value.data), "relative error", at_most=1e-12)
for name in ("mean", "log_variance", "z", "logits"):
    lesson.claim(f"gradient.{name}", largest_error(gradients["total"][name], lines[name].cotangent), "relative error", at_most=1e-12)
    for way, part in lines[name].by_term.items():
        lesson.claim(f"{way}.{name}", largest_error(gradients[way][name], part), "relative error", at_most=1e-12)
    lesson.claim(f"differences.{name}", trace.check(lines[name]).error, "relative error", at_most=1e-6)

# %% Against the engine, weight by weight; and line 10, which holds for any weights
ours, theirs = gradients["total"], weights_of(model, "grad")
lesson.claim("gradient.weights", max(largest_error(ours[name], theirs[name]) for name in w), "relative error", at_most=1e-12)
by_weights, by_images = (w["Wm"] * ours["Wm"]).sum() + (w["bm"] * ours["bm"]).sum(), (values["mean"] * ours["mean"]).sum()
lesson.claim("check.line_10", abs(by_weights - by_images) / np.abs(values["mean"] * ours["mean"]).sum(), "relative error", at_most=1e-12)
lesson.claim("check.blamed", float(trace.blame() is not None), "wrong rules", at_most=0)
lesson.microscope(trace)


# %% Lines 4 to 9 in four ways: by hand, by the engine, by differences, and by a complex step
def from_line_4(mean, log_variance):
    """The loss as a function of what the encoder gives, made of the engine's operations."""
    logits = ops.tanh((mean + ops.exp(log_variance / 2) * e) @ w["W3"].T + w["b3"]) @ w["W4"].T + w["b4"]
    kl = (mean**2 + ops.exp(log_variance) - log_variance - 1).sum() / 2
    return ((ops.log(1 + ops.exp(logits)) - x * logits).sum() + kl) / len(x)


inputs = {name: values[name] for name in ("mean", "log_variance")}
lesson.gradients("lines_4_to_9", from_line_4, inputs, {name: ours[name] for name in inputs})

# %% [markdown]
# ## Prediction
# Written before the run. At the start, with random weights, the balances may have any sign and size. By line 11 both must end at
# **1**, whatever the data, as far as training with noisy steps comes to an end. Does each single image balance too? Line 11 does
# not say so. Your guess of the correlation of the two pulls over all images (`end.correlation`): ______

# %% The prediction
lesson.predict("end.balance_mean", 1.0, "1 is balance")
lesson.predict("end.balance_log_variance", 1.0, "1 is balance")

# %% [markdown]
# ## Experiment
# The balances are measured with the code above, on all 1,400 training digits, with the average over many draws of the noise. The
# training is the engine's, and one pass over the digits is an *epoch*.


# %%
def pulls(model, draws=60):
    """(balance of the mean, of the log-variance, the pulls of reconstruction and KL on each mean, the loss): averages over draws."""
    x, w, rows = train.take(slice(0, len(train)), rng).astype(np.float64), weights_of(model), []
    for draw in range(draws):
        e = rng.stream("pulls", draw).normal((len(x), 2), np.float64)
        v = forward(w, x, e)
        rows.append((backward(w, x, e, v, 1.0, 0.0), backward(w, x, e, v, 0.0, 1.0), v["loss"]))
    away, back = ({name: np.mean([row[side][name] for row in rows], axis=0) for name in ("mean", "log_variance")} for side in (0, 1))
    balances = [-(v[name] * away[name]).sum() / (v[name] * back[name]).sum() for name in away]
    return *balances, -away["mean"] * len(x), back["mean"] * len(x), np.mean([loss for *_, loss in rows])


curve = {0: pulls(model)}
with lesson.device():
    model.to(lesson.backend).objective = ta.models.ELBO(beta=beta)
    adam = ta.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(epochs):
        noise, adam.lr = rng.stream("training", epoch), 2e-3 * (1 - epoch / epochs)  # ever smaller steps: training comes to an end
        for batch in train.batches(100, rng=rng.stream("order", epoch)):
            terms = model.loss(batch, rng=noise)
            adam.zero_grad()
            terms.loss.backward()
            adam.step()
        if epoch in WATCHED:
            with ta.using("numpy"):
                curve[epoch + 1] = pulls(model, draws=20)
model.to("numpy").objective = ta.models.ELBO()
end, w = pulls(model), weights_of(model)
for name, (mean_balance, variance_balance, *_) in {"start": curve[0], "end": end}.items():
    lesson.number(f"{name}.balance_mean", mean_balance, "1 is balance", effect=name == "end")
    lesson.number(f"{name}.balance_log_variance", variance_balance, "1 is balance", effect=name == "end")
lesson.claim("check.balance", max(abs(balance - 1) for balance in end[:2]), "off balance", at_most=0.1, effect=True)
lesson.number("end.correlation", np.corrcoef(end[2].ravel(), end[3].ravel())[0, 1], "over images")
lesson.number("early.balance_mean", curve[8][0], "after 8 epochs")
lesson.number("early.still_to_fall", curve[8][-1] - end[-1], "nats of loss")

# %% How much of a gradient is noise: the backward pass of 50 images after training, 200 times, with fresh noise in each
passes = [backward(w, x, e, forward(w, x, e)) for e in (rng.stream("redraw", draw).normal((50, 2), np.float64) for draw in range(200))]
for name in ("mean", "log_variance", "W1", "W4"):
    draws = np.array([gradients[name] for gradients in passes])
    lesson.number(f"noise.{name}", np.linalg.norm(draws.std(axis=0)) / np.linalg.norm(draws.mean(axis=0)), "length of deviation / of mean")

# %% The figure
left, right = (figure := Figure(figsize=(9, 4.2), layout="constrained")).subplots(1, 2)
for i, label in enumerate(("mean", "log-variance")):
    left.plot(list(curve), [point[i] for point in curve.values()], "o-", markersize=4, label=label)
left.axhline(1, color="gray", linewidth=1)
left.set_xscale("symlog", linthresh=1)
left.set(xlim=(-0.2, epochs), title="the two pulls come into balance", xlabel="epoch", ylabel="pull of reconstruction / pull of KL", ylim=(-1, 3))
left.legend()
right.plot(end[3].ravel(), end[2].ravel(), ".", markersize=3)
right.axline((0, 0), slope=1, color="gray", linewidth=1)
right.set(title="but not image by image", xlabel="pull of the KL on a mean, back to 0 (nats)", ylabel="pull of the reconstruction (nats)")
lesson.figure(figure, "pulls.png", alt="Left: both balances come to 1 over the epochs. Right: the pulls on single means scatter around the diagonal.")
lesson.finish(binarisation="threshold")

# %% [markdown]
# ## What surprised us
# - The balance of the mean is near 1 after only 8 epochs (`early.balance_mean`, `pulls.png`), while the loss still falls by two to
#   five nats (`early.still_to_fall`): the last layer of the encoder learns fast, and the rest of training goes on in balance.
# - A single image is not in balance: the correlation is below 1, and lower at the end of the full form than of the short one. Only
#   the sum over images is what the weights can see. (With a mean of its own for each image, each would balance: exercise 3 of
#   lesson 6.)
# - With one draw the encoder's gradients are mostly noise: they deviate by more than their mean (`noise.mean`), even at `W1`, which
#   50 images share (`noise.W1`). The decoder's (`noise.W4`) do not. Pulls cancel, their noise does not: training takes many steps.
# ## Exercises
# `tinyae exercise 8 --start`, then `tinyae exercise 8`. This lesson's pass, line by line: `microscope.html` beside the figure.
#
# 1. **Do.** `two_layers_backward`: an encoder with a second hidden layer. Which lines change? Write its backward pass.
# 2. **Break.** `fool_line_10`: a gradient of the mean that is wrong and still passes line 10. One sum proves no single number.
# 3. **Extend.** `balances`: line 11 for a KL that counts `beta` times. Where do they end in the control run (`--control`: 0.25)?
# ## Conventions
# Loss = -ELBO (lesson 6), in nats per example: summed over pixels and latent dimensions, mean over the batch. The encoder gives
# mean and log-variance; deviation: `exp(log_variance / 2)`. The decoder gives logits. Noise is an input. Pixels: threshold at 0.5.
# ## References
# - Kingma & Welling 2014, Auto-Encoding Variational Bayes (the model, the draw of line 4, the KL of line 8).
# - Rumelhart, Hinton & Williams 1986, Learning representations by back-propagating errors (lines 1 to 6).
