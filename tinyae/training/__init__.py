"""Training: fit, its history, run folders, saved models."""

from tinyae.training.files import load, save
from tinyae.training.fit import fit
from tinyae.training.history import History
from tinyae.training.replay import Replay
from tinyae.training.run import Run, numbered

__all__ = ["History", "Replay", "Run", "fit", "load", "numbered", "save"]
