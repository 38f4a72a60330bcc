# %% [markdown]
# # Lesson 3: The nonlinear autoencoder
#
# **Goal.** Bend the layers. Where the answer is known, a code of two numbers must come within **5 percent** of the error that no
# smooth map to two numbers and back avoids: the noise off a surface, 0.06 per point. PCA (lesson 2) with two numbers leaves four
# times that.
#
# ## Picture
#
#     noise off the surface: lost  |  o           x --W1--> tanh --W2--> ... --> z --...--> tanh --> x'
#                                  | /            D numbers, hidden layers, k numbers (the code), and back
#            ,----------------.    |/
#        ,--'  the surface     '---+---. -> noise along the surface: kept, it leads to another point of the surface
#     ,-'                               '-.
#
# At the end `floor.png` shows what was predicted, `code.png` and `between.png` show codes of digits, and `microscope.html` shows
# one pass line by line.
#
# ## Derivation
# 1. Layers: $t_l = h_{l-1} W_l^T$ (plus a bias) and $h_l = f(t_l)$, with $h_0 = x$, a row for each point; the numbers in a row of
#    $h_l$ are the *units* of the layer. $f$ is bent and works on each number alone; the layers that make the code $z$ and the
#    output $x'$ have no $f$. The loss is the mean of $|x' - x|^2$.
# 2. Write $g_y$ for the derivative of the loss in $y$, the *cotangent* of $y$. Through $f$: $g_t = g_h f'(t)$. For
#    $\tanh t = (e^t - e^{-t}) / (e^t + e^{-t})$ the quotient rule gives $f' = 1 - \tanh^2 t = 1 - h^2$. For
#    $\mathrm{relu}(t) = \max(t, 0)$ the slope is 1 above 0 and 0 below. At 0 there is a *kink*: the slope is 0 to the left, 1 to
#    the right, and none at 0 itself. By convention we take 0.
# 3. Through a layer, as in lesson 1: $g_W = g_t^T h_{l-1}$, and for the bias $g_t$ summed over the points. What goes on to the
#    layer below is $g_{h_{l-1}} = g_t W_l$.
# 4. The chain. On its way back from layer $L$ to layer 0 a gradient $g$ is multiplied by $L$ tables. How long is the result? Let
#    the weights be independent, with mean 0 and variance $c / n$, $n$ the width. Each of the $n$ numbers of $g W$ is a sum of
#    variance $|g|^2 c / n$, so the squared length becomes on average $c$ times as large. If the slopes $f'$ have nothing to do with
#    $g$, they multiply this by the mean of $f'^2$. So the length changes by the factor
# $$ \rho = \sqrt{c \cdot \mathrm{mean}(f'^2)} \text{ a layer,} \qquad \text{for relu } \rho = \sqrt{c / 2} , $$
#    because half of the units are off. Only $c = 2$ keeps the length; $c = 1$ leaves a thousandth of it after 20 layers.
# 5. The floor. The points lie on a smooth $d$-dimensional surface in $D$ dimensions, plus noise of variance $\sigma^2$ in each
#    direction, small beside the radius of its bends. The outputs of a decoder of $k = d$ numbers form such a surface too. A wild
#    one could fill the noise; of those as smooth as the true one, the true one is about the best, with each point sent to its
#    nearest place on it. So $d$ directions of the noise are copied, the others lost: **the error is about $\sigma^2 (D - d)$.**
#    With $k = d + 1$ one direction more is copied, and the error is about $\sigma^2 (D - k)$. That is *below* the floor of the
#    truth, and nothing is learnt by it. With $k < d$ there is no formula: a line can wander through a square.
# 6. Our surface, $d = 2$ in $D = 8$: $(\cos a, \sin a, \cos b, \sin b, 0, 0, 0, 0)$, rotated; $a$ and $b$ uniform between $-\pi/2$
#    and $\pi/2$: two half circles. $\cos a$ has mean $2 / \pi$ and variance $1/2 - 4 / \pi^2$, $\sin a$ has the variance $1/2$, and
#    no two of the numbers vary together. So these variances, plus $\sigma^2$, are eigenvalues of the covariance, twice each; the
#    other four are $\sigma^2$. The error of PCA is the sum of the eigenvalues left out (lesson 2).
# %% Settings.  The short form: --fast.  Another seed: --seed 3.  All of them: --help.
import numpy as np
from matplotlib.figure import Figure

