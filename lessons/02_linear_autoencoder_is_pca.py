# %% [markdown]
# # Lesson 2: The linear autoencoder is PCA
#
# **Goal.** Train a linear autoencoder on digits, and land on what eigenvalues (step 1) say beforehand: its error must be the one
# that they predict, **times 1.000, within 0.002**, and its outputs must lie in the predicted subspace (step 2), to less than 1
# degree.
#
# ## Picture
#
#     x  --- A --->  z  --- B --->  x'          x: 64 pixels, z: k numbers (the code), x': 64 pixels again
#         encoder       decoder                 A and B are tables of numbers (weights): no bends anywhere
#
#     64 axes of the data, sorted by variance:  ########  #######  ######  ####  ###  ##  ##  #  #  #  .  .  .
#                                               '-------- k kept --------'  '---- left out: the error ----'
#
# An autoencoder is a map that must give its input back through a narrow place. The figure `spectrum.png`, made at the end, shows
# the errors of three of them on the curve that the eigenvalues draw, and the escape from a wrong answer.
# ## Derivation
# 1. An image is a column $x$ of $D = 64$ numbers; the mean of all $N$ images has been subtracted. Their *covariance* is the table
#    $C = \frac{1}{N} \sum_n x_n x_n^T$ ($D$ by $D$; $^T$ turns rows into columns). A direction $u$ of length 1 with
#    $C u = \lambda u$ is an *eigenvector*; its *eigenvalue* $\lambda = u^T C u$, the mean of $(u^T x)^2$, is the variance of the
#    data along $u$. Since $C$ is symmetric, it has $D$ eigenvectors at right angles, and $C = \sum_i \lambda_i u_i u_i^T$. Sorted,
#    $\lambda_1 \ge \lambda_2 \ge \ldots$, the $u_i$ are the axes of PCA, principal component analysis.
# 2. Let the $k$ columns of $Q$ have length 1, at right angles: they span a $k$-dimensional *subspace*, all sums of their multiples.
#    Its nearest point to $x$ is $Q Q^T x$, and what is left is at right angles to it: by Pythagoras the square of its length is
#    $|x|^2 - |Q^T x|^2$. On average over the images, with the $C$ of step 1,
# $$\frac{1}{N} \sum_n |x_n - Q Q^T x_n|^2 = \sum_i \lambda_i - \sum_i \lambda_i w_i, \qquad w_i = |Q^T u_i|^2 .$$
#    $w_i$, the square of the part of $u_i$ in the subspace, is between 0 and 1, and $\sum_i w_i = k$, the sum of all squares in
#    $Q$. So for the least error the first $k$ of the $w_i$ should be 1, the others 0: **the least error is the sum of the
#    eigenvalues left out**. No map whose outputs lie in $k$ dimensions does better (Eckart and Young), for it can at best give the
#    nearest point.
# 3. The linear autoencoder: $z = A x$, $x' = B z$, with $A$ ($k$ by $D$), $B$ ($D$ by $k$). Its *loss*, to be made small, is
#    $L = \frac{1}{N} \sum_n |r_n|^2$ with $r_n = B A x_n - x_n$. Change $B$ by $dB$: $L$ changes by
#    $\frac{2}{N} \sum_n r_n^T dB z_n$. The *gradient* $g_B$ collects what stands beside each entry of $dB$; $g_A$ does the same for
#    $A$. Now insert $r_n$, with $I$ the identity, the table that changes nothing:
# $$g_B = \frac{2}{N} \sum_n r_n z_n^T = 2 (B A - I) C A^T, \; g_A = \frac{2}{N} \sum_n B^T r_n x_n^T = 2 B^T (B A - I) C .$$
#    The data come in through $C$ alone: two data sets with one covariance train the same network.
# 4. Where does training stop? Suppose that no column of $B$ is a sum of multiples of the others, and that no eigenvalue is 0. Then
#    $g_A = 0$ means $B^T (B A - I) = 0$. So what is left, $x - B A x$, is at right angles to the columns of $B$: $B A x$ is the
#    point of their span nearest to $x$, and $A = (B^T B)^{-1} B^T$. Now $g_B = 0$, times $B^T B$ from the right, is
#    $B A C B = C B$: $C$ maps that span into itself. So it is the span of $k$ eigenvectors, **any** $k$ of the $D$: every choice is
#    a stop, only one is PCA (if $\lambda_k > \lambda_{k+1}$).
# 5. The others are *saddles*: flat, but downhill somewhere. Let $u_i$ be kept, $u_j$ left out, $\lambda_j > \lambda_i$. Let the
#    decoder's column $u_i$ become $u_i + b u_j$, the encoder's row $u_i^T$ become $u_i^T + a u_j^T$, with $a$ and $b$ tiny. If
#    $x_i$ and $x_j$ are the parts of $x$ along the two axes, the code is $x_i + a x_j$, and the error is $a x_j$ along $u_i$,
#    $b x_i - (1 - a b) x_j$ along $u_j$. So these two axes give the loss $\lambda_j a^2 + \lambda_i b^2 + \lambda_j (1 - a b)^2$.
#    Its slopes are, to first order in $a$ and $b$,
# $$g_a = 2 \lambda_j (a - b), \qquad g_b = 2 (\lambda_i b - \lambda_j a) .$$
#    A step of gradient descent, $a \to a - \eta g_a$, $b \to b - \eta g_b$, with the *learning rate* $\eta$, multiplies both by one
#    factor, $1 + \eta s$, if $b / a = 1 + s / (2 \lambda_j)$ and $s$ solves
#    $s (s + 2 \lambda_i + 2 \lambda_j) = 4 \lambda_j (\lambda_j - \lambda_i)$:
# $$s = \sqrt{(\lambda_j - \lambda_i)^2 + 4 \lambda_j^2} - \lambda_i - \lambda_j > 0 .$$
#    So along this way out $a$ and $b$ grow at every step, and the loss falls. Baldi and Hornik add the case of a $B$ whose columns
#    depend on each other. In all, **the only minimum is PCA**.
# 6. Any $k$ by $k$ table $M$ that can be inverted gives $B A = (B M^{-1}) (M A)$: the outputs are the same. So the weights are
#    *not* the axes.
# 7. *Weight decay* adds $\gamma (|A|^2 + |B|^2)$ to the loss, the sums of squares. Training now stops where $g_A = -2 \gamma A$ and
#    $g_B = -2 \gamma B$. But $g_A A^T = B^T g_B$ always (step 3), so $A A^T = B^T B$: encoder and decoder have the same size. One
#    axis that the encoder multiplies by $a$ and the decoder by $b = a$, with $m = a b$, costs $\lambda (1 - m)^2 + 2 \gamma m$,
#    least at $m = 1 - \gamma / \lambda$, or at 0 if $\lambda < \gamma$. So each axis has a size of its own: if
#    $\gamma < \lambda_k$, then $B = U S R$, where the columns of $U$ are the axes, $S$ is diagonal with the numbers
#    $\sqrt{1 - \gamma / \lambda_i}$, and $R$ is a rotation (Kunin and others).
# %% Settings.  The short form: --fast.  Another seed: --seed 3.  All of them: --help.
import numpy as np
from matplotlib.figure import Figure

