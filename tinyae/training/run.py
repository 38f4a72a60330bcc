"""A run: a folder with config.json, history.csv, metrics.json, checkpoint.safetensors, figures/ and report.html."""

import itertools
import json
import pathlib

from tinyae.errors import RunError
from tinyae.training.files import write_atomic, write_tensors


class Run:
    """The folder of one training.

    folder: an explicit one, which must not hold a run already; None counts up runs/NAME-1, runs/NAME-2, ...
    config: what made the run, written at once, so that an unwritable folder is found before the training.
    """

    def __init__(self, folder, name, config):
        if folder is None:
            folder = next(path for i in itertools.count(1) if not (path := pathlib.Path("runs") / f"{name}-{i}").exists())
        self.folder = pathlib.Path(folder)
        if (self.folder / "config.json").exists():
            raise RunError(f"{self.folder}: it holds a run already.", remedy="choose another folder")
        self.made = not self.folder.exists()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{self.folder}: the folder cannot be made.", got=str(error)) from error
        self.config = config
        write_json(self.folder / "config.json", config)

    def discard(self):
        """Take back what was written at the start, if nothing was trained: a failed run leaves no half-written folder."""
        if not (self.folder / "checkpoint.safetensors").exists():
            (self.folder / "config.json").unlink(missing_ok=True)
            if self.made and not any(self.folder.iterdir()):
                self.folder.rmdir()

    def write_progress(self, model, optimizer, history):
        """history.csv, and a checkpoint: weights, optimiser, and the epoch from which every random stream follows."""
        arrays = {f"model.{name}": array for name, array in model.state_dict().items()}
        arrays |= {f"optimizer.{name}": array for name, array in optimizer.state_dict().items()}
        metadata = {"model": getattr(model, "config", None), "epoch": len(history), "seed": self.config.get("seed")}
        metadata["interrupted"] = history.interrupted
        write_tensors(self.folder / "checkpoint.safetensors", arrays, metadata)
        write_atomic(self.folder / "history.csv", history.to_csv())

    def write_metrics(self, metrics):
        """metrics.json: what the model achieves, with units, binarisation, seed and versions."""
        write_json(self.folder / "metrics.json", metrics)


def write_json(path, value):
    """Write a value as readable JSON, atomically."""
    write_atomic(path, json.dumps(value, indent=2) + "\n")
