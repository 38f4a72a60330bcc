"""tinyae: a from-scratch engine for studying backpropagation through autoencoders and variational autoencoders."""

import importlib

from tinyae import data, distributions, evaluation, models, nn, ops, optim
from tinyae.autograd import Tensor, grad, no_grad
from tinyae.backend import rng, use, using
from tinyae.ops.derivatives import hessian_vector_product, jacobian, jvp
from tinyae.training import fit, load, save

__version__ = "0.1.0"
__all__ = [
    "Tensor", "checks", "data", "detect_anomaly", "distributions", "evaluation", "figures", "fit", "grad", "hessian_vector_product",
    "jacobian", "jvp", "load", "microscope", "models", "nn", "no_grad", "ops", "optim", "report", "rng", "save", "use", "using",
]  # fmt: skip


def __getattr__(name):
    """Rooms that need more than NumPy are loaded when they are first asked for."""
    if name in ("checks", "figures", "microscope", "report"):
        return importlib.import_module(f"tinyae.{name}")
    if name == "detect_anomaly":
        return importlib.import_module("tinyae.checks.anomaly").detect_anomaly
    raise AttributeError(f"module 'tinyae' has no attribute {name!r}")
