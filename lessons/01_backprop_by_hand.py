# %% [markdown]
# # Lesson 1: Backprop by hand
#
# **Goal.** Write every gradient of an autoencoder by hand, and bring the loss of ten digits from 44.4 to **0.01 nats** (step 5).
#
# ## Picture
#
#     values, to the right:      x --3--> t --4--> h --3--> a --5--> q --5--> p --5--> r --5--> loss
#                                  W, b     tanh     V, c      exp     1/(1+q)   log     sum, mean
#     cotangents, to the left:   g_x <--- g_t <--- g_h <--- g_a <--- g_q <--- g_p <--- g_r <---- 1
#
# The numbers are those of the steps below; a *cotangent* is a derivative of the loss. An *autoencoder* is asked to give back its
# own input $x$, through a *hidden layer* of numbers $h$. `microscope.html` shows this picture with numbers, line by line.
# ## Derivation
# A *batch* $x$ is $N$ images of $D$ pixels, an array $(N, D)$. The *loss* is one number that says how badly they are given back.
# For each value $y$ on the way, its *cotangent* $g_y$, of $y$'s shape, is the derivative of the loss by $y$. Steps reuse letters.
#
# 1. **Vector times Jacobian.** Let $y = f(x)$, and $J$ its *Jacobian*, the matrix of all $\partial y_i / \partial x_j$. By the
#    chain rule $g_{x,j} = \sum_i g_{y,i} \, \partial y_i / \partial x_j$, a row vector times a matrix: $g_x = g_y J$. Take
#    $y = (x_1 x_2, \ x_2 + x_3^2)$ at $x = (2, 3, 5)$, and let $g_y = (1, -1)$; then $g_x = (3, \ 2 - 1, \ -10)$:
# $$J = \begin{pmatrix} x_2 & x_1 & 0 \\ 0 & 1 & 2 x_3 \end{pmatrix} = \begin{pmatrix} 3 & 2 & 0 \\ 0 & 1 & 10 \end{pmatrix}$$
#    *Backprop* is this product, line after line of the program, from the last to the first. It never builds a $J$.
# 2. **Three rules are enough.** Where $y = f(x)$ works *entry by entry*, $g_x = g_y f'(x)$. Where a value is *used more than once*
#    (copied, or broadcast along an axis), add what comes back. Where values are *summed*, every summand gets a copy of $g_y$. The
#    last two are each other's mirror image.
# 3. **Linear layer**, $t = x W^T + b$, makes $H$ numbers of an image, with *weights* $W$ of shape $(H, D)$ and a *bias* $b$ of
#    shape $(H)$. In pieces it is the products $P_{nkj} = x_{nj} W_{kj}$, summed over $j$, plus $b_k$. On the way back each
#    $P_{nkj}$ gets $g_{t,nk}$. $W_{kj}$ and $b_k$ were used for each image, so add over $n$; $x_{nj}$ was used for each $k$, so add
#    over $k$. Three products of matrices do it:
# $$g_W = g_t^T x \qquad g_x = g_t W \qquad g_b = \sum_n g_{t,n}$$
# 4. **Tanh**, $h = m / s$ with $m = u - v$, $s = u + v$, $u = e^t$, $v = e^{-t}$. Back: $g_m = g_h / s$, $g_s = -g_h h / s$,
#    $g_u = g_m + g_s$, $g_v = g_s - g_m$, and $t$ was used twice: $g_t = g_u u - g_v v = g_m s + g_s m$. That is
# $$g_t = g_h (1 - h^2)$$
# 5. **Bernoulli likelihood**, for pixels that are 0 or 1. The last layer gives *logits* $a = h V^T + c$: a pixel is 1 with
#    probability $p = 1 / (1 + q)$, the *sigmoid* of $a$; $q = e^{-a}$. An image's loss $r$ is minus its log-probability,
#    $-\sum [x \log p + (1 - x) \log(1 - p)]$, a sum over its pixels, in *nats* (the unit of natural logarithms). Back:
#    $g_p = g_r [(1-x) / (1-p) - x / p]$, $g_q = -g_p p^2$, $g_a = -g_q q$. As $pq = 1-p$,
# $$g_a = g_r (1 - x) p - g_r x (1 - p) = g_r (p - x)$$
# 6. **Gaussian likelihood**, for pixels that are any number: mean $m$, variance $e^l$ with $l$ the log-variance. An image costs
#    minus the logarithm of its normal density, $\sum [\log 2 \pi + l + d^2 w] / 2$ nats, with $d = x - m$ and $w = e^{-l}$. Back:
#    $g_d = g_r d w$, $g_w = g_r d^2 / 2$, and
# $$g_m = -g_d = g_r (m - x) e^{-l} \qquad g_l = \frac{g_r}{2} - g_w w = \frac{g_r}{2} \left[1 - (x - m)^2 e^{-l}\right]$$
# 7. **Batch normalisation** gives each column of $t$ mean 0 and variance 1 over the batch, so that the next layer always gets
#    numbers of one size. Sums and means are over the batch, $\epsilon$ is small: $d = t - \text{mean}(t)$, $v = \text{mean}(d^2)$,
#    $s = (v + \epsilon)^{-1/2}$, $n = d s$. Back: $g_s = \sum g_n d$, $g_v = -g_s s^3 / 2$, $g_d = g_n s + 2 g_v d / N$,
#    $g_t = g_d - \text{mean}(g_d)$. With $d = n / s$ and $\text{mean}(n) = 0$:
# $$g_t = s \left[ g_n - \text{mean}(g_n) - n \, \text{mean}(g_n n) \right]$$
# 8. **One step.** Let $g$ be the *gradient*: the cotangents of all weights in one vector. *Gradient descent* moves the weights by
#    $-\eta g$; $\eta$ is the *learning rate*. Along this line the loss is a function of $\eta$ whose slope at 0 is $-|g|^2$ and
#    whose second derivative, the curvature, is $g^T H g$; $H$ is now the table of second derivatives (*Hessian*). By Taylor:
# $$\text{drop} = \eta |g|^2 - \frac{\eta^2}{2} g^T H g + \dots$$
# %% Settings.  The short form: --fast.  Another seed: --seed 3.  All of them: --help.
import numpy as np
from matplotlib.figure import Figure

