# %% [markdown]
# # Lesson 4: Sparse codes, and features in superposition
#
# **Goal.** Points of 16 numbers are sums of a few out of 32 directions, the *features*. Find the features without being told: **at
# least 30 of 32**, each with a cosine above 0.9 to a direction that was found.
#
# ## Picture
#
#     32 features, nearly all 0               16 numbers                  64 codes, most of them 0
#     f = (0, 0.7, 0, ..., 0.2)  --- D f -->  x  ---- encoder, relu --->  h  --- W h --->  about x
#        what made x                          what we see                 what we hope is f again
#
# A *dictionary* is a matrix whose columns are directions; a *code* says how much of each column is in $x$. With more columns than
# dimensions (*overcomplete*; the features are then in *superposition*), many codes make the same $x$. We want a *sparse* one: few
# entries are not 0.
# ## Derivation
# $x$: a point. $W$: a dictionary, its columns $w$. $h$: a code. $\|x\|$: the length of $x$. $^T$ turns rows into columns. $\lambda$
# (lambda): the price of a code. A *gradient* $g_y$ is the derivative of the loss in $y$, an array of $y$'s shape.
#
# 1. The number of entries that are not 0, the *L0* of a code, has no useful slope. The sum of absolute values, *L1*, has one. The
#    loss of a code: $L(h) = \|x - W h\|^2 + \lambda \sum_i |h_i|$.
# 2. Let $W$ be orthonormal: square, $W^T W = I$ (1 on the diagonal, else 0). It keeps lengths, so with $a = W^T x$ the loss is
#    $\sum_i (a_i - h_i)^2 + \lambda |h_i|$: each entry can be chosen by itself. Where $h_i > 0$, the slope
#    $-2 (a_i - h_i) + \lambda$ vanishes at $h_i = a_i - \lambda / 2$; where $h_i < 0$, at $a_i + \lambda / 2$. If neither has the
#    right sign, 0 is best. With $s = \lambda / 2$ this is the *soft threshold* $S(a, s) = \mathrm{sign}(a) \max(|a| - s, 0)$. L1
#    makes small entries 0 and **shrinks every other one by exactly $\lambda / 2$**.
# 3. For any other $W$, walk. The squared error has the gradient $g = 2 W^T (W h - x)$, and its second derivative is nowhere more
#    than $c = 2 \sigma^2$, if $W$ makes no vector more than $\sigma$ times longer. So for any other code $h'$ it is at most the
#    parabola that touches it at $h$. Up to a constant this is $\sum_i (h_i - g_i / c - h_i')^2 c / 2$. Put the parabola in its
#    place and divide by $c / 2$: this is step 2 with the price $2 \lambda / c$. So the next code is $S(h - g / c, \lambda / c)$,
#    and the loss never grows. If codes must not be below 0, it is $\max(h - (g + \lambda) / c, 0)$. At the end $g_i = -\lambda$ if
#    $h_i > 0$, else $g_i \ge -\lambda$.
# 4. *The L1 cheat.* Divide the encoder by 10, multiply $W$ by 10. Since relu(a) = max(a, 0), all codes become 10 times smaller; the
#    reconstruction is what it was, the penalty a tenth. So L1 means nothing unless the columns of $W$ have length 1.
# 5. Train any $v$, and use $w = v / n$ with $n = \|v\|$. Then $dw = dv / n - v (v \cdot dv) / n^3$. So
#    $g_w \cdot dw = g_v \cdot dv$ with $g_v = (g_w - w (w \cdot g_w)) / n$: $g_w$ without the part along $w$, which only changes
#    lengths.
# 6. A *sparse autoencoder* does not walk, it guesses: $h = \mathrm{relu}(E x + t)$, one layer with weights $E$ and thresholds $t$.
#    Backward, for $N$ points: the error $r = W h - x$ gets $g_r = 2 r / N$. Then $g_W = \sum g_r h^T$ and
#    $g_h = W^T g_r + \lambda / N$; $a = E x + t$ gets the same cotangent, but 0 where $h = 0$; $g_E = \sum g_a x^T$,
#    $g_t = \sum g_a$. *Top-k*, in place of a price: the $k$ largest codes of a point stay (here 2), the others are made 0.
# %% Settings.  The short form: --fast.  Another seed: --seed 3.  All of them: --help.
import numpy as np
from matplotlib.figure import Figure

