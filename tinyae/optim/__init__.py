"""Optimisers."""

from tinyae.optim.adam import Adam

__all__ = ["Adam"]
