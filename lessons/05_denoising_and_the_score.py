# %% [markdown]
# # Lesson 5: Denoising, the score, and one step of diffusion
#
# **Goal.** Teach a network only to remove noise. The step that it makes from a noisy point must be, up to a factor, the slope of
# the logarithm of a density that it never saw: a correlation of **at least 0.98** with the exact one.
#
# ## Picture
#
#     p(x), clean:     __/\____/\/\__        x -------- + noise -------> y -------- r -------> r(y), about x
#                          | + noise
#     p_s(y), blurred: _/~~~\_/~~~~~\_       the arrow from y to r(y) points uphill on p_s
#
# A *density* $p$ says where points are: the share $p(x) dx$ lies between $x$ and $x + dx$. Its *score* $(\log p)' = p' / p$, the
# slope of its logarithm, points to where there are more of them. Whoever knows scores can make new points (step 6).
# ## Derivation
# 1. $y = x + s n$, with noise $n$, normal with mean 0 and variance 1, of size $s$. With $N$ the normal density of variance $s^2$,
#    $x$ leads to $y$ with density $N(y - x)$. So $y$ has density $p_s(y) = \int p(x) N(y - x) dx$. $E$: the mean over $x$, $n$.
# 2. A *denoiser* $r$ has the error $E (x - r(y))^2$. Mean squares are least around the mean, so the best guess is the mean of all
#    $x$ that may have led to $y$, with weights $p(x) N(y - x) / p_s(y)$.
# 3. The slope of $N$ is $N'(y - x) = N(y - x) (x - y) / s^2$. So, with the best $r$ of step 2,
#    $p_s'(y) = \int p(x) N(y - x) (x - y) / s^2 dx = p_s(y) (r(y) - y) / s^2$, and $r(y) = y + s^2 (\log p_s)'(y)$: **the best
#    denoiser makes a step along the score** (Robbins, Miyasawa; also Tweedie's formula).
# 4. $x - y = (x - r) + (r - y)$, and $x - r$ has mean 0 at each $y$. So the mean squares of the two parts add up to that of
#    $x - y$, which is $s^2$. With step 3 the least error is $E (x - r)^2 = s^2 - s^4 E ((\log p_s)')^2$.
# 5. A mixture of normals (weights $w_k$, means $m_k$, variances $v_k$) has its score in closed form: $p_s$ is the mixture with
#    variances $v_k + s^2$. With $g_k$ the share of part $k$ in $p_s(y)$, the score is $\sum_k g_k (m_k - y) / (v_k + s^2)$.
# 6. *Diffusion*: noise grows little by little; here is one step of it, back. From $s$ to $s + ds$ the variance grows by $2 s\,ds$.
#    Noise $e$ of that variance makes $p_s$ the mean of $p_s(y - e) = p_s - e p_s' + e^2 p_s'' / 2 - \ldots$; as $e$ has mean 0, it
#    grows by $s p_s'' ds$. Points that walk with speed $u$ (per unit of $s$) make it grow too: $p_s u$ of them pass a place, and
#    where more come than leave, $p_s$ grows, by $-(p_s u)' ds$. The two are the same if $u = -s p_s' / p_s$, which by step 3 is
#    $(y - r) / s$. So from $s$ to a little less noise $t$ a point may walk without anything random:
#    $y \to y + (t - s)(y - r) / s = r + (t / s) (y - r)$.
# 7. *Contractive.* Another wish: a code that hardly moves when $x$ moves. The code $h = \tanh(a)$, $a = W x + b$, has the
#    derivatives $J_{ji} = d_j W_{ji}$ with $d = 1 - h^2$. With $q_j = \sum_i W_{ji}^2$ the penalty is
#    $C = \sum J^2 = \sum_j d_j^2 q_j$; the loss is the squared error plus $\lambda C$, $\lambda$ (lambda) a price. The slope of $d$
#    in $a$ is $-2 h d$. So from $g_C$, the loss's slope in $C$, come its gradients $g_a = -4 g_C h d^2 q = g_b$ and
#    $g_W = g_a x^T + 2 g_C d^2 W$.
# 8. *Small noise.* $r(x + s n) - r(x)$ is about $s J n$, $J$ now of $r$. Its square has the mean $s^2 \sum J^2$: where $r(x)$ is
#    near $x$, noise adds that to the error. (Second derivatives of $r$ add a term with $s^2$ too, but multiplied by $r(x) - x$.) So
#    **a denoiser of small noise is contractive** (Alain and Bengio).
# %% Settings.  The short form: --fast.  Another seed: --seed 3.  All of them: --help.
import numpy as np
from matplotlib.figure import Figure