import tinyae as ta
from tinyae import course, ops

lesson = course.begin(1)
rng, updates, D, H, RATE = ta.rng(lesson.seed), 12_000 if lesson.fast else 40_000, 64, 32, 0.3


# %% [markdown]
# ## Code
# First `forward` computes every value of the picture, and `backward` goes back through them piece by piece. `w` holds the weights
# by name, `v` the values. `rng.stream(name)` draws random numbers, the same for the same name and seed. `lesson.claim` prints a
# number with limits that must hold, `lesson.number` one that is compared with runs of other seeds.
# %%
def forward(w, x):
    """Steps 3 to 5.  x: (N, D) of zeros and ones.  Returns every value by name."""
    t = (x[:, None, :] * w["W"]).sum(axis=2) + w["b"]  # 3: P is (N, H, D)
    u, v = np.exp(t), np.exp(-t)  # 4
    m, s = u - v, u + v
    h = m / s
    a = (h[:, None, :] * w["V"]).sum(axis=2) + w["c"]  # 3, once more
    q = np.exp(-a)  # 5
    p = 1 / (1 + q)
    r = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum(axis=1)
    loss = r.mean()
    return {name: value for name, value in locals().items() if name not in ("w", "x")}


def backward(w, x, v):
    """The same lines from the last to the first.  v: what `forward` returned.  Returns every cotangent by name."""
    n, p, q, h, s = len(x), v["p"], v["q"], v["h"], v["s"]
    g_r = np.full((n, 1), 1 / n)  # a mean: each of n values gets 1 / n
    g_p = g_r * ((1 - x) / (1 - p) - x / p)  # 5
    g_q = -g_p * p**2
    g_a = -g_q * q
    g_V, g_h, g_c = (g_a[:, :, None] * h[:, None, :]).sum(axis=0), (g_a[:, :, None] * w["V"]).sum(axis=1), g_a.sum(axis=0)  # 3
    g_m, g_s = g_h / s, -g_h * h / s  # 4
    g_u, g_v = g_m + g_s, g_s - g_m
    g_t = g_u * v["u"] - g_v * v["v"]
    g_W, g_x, g_b = (g_t[:, :, None] * x[:, None, :]).sum(axis=0), (g_t[:, :, None] * w["W"]).sum(axis=1), g_t.sum(axis=0)  # 3
    return {name[2:]: value for name, value in locals().items() if name[:2] == "g_"}


