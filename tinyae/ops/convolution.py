"""Convolution and its two companions.  One number holds them all: for an input x, a weight w and a cotangent g, along one axis,

    T(x, w, g) = sum over n, o, i, c, k of  g[n, o, i] * w[o, c, k] * x[n, c, stride * i + dilation * k - padding]

T is linear in each of the three, and each operation is its derivative with respect to one of them:

    convolution              y = dT/dg   from x and w      conv1d, conv2d
    transposed convolution  gx = dT/dx   from g and w      conv_transpose1d, conv_transpose2d
    weight gradient         gw = dT/dw   from x and g      conv1d_weight, conv2d_weight

Take any of them: the cotangent of its result fills the place in T that the result left empty.  So its gradient with respect
to an input is the operation that belongs to this input.  Six rules, nothing new to derive, and gradients of gradients of
any order.

Names and shapes are PyTorch's.  A number of the geometry (stride, padding, ...) may be a tuple with one for each axis; padding
is with zeros, as many at both ends.  What deep learning calls convolution is correlation: the kernel is not turned round.
"""

from tinyae.autograd import primitive
from tinyae.ops.correlation import convolution, transposed_convolution, weight_gradient
from tinyae.ops.indexing import scatter_add
from tinyae.ops.windows import Windows, batch_first, batch_last, size_before

SEEN = "stride * i + dilation * k - padding"  # the entry of x on which offset k of step i lies
ROW, COLUMN = "stride[0] * i + dilation[0] * k - padding[0]", "stride[1] * j + dilation[1] * l - padding[1]"


@primitive(shapes="(n,c,l),(o,c,k),(o)->(n,o,i)", formula=f"y[n, o, i] = sum(x[n, c, {SEEN}] * weight[o, c, k], over=(c, k)) + bias[o]")
def conv1d(x, weight, bias=None, *, stride=1, padding=0, dilation=1):
    """Convolution of sequences.  x: (N, C, L), weight: (O, C, K), bias: (O,) or None.

    Returns (N, O, steps), steps = (L + 2 * padding - dilation * (K - 1) - 1) // stride + 1.  Raises ShapeError where it is not positive.
    """
    return convolution(1, x, weight, bias, stride, padding, dilation)


@conv1d.vjp("x", formula=f"gx[n, c, p] = sum(gy[n, o, i] * weight[o, c, k] * (p == {SEEN}), over=(o, i, k))")
def _(gy, weight, x_shape, stride, padding, dilation):
    rest = Windows(x_shape[2:], weight.shape[2:], stride, padding, dilation).left_over
    return conv_transpose1d(gy, weight, stride=stride, padding=padding, dilation=dilation, output_padding=rest)


@conv1d.vjp("weight", formula=f"gweight[o, c, k] = sum(gy[n, o, i] * x[n, c, {SEEN}], over=(n, i))")
def _(gy, x, weight_shape, stride, padding, dilation):
    return conv1d_weight(x, gy, kernel_size=weight_shape[2:], stride=stride, padding=padding, dilation=dilation)


@conv1d.vjp("bias", formula="gbias[o] = sum(gy[n, o, i], over=(n, i))")
def _(gy):
    return gy.sum(axis=(0, 2))


@primitive(shapes="(n,c,i),(c,o,k),(o)->(n,o,l)", formula=f"y[n, o, p] = sum(x[n, c, i] * weight[c, o, k] * (p == {SEEN}), over=(c, i, k)) + bias[o]")
def conv_transpose1d(x, weight, bias=None, *, stride=1, padding=0, dilation=1, output_padding=0):
    """Transposed convolution of sequences.  x: (N, C, steps), weight: (C, O, K), bias: (O,) or None.

    Returns (N, O, L), L = stride * (steps - 1) + dilation * (K - 1) + 1 - 2 * padding + output_padding: a size on which conv1d
    takes so many steps.  output_padding, less than stride, says which one.
    """
    return transposed_convolution(1, x, weight, bias, stride, padding, dilation, output_padding)


@conv_transpose1d.vjp("x", formula=f"gx[n, c, i] = sum(gy[n, o, {SEEN}] * weight[c, o, k], over=(o, k))")
def _(gy, weight, stride, padding, dilation):
    return conv1d(gy, weight, stride=stride, padding=padding, dilation=dilation)


