"""The drawings of the models with random codes, as tables; the form is that of `autoencoders.py`.

Circles are random.  The bound is cut where the lessons cut it: the reconstruction above, the KL divergence below.
"""

from tinyae.figures.autoencoders import LEFT, MIDDLE, RIGHT, SHAPE, WIDTH
from tinyae.figures.scene import Drawing, code, data, layer, loss, network, noise, note, random

CODE = "(*N*, *J*)"
ENDS = {
    "x": data(LEFT, 40, f"*x*\n{SHAPE}", 92),
    "reconstruction": loss(MIDDLE, 40, "−log *p*(*x* | *z*)"),
    "output": data(RIGHT, 40, f"logits\n{SHAPE}", 92),
    "encoder": network(LEFT, 134, "encoder"),
    "decoder": network(RIGHT, 134, "decoder"),
}
LATENT = {
    "mean": code(LEFT, 220, f"mean  {CODE}", 172, 36),
    "log_variance": code(LEFT, 264, f"log-variance  {CODE}", 172, 36),
    "z": random(MIDDLE, 242, "*z*"),
    "noise": noise(MIDDLE, 142, "*ε*"),
}
BELOW = {"kl": loss(MIDDLE, 334, "KL(*q*(*z* | *x*) ‖ *p*(*z*))", 190), "prior": random(RIGHT + 32, 334, "*p*(*z*)")}
STEPS = (
    "x -> encoder",
    "encoder:s -> mean:n",
    "mean:e -> z:w",
    "log_variance:e -> z:w",
    "noise --> z |> mean +\ndeviation · *ε*",
    "z:e -> decoder:s",
    "decoder -> output",
    "x => reconstruction",
    "output => reconstruction",
)
COSTS = ("log_variance:s => kl:w", "prior => kl")
LEGEND = ("box", "circle", "-->", "=>")
KL = r"\mathrm{KL}(q(z|x) \,\Vert\, p(z))"
BOUND = r"\mathbb{E}_q[-\log p(x|z)]"