import tinyae as ta
from tinyae import course

lesson = course.begin(2)
rng, steps = ta.rng(lesson.seed), 1600 if lesson.fast else 2500


# %% [markdown]
# ## Code
# The step numbers are those of the derivation. An image is a row here, as everywhere in NumPy, so x is (N, D); `lr` is the learning
# rate.
# %%
def principal_axes(x):
    """Steps 1 and 2.  x: (N, D), centred.  Returns C, the eigenvalues from the largest to the smallest, and the axes as columns."""
    covariance = x.T @ x / len(x)
    eigenvalues, axes = np.linalg.eigh(covariance)  # in increasing order
    return covariance, eigenvalues[::-1], axes[:, ::-1]


def weight_gradients(covariance, encoder, decoder):
    """Step 3.  covariance: (D, D), encoder: (k, D), decoder: (D, k).  Returns g_A and g_B."""
    slope = 2 * (decoder @ encoder - np.eye(len(covariance))) @ covariance
    return decoder.T @ slope, slope @ encoder.T


def descend(covariance, encoder, decoder, steps, lr, momentum=0.0, decay=0.0, watch=lambda encoder, decoder: None):
    """Gradient descent by hand; momentum: the share of the last step that is kept.  Returns both weights and what `watch` saw."""
    step_a, step_b, seen = 0.0, 0.0, []
    for _ in range(steps):
        seen.append(watch(encoder, decoder))
        g_a, g_b = weight_gradients(covariance, encoder, decoder)
        step_a = momentum * step_a + g_a + 2 * decay * encoder  # step 7
        step_b = momentum * step_b + g_b + 2 * decay * decoder
        encoder, decoder = encoder - lr * step_a, decoder - lr * step_b
    return encoder, decoder, seen


