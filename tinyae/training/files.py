"""Files that are either whole or not there; models in the safetensors format (never pickle)."""

import contextlib
import json
import os
import pathlib
import tempfile

import numpy as np

from tinyae.backend import rng as make_rng
from tinyae.errors import RunError, TinyaeError
from tinyae.models import build

FORMAT = "tinyae 1"


def write_atomic(path, content):
    """Write bytes or text to `path`: through a temporary file beside it, so that no reader sees half of it."""
    path = pathlib.Path(path)
    content = content.encode() if isinstance(content, str) else content
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise RunError(f"{path}: it cannot be written.", got=str(error)) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise RunError(f"{path}: it cannot be written.", got=str(error)) from error
        raise


def write_tensors(path, arrays, metadata):
    """Write named NumPy arrays and a dict of JSON values as a safetensors file, atomically."""
    from safetensors.numpy import save as to_bytes

    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}  # the format writes others wrongly
    write_atomic(path, to_bytes(arrays, metadata={"format": FORMAT, "json": json.dumps(metadata)}))


def read_tensors(path):
    """(arrays, metadata) of a file that `write_tensors` made.  Raises RunError where it is missing or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            found = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path}: it cannot be read as a saved model.", got=str(error)) from error
    if found.get("format") != FORMAT:
        raise RunError(f"{path}: another program or version wrote it.", expected=f"format {FORMAT!r}", got=repr(found.get("format")))
    return arrays, json.loads(found["json"])


def save(model, path):
    """Save the weights of a model as a safetensors file, with the configuration that a model of `ta.models` has."""
    write_tensors(path, {f"model.{name}": array for name, array in model.state_dict().items()}, {"model": getattr(model, "config", None)})


def load(path):
    """The model of `ta.models` saved in a file, or in the run folder `path`."""
    path = pathlib.Path(path)
    path = path / "checkpoint.safetensors" if path.is_dir() else path
    arrays, metadata = read_tensors(path)
    try:
        if metadata["model"] is None:
            raise RunError("the weights are those of a model of your own.", remedy="read them with safetensors and load_state_dict")
        state = {name.removeprefix("model."): array for name, array in arrays.items() if name.startswith("model.")}
        model = build(metadata["model"], make_rng(0))
        if state:
            model.astype(next(iter(state.values())).dtype)
        model.load_state_dict(state)
    except (KeyError, TypeError, TinyaeError) as error:
        raise RunError(f"{path}: its weights and its configuration do not fit.", got=str(error)) from error
    return model
