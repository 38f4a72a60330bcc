# %% [markdown]
# # Lesson 9: Find the bug: eight wrong losses by their symptoms
#
# **Goal.** Eight losses of a VAE (variational autoencoder, lesson 6) have one wrong line each. All pass gradient checks, all train.
# Name them, and the right one among them, by what they do: **9 of 9.** The picture has each bug's name in brackets, at its place.
#
# ## Picture
#
#     x -> encoder -> mean, log_variance -> z = mean + deviation * noise -> decoder -> logits -> reconstruction --+-> loss
#                         |                      (deviation) (no_noise)     (double_sigmoid)  (pixel_mean)        |
#                         |                                (shared_noise)                                         |
#                         +---------- KL (latent_mean) (no_half) (sign) ------------------------------------------+
#
# ## Derivation
# An encoder gives each image the mean $m$ and the log-variance $l$ of $q(z|x)$, a normal distribution over $J$ *latents*, numbers
# $z$ that describe it; its variance is $v = e^{l}$. A decoder gives a *logit* $a$ for each of $D$ pixels: it is 1 with probability
# $\sigma(a) = 1 / (1 + e^{-a})$. The loss is -ELBO, an upper bound on $-\log p(x)$ in *nats* (natural logarithms): the
# *reconstruction* $R$, the mean of $-\log p(x|z)$, plus the *KL* divergence $K$, $(m^2 + v - l - 1)/2$ summed over the latents.
# 1. **A gradient check sees nothing.** It asks whether code is the derivative of a formula. For the wrong formula $K / J$ any
#    engine returns its gradients, $m / J$ and $(e^{l} - 1) / (2 J)$.
# 2. **Hidden weights.** A KL divided by $J$ (`latent_mean`) is a KL of weight $\beta = 1 / J$; without its half (`no_half`) it has
#    $\beta = 2$. With $R$ divided by $D$ (`pixel_mean`) the loss is $(R + D K) / D$. For Adam, the optimiser, which divides slopes
#    by their usual size, that is $\beta = D$. Code that says $R + \beta K$ exceeds the true $R + K$ by $(\beta - 1) K$.
# 3. **Nothing in z** (`pixel_mean`). With $\beta = D$ a nat of KL costs $D$ nats. It tells at most a nat about each of $D$ pixels,
#    so it saves no more, and KL = 0 is cheapest. The decoder can then only learn how often each pixel is on, its frequency $p_d$.
#    What is left is the cross entropy, $-\sum_d (x_d \log p_d + (1 - x_d) \log(1 - p_d))$.
# 4. **Sign flipped** (`sign`). A KL has no upper bound, so $R - K$ no lower one. A right loss is above $-\log p(x)$, so above 0.
# 5. **Double sigmoid.** With $\sigma(a)$ in place of the logit, probabilities lie between $\sigma(0) = 1/2$ and $\sigma(1) = 0.73$.
#    A pixel that is on costs at least $-\log \sigma(1)$, one that is off $\log 2$. The sum of these is a floor, reached if z tells
#    every pixel. If z tells nothing, a pixel's best probability is $p_d$ of step 3, moved into these bounds. The second case is
#    what we predict.
#    $$\text{floor} = \sum_d \left( - x_d \log \sigma(1) + (1 - x_d) \log 2 \right)$$
# 6. **No noise.** The reconstruction does not see $l$, the KL alone does: $(v - l - 1)/2$ has its minimum at $v = 1$.
# 7. **A scale that nobody sees.** Multiply all $z$ by $c$ ($m \to c m$, $l \to l + 2 \log c$) and divide the decoder's first
#    weights by $c$: the reconstruction stays. At $c = 1$ the loss has, in $c$, the slope $\beta \sum (m^2 + v - 1)$. Where training
#    ends it is 0, for any $\beta$: on average $m^2 + v = 1$ (but a small $\beta$ pulls weakly). A sampler that takes $e^{l}$ for
#    its deviation (`deviation`) needs $l \to l + \log c$ instead: on average $m^2 + v/2 = 1/2$.
# 8. **One noise for the batch** (`shared_noise`), the $N$ images of a step, changes no mean. If one image's loss has the variance
#    $V$, their mean has $V / N$ with noise of their own, up to $V$ with one for all: it jumps $\sqrt{N}$ times as far at most.

# %% Settings.  The short form: --fast.  Another seed: --seed 3.  All of them: --help.
import numpy as np
from matplotlib.figure import Figure

import tinyae as ta
from tinyae import course, ops

lesson = course.begin(9)
rng, epochs, J, D = ta.rng(lesson.seed), 20 if lesson.fast else 100, 8, 64
BUGS = "right deviation latent_mean no_half pixel_mean sign no_noise double_sigmoid shared_noise".split()
WEIGHT = {"latent_mean": 1 / J, "no_half": 2, "sign": -1}  # of the KL, step 2


