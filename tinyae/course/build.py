"""The whole course as a folder of pages: every lesson is run, its page written, and an index with paths, guide, maps and search."""

import contextlib
import io
import json
import re
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

import tinyae
from tinyae.course import library
from tinyae.course.outline import goal_of, outline, sections, time_of
from tinyae.course.page import HERE, Links, look, write_lesson
from tinyae.course.prose import inline
from tinyae.course.run import run_lesson
from tinyae.course.script import Watch
from tinyae.errors import RunError, TinyaeError, one_line
from tinyae.microscope.templates import template
from tinyae.training.files import write_atomic

PAGE = re.compile(r"\d\d_\w+\.html")
MARK = '<meta name="generator" content="tinyae course">'


class Run(NamedTuple):
    """A lesson that was run: its entry, the folder of its results, what its cells printed and drew, and the text of its warnings."""

    entry: library.Entry
    folder: Path
    outputs: dict
    warnings: str = ""


def build_course(folder, fast=False, numbers=None, say=print):
    """Run lessons (numbers: these; None: all) and write folder/index.html, folder/NN_name.html and folder/microscope/NN_name.html.

    Returns the lessons that failed, a dict of number and reason; the other pages are there all the same.  After Ctrl-C the index of the pages that
    are there is written, and KeyboardInterrupt raised.  Raises ArgumentError for a lesson that is
    not there, RunError for a folder with files that are none of a course.
    """
    folder = Path(folder)
    entries = library.lessons() if numbers is None else [library.entry(number) for number in sorted(set(numbers))]
    prepare(folder)
    runs, failed = [], {}
    with tempfile.TemporaryDirectory() as results:
        interrupted = None
        for count, entry in enumerate(entries, 1):
            say(f"{count:>3}/{len(entries)}  lesson {entry.number:>2}  {entry.title} ...")
            begun = time.perf_counter()
            try:
                runs.append(run(entry, Path(results) / entry.path.stem, fast))
                write_pages(folder, runs[-1], {entry.path.stem for entry in entries} - {library.entry(n).path.stem for n in failed})
                for line in warnings_of(runs[-1]):
                    say(f"         {line}")
                say(f"         {time.perf_counter() - begun:.0f} s, {folder / page_of(entry)}")
            except KeyboardInterrupt as error:
                interrupted = error
                break
            except Exception as error:
                failed[entry.number] = one_line(error) if isinstance(error, TinyaeError) else f"{type(error).__name__}: {error}"
                (folder / page_of(entry)).unlink(missing_ok=True)  # what an earlier run left would not be true any more
                (folder / "microscope" / page_of(entry)).unlink(missing_ok=True)
                say(f"         FAILED: {failed[entry.number]}")
        for done in runs if failed or interrupted else ():  # whose neighbours are not there after all
            if done.entry.number not in failed:
                write_pages(folder, done, set())
    write_atomic(folder / "index.html", index_page(folder, fast, failed))
    say(f"course: {folder / 'index.html'}")
    if interrupted:
        raise interrupted
    return failed


