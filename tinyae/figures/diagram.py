"""The architecture as a drawing: the encoder goes down on the left, the latent variable lies below, the decoder goes up."""

import math
from typing import NamedTuple

from matplotlib.patches import FancyBboxPatch

from tinyae.autograd import no_grad
from tinyae.evaluation.terms import evaluating
from tinyae.figures.points import are_points
from tinyae.figures.style import FAINT, INK, WIDTH, blank, styled
from tinyae.nn import Flatten, Linear, Module
from tinyae.nn.convolution import Convolution
from tinyae.nn.summary import zeros

LEFT, MIDDLE, RIGHT = 1.45, 4.0, 6.55  # centres of the columns, in inches
BOX, STEP = 2.6, 0.86  # width of a box, and from one row to the next
LETTERS = 33  # of a title in its usual size that fit in a box
FILL = {"data": "#ffffff", "layer": "#e8eff6", "latent": "#fbeedc"}


class Stage(NamedTuple):
    """A step of a network: the names of its layers, its windows (of a convolution), its parameters, and the shape of its result without N."""

    names: tuple
    windows: str
    parameters: int
    shape: tuple


def stages(network, width):
    """The steps of a Sequential whose input is (N, width); their shapes are those of one pass, of zeros.

    A layer without parameters belongs to the one before it.  What flattens, and what comes first, belongs to the one after it, so that the
    shape before a flattening is seen.
    """
    x, found, waiting = zeros((1, width), network), [], ()
    with no_grad(), evaluating(network):
        for layer in network.layers:
            x = layer(x)
            count = sum(p.size for p in layer.parameters()) if isinstance(layer, Module) else 0
            name, windows = described(layer)
            if count:
                found.append(Stage((*waiting, name), windows, count, x.shape[1:]))
                waiting = ()
            elif found and not waiting and not isinstance(layer, Flatten):
                found[-1] = found[-1]._replace(names=(*found[-1].names, name), shape=x.shape[1:])
            else:
                waiting += (name,)
    if waiting:
        last = found.pop() if found else Stage((), "", 0, ())
        found.append(last._replace(names=last.names + waiting, shape=x.shape[1:]))
    return found


def described(layer):
    """(name, windows) of a layer: for one with 3 channels in and 16 out, its name with both, and "4 \N{MULTIPLICATION SIGN} 4, stride 2", say."""
    name = type(layer).__name__ if isinstance(layer, Module) else layer.__name__
    if not isinstance(layer, (Linear, Convolution)):
        return name, ""
    outputs, inputs, *kernel = layer.weight.shape
    if getattr(layer, "transposed", False):
        outputs, inputs = inputs, outputs
    windows = by(kernel)
    if kernel and set(stride := layer.geometry["stride"]) != {1}:
        windows += f", stride {stride[0] if len(set(stride)) == 1 else by(stride)}"
    return f"{name} {inputs} \N{RIGHTWARDS ARROW} {outputs}", windows


def by(sizes):
    """Sizes as `28 \N{MULTIPLICATION SIGN} 28`."""
    return " \N{MULTIPLICATION SIGN} ".join(map(str, sizes))


def batch_of(shape):
    """The shape of a batch, as text."""
    return f"(N, {', '.join(map(str, shape))})"


@styled
def architecture(model, image_shape):
    """The layers of a model with the shapes between them and the numbers of their parameters; N is the batch size."""
    encoder, decoder = stages(model.encoder, model.features), stages(model.decoder, model.latent)
    depth = max(len(encoder), len(decoder))
    height = STEP * (depth + 1) + (1.9 if model.likelihood is not None else 1.35)
    figure = blank(WIDTH, height, layout="none")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, height))
    axes.set_axis_off()
    top = height - 0.85
    for x, name, part in ((LEFT, "encoder", encoder), (RIGHT, "decoder", decoder)):
        axes.text(x, height - 0.3, f"{name}: {sum(s.parameters for s in part):,} parameters", ha="center", va="center", weight="bold", size=10)
    what = f"points with {model.features} coordinates" if are_points(image_shape) else f"images {by(image_shape)} as rows of {model.features}"
    _column(axes, LEFT, top, "x", what, encoder, model.features)
    ends = (LEFT, top - STEP * len(encoder)), (RIGHT, top - STEP * depth)
    if model.likelihood is None:
        _code(axes, model, *ends)
    else:
        _latent(axes, model, *ends)
    _decoder(axes, model, top, top - STEP * depth, decoder)
    return figure


def _column(axes, x, y, title, detail, part, width):
    """Boxes downwards from the input, the shape of what flows beside each arrow."""
    _box(axes, x, y, title, detail, "data")
    shape = (width,)
    for stage in part:
        _arrow(axes, (x, y - 0.25), (x, y - STEP + 0.25), batch_of(shape))
        y, shape = y - STEP, stage.shape
        _box(axes, x, y, ", ".join(stage.names), _count(stage), "layer")


def _decoder(axes, model, top, bottom, part):
    """Boxes upwards to the output; `bottom` is where the first layer stands."""
    y = bottom
    for i, stage in enumerate(part):
        _box(axes, RIGHT, y, ", ".join(stage.names), _count(stage), "layer")
        above = top if i == len(part) - 1 else y + STEP
        _arrow(axes, (RIGHT, y + 0.25), (RIGHT, above - 0.25), batch_of(stage.shape))
        y = above
    _box(axes, RIGHT, top, *_output(model), "data")


