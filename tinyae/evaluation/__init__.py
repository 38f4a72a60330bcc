"""What a model achieves on a test split: one table of metrics, and the functions that they are made of."""

from tinyae.evaluation.anomaly import auroc, auroc_standard_error
from tinyae.evaluation.bits_back import compress, decompress
from tinyae.evaluation.codes import dci, linear_probe, mutual_information_gap, neighbour_accuracy, separated_attribute_predictability
from tinyae.evaluation.features import dead_share, explained_variance, features_found, l0, mean_max_cosine, perplexity
from tinyae.evaluation.frechet import frechet_distance
from tinyae.evaluation.images import mse, psnr, ssim
from tinyae.evaluation.latent import active_units, aggregate_posterior, code_information, kl_per_dimension, kl_per_level, rate_distortion, squared_mmd
from tinyae.evaluation.likelihood import LogLikelihood, log_likelihood
from tinyae.evaluation.metrics import METRICS, Number, measure
from tinyae.evaluation.terms import evaluate

__all__ = ["METRICS", "LogLikelihood", "Number", "active_units", "aggregate_posterior", "auroc", "auroc_standard_error", "code_information"]
__all__ += ["compress", "dci", "dead_share", "decompress", "evaluate", "explained_variance", "features_found", "frechet_distance"]
__all__ += ["kl_per_dimension", "kl_per_level", "l0", "linear_probe", "log_likelihood", "mean_max_cosine", "measure", "mse"]
__all__ += ["mutual_information_gap", "neighbour_accuracy", "perplexity", "psnr", "rate_distortion", "separated_attribute_predictability"]
__all__ += ["squared_mmd", "ssim"]
