"""The autograd core: Tensor, graph, backward, grad, no_grad, and `@primitive` with its registry.  It names no operation."""

from tinyae.autograd.graph import backward, backward_steps, grad, no_grad
from tinyae.autograd.primitive import Primitive, primitive, registry, user_registry
from tinyae.autograd.tensor import Tensor

__all__ = ["Primitive", "Tensor", "backward", "backward_steps", "grad", "no_grad", "primitive", "registry", "user_registry"]