@conv_transpose1d.vjp("weight", formula=f"gweight[c, o, k] = sum(x[n, c, i] * gy[n, o, {SEEN}], over=(n, i))")
def _(gy, x, weight_shape, stride, padding, dilation):
    return conv1d_weight(gy, x, kernel_size=weight_shape[2:], stride=stride, padding=padding, dilation=dilation)


@conv_transpose1d.vjp("bias", formula="gbias[o] = sum(gy[n, o, p], over=(n, p))")
def _(gy):
    return gy.sum(axis=(0, 2))


@primitive(shapes="(n,c,l),(n,o,i)->(o,c,k)", formula=f"y[o, c, k] = sum(gy[n, o, i] * x[n, c, {SEEN}], over=(n, i))")
def conv1d_weight(x, gy, *, kernel_size, stride=1, padding=0, dilation=1):
    """The gradient of conv1d in its weight.  x: (N, C, L), gy: (N, O, steps).  Returns (O, C, kernel_size)."""
    return weight_gradient(1, x, gy, kernel_size, stride, padding, dilation)


@conv1d_weight.vjp("x", formula=f"gx[n, c, p] = sum(gy[n, o, i] * gweight[o, c, k] * (p == {SEEN}), over=(o, i, k))")
def _(gweight, gy, x_shape, stride, padding, dilation):
    rest = Windows(x_shape[2:], gweight.shape[2:], stride, padding, dilation).left_over
    return conv_transpose1d(gy, gweight, stride=stride, padding=padding, dilation=dilation, output_padding=rest)


@conv1d_weight.vjp("gy", formula=f"ggy[n, o, i] = sum(x[n, c, {SEEN}] * gweight[o, c, k], over=(c, k))")
def _(gweight, x, stride, padding, dilation):
    return conv1d(x, gweight, stride=stride, padding=padding, dilation=dilation)


@primitive(
    shapes="(n,c,h,w),(o,c,k,l),(o)->(n,o,i,j)",
    formula=f"y[n, o, i, j] = sum(x[n, c, {ROW}, {COLUMN}] * weight[o, c, k, l], over=(c, k, l)) + bias[o]",
)
def conv2d(x, weight, bias=None, *, stride=1, padding=0, dilation=1):
    """Convolution of images.  x: (N, C, H, W), weight: (O, C, kernel height, kernel width), bias: (O,) or None.

    Returns (N, O, steps, steps) with as many steps along each axis as for conv1d.
    """
    return convolution(2, x, weight, bias, stride, padding, dilation)


@conv2d.vjp("x", formula=f"gx[n, c, p, q] = sum(gy[n, o, i, j] * weight[o, c, k, l] * (p == {ROW}) * (q == {COLUMN}), over=(o, i, j, k, l))")
def _(gy, weight, x_shape, stride, padding, dilation):
    rest = Windows(x_shape[2:], weight.shape[2:], stride, padding, dilation).left_over
    return conv_transpose2d(gy, weight, stride=stride, padding=padding, dilation=dilation, output_padding=rest)


@conv2d.vjp("weight", formula=f"gweight[o, c, k, l] = sum(gy[n, o, i, j] * x[n, c, {ROW}, {COLUMN}], over=(n, i, j))")
def _(gy, x, weight_shape, stride, padding, dilation):
    return conv2d_weight(x, gy, kernel_size=weight_shape[2:], stride=stride, padding=padding, dilation=dilation)


@conv2d.vjp("bias", formula="gbias[o] = sum(gy[n, o, i, j], over=(n, i, j))")
def _(gy):
    return gy.sum(axis=(0, 2, 3))


@primitive(
    shapes="(n,c,i,j),(c,o,k,l),(o)->(n,o,h,w)",
    formula=f"y[n, o, p, q] = sum(x[n, c, i, j] * weight[c, o, k, l] * (p == {ROW}) * (q == {COLUMN}), over=(c, i, j, k, l)) + bias[o]",
)
def conv_transpose2d(x, weight, bias=None, *, stride=1, padding=0, dilation=1, output_padding=0):
    """Transposed convolution of images.  x: (N, C, steps, steps), weight: (C, O, kernel height, kernel width), bias: (O,) or None.

    Returns (N, O, H, W), of the size that conv_transpose1d gives along each axis.
    """
    return transposed_convolution(2, x, weight, bias, stride, padding, dilation, output_padding)


