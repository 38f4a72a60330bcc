"""The importance-weighted autoencoder beside a VAE of the same networks on digits: the likelihood of new images.

An epoch costs the VAE less, so it gets more of them.  vae_equal_epochs: with as many.  vae_longest: with three times as many, which is at
least as much processor time, but it is past its best.  All by 500 importance samples an image; seconds: processor time of the trainings.
"""

import time

import family

import tinyae as ta

METRIC, UNIT, LOWER = "-log p(x), 500 importance samples", "nats", True
BASELINE = "vae, equal width, 1050 epochs against 600"


def measure(seed):
    """-log p(x) of the test split: of `tinyae train iwae`, and of the VAE in more, equal, and three times the epochs; processor seconds."""

    def found(name, *options):
        started = time.process_time()
        model, _, test = family.trained(name, seed, *options)
        seconds = time.process_time() - started
        return ta.evaluation.log_likelihood(model, test, 500, rng=ta.rng(seed).stream("importance samples")).nll, seconds

    runs = {"model": found("iwae"), "baseline": found("vae", "--epochs", 1050)}
    runs |= {"vae_equal_epochs": found("vae", "--epochs", 600), "vae_longest": found("vae", "--epochs", 1800)}
    return {name: nll for name, (nll, _) in runs.items()} | {f"seconds_of_{name}": seconds for name, (_, seconds) in runs.items()}
