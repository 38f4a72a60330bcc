"""The drawings of the course: that they can be read, that they fit, what is said about them; the table of the family and the index of the course."""

import itertools
import re
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import latex2mathml.converter
import matplotlib
import pytest
from PIL import ImageFont

from tinyae.course import library
from tinyae.errors import ArgumentError
from tinyae.figures import drawings, trees
from tinyae.figures.family import CLUSTERS, children, family
from tinyae.figures.layout import problems
from tinyae.figures.scene import render

SVG = "{http://www.w3.org/2000/svg}"
TREES = {"family": trees.family_map, "evolution": trees.evolution_tree}
MODELS = """autoencoder linear_autoencoder deep_autoencoder sparse_autoencoder sparse_features denoising contractive vae beta_vae conditional_vae iwae
vq_vae hierarchical_vae score_diffusion backprop two_checkers reparameterization bug_hunt elbo""".split()
ALL = [*MODELS, *TREES]
COURSE = tomllib.loads((library.folder() / "course.toml").read_text(encoding="utf-8"))


def canvas(name):
    return TREES[name]() if name in TREES else render(name, drawings.drawing(name))


def measured(text):
    """(width, size) of a text element of a drawing, its pieces measured one by one in DejaVu Sans; not with the code of the drawings."""
    size, bold, total = float(text.get("font-size")), "b" in text.get("class").split(), 0.0
    pieces = [(text.text, size, False)] + [
        p for span in text for p in ((span.text, span.get("font-size", size), span.get("class")), (span.tail, size, False))
    ]
    for piece, height, slanted in pieces:
        style = "Bold" * bold + "Oblique" * bool(slanted)
        file = Path(matplotlib.get_data_path(), "fonts", "ttf", f"DejaVuSans{'-' * bool(style)}{style}.ttf")
        total += ImageFont.truetype(file, 200).getlength(piece or "") / 200 * float(height)
    return total, size


def extent(text):
    """(left, top, right, bottom) of a text element."""
    width, size = measured(text)
    left = float(text.get("x")) - {"start": 0, "middle": width / 2, "end": width}[text.get("text-anchor", "start")]
    return left, float(text.get("y")) - 0.75 * size, left + width, float(text.get("y")) + 0.2 * size


def test_there_is_a_drawing_of_every_model_of_the_guides():
    assert set(drawings.names()) == set(MODELS)


@pytest.mark.parametrize("name", ALL)
def test_nothing_overlaps_and_nothing_leaves_its_box(name):
    assert problems(canvas(name)) == []


@pytest.mark.parametrize("name", ALL)
def test_the_file_itself_holds_its_texts(name):
    root = ET.fromstring(canvas(name).svg())
    width, height = float(root.get("width")), float(root.get("height"))
    boxes = [extent(text) for text in root.iter(SVG + "text")]
    assert boxes
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            assert min(a[2], b[2]) - max(a[0], b[0]) < 1 or min(a[3], b[3]) - max(a[1], b[1]) < 1


@pytest.mark.parametrize("name", ALL)
def test_a_drawing_fits_on_a_screen_and_on_a_telephone(name):
    root = ET.fromstring(canvas(name).svg())
    width = float(root.get("width"))
    assert name in TREES or float(root.get("height")) <= 510
    for text in root.iter(SVG + "text"):
        assert float(text.get("font-size")) * 400 / width >= 6.8
    assert width <= 660


@pytest.mark.parametrize("name", ALL)
def test_a_drawing_says_what_it_shows(name):
    root = ET.fromstring(canvas(name).svg())
    title, description = root.find(SVG + "title").text, root.find(SVG + "desc").text
    assert title
    assert description == drawings.alt(name)
    assert len(description) > 60
    assert description != drawings.caption(name)
    assert all(said.endswith((".", "?")) for said in (description, drawings.caption(name)))


def letters(markup):
    """The slanted letters of a text, one by one: `*x W*` has x and W."""
    return {letter for found in re.findall(r"\*([^*]+)\*", markup) for letter in re.findall(r"[^\W\d_]\u0302?", found)}


def of_tex(latex):
    """The letters of a formula: not those of its words, commands and indices."""
    words = re.sub(r"\\(text|mathrm)\{[^}]*\}", " ", latex)
    return set(re.findall(r"[A-Za-zβλ]", re.sub(r"_\{?\w\}?", "", re.sub(r"\\(?!mathbb)[a-zA-Z]+", " ", words.replace(r"\mathbb{E}", "E")))))


@pytest.mark.parametrize("number", sorted(COURSE["lesson"]))
def test_the_caption_of_a_lessons_drawing_says_what_its_letters_are(number):
    drawing = drawings.drawing(COURSE["lesson"][number]["drawing"])
    shown = " ".join(
        [thing.text for thing in drawing.things.values() if thing.shape != "cells"] + [arrow.partition("|")[2] for arrow in drawing.arrows]
    )
    told = letters(drawing.caption) | set(re.findall(r"\b[E]\b", drawing.caption.replace("_", " ")))
    defined_by_itself = {"backprop": {"a", "t"}}.get(COURSE["lesson"][number]["drawing"], set())  # what an equation of the drawing defines
    assert letters(shown) - told - defined_by_itself <= {"i", "n"}, "indices"
    assert of_tex(drawing.objective) - told <= {"d", "e", "a", "T"}, "signs of calculus, and the logits"
    assert not letters(shown) & set("μσ"), "lessons write mean, log-variance and deviation"


def test_captions_become_html_with_slanted_letters_and_indices():
    html = drawings.caption_html("beta_vae")
    assert "<i>β</i> = 1" in html
    assert "E<sub><i>q</i></sub>" in html
    assert "*" not in html
    assert drawings.caption_html("family") == drawings.caption("family")


