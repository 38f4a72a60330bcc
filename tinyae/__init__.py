"""tinyae: a from-scratch engine for studying backpropagation through autoencoders and variational autoencoders."""

from tinyae.backend import rng, use, using
from tinyae.lazy import lazily

__version__ = "0.1.0"
__all__, __getattr__, __dir__ = lazily(
    __name__,
    [
        *"checks data distributions evaluation figures microscope models nn ops optim report training".split(),
        "autograd.grad",
        "autograd.no_grad",
        "checks.anomaly.detect_anomaly",
        "ops.derivatives.hessian_vector_product",
        "ops.derivatives.jacobian",
        "ops.derivatives.jvp",
        "ops.operators.Tensor",  # the class is autograd's, its operators are put on there
        "training.fit",
        "training.Replay",
        "training.load",
        "training.save",
    ],
)
__all__ += ["rng", "use", "using"]
