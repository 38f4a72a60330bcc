"""Two records of the same program, or of one with a bug and one without: which operations differ, in what, and which is the first."""

import difflib
import math

CLOSE = 1e-5  # relative, of numbers that count as the same
STATISTICS = {"norm": "norm", "mean": "mean", "deviation": "standard deviation", "min": "smallest", "max": "largest"}


def compared(record, other):
    """{"nodes": {id: rows}, "summary": sentences}.  A row is (what, here, there); a node without rows is the same in both.

    Operations are paired by name, operation and shape, in their order; one without a partner has a single row that says so.
    """
    pairs = dict(paired(record["nodes"], other["nodes"]))
    there = {node["id"]: node for node in other["nodes"]}
    rows = {}
    for node in record["nodes"]:
        partner = there.get(pairs.get(node["id"]))
        rows[node["id"]] = [("operation", node["text"], "no operation like it")] if partner is None else differences(node, partner)
    return {"nodes": rows, "summary": summary(record, other, rows, pairs)}


def paired(nodes, others):
    """(id, id) of operations that belong together."""
    keys = [[(node["operation"], node["name"], tuple(node["value"]["shape"])) for node in side] for side in (nodes, others)]
    for block in difflib.SequenceMatcher(None, *keys, autojunk=False).get_matching_blocks():
        for i in range(block.size):
            yield nodes[block.a + i]["id"], others[block.b + i]["id"]


def differences(node, partner):
    """The rows of a pair: statistics of value and gradient that are not close, rules and verdicts that are not the same."""
    rows = [("code", node["text"], partner["text"])] if node["text"] != partner["text"] else []
    for what in ("value", "gradient"):
        here, there = node[what], partner[what]
        if here is None or there is None:
            if here is not there:
                rows.append((what, *("none" if one is None else "there is one" for one in (here, there))))
            continue
        pairs = [(f"{what}, {name}", here[key], there[key]) for key, name in STATISTICS.items()]
        scale = max(abs(one["norm"] or 0) for one in (here, there)) / math.sqrt(max(math.prod(here["shape"]), 1))
        rows += [row for row in pairs if not close(row[1], row[2], scale)]
    for rule, its in zip(node["rules"], partner["rules"], strict=False):
        if rule["text"] != its["text"]:
            rows.append((f"rule for {node['inputs'][rule['input']]['text']}", rule["text"], its["text"]))
        if rule["check"] and its["check"] and rule["check"]["verdict"] != its["check"]["verdict"]:
            rows.append((f"proof of the rule for {node['inputs'][rule['input']]['text']}", rule["check"]["verdict"], its["check"]["verdict"]))
    return rows


def close(a, b, scale):
    """Whether two numbers are the same but for rounding, seen beside entries of a size of `scale`."""
    return a == b if a is None or b is None else abs(a - b) <= CLOSE * max(abs(a), abs(b), scale)


def summary(record, other, rows, pairs):
    """Sentences: the losses, the first value that differs on the way forward, the first gradient on the way back, what has no partner."""
    names = {node["id"]: f"{node['id']} {node['name']}" for node in record["nodes"]}

    def first(ids, what):
        return next((i for i in ids if any(row[0].startswith(what) for row in rows[i])), None)

    value, gradient = first(names, "value"), first(reversed(names), ("gradient", "rule"))
    found = [{"text": f"Loss {record['loss']['value']:.6g} here, {other['loss']['value']:.6g} in the other trace", "node": None, "name": ""}]
    found += [{"text": "First value that differs", "node": value, "name": names[value]}] if value else []
    found += [{"text": "First gradient or rule that differs on the way back", "node": gradient, "name": names[gradient]}] if gradient else []
    found += [{"text": "Only in this trace", "node": i, "name": names[i]} for i in names if i not in pairs]
    only = [f"{node['id']} {node['name']}" for node in other["nodes"] if node["id"] not in pairs.values()]
    found += [{"text": f"Only in the other trace: {', '.join(only)}", "node": None, "name": ""}] if only else []
    same = not any(rows.values()) and not only
    return found + ([{"text": "The traces are the same in every operation", "node": None, "name": ""}] if same else [])