import tinyae as ta
from tinyae import course, nn, ops

lesson = course.begin(5)
rng, epochs = ta.rng(lesson.seed), 60 if lesson.fast else 300
noise = 0.0 if lesson.control else 1.0  # what makes a denoiser; the control run trains without it
S, WEIGHTS, MEANS, VARIANCES = 0.3, np.array([0.3, 0.5, 0.2]), np.array([-1.5, 0.3, 1.8]), np.array([0.01, 0.04, 0.09])


# %% [markdown]
# ## Code
# Points are (N,) in the closed forms, and rows, (N, D), in the networks. *Quantiles* are points with equal shares between them.
# %%
def shares(y, s):
    """Step 5: what each part adds to the density at y.  y: (N,).  Returns (N, K)."""
    v = VARIANCES + s**2
    return WEIGHTS * np.exp(-((y[:, None] - MEANS) ** 2) / (2 * v)) / np.sqrt(2 * np.pi * v)


def score(y, s):
    """Step 5: the exact score, (N,)."""
    g = shares(y, s)
    return (g * (MEANS - y[:, None]) / (VARIANCES + s**2)).sum(axis=1) / g.sum(axis=1)


def quantiles(s, count):
    """Points with equal shares of p_s between them, (count,)."""
    grid = np.linspace(-30, 30, 60_001)
    return np.interp((np.arange(count) + 0.5) / count, np.cumsum(shares(grid, s).sum(axis=1)) * 0.001, grid)


def walk(score, noises):
    """Step 6, from quantiles at the first noise to the last.  Returns every stop, (steps + 1, 2000)."""
    stops = [quantiles(noises[0], 2000)]
    for s, t in np.stack([noises[:-1], noises[1:]], axis=1):
        stops.append(stops[-1] + (s - t) * s * score(stops[-1], s))
    return np.array(stops)


class Denoiser(nn.Module):
    """r(y) = y + s net(y, s), trained at all noises from `low` to `high`, with errors over s so that all count alike.  y, s: (N, 1)."""

    def __init__(self, low, high, rng):
        self.range = np.log(low), np.log(high)
        self.net = nn.Sequential(nn.Linear(2, 64, rng=rng), nn.Tanh(), nn.Linear(64, 64, rng=rng), nn.Tanh(), nn.Linear(64, 1, rng=rng))

    def forward(self, y, s):
        return y + s * self.net(ops.concatenate([y / (1 + s * s) ** 0.5, ops.log(s)], axis=1))

    def loss(self, x, rng):
        s = ops.exp(rng.uniform(x.shape, *self.range))
        return (((self(x + noise * s * rng.normal(x.shape), s) - x) / s) ** 2).mean()

    def score(self, y, s):
        """Step 3: the step of r as a score, for an array (N,) and one noise."""
        return (self(y[:, None], np.full((len(y), 1), s)).data[:, 0] - y) / s**2


def contraction(W, b, x):
    """Step 7: C of each point, (N,)."""
    return ((1 - ops.tanh(x @ W.T + b) ** 2) ** 2 * (W * W).sum(axis=1)).sum(axis=1)


