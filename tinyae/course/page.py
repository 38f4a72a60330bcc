"""The page of a lesson: prose and formulas beside the exact code, with what each cell printed and drew; one file that needs nothing else."""

import base64
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
SHORT = 600  # characters of prose that stay in sight beside long code
NUMBERS = "what-surprised-us"  # the section before which the numbers stand
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
    numbers = [row_of(name, row) for name, row in metrics["numbers"].items()]
    return template(HERE / "lesson.html.j2").render(
        **look(),
        entry=entry,
        title=f"Lesson {entry.number}: {entry.title}",
        links=links,
        sections=sections(entry, Path(folder), outputs, metrics["figures"]),
        form=form_of(metrics),
        control=metrics["control"],
        predicted=[row for row in numbers if row["predicted"]],
        numbers=[row for row in numbers if row["kind"] == "number" and not row["predicted"]],
        claims=[row for row in numbers if row["kind"] == "claim" and not row["predicted"]],
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
    """The parts of the lesson in order: dicts of id, title, rows, and what stands beside the prose; a row is prose, code, and figures below."""
    found, lesson = [section_of("top", None)], f"lesson {entry.number}"
    for number, cell in enumerate(read(entry.path).cells):
        if cell.kind == "code":
            rows = found[-1]["rows"]
            if not rows or rows[-1]["figures"]:
                rows.append({"prose": "", "short": False, "code": [], "figures": []})
            output = outputs.get(number)
            rows[-1]["code"].append(code_of(cell, number, output))
            rows[-1]["figures"] += [figure_of(folder / name, alts[name]) for name in (output.figures if output else ())]
            continue
        for part in parts(cell, lesson):
            if part.title is not None:
                found.append(section_of(slug(part.title), inline(part.title, lesson)))
            found[-1]["rows"].append({"prose": part.html, "short": len(part.text) < SHORT, "code": [], "figures": []})
    return [section | beside(section["id"], entry) for section in found]


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
    return {"svg": Markup(drawings.architecture_svg(name)), "caption": drawings.caption(name), "formula": formula}


def code_of(cell, number, output):
    """A code cell: id, title, its numbered lines as HTML, and what it printed."""
    lines = cell.text.split("\n")
    title, stop, more = cell.title.partition(". ")
    return {
        "id": f"cell-{number}",
        "title": title + stop.strip(),
        "more": more.strip(),
        "lines": list(zip(cell.lines, colours(lines), strict=True)),
        "indents": [len(line) - len(line.lstrip(" ")) for line in lines],
        "output": output.text.strip("\n") if output else "",
    }


def figure_of(path, alt):
    """A PNG as a data URI with its size in pixels."""
    data = path.read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    source = "data:image/png;base64," + base64.b64encode(data).decode()
    caption = re.sub(r"(?<![\w-])-(?=\w)", "\N{MINUS SIGN}", alt)  # a hyphen would end a line
    return {"source": source, "width": width, "height": height, "alt": alt, "caption": caption, "name": path.name}


def form_of(metrics):
    """How the numbers of the page were made, in words."""
    facts = ["short form" if metrics["fast"] else "full form", f"seed {metrics['seed']}"]
    facts += [f"binarisation {metrics['binarisation']}"] * ("binarisation" in metrics)
    return [*facts, f"backend {metrics['backend']}"]


def row_of(name, row):
    """A number or claim as the table shows it."""
    verdict = None if "inside" not in row else bool(row["inside"])
    words = {"number": {True: "inside", False: "outside", None: "no band"}, "claim": {True: "holds", False: "gone", None: ""}}[row["kind"]]
    shown = {"value": number(row["value"]), "predicted": "", "off": "", "range": ""}
    if "predicted" in row:
        shown |= {"predicted": number(row["predicted"]), "off": number(row["value"] - row["predicted"], "+.3g")}
    if "low" in row:
        shown["range"] = f"{number(row['low'])} to {number(row['high'])}"
    breakable = escape(name).replace(".", Markup(".<wbr>")).replace("_", Markup("_<wbr>"))
    return {"name": breakable, "unit": row["unit"], "kind": row["kind"], "effect": row["effect"], "verdict": verdict, "word": words[verdict]} | shown


def number(value, form=".5g"):
    """A number with a real minus sign."""
    return f"{value:{form}}".replace("-", "\N{MINUS SIGN}")
