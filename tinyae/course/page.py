"""The page of a lesson: prose and formulas beside the exact code, with what each cell printed and drew; one file that needs nothing else."""

import base64
import itertools
import json
import re
import struct
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup, escape

from tinyae.course.formulas import to_html
from tinyae.course.outline import outline
from tinyae.course.prose import inline, parts, slug
from tinyae.course.script import read
from tinyae.microscope.page import digest
from tinyae.microscope.pieces import colours
from tinyae.microscope.templates import template
from tinyae.training.files import write_atomic

HERE = Path(__file__).parent
BEFORE = {"picture": "code", "derivation": "code"}  # where code under these headings is shown
NUMBERS = "what-surprised-us"  # the section before which the numbers stand
GRADIENTS, MANY = "gradients.", 10  # claims that are told in one line; how many others are shown at once
WAYS = {"engine": "the engine", "differences": "finite differences", "complex": "a complex step"}
COMMANDS = (
    ("write the file to fill in", "tinyae exercise {n} --start"),
    ("check it", "tinyae exercise {n}"),
    ("a hint for the first one", "tinyae exercise {n} --hint do"),
)


class Links(NamedTuple):
    """The pages beside a lesson's page: addresses, None where there is none.  before, after: (title, address or None) of the neighbours."""

    home: str | None = None
    microscope: str | None = None
    before: tuple | None = None
    after: tuple | None = None


def write_lesson(path, entry, folder, outputs, links=None):
    """Write the page of a lesson that has run, whole or not at all.  Returns the path.  folder: its output; outputs: of a Watch."""
    write_atomic(path, render(entry, folder, outputs, links or neighbours(entry, folder)))
    return Path(path)


def neighbours(entry, folder):
    """The Links of a page by itself, beside its run."""
    return Links(microscope="microscope.html" if (Path(folder) / "microscope.html").exists() else None)


def render(entry, folder, outputs, links):
    """The page as text: the same run gives the same text.  Raises ArgumentError for a formula that does not convert."""
    metrics = json.loads((Path(folder) / "metrics.json").read_text(encoding="utf-8"))
    rows = metrics["numbers"]
    numbers = [row_of(name, row) for name, row in rows.items() if not name.startswith(GRADIENTS)]
    claims = [row for row in numbers if row["kind"] == "claim" and not row["predicted"]]
    folded = [row for row in claims if not row["effect"]] if len(claims) > MANY else []
    return template(HERE / "lesson.html.j2").render(
        **look(),
        entry=entry,
        title=f"Lesson {entry.number}: {entry.title}",
        links=links,
        sections=linked(sections(entry, Path(folder), outputs, metrics["figures"]), links.microscope, metrics["figures"]),
        form=form_of(metrics),
        control=metrics["control"],
        predicted=[row for row in numbers if row["predicted"]],
        numbers=[row for row in numbers if row["kind"] == "number" and not row["predicted"]],
        claims=[row for row in claims if row not in folded],
        folded=folded,
        gradients=gradients_of({name: row for name, row in rows.items() if name.startswith(GRADIENTS)}),
        numbers_before=NUMBERS,
        versions=metrics["versions"],
    )


def look():
    """Style, script and policy of every page of the course."""
    palette, _, _ = (HERE.parent / "microscope" / "page.css").read_text(encoding="utf-8").partition("* { box-sizing")  # its colours and fonts
    style, script = palette + (HERE / "page.css").read_text(encoding="utf-8"), (HERE / "page.js").read_text(encoding="utf-8")
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src '{digest(script)}'; base-uri 'none'; form-action 'none'"
    return {"style": Markup(style), "script": Markup(script), "policy": policy}


def sections(entry, folder, outputs, alts):
    """The parts of the lesson in order: dicts of id, title, rows, and what stands beside the prose; a row is what `row_of_prose` says.

    The settings, which the script needs before its section of code, are shown in that section.
    """
    found, lesson, waiting = [section_of("top", None)], f"lesson {entry.number}", []
    for number, cell in enumerate(read(entry.path).cells):
        if cell.kind == "code":
            output = outputs.get(number)
            figures = [figure_of(folder / name, alts[name]) for name in (output.figures if output else ())]
            exact = [{"code": code_of(cell, number, output)}, *({"figure": figure} for figure in figures)]
            if found[-1]["id"] in BEFORE:
                waiting += exact
            else:
                found[-1]["rows"] = found[-1]["rows"] or [row_of_prose()]
                found[-1]["rows"][-1]["exact"] += exact
            continue
        for part in parts(cell, lesson):
            if part.title is not None:
                found.append(section_of(slug(part.title), inline(part.title, lesson)))
            found[-1]["rows"].append(row_of_prose(part))
            if found[-1]["id"] not in BEFORE:
                found[-1]["rows"][-1]["exact"] += waiting
                waiting = []
    return [section | beside(section["id"], entry) for section in found]


def linked(found, microscope, figures):
    """The sections, with links where the prose names a file of the run: `microscope.html`, `gap.png`."""
    places = {name: f"#{name}" for name in figures} | ({"microscope.html": microscope} if microscope else {})
    for row in itertools.chain(*(section["rows"] for section in found)):
        for name, place in places.items():
            row["prose"] = Markup(str(row["prose"]).replace(f"<code>{name}</code>", f'<a href="{escape(place)}"><code>{name}</code></a>'))
    return found


