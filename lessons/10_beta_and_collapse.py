# %% [markdown]
# # Lesson 10: Beta, rate and distortion, and why a VAE stops using its latent variables
#
# **Goal.** Predict from the eigenvalues of the data alone how many nats a linear VAE passes through its latent variables, for any
# weight of the KL: right to **0.001 nats**. Then predict the weight beyond which VAEs made of tanh networks pass none.
#
# A *VAE* (lesson 6) turns an image $x$ into a normal distribution of a few *latent* variables $z$ (the *encoder*), and a draw of it
# into a distribution of images (the *decoder*). Its loss has two terms, in *nats* (natural logarithms): the *distortion* $D$, the
# mean of $-\log p(x \mid z)$, and the *rate* $R$, the mean KL divergence from $\mathcal{N}(0, I)$: how much $z$ tells about $x$. A
# *beta-VAE* minimises $L = D + \beta R$. A latent variable whose KL is 0 is noise: it has *collapsed*.
#
# ## Picture
#
#     eigenvalues:         |
#                          || |                 a larger weight raises the line; above the highest nothing is left
#     ---- beta s^2 ------ || || | -----   above it: used, rate = 1/2 log(eigenvalue / line), error = line
#                          || || | | |
#                          || || | | . .   below: collapsed, rate 0, error = eigenvalue
# The line is at $\beta$ times $s^2$, the variance that the decoder gives each pixel. Each eigenvalue is the variance of the data in
# one direction; the error is what is left of it after decoding.

# %% [markdown]
# ## Derivation
# The *linear VAE*: $x$ has mean 0 and a covariance matrix $C$ with eigenvalues $\lambda_1 \ge \lambda_2 \ge \ldots$ The decoder
# gives $\mathcal{N}(W z, s^2 I)$, the encoder $\mathcal{N}(V x, \mathrm{diag}(v))$ with $v = e^l$, for $J$ latent variables. $w_j$
# are the columns of $W$, and $t = \beta s^2$. $^\top$ is transposed, tr the sum of the diagonal, diag a matrix with this diagonal.
# 1. Only $t$ matters: $L / \beta = D / \beta + R$, $D$ is squared error / $2 s^2$ + constant. Twice $\beta$ acts as twice $s^2$.
# 2. With $z = V x + \sqrt{v} \varepsilon$ and $G = I - W V$ the error is $x - W z = G x - W \sqrt{v} \varepsilon$. Average its
#    square over $x$ and noise $\varepsilon$, take $R$ from lesson 6, and drop the constant $\frac{1}{2} \log 2 \pi s^2$ per pixel:
#    $$2 s^2 D = \mathrm{tr}(G C G^\top) + \sum_j v_j |w_j|^2, \qquad 2 R = \mathrm{tr}(V C V^\top) + \sum_j (v_j - l_j - 1)$$
# 3. $\partial L/\partial W = (W \mathrm{diag}(v) - G C V^\top) / s^2$, $\partial L/\partial V = \beta V C - W^\top G C / s^2$, and
#    $\partial L/\partial l_j = v_j |w_j|^2 / 2 s^2 + \beta (v_j - 1) / 2$: differentiate entry by entry.
# 4. One latent variable, $w = r u$ with $|u| = 1$; the data have variance $a = u^\top C u$ along $u$. Set the encoder's gradients
#    to 0: $V = r u^\top / \tau$, $v = t / \tau$, with $\tau = t + r^2$. Then the error along $u$ is
#    $a t^2 / \tau^2 + t r^2 / \tau$, and $2 R = a r^2 / \tau^2 + t / \tau - \log(t / \tau) - 1$. Add up, with $r^2 = \tau - t$:
#    along $u$ then $L = \frac{\beta}{2} \left( a / \tau + \log(\tau / t) \right)$, with slope $L' = \beta (\tau - a) / 2 \tau^2$.
# 5. So $\tau = a$ if $a > t$: the variable is used, with rate $\frac{1}{2} \log(a / t)$ and squared error $t$ along $u$. Else
#    $\tau = t$ and $r = 0$: it has collapsed, with error $a$. To use it gains $\frac{\beta}{2} (a/t - 1 - \log(a/t))$. That grows
#    with $a$, and ever faster: so a large $a$ and a small one gain more than two middling ones, and the first eigenvectors most.
#    (Rotate $z$ till the $w_j$ are orthogonal: a diagonal $q$ is then best.) The rate is $R$; at $\beta_c$ all variables are gone:
#    $$R = \sum_{j \le J, \, \lambda_j > t} \frac{1}{2} \log \frac{\lambda_j}{t}, \qquad \beta_c = \frac{\lambda_1}{s^2}$$
#    and $2 s^2 D$ is the sum of $\min(\lambda_j, t)$ for $j \le J$ and of the other $\lambda_j$.
# 6. The slope, for *any* VAE: at the optimum $L$ does not change with the weights, so $dD + \beta \, dR = 0$: $dD/dR = -\beta$. For
#    two weights $\beta_1 < \beta_2$ each has its own best $(D, R)$, and neither gains by taking the other's. So for the line
#    through the two, the *chord*, $\beta_1 \le (D_2 - D_1)/(R_1 - R_2) \le \beta_2$.
# 7. Near collapse, $w = \omega u$ and $V = \nu u^\top$ with small $\omega$ and $\nu$, $u$ an eigenvector: $L$ is a constant plus
#    $\frac{1}{2} (\omega^2 / s^2 - 2 \lambda \omega \nu / s^2 + \beta \lambda \nu^2)$. At 0 the gradient is 0; the second
#    derivatives have the determinant $\lambda (\beta - \lambda / s^2) / s^2$, for $\lambda_1$ negative below $\beta_c$. That is a
#    *saddle*, with a way down.
# 8. Black and white pixels, 1 with probability $p$: a small change $\delta$ of the logit costs $(p - x) \delta$ plus
#    $p (1 - p) \delta^2 / 2$ (lesson 1). Divide $x - p$ by its deviation: this is step 7 with $s = 1$ and the pixels'
#    *correlations* for $C$. So $\beta_c$ is their largest eigenvalue $\rho_1$. For smooth networks too: $z$ is small, so the
#    decoder is linear in it, $\delta = w z$; and the best mean $\mu(x)$ of $q$ makes $\mu \, w \cdot (p - x) + \beta \mu^2 / 2$
#    least, so it is $w \cdot (x - p) / \beta$, linear in $x$. All this is *near* collapse: there may be a better minimum far off.

