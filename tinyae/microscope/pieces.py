"""The pieces of the page: source lines in colours, arrays as numbers, histogram and heatmap, and what a card says of an operation."""

import re
import textwrap

from markupsafe import Markup, escape

from tinyae.microscope.png import entries_of, picture_uri
from tinyae.microscope.templates import mathml_in_pieces
from tinyae.microscope.text import WORDS
from tinyae.microscope.typeset import NAMES

CLASSES = {"Keyword": "k", "Name.Function": "f", "Name.Class": "f", "Name.Builtin": "b", "Literal.String": "s", "Literal.Number": "n", "Comment": "c"}
STYLES = {"border-top: 0.07em solid; padding-top: 0.1em": "over", "text-align: left": "left", "font-weight: bold": "bold"}
VERDICTS = {
    "right": "✓ agrees",
    "wrong": "✗ wrong",
    "kink": "∧ kink",
    "surrogate": "≈ surrogate",
    "no gradient": "– no gradient",
    "not finite": "! not finite",
}
WIDTH, CELL = 340, 14  # pixels: of a heatmap, and of a cell of it at most


def number(value, digits=4):
    """A number with so many significant digits and a real minus sign."""
    if value is None:
        return "not finite"
    return f"{value:.{digits}g}".replace("-", "−")


def percent(share):
    """A share in percent."""
    return "a share that is not finite" if share is None else f"{number(100 * share, 3)} %"


def shape(axes):
    """A shape as Python writes it."""
    return "(" + ", ".join(map(str, axes)) + ("," if len(axes) == 1 else "") + ")" if axes else "a number"


def formula(latex):
    """LaTeX as MathML with classes in place of styles, which the page's content security policy forbids."""
    if latex is None:
        return None
    html = re.sub(r' style="([^"]*)"', lambda found: f' class="{STYLES[found[1]]}"', mathml_in_pieces(latex))
    return Markup(re.sub(r'(?<=<mrow><mo form="infix">)([^<]*</mo>)', r'\1<mspace width="0.22em"></mspace>', html))  # at the start of a piece


def files_of(record):
    """The functions by file, in the order of their lines: dicts of file and functions, of these name and lines with their operations."""
    files = {}
    for index, function in enumerate(record["functions"]):
        nodes = [node for node in record["nodes"] if node["function"] == index]
        lines = []
        for place, code in enumerate(colours(function["lines"]), function["first"]):
            here = [node["id"] for node in nodes if node["at"] == place]
            lines.append({"id": f"L{index}-{place}", "number": place, "code": code, "nodes": here})
        files.setdefault(function["file"], []).append({"name": function["name"], "first": function["first"], "lines": lines})
    return [{"file": file, "functions": sorted(functions, key=lambda f: f["first"])} for file, functions in files.items()]


def colours(lines):
    """Lines of Python as HTML, escaped, tokens in spans."""
    from pygments.lexers import PythonLexer

    html, found = "", []
    for kind, text in PythonLexer(stripnl=False, ensurenl=True).get_tokens(textwrap.dedent("\n".join(lines))):
        name = next((css for token, css in CLASSES.items() if str(kind).startswith(f"Token.{token}")), None)
        for i, part in enumerate(text.split("\n")):
            if i:
                found.append(Markup(html))
                html = ""
            html += str(escape(part)) if name is None or not part.strip() else f'<span class="{name}">{escape(part)}</span>'
    return found[: len(lines)] + [Markup("")] * (len(lines) - len(found))