def loss_and_gradient(w, x):
    """The same by the earned shortcuts, the displayed formulas.  Returns the loss, and its gradient by each weight."""
    h = np.tanh(x @ w["W"].T + w["b"])
    a = h @ w["V"].T + w["c"]
    loss = (np.logaddexp(0, a) - x * a).sum(axis=1).mean()  # log(1 + e^a) - x a: what step 5 costs, and no logarithm of 0
    g_a = (np.exp(-np.logaddexp(0, -a)) - x) / len(x)  # 5: p without an overflow, less x
    g_t = (g_a @ w["V"]) * (1 - h**2)  # 3, 4
    return loss, {"W": g_t.T @ x, "b": g_t.sum(axis=0), "V": g_a.T @ h, "c": g_a.sum(axis=0)}


def batch_norm_backward(g_n, t, epsilon=1e-5):
    """Step 7, in pieces and by the shortcut.  g_n, t: (N, H).  Returns g_t twice."""
    d = t - t.mean(axis=0)
    s = ((d**2).mean(axis=0) + epsilon) ** -0.5
    n = d * s
    g_v = -(g_n * d).sum(axis=0) * s**3 / 2
    g_d = g_n * s + 2 * g_v * d / len(t)
    return g_d - g_d.mean(axis=0), s * (g_n - g_n.mean(axis=0) - n * (g_n * n).mean(axis=0))


# %% [markdown]
# ## Check
# Each rule against the engine (`ops` and `ta` do by program what we do by hand; a Tensor is an array that remembers how it was
# made), against *differences*, $(f(x + h) - f(x - h)) / 2h$, and against a *complex step*, the imaginary part of $f(x + ih) / h$
# (more in lesson 0). Then the pieces against the shortcuts.
# %%
normal = lambda name, *shape: rng.stream("check", name).normal(shape, np.float64)  # noqa: E731
f = lambda x: ops.stack([x[0] * x[1], x[1] + x[2] ** 2])  # noqa: E731
lesson.gradients("example", f, {"x": np.array([2.0, 3.0, 5.0])}, {"x": np.array([3.0, 1.0, -10.0])}, np.array([1.0, -1.0]))
x, W, b, g = normal("x", 4, 5), normal("W", 3, 5), normal("b", 3), normal("g", 4, 3)
lesson.gradients("linear", lambda x, W, b: x @ W.T + b, {"x": x, "W": W, "b": b}, {"x": g @ W, "W": g.T @ x, "b": g.sum(axis=0)}, g)
lesson.gradients("tanh", ops.tanh, {"t": x}, {"t": (g @ W) * (1 - np.tanh(x) ** 2)}, g @ W)
m, v, g = normal("m", 4, 5), normal("v", 4, 5), normal("g", 4)
by_hand = {"m": g[:, None] * (m - x) * np.exp(-v), "v": g[:, None] * (1 - (x - m) ** 2 * np.exp(-v)) / 2}  # v is the log-variance
lesson.gradients("gaussian", lambda m, v: ops.gaussian_nll(m, v, x), {"m": m, "v": v}, by_hand, g)
g, (pieces, shortcut) = m, batch_norm_backward(m, x)
lesson.gradients("batch_norm", lambda t: ops.batch_norm(t, np.ones(5), np.zeros(5), eps=1e-5), {"t": x}, {"t": shortcut}, g)
lesson.claim("pieces.batch_norm", np.abs(pieces - shortcut).max(), "largest difference", at_most=1e-12)


