"""A record as one self-contained page: source, operations, time line; with the keyboard where scripts run, readable where they do not."""

import base64
import hashlib
import math
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from tinyae.microscope import pieces
from tinyae.microscope.diff import constants_of, diff
from tinyae.microscope.templates import template
from tinyae.training.files import write_atomic

HERE = Path(__file__).parent
LIMIT = 1_500_000  # bytes


class Detail(NamedTuple):
    """What a page shows; a page that would be too large shows less, and says so."""

    twins: bool = True
    parts: bool = True  # pictures of the gradient by term
    entries: bool = True
    pictures: bool = True
    missing: str = ""


DETAILS = (
    Detail(),
    Detail(twins=False, missing="the simple steps of fused operations"),
    Detail(False, False, missing="the simple steps of fused operations, and pictures of the gradient by term"),
    Detail(False, False, False, missing="the simple steps of fused operations, pictures of the gradient by term, and single entries"),
    Detail(False, False, False, False, missing="the simple steps of fused operations, all pictures, and single entries"),
)


def write_page(record, path, other=None):
    """Write the page of a record (see `record_of`), whole or not at all.  Returns the path.  Raises RunError where it cannot be written."""
    write_atomic(path, to_html(record, other))
    return Path(path)


def to_html(record, other=None):
    """The page of a record as text: no network, no file beside it, at most 1.5 MB; the same record gives the same text.

    other: a second record, of a program with and without a bug, say; each operation then tells what is different there.
    """
    for detail in DETAILS:
        page = render(record, other, detail)
        if len(page.encode()) <= LIMIT:
            break
    return page


def render(record, other=None, detail=DETAILS[0]):
    """The page with so much detail."""
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    policy = f"default-src 'none'; img-src data:; style-src '{digest(style)}'; script-src '{digest(script)}'; base-uri 'none'; form-action 'none'"
    difference = None if other is None else difference_of(record, other)
    names = {node["id"]: f"{node['id']} {node['name']}" for node in record["nodes"]}
    return template(HERE / "page.html.j2").render(
        record=record,
        title=record["title"] or "One pass, line by line",
        policy=policy,
        style=Markup(style),  # our own files; whatever comes from the record is escaped
        script=Markup(script),
        files=pieces.files_of(record),
        cards=[pieces.card_of(record, node, names, detail) for node in record["nodes"]],
        leaves=[pieces.leaf_of(record, leaf, names, detail) for leaf in record["leaves"]],
        ledger=ledger_of(record),
        ticks=ticks_of(record),
        difference=difference,
        missing=detail.missing,
        words=pieces.words_of(record),
        letters=pieces.letters_of(record),
        number=pieces.number,
        keys=KEYS,
    )


KEYS = {
    "j or ↓, k or ↑": "next line, previous line, in the order of the mode",
    "→, ←": "next operation, previous operation",
    "f, b": "forward; backward, from the loss",
    "g, G": "first line, last line",
    "r, e, t": "gradient of the first term alone, of the second alone, of the whole loss",
    "1 to 4": "show or hide: source, operations, time line, the whole trace",
    "/": "search a name; Enter goes to the next one, Escape back",
    "d": "what is different in a second trace, if the page has one",
    "?": "these keys; Escape closes them",
}


def digest(text):
    """What a content security policy calls an inline style or script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def difference_of(record, other):
    """{"nodes": {id: [(what, text)]}, "summary": sentences} of the Diff of two records; `a` is the page's own, `b` the other."""
    found = diff(record, other)
    loss, its = (one["loss"]["value"] for one in (record, other))
    sentences = [{"text": f"Loss {pieces.number(loss, 6)} here (a), {pieces.number(its, 6)} in the other trace (b)", "node": None, "name": ""}]
    if found.starts:
        sentences.append({"text": f"These differ before anything is computed: {', '.join(found.starts)}", "node": None, "name": ""})
    for row in found.given:
        text = f"The data or noise differ: {', '.join(constants_of(row.a))}"
        sentences.append({"text": text, "node": row.a["id"], "name": f"{row.a['id']} {row.a['name']}"})
    for text, row in (("First difference", found.first), *(("Only in this trace", row) for row in found.rows if row.b is None)):
        if row is not None and row.a is not None:
            sentences.append({"text": text, "node": row.a["id"], "name": f"{row.a['id']} {row.a['name']}"})
    if only := [f"{row.b['id']} {row.b['name']}" for row in found.rows if row.a is None]:
        sentences.append({"text": f"Only in the other trace: {', '.join(only)}", "node": None, "name": ""})
    if found.first is None:
        sentences.append({"text": "The traces are the same in every operation", "node": None, "name": ""})
    return {"nodes": {row.a["id"]: list(row.differences.items()) for row in found.rows if row.a is not None}, "summary": sentences}


def ledger_of(record):
    """The loss and its terms as they add up: dicts of path (an index), name, text, key; and the KL divergence by dimension."""
    loss = record["loss"]["value"]
    decimals = 4 if not loss else min(max(5 - math.floor(math.log10(abs(loss))), 1), 9)

    def text(value):
        return "not finite" if value is None else f"{value:.{decimals}f}".replace("-", "−")

    terms = [{"path": 0, "name": record["loss"]["name"], "text": text(loss), "key": "t"}]
    if len(record["terms"]) > 1:
        keys = ["r", "e", *[""] * len(record["terms"])]
        terms += [
            {"path": i, "name": term["name"], "text": text(term["value"]), "key": key}
            for i, (term, key) in enumerate(zip(record["terms"], keys, strict=False), 1)
        ]
    values = [term["value"] for term in record["terms"]]
    constant = 0.0 if None in (loss, *values) else loss - math.fsum(values)
    rest = text(constant) if abs(constant) > 1e-4 * (1 + abs(loss or 0)) else None
    most = max((abs(value or 0) for row in record["dimensions"] for value in row["values"]), default=0) or 1.0
    dimensions = [row | {"widths": [round(100 * abs(value or 0) / most, 1) for value in row["values"]]} for row in record["dimensions"]]
    return {"terms": terms, "dimensions": dimensions, "constant": rest, "elbo": loss is not None and "negative_elbo" in record["loss"]["name"]}


def ticks_of(record):
    """The operations of the time line, each with the heights of its bars on one logarithmic scale: of the value, of the gradient by path."""
    names = ["", *(term["name"] for term in record["terms"])] if len(record["terms"]) > 1 else [""]
    rows = []
    for node in record["nodes"]:
        gradients = [node["gradient"] if name == "" else node["terms"].get(name) for name in names]
        rows.append([node["value"]["norm"], *(None if gradient is None else gradient["norm"] for gradient in gradients)])
    logs = [math.log10(norm) for row in rows for norm in row if norm]
    low, high = min(logs, default=0.0), max(logs, default=0.0)
    scale = 22 / max(high - low, 1.0)
    heights = [[round(4 + scale * (math.log10(norm) - low), 1) if norm else 0 for norm in row] for row in rows]
    return [
        {"id": node["id"], "label": node["name"], "operation": node["operation"], "norms": row, "heights": height}
        for node, row, height in zip(record["nodes"], rows, heights, strict=True)
    ]