def contraction_backward(g_C, W, b, x):
    """Step 7, backward.  g_C: (N,)."""
    h, q = np.tanh(x @ W.T + b), (W * W).sum(axis=1)
    g_d2 = g_C[:, None] * (1 - h * h) ** 2
    g_a = -4 * g_d2 * h * q
    return {"W": g_a.T @ x + 2 * g_d2.sum(axis=0)[:, None] * W, "b": g_a.sum(axis=0)}


class Contractive(nn.Module):
    """An autoencoder with the penalty of step 7.  tied: the decoder has the encoder's weights.  s: noise at its input."""

    def __init__(self, price, tied, s, rng):
        self.price, self.s, self.encoder = price, s, nn.Linear(64, 32, rng=rng)
        self.V, self.c = self.encoder.weight if tied else nn.Parameter(rng.normal((32, 64)) / 8), nn.Parameter(np.zeros(64, np.float32))

    def reconstruct(self, x):
        return ops.tanh(self.encoder(x)) @ self.V + self.c

    def loss(self, x, rng):
        error = ((self.reconstruct(x + self.s * rng.normal(x.shape)) - x) ** 2).sum(axis=1)
        return (error + self.price * contraction(self.encoder.weight, self.encoder.bias, x)).mean()

    def slopes(self, x):
        """Step 8: the sum of J^2 for each point, (N,)."""
        W, V, d = self.encoder.weight.data, self.V.data, 1 - np.tanh(self.encoder(x).data) ** 2
        return np.einsum("nj,jk,nk->n", d, (V @ V.T) * (W @ W.T), d)


# %% [markdown]
# ## Check
# Steps 3 and 5 against step 2 by quadrature, a sum over a grid. The gradient of step 7 by hand, against the engine, differences and
# a complex step (lesson 0), and last against the engine's gradients of gradients.
# %%
y, grid = np.linspace(-3, 3, 61), np.linspace(-6, 6, 6001)
p = shares(grid, S).sum(axis=1) * (grid[1] - grid[0])  # p_s, as the share of each cell
weight = shares(grid, 0).sum(axis=1) * np.exp(-((y[:, None] - grid) ** 2) / (2 * S**2))  # step 2
lesson.claim("check.tweedie", np.abs((weight * grid).sum(axis=1) / weight.sum(axis=1) - y - S**2 * score(y, S)).max(), "difference", at_most=1e-9)
W, b, x, g_C = (rng.stream("check", i).normal(shape, np.float64) for i, shape in enumerate(((3, 5), 3, (4, 5), 4)))
lesson.gradients("contraction", lambda W, b: contraction(W, b, x), {"W": W, "b": b}, by_hand := contraction_backward(g_C, W, b, x), cotangent=g_C)
leaves = [ta.Tensor(value, requires_grad=True) for value in (W, b, x)]
h = ops.tanh(leaves[2] @ leaves[0].T + leaves[1])
C = sum((ta.grad(h[:, j].sum(), leaves[2:], create_graph=True)[0] ** 2).sum(axis=1) for j in range(3))
for found, (name, exact) in zip(ta.grad((C * g_C).sum(), leaves[:2]), by_hand.items(), strict=True):
    lesson.claim(f"check.twice_{name}", np.abs(found.data - exact).max(), "difference", at_most=1e-10)

# %% [markdown]
# ## Prediction
# - A trained denoiser has the error of step 4, 0.0402. With noise 0.01 reconstructions move as their slopes say (step 8): ratio 1.
# - Take one step of diffusion, from noise 5 to 0.05. With $m$, $v$ the mean and variance of $x$, $y$ is nearly normal, with
#   variance $v + 25$ and score $-(y - m) / (v + 25)$. By step 3 $r - m = (y - m) v / (v + 25)$: all land near $m$. *Wasserstein-1*,
#   the mean distance of quantiles (two sets of points, sorted, in pairs), is then 0.714.
# - Steps are straight, the path bends: a step's error goes with its length squared. So four times as many leave **a quarter**.
# - A small $W$ and a large decoder cheat the penalty. Guess: $\lambda$ = 1 divides squared slopes by ____ in the code, ____ in $r$
# %%
m, v = WEIGHTS @ MEANS, WEIGHTS @ (VARIANCES + MEANS**2) - (WEIGHTS @ MEANS) ** 2
line, start, end = v / (v + 25), quantiles(5.0, 2000), quantiles(0.05, 2000)
lesson.predict("denoise.error", S**2 - S**4 * (p * score(grid, S) ** 2).sum(), "mean square")
lesson.predict("flow.exact_1", np.abs(m + (line + 0.01 * (1 - line)) * (start - m) - end).mean(), "Wasserstein-1")
lesson.predict("flow.ratio", 4.0, "16 to 64 steps")
lesson.predict("small.ratio_001", 1.0, "measured / slopes")


