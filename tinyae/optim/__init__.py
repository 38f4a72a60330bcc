"""Optimisers, schedules, clipping of gradients, averages of weights."""

from tinyae.optim.adam import Adam, Adamax, AdamW
from tinyae.optim.average import WeightAverage
from tinyae.optim.clipping import clip_norm, clip_value, gradient_norm
from tinyae.optim.optimizer import Optimizer
from tinyae.optim.schedules import cosine, cyclical, iwae, linear, piecewise_constant
from tinyae.optim.sgd import SGD, RMSprop

__all__ = ["SGD", "Adam", "AdamW", "Adamax", "Optimizer", "RMSprop", "WeightAverage"]
__all__ += ["clip_norm", "clip_value", "cosine", "cyclical", "gradient_norm", "iwae", "linear", "piecewise_constant"]