# %% Settings.  The short form: --fast.  Another seed: --seed 3.  All of them: --help.
import numpy as np
from matplotlib.figure import Figure

import tinyae as ta
from tinyae import course, ops

lesson = course.begin(10)
rng, epochs, VARIANCE, LATENT = ta.rng(lesson.seed), 30 if lesson.fast else 120, 0.15, 16


# %% [markdown]
# ## Code
# In the code `s2` is $s^2$, `latent` the number $J$, and D the number of pixels; in a control run $\beta$ is 1 in every training.


# %%
def linear_terms(W, V, log_variance, C, s2):
    """Step 2: distortion and rate.  W: (D, J), V: (J, D), log_variance: (J,), C: (D, D); arrays or Tensors."""
    G, v = np.eye(len(C)) - W @ V, ops.exp(log_variance)
    distortion = (((G @ C) * G).sum() + (v * (W * W).sum(axis=0)).sum()) / (2 * s2)
    return distortion, (((V @ C) * V).sum() + (v - log_variance - 1).sum()) / 2


def linear_backward(W, V, log_variance, C, s2, beta):
    """Step 3: the gradients of distortion + beta * rate in W, V and log_variance."""
    GC, v = C - W @ (V @ C), np.exp(log_variance)
    return (W * v - GC @ V.T) / s2, beta * V @ C - W.T @ GC / s2, v * (W * W).sum(axis=0) / (2 * s2) + beta * (v - 1) / 2


def theory(eigenvalues, t, latent):
    """Step 5: how many variables are used, the rate, and the squared error."""
    kept = eigenvalues[:latent]
    used = kept[kept > t]
    return len(used), float(np.log(used / t).sum() / 2), float(np.minimum(kept, t).sum() + eigenvalues[latent:].sum())


def train_linear(beta, steps=2000):
    """W, V and log_variance, by Adam with the gradients of step 3.  It needs no noise: step 2 is the average over it."""
    used = 1.0 if lesson.control else beta  # the control run ignores beta
    draws = rng.stream("linear").normal((2, len(C), LATENT), np.float64) / 10  # the same for each beta
    parameters = [ta.nn.Parameter(start) for start in (draws[0], draws[1].T.copy(), np.zeros(LATENT))]
    adam = ta.optim.Adam(parameters, lr=0.02, betas=(0.9, 0.99))
    for step in range(steps):
        adam.lr = 0.02 * (1 - step / steps)
        for p, g in zip(parameters, linear_backward(*(p.data for p in parameters), C, VARIANCE, used), strict=True):
            p.grad = g
        adam.step()
    return [p.data for p in parameters]


