"""Two records side by side, of one program with and without a bug, say: where they differ, and where first."""

import base64
import difflib
import math
import re
from typing import NamedTuple

from tinyae.microscope.cards import place

CLOSE = {"float32": 1e-4}  # relative: what counts as rounding; of other dtypes 1e-5, for a record has six digits
STATISTICS = {
    "norm": "norm",
    "mean": "mean",
    "deviation": "standard deviation",
    "min": "smallest",
    "max": "largest",
    "nan": "NaN",
    "infinite": "infinite",
}
ALIKE = 3  # equal rows that are shown before and after a difference


class Row(NamedTuple):
    """Operations that belong together: nodes of the records, one None where only the other record has it.

    differences: what -> text; what is "operation", "value", "gradient", "rule" or "source".
    """

    a: dict | None
    b: dict | None
    differences: dict


class Diff(NamedTuple):
    """The rows of two records in their order.

    first: of what is computed the first row that differs; where nothing does, the first on the way back from the loss in gradient or rule;
    else the first that is written differently; None where the records are alike.  starts: leaves that differ before anything is computed.
    given: rows whose value differs though the operation and all that a record knows of its inputs are alike: the data or noise are not.
    """

    a: dict
    b: dict
    name: str
    rows: list
    first: Row | None
    starts: list
    given: list

    def to_text(self, width=110):
        """The two side by side as text, `>` at the first difference; what differs there stands below."""
        return "\n".join(told(self, width))


def diff(a, b, name="a"):
    """The Diff of two records (see record.py), the left of which is called `name`.

    Operations with the same source line belong together, in their order; between those, operations of the same kind.
    """
    rows = [Row(*pair, differences(*pair)) for pair in pairs(a["nodes"], b["nodes"])]
    forward = [row for row in rows if "operation" in row.differences or "value" in row.differences]
    back = [row for row in reversed(rows) if "gradient" in row.differences or "rule" in row.differences]
    other = [row for row in rows if row.differences]
    leaves = {leaf["name"]: leaf for leaf in b["leaves"]}
    starts = [leaf["name"] for leaf in a["leaves"] if leaf["name"] in leaves and unlike(leaf["value"], leaves[leaf["name"]]["value"])]
    return Diff(a, b, name, rows, next(iter(forward or back or other), None), starts, given_otherwise(rows, starts))


def given_otherwise(rows, starts):
    """The rows that are given other constants or numbers: their value differs, but neither how it is written nor any other input."""
    alike = {row.a["id"]: row.b["id"] for row in rows if None not in row[:2] and "value" not in row.differences}
    found = []
    for row in rows:
        if None in row[:2] or "value" not in row.differences or constants_of(row.a) != constants_of(row.b):
            continue
        known = len(row.a["inputs"]) == len(row.b["inputs"]) and all(
            alike.get(one["node"]) == other["node"] if one["node"] else one["text"] not in starts
            for one, other in zip(row.a["inputs"], row.b["inputs"], strict=True)
        )
        if known and constants_of(row.a) and (row.a["text"], row.a["attributes"]) == (row.b["text"], row.b["attributes"]):
            found.append(row)
    return found


def constants_of(node):
    """The data, noise and named numbers that an operation is given."""
    return [
        "noise" if one["noise"] else one["text"] for one in node["inputs"] if one["kind"] in ("constant", "number") and not is_number(one["text"])
    ]