import tinyae as ta
from tinyae import course, nn, ops

lesson = course.begin(4)
rng, epochs = ta.rng(lesson.seed), 36 if lesson.fast else 160
PRICE = 0.2
price = 0.0 if lesson.control else PRICE  # what finds the features; the control run trains without it


# %% [markdown]
# ## Code
# The numbers are those of the derivation. Points (M numbers) and codes (F numbers) are rows: x (N, M), h (N, F), W (M, F).
# %%
def walk(x, W, price, steps=500):
    """Step 3: the codes >= 0 of least loss for the dictionary W.  Returns (N, F)."""
    h, c = np.zeros((len(x), W.shape[1])), 2 * np.linalg.norm(W, 2) ** 2
    for _ in range(steps):
        h = np.maximum(h - (2 * (h @ W.T - x) @ W + price) / c, 0)
    return h


def unit(v):
    """Step 5: the columns of v with length 1."""
    return v / (v * v).sum(axis=0, keepdims=True) ** 0.5


def unit_backward(g_w, v):
    """Step 5, backward.  g_w, v: (M, F)."""
    n, w = np.linalg.norm(v, axis=0), unit(v)
    return (g_w - w * (w * g_w).sum(axis=0)) / n


def backward(v, E, t, x, price):
    """Step 6: the gradients of the loss in v, E and t."""
    W, h = unit(v), np.maximum(x @ E.T + t, 0)
    g_r = 2 * (h @ W.T - x) / len(x)
    g_a = (g_r @ W + price / len(x)) * (h > 0)
    return {"v": unit_backward(g_r.T @ h, v), "E": g_a.T @ x, "t": g_a.sum(axis=0)}


class SparseAutoencoder(nn.Module):
    """Step 6.  free: without step 5.  keep: top-k, and how many."""

    def __init__(self, features, units, price, rng, free=False, keep=None):
        self.price, self.free, self.keep = price, free, keep
        start = unit(rng.normal((features, units)))
        self.v, self.E, self.t = nn.Parameter(start), nn.Parameter(start.T), nn.Parameter(np.zeros(units, np.float32))

    def dictionary(self):
        return self.v if self.free else unit(self.v)

    def codes(self, x):
        h = ops.relu(ops.linear(x, self.E, self.t))
        return h if self.keep is None else h * (h.data >= ops.top_k(h.data, self.keep)[0][:, -1:])

    def loss(self, x):
        h = self.codes(x)
        return ((h @ self.dictionary().T - x) ** 2).sum(axis=1).mean() + self.price * h.sum(axis=1).mean()


# %% [markdown]
# ## Check
# Gradients by hand, by the engine, by differences, and by a complex step where there is no kink (relu: at 0). The gradient that
# comes in is random: ones would hide a sum over the wrong axis. Then step 2 against a search, and step 3 with an orthonormal $W$.
# %% Gradients, and the soft threshold
v, E, t, x, g_w = (rng.stream("check", i).normal(shape, np.float64) for i, shape in enumerate(((4, 6), (6, 4), 6, (5, 4), (4, 6))))
small, by_hand = SparseAutoencoder(4, 6, PRICE, rng), backward(v, E, t, x, PRICE)
lesson.gradients("unit", unit, {"v": v}, {"v": unit_backward(g_w, v)}, cotangent=g_w)
lesson.gradients("loss", lambda v, E, t: vars(small).update(v=v, E=E, t=t) or small.loss(x), {"v": v, "E": E, "t": t}, by_hand, analytic=False)
a, W = rng.stream("codes").normal((50, 4), np.float64), np.linalg.qr(rng.stream("orthonormal").normal((4, 4), np.float64))[0]
tried, S = np.linspace(-5, 5, 10_001), np.sign(a) * np.maximum(np.abs(a) - PRICE / 2, 0)
found = tried[((a[..., None] - tried) ** 2 + PRICE * np.abs(tried)).argmin(axis=-1)]
lesson.claim("check.search", np.abs(found - S).max(), "distance", at_most=1e-3)
lesson.claim("check.walk", np.abs(walk(a @ W.T, W, PRICE) - np.maximum(S, 0)).max(), "distance", at_most=1e-9)

