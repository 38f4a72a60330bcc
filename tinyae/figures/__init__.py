"""Pictures of a model and its training, all in one style.  Nothing else imports matplotlib."""

from tinyae.figures.curves import learning_curves
from tinyae.figures.diagram import architecture
from tinyae.figures.images import interpolation, manifold, prior_quantiles, prior_samples, reconstructions
from tinyae.figures.latent import posterior_means
from tinyae.figures.pictures import pictures_of
from tinyae.figures.style import Picture, png, save

__all__ = [
    "Picture",
    "architecture",
    "interpolation",
    "learning_curves",
    "manifold",
    "pictures_of",
    "png",
    "posterior_means",
    "prior_quantiles",
    "prior_samples",
    "reconstructions",
    "save",
]