import tinyae as ta
from tinyae import course

lesson = course.begin(3)
rng, D, SIGMA = ta.rng(lesson.seed), 8, 0.1
EPOCHS = {"ten": 1000} | ({"surface": 40, "digits": 80, "few": 400} if lesson.fast else {"surface": 120, "digits": 250, "few": 800})  # passes
BENDS = {"tanh": (np.tanh, lambda h: 1 - h * h), "relu": (lambda t: np.maximum(t, 0), lambda h: (h > 0) * 1.0)}  # step 2


# %% [markdown]
# ## Code
# The step numbers are those of the derivation. A *pass* over the data, an epoch, uses every point once.
# %%
def forward(x, weights, bend):
    """Step 1, every layer with its bend, no biases.  weights: (outputs, inputs) each.  Returns all h, x first."""
    hs = [x]
    for w in weights:
        hs.append(BENDS[bend][0](hs[-1] @ w.T))
    return hs


def backward(g, hs, weights, bend):
    """Steps 2 and 3, from the last layer to the first.  g: cotangent of hs[-1].  Returns those of the weights, and of every h."""
    g_weights, g_hs = [], [g]
    for w, h, below in zip(weights[::-1], hs[:0:-1], hs[-2::-1], strict=True):
        g_t = g_hs[0] * BENDS[bend][1](h)  # 2
        g_weights.insert(0, g_t.T @ below)  # 3
        g_hs.insert(0, g_t @ w)  # 3
    return g_weights, g_hs


def surface(n, stream, rotation):
    """Step 6: n points (n, 8)."""
    a, b = stream.stream("angles").uniform((2, n), -np.pi / 2, np.pi / 2, dtype=np.float64)
    flat = np.stack([np.cos(a), np.sin(a), np.cos(b), np.sin(b), *np.zeros((4, n))], axis=1)
    return (flat + SIGMA * stream.stream("noise").normal((n, D), np.float64)) @ rotation.T


def off_surface(x, rotation):
    """Step 5: the mean squared distance of x to the full circles' surface, exactly."""
    y = x @ rotation
    return ((np.hypot(y[:, 0], y[:, 1]) - 1) ** 2 + (np.hypot(y[:, 2], y[:, 3]) - 1) ** 2 + (y[:, 4:] ** 2).sum(axis=1)).mean()


def trained(name, data, k, hidden):
    """An autoencoder with tanh between its layers, trained on data (N, D).  The control run takes the bends away."""
    with lesson.device():
        model = ta.models.Autoencoder(data.shape[1], k, hidden, "tanh", rng=rng.stream("weights", name, k, len(hidden)))
        for bend in [layer for layer in (*model.encoder, *model.decoder) if lesson.control and isinstance(layer, ta.nn.Tanh)]:
            bend.forward = lambda x: x
        lr = ta.optim.cosine(0.02 if name == "surface" else 0.005, 0, EPOCHS[name])  # smaller and smaller steps
        ta.fit(model, data, epochs=EPOCHS[name], batch_size=100, schedules={"lr": lr}, seed=lesson.seed, progress=False)
    return model.to("numpy")


def error(model, x):
    """The mean squared error per number."""
    return np.square(model.reconstruct(x) - x).mean()