def row_of_prose(part=None):
    """A row: a drawing in letters, prose, and beside it, in order, what is exact: {"code": ...} with what it printed, or {"figure": ...}."""
    return {"letters": part.letters if part else "", "prose": part.html if part else "", "exact": []}


def section_of(name, title):
    """A section that is still empty."""
    return {"id": name, "title": title, "rows": [], "drawing": None, "commands": []}


def beside(name, entry):
    """What a section has beside its prose: the drawing of the model, the commands of the exercises."""
    if name == "picture" and (drawn := outline().of(entry.number).get("drawing")):
        return {"drawing": drawing_of(drawn)}
    if name == "exercises" and (entry.path.parent / "exercises" / entry.path.name).exists():
        return {"commands": [(what, command.format(n=entry.number)) for what, command in COMMANDS]}
    return {}


def drawing_of(name):
    """A drawing of tinyae.figures: its SVG, its caption, and what is minimised, as HTML; None where there is none of this name."""
    from tinyae.figures import drawings

    if name not in drawings.names():
        return None
    formula = drawings.objective(name)
    formula = Markup(to_html(formula, True, f"the drawing {name}")) if formula else ""
    return {"svg": Markup(drawings.architecture_svg(name)), "caption": Markup(drawings.caption_html(name)), "formula": formula}


def code_of(cell, number, output):
    """A code cell: id, title, its numbered lines as HTML, and what it printed."""
    lines = cell.text.split("\n")
    title, stop, more = cell.title.partition(". ")
    return {
        "id": f"cell-{number}",
        "text": cell.text,
        "title": title + stop.strip(),
        "more": more.strip(),
        "lines": list(zip(cell.lines, colours(lines), strict=True)),
        "indents": [len(line) - len(line.lstrip(" ")) for line in lines],
        "output": output.text.strip("\n") if output else "",
    }


def figure_of(path, alt):
    """A PNG as a data URI, with the size at which it is shown: an inch as 100 pixels."""
    from tinyae.figures.style import DPI

    data = path.read_bytes()
    width, height = (round(pixels * 100 / DPI) for pixels in struct.unpack(">II", data[16:24]))
    source = "data:image/png;base64," + base64.b64encode(data).decode()
    caption = re.sub(r"(?<![\w-])-(?=\w)", "\N{MINUS SIGN}", alt)  # a hyphen would end a line
    return {"source": source, "width": width, "height": height, "alt": alt, "caption": caption, "name": path.name}


def form_of(metrics):
    """How the numbers of the page were made, in words."""
    facts = ["short form" if metrics["fast"] else "full form", f"seed {metrics['seed']}"]
    facts += [f"binarisation {metrics['binarisation']}"] * ("binarisation" in metrics)
    return [*facts, f"backend {metrics['backend']}"]


def gradients_of(rows):
    """The claims of `Lesson.gradients` in one line, and as rows of a table; None where there are none."""
    if not rows:
        return None
    pairs = [name.rpartition("_") for name in rows]
    ways = [told for way, told in WAYS.items() if any(end == way for _, _, end in pairs)]
    count = len({name for name, _, _ in pairs})
    worst = max(rows.values(), key=lambda row: row["value"])
    limits = [row["at_most"] for row in rows.values() if "at_most" in row]
    return {
        "count": count,
        "ways": joined(ways),
        "worst": number(worst["value"], ".2g"),
        "limit": number(max(limits)) if limits else None,
        "holds": all(row.get("inside", True) for row in rows.values()),
        "rows": [row_of(name, row) for name, row in rows.items()],
    }


def joined(words):
    """Words as a list in a sentence."""
    return " and ".join([", ".join(words[:-1])] * (len(words) > 1) + words[-1:])


def row_of(name, row):
    """A number or claim as the table shows it."""
    verdict = None if "inside" not in row else bool(row["inside"])
    words = {"number": {True: "inside", False: "outside", None: "no band"}, "claim": {True: "holds", False: "gone", None: ""}}[row["kind"]]
    shown = {"value": number(row["value"]), "predicted": "", "off": "", "range": limits_of(row)}
    if "predicted" in row:
        shown |= {"predicted": number(row["predicted"]), "off": number(row["value"] - row["predicted"], "+.3g")}
    breakable = escape(name).replace(".", Markup(".<wbr>")).replace("_", Markup("_<wbr>"))
    return {"name": breakable, "unit": row["unit"], "kind": row["kind"], "effect": row["effect"], "verdict": verdict, "word": words[verdict]} | shown


def limits_of(row):
    """The band of a number or the limits of a claim in words; empty where there are none."""
    low, high = row.get("low", row.get("at_least")), row.get("high", row.get("at_most"))
    if low is None and high is None:
        return ""
    if low is None or high is None:
        return f"at most {number(high)}" if low is None else f"at least {number(low)}"
    if low == high:
        return f"exactly {number(low)}"
    form = ".5g" if number(low) != number(high) else ".10g"  # limits that are very near to each other
    return f"{number(low, form)} to {number(high, form)}"


def number(value, form=".5g"):
    """A number with a real minus sign."""
    return f"{value:{form}}".replace("-", "\N{MINUS SIGN}")