def largest_angle(columns, others):
    """How far, in degrees, a direction in the span of one can be from the other span: its sine is the most that can stick out."""
    q, p = np.linalg.qr(columns)[0], np.linalg.qr(others)[0]
    return np.degrees(np.arcsin(min(1.0, np.linalg.norm(q - p @ (p.T @ q), ord=2))))


# %% [markdown]
# ## Check
# The gradients of step 3, on random numbers, against the engine (the library's own derivatives), finite differences and a complex
# step (lesson 0).
# %% Step 3, four ways
x, encoder, decoder = (rng.stream("check", i).normal(shape, np.float64) for i, shape in enumerate([(7, 5), (3, 5), (5, 3)]))
g_a, g_b = weight_gradients(x.T @ x / len(x), encoder, decoder)
weights, by_hand = {"encoder": encoder, "decoder": decoder}, {"encoder": g_a, "decoder": g_b}
lesson.gradients("loss", lambda a, b: ta.ops.square(x @ a.T @ b.T - x).sum(axis=-1).mean(), weights, by_hand)

# %% Steps 1 and 2 on 1,400 digits: the error of the best k directions, measured and summed
train, test = (ta.data.load("digits", split=split).images.astype(np.float64) for split in ("train", "test"))
train, test = train - train.mean(axis=0), test - train.mean(axis=0)
covariance, eigenvalues, axes = principal_axes(train)
lesson.claim("check.angle", largest_angle(axes[:, :2], axes[:, [0, 2]]), "degrees", at_least=89.999)  # one axis shared, one not
for k in (2, 8, 16):
    measured = np.square(train @ axes[:, :k] @ axes[:, :k].T - train).mean()
    lesson.claim(f"check.left_out_k{k}", abs(measured * 64 / eigenvalues[k:].sum() - 1), "relative error", at_most=1e-12)

# %% Step 5: a start at the second and third axis, where the gradient is zero, and one a millionth beside it
wrong, lr = axes[:, 1:3], 0.1
kept, missing = map(float, eigenvalues[[2, 0]])
s = float(np.hypot(missing - kept, 2 * missing)) - kept - missing
lesson.claim("saddle.gradient", max(np.abs(g).max() for g in weight_gradients(covariance, wrong.T, wrong)), "per weight", at_most=1e-13)

# %% [markdown]
# ## Prediction
# Written before the run. By step 2 the mean squared error per pixel is the sum of the eigenvalues left out, divided by 64: **the
# ratio is 1.000 for each k.** By step 5 a start that is a millionth beside the wrong axes leaves them by a known factor a step, in
# a known direction, and by step 4 it ends at PCA. By step 7 training with weight decay finds each single axis. Your guess of the
# error for k = 8: ______ And if the encoder is bent, $z = \tanh(A x)$ (a smooth step from -1 to 1): better than PCA, or worse? Your
# guess: ______
# %%
for k in (2, 8, 16):
    lesson.predict(f"mse.k{k}", eigenvalues[k:].sum() / 64, "per pixel")
lesson.predict("escape.growth", 1 + lr * s, "factor a step")
lesson.predict("escape.direction", ratio := 1 + s / (2 * missing), "b / a")
lesson.predict("escape.end", eigenvalues[2:].sum(), "loss")