@conv_transpose2d.vjp("x", formula=f"gx[n, c, i, j] = sum(gy[n, o, {ROW}, {COLUMN}] * weight[c, o, k, l], over=(o, k, l))")
def _(gy, weight, stride, padding, dilation):
    return conv2d(gy, weight, stride=stride, padding=padding, dilation=dilation)


@conv_transpose2d.vjp("weight", formula=f"gweight[c, o, k, l] = sum(x[n, c, i, j] * gy[n, o, {ROW}, {COLUMN}], over=(n, i, j))")
def _(gy, x, weight_shape, stride, padding, dilation):
    return conv2d_weight(gy, x, kernel_size=weight_shape[2:], stride=stride, padding=padding, dilation=dilation)


@conv_transpose2d.vjp("bias", formula="gbias[o] = sum(gy[n, o, p, q], over=(n, p, q))")
def _(gy):
    return gy.sum(axis=(0, 2, 3))


@primitive(shapes="(n,c,h,w),(n,o,i,j)->(o,c,k,l)", formula=f"y[o, c, k, l] = sum(gy[n, o, i, j] * x[n, c, {ROW}, {COLUMN}], over=(n, i, j))")
def conv2d_weight(x, gy, *, kernel_size, stride=1, padding=0, dilation=1):
    """The gradient of conv2d in its weight.  x: (N, C, H, W), gy: (N, O, steps, steps).  Returns (O, C, kernel height, kernel width)."""
    return weight_gradient(2, x, gy, kernel_size, stride, padding, dilation)


@conv2d_weight.vjp("x", formula=f"gx[n, c, p, q] = sum(gy[n, o, i, j] * gweight[o, c, k, l] * (p == {ROW}) * (q == {COLUMN}), over=(o, i, j, k, l))")
def _(gweight, gy, x_shape, stride, padding, dilation):
    rest = Windows(x_shape[2:], gweight.shape[2:], stride, padding, dilation).left_over
    return conv_transpose2d(gy, gweight, stride=stride, padding=padding, dilation=dilation, output_padding=rest)


@conv2d_weight.vjp("gy", formula=f"ggy[n, o, i, j] = sum(x[n, c, {ROW}, {COLUMN}] * gweight[o, c, k, l], over=(c, k, l))")
def _(gweight, x, stride, padding, dilation):
    return conv2d(x, gweight, stride=stride, padding=padding, dilation=dilation)


@conv1d.twin
@conv2d.twin
def by_offsets(x, weight, bias, *, stride=1, padding=0, dilation=1):
    """Convolution as a sum over the kernel's offsets: each multiplies what all steps see there by a matrix (O, C)."""
    windows = Windows(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    seen = [part.reshape(part.shape[0], -1) for part in windows.cut(batch_last(x))]
    y = sum((weight[:, :, *k] @ part for k, part in zip(windows.offsets(), seen, strict=True)), start=bias[:, None])
    return batch_first(y.reshape(weight.shape[0], *windows.steps, x.shape[0]))


@conv_transpose1d.twin
@conv_transpose2d.twin
def by_zeros_between(x, weight, bias, *, stride=1, padding=0, dilation=1, output_padding=0):
    """Transposed convolution as convolution: zeros between the entries of x, and the kernel turned round.

    Dumoulin & Visin 2016, section 4.
    """
    (n, c, *steps), kernel = x.shape, weight.shape[2:]
    windows = Windows(size_before(steps, kernel, stride, padding, dilation, output_padding), kernel, stride, padding, dilation)
    ends = [s * (m - 1) + 1 for s, m in zip(windows.stride, steps, strict=True)]
    spread = scatter_add(
        x,
        index=(..., *(slice(0, end, s) for end, s in zip(ends, windows.stride, strict=True))),
        shape=(n, c, *(end + more for end, more in zip(ends, windows.left_over, strict=True))),
    )
    turned = weight.swapaxes(0, 1)[:, :, *[slice(None, None, -1)] * len(kernel)]
    reach = tuple(d * (k - 1) for k, d in zip(kernel, windows.dilation, strict=True))
    y = by_offsets(spread, turned, bias, padding=reach, dilation=dilation)
    return y[:, :, *(slice(p, p + size) for p, size in zip(windows.padding, windows.size, strict=True))]