# %% [markdown]
# ## Experiment
# One network learns the noise 0.3, one all from 0.05 to 5, both from 5,000 quantiles of $p$ alone. Then autoencoders learn digits,
# with codes of 32 numbers.
# %% Step 3.  A correlation does not see a wrong factor; the relative error does.
def train(model_of, data, epochs, batch_size, lr):
    """A model after training on the lesson's device, then in NumPy, float64."""
    with lesson.device():
        model, falling = model_of(), {"lr": ta.optim.linear(lr, 0, epochs)}
        ta.fit(model, data, epochs=epochs, batch_size=batch_size, seed=lesson.seed, schedules=falling, progress=False)
    return model.to("numpy").astype(np.float64)


x = quantiles(0, 5000)
one = train(lambda: Denoiser(S, S, rng.stream("one")), x[:, None].astype(np.float32), epochs, 250, 1e-2)
many = train(lambda: Denoiser(0.05, 5.0, rng.stream("many")), x[:, None].astype(np.float32), 2 * epochs, 250, 1e-2)
even, clean = quantiles(S, 5000), np.tile(x, 40)
exact, found, noisy = score(even, S), one.score(even, S), clean + S * rng.stream("test").normal(clean.shape, np.float64)
lesson.claim("score.correlation", np.corrcoef(exact, found)[0, 1], "with the exact one", at_least=0.98, effect=True)
lesson.number("score.relative_error", np.linalg.norm(found - exact) / np.linalg.norm(exact), "of the score", effect=True)
lesson.number("denoise.error", ((noisy + S**2 * one.score(noisy, S) - clean) ** 2).mean(), "mean square", effect=True)

# %% Step 6
steps, ways = (1, 4, 16, 64), {"exact": score, "learned": many.score}
paths = {(way, k): walk(of, np.geomspace(5, 0.05, k + 1)) for way, of in ways.items() for k in steps}
away = {key: np.abs(np.sort(path[-1]) - end).mean() for key, path in paths.items()}
for k in steps:
    lesson.claim(f"flow.exact_{k}", away["exact", k], "Wasserstein-1", at_most=1.0 / k)
    lesson.number(f"flow.learned_{k}", away["learned", k], "Wasserstein-1", effect=k == 64)
lesson.claim("flow.ratio", away["exact", 16] / away["exact", 64], "16 to 64 steps", at_least=3.5, at_most=4.5)