def array_of(array, what, kind, detail):
    """An array for the page: text of its shape, statistics, histogram, heatmap, entries.  kind: "value" or "gradient"."""
    found = {"shape": shape(array["shape"]), "dtype": array["dtype"], "one": None, "constant": None, "statistics": [], "odd": odd(array)}
    if array["entries"] and len(array["entries"]) == 1:
        return found | {"one": number(array["entries"][0], 6), "histogram": None, "picture": None, "rows": None}
    names = {"norm": "norm", "mean": "mean", "deviation": "deviation", "min": "smallest", "max": "largest"}
    found["statistics"] = [(key, text, number(array[key])) for key, text in names.items() if array[key] is not None]
    if array["min"] == array["max"] and array["min"] is not None and not found["odd"]:
        return found | {"constant": number(array["min"], 6), "histogram": None, "picture": None, "rows": None}
    picture = picture_of(array, what, kind) if detail.pictures and array["picture"] else None
    rows = None
    if detail.entries and array["entries"]:
        columns = array["shape"][-1]
        entries = [number(entry) for entry in array["entries"]]
        rows = [entries[i : i + columns] for i in range(0, len(entries), columns)]
    return found | {"histogram": histogram_of(array, what), "picture": picture, "rows": rows}


def odd(array):
    """What is strange about an array, a sentence; None for nothing."""
    parts = [f"{array['nan']} NaN"] * bool(array["nan"]) + [f"{array['infinite']} infinite"] * bool(array["infinite"])
    return f"{' and '.join(parts)} of its entries" if parts else None


def signs(array):
    """Which signs the entries have, in words."""
    low, high = array["min"], array["max"]
    words = "all zero" if low == high == 0 else "all negative" if high < 0 else "all positive" if low > 0 else ""
    words = words or ("none negative" if low == 0 else "none positive" if high == 0 else "of both signs")
    return words + (f", {number(100 * array['zeros'], 3)} % zeros" if 0 < array["zeros"] < 1 else "")


def sentence(array):
    """The statistics of an array in words."""
    spread = f"mean {number(array['mean'])}, standard deviation {number(array['deviation'])}"
    return f"{signs(array)}, from {number(array['min'])} to {number(array['max'])}, {spread}"


def histogram_of(array, what):
    """The bars of a histogram as the path of an SVG, 160 wide and 36 high, and the sentence for those who do not see it."""
    counts = array["histogram"]
    if len(counts) < 2:
        return None
    width, most = 160 / len(counts), max(counts)
    bars = "".join(f"M{number2(i * width)} 36v-{number2(34 * count / most)}h{number2(width - 1)}V36z" for i, count in enumerate(counts) if count)
    step, top = (array["max"] - array["min"]) / len(counts), counts.index(most)
    low = array["min"] + top * step
    text = f"Histogram of {what}: of {sum(counts)} entries most, {most}, lie between {number(low)} and {number(low + step)}."
    return {"path": bars, "text": text, "low": number(array["min"]), "high": number(array["max"])}