def prepare(folder):
    """Make the folder.  Raises RunError where it holds what is no page of a course, or cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        foreign = [path for path in folder.rglob("*") if path.is_file() and not is_ours(path, folder)]
        if foreign:
            raise RunError("the folder holds files that are no pages of a course.", got=foreign[0], remedy="choose an empty or a new one")
        (folder / "microscope").mkdir(exist_ok=True)
    except RunError:
        raise
    except OSError as error:
        raise RunError("the folder cannot be made.", got=f"{folder}: {error.strerror}", remedy="choose another") from error


def is_ours(path, folder):
    """Whether a file was written by an earlier build."""
    place = path.relative_to(folder)
    if place.parts[0] == "microscope":
        return len(place.parts) == 2 and PAGE.fullmatch(path.name) is not None
    named = place == Path("index.html") or (len(place.parts) == 1 and PAGE.fullmatch(path.name))
    return bool(named) and MARK in path.read_text(encoding="utf-8", errors="replace")


def run(entry, folder, fast):
    """Run a lesson without showing what it prints."""
    sections(entry)  # a formula that does not convert is told before the work
    watch, told = Watch(echo=False), io.StringIO()
    with contextlib.redirect_stderr(told):
        run_lesson(entry.number, fast=fast, out=folder, watch=watch)
    return Run(entry, folder, watch.outputs, told.getvalue())


def warnings_of(done):
    """What a lesson wrote beside its results, each line once, with how often it came where that is more than once."""
    counts = Counter(line.rstrip() for line in done.warnings.splitlines() if line.strip())
    return [line + f" ({count} times)" * (count > 1) for line, count in counts.items()]


def write_pages(folder, done, coming):
    """Write the page of a lesson that was run, and that of its step.  coming: names of pages that will be there, beside those that are."""
    step = done.folder / "microscope.html"
    if step.exists():
        write_atomic(folder / "microscope" / page_of(done.entry), step.read_bytes())
    known = library.lessons()
    place = known.index(done.entry)

    def neighbour(at):
        if not 0 <= at < len(known):
            return None
        page = page_of(known[at])
        there = known[at].path.stem in coming or (folder / page).exists()
        return f"{known[at].number}  {known[at].title}", page if there else None

    microscope = f"microscope/{page_of(done.entry)}" if step.exists() else None
    links = Links("index.html", microscope, neighbour(place - 1), neighbour(place + 1))
    write_lesson(folder / page_of(done.entry), done.entry, done.folder, done.outputs, links)


def page_of(entry):
    """The name of a lesson's page."""
    return f"{entry.path.stem}.html"


def index_page(folder, fast=False, failed=()):
    """The index as text: it links the pages that are in the folder."""
    told = outline()
    lessons = {entry.number: row_of(entry, folder, told, fast, failed) for entry in library.lessons()}
    for number, about in told.about.items():
        lessons.setdefault(number, COMING | {"title": f"Lesson {number}", "note": "coming", "summary": polished(about.get("summary", ""))})
    lessons = dict(sorted(lessons.items()))
    searched = [
        {"number": number, "title": row["title"], "page": row["page"], "sections": row["searched"]}
        for number, row in lessons.items()
        if row["searched"]
    ]
    data = json.dumps(searched, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return template(HERE / "index.html.j2").render(
        **look(),
        paths=[path | {"for": polished(path["for"]), "why": polished(path["why"])} for path in told.paths],
        guides=[guide | {"answer": polished(guide["answer"]), "name": model_of(guide)} for guide in told.guides],
        lessons=lessons,
        maps=maps(),
        form="short" if fast else "full",
        index=Markup(data),
        version=tinyae.__version__,
    )


def polished(text):
    """A sentence of course.toml as HTML."""
    return inline(text, "course.toml")


def model_of(guide):
    """What the model of a guide is called; empty for none."""
    return MODELS.get(guide["model"], guide["model"].replace("_", " "))


MODELS = {"vae": "VAE", "beta_vae": "beta-VAE", "none": "", "sparse_features": "sparse autoencoder", "score_diffusion": "score model"}
MODELS |= {"denoising": "denoising autoencoder", "iwae": "IWAE", "vq_vae": "VQ-VAE"}


COMING = {"page": None, "summary": "", "minutes": None, "goal": "", "time": "", "searched": None}


def row_of(entry, folder, told, fast, failed):
    """What the index says of a lesson."""
    there, about = (Path(folder) / page_of(entry)).exists(), told.of(entry.number)
    row = {
        "title": entry.title,
        "page": page_of(entry) if there else None,
        "summary": polished(about.get("summary", "")),
        "minutes": about.get("minutes"),
    }
    row |= {"note": "failed in this run" if entry.number in failed else "" if there else "not run", "time": time_of(entry, fast)}
    try:
        return row | {"goal": goal_of(entry)[0], "searched": sections(entry)}
    except (TinyaeError, SyntaxError):  # told where it was to be run; the index of the others is written all the same
        return COMING | row


def maps():
    """The drawings of the index: (id, title, SVG)."""
    from tinyae.figures import drawings

    return [("family", "The family", Markup(drawings.family_map_svg())), ("evolution", "How they came about", Markup(drawings.evolution_tree_svg()))]
