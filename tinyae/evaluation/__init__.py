"""What a model achieves on a test split: one table of metrics, and the functions that they are made of."""

from tinyae.lazy import lazily

__all__, __getattr__, __dir__ = lazily(
    __name__,
    """
    anomaly.auroc anomaly.auroc_standard_error bits_back.compress bits_back.decompress
    codes.dci codes.linear_probe codes.mutual_information_gap codes.neighbour_accuracy codes.separated_attribute_predictability
    features.dead_share features.explained_variance features.features_found features.l0 features.mean_max_cosine features.perplexity
    frechet.frechet_distance images.mse images.psnr images.ssim
    latent.active_units latent.aggregate_posterior latent.code_information latent.kl_per_dimension latent.kl_per_level
    latent.rate_distortion latent.squared_mmd likelihood.LogLikelihood likelihood.log_likelihood
    metrics.METRICS metrics.Number metrics.measure terms.evaluate
    """.split(),
)