def network(W, b, V, c):
    """The loss in operations of the engine, which run on arrays and on Tensors."""
    h = ops.tanh(small @ W.T + b)
    p = 1 / (1 + ops.exp(-(h @ V.T + c)))
    return -(small * ops.log(p) + (1 - small) * ops.log(1 - p)).sum(axis=-1).mean()


small, w = (x > 0).astype(np.float64), {"W": W, "b": b, "V": normal("V", 5, 3), "c": normal("c", 5)}
(loss, gradient), values = loss_and_gradient(w, small), forward(w, small)
lesson.gradients("network", network, w, gradient)
lesson.claim("pieces.loss", max(abs(values["loss"] - loss), abs(network(**w) - loss)), "largest difference", at_most=1e-12)
pieces = backward(w, small, values)
lesson.claim("pieces.network", max(np.abs(pieces[k] - gradient[k]).max() for k in w), "largest difference", at_most=1e-12)
lesson.microscope(ta.microscope.trace(network, *(ta.Tensor(value, requires_grad=True) for value in w.values())))


# %% [markdown]
# ## Prediction
# Three formulas. With weights near 0 the logits are near 0: each pixel costs $\log 2$, and the first loss is $D \log 2$. Step 8
# says how far one step goes: if its series is cut after the first term, the error grows like $\eta^2$, after the second like
# $\eta^3$. And the end? When all pixels are nearly right, the cotangents $p - x$ are about as small as the loss $L$, and so is
# $|g|$, which is made of them. By step 8 the $n$-th step of training then takes about $k L^2$ away, with $k$ nearly a constant, and
# the equation $dL/dn = -k L^2$ has the solution $L = 1 / (k n)$: **twice the steps, half the loss**, a slope of $-1$ on logarithmic
# axes. Your guess of the loss after 1,000 steps: ______ nats.
# %%
def moved(w, direction, rate):
    """The weights after a step of this rate against a direction."""
    return {name: w[name] - rate * direction[name] for name in w}


def curvature(w):
    """(|g|^2, g'Hg) at w.  Hg is how fast the gradient changes along g: a difference of two gradients."""
    g = loss_and_gradient(w, x)[1]
    ahead, behind = (loss_and_gradient(moved(w, g, rate), x)[1] for rate in (-1e-4, 1e-4))
    return sum((v**2).sum() for v in g.values()), sum((g[name] * (ahead[name] - behind[name])).sum() for name in w) / 2e-4


x = ta.data.load("digits", split="train", binarisation="threshold").take(slice(0, 10), rng).astype(np.float64)
start = {name: 0.02 * rng.stream("start", name).normal(shape, np.float64) for name, shape in (("W", (H, D)), ("V", (D, H)))}
start |= {"b": np.zeros(H), "c": np.zeros(D)}
larger = {name: 10 * value for name, value in start.items()}
lesson.predict("start.loss", D * np.log(2), "nats")
squared, bent = curvature(larger)
lesson.predict("drop.measured", predicted := float(0.01 * squared - 0.01**2 / 2 * bent), "nats")
for name, slope in (("drop.order_of_first_error", 2), ("drop.order_of_second_error", 3), ("end.slope", -1)):
    lesson.predict(name, slope, "log-log slope")


# %% [markdown]
# ## Experiment
# First one step at many rates, from weights ten times as large (`drop.measured` is at the rate 0.01). Then many steps at the rate
# 0.3, from the small weights: 4,192 weights learn ten images by heart, which says nothing of other images.
# %%
def descend(w, rate, purpose):
    """One step of gradient descent on x.  Returns the loss before it, and the new weights."""
    loss, g = loss_and_gradient(w, x)
    if lesson.control:  # as far in a random direction
        chance = {name: rng.stream("control", purpose, name).normal(value.shape, np.float64) for name, value in g.items()}
        share = np.sqrt(sum((v**2).sum() for v in g.values()) / sum((v**2).sum() for v in chance.values()))
        g = {name: share * v for name, v in chance.items()}
    return loss, moved(w, g, rate)