def number2(value):
    """A coordinate, with two digits after the point at most."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def picture_of(array, what, kind):
    """The heatmap of an array: data URI, size in pixels, the sentence that stands for it, the ends of its legend, what part is shown."""
    picture = array["picture"]
    uri, columns, rows = picture_uri(picture, kind)
    cell = max(1, min(CELL, WIDTH // columns))
    images, whole = picture["images"], picture["of"]
    each = f"{picture['columns'] // max(images, 1)} by {picture['rows']}"
    lines = f"{picture['columns']} entries" if whole[0] == 1 else f"{picture['rows']} rows by {picture['columns']} columns"
    part = f"{images} images of {each} pixels" if images else lines
    cut = images < whole[0] if images else picture["rows"] < whole[0] or picture["columns"] < whole[1]
    caption = f"the first {part} of {' by '.join(map(str, whole)) if whole[0] > 1 else whole[1]}" if cut else part
    shown = entries_of(picture) * picture["limit"]
    low, high = (shown.min(), shown.max()) if cut else (array["min"], array["max"])
    low, high = (-picture["limit"], picture["limit"]) if kind == "gradient" else (low, high)
    return {
        "uri": uri,
        "width": columns * cell,
        "height": rows * cell,
        "alt": f"Heatmap of {what}, {caption}: {sentence(array)}.",
        "caption": caption,
        "low": number(low, 3),
        "high": number(high, 3),
        "map": "diverging" if kind == "gradient" else "grey" if images else "viridis",
    }


def card_of(record, node, names, detail):
    """All that the page says of an operation."""
    users = [other["id"] for other in record["nodes"] if any(given["node"] == node["id"] for given in other["inputs"])]
    function = record["functions"][node["function"]]
    place = f"{function['file']}:{node['at']}"
    return {
        "node": node,
        "line": f"L{node['function']}-{node['at']}",
        "place": place,
        "shape": shape(node["value"]["shape"]),
        "equation": formula(node["equation"]),
        "notes": [(note.partition(":")[0].split()[0], note) for note in node["notes"]],
        "inputs": [input_of(node, i, names) for i in range(len(node["inputs"]))],
        "settings": [(name, setting(text)) for name, text in node["attributes"].items()],
        "users": [(user, names[user]) for user in users],
        "value": array_of(node["value"], f"the value of {node['name']}", "value", detail),
        "gradients": gradients_of(record, node, f"the gradient of the loss with respect to {node['name']}", detail),
        "parts": parts_of(record, node),
        "sources": [
            {"node": one["node"] if one["node"] in names else None, "name": names.get(one["node"], f"operation {one['node']}, which is not shown")}
            | {"width": number2(100 * (one["share"] or 0)), "percent": percent(one["share"])}
            for one in node["from"]
        ],
        "rules": [rule_of(record, node, rule, names) for rule in node["rules"]],
        "check": check_of(node["check"]),
        "spread": node["spread"],
        "steps": [step_of(step, detail) for step in node["inside"]] if detail.twins else [],
        "search": " ".join([node["name"], node["operation"], node["text"], place]).lower(),
    }


def setting(text):
    """The value of a setting, slices as one writes them."""
    return re.sub(r"slice\((\S+), (\S+), (\S+?)\)", lambda found: ":".join(found.groups()).replace("None", "").removesuffix(":") or ":", text)


def input_of(node, position, names):
    """An input of an operation: its text, role, shape, where it comes from, and the axes along which it is repeated."""
    given = node["inputs"][position]
    summed = next((rule["summed"] for rule in node["rules"] if rule["input"] == position), [])
    origins = {
        "parameter": "a parameter",
        "leaf": "a leaf",
        "number": "a number",
        "constant": "noise, a constant" if given["noise"] else "a constant",
    }
    axes = ", ".join(map(str, summed or repeated(node, given["shape"])))
    return {
        "text": given["text"],
        "role": given["role"],
        "shape": shape(given["shape"]),
        "node": given["node"] if given["node"] in names else None,
        "origin": names.get(given["node"], origins.get(given["kind"], "an operation that is not shown")),
        "leaf": given["kind"] in ("parameter", "leaf"),
        "broadcast": f"broadcast along axis {axes}" if axes else "",
    }


def repeated(node, axes):
    """The axes of the result along which an input of shape `axes` is repeated; none unless all inputs are broadcast to the result."""
    whole = node["value"]["shape"]
    padded = [[1] * (len(whole) - len(given["shape"])) + given["shape"] for given in node["inputs"]]
    if any(len(one) != len(whole) or any(n not in (1, m) for n, m in zip(one, whole, strict=True)) for one in padded) or not axes:
        return []
    missing = len(whole) - len(axes)
    return [i for i, n in enumerate(whole) if n > 1 and (i < missing or axes[i - missing] == 1)]


def gradients_of(record, node, what, detail):
    """(path, name, array for the page or None) of the whole gradient, path 0, then of each term of the loss."""
    if node["gradient"] is None:
        return []
    found = [(0, "the whole loss", array_of(node["gradient"], what, "gradient", detail))]
    if len(record["terms"]) > 1:
        less = detail if detail.parts else detail._replace(pictures=False)
        for path, term in enumerate(record["terms"], 1):
            part = node["terms"].get(term["name"])
            found.append((path, term["name"], part and array_of(part, f"{what}, of {term['name']} alone", "gradient", less)))
    return found


def parts_of(record, node):
    """(path, name, mean, norm) of the gradient by term; a term that does not come here gives zero.  Empty for a loss with one term."""
    if len(record["terms"]) < 2 or node["gradient"] is None:
        return []
    nothing = {"mean": 0.0, "norm": 0.0}
    parts = [(term["name"], node["terms"].get(term["name"], nothing)) for term in record["terms"]]
    if node["gradient"] is not None and not node["terms"]:
        return []  # the sum itself, which belongs to no term
    rows = [*parts, ("sum", node["gradient"])]
    return [(path % len(rows), name, number(part["mean"], 6), number(part["norm"])) for path, (name, part) in enumerate(rows, 1)]


def rule_of(record, node, rule, names):
    """What a rule gives an input: the equation, the code, to whom and what share of its gradient it is, the proof."""
    left, right = rule["equation"]
    to = rule["to"] if rule["to"] in names else None
    target = next((other for other in record["nodes"] if other["id"] == to), None)
    share = next((source["share"] for source in target["from"] if source["node"] == node["id"]), None) if target else None
    several = target is not None and len(target["from"]) > 1
    summed = f"summed over axis {', '.join(map(str, rule['summed']))}, along which it was broadcast" if rule["summed"] else ""
    return {
        "equation": formula(f"{left} = {right}") if right else formula(left),
        "text": rule["text"],
        "to": to,
        "name": names.get(to, f".grad of {rule['to']}" if isinstance(rule["to"], str) else f"operation {rule['to']}"),
        "share": f"{percent(share)} of the sum of the norms" if several else "",
        "norm": number(rule["norm"]),
        "shape": shape(rule["shape"]),
        "summed": summed,
        "check": check_of(rule["check"]),
    }


def check_of(check):
    """A proof by finite differences in words; None where none was made."""
    if check is None:
        return None
    found = {"verdict": check["verdict"], "word": VERDICTS[check["verdict"]], "numbers": "", "slopes": "", "error": ""}
    if check["verdict"] in ("right", "wrong", "kink"):
        numbers = f"finite differences {number(check['numeric'], 6)}, gradient {number(check['analytic'], 6)}"
        found |= {"numbers": numbers, "error": f"relative error {number(check['error'], 2)}, step {number(check['step'])}"}
    if check["verdict"] in ("wrong", "kink"):
        found["slopes"] = f"slope to the left {number(check['slopes'][0], 6)}, to the right {number(check['slopes'][1], 6)}"
    return found


def step_of(step, detail):
    """An operation of a twin, in a row."""
    gradient = step["gradient"]
    return {
        "number": step["id"],
        "text": f"{step['name']} = {step['text']}",
        "shape": shape(step["value"]["shape"]),
        "norm": number(step["value"]["norm"]),
        "gradient": "none" if gradient is None else number(gradient["norm"]),
        "equation": formula(step["equation"]),
        "rules": [formula(f"{rule['equation'][0]} = {rule['equation'][1]}") for rule in step["rules"] if rule["equation"][1]],
    }


def leaf_of(record, leaf, names, detail):
    """A parameter or another leaf: its value, its gradient by path, where it is used."""
    return {
        "name": leaf["name"],
        "kind": leaf["kind"],
        "shape": shape(leaf["value"]["shape"]),
        "value": array_of(leaf["value"], f"the value of {leaf['name']}", "value", detail),
        "gradients": gradients_of(record, leaf, f"the gradient of the loss with respect to {leaf['name']}", detail),
        "parts": parts_of(record, leaf),
        "check": check_of(leaf["check"]),
        "norm": "none" if leaf["gradient"] is None else number(leaf["gradient"]["norm"]),
        "users": [(user, names[user]) for user in leaf["nodes"] if user in names],
    }


def words_of(record):
    """{word: meaning} of the functions in the rules that a textbook does not know."""
    rules = " ".join(rule["text"] for node in record["nodes"] for one in (node, *node["inside"]) for rule in one["rules"])
    return {word: text for word, text in WORDS.items() if re.search(rf"\b{word}\(", rules)}


def letters_of(record):
    """(MathML, name) of what the equations call otherwise than the code."""
    texts = " ".join(f"{node['name']} {node['text']}" for node in record["nodes"])
    found = [(NAMES[name], name) for name in sorted(NAMES) if name[0] != "g" and re.search(rf"(?<![\w.]){name}(?![\w.])", texts)]
    return [(formula(latex), name) for latex, name in found]