# %% Steps 7 and 8.  code: slopes of the code.  whole: slopes of the reconstruction.  tied: the decoder has the encoder's weights
digits, images = ta.data.load("digits"), ta.data.load("digits", split="test").images.astype(np.float64)
kinds = {"plain": (0, False, 0), "price_01": (0.1, False, 0), "price_1": (1, False, 0), "tied_1": (1, True, 0), "denoiser": (0, False, 0.2 * noise)}
models = {name: train(lambda kind=kind: Contractive(*kind, rng.stream("digits")), digits, epochs // 3, 100, 1e-2) for name, kind in kinds.items()}
for name, model in models.items():
    lesson.number(f"code.{name}", contraction(model.encoder.weight, model.encoder.bias, images).data.mean(), "squared slopes")
    lesson.number(f"whole.{name}", model.slopes(images).mean(), "squared slopes", effect=name == "denoiser")
    lesson.number(f"mse.{name}", ((model.reconstruct(images).data - images) ** 2).mean(), "per pixel")
for s in (0.01, 0.1, 0.3, 1.0):
    moved = (plain := models["plain"]).reconstruct(np.tile(images, (10, 1)) + s * rng.stream("small").normal((3970, 64), np.float64)).data
    ratio = ((moved - np.tile(plain.reconstruct(images).data, (10, 1))) ** 2).sum() / (s**2 * 10 * plain.slopes(images).sum())
    lesson.claim(f"small.ratio_{100 * s:03.0f}", ratio, "measured / slopes", at_most=1.03, at_least=0.97 if s == 0.01 else 0)
lesson.microscope(ta.microscope.trace(one.loss, x[:4, None], rng.stream("page")))

# %% The figure
figure = Figure(figsize=(12, 4), layout="constrained")
left, middle, right = figure.subplots(1, 3)
left.fill_between(grid, p / p.max() * 5, color="lightgray", label="p_s (scaled)")
left.plot(grid, score(grid, S), color="gray", linewidth=3, label="exact score")
left.plot(grid, one.score(grid, S), color="tab:blue", linewidth=1, label="learned, (r - y) / s^2")
left.set(title="the step of a denoiser, noise 0.3", xlabel="y", ylabel="score (per unit of y)", xlim=(-2.5, 3), ylim=(-15, 15))
for way in ways:
    middle.loglog(steps, [away[way, k] for k in steps], "o-", label=f"{way} score")
middle.set(title="from noise 5 to noise 0.05", xlabel="steps", ylabel="Wasserstein-1 to the exact density (units of y)")
right.plot(np.geomspace(5, 0.05, 65), paths["learned", 64][:, 20::60], color="tab:orange", linewidth=0.7)
right.set(title="33 points walk, learned score", xlabel="noise", ylabel="y", xscale="log", xlim=(5, 0.05), ylim=(-6, 6))
left.legend(fontsize="small")
middle.legend(fontsize="small")
lesson.figure(figure, "score.png", "Left: the learned score lies on the exact one. Middle: distances fall with steps. Right: points walk apart.")
lesson.finish(binarisation="grey")

# %% [markdown]
# ## What surprised us
# - The steps' error falls as predicted, but with the learned score the distance falls less, for that score has an error of its own.
#   With one step it may even land *nearer* than the exact score: one number of one setting proves nothing.
# - With $\lambda$ = 1 the squared slopes of the code are tens of times smaller, of the whole reconstruction only several times: the
#   decoder takes back what the encoder gave. With tied weights both fall alike, and the error shows the honest price.
# - Noise of 0.2 without a penalty contracts both, as step 8 says. At noise 1, step 8 predicts about twice what is measured.
# ## Exercises
# 1. **Do.** $x$ is $a$ or $-a$. Derive the best denoiser in closed form, and write it: `denoise_two_points`.
# 2. **Break.** Write the best denoiser of the training points alone: for small $s$ error and slopes are 0 there: `memorise`.
# 3. **Extend.** Two slopes for each step of diffusion in place of one, so that the path may bend: `heun_step`.
# ## Conventions
# Mean squared error; the loss on digits is summed over pixels, `mse` is per pixel. $s$ is a standard deviation. Squared slopes: all
# squared derivatives, summed. Digits: grey in [0, 1], means over test images. `microscope.html` shows one pass line by line.
# ## References
# Robbins 1956, "An empirical Bayes approach to statistics". Miyasawa 1961, "An empirical Bayes estimator of the mean of a normal
# population". Vincent 2011, "A connection between score matching and denoising autoencoders". Rifai et al. 2011, "Contractive auto-
# encoders". Alain and Bengio 2014, "What regularized auto-encoders learn from the data-generating distribution". Song et al. 2021,
# "Score-based generative modeling through stochastic differential equations".
