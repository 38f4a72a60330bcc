"""Files that are either whole or not there; models in the safetensors format (never pickle)."""

import contextlib
import hashlib
import json
import os
import pathlib
import stat
import tempfile

import numpy as np

from tinyae.backend import rng as make_rng
from tinyae.errors import RunError, TinyaeError
from tinyae.models import build

PART = ".tinyae-part"  # ends the name of a file under way
FORMAT, OLDER = "tinyae 2", "tinyae 1"  # the older one had no checksum, and nothing to resume from


def write_atomic(path, content):
    """Write bytes or text to `path`: through a temporary file beside it, so that no reader sees half of it.

    A link stays: the file that it leads to is written.  What is no file (a pipe, a terminal, /dev/stdout) is written straight to.
    Raises RunError where it cannot be written.
    """
    content = content.encode() if isinstance(content, str) else content
    try:
        if is_file_or_absent(path):
            replace(pathlib.Path(os.path.realpath(path)), content)
        else:
            pathlib.Path(path).write_bytes(content)
    except BrokenPipeError:  # the reader went away
        raise
    except OSError as error:  # its own text would name the temporary file
        raise RunError(f"{path}: it cannot be written.", got=error.strerror or str(error)) from error


def is_file_or_absent(path):
    """Whether `path`, its links followed, is an ordinary file or not there yet."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return True


def replace(path, content):
    """Make `path` a file with these bytes, or leave it as it was."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def write_tensors(path, arrays, metadata):
    """Write named NumPy arrays and a dict of JSON values as a safetensors file, atomically, with a checksum of both."""
    from importlib.metadata import version  # loads the modules of e-mail, a sixth of all that a first training loads

    from safetensors.numpy import save as to_bytes

    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}  # the format writes others wrongly
    text = json.dumps(metadata)
    header = {"format": FORMAT, "tinyae": version("tinyae"), "json": text, "checksum": checksum(text, arrays)}
    write_atomic(path, to_bytes(arrays, metadata=header))


def checksum(text, arrays=()):
    """A digest of a text and of named arrays: their names, types, shapes and bytes."""
    digest = hashlib.blake2b(text.encode(), digest_size=16)
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def read_tensors(path):
    """(arrays, metadata) of a file that `write_tensors` made.  Raises RunError where it is missing, damaged, or of an unknown format."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            found = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError, ValueError, TypeError, KeyError) as error:
        raise RunError(f"{path}: it cannot be read as a saved model.", got=str(error) or type(error).__name__) from error
    if (written := found.get("format")) not in (FORMAT, OLDER):
        by = f"format {written!r}" + (f", of tinyae {found['tinyae']}" if "tinyae" in found else "")
        remedy = "install that version of tinyae" if str(written).startswith("tinyae") else None
        raise RunError(f"{path}: another program or version wrote it.", expected=f"format {FORMAT!r} or {OLDER!r}", got=by, remedy=remedy)
    if written == FORMAT and found.get("checksum") != checksum(found.get("json", ""), arrays):
        raise RunError(f"{path}: it is damaged.", got="a checksum that does not fit its content")
    try:
        return arrays, json.loads(found["json"])
    except (KeyError, ValueError) as error:
        raise RunError(f"{path}: it is damaged.", got=str(error)) from error


def configuration(model):
    """The settings that a model of `ta.models` is built from again; None of a model of one's own, whose `config` may be anything."""
    config = getattr(model, "config", None)
    try:
        return config if isinstance(config, dict) and json.dumps(config) else None
    except (TypeError, ValueError):
        return None


def save(model, path):
    """Save the weights of a model as a safetensors file, with the configuration that a model of `ta.models` has."""
    write_tensors(path, {f"model.{name}": array for name, array in model.state_dict().items()}, {"model": configuration(model)})


def load(path):
    """The model of `ta.models` saved in a file, or in the run folder `path`: of a run the best or averaged weights, if it has any.

    The data settings of a run: `ta.training.Run.open(path).data("test")`.
    """
    path = pathlib.Path(path)
    path = path / "checkpoint.safetensors" if path.is_dir() else path
    arrays, metadata = read_tensors(path)
    try:
        if metadata["model"] is None:
            raise RunError("the weights are those of a model of your own.", remedy="read them with safetensors and load_state_dict")
        state = {name.removeprefix("model."): array for name, array in arrays.items() if name.startswith("model.")}
        model = build(metadata["model"], make_rng(0))
        if floats := [array.dtype for array in state.values() if array.dtype.kind == "f"]:
            model.astype(floats[0])
        model.load_state_dict(state)
    except (KeyError, TypeError, TinyaeError) as error:
        raise RunError(f"{path}: its weights and its configuration do not fit.", got=str(error)) from error
    return model
