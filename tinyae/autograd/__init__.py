"""The autograd core: Tensor, graph, backward, grad, no_grad, and `@primitive` with its registry.  It names no operation."""

from tinyae.autograd.gradients import grad
from tinyae.autograd.graph import backward, backward_steps, no_grad
from tinyae.autograd.primitive import Primitive, primitive, registry, user_registry
from tinyae.autograd.tensor import Tensor, raw

__all__ = ["Primitive", "Tensor", "backward", "backward_steps", "grad", "no_grad", "primitive", "raw", "registry", "user_registry"]

__import__("tinyae.ops")  # the room above gives Tensor its operators; whoever begins here would find none
