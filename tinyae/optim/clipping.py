"""Clipping of gradients, by their norm and by value; nothing here waits for the device."""

import math

from tinyae.backend import array_module
from tinyae.errors import ArgumentError
from tinyae.optim.flat import listed, no_gradient, trained


def gradients_of(parameters):
    """The gradients as a list of arrays to be changed in place: of an optimiser, long stretches of its flat buffer."""
    if flat := getattr(parameters, "flat", None):
        present = flat.collect()
        return [flat.gradients] if all(present) else [flat.gradients[start:end] for start, end, _ in flat.runs([has or None for has in present])]
    gradients = [p.grad for p in listed(parameters) if trained(p)]
    if not gradients:
        raise no_gradient()
    return gradients


def gradient_norm(parameters):
    """The Euclidean norm of all gradients laid end to end: sqrt(sum_i g_i^2).

    parameters: an optimiser, or a list of parameters; those without gradient, and frozen ones, do not count.
    Returns: an array () on their device.
    """
    return norm_of(gradients_of(parameters))


def norm_of(gradients):
    """The norm of a list of arrays laid end to end."""
    xp = array_module(gradients[0])
    return xp.asarray(xp.sqrt(sum(xp.vdot(g, g) for g in gradients)))


def clip_norm(parameters, limit):
    """Where the norm of all gradients exceeds `limit`, scale them to it: g <- g min(1, limit / norm), in place.

    parameters: as for `gradient_norm`.  Returns: the norm before, an array () on their device.  A norm that is no number
    makes every gradient NaN: see `skip_above` of `Optimizer.step`.  Pascanu, Mikolov & Bengio 2013, algorithm 1.
    """
    check(limit, "clip_norm")
    gradients = gradients_of(parameters)
    norm = norm_of(gradients)
    scale = limit / array_module(norm).maximum(norm, limit)  # exactly 1 up to the limit
    for g in gradients:
        g *= scale
    return norm


def clip_value(parameters, limit):
    """Bring each entry of the gradients into [-limit, limit], in place.  parameters: as for `gradient_norm`."""
    check(limit, "clip_value")
    for g in gradients_of(parameters):
        array_module(g).clip(g, -limit, limit, out=g)


def check(limit, name):
    """Raise ArgumentError for a limit that is no number above 0."""
    if not 0 < limit < math.inf:
        raise ArgumentError(f"{name}: the limit must be above 0, and finite.", got=limit, remedy="gradient_norm, to measure only")