# %% [markdown]
# ## Experiment
# First the library's autoencoder, with no layer besides $A$ and $B$, by gradient descent with momentum (a share of the last step is
# kept), on all 1,400 images at once. It has biases too (numbers added to $z$ and $x'$); with the mean subtracted they have nothing
# to do. The control run (`--control`) leaves the encoder random.
# %%
def trained(k, bend=False):
    """An autoencoder trained on `train`; bend: with tanh after the encoder.  Its decoder is linear in any case."""
    with lesson.device():
        model = ta.models.Autoencoder(features=64, latent=k, hidden=(), rng=rng.stream("weights", k))
        if bend:
            model.encoder = ta.nn.Sequential(*model.encoder, ta.nn.Tanh())
        if lesson.control:
            model.encoder.freeze()
        sgd, x = ta.optim.SGD(model.parameters(), lr=0.03, momentum=0.98), ta.backend.to_device(train.astype(np.float32))
        for _ in range(steps):
            value = model.loss(x).loss
            sgd.zero_grad()
            value.backward()
            sgd.step()
    return model.to("numpy")


measured = {}
for k in (2, 8, 16):
    model = trained(k)
    decoder, best = model.decoder[-1].weight.numpy().astype(np.float64), float(eigenvalues[k:].sum()) / 64
    measured[k] = [np.square(model.reconstruct(images) - images).mean() for images in (train, test)]
    lesson.claim(f"mse.k{k}", measured[k][0], "per pixel", at_least=0.998 * best, at_most=1.002 * best, effect=True)
    lesson.claim(f"ratio.k{k}", measured[k][0] / best, "of PCA's error", at_least=0.998, at_most=1.002, effect=True)
    lesson.claim(f"angle.k{k}", largest_angle(decoder, axes[:, :k]), "degrees", at_most=1, effect=True)
    on_test = np.square(test @ axes[:, :k] @ axes[:, :k].T - test).mean()
    lesson.claim(f"ratio.test_k{k}", measured[k][1] / on_test, "of PCA's error", at_least=0.99, at_most=1.01, effect=True)
    turned = np.degrees(np.arccos(np.abs(decoder.T @ axes[:, :k]).max(axis=1) / np.linalg.norm(decoder, axis=0)))
    lesson.claim(f"columns.k{k}", turned.max(), "degrees to the nearest axis", at_least=10 if k > 2 else 0.1)
lesson.microscope(ta.microscope.trace(model.loss, train[:100].astype(np.float32)))

# %% A bend in the encoder alone
bent = np.square(trained(8, bend=True).reconstruct(train) - train).mean() * 64 / eigenvalues[8:].sum()
lesson.claim("bend.ratio_k8", bent, "of PCA's error", at_least=1)

# %% Step 5: the escape.  a and b: what the row and column of the third axis, which leave fastest, have of the first
start, largest = [w + 1e-6 * rng.stream("beside", i).normal(w.shape, np.float64) for i, w in enumerate((wrong.T, wrong))], axes[:, 0]
encoder, decoder, path = descend(covariance, *start, 2000, lr, watch=lambda a, b: (a[1] @ largest, b[:, 1] @ largest))
a, b = np.abs(path).T
first, last = np.argmax(b > 1e-5), np.argmax(b > 1e-3)
end = ((train @ encoder.T @ decoder.T - train) ** 2).sum(axis=1).mean()
growth = (b[last] / b[first]) ** (1 / (last - first))
lesson.claim("escape.growth", growth, "factor a step", at_least=1 + 0.98 * lr * s, at_most=1 + 1.02 * lr * s)
lesson.claim("escape.direction", b[last] / a[last], "b / a", at_least=ratio - 0.002, at_most=ratio + 0.002)
lesson.claim("escape.end", end, "loss", at_most=1.0001 * float(eigenvalues[2:].sum()))
lesson.number("escape.steps", np.argmax(b > 0.5), "steps until b is 0.5")

