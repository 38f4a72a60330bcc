"""Every primitive: forward and hand-derived rules side by side, one file a domain.  `ops.registry` lists them all."""

from tinyae.autograd import primitive, registry, user_registry
from tinyae.kernels import fused as _fused
from tinyae.ops.activations import elu, gelu, leaky_relu, log_cosh, relu, sigmoid, silu, softplus, tanh
from tinyae.ops.arithmetic import add, divide, multiply, negative, power, square, subtract
from tinyae.ops.contraction import contract, einsum
from tinyae.ops.convolution import conv1d, conv1d_weight, conv2d, conv2d_weight, conv_transpose1d, conv_transpose2d
from tinyae.ops.exponential import exp, expm1, log, log1p, sqrt
from tinyae.ops.indexing import gather, getitem, one_hot, scatter_add, sort, take, top_k
from tinyae.ops.joining import concatenate, split, stack, unstack
from tinyae.ops.likelihoods import bce_with_logits, binary_cross_entropy, cross_entropy_with_logits, gaussian_nll
from tinyae.ops.linear_algebra import diagonal, linear, matmul, outer, tril, triu
from tinyae.ops.noise import dropout
from tinyae.ops.normalisation import batch_norm, layer_norm
from tinyae.ops.operators import install
from tinyae.ops.pooling import avg_pool1d, avg_pool2d, max_pool1d, max_pool2d, upsample_nearest
from tinyae.ops.reductions import cumsum, max, mean, min, norm, prod, sum, var
from tinyae.ops.selection import abs, clip, maximum, minimum, sign, where
from tinyae.ops.shapes import astype, broadcast_to, expand_dims, flip, pad, repeat, reshape, squeeze, transpose
from tinyae.ops.softmax import log_softmax, logsumexp, softmax
from tinyae.ops.surrogates import one_hot_straight_through, round_straight_through, sign_straight_through, straight_through
from tinyae.ops.triangular import log_det_triangular, solve_triangular
from tinyae.ops.trigonometric import arctan, cos, sin
from tinyae.ops.variational import kl_normal_normal, kl_standard_normal, reparameterize
from tinyae.ops.windows import overlap_add

install()
for _primitive in registry.values():
    _fused.attach(_primitive)