def lengths(bend, c, draws=5, depth=20, n=128):
    """The length of g at every layer, geometric mean over draws of the weights, and the factor a layer that step 4 predicts."""
    found, shares = [], []
    for draw in range(draws):
        weights = np.sqrt(c / n) * rng.stream("chain", draw).normal((depth, n, n), np.float64)
        hs = forward(rng.stream("inputs", draw).normal((50, n), np.float64), weights, bend)
        _, g_hs = backward(rng.stream("end", draw).normal((50, n), np.float64), hs, weights, bend)
        found.append([np.log(np.linalg.norm(g)) for g in g_hs])
        shares.append([np.log(c * np.square(BENDS[bend][1](h)).mean()) / 2 for h in hs[1:]])
    return np.exp(np.mean(found, axis=0)), float(np.exp(np.mean(shares)))


def nearest(rows, others):
    """For each row which of `others` is nearest."""
    return np.square(rows[:, None] - others[None]).mean(axis=-1).argmin(axis=1)


# %% [markdown]
# ## Check
# The backward pass of three layers against the engine (the library's own derivatives), differences $(F(w + h) - F(w - h)) / 2 h$
# and, for tanh, which has no kink, a *complex step* (the imaginary part of $F(w + i h) / h$). Then the slope of relu at its kink.
# %% Steps 2 and 3
x, g = rng.stream("check").normal((6, 5), np.float64), rng.stream("cotangent").normal((6, 3), np.float64)
w = {name: rng.stream(name).normal(shape, np.float64) / 2 for name, shape in {"W1": (4, 5), "W2": (2, 4), "W3": (3, 2)}.items()}
for bend, f in (("tanh", ta.ops.tanh), ("relu", ta.ops.relu)):
    weights = list(w.values())
    by_hand = dict(zip(w, backward(g, forward(x, weights, bend), weights, bend)[0], strict=True))
    lesson.gradients(bend, lambda a, b, c, f=f: f(f(f(x @ a.T) @ b.T) @ c.T), w, by_hand, cotangent=g, analytic=bend == "tanh")
t = ta.Tensor(np.zeros(1), requires_grad=True)
lesson.claim("kink.engine", ta.grad(f(t), [t], np.ones(1))[0].data[0], "slope at 0", at_least=0, at_most=0)
lesson.claim("kink.differences", (f(np.array(1e-5)) - f(np.array(-1e-5))) / 2e-5, "slope at 0", at_least=0.499, at_most=0.501)

# %% [markdown]
# ## Prediction
# Steps 5 and 6 predict the error on test points, summed over their 8 numbers. Step 4 predicts the factor a layer: for relu with
# four sizes $c$ of the weights (1/3 is what the library and PyTorch take), and for tanh as soon as the way forward has given the
# mean of $f'^2$. For digits, images of 64 pixels, nobody knows the surface. A guess: on the half circles two bent numbers do the
# work of four straight ones. **So 2 numbers should be as good as PCA with 4, and 8 as PCA with 16.** Your guess: ______
# %%
spectrum = np.repeat([0.5, 0.5 - 4 / np.pi**2, 0, 0], 2) + SIGMA**2
for k, depth in ((1, 0), (2, 0), (3, 0), (2, 1), (2, 2), (3, 1), (3, 2)):
    lesson.predict(f"surface.k{k}_depth{depth}", SIGMA**2 * (D - k) if depth else spectrum[k:].sum(), "per point")
for name, c in (scales := {"one_third": 1 / 3, "one": 1.0, "two": 2.0, "four": 4.0}).items():
    lesson.predict(f"chain.relu_{name}", (c / 2) ** 0.5, "factor a layer")
train, test = (ta.data.load("digits", split=split) for split in ("train", "test"))
mean, images, unseen = train.images.mean(axis=0), train.images, test.images
axes = np.linalg.svd(images - mean, full_matrices=False)[2]  # rows, from the largest variance to the smallest
pca = {k: np.square((unseen - mean) - (unseen - mean) @ axes[:k].T @ axes[:k]).mean() for k in (2, 4, 8, 16)}
for k in (2, 8):
    lesson.predict(f"digits.k{k}", pca[2 * k], "per pixel")