DRAWINGS = {
    "vae": Drawing(
        "Variational autoencoder (VAE)",
        (WIDTH, 398),
        {**ENDS, **LATENT, **BELOW},
        (*STEPS, *COSTS),
        "A VAE for *N* images *x* of *D* pixels, with *J* latent numbers *z*. The encoder gives the mean and the log-variance of *q*(*z* | *x*); "
        "the noise *ε* comes in as an input, so that gradients pass through *z*; the deviation is exp(log-variance / 2). *p*(*x* | *z*) is the "
        "probability of the image by the logits, *p*(*z*) the standard normal. The loss is the mean of the first term over draws *z* from *q* "
        "(E_{*q*}), plus the KL, in nats per image.",
        "The data x go through the encoder to a mean and a log-variance; with noise epsilon they give z, the mean plus the standard deviation times "
        "epsilon; the decoder gives the logits. One term of the loss compares x with the logits, the other, the KL divergence, compares mean and "
        "log-variance with the prior.",
        rf"\text{{loss}} = {BOUND} + {KL}",
        LEGEND,
        new=("mean", "log_variance", "z", "noise", "kl", "prior"),
    ),
    "beta_vae": Drawing(
        "Beta-VAE",
        (WIDTH, 404),
        {
            **ENDS,
            **LATENT,
            **BELOW,
            "x": data(LEFT, 40, "*x*", 92),
            "output": data(RIGHT, 40, "*p*(*x* | *z*)", 92),
            "reconstruction": loss(MIDDLE, 40, "distortion *D*\n−log *p*(*x* | *z*)", 136, 50),
            "mean": code(LEFT, 220, "mean", 124, 36),
            "log_variance": code(LEFT, 264, "log-variance", 124, 36),
            "kl": loss(MIDDLE, 338, "*β* times the rate *R*\nKL(*q*(*z* | *x*) ‖ *p*(*z*))", 200, 50),
            "prior": random(RIGHT + 32, 338, "*p*(*z*)"),
        },
        (*STEPS, *COSTS),
        "A beta-VAE is a VAE with one number more: in its loss *L*, *β* weighs the rate *R* against the distortion *D*. With *β* = 1 *L* is "
        "-ELBO, which bounds -log *p*(*x*); above some *β* each latent variable falls silent. *q*(*z* | *x*): the normal distribution of mean and "
        "log-variance; *p*(*z*): the prior, normal with mean 0 and variance 1; *p*(*x* | *z*): the decoder's distribution of the image *x*; *ε*: "
        "noise; the deviation is exp(log-variance / 2); E_{*q*}: the mean over draws *z* from *q*.",
        "As the VAE, but the KL divergence, the second term of the loss, is multiplied by beta.",
        rf"L = D + \beta R, \quad D = {BOUND}, \quad R = {KL}",
        LEGEND,
        new=("kl",),
        against="the VAE",
    ),
    "conditional_vae": Drawing(
        "Conditional VAE",
        (WIDTH, 398),
        {
            **ENDS,
            **LATENT,
            **BELOW,
            "reconstruction": loss(MIDDLE, 40, "−log *p*(*x* | *z*, *y*)", 148),
            "noise": noise(MIDDLE, 176, "*ε*", 18),
            "label": data(MIDDLE, 110, "*y*, one-hot\n(*N*, *C*)", 108, 46),
            "kl": loss(MIDDLE, 334, "KL(*q*(*z* | *x*, *y*) ‖ *p*(*z*))", 206),
        },
        (
            *(step for step in STEPS if "noise" not in step),
            "noise --> z |>  mean +\n deviation · *ε*",
            "label:w -> encoder:e-24",
            "label:e -> decoder:w-24",
            *COSTS,
        ),
        "A conditional VAE: the label y goes to encoder and decoder alike, so that z need not hold it. Choose y, draw z from the prior, decode: a "
        "sample of that class.",
        "As the VAE, with a label y, one-hot, as a second input of the encoder and of the decoder.",
        r"\mathcal{L} = \mathbb{E}_{q(z|x,y)}[-\log p(x|z,y)] + \mathrm{KL}(q(z|x,y) \,\Vert\, p(z))",
        LEGEND,
        new=("label",),
        against="the VAE",
    ),
    "iwae": Drawing(
        "Importance weighted autoencoder (IWAE)",
        (WIDTH, 394),
        {
            **ENDS,
            **LATENT,
            "reconstruction": loss(MIDDLE, 50, "−log (1/*K*) Σ_{*k*} *w*_{*k*}", 150, 52),
            "mean": code(LEFT, 226, f"mean  {CODE}", 172, 36),
            "log_variance": code(LEFT, 270, f"log-variance  {CODE}", 172, 36),
            "z": random(MIDDLE, 248, "*z*_{*k*}")._replace(shape="plate"),
            "noise": noise(MIDDLE, 334, "*ε*_{*k*}")._replace(shape="plate"),
            "x": data(LEFT, 50, f"*x*\n{SHAPE}", 92),
            "output": data(RIGHT, 50, "logits\n(*N*, *K*, *D*)", 92),
            "draws": note(RIGHT, 334, "*K* draws for each *x*"),
        },
        (*(step for step in STEPS if "noise" not in step), "noise --> z", "z:n => reconstruction:s |> *p*(*z*_{*k*}),\n*q*(*z*_{*k*} | *x*)"),
        "An IWAE draws K codes for each x and averages their weights before the logarithm. The bound is that of a VAE for K = 1 and tightens with K; "
        "K is also how the likelihood of a trained VAE is estimated.",
        "As the VAE, but K noises give K codes and K outputs. One loss, minus the logarithm of the mean of the weights, takes x, all outputs, and "
        "the densities of the codes under prior and posterior.",
        r"\mathcal{L} = \mathbb{E}\left[-\log \frac{1}{K} \sum_{k=1}^{K} w_k\right], \quad w_k = \frac{p(x|z_k)\, p(z_k)}{q(z_k|x)}",
        LEGEND,
        new=("z", "noise", "reconstruction"),
        against="the VAE",
    ),
    "vq_vae": Drawing(
        "Vector-quantised VAE (VQ-VAE)",
        (WIDTH, 424),
        {
            **ENDS,
            "encoded": code(LEFT, 236, f"*z*_{{*e*}}\n{CODE}", 92, 62),
            "nearest": layer(MIDDLE, 248, "nearest *e*_{*i*}", 112, 36),
            "quantised": code(RIGHT, 236, f"*z*_{{*q*}} = *e*_{{*i*}}\n{CODE}", 104, 62, "discrete"),
            "codebook": code(MIDDLE, 312, "codebook\n(*K*, *J*)", 104, 46, "discrete"),
            "commitment": loss(LEFT + 12, 372, "*β* ‖*z*_{*e*} − sg[*e*_{*i*}]‖^{2}", 160, 36),
            "codes": loss(RIGHT - 12, 372, "‖sg[*z*_{*e*}] − *e*_{*i*}‖^{2}", 160, 36),
        },
        (
            "x -> encoder",
            "encoder -> encoded",
            "encoded:e+12 -> nearest:w",
            "nearest:e -> quantised:w+12",
            "codebook:n -> nearest:s",
            "quantised -> decoder",
            "decoder -> output",
            "x => reconstruction",
            "output => reconstruction",
            "quantised:w-18 ~~> encoded:e-18 |^ gradient, copied",
            "encoded:s => commitment:n-12",
            "codebook:e => codes:n",
        ),
        "A VQ-VAE replaces each output of the encoder by the nearest of K vectors. The choice has no gradient, so the decoder's is copied past it "
        "(straight-through); sg[...] stops a gradient. One term moves the codebook, the other the encoder.",
        "The encoder's output is replaced by the nearest vector of a codebook, which the decoder receives. A dashed arrow copies the gradient of the "
        "quantised code back to the encoder's output. Three terms of the loss: the reconstruction, the codebook term, and the commitment term.",
        r"\mathcal{L} = -\log p(x|z_q) + \lVert \mathrm{sg}[z_e] - e_i \rVert^2 + \beta \lVert z_e - \mathrm{sg}[e_i] \rVert^2",
        ("box", "=>", "~~>"),
        new=("nearest", "codebook", "quantised", "commitment", "codes"),
        against="the VAE",
    ),
    "hierarchical_vae": Drawing(
        "Hierarchical VAE, inferred from the top",
        (560, 452),
        {
            "x": data(90, 40, f"*x*\n{SHAPE}", 92),
            "reconstruction": loss(280, 40, "−log *p*(*x* | *z*_{1}, *z*_{2})", 166),
            "output": data(470, 40, f"logits\n{SHAPE}", 92),
            "lower": layer(90, 126, "layers, up", 112, 40),
            "upper": layer(90, 212, "layers, up", 112, 40),
            "decoder": layer(470, 126, "layers, down", 124, 40),
            "top": layer(470, 212, "layers, down", 124, 40),
            "z1": random(280, 166, "*z*_{1}"),
            "z2": random(280, 322, "*z*_{2}"),
            "kl1": loss(280, 256, "KL(*q*(*z*_{1} | *x*, *z*_{2}) ‖ *p*(*z*_{1} | *z*_{2}))", 232, 36),
            "kl2": loss(280, 390, "KL(*q*(*z*_{2} | *x*) ‖ *p*(*z*_{2}))", 200, 36),
        },
        (
            "x -> lower",
            "lower -> upper",
            "lower:e -> z1:w",
            "upper:s -> z2:w",
            "z2:e -> top:s",
            "top:w -> z1:e+10",
            "top -> decoder",
            "z1:e-10 -> decoder:w",
            "decoder -> output",
            "x => reconstruction",
            "output => reconstruction",
            "z1:s => kl1:n",
            "z2:s => kl2:n",
        ),
        "A hierarchical VAE with two levels. The data go up on the left; on the right the top code is drawn first and speaks to the prior and to the "
        "posterior of the one below it. The loss has one KL for each level; a level whose KL is zero has collapsed.",
        "The data x go through two layers upwards; the upper one gives the top code z2, which goes down again through two layers to the output. The "
        "lower code z1 depends on the lower layer and on what comes from z2. Three terms of the loss: the reconstruction and a KL divergence for "
        "each code.",
        r"\mathcal{L} = \mathbb{E}_q[-\log p(x|z_1, z_2)] + \mathrm{KL}(q(z_2|x) \,\Vert\, p(z_2)) + "
        r"\mathbb{E}_{q(z_2|x)}\, \mathrm{KL}(q(z_1|x, z_2) \,\Vert\, p(z_1|z_2))",
        ("box", "circle", "=>"),
        new=("z2", "top", "kl2"),
        against="the VAE",
    ),
    "score_diffusion": Drawing(
        "Diffusion, one step",
        (WIDTH, 420),
        {
            "x": data(LEFT, 40, f"*x*_{{0}}\n{SHAPE}", 92),
            "noise": noise(MIDDLE, 40, "*ε*", 24),
            "loss": loss(RIGHT, 40, "‖*ε* − *ε̂*‖^{2}", 110),
            "noisy": random(LEFT, 142, "*x*_{*t*}"),
            "mixture": note(218, 160, "√*ᾱ*_{*t*} *x*_{0} + √(1 − *ᾱ*_{*t*}) *ε*"),
            "network": layer(MIDDLE, 254, "network\n(*x*_{*t*}, *t*)", 104),
            "time": data(MIDDLE, 194, "*t*", 44, 28),
            "guess": code(RIGHT, 142, f"*ε̂*\n{SHAPE}", 92),
            "score": note(RIGHT, 280, "score:\n−*ε̂* / √(1 − *ᾱ*_{*t*})"),
            "step": layer(MIDDLE, 334, "*x*_{*t*−1} = (*x*_{*t*} − *β*_{*t*} *ε̂* / √(1 − *ᾱ*_{*t*})) / √*α*_{*t*} + *σ*_{*t*} *ξ*", 388, 40),
            "back": note(MIDDLE, 370, "one step back, with fresh noise *ξ*; samples take all of them"),
        },
        (
            "x -> noisy",
            "noise:s --> noisy:e",
            "noise => loss",
            "noisy:s -> network:w",
            "time -> network",
            "network:e -> guess:s",
            "guess => loss",
            "network -> step",
        ),
        "Diffusion: a fixed encoder adds noise, more for a larger step t; one network is told t and predicts the noise. Its answer is the score up "
        "to a factor, and from it comes one step back towards the data.",
        "The data x0 and noise epsilon are mixed to xt. A network that knows xt and t predicts the noise; the loss is the squared distance of noise "
        "and prediction. Below, the formula of one step back, from xt to the step before.",
        r"\mathcal{L} = \mathbb{E}_{t, \varepsilon}\, \lVert \varepsilon - \hat\varepsilon(x_t, t) \rVert^2, \quad "
        r"x_t = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \varepsilon",
        ("box", "circle", "-->", "=>"),
    ),
}
