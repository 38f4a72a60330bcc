"""What a model achieves on a test split."""

from tinyae.evaluation.terms import evaluate

__all__ = ["evaluate"]