# %% [markdown]
# ## Prediction
# For $\lambda$ = 0.2. A feature is active (not 0) in one point of twenty, then uniform in [0, 1]. Your guess: 0.05 finds ____ of
# 32.
# - Along the features a point needs one or two codes, along other directions more. So **all 32 are found**: an expectation, no
#   theorem. *PCA* (principal components, lesson 2) has 16 directions at right angles, as features are not. It finds almost none.
# - Let one feature $d$ be in $x$ alone, of size $f$. With the true dictionary $f - \lambda / 2$ of it is made (step 2). The rest,
#   $\lambda / 2$ of $d$, gives the other columns $g_i = -\lambda$ times a cosine, which is no less than $-\lambda$. So the walk
#   ends there (step 3), and its result is 0.1 too small. Top-k has no price, so it should not shrink.
# - If features were at right angles, each would lose min(f, 0.1), in the mean square 0.05 (0.01 times 0.9, plus 0.001 / 3). The
#   variance of a feature is 1/60 - 1/1600. So 2.9% stay *unexplained*: squared error over squared distance from the mean.
# %% The formulas
lesson.predict("features.found", 32, "of 32")
for way in ("walk_true", "walk_learned", "encoder", "top_k"):
    lesson.predict(f"shrinkage.{way}", PRICE / 2 if way != "top_k" else 0.0, "length")
s, p = PRICE / 2, 0.05
lesson.predict("unexplained.walk_true", p * (s**2 * (1 - s) + s**3 / 3) / (p / 3 - p**2 / 4), "of variance")


# %% [markdown]
# ## Experiment
# First digits, 64 pixels and 128 codes: what does sparsity cost? (In the names, $\lambda$ is in thousandths.) Then the cheat of
# step 4. Then the superposition data, where one can see whether what is found is *right*. `microscope.html`: one pass line by line.
# %% Digits: lambda against L0 and error
def train(data, units, price, epochs, batch_size, lr, **kind):
    """A sparse autoencoder, trained on the lesson's device, then in NumPy."""
    with lesson.device():
        model = SparseAutoencoder(data.features, units, price, rng.stream("weights"), **kind)
        falling = {"lr": ta.optim.linear(lr, 0, epochs)}
        ta.fit(model, data, epochs=epochs, batch_size=batch_size, seed=lesson.seed, schedules=falling, progress=False)
    return model.to("numpy")