OUTPUTS = {  # what the decoder gives, by the name of the likelihood, and what that means
    "bernoulli": ("logits of p(x | z)", "their sigmoid is the probability of a 1"),
    "continuous-bernoulli": ("logits of p(x | z)", "of a continuous Bernoulli on [0, 1]"),
    "gaussian-learned": ("mean of p(x | z)", "one variance for all, learned"),
    "gaussian-per-pixel": ("mean and log-variance of p(x | z)", "two numbers for each feature"),
    "gaussian-calibrated": ("mean of p(x | z)", "one variance for all, the best one"),
    "laplace": ("location of p(x | z)", "one scale for all, learned"),
    "discretised-logistic": ("location and log-scale of p(x | z)", "two numbers for each feature"),
    "discretised-logistic-mixture": ("parameters of p(x | z)", "three logistics for each feature"),
    "categorical": ("logits of p(x | z)", "256 for each feature"),
}


def _output(model):
    """What the decoder's last layer gives, and what it means."""
    if model.likelihood is None:
        return "reconstruction of x", None
    if model.likelihood.name == "gaussian":
        return "mean of p(x | z)", f"the variance is {math.exp(model.likelihood.log_variance):.3g} everywhere"
    return OUTPUTS.get(model.likelihood.name, ("parameters of p(x | z)", None))


def _code(axes, model, encoder_end, decoder_end):
    """The code of an autoencoder: one box between encoder and decoder."""
    y = min(encoder_end[1], decoder_end[1]) - STEP - 0.1
    _box(axes, MIDDLE, y, "code z", f"(N, {model.latent})", "latent", width=1.7)
    _elbow(axes, (LEFT, encoder_end[1] - 0.25), (MIDDLE - 0.85, y))
    _elbow(axes, (MIDDLE + 0.85, y), (RIGHT, decoder_end[1] - 0.25))


def _latent(axes, model, encoder_end, decoder_end):
    """Mean and log-variance, the noise, and z = reparameterize(mean, log_variance, noise)."""
    shape = f"(N, {model.latent})"
    bottom = min(encoder_end[1], decoder_end[1])
    upper, lower = bottom - STEP - 0.1, bottom - STEP - 0.72
    middle = (upper + lower) / 2
    _box(axes, LEFT, upper, f"mean {shape}", None, "latent", width=1.9, height=0.36)
    _box(axes, LEFT, lower, f"log_variance {shape}", None, "latent", width=1.9, height=0.36)
    axes.annotate("", (LEFT, upper + 0.2), (LEFT, encoder_end[1] - 0.25), arrowprops=ARROW)
    axes.text(LEFT + 0.1, (upper + 0.18 + encoder_end[1] - 0.25) / 2, f"(N, {2 * model.latent}), cut in two", va="center", color="#555555")
    _box(axes, MIDDLE, middle, "reparameterize", "z = mean + exp(log_variance / 2) * noise", "layer", width=2.0, height=0.66, wrap=True)
    for y in (upper, lower):
        axes.annotate("", (MIDDLE - 1.0, middle + (y - middle) / 2.5), (LEFT + 0.95, y), arrowprops=ARROW)
    above = middle + 0.33 + 0.36 + 0.18
    _box(axes, MIDDLE, above, f"noise {shape} from N(0, I)", None, "data", width=2.0, height=0.36)
    axes.annotate("", (MIDDLE, middle + 0.33), (MIDDLE, above - 0.18), arrowprops=ARROW)
    _elbow(axes, (MIDDLE + 1.0, middle), (RIGHT, decoder_end[1] - 0.25), f"z {shape}")


ARROW = {"arrowstyle": "-|>", "color": INK, "linewidth": 1, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 10}


def _arrow(axes, start, end, text):
    """A vertical arrow with a shape beside it."""
    axes.annotate("", end, start, arrowprops=ARROW)
    axes.text(start[0] + 0.1, (start[1] + end[1]) / 2, text, va="center", color="#555555")


def _elbow(axes, start, end, text=None):
    """An arrow with one right angle, its text beside the vertical part."""
    vertical_first = start[1] > end[1]
    style = "angle,angleA=-90,angleB=180,rad=0" if vertical_first else "angle,angleA=0,angleB=-90,rad=0"
    axes.annotate("", end, start, arrowprops=ARROW | {"connectionstyle": style})
    if text:
        axes.text(end[0] + 0.1, (start[1] + end[1]) / 2, text, va="center", color="#555555")


def _count(stage):
    return f"{stage.windows + '; ' if stage.windows else ''}{stage.parameters:,} parameters" if stage.parameters else None


def _box(axes, x, y, title, detail, kind, width=BOX, height=0.5, wrap=False):
    """A box with a title and, below it, a detail in smaller print."""
    corner = (x - width / 2, y - height / 2)
    axes.add_patch(FancyBboxPatch(corner, width, height, "round,pad=0,rounding_size=0.06", facecolor=FILL[kind], edgecolor=FAINT))
    if wrap:
        detail = detail.replace(" + ", " +\n", 1)
    lift = 0 if detail is None else (0.19 if wrap else 0.1)
    axes.text(x, y + lift, title, ha="center", va="center", size=9.5 * min(1, LETTERS / len(title)))
    if detail:
        axes.text(x, y - (0.11 if wrap else 0.12), detail, ha="center", va="center", size=8.5, color="#555555")
