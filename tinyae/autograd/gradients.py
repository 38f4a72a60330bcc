"""`grad`: gradients as Tensors, which can be differentiated again."""

from tinyae import guards
from tinyae.autograd.graph import backward_steps, recording, starting_cotangent
from tinyae.autograd.tensor import Tensor, raw
from tinyae.backend import array_module


def grad(y, inputs, cotangent=None, *, create_graph=False, retain_graph=None):
    """The gradients of `y` with respect to `inputs`, as Tensors; no `.grad` is touched.

    y: a Tensor with a single entry, or of any shape with `cotangent` of that shape.  inputs: a list of Tensors, leaves
    or computed.  Returns: a list of Tensors of the inputs' shapes (zeros where `y` does not depend on one).
    With `create_graph=True` they can be differentiated again.
    """
    inputs = checked("grad", inputs)
    gy = starting_cotangent(y, cotangent, "grad")
    if not create_graph:
        gy = raw(gy)
    elif not isinstance(gy, Tensor):
        gy = Tensor.of(gy, None)
    found = {id(x.node or x): None for x in inputs}
    if id(y.node or y) in found:
        found[id(y.node or y)] = gy
    if y.node is not None:
        retain_graph = create_graph if retain_graph is None else retain_graph
        with recording(create_graph):
            for _, _, gradients in backward_steps(y, gy, create_graph=create_graph, retain_graph=retain_graph):
                for parent, gradient in gradients:
                    if id(parent) in found:
                        before = found[id(parent)]
                        found[id(parent)] = gradient if before is None else before + gradient
    return [as_gradient(found[id(x.node or x)], x) for x in inputs]


def checked(name, inputs):
    """The inputs as a list of Tensors that require a gradient."""
    if isinstance(inputs, Tensor):
        raise guards.one_input(name)
    inputs = list(inputs)
    for x in inputs:
        if not (isinstance(x, Tensor) and x.requires_grad):
            raise guards.fixed_input(name, x)
    return inputs


def as_gradient(gradient, x):
    """A found gradient as a Tensor like `x`, its memory its own; zeros where there is none."""
    if isinstance(gradient, Tensor) and gradient.requires_grad:
        return gradient
    xp = array_module(x.data)
    return Tensor.of(xp.zeros(x.shape, x.dtype) if gradient is None else xp.array(raw(gradient)), None)