# %% [markdown]
# ## Experiment
# First step 4, before any training: 20 layers of width 128, and the lengths of the gradients on their way back.
# %%
chains = {f"relu_{name}": (lengths("relu", c)[0], (c / 2) ** 0.5) for name, c in scales.items()} | {"tanh_one": lengths("tanh", 1.0)}
lesson.predict("chain.tanh_one", chains["tanh_one"][1], "factor a layer")
for name, (g, factor) in chains.items():
    lesson.claim(f"chain.{name}", (g[0] / g[-1]) ** (1 / 20), "factor a layer", at_least=0.97 * factor, at_most=1.03 * factor)

# %% Steps 5 and 6: 2,000 points to train, 2,000 others to test; 0, 1 and 2 hidden layers of 32 each way
rotation = np.linalg.qr(rng.stream("rotation").normal((D, D), np.float64))[0]
points, others = (surface(2000, rng.stream(name), rotation) for name in ("train", "test"))
floor, found = off_surface(others, rotation), {}
lesson.number("surface.exact", floor, "per point")
for depth, k in [(depth, k) for depth in (0, 1, 2) for k in (1, 3, 2)]:  # the last model is 2, 2
    model = trained("surface", points, k, (32,) * depth)
    found[depth, k] = D * error(model, others)
    lesson.number(f"surface.k{k}_depth{depth}", found[depth, k], "per point", effect=depth > 0 and k > 1)
lesson.claim("surface.of_exact", found[2, 2] / floor, "test error / off surface", at_least=0.99, at_most=1.05, effect=True)
lesson.microscope(ta.microscope.trace(model.loss, points[:50].astype(np.float32)))

# %% Digits, one hidden layer each way (64 wide; 128 for the code of 64). Then: is the nearest code one of the same digit?
models = {k: trained("digits", images, k, (width,)) for k, width in ((2, 64), (8, 64), (64, 128))}
for k, model in models.items():
    lesson.number(f"digits.k{k}", error(model, unseen), "per pixel", effect=k < 64)
    lesson.number(f"digits.train_k{k}", error(model, images), "per pixel")
    if k in pca:
        lesson.claim(f"digits.of_pca_k{k}", error(model, unseen) / pca[k], "test error / PCA's", at_most=0.9, effect=True)
codes, unseen_codes = (models[2].encode(x).data for x in (images, unseen))
lesson.number("code.autoencoder", (train.labels[nearest(unseen_codes, codes)] == test.labels).mean(), "of test images")
lesson.claim("code.pca", (train.labels[nearest(unseen @ axes[:2].T, images @ axes[:2].T)] == test.labels).mean(), "of test images", at_most=0.6)
ends = unseen_codes[:200].reshape(2, 100, 2)  # from 100 images to 100 others, half way: decoded there, or mixed as pixels
for name, middle in {"code": models[2].decode(ends.mean(axis=0)).data, "pixels": models[2].decode(ends).data.mean(axis=0)}.items():
    lesson.number(f"middle.{name}", np.square(middle - images[nearest(middle, images)]).mean(), "to a real image", effect=name == "code")

# %% How much is learnt by heart?  Ten images, a hundred, and test images with shuffled pixels
lesson.claim("few.ten", error(trained("ten", images[:10], 8, (64,)), images[:10]), "per pixel", at_most=1e-4, effect=True)
for k, width in ((2, 64), (8, 64), (64, 128)):
    model = trained("few", images[:100], k, (width,))
    lesson.number(f"few.test_k{k}", error(model, unseen), "per pixel")
    lesson.number(f"few.gap_k{k}", error(model, unseen) / error(model, images[:100]), "test error / training error")
shuffled = unseen[:, rng.stream("shuffle").permutation(64)]
for k in (8, 64):
    lesson.number(f"shuffled.k{k}", error(models[k], shuffled), "per pixel")

