"""What follows from `grad` alone: Jacobians, products with Jacobians, products with Hessians.

All take a recorded result and a list of inputs, like `grad`; the graph is kept, so that one may ask again.
"""

from tinyae.autograd import Tensor, grad, raw
from tinyae.autograd.gradients import checked
from tinyae.backend import array_module
from tinyae.errors import ShapeError
from tinyae.ops.joining import stack


def jacobian(y, inputs, *, create_graph=False):
    """All derivatives of all entries of `y`, row by row: as many backward passes as `y` has entries.

    y: a Tensor of any shape.  inputs: a list of Tensors.  Returns: a list of Tensors, of shapes (*y.shape, *input.shape).
    """
    inputs, xp = checked("jacobian", inputs), array_module(raw(y))
    unit = xp.arange(y.size).reshape(y.shape)
    rows = [grad(y, inputs, (unit == entry).astype(y.dtype), create_graph=create_graph, retain_graph=True) for entry in range(y.size)]
    if not rows:
        return [Tensor.of(xp.zeros((*y.shape, *x.shape), x.dtype), None) for x in inputs]
    return [stack(column).reshape((*y.shape, *x.shape)) for column, x in zip(zip(*rows, strict=True), inputs, strict=True)]


def jvp(y, inputs, tangents, *, create_graph=False):
    """The Jacobian of `y` times a direction: how fast `y` changes when the inputs move along the tangents.

    y: a Tensor of any shape.  inputs, tangents: lists of equal shapes.  Returns: a Tensor of y's shape.
    Two reverse passes: the vector-Jacobian product u J is linear in u, and its derivative in u along v is J v.
    """
    inputs = checked("jvp", inputs)
    u = Tensor(array_module(raw(y)).ones(y.shape, y.dtype), requires_grad=True)
    return along(grad(y, inputs, u, create_graph=True), [u], tangents, create_graph)[0]


def hessian_vector_product(y, inputs, vectors, *, create_graph=False):
    """The matrix of second derivatives times a direction, without the matrix: the gradient's change along the vectors.

    y: a Tensor with a single entry.  inputs, vectors: lists of equal shapes.  Returns: a list of Tensors like the inputs.
    """
    inputs = checked("hessian_vector_product", inputs)
    return along(grad(y, inputs, create_graph=True), inputs, vectors, create_graph)


def along(gradients, inputs, vectors, create_graph):
    """The gradients, with respect to `inputs`, of the sum of products of `gradients` and `vectors`."""
    found = [Tensor.of(array_module(x.data).zeros(x.shape, x.dtype), None) for x in inputs]
    shapes = [getattr(raw(vector), "shape", "no array") for vector in vectors]
    if shapes != (expected := [gradient.shape for gradient in gradients]):
        raise ShapeError("a direction for each input, an array of its shape.", expected=expected, got=shapes)
    for gradient, vector in zip(gradients, vectors, strict=True):
        if gradient.requires_grad:
            parts = grad(gradient, inputs, vector, create_graph=create_graph, retain_graph=True)
            found = [total + part for total, part in zip(found, parts, strict=True)]
    return found