digits, images = ta.data.load("digits"), ta.data.load("digits", split="test").images
prices, rows = (0.0, 0.01, 0.03, 0.1, 0.3), []
for number in prices:
    model = train(digits, 128, number, epochs // 2, 100, 5e-3)
    h, W = model.codes(images).data, model.dictionary().data
    rows.append([(h > 0).sum(axis=1).mean(), ((h @ W.T - images) ** 2).mean(), h.sum(axis=1).mean()])
    lesson.number(f"l0.lambda_{1000 * number:03.0f}", rows[-1][0], "codes of 128")
    lesson.number(f"mse.lambda_{1000 * number:03.0f}", rows[-1][1], "per pixel")
l0, mse, l1 = np.array(rows).T
lesson.claim("check.trade", min(-np.diff(l0).max(), np.diff(mse).min()), "smallest step", at_least=0)

# %% Step 4: what training makes of free columns, and what the cheat gains without any training
free = train(digits, 128, 0.1, epochs // 2, 100, 5e-3, free=True)
codes, before = float(free.codes(images).data.sum(axis=1).mean()), free.loss(images).item()
lesson.number("cheat.l1_unit", l1[3], "sum of codes")
lesson.number("cheat.l1_free", codes, "sum of codes")
lesson.number("cheat.column_length", np.linalg.norm(free.v.data, axis=0).mean(), "mean length")
for weight, factor in ((free.v, 10), (free.E, 0.1), (free.t, 0.1)):
    weight.assign(weight.data * np.float32(factor))
lesson.claim("check.cheat", abs(before - free.loss(images).item() - 0.1 * 0.9 * codes), "of the loss", at_most=1e-4)

# %% Superposition: training with the price, without, with a quarter of it, and top-k.  dead: units always 0
data, test = (ta.data.toy("superposition", n, rng.stream(split), split) for split, n in (("train", 10_000), ("test", 2_000)))
x, f, D = test.images.astype(np.float64), test.factors, data.truth.dictionary
settings = {"features": (price, None), "without": (0.0, None), "quarter": (PRICE / 4, None), "top_k": (0.0, 2)}
models = {name: train(data, 64, price, epochs, 200, 1e-2, keep=keep) for name, (price, keep) in settings.items()}
cosines = {name: (D.T @ model.dictionary().data).max(axis=1) for name, model in models.items()}
cosines["random"] = (D.T @ unit(rng.stream("random").normal((16, 64)))).max(axis=1)
cosines["pca"] = np.abs(D.T @ np.linalg.eigh(np.cov(data.images.T))[1]).max(axis=1)
lesson.claim("features.found", (cosines["features"] > 0.9).sum(), "of 32", at_least=30, effect=True)
lesson.claim("features.mean_cosine", cosines["features"].mean(), "of the best", at_least=0.95, effect=True)
for name, (least, most) in {"without": (0, 3), "random": (0, 3), "pca": (0, 3), "quarter": (5, 26), "top_k": (28, 32)}.items():
    lesson.claim(f"{name}.found", (cosines[name] > 0.9).sum(), "of 32", at_least=least, at_most=most)
    lesson.number(f"{name}.mean_cosine", cosines[name].mean(), "of the best")
for (name, model), (least, most) in zip(models.items(), ((2, 6), (16, 64), (6, 16), (1.2, 2)), strict=True):
    h = model.codes(test.images).data
    lesson.claim(f"{name}.l0", (h > 0).sum(axis=1).mean(), "codes of 64", at_least=least, at_most=most, effect=name == "features")
    lesson.number(f"{name}.dead", (h.max(axis=0) == 0).sum(), "units of 64")
lesson.number("true.l0", (f > 0).sum(axis=1).mean(), "features of 32")

# %% Shrinkage, where one feature is alone and above 0.3 (so that none is shrunk to 0); and what is left unexplained
W = models["features"].dictionary().data.astype(np.float64)
true, learned = walk(x, D, PRICE), walk(x, W, PRICE)
slope = 2 * (true @ D.T - x) @ D + PRICE  # 0 or more everywhere, 0 where a code is above 0 (step 3)
lesson.claim("check.walk_ended", max(np.abs(slope[true > 0]).max(), -slope.min()) / PRICE, "of lambda", at_most=0.05)
made = {"walk_true": true @ D.T, "walk_learned": learned @ W.T, "encoder": models["features"].codes(x).data @ W.T}
made |= {way: models[way].codes(x).data @ models[way].dictionary().data.T for way in ("top_k", "without")}
alone = (f > 0.3) & ((f > 0).sum(axis=1, keepdims=True) == 1)
along = {way: (y @ D)[alone] for way, y in made.items()}
lesson.claim("shrinkage.walk_true", (f[alone] - along["walk_true"]).mean(), "length", at_least=0.099, at_most=0.101)
for way in ("walk_learned", "encoder", "top_k"):
    lesson.number(f"shrinkage.{way}", (f[alone] - along[way]).mean(), "length", effect=way == "encoder")
for way, y in made.items():
    lesson.number(f"unexplained.{way}", ((y - x) ** 2).sum() / ((x - x.mean(axis=0)) ** 2).sum(), "of variance", effect=way == "encoder")
lesson.microscope(ta.microscope.trace(models["features"].loss, test.images[:4]))

# %% The figure.  Left: digits, a dot for each lambda.  Middle: a dot for each test point with one feature.  Right: cosines, sorted.
figure = Figure(figsize=(12, 4), layout="constrained")
left, middle, right = figure.subplots(1, 3)
left.plot(l0, mse, "o-", markersize=4)
for number, count, error in zip(prices, l0, mse, strict=True):
    left.annotate(f"  {number:g}", (count, error), va="bottom")
left.set(title="digits: codes and error (dots: lambda)", xlabel="codes above 0 (of 128)", ylabel="squared error per pixel", xmargin=0.12)
middle.plot([0.1, 1], [0, 0.9], "--", [0, 1], [0, 1], "-", color="gray", linewidth=1)  # shrunk by lambda / 2, and not shrunk
for way, label in (("walk_learned", "walk"), ("encoder", "encoder"), ("top_k", "top-k encoder")):
    middle.plot(f[alone], along[way], ".", markersize=3, label=label)
middle.set(title="one feature alone (dashed: lambda / 2 less)", xlabel="length of the feature", ylabel="its length in the reconstruction")
for name, label in zip(models | {"pca": 0}, (f"lambda {price:g}", "lambda 0", f"lambda {PRICE / 4:g}", "top-k", "PCA"), strict=True):
    right.plot(np.arange(1, 33), np.sort(cosines[name])[::-1], ".-", markersize=4, label=label)
right.set(title="superposition: are the features found?", xlabel="feature, best first", ylabel="cosine of its nearest column", ylim=(0, 1.02))
middle.legend(fontsize="small")
right.legend(fontsize="small")
lesson.figure(figure, "features.png", "Left: error falls as codes grow. Middle: encoder shrinks more than walk. Right: 0.2 and top-k find most.")
lesson.finish(binarisation="grey")

# %% [markdown]
# ## What surprised us
# - **The encoder's shrinkage was predicted wrong**: it is 1.3 to 1.6 times $\lambda / 2$. The walk with the *same* dictionary
#   shrinks by $\lambda / 2$. The rest is the encoder's own, and the encoder leaves more than twice as much unexplained. Our
#   explanation: only a higher threshold keeps out the shadows that others throw on a feature's direction, and it cuts all codes;
#   the walk needs none.
# - With a quarter of $\lambda$ many features are missed. Without it almost nothing is unexplained, yet the columns are hardly
#   nearer to the features than random ones. Training, too, finds the cheat of step 4: free columns grow (`cheat`).
# - Top-k finds the features and shrinks far less, though not by 0. But it must be told how many to keep, fails where more are
#   active (`unexplained.top_k`), and about a third of its 64 units are *dead*, 0 for every point.
# ## Exercises
# 1. **Do.** Add $\mu \sum h_i^2$ to the loss of step 2. Derive the best code, and write it: `elastic_code`.
# 2. **Break.** Make the penalty of step 6 smaller by any factor, and keep the reconstruction (step 4): `cheat`.
# 3. **Extend.** Take the shrinkage out: keep *which* codes are above 0, fit their sizes anew by least squares: `refit`.
# ## Conventions
# Loss = squared error, summed over an example's numbers, plus $\lambda$ times the sum of the codes; mean over examples. (With a
# half before the error the shrinkage is $\lambda$.) `mse` is per pixel, of grey values in [0, 1]. All on test examples.
# ## References
# Tibshirani 1996, Regression shrinkage and selection via the lasso. Olshausen, Field 1996, Emergence of simple-cell receptive field
# properties by learning a sparse code for natural images. Daubechies et al. 2004, An iterative thresholding algorithm for linear
# inverse problems with a sparsity constraint. Makhzani, Frey 2014, k-sparse autoencoders. Elhage et al. 2022, Toy models of
# superposition.
