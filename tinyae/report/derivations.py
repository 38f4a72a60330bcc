"""What was minimised, as formulas: the value and the gradient rules of the operations, typeset from the registry."""

from tinyae.distributions import StandardNormal
from tinyae.microscope.typeset import rule_equations, value_equation
from tinyae.ops import registry
from tinyae.report.templates import mathml

PARTS = {
    "reparameterize": (
        "The draw of z",
        "A draw from the posterior q(z | x) as a function of the noise \N{GREEK SMALL LETTER EPSILON}, which comes from N(0, I): "
        "so the draw has a gradient in the encoder's mean and log-variance.",
        {
            "mean": "A shift of the mean shifts the draw by as much.",
            "log_variance": "The wider the posterior, the further the noise moves the draw; the half comes from σ = exp(log σ² / 2).",
            "noise": "The noise is multiplied by the standard deviation. (Training does not use this rule.)",
        },
    ),
    "kl_standard_normal": (
        "The KL divergence",
        "How far the posterior q(z | x) is from the prior N(0, I): a sum over the latent dimensions j, zero only where they are equal.",
        {"mean": "It pulls each mean towards 0.", "log_variance": "It pulls each variance towards 1, where this gradient is zero."},
    ),
    "bce_with_logits": (
        "The reconstruction",
        "Minus the log-likelihood of the pixels x, each 1 with probability sigmoid(a) for the decoder's logit a; a sum over the pixels j.",
        {
            "logits": "The probability minus the pixel: the error that starts the way back through the decoder.",
            "x": "Minus the logit. (Training does not use this rule: the image is given.)",
        },
    ),
    "gaussian_nll": (
        "The reconstruction",
        "Minus the log-density of the pixels x under a normal distribution: μ is the decoder output, σ² a fixed variance; a sum over the pixels j.",
        {
            "mean": "The difference, in units of the variance: the error that starts the way back through the decoder.",
            "log_variance": "Zero where the squared difference equals the variance. (Not used here: the variance is fixed.)",
            "x": "The difference with the other sign. (Training does not use this rule: the image is given.)",
        },
    ),
    "square": (
        "The squared error",
        "Here x is the difference between a pixel's reconstruction and the pixel. The loss sums these squares over the pixels.",
        {"x": "Twice the difference: the error that starts the way back through the decoder."},
    ),
}
LIKELIHOODS = {None: ("square",), "bernoulli": ("bce_with_logits",), "gaussian": ("gaussian_nll",)}


def derivations(model):
    """A dict for each operation of the loss: name, title, text, the value's MathML, and (MathML, text) of each gradient rule."""
    likelihood = None if model.likelihood is None else model.likelihood.name
    names = ("reparameterize", "kl_standard_normal") if isinstance(getattr(model, "prior", None), StandardNormal) else ()
    return [derivation(name) for name in (*names, *LIKELIHOODS.get(likelihood, ()))]


def derivation(name):
    """One operation of the registry, with its formula and those of its rules."""
    primitive, (title, text, notes) = registry[name], PARTS[name]
    rules = [(mathml(latex), notes[name]) for rule in primitive.rules for name, latex in zip(rule.inputs, rule_equations(rule), strict=True)]
    return {"name": name, "title": title, "text": text, "value": mathml(value_equation(primitive)), "rules": rules}
