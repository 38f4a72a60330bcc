"""tinyae: a from-scratch engine for studying backpropagation through autoencoders and variational autoencoders."""

from tinyae import data, distributions, evaluation, models, nn, ops, optim
from tinyae.autograd import Tensor, grad, no_grad
from tinyae.backend import rng, use, using

__version__ = "0.1.0"