def test_ids_of_two_drawings_on_a_page_differ():
    ids = [element.get("id") for name in ALL for element in ET.fromstring(canvas(name).svg()).iter() if element.get("id")]
    assert len(ids) == len(set(ids)) == 2 * len(ALL)


@pytest.mark.parametrize("name", MODELS)
def test_the_objective_is_typeset(name):
    mathml = latex2mathml.converter.convert(drawings.objective(name))
    ET.fromstring(mathml)
    assert "\\" not in mathml


def test_files_are_the_same_each_time_and_need_nothing_else(tmp_path):
    written = {path.name: path.read_bytes() for path in drawings.write(tmp_path / "a")}
    assert {path.name: path.read_bytes() for path in drawings.write(tmp_path / "b")} == written
    assert set(written) == {f"{name}.svg" for name in ALL}
    for content in written.values():
        assert ET.fromstring(content).tag == SVG + "svg"
        assert not re.search(rb"href|url\(|<script|@import", content)
        assert len(content) < 60_000


def test_an_unknown_drawing_names_those_there_are():
    with pytest.raises(ArgumentError, match="no drawing 'gan'") as told:
        drawings.architecture_svg("gan")
    assert "vq_vae" in str(told.value)


def test_what_is_new_is_drawn_with_a_thick_outline():
    for name in MODELS:
        drawing = drawings.drawing(name)
        assert set(drawing.new) <= set(drawing.things)
        assert drawings.architecture_svg(name).count('stroke-width="2.4"') >= len(drawing.new)
        assert ("Thick:" in drawings.caption(name)) == bool(drawing.new)


def test_terms_of_the_loss_are_reached_by_arrows():
    for name in MODELS:
        drawing = drawings.drawing(name)
        reached = {re.split(r"=>|\|", arrow)[1].strip().partition(":")[0] for arrow in drawing.arrows if "=>" in arrow}
        costs = {label for label, thing in drawing.things.items() if thing.fill == "cost" and thing.shape == "box"}
        assert reached <= costs
        assert costs <= reached or name in ("backprop", "elbo")


def test_everyone_has_a_parent_that_is_older():
    roots = [member.key for member in family().values() if member.parent is None]
    assert roots == ["autoencoder"]
    for member in family().values():
        if member.parent:
            assert family()[member.parent].year <= member.year
            assert member in children(member.parent)


def test_the_table_is_in_the_order_of_years_and_complete():
    years = [member.year for member in family().values()]
    assert years == sorted(years)
    assert (years[0], years[-1]) == (1986, 2023)
    for member in family().values():
        assert all((member.name, member.authors, member.paper, member.change, member.good_for))
        assert member.cluster in CLUSTERS
        assert member.drawing is None or member.drawing in MODELS


@pytest.mark.parametrize("name", TREES)
def test_the_trees_show_everyone_once(name):
    texts = ["".join(text.itertext()) for text in ET.fromstring(canvas(name).svg()).iter(SVG + "text")]
    for member in family().values():
        shown = member.name.replace(" autoencoder", " AE") if name == "family" else member.name
        assert texts.count(shown) == 1
        assert texts.count(member.change) == 1
        assert f"{member.name}, {member.year}: {member.change}" in drawings.alt(name)


def test_lines_of_the_tree_lead_from_parents_to_children():
    made = trees.evolution_tree()
    dots = {mark.name: mark.points for mark in made.marks if mark.kind == "dot"}
    ends = {mark.name: mark.points[-1] for mark in made.marks if mark.kind == "line"}
    places = trees.lanes()
    for member in family().values():
        if member.parent:
            x, y = ends[f"{member.parent} {member.key}"]
            corners = dots[member.key]
            assert min(p[0] for p in corners) < x < max(p[0] for p in corners)
            assert min(p[1] for p in corners) < y < max(p[1] for p in corners)
    for lane in set(places.values()):  # in a lane each one stands below its parent, or below the end of another line
        keys = [key for key in family() if places[key] == lane]
        for earlier, later in itertools.pairwise(keys):
            last = max((list(family()).index(child.key) for child in children(earlier)), default=0)
            assert family()[later].parent == earlier or last <= list(family()).index(later)


def test_every_lesson_of_a_path_and_of_the_guide_is_described():
    described = {int(number) for number in COURSE["lesson"]}
    assert described == set(range(11))
    for path in COURSE["path"]:
        assert set(path["lessons"]) <= described
        assert len(set(path["lessons"])) == len(path["lessons"])
        assert all((path["title"], path["for"], path["why"]))
    assert set().union(*(path["lessons"] for path in COURSE["path"])) == described
    assert {guide["lesson"] for guide in COURSE["guide"]} <= described


def test_the_guide_is_honest():
    assert 8 <= len(COURSE["guide"]) <= 10
    assert COURSE["guide"][0]["model"] == "PCA"
    assert "none" in [guide["model"] for guide in COURSE["guide"]]
    for guide in COURSE["guide"]:
        assert guide["question"].endswith((".", "?"))
        assert guide["answer"].count(". ") <= 2
        assert guide["model"] in ("PCA", "none", *MODELS)


def test_every_lesson_has_a_drawing_and_one_sentence():
    for about in COURSE["lesson"].values():
        assert about["drawing"] in MODELS
        assert about["summary"].endswith(".")
        assert 10 <= about["minutes"] <= 60
    lessons = {entry.number for entry in library.lessons()}
    assert lessons <= {int(number) for number in COURSE["lesson"]}
    assert {member.lesson for member in family().values() if member.lesson is not None} <= {int(number) for number in COURSE["lesson"]}
