"""What goes wrong without an error: a posterior that says nothing, units that are always off."""

import contextlib

from tinyae.autograd import no_grad, raw
from tinyae.autograd.graph import observed
from tinyae.backend import array_module, to_numpy
from tinyae.distributions import Normal
from tinyae.models.objective import kl_by_dimension

ACTIVE = 0.01  # nats: a latent dimension with less says nothing of x
MANY = 0.5  # of the relu units: so many may be dead without a warning
REMEDIES = {
    "collapse": "known remedies: warm-up of the KL weight (--warm-up), free bits (--free-bits), a smaller variance of a gaussian likelihood, "
    "a smaller learning rate",
    "dead": "known remedies: a smaller learning rate, another activation (leaky_relu, elu, tanh)",
}


class Units:
    """An observer that counts the units (columns, or channels) that a relu gives zero for every example."""

    def __init__(self):
        self.dead, self.count = 0, 0

    def on_forward(self, operation, args, attributes, result):
        """An operation was computed."""
        if operation.name == "relu" and len(result.shape) > 1:
            y = raw(result)
            on = (y > 0).any(axis=tuple(axis for axis in range(y.ndim) if axis != 1))
            self.dead, self.count = self.dead + (~on).sum(), self.count + on.size

    def on_rules(self, *_):
        """Nothing to see in a backward pass."""

    on_sum = on_backward = on_rules


def look(model, x):
    """What there is to see on the batch x: active_latents, of a model with a normal posterior; dead_units, of one with relu.

    Nothing of a model of one's own whose `encode` and `decode` are of another kind than ours, or not there.
    """
    found, units = {}, Units()
    ours = type(model).__module__.startswith("tinyae.")
    with no_grad(), observed(units), contextlib.nullcontext() if ours else contextlib.suppress(Exception):
        q = model.encode(x)
        if isinstance(q, Normal) and hasattr(model, "prior"):
            kl = kl_by_dimension(q, model.prior).data.mean(axis=0)
            found["active_latents"] = int(to_numpy((kl > ACTIVE).sum()))
            q = q.mean
        model.decode(q)
    if units.count:
        found |= {"dead_units": int(to_numpy(array_module(units.dead).asarray(units.dead))), "relu_units": units.count}
    return found


def warnings_of(found):
    """kind -> sentence for what `look` found: what was seen, and what is known to help."""
    said = {}
    if found.get("active_latents") == 0:
        said["collapse"] = f"posterior collapse: no latent dimension carries {ACTIVE} nats, the decoder ignores z; {REMEDIES['collapse']}"
    if found.get("dead_units", 0) > MANY * found.get("relu_units", 0):
        seen = f"{found['dead_units']} of {found['relu_units']} relu units are 0 for every example looked at"
        said["dead units"] = f"{seen}; {REMEDIES['dead']}"
    return said
