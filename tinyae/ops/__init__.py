"""Every primitive: forward and hand-derived rules side by side, one file a domain.  `ops.registry` lists them all."""

from tinyae.autograd import primitive, registry, user_registry
from tinyae.ops.activations import relu, sigmoid, softplus, tanh
from tinyae.ops.arithmetic import add, divide, multiply, negative, power, square, subtract
from tinyae.ops.exponential import exp, log, sqrt
from tinyae.ops.indexing import getitem, scatter_add
from tinyae.ops.likelihoods import bce_with_logits, gaussian_nll
from tinyae.ops.linear_algebra import linear, matmul
from tinyae.ops.operators import install
from tinyae.ops.reductions import mean, sum
from tinyae.ops.shapes import astype, broadcast_to, concatenate, reshape, transpose
from tinyae.ops.variational import kl_standard_normal, reparameterize

install()