def is_number(text):
    """Whether the text is a number itself, so that it says all."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def pairs(nodes, others):
    """(node, node) in the order of both; None stands for what the other side has not."""
    matched = matches(nodes, others, lambda node: (node["operation"], node["source"]))
    for between, theirs, pair in gaps(matched, nodes, others):
        for left, right, same in gaps(matches(between, theirs, lambda node: node["operation"]), between, theirs):
            yield from ((node, None) for node in left)
            yield from ((None, node) for node in right)
            if same is not None:
                yield same
        if pair is not None:
            yield pair


def matches(nodes, others, key):
    """(i, j) of the longest runs that are alike."""
    matcher = difflib.SequenceMatcher(None, list(map(key, nodes)), list(map(key, others)), autojunk=False)
    return [(block.a + i, block.b + i) for block in matcher.get_matching_blocks() for i in range(block.size)]


def gaps(matched, nodes, others):
    """(nodes before, others before, the pair) of each match, and what comes after the last, with None."""
    i = j = 0
    for at, to in matched:
        yield nodes[i:at], others[j:to], (nodes[at], others[to])
        i, j = at + 1, to + 1
    yield nodes[i:], others[j:], None


def differences(a, b):
    """what -> text, of two nodes that belong together, or of one alone."""
    if a is None or b is None:
        return {"operation": f"only {'b' if a is None else 'a'} has this operation"}
    found = {"value": unlike(a["value"], b["value"])}
    if (a["gradient"] is None) != (b["gradient"] is None):
        found["gradient"] = f"only {'b' if a['gradient'] is None else 'a'} has one"
    elif a["gradient"] is not None:
        found["gradient"] = unlike(a["gradient"], b["gradient"])
    found["rule"] = other_rule(a, b)
    found["source"] = "" if a["source"] == b["source"] else "it is written differently"
    return {what: text for what, text in found.items() if text}


def unlike(a, b):
    """Which statistic or entry of two arrays differs most above rounding, as text; "" where none does."""
    if a["shape"] != b["shape"]:
        return f"shape {tuple(a['shape'])} in a, {tuple(b['shape'])} in b"
    tolerance = max(CLOSE.get(one["dtype"], 1e-5) for one in (a, b))
    scale = (
        max(abs(one[key]) for one in (a, b) for key in ("min", "max") if one[key] is not None)
        if a["min"] is not None or b["min"] is not None
        else 0.0
    )
    found = [
        (distance(a[key], b[key], scale if key != "norm" else 0.0), f"{word} {number(a[key])} in a, {number(b[key])} in b")
        for key, word in STATISTICS.items()
    ]
    if a.get("entries") and b.get("entries"):
        apart = [distance(one, other, scale) for one, other in zip(a["entries"], b["entries"], strict=True)]
        at = max(range(len(apart)), key=apart.__getitem__)
        found.append((apart[at], f"entry {at} {number(a['entries'][at])} in a, {number(b['entries'][at])} in b"))
    worst = max(found, key=lambda one: one[0])
    if worst[0] > tolerance:
        return worst[1]
    return "other entries, of the same statistics" if pictures_differ(a["picture"], b["picture"]) else ""


def distance(a, b, scale):
    """The difference of two numbers relative to the larger, or to `scale`; infinite where only one is finite."""
    if a is None or b is None:
        return 0.0 if a is b else math.inf
    return abs(a - b) / (max(abs(a), abs(b), scale) or 1.0)


def pictures_differ(a, b):
    """Whether two pictures differ by more than a level of gray."""
    if a is None or b is None:
        return a is not b
    levels = [base64.b64decode(one["data"]) for one in (a, b)]
    return any(abs(one - other) > 1 for one, other in zip(*levels, strict=False))


def other_rule(a, b):
    """Which rule of two nodes gives something else, as text: another formula, or another size from the same gradient."""
    theirs = {rule["input"]: rule for rule in b["rules"]}
    for rule in a["rules"]:
        if (its := theirs.get(rule["input"])) is None:
            return f"only a has a gradient for {a['inputs'][rule['input']]['text']}"
        to = f"the gradient for {a['inputs'][rule['input']]['text']}"
        if without_numbers(rule["text"]) != without_numbers(its["text"]):
            return f"{to} is {rule['text']} in a, {its['text']} in b"
        if distance(rule["norm"], its["norm"], 0.0) > CLOSE.get(a["value"]["dtype"], 1e-5):
            return f"{to} has norm {number(rule['norm'])} in a, {number(its['norm'])} in b"
    return "" if len(a["rules"]) == len(b["rules"]) else "only b has a gradient for one of the inputs"


def without_numbers(text):
    """A formula without the numbers of lines, which another program may count differently: g for g7."""
    return re.sub(r"\b([yg])\d+\b", r"\1", text)


def number(value):
    """A number as text."""
    return "not finite" if value is None else f"{value:.6g}"


def told(found, width):
    """The lines of `Diff.to_text`."""
    for name, record in ((found.name, found.a), ("b", found.b)):
        letter = "a" if record is found.a else "b"
        loss = f"{record['loss']['name']} = {number(record['loss']['value'])}"
        title = f"{name}: {record['title']}" if letter == "a" and name != "a" else record["title"]
        yield f"{letter}: {title}, seed {record['seed']}, {record['dtype']}, {loss}"
    yield ""
    if found.first is None:
        yield f"no difference: {len(found.rows)} operations"
        return
    if found.starts:
        yield f"these differ before anything is computed: {', '.join(found.starts)}\n"
    for row in found.given:
        yield f"the data or noise differ: {', '.join(constants_of(row.a))}, in operation {row.b['id']} ({place(found.b, row.b)})\n"
    yield from table(found, width)
    yield ""
    row = found.first
    record, node = (found.a, row.a) if row.b is None else (found.b, row.b)
    yield f"first difference: {place(record, node)}   {node['source']}"
    if (other := counterpart(found, row)) is not None:
        yield f"in {'a' if row.b is not None else 'b'} it reads:      {place(found.a if row.b is not None else found.b, other)}   {other['source']}"
    for what, text in row.differences.items():
        yield f"  {what} of {node['name']} = {node['text']}: {text}"


def counterpart(found, row):
    """The node that has the other version of a row's line, where it is written differently; of an operation that one side has alone,
    that of another operation on the line.  None where there is none.
    """
    for one in (row, *found.rows):
        if None not in one[:2] and one.a["source"] != one.b["source"]:
            if row.b is not None and one.b["source"] == row.b["source"]:
                return one.a
            if row.b is None and one.a["source"] == row.a["source"]:
                return one.b
    return None


def table(found, width):
    """The rows side by side; of those that are alike only the neighbours of a difference."""
    half, hidden = (width - 5) // 2, []
    kinds = max((len(node["operation"]) for row in found.rows for node in row[:2] if node is not None), default=0)

    def told_row(row):
        sides = (side(node, half, min(kinds, 20)) for node in row[:2])
        return f"{'>' if row is found.first else ' '} {f' {sign(row)} '.join(sides)}".rstrip()

    def alike():
        return [told_row(hidden[0])] if len(hidden) == 1 else [f"  ... {len(hidden)} alike"] * bool(hidden)

    near = {i + step for i, row in enumerate(found.rows) if row.differences for step in range(-ALIKE, ALIKE + 1)}
    for i, row in enumerate(found.rows):
        if i not in near:
            hidden.append(row)
            continue
        yield from alike()
        hidden = []
        yield told_row(row)
    yield from alike()
    yield ""
    yield "> first difference   v other value   g gradient alone   - only in a   + only in b   ~ written differently"


def sign(row):
    """How a row differs, in a letter."""
    if None in row[:2]:
        return "+" if row.a is None else "-"
    words = {"value": "v", "gradient": "g", "rule": "g", "source": "~"}
    return next((words[what] for what in row.differences), " ")


def side(node, width, kinds):
    """A node in its column; `kinds` columns are for the operation."""
    text = "" if node is None else f"{node['id']:>3} {shortened(node['operation'], kinds):<{kinds}} {node['name']} = {node['text']}"
    return f"{shortened(text, width):<{width}}"


def shortened(text, width):
    """A text of at most `width` columns."""
    return text if len(text) <= width else text[: width - 3] + "..."