def curvature(C, s2, beta, step=1e-4):
    """Step 7, one latent variable: the smallest eigenvalue of the second derivatives at collapse, from the gradients of step 3."""
    D, changes = len(C), step * np.eye(2 * len(C) + 1)
    gradients = (linear_backward(change[:D, None], change[None, D:-1], change[-1:], C, s2, beta) for change in changes)
    return np.linalg.eigvalsh([np.concatenate([part.ravel() for part in g]) / step for g in gradients])[0]


def train(x, beta, free_bits=0.0, warm_up=False, **settings):
    """(distortion, rate, model), averages over all images and 20 draws."""
    used = 1.0 if lesson.control else beta
    schedules = {"lr": ta.optim.linear(0.02, 0, epochs)} | ({"beta": ta.optim.linear(0, used, epochs / 2)} if warm_up else {})
    with lesson.device():
        model = ta.models.VAE(x.shape[1], activation="tanh", rng=rng.stream("weights"), **settings)
        model.objective = ta.models.ELBO(used, free_bits=free_bits)
        ta.fit(model, x.astype(np.float32), epochs=epochs, batch_size=100, schedules=schedules, seed=lesson.seed, progress=False)
    with ta.no_grad():
        q, terms = model.to("numpy").encode(x), model.loss(x, noise=rng.stream("measure").normal((20, len(x), model.latent)))
    return float(terms.reconstruction.data), float(ta.models.objective.kl_by_dimension(q, model.prior).data.sum(axis=1).mean()), model


def chords(points):
    """Step 6, for neighbours in {beta: (distortion, rate, ...)}: (smaller beta, -slope, larger beta).  The rate must fall, by 0.001 or more."""
    return [(a, (points[b][0] - points[a][0]) / max(points[a][1] - points[b][1], 1e-3), b) for a, b in zip(points, list(points)[1:], strict=False)]


# %% [markdown]
# ## Check
# The gradients of step 3; and the slope of step 6 on the exact curve of step 5, from two points close to $\beta = 2$.

# %% The gradients; then the data, 1,400 digits, grey and without their mean, or black and white; what never varies is left out
*start, root = [rng.stream("small", i).normal(shape, np.float64) for i, shape in enumerate([(5, 3), (3, 5), (3,), (5, 5)])]
small, names = (root @ root.T, 0.3), ("W", "V", "log_variance")
inputs, by_hand = (dict(zip(names, values, strict=True)) for values in (start, linear_backward(*start, *small, 2.5)))
lesson.gradients("linear", lambda *w: linear_terms(*w, *small)[0] + 2.5 * linear_terms(*w, *small)[1], inputs, by_hand)
grey, binary = (ta.data.load("digits", split="train", binarisation=way).take(slice(0, 1400), rng) for way in ("grey", "threshold"))
grey, binary = (x[:, x.std(axis=0) > 0].astype(np.float64) for x in (grey - grey.mean(axis=0, dtype=np.float64), binary))
C = grey.T @ grey / len(grey)
eigenvalues, correlations = (np.linalg.eigvalsh(matrix)[::-1] for matrix in (C, np.corrcoef(binary.T)))
(_, low, much), (_, high, little) = (theory(eigenvalues, beta * VARIANCE, LATENT) for beta in (2.00001, 1.99999))
lesson.claim("slope.exact", (much - little) / (2 * VARIANCE) / (low - high), "nats per nat", at_least=-2.00001, at_most=-1.99999)

# %% [markdown]
# ## Prediction
# Written before the run, for $s^2 = 0.15$ and 16 latent variables: rates and numbers of used variables by step 5, the slope near
# $\beta = 2$ by step 6, the smallest eigenvalue of the second derivatives at collapse by step 7. Training with noise must end at
# the same rate (`noisy`). For black and white pixels and tanh networks step 8 promises $\beta_c = \rho_1$ (`collapse.pixels`), no
# more. Suppose step 5 held for them too, with the $\rho_j$ and $s = 1$: that is `nonlinear`. For which beta will it fail? ______

