"""The architecture as a drawing: the encoder goes down on the left, the latent variable lies below, the decoder goes up."""

import math
from typing import NamedTuple

from matplotlib.patches import FancyBboxPatch

from tinyae.figures.style import FAINT, INK, WIDTH, blank, styled
from tinyae.nn import Module

LEFT, MIDDLE, RIGHT = 1.45, 4.0, 6.55  # centres of the columns, in inches
BOX, STEP = 2.6, 0.86  # width of a box, and from one row to the next
FILL = {"data": "#ffffff", "layer": "#e8eff6", "latent": "#fbeedc"}


class Stage(NamedTuple):
    """A step of a network: what it is, how many parameters it has, and the width of its result."""

    text: str
    parameters: int
    width: int


def stages(network, width):
    """The steps of a Sequential whose input has this width; an activation belongs to the layer before it."""
    found = []
    for layer in network.layers:
        name = type(layer).__name__ if isinstance(layer, Module) else layer.__name__
        count = sum(math.prod(p.shape) for p in layer.parameters()) if isinstance(layer, Module) else 0
        if count:
            before, width = width, layer.weight.shape[0]
            found.append(Stage(f"{name} {before} \N{RIGHTWARDS ARROW} {width}", count, width))
        elif found:
            found[-1] = found[-1]._replace(text=f"{found[-1].text}, {name}")
        else:
            found.append(Stage(name, 0, width))
    return found


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
    _column(axes, LEFT, top, "x", f"images {' × '.join(map(str, image_shape))} as rows of {model.features}", encoder, model.features)
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
    for stage in part:
        _arrow(axes, (x, y - 0.25), (x, y - STEP + 0.25), f"(N, {width})")
        y, width = y - STEP, stage.width
        _box(axes, x, y, stage.text, _count(stage), "layer")


def _decoder(axes, model, top, bottom, part):
    """Boxes upwards to the output; `bottom` is where the first layer stands."""
    y = bottom
    for i, stage in enumerate(part):
        _box(axes, RIGHT, y, stage.text, _count(stage), "layer")
        above = top if i == len(part) - 1 else y + STEP
        _arrow(axes, (RIGHT, y + 0.25), (RIGHT, above - 0.25), f"(N, {stage.width})")
        y = above
    _box(axes, RIGHT, top, *_output(model), "data")


def _output(model):
    """What the decoder's last layer gives, and what it means."""
    if model.likelihood is None:
        return "reconstruction of x", None
    if model.likelihood.name == "gaussian":
        return "mean of p(x | z)", f"the variance is {math.exp(model.likelihood.log_variance):.3g} everywhere"
    return "logits of p(x | z)", "their sigmoid is the probability of a 1"


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
    return f"{stage.parameters:,} parameters" if stage.parameters else None


def _box(axes, x, y, title, detail, kind, width=BOX, height=0.5, wrap=False):
    """A box with a title and, below it, a detail in smaller print."""
    corner = (x - width / 2, y - height / 2)
    axes.add_patch(FancyBboxPatch(corner, width, height, "round,pad=0,rounding_size=0.06", facecolor=FILL[kind], edgecolor=FAINT))
    if wrap:
        detail = detail.replace(" + ", " +\n", 1)
    lift = 0 if detail is None else (0.19 if wrap else 0.1)
    axes.text(x, y + lift, title, ha="center", va="center", size=9.5)
    if detail:
        axes.text(x, y - (0.11 if wrap else 0.12), detail, ha="center", va="center", size=8.5, color="#555555")