# %% [markdown]
# ## Code
# The loss with its eight wrong lines, by the names in `BUGS`. In a control run they are switched off: nobody is guilty.


# %%
class Suspect(ta.models.VAE):
    """A VAE whose loss may have a bug."""

    def loss(self, x, noise=None, rng=None):
        """The terms as this code reports them, in what it takes for nats per example.  x: (N, D).  noise: (N, J)."""
        bug = "right" if lesson.control else self.bug
        e, q = self.draw_noise(len(x), noise, rng), self.encode(x)
        e = e[:1] + 0 * e if bug == "shared_noise" else 0 * e if bug == "no_noise" else e
        z = q.mean + ops.exp(q.log_variance if bug == "deviation" else q.log_variance / 2) * e
        logits = ops.sigmoid(self.decode(z)) if bug == "double_sigmoid" else self.decode(z)
        reconstruction = ops.bce_with_logits(logits, self.rows(x)).mean() / (D if bug == "pixel_mean" else 1)
        kl = ops.kl_standard_normal(q.mean, q.log_variance).mean() * WEIGHT.get(bug, 1)
        return ta.models.Terms(reconstruction + kl, reconstruction + kl, reconstruction, kl)


def make(bug, scale=1.0):
    """A suspect in float64; the first weights are the same for all, here times `scale`."""
    model = Suspect(D, J, (64,), activation="tanh", rng=rng.stream("weights")).astype(np.float64)
    model.bug = bug
    [p.assign(scale * p.data) for p in model.parameters()]
    return model


def account(model, x, draws=20 if lesson.fast else 40):
    """What the model's own code reports and -ELBO by right code, each (draws,); their distance in standard errors; the KLs, (N, J)."""
    with ta.no_grad():
        m, log_v = (array.data for array in (model.encode(x).mean, model.encode(x).log_variance))
        kl = (m**2 + np.exp(log_v) - log_v - 1) / 2
        noises = [[rng.stream("account", draw, i).normal(m.shape, np.float64) for draw in range(draws)] for i in range(2)]
        own = np.array([model.loss(x, noise=e).loss.item() for e in noises[0]])
        true = [ops.bce_with_logits(model.decode(m + np.exp(log_v / 2) * e).data, x).mean() + kl.sum(axis=1).mean() for e in noises[1]]
    return own, np.array(true), (own.mean() - np.mean(true)) / np.hypot(own.std(), np.std(true)) * np.sqrt(draws - 1), kl


# %% [markdown]
# ## Check
# The gradient of step 1's wrong KL, by hand and three more ways, for a random *cotangent* (what multiplies the result; ones would
# hide a wrong sum). Then all weights of each wrong loss grow and shrink a little: the backward pass against differences.

# %%
(m, log_v, gy), wrong_kl = (rng.stream("check", i).normal((5, 3), np.float64) for i in range(3)), lambda *q: ops.kl_standard_normal(*q) / 3
gy, by_hand = gy[:, 0], {"mean": gy[:, :1] * m / 3, "log_variance": gy[:, :1] * (np.exp(log_v) - 1) / 6}
lesson.gradients("latent_mean", wrong_kl, {"mean": m, "log_variance": log_v}, by_hand, gy)
train, test = (ta.data.load("digits", split=split, binarisation="threshold") for split in ("train", "test"))
x, x_train = (data.take(slice(0, len(data)), rng).astype(np.float64) for data in (test, train))
for bug in BUGS:
    model, e = make(bug), rng.stream("slope").normal((50, J), np.float64)
    model.loss(x[:50], noise=e).loss.backward()
    slope = sum((p.grad * p.data).sum() for p in model.parameters())
    below, above = (make(bug, 1 + step).loss(x[:50], noise=e).loss.item() for step in (-1e-5, 1e-5))
    lesson.claim(f"slope.{bug}", abs((above - below) / 2e-5 / slope - 1), "relative error", at_most=1e-6)

# %% [markdown]
# All pass. So compare what each loss reports, at random weights, with a right -ELBO from noise of its own. (Log-variances are moved
# to -2 or so: where they are 0, $e^l$ is $e^{l/2}$, and `deviation` hides.) This needs no training, and knows no bug by name.

# %%
for bug in BUGS:
    model = make(bug, 2.0)
    model.encoder[-1].bias.assign(np.repeat([0.0, -2.0], J))
    limit = {"at_most": 5} if bug in ("right", "shared_noise") else {"at_least": 5, "effect": True}
    lesson.claim(f"start.{bug}", abs(account(model, x[:200], 60)[2]), "standard errors", **limit)