# %%
lesson.claim("collapse.linear", eigenvalues[0] / VARIANCE, "beta", at_least=4.6, at_most=4.61)
lesson.claim("collapse.pixels", correlations[0], "beta", at_least=4.77, at_most=4.78)
BETAS = {"beta_half": 0.5, "beta_1": 1.0, "beta_1_9": 1.9, "beta_2_1": 2.1, "beta_4": 4.0}
SIDES, saddles = {f"{side}_collapse": float(x * eigenvalues[0] / VARIANCE) for side, x in (("below", 0.95), ("above", 1.05))}, {}
NONLINEAR = {"beta_half": 0.5, "beta_1": 1.0, "beta_2": 2.0, "beta_3": 3.0, "beta_4": 4.0, "beta_6": 6.0}
for name, beta in (BETAS | SIDES).items():
    used, rate, _ = theory(eigenvalues, beta * VARIANCE, LATENT)
    lesson.predict(f"linear.used_{name}", used, "variables")
    lesson.predict(f"linear.kl_{name}", rate, "nats")
for name, beta in SIDES.items():
    half, determinant = (1 / VARIANCE + beta * eigenvalues) / 2, eigenvalues * (beta - eigenvalues / VARIANCE) / VARIANCE
    saddles[name] = (half - np.sqrt(half**2 - determinant)).min()
    lesson.predict(f"saddle.{name}", saddles[name], "nats")
lesson.predict("slope.near_2", -2.0, "nats per nat")
lesson.predict("noisy.kl_beta_2", theory(eigenvalues, 2 * VARIANCE, LATENT)[1], "nats")
for name, beta in NONLINEAR.items():
    lesson.predict(f"nonlinear.kl_{name}", theory(correlations, beta, 8)[1], "nats")

# %% [markdown]
# ## Experiment
# Only $\beta$ differs. The library warns of *posterior collapse*: right at $\beta = 6$, too soon at $\beta = 4$ (full form).

# %% The linear VAE without noise, and step 7
points, off = {}, []
for name, beta in (BETAS | SIDES).items():
    W, V, log_variance = train_linear(beta)
    kl = (((V @ C) * V).sum(axis=1) + np.exp(log_variance) - log_variance - 1) / 2  # of each latent variable
    points[beta] = linear_terms(W, V, log_variance, C, VARIANCE)
    used, rate, error = theory(eigenvalues, beta * VARIANCE, LATENT)
    off.append(abs(points[beta][0] - error / (2 * VARIANCE)))
    lesson.claim(f"linear.used_{name}", (kl > 0.01).sum(), "variables", at_least=used, at_most=used, effect=beta != 1)
    lesson.claim(f"linear.kl_{name}", points[beta][1], "nats", at_least=rate - 1e-3, at_most=rate + 1e-3, effect=beta != 1)
lesson.claim("slope.near_2", -chords(points)[2][1], "nats per nat", at_least=-2.01, at_most=-1.99, effect=True)
lesson.claim("linear.distortion_off", max(off), "nats, at most, from step 5", at_most=1e-3, effect=True)
for name, beta in SIDES.items():
    lesson.claim(f"saddle.{name}", curvature(C, VARIANCE, beta), "nats", at_least=saddles[name] - 1e-7, at_most=saddles[name] + 1e-7)

# %% Trained with noise, in batches: the linear VAE, then tanh networks with 8 latent variables
_, rate, model = train(grey, 2.0, latent=LATENT, hidden=(), likelihood="gaussian", variance=VARIANCE)
lesson.number("noisy.kl_beta_2", rate, "nats", effect=True)
lesson.microscope(ta.microscope.trace(model.loss, grey[:10].astype(np.float32), noise=rng.stream("page").normal((10, LATENT))))
results = {beta: train(binary, beta, latent=8) for beta in NONLINEAR.values()}
for name, beta in NONLINEAR.items():
    lesson.number(f"nonlinear.kl_{name}", results[beta][1], "nats", effect=beta > 1)
for kind, found in (("linear", chords(points)[:4]), ("nonlinear", chords(results)[:4])):  # at larger beta the rate hardly falls
    lesson.claim(f"slope.outside_{kind}", sum(not low <= slope <= high for low, slope, high in found), "of 4 chords", at_most=0, effect=True)