# %% Step 7: weight decay, from random weights
decay, k = 0.1, 8
starts = [rng.stream("decay", i).normal(shape, np.float64) / 8 for i, shape in enumerate([(k, 64), (64, k)])]
for name, gamma in (("without", 0.0), ("with", decay)):
    encoder, decoder, _ = descend(covariance, *starts, 4000, lr=0.03, momentum=0.98, decay=gamma)
    columns, sizes, _ = np.linalg.svd(decoder, full_matrices=False)
    turned = max(min(largest_angle(columns[:, [j]], axes[:, [i]]) for j in range(k)) for i in range(k))  # the nearest, in any order
    lesson.claim(f"decay.worst_axis_{name}", turned, "degrees", **({"at_most": 1} if gamma else {"at_least": 10}))
lesson.claim("decay.sizes", np.abs(sizes - np.sqrt(1 - decay / eigenvalues[:k])).max(), "off the prediction", at_most=1e-6)
lesson.claim("decay.balance", np.abs(encoder - decoder.T).max(), "encoder - decoder^T", at_most=1e-6)

# %% The figure
figure = Figure(figsize=(9, 4.2), layout="constrained")
left, right = figure.subplots(1, 2)
left.plot(range(33), [eigenvalues[k:].sum() / 64 for k in range(33)], color="gray", label="eigenvalues left out / 64")
for split, (label, marker) in enumerate((("autoencoder, training images", "o"), ("autoencoder, test images", "x"))):
    left.plot(list(measured), [pair[split] for pair in measured.values()], marker, label=label)
left.set(title="the error is what is left out", xlabel="width k of the code", ylabel="mean squared error per pixel", ylim=(0, None))
right.semilogy(b, label="b, measured")
right.semilogy(range(last), b[first] * (1 + lr * s) ** (np.arange(last) - first), "--", label="growth predicted by step 5")
right.set(title="the escape from a wrong pair of axes", xlabel="steps of gradient descent", ylabel="part of the largest axis in a decoder column")
for panel in (left, right):
    panel.legend()
lesson.figure(figure, "spectrum.png", alt="Left: three errors on the curve of the eigenvalues. Right: a straight line up from a millionth to one.")
lesson.finish(binarisation="grey")

# %% [markdown]
# ## What surprised us
# - A bend in the encoder alone **cannot** help: `bend.ratio_k8` is 1 or more for every seed. The reason is in step 2: the decoder
#   is linear, so the outputs lie in $k$ dimensions, whatever makes the code. To beat PCA the decoder must bend (lesson 3).
# - Right error and right subspace, and still no axis in sight: some column of the decoder is far from every axis, by tens of
#   degrees for k = 8 and 16 (`columns`). So a picture of one column says nothing about the data.
# - A millionth of noise is enough to leave a saddle, but it takes about a thousand steps (`escape.steps`): with `escape.growth` it
#   takes as many to grow a million times. A loss that seems to have stopped falling may sit beside a saddle.
# ## Exercises
# 1. **Do.** `weighted_gradients`: step 3 where some pixels count more than others.
# 2. **Break.** `wrong_stop`: weights at which the gradient is zero and the loss is *not* the least, for any covariance.
# 3. **Extend.** `least_loss_with_decay`: the least loss of step 7, a number, also where $\gamma$ exceeds some eigenvalues.
#
# Check yours with `tinyae exercise 2 FILE`. Beside the figure, `microscope.html` shows one pass line by line.
# ## Conventions
# The loss is the squared error, summed over pixels, mean over images; `mse` is per pixel, the loss divided by 64. Pixels are grey,
# 0 to 1, less the training mean. Weights have shape (outputs, inputs). Test images take no part in training or axes.
# ## References
# - C. Eckart, G. Young, 1936, The approximation of one matrix by another of lower rank.
# - H. Bourlard, Y. Kamp, 1988, Auto-association by multilayer perceptrons and singular value decomposition.
# - P. Baldi, K. Hornik, 1989, Neural networks and principal component analysis: learning from examples without local minima.
# - D. Kunin, J. Bloom, A. Goeva, C. Seed, 2019, Loss landscapes of regularized linear autoencoders.
