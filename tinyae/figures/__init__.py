"""Pictures of a model and its training, all in one style.  Nothing else imports matplotlib."""

from tinyae.figures import uses
from tinyae.figures.curves import learning_curves
from tinyae.figures.diagram import architecture, by
from tinyae.figures.images import interpolation, manifold, prior_quantiles, prior_samples, reconstructions
from tinyae.figures.latent import posterior_means
from tinyae.figures.pictures import binarisation_of, pictures_of, things
from tinyae.figures.points import are_points, points
from tinyae.figures.style import Picture, png, save

__all__ = [
    "Picture",
    "architecture",
    "are_points",
    "binarisation_of",
    "by",
    "interpolation",
    "learning_curves",
    "manifold",
    "pictures_of",
    "png",
    "points",
    "posterior_means",
    "prior_quantiles",
    "prior_samples",
    "reconstructions",
    "save",
    "things",
    "uses",
]