# %% Two remedies: a weight that rises from 0 to beta in the first half (warm-up); 0.25 nats a variable cost nothing (free bits).
# loss and elbo: how much larger D + beta R and -ELBO are with the remedy than without it
for name, beta, settings in (("warm_up", 1, {"warm_up": True}), ("warm_up", 6, {"warm_up": True}), ("free_bits", 6, {"free_bits": 0.25})):
    distortion, rate, _ = train(binary, beta, latent=8, **settings)
    lesson.number(f"{name}.kl_beta_{beta}", rate, "nats")
    lesson.number(f"{name}.loss_beta_{beta}", distortion + beta * rate - results[beta][0] - beta * results[beta][1], "nats more")
    lesson.number(f"{name}.elbo_beta_{beta}", distortion + rate - results[beta][0] - results[beta][1], "nats more -ELBO")

# %% The figure
left, right = (figure := Figure(figsize=(9, 4.2), layout="constrained")).subplots(1, 2)
betas = np.geomspace(0.45, 6, 200)
_, rates, errors = np.transpose([theory(eigenvalues, beta * VARIANCE, LATENT) for beta in betas])
left.plot(rates, errors / (2 * VARIANCE), color="gray", linewidth=1, label="step 5")
left.plot([r for _, r in points.values()], [d for d, _ in points.values()], "o", markersize=4, label="trained")
left.axline(points[2.1][::-1], slope=-2.1, linestyle="--", color="tab:orange", label="slope -2.1, at beta = 2.1")
left.set(title="linear VAE", xlabel="rate (nats)", ylabel="distortion, without its constant (nats)")
right.plot(betas, [theory(correlations, beta, 8)[1] for beta in betas], color="gray", linewidth=1, label="step 5 with correlations")
right.plot(list(results), [r for _, r, _ in results.values()], "o", markersize=4, label="trained, tanh networks")
right.axvline(correlations[0], color="tab:orange", linestyle="--", label="collapse, step 8")
right.set(title="VAE of black and white pixels", xlabel="beta", ylabel="rate (nats)")
left.legend()
right.legend()
lesson.figure(figure, "collapse.png", alt="Left: linear VAEs lie on the exact curve. Right: rates of tanh VAEs, near 0 beyond the dashed line.")
lesson.finish(binarisation="grey (linear), threshold (nonlinear)")

# %% [markdown]
# ## What surprised us
# - One eigenvalue of the data says where tanh networks collapse: $\rho_1 = 4.77$ is between 4, where up to a tenth of a nat or so
#   passes, and 6, where next to none does. At $\beta = 2$ over half as much again passes as step 5 says: what is not small is not
#   linear.
# - At $\beta = 6$ warm-up only delays: networks that had used all of $z$ collapse too, and nothing found a smaller loss. Free bits
#   keep 2 nats, but the loss that was asked for gets much *worse*; who likes the better $-\mathrm{ELBO}$ wants less $\beta$. At
#   $\beta = 1$ warm-up moves the loss by a fifth of a nat or less. (In the short form `noisy` is low: it trains too briefly.)
# ## Exercises
# `tinyae exercise 10 --start`, then `tinyae exercise 10`. One step of a linear beta-VAE, line by line: `microscope.html`.
#
# 1. **Do.** `rate_and_distortion`: the curve of step 5 for any variance, weight and number of latent variables.
# 2. **Break.** `false_end`: weights of a linear VAE at which every gradient is 0, some variables used, and yet not the best.
# 3. **Extend.** `best_variance`: learn $s^2$ too. Which one does a linear beta-VAE choose, and what does $\beta$ do to it?
# ## Conventions
# Loss $D + \beta R$, in nats per example: summed over pixels and latent variables, mean over the batch; with $\beta = 1$ it is
# $-\mathrm{ELBO}$. The encoder gives mean and log-variance, the decoder means or logits. Noise is an input. Evaluation uses many
# draws; generation draws from the prior. Pixels: grey values (linear VAE), threshold at 0.5 (tanh networks).
# ## References
# - Tipping & Bishop 1999, Probabilistic Principal Component Analysis (step 5 for $\beta = 1$). Higgins et al. 2017, beta-VAE.
#   Alemi et al. 2018, Fixing a Broken ELBO (rate, distortion, and step 6). Bowman et al. 2016, Generating Sentences from a
#   Continuous Space (warm-up). Kingma et al. 2016, Improved Variational Inference with Inverse Autoregressive Flow (free bits).
# - Lucas, Tucker, Grosse & Norouzi 2019, Don't Blame the ELBO! A Linear VAE Perspective on Posterior Collapse (steps 4, 5 and 7).