# %% The figures
figure = Figure(figsize=(9, 4.2), layout="constrained")
left, right = figure.subplots(1, 2)
for depth, marker in enumerate("os^"):
    left.semilogy((1, 2, 3), [found[depth, k] for k in (1, 2, 3)], marker, label=f"{depth} hidden layers each way")
left.semilogy((2, 3), [SIGMA**2 * (D - k) for k in (2, 3)], "k_", markersize=30, markeredgewidth=2, label="floor, predicted")
left.semilogy((1, 2, 3), [spectrum[k:].sum() for k in (1, 2, 3)], "_", color="tab:blue", markersize=30, label="PCA, predicted")
left.set(title="error on test points", xlabel="width k of the code", ylabel="squared error per point", xticks=(1, 2, 3), xlim=(0.5, 3.5))
for name, (g, factor) in chains.items():
    dots = right.semilogy(g / g[-1], "o", markersize=3, label=name.replace("_", ", c = ", 1).replace("_", " "))[0]
    right.semilogy(factor ** np.arange(20, -1, -1), color=dots.get_color(), linewidth=1)
right.set(title="lines: predicted (tanh: on average)", xlabel="layer", ylabel="length of the gradient, that at layer 20 = 1")
for panel in (left, right):
    panel.legend(fontsize="small", markerscale=0.5)
lesson.figure(figure, "floor.png", alt="Left: errors for k = 1, 2, 3 at predicted marks. Right: gradients over 20 layers on predicted lines.")
figures = ta.figures.posterior_means(models[2], unseen, test.labels), ta.figures.interpolation(models[2], unseen[:5], unseen[100:105], (8, 8), 9)
lesson.figure(figures[0], "code.png", alt="The two-number codes of the test images, one colour for each digit: some digits stand apart.")
lesson.figure(figures[1], "between.png", alt="Rows of images: decoded along the straight line from one test image's code to another's.")
lesson.finish(binarisation="grey")

# %% [markdown]
# ## What surprised us
# - Three numbers beat the truth: on test points too the error for $k = 3$ is below the exact distance from the surface
#   (`surface.exact`), as step 5 says. Noise was copied; a smaller error is not a better model. With two hidden layers each way, one
#   number does about the work of PCA's two.
# - Our guess for digits was near for 2 numbers (in the full form the error is even less) and wrong for 8. Yet against PCA with as
#   many numbers, 8 numbers gain no less than 2 (`digits.of_pca`). Half way between two codes (`middle.code`) the decoder's image is
#   nearer to a real one than the mean of both images is. The nearest code is of the same digit more often than PCA's (`code`),
#   though no label was shown.
# - The code of 64 has the least test error by far and knows digits least: 64 pixels fit into 64 numbers, whatever they show.
#   Shuffled pixels cost it less than half of what they cost the code of 8. After training on only 100 images (`few`), the gap
#   between test and training error grows with $k$, but the test error itself falls.
#
# ## Exercises
# 1. **Do.** `leaky_backward`: an encoder and a decoder with biases and leaky relus (slope 0.1 below 0), back to $x$.
# 2. **Break.** `dead_network`: a relu autoencoder with a large loss, and gradients of 0 for all its weights but the last bias.
# 3. **Extend.** `weight_variance`: by step 4, for leaky relus, the variance of the weights that makes a gradient as long as is
#    wanted.
#
# ## Conventions
# The loss is the squared error, summed over the numbers of a point, mean over points; `surface` is that sum, `digits` and `few` are
# per pixel. Grey pixels, 0 to 1. Weights have shape (outputs, inputs). Errors are on test data unless `train` is said.
#
# ## References
# G. Hinton, R. Salakhutdinov, 2006, Reducing the dimensionality of data with neural networks. T. Hastie, W. Stuetzle, 1989,
# Principal curves. K. He, X. Zhang, S. Ren, J. Sun, 2015, Delving deep into rectifiers.