rates = np.append(np.logspace(-3.5, -2.5, 10), [0.01, *np.linspace(0.015, 0.3, 40)])
drops = np.array([loss_and_gradient(larger, x)[0] - loss_and_gradient(descend(larger, rate, 0)[1], x)[0] for rate in rates])
first, both = rates * squared, rates * squared - rates**2 / 2 * bent
lesson.claim("start.loss", loss_and_gradient(start, x)[0], "nats", at_least=44.2, at_most=44.5)
lesson.number("drop.first_term", first[10], "nats")
lesson.claim("drop.measured", drops[10], "nats", at_least=0.993 * predicted, at_most=1.007 * predicted, effect=True)  # needs both terms
for name, terms, order in (("first", first, 2), ("second", both, 3)):
    slope = np.polyfit(np.log(rates[:10]), np.log(np.abs(drops - terms)[:10]), 1)[0]
    lesson.claim(f"drop.order_of_{name}_error", slope, "log-log slope", at_least=order - 0.2, at_most=order + 0.2, effect=True)
lesson.number("start.curvature", curvature(start)[1] / curvature(start)[0], "g'Hg / |g|^2")
losses, w = np.zeros(updates), start
for update in range(updates):
    losses[update], w = descend(w, RATE, update)
late = np.arange(updates // 4, updates)
lesson.number("end.slope", np.polyfit(np.log(late), np.log(losses[late]), 1)[0], "log-log slope", effect=True)
lesson.number("end.after_1000", losses[1000], "nats", effect=True)
lesson.claim("end.loss", losses[-1], "nats", at_most=0.01, effect=True)


# %% The figure
figure = Figure(figsize=(9, 4), layout="constrained")
left, right = figure.subplots(1, 2)
for values, line, label in ((drops, "o", "measured"), (first, "--", "first term"), (both, "-", "both terms")):
    left.plot(rates, values, line, markersize=3, label=label)
left.set(title="how far one step goes", xlabel="learning rate", ylabel="drop of the loss (nats)", ylim=(-1, 1.3 * both.max()))
right.loglog(np.arange(1, updates), losses[1:], label="ten images, gradients by hand")
right.loglog(late, losses[late[0]] * late[0] / late, "--", label="slope -1")
right.axhline(D * np.log(2), color="gray", linewidth=1, label="64 log 2")
right.set(title="in the end, half for twice the steps", xlabel="step", ylabel="loss (nats per example)")
for axes in (left, right):
    axes.legend(fontsize="small")
lesson.figure(figure, "steps.png", alt="Left: drop of the loss over the rate, a line and a parabola. Right: loss over the steps, in the end a line.")
lesson.finish(binarisation="threshold")

# %% [markdown]
# ## What surprised us
# - The rule $p - x$ has no fraction left. It is the safer code too: `forward` takes the logarithm of 0 where $p$ rounds to 1.
# - Near small weights the curvature along the gradient has either sign, from seed to seed (`start.curvature`): where two layers
#   multiply each other the loss bends up one way and down another, as on a *saddle*. Weights ten times as large make it positive.
# - The slope at the end (`end.slope`) is nearly the $-1$ of an argument that knows nothing of layers.
# ## Exercises
# 1. **Do.** Write `normalise_backward(gy, x)`: each row is divided by its length, $y = x / |x|$. Derive it in pieces, as step 7.
# 2. **Break.** Write `hiding_cotangent(n)`. Whoever takes the mean and the variance in step 7 for constants gets $g_t = s g_n$,
#    which is wrong. Choose a $g_n$, not 0, that hides the error.
# 3. **Extend.** Write `tied_gradients(x, W, b, c)`: the decoder uses $V = W^T$, the encoder's own weights for a second time.
# ## Conventions
# Loss in nats per example: summed over pixels, mean over the batch. Weights have shape (out, in). A pixel is 1 above 0.5.
# ## References
# Rumelhart, Hinton, Williams 1986, Learning Representations by Back-Propagating Errors. Ioffe, Szegedy 2015, Batch Normalization.
# Soudry and others 2018, The Implicit Bias of Gradient Descent on Separable Data (for the slope at the end).
