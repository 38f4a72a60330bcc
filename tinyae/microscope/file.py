"""A record as a file, `trace.json`: written whole or not at all, the same record the same bytes, read with a look at what it is."""

import json
import math
from pathlib import Path

from tinyae import __version__
from tinyae.errors import DataError
from tinyae.microscope.record import FORMAT
from tinyae.training.files import write_atomic

PARTS = {"title": str, "loss": dict, "terms": list, "functions": list, "nodes": list, "folded": int, "leaves": list, "checks": list}
PARTS |= {"dtype": str, "dimensions": list, "draws": int}
OF_NODE = {"id": int, "operation": str, "function": int, "at": int, "source": str, "text": str, "name": str, "inputs": list, "notes": list}
OF_NODE |= {
    "line": int,
    "turn": int,
    "about": str,
    "attributes": dict,
    "path": list,
    "value": dict,
    "rules": list,
    "from": list,
    "terms": dict,
    "inside": list,
}
OF_FUNCTION = {"file": str, "name": str, "first": int, "lines": list}
OF_ARRAY = {"shape": list, "norm": float, "mean": float, "min": float, "max": float, "histogram": list}  # numbers may be missing


def save(record, path):
    """Write a record (see the head of record.py) as JSON, with the version of tinyae beside its format.

    Numbers that are not finite become null.  Raises RunError where it cannot be written.
    """
    text = json.dumps(plain(record | {"tinyae": __version__}), sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False)
    write_atomic(path, text + "\n")


def plain(value):
    """The same with None for numbers that are not finite, and lists for tuples."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def load(path):
    """The record in a file that `save` wrote.  Raises DataError where it is missing, cut, damaged, or of another format."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise DataError(f"{path}: it cannot be read as a trace.", got=reason, remedy="tinyae microscope TARGET --json FILE writes one") from error
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        cut = text.lstrip().startswith("{") and getattr(error, "pos", 0) >= len(text.rstrip()) - 1
        raise DataError(f"{path}: it is cut off." if cut else f"{path}: it is no JSON.", got=str(error)) from error
    found = record.get("format") if isinstance(record, dict) else None
    if found != FORMAT:
        by = f", written by tinyae {record['tinyae']}" if isinstance(record, dict) and "tinyae" in record else ""
        what = "the format of another version" if str(found).startswith("tinyae trace") else "no trace"
        raise DataError(f"{path}: it is {what}.", expected=repr(FORMAT), got=f"{found!r}{by}" if found else "no format")
    if missing := problem(record):
        raise DataError(f"{path}: it is damaged.", got=missing)
    del record["tinyae"]
    return record


def problem(record):
    """What is missing in a record, or is not what it should be; None where all that viewers need is there."""
    if found := lacking(record, PARTS | {"tinyae": str}, "the trace"):
        return found
    for function in record["functions"]:
        if found := lacking(function, OF_FUNCTION, "a function"):
            return found
    for number, node in enumerate(record["nodes"], 1):
        if found := lacking(node, OF_NODE, f"operation {number}") or lacking(node["value"], OF_ARRAY, f"the value of operation {number}"):
            return found
        if not 0 <= node["function"] < len(record["functions"]):
            return f"operation {number} stands in a function that is not there"
        if node.get("gradient") is not None and (found := lacking(node["gradient"], OF_ARRAY, f"the gradient of operation {number}")):
            return found
    return None if record["nodes"] else "there are no operations"


def lacking(part, wanted, where):
    """The first of the entries `wanted` that a dict has not, or has of another type; None where there is none."""
    if not isinstance(part, dict):
        return f"{where} is not what it should be"
    for name, kind in wanted.items():
        value = part.get(name)
        fits = value is None and name in part if kind is float else False
        if not (fits or isinstance(value, (int, float) if kind is float else kind)):
            return f"{where} has no {name}"
    return None