# %% [markdown]
# Seven of the eight are found. `shared_noise` is right on average; how far its loss jumps gives it away below (step 8).
# ## Prediction
# From the formulas alone, before any training. For each bug: `true` is -ELBO by right code, `own` what its code reports, `excess`
# the difference own - true over the KL, `deviation` and `moment` the averages of steps 6 and 7. The tree, which names a bug by such
# numbers, comes after the table. Your guess, which of the wrong losses reports the *lowest* number: ______

# %%
frequency, least, most = x_train.mean(axis=0) * 0.999 + 0.0005, 0.5, 1 / (1 + np.exp(-1))
floor = -(x * np.log(most) + (1 - x) * np.log(1 - least)).sum(axis=1).mean()
for name, p in {"pixel_mean.true": frequency, "double_sigmoid.own": np.clip(frequency, least, most)}.items():
    lesson.predict(name, -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum(axis=1).mean(), "nats")
[lesson.predict(f"{bug}.excess", weight - 1, "times the KL") for bug, weight in WEIGHT.items()]
for name, value in {"no_noise.deviation": 1, "right.moment": 1, "deviation.moment": 0.5, "named.by_the_tree": 9}.items():
    lesson.predict(name, value, "")

# %% [markdown]
# ## Experiment
# Nine models, with the same first weights, noise and order of images. A loss below -1000 stops a training: it has no end (step 4).


# %% Train, and take the symptoms
def trained(bug):
    """The model after training with a bug, and in which epoch it was stopped."""
    with lesson.device():
        model = Suspect(D, J, (64,), activation="tanh", rng=rng.stream("weights"))
        model.bug = bug
        adam = ta.optim.Adam(model.parameters(), lr=2e-3)
        for epoch in range(epochs):
            noise = rng.stream("noise", epoch)
            for batch in train.batches(100, rng=rng.stream("order", epoch)):
                loss = model.loss(batch, rng=noise).loss
                adam.zero_grad()
                loss.backward()
                adam.step()
            if loss.item() < -1000:
                break
    return model.to("numpy").astype(np.float64), epoch + 1


def symptoms(model, epoch):
    """What can be seen of a trained model, by name."""
    own, true, apart, kl = account(model, x)
    m, v = (q := model.encode(x_train)).mean.data, np.exp(q.log_variance.data)
    p = 1 / (1 + np.exp(-model.decode(rng.stream("prior").normal((200, J), np.float64)).data))
    distance = (p > 0.5) @ (1 - x_train).T + (p <= 0.5) @ x_train.T  # pixels that differ, for each sample and training image
    seen = {"own": own.mean(), "true": true.mean(), "kl": kl.sum(axis=1).mean(), "active": (kl.mean(axis=0) > 0.05).sum()}
    seen |= {"deviation": np.sqrt(v).mean(), "m2+v": (m**2 + v).mean(), "v": v.mean(), "bright": p.mean(), "nearest": distance.min(axis=1).mean()}
    return seen | {"apart": apart, "jumps": own.std() / true.std(), "kls": kl.mean(axis=0), "samples": p[:12], "epoch": epoch}


cases = {bug: symptoms(*trained(bug)) for bug in BUGS}
letters = dict(zip("ABCDEFGHI", (BUGS[i] for i in rng.stream("letters").permutation(9)), strict=True))
shown = "own", "true", "kl", "active", "deviation", "m2+v", "bright", "nearest"
print(f"\n    floor {floor:.2f}; test images: brightness {x.mean():.3f}\n   " + "".join(f"{name:>11}" for name in shown))
print(*(f"  {letter}" + "".join(f"{cases[bug][name]:11.4g}" for name in shown) for letter, bug in letters.items()), sep="\n")

# %% [markdown]
# Read the table and the figure. `own` is the loss as its own code reports it on the test images. By right code: `true` is -ELBO,
# then the KL, how many latents have over 0.05 nats, the means of exp(l / 2) and $m^2 + v$. Of samples: the brightness, and the
# pixels that differ from the nearest training image. **Name the letters before you read on.** Then comes a tree, from the formulas;
# it knows these bugs alone:


# %% The tree, and the answers
def name_of(s):
    """The bug by its symptoms: the first of these that holds."""
    tree = {
        "sign": s["own"] < 0,  # 4
        "double_sigmoid": s["own"] > floor,  # 5
        "pixel_mean": s["kl"] < 0.05,  # 3
        "shared_noise": abs(s["apart"]) < 6 and s["jumps"] > 3,  # 8: in no column of the table, but in draws of the noise
        "right": abs(s["apart"]) < 6,
        "no_half": abs((excess := (s["own"] - s["true"]) / s["kl"]) - 1) < 0.2,  # 2
        "no_noise": abs(s["deviation"] - 1) < 0.02,  # 6
        "deviation": abs(s["m2+v"] - (1 + s["v"]) / 2) < abs(s["m2+v"] - 1),  # 7
        "latent_mean": abs(excess - (1 / J - 1)) < 0.05,  # 2, and only here: the excess of "deviation" can be the same
    }
    return next((name for name, holds in tree.items() if holds), "none of these")


