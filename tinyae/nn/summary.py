"""A table of a model's layers."""

import copy

import numpy as np

from tinyae.autograd import no_grad
from tinyae.backend import array_module, to_device
from tinyae.nn.module import Module, Parameter


def summary(model, x):
    """A text: for each layer its name, class, the shape of its output, its parameters and how many of them are frozen; totals below.

    x: a batch, or the shape of one, (N, ...), which stands for zeros.  The shapes are those of one pass of a copy of the model, in
    evaluation and without recording, so nothing of the model changes.  A model without `forward` is asked to `reconstruct(x)`.
    A shared parameter counts where it comes first; a layer that the pass does not reach has the output "-".
    """
    shapes, twin = {}, copy.deepcopy(model).eval()
    for name, module in twin.named_modules():
        module.forward = watched(module.forward, name, shapes)
    if isinstance(x, tuple):
        x = zeros(x, twin)
    with no_grad():
        (twin.reconstruct if type(twin).forward is Module.forward else twin)(x)
    rows, seen, total, frozen = [("layer", "class", "output", "parameters", "")], set(), 0, 0
    for name, module in model.named_modules():
        parts = [part for _, part in module.children()]
        own = [p for p in parts if isinstance(p, Parameter) and id(p) not in seen]
        seen |= {id(p) for p in own}
        if own or not any(isinstance(part, Module) for part in parts):
            count, still = sum(p.size for p in own), sum(p.size for p in own if not p.requires_grad)
            total, frozen = total + count, frozen + still
            rows.append((name, type(module).__name__, shapes.get(name, "-"), f"{count:,}", f"{still:,} frozen" if still else ""))
    rows.append(("total", "", "", f"{total:,}", f"{frozen:,} frozen" if frozen else ""))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = "{{:<{}}}  {{:<{}}}  {{:<{}}}  {{:>{}}}  {{:<{}}}".format(*widths)
    return "\n".join(table.format(*row).rstrip() for row in rows)


def watched(forward, name, shapes):
    """`forward` that also notes the shape of its result in shapes[name]."""

    def noting(*args, **kwargs):
        y = forward(*args, **kwargs)
        shapes[name] = str(getattr(y, "shape", "-"))
        return y

    return noting


def zeros(shape, model):
    """Zeros of the dtype and on the backend of the model's parameters."""
    like = next(iter(model.parameters()), None)
    return to_device(np.zeros(shape, np.float32)) if like is None else array_module(like.data).zeros(shape, like.dtype)
