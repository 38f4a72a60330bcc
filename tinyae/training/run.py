"""A run: a folder with config.json, history.csv, metrics.json, checkpoint.safetensors, figures/ and report.html."""

import contextlib
import itertools
import json
import pathlib

from tinyae.data import load as load_data
from tinyae.errors import RunError
from tinyae.training.files import PART, checksum, configuration, read_tensors, write_atomic, write_tensors


class Run:
    """The folder of one training.

    folder: an explicit one, which must not hold a run already; None counts up runs/NAME-1, runs/NAME-2, ...
    config: what made the run, written at once, so that an unwritable folder is found before the training.
    """

    training = None  # what must be the same for a checkpoint to be resumed; `fit` says it

    def __init__(self, folder, name, config):
        folder = next(numbered(name, missing=True)) if folder is None else folder
        self.folder, self.config = pathlib.Path(folder), config
        if (self.folder / "config.json").exists():
            raise RunError(f"{self.folder}: it holds a run already.", remedy="choose another folder, or go on with it: --resume")
        self.made = not self.folder.exists()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{self.folder}: the folder cannot be made.", got=str(error)) from error
        self.write_config()

    @classmethod
    def open(cls, folder):
        """The run in a folder.  Raises RunError where there is none, or its config.json is damaged."""
        run = cls.__new__(cls)
        run.folder, run.made, run.config = pathlib.Path(folder), False, read_config(pathlib.Path(folder) / "config.json")
        return run

    def write_config(self):
        """config.json: the settings, and their checksum."""
        write_json(self.folder / "config.json", self.config | {"checksum": checksum(json.dumps(self.config))})

    @property
    def checkpoint(self):
        """The path of the checkpoint."""
        return self.folder / "checkpoint.safetensors"

    def data(self, split):
        """The data set of the run, binarised as in the run."""
        if not {"data", "binarisation"} <= self.config.keys():
            raise RunError(f"{self.folder}: it does not say what data it was trained on.")
        return load_data(self.config["data"], split=split, binarisation=self.config["binarisation"])

    def discard(self):
        """Take back what was written at the start, if nothing was trained: a failed run leaves no half-written folder."""
        if not self.checkpoint.exists():
            with contextlib.suppress(OSError):  # a folder that became read-only keeps what it has
                (self.folder / "config.json").unlink(missing_ok=True)
                if self.made and not any(self.folder.iterdir()):
                    self.folder.rmdir()

    def write_progress(self, state):
        """The checkpoint, the history in it, then history.csv.  model.*: the weights to be used; the rest is for `resume`."""
        arrays = {f"model.{name}": array for name, array in state.weights().items()} | state.arrays()
        metadata = {"model": configuration(state.model), "training": self.training, "state": state.numbers()}
        write_tensors(self.checkpoint, arrays, metadata)
        write_atomic(self.folder / "history.csv", state.history.to_csv())

    def progress(self):
        """How far the training has come: what the checkpoint holds of `State.numbers`; {} where there is none."""
        return read_tensors(self.checkpoint)[1].get("state", {}) if self.checkpoint.exists() else {}

    def resume(self, state):
        """Bring a State to where the checkpoint is, if there is one.

        Raises RunError where it belongs to another training, or the folder cannot be written: before anything is trained.
        """
        arrays, metadata = self.read_checkpoint(state) if self.checkpoint.exists() else ({}, {})
        self.write_config()
        for left in self.folder.glob(f".*{PART}"):  # half a file of a run that was killed
            left.unlink()
        if metadata:
            state.restore(arrays, metadata["state"])

    def read_checkpoint(self, state):
        """(arrays, metadata) of the checkpoint.  Raises RunError where it does not belong to this training."""
        arrays, metadata = read_tensors(self.checkpoint)
        if "state" not in metadata:
            raise RunError(f"{self.checkpoint}: an older tinyae wrote it, which kept nothing to resume from.")
        kept = metadata["training"] | (metadata["model"] or {})
        asked = self.training | (json.loads(json.dumps(configuration(state.model))) or {})
        if differ := [name for name in asked | kept if asked.get(name) != kept.get(name)]:
            expected, got = ({name: of.get(name) for name in differ} for of in (kept, asked))
            raise RunError(f"{self.folder}: it belongs to another training.", expected=expected, got=got)
        return arrays, metadata

    def write_metrics(self, metrics):
        """metrics.json: what the model achieves, with units, binarisation, seed and versions."""
        write_json(self.folder / "metrics.json", metrics)

    def read_metrics(self):
        """The content of metrics.json; {} where there is none, or it cannot be read."""
        try:
            found = json.loads((self.folder / "metrics.json").read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def read_config(path):
    """The settings in a config.json.  Raises RunError where it is missing, damaged, or changed."""
    try:
        config = json.loads(path.read_text())
        if not isinstance(config, dict):
            raise ValueError("no JSON object")
        found = config.pop("checksum", None)
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise RunError(f"{path}: it cannot be read.", got=str(error), expected="a folder that `tinyae train` made") from error
    if found != checksum(json.dumps(config)):
        raise RunError(f"{path}: it is damaged, or was changed by hand.", got="a checksum that does not fit its content")
    return config


def numbered(name, missing):
    """The folders runs/NAME-1, runs/NAME-2, ... that are missing, or those that are there up to the first missing one."""
    for i in itertools.count(1):
        path = pathlib.Path("runs") / f"{name}-{i}"
        if path.exists() != missing:
            yield path
        elif not missing:
            return


def write_json(path, value):
    """Write a value as readable JSON, atomically."""
    write_atomic(path, json.dumps(value, indent=2) + "\n")
