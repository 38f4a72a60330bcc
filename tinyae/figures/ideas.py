"""The drawings of ideas: what is no model of its own, as tables."""

from tinyae.figures import probabilistic
from tinyae.figures.autoencoders import MIDDLE, RIGHT, WIDTH
from tinyae.figures.scene import Drawing, Thing, badge, code, data, layer, loss, noise, note, panel, random

GRADIENT = {"fill": "data", "pen": "gradient"}
LEFT, CENTRE, END = 96, 306, 508  # the columns of `backprop`
QUESTIONS = (  # of `bug_hunt`, in two columns
    ("is the log-variance halved?", "a noise for each image?", "is *z* drawn at all?", "one sigmoid, not two?"),
    ("summed over the pixels?", "summed over the code?", "has the KL its half?", "has the KL its sign?"),
)


def questions():
    """The numbered questions of `bug_hunt` as things."""
    numbered = [(1 + i + 4 * column, 36 + 240 * column, 388 + 24 * i, text) for column, texts in enumerate(QUESTIONS) for i, text in enumerate(texts)]
    return {f"question {n}": Thing("line", x, y, 0, 0, f"{n}   {text}", pen="ink") for n, x, y, text in numbered}


DRAWINGS = {
    "two_checkers": Drawing(
        "Two checkers",
        (560, 318),
        {
            "code": layer(92, 56, "code\nbackward rules", 144, 60),
            "formula": code(280, 56, "formula\nthe loss as written", 160, 60),
            "truth": code(468, 56, "statistics\nsamples, integrals", 144, 60),
            "gradcheck": Thing("box", 176, 160, 116, 44, "gradcheck", "data", "gradient"),
            "semcheck": Thing("box", 384, 160, 116, 44, "semcheck", "data", "gradient"),
            "first": note(176, 228, "Is the code the derivative\nof the formula?"),
            "second": note(384, 228, "Is the formula\nthe right one?"),
            "finds": note(176, 284, "finds: a wrong rule\nfor a derivative", "ink"),
            "finds too": note(384, 284, "finds: a factor, a sign,\na mean for a sum", "ink"),
        },
        (
            "code:s ~> gradcheck:w",
            "formula:s-24 ~> gradcheck:e",
            "formula:s+24 ~> semcheck:w",
            "truth:s ~> semcheck:e",
            "first:n -- gradcheck:s",
            "second:n -- semcheck:s",
        ),
        "Two questions, two checkers: gradcheck compares with differences, semcheck with statistics. A wrong loss whose derivative is right "
        "passes the first and must be caught by the second. *f* is the loss as a function of one weight *x*, *h* a small step. *R* + *K* is the "
        "loss by its formula, in nats, which must be the average over draws *z* of the three logarithms on the right, of densities *p* and *q* "
        "that steps 6 and 7 define.",
        "Three boxes: code, formula and statistics. Gradcheck compares code and formula: is the code the derivative of the formula? Semcheck "
        "compares formula and statistics: is the formula the right one?",
        r"f'(x) \approx \frac{f(x + h) - f(x - h)}{2 h}, \quad R + K \approx \text{average of } [-\log p(x | z) + \log q(z) - \log p(z)]",
    ),
    "backprop": Drawing(
        "Backpropagation through one hidden layer",
        (600, 392),
        {
            "forward": note(LEFT, 18, "forward, downwards", "ink"),
            "backward": note(CENTRE, 18, "backward, upwards", "gradient"),
            "weights": note(END, 18, "gradients of the weights", "gradient"),
            "x": data(LEFT, 60, "*x*\n(*N*, *D*)", 160, 50),
            "t": layer(LEFT, 132, "*t* = *x W*^{T} + *b*\n(*N*, *H*)", 160, 50),
            "h": layer(LEFT, 204, "*h* = tanh *t*\n(*N*, *H*)", 160, 50),
            "a": layer(LEFT, 276, "*a* = *h V*^{T} + *c*\n(*N*, *D*), logits", 160, 50),
            "loss": loss(LEFT, 342, "loss = mean of *r*", 166, 36),
            "g_r": Thing("box", CENTRE, 342, 168, 36, "*g*_{*r*} = 1 / *N*", **GRADIENT),
            "g_a": Thing("box", CENTRE, 276, 168, 50, "*g*_{*a*} = *g*_{*r*} (*p* − *x*)\nneeds *p*, *x*", **GRADIENT),
            "g_h": Thing("box", CENTRE, 204, 168, 50, "*g*_{*h*} = *g*_{*a*} *V*\nneeds *V*", **GRADIENT),
            "g_t": Thing("box", CENTRE, 132, 168, 50, "*g*_{*t*} = *g*_{*h*} (1 − *h*^{2})\nneeds *h*", **GRADIENT),
            "g_V": Thing("box", END, 258, 156, 50, "*g*_{*V*} = *g*_{*a*}^{T} *h*\nneeds *h*", **GRADIENT),
            "g_c": Thing("box", END, 316, 156, 34, "*g*_{*c*} = Σ_{*n*} *g*_{*a*}", **GRADIENT),
            "g_W": Thing("box", END, 114, 156, 50, "*g*_{*W*} = *g*_{*t*}^{T} *x*\nneeds *x*", **GRADIENT),
            "g_b": Thing("box", END, 172, 156, 34, "*g*_{*b*} = Σ_{*n*} *g*_{*t*}", **GRADIENT),
        },
        (
            "x -> t",
            "t -> h",
            "h -> a",
            "a -> loss",
            "loss ~> g_r",
            "g_r ~> g_a",
            "g_a ~> g_h",
            "g_h ~> g_t",
            "g_a:e ~> g_V:w",
            "g_a:e ~> g_c:w",
            "g_t:e ~> g_W:w",
            "g_t:e ~> g_b:w",
        ),
        "Each line on the left has its rule on the right: the derivative *g* of the loss by its result comes in from below, and what the rule "
        "needs from the forward pass must have been kept. *N* images *x* of *D* pixels, *H* units in the hidden layer *h*, weights *W* and *V*, "
        "biases *b* and *c*; *p* is the probability that a pixel is 1, and *r* is what an image costs, in nats.",
        "On the left the forward pass downwards: x, t, h, the logits a, the loss. In the middle the gradients upwards, from the gradient of "
        "what an image costs, 1 / N, to that of t. On the right the gradients of both weights and both biases.",
        r"r = -\sum [x \log p + (1 - x) \log(1 - p)], \quad p = \frac{1}{1 + e^{-a}}",
        ("box", "~>"),
    ),
    "elbo": Drawing(
        "One bar, cut twice",
        (WIDTH, 250),
        {
            "evidence": layer(186, 62, "−log *p*(*x*)", 312, 44),
            "gap": code(406, 62, "the gap", 128, 44, "score"),
            "bound": data(250, 120, "−ELBO", 440, 44),
            "reconstruction": loss(146, 178, "E_{*q*}[−log *p*(*x* | *z*)]", 232, 44),
            "rate": loss(366, 178, "KL(*q*(*z* | *x*) ‖ *p*(*z*))", 208, 44),
            "what": note(250, 22, "the gap:  KL(*q*(*z* | *x*) ‖ *p*(*z* | *x*)),  to the true posterior"),
            "how": note(250, 224, "reconstruction  +  KL to the prior:  what a VAE minimises"),
        },
        (),
        "The negative ELBO, in nats, cut in two ways: what is to be known, plus the gap; and what is computed, reconstruction plus KL to the "
        "prior. *p*(*x*): what the model gives an image *x*; *p*(*z*): the prior of the latent *z*; *p*(*x* | *z*): the likelihood; *p*(*z* | "
        "*x*): the posterior, which *q*(*z* | *x*) guesses; E_{*q*}: the mean over draws *z* from *q*; KL: how far two densities are apart. Not "
        "to scale.",
        "Three bars of one length. The first is minus log p of x, and the gap. The second is the negative ELBO. The third is the reconstruction and "
        "the KL divergence to the prior.",
        r"-\mathrm{ELBO} = -\log p(x) + \mathrm{KL}(q(z|x) \,\Vert\, p(z|x)) = \mathbb{E}_q[-\log p(x|z)] + \mathrm{KL}(q(z|x) \,\Vert\, p(z))",
    ),
    "reparameterization": Drawing(
        "Two ways of a gradient",
        (WIDTH, 486),
        {
            "pathwise": panel(250, 112, 484, 200, "pathwise: the draw is a function of its noise"),
            "parameters": code(82, 136, "*m*, *l*", 104, 54),
            "z": layer(250, 136, "*z* = *m* + *s e*", 124, 54),
            "f": layer(424, 136, "*f*(*z*)", 84, 54),
            "noise": noise(250, 66, "*e*", 20),
            "sum": note(250, 194, "slope in *m*:  *f* ′(*z*)", "gradient"),
            "score": panel(250, 332, 484, 220, "score function: only the probability of the draw has a gradient"),
            "parameters 2": code(82, 310, "*m*, *l*", 104, 54),
            "z 2": random(250, 310, "*z*"),
            "f 2": layer(424, 310, "*f*(*z*)", 84, 54),
            "log q": layer(250, 390, "log *q*(*z*)", 108, 40),
            "product": note(250, 426, "slope in *m*:  *f*(*z*) (*z* − *m*) / *s*^{2}", "gradient"),
        },
        (
            "parameters:e-10 -> z:w-10",
            "z:e-10 -> f:w-10",
            "noise --> z",
            "f:w+12 ~> z:e+12",
            "z:w+12 ~> parameters:e+12",
            "parameters 2 -> z 2",
            "z 2 -> f 2",
            "z 2 -> log q",
            "log q:w ~> parameters 2:s",
            "f 2:s ~> log q:e",
        ),
        "Two estimates of the same slopes, those of *L*, the mean of *f*(*z*) over draws *z* from the normal density *q* with mean *m*, "
        "log-variance *l* and deviation *s*. The pathwise one goes back through *z*, made of noise *e*, and uses the slope of *f*. The score "
        "function stops at *z*, needs only the value of *f*, and pays with variance. *E*: the mean over *e*, or over *q*.",
        "Above: parameters and noise give z by a formula, and the gradient of f goes back through it to the parameters. Below: z is drawn, and the "
        "gradient of log q of z goes to the parameters, multiplied by the value of f.",
        r"\frac{dL}{dm} = E_e[f'(m + s e)] = E_q\left[ f(z) \frac{z - m}{s^2} \right]",
        ("box", "circle", "-->", "~>"),
    ),
    "bug_hunt": Drawing(
        "Where to look",
        (WIDTH, 482),
        {
            **probabilistic.ENDS,
            **probabilistic.LATENT,
            **probabilistic.BELOW,
            "1": badge(36, 286, "1"),
            "2": badge(MIDDLE - 34, 142, "2"),
            "3": badge(MIDDLE, 286, "3"),
            "4": badge(RIGHT + 58, 40, "4"),
            "5": badge(MIDDLE, 72, "5"),
            "6": badge(172, 308, "6"),
            "7": badge(196, 308, "7"),
            "8": badge(220, 308, "8"),
            **questions(),
        },
        (*probabilistic.STEPS, *probabilistic.COSTS),
        "Eight questions, numbered apart from the steps, to ask of a VAE that trains and is wrong. *x*: the images; *z*: a draw of the "
        "latents, made with noise *ε*; the deviation: exp(log-variance / 2); *q*(*z* | *x*): the normal distribution of mean and "
        "log-variance; *p*(*z*): that with mean 0 and variance 1; *p*(*x* | *z*): the probability of the images by the logits. *N* images, "
        "*D* pixels, *J* latents. The loss is the mean over draws *z* from *q* (E_{*q*}) of the first term, plus the second, in nats.",
        "The VAE with eight numbers: at the log-variance, is it the variance or its half that is exponentiated; at the noise, has each image its "
        "own; at z, is it drawn at all; at the logits, is the sigmoid applied once; at the reconstruction, is it summed over pixels; at the KL "
        "divergence, is it summed over the code, has it its half, has it its sign.",
        probabilistic.DRAWINGS["vae"].objective,
    ),
}