print(*(f"  {letter} is {bug}, and the tree says {name_of(cases[bug])}" for letter, bug in letters.items()), sep="\n")
lesson.claim("named.by_the_tree", sum(name_of(case) == bug for bug, case in cases.items()), "of 9", at_least=9, effect=True)
lesson.claim("named.look_better", sum(case["own"] < cases["right"]["own"] for case in cases.values()), "own loss < right", at_least=5, effect=True)
for bug in (name for name in BUGS if name != "sign"):
    lesson.number(f"{bug}.true", cases[bug]["true"], "nats per example", effect=bug in ("pixel_mean", "no_noise", "double_sigmoid"))
    lesson.number(f"{bug}.own", cases[bug]["own"], "as reported", effect=bug in ("pixel_mean", "double_sigmoid", "latent_mean"))
lesson.claim("sign.stopped", cases["sign"]["epoch"], "epochs", at_most=10, effect=True)
for bug, weight in WEIGHT.items():
    excess = (cases[bug]["own"] - cases[bug]["true"]) / cases[bug]["kl"]
    lesson.claim(f"{bug}.excess", excess, "times the KL", at_least=weight - 1.2, at_most=weight - 0.8, effect=True)
lesson.claim("no_noise.deviation", cases["no_noise"]["deviation"], "of q", at_least=0.98, at_most=1.02, effect=True)
lesson.number("right.moment", cases["right"]["m2+v"], "m^2 + v")
lesson.claim("deviation.moment", (case := cases["deviation"])["m2+v"] - case["v"] / 2, "m^2 + v / 2", at_least=0.4, at_most=0.68, effect=True)
lesson.claim("shared_noise.jumps", cases["shared_noise"]["jumps"], "times the right", at_least=3, effect=True)
lesson.microscope(ta.microscope.trace(lambda batch, e: make("double_sigmoid").loss(batch, noise=e), x[:10], np.ones((10, J))))

# %% The figure: a row for each letter
rows = (figure := Figure(figsize=(9, 7), layout="constrained")).subplots(9, 2, width_ratios=[1, 4])
for (left, right), (letter, bug) in zip(rows, letters.items(), strict=True):
    left.bar(range(1, J + 1), np.sort(cases[bug]["kls"])[::-1])
    left.axhline(0.05, color="gray", linewidth=1)
    left.set(yscale="log", ylim=(1e-3, 1e4), ylabel=letter, xticks=[])
    right.imshow(cases[bug]["samples"].reshape(12, 8, 8).transpose(1, 0, 2).reshape(8, 96), cmap="gray", vmin=0, vmax=1)
    right.axis("off")
rows[0, 0].set_title("KL of each latent (nats), line at 0.05", fontsize="medium")
rows[0, 1].set_title("means of p(x | z) for twelve draws z from the prior", fontsize="medium")
lesson.figure(figure, "suspects.png", alt="For each letter the KL of its latents, sorted, and twelve samples. Some have hardly any, one too much.")
lesson.finish(binarisation="threshold")

# %% [markdown]
# ## What surprised us
# - Five of the eight, or more, report *less* than the right loss does (`named.look_better`). Who compares losses prefers bugs.
# - `deviation` and `shared_noise` look like models trained too little. A right -ELBO beside its own number finds the first, the
#   jumps find the second (`shared_noise.jumps`, a rough number: few draws). One noise is right on average and yet costs a nat or
#   more: a batch then hardly averages its gradient. `double_sigmoid`: z tells next to nothing (its `own`), and the true -ELBO is
#   more than twice the right one.
# - Training ends before step 7 is exact: `right.moment`, `deviation.moment` are off by hundredths, up to a tenth or so. Further off
#   in the table is m2+v of `latent_mean`: an eighth of the KL pulls an eighth as hard.
# ## Exercises
# 1. **Do.** `check_kl`: a check that accepts a KL only if it is the right one, in nats per example. Hidden wrong ones try it.
# 2. **Break.** `check_sampler`: break samplers: a check that accepts mean + exp(log_variance / 2) noise, and nothing else.
# 3. **Extend.** `check_loss`: the same for a whole loss, on a toy model whose -ELBO is known.
# ## Conventions
# Loss = -ELBO, in nats per example: summed over pixels and latent dimensions, mean over the batch. The encoder gives mean and
# log-variance; standard deviation: exp(log_variance / 2). The decoder gives logits. Noise is an input. Pixels: threshold at 0.5.
# ## References
# - D. P. Kingma and M. Welling, 2014, Auto-encoding variational Bayes.
