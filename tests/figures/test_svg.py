"""The writer of drawings: what its lettering may hold, where its lines go, and that its check of a layout sees what is planted."""

import xml.etree.ElementTree as ET

import pytest

from tinyae.figures.layout import problems
from tinyae.figures.lettering import Run, runs, width
from tinyae.figures.scene import Drawing, Thing, bends, data, loss, network, note, random, render
from tinyae.figures.svg import COLOURS, Canvas, arrow_head, number, path, stylesheet

SVG = "{http://www.w3.org/2000/svg}"


def canvas(draw=lambda c: None, width=200, height=100):
    made = Canvas("a_test", width, height, "A <title>", "A & description")
    draw(made)
    return made


def test_a_drawing_is_an_xml_file_with_a_title_and_a_description():
    root = ET.fromstring(canvas(lambda c: c.text(100, 50, "x < y & z")).svg())
    assert root.tag == SVG + "svg"
    assert root.get("viewBox") == "0 0 200 100"
    assert root.get("role") == "img"
    title, description = root.find(SVG + "title"), root.find(SVG + "desc")
    assert (title.text, description.text) == ("A <title>", "A & description")
    assert root.get("aria-labelledby").split() == [title.get("id"), description.get("id")]
    assert "".join(root.find(SVG + "text").itertext()) == "x < y & z"


def test_mathematics_is_slanted_lowered_and_raised():
    assert runs("log *z*_{*e*}^{2}, log_variance") == [
        Run("log "),
        Run("z", italic=True),
        Run("e", italic=True, shift=0.22, scale=0.75),
        Run("2", shift=-0.36, scale=0.75),
        Run(", log"),
        Run("_"),
        Run("variance"),
    ]
    text = ET.fromstring(canvas(lambda c: c.text(100, 50, "*x*_{1} + 1", 20)).svg()).find(SVG + "text")
    lowered, back = text[1], text[2]
    assert (lowered.get("dy"), lowered.get("font-size"), back.get("dy")) == ("4.4", "15", "-4.4")


@pytest.mark.parametrize(("text", "size"), [("reconstruction", 16), ("encoder", 13), ("−log p(x | z)", 16)])
def test_the_width_of_a_text_is_that_of_its_outline(text, size):
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    outline = TextPath((0, 0), text, size=size, prop=FontProperties("DejaVu Sans")).get_extents().width
    assert outline == pytest.approx(width(text, size), rel=0.05)
    assert width(f"*{text}*", size) == pytest.approx(width(text, size), rel=0.1)
    assert width("_{" + text + "}", size) == pytest.approx(0.75 * width(text, size))


def test_every_colour_has_a_dark_form_and_one_that_a_page_may_set():
    rules, dark = stylesheet().split("@media screen and (prefers-color-scheme:dark)")
    for name, (on_light, on_dark) in COLOURS.items():
        assert f"{on_light};" in rules  # for programs that know no variables
        assert f"var(--drawing-{name},{on_light})" in rules
        assert f"var(--drawing-{name},{on_dark})" in dark


def test_rules_of_a_drawing_touch_nothing_else_of_a_page():
    selectors = [rule.partition("{")[0] for rule in stylesheet().replace("@media screen and (prefers-color-scheme:dark){", "").split("}") if rule]
    assert {selector.partition(" ")[0] for selector in selectors} == {"svg.drawing"}


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("ground", "paper data layer latent discrete hierarchical score cost shade".split())
@pytest.mark.parametrize("letters", "ink soft loss gradient".split())
def test_letters_can_be_read_on_every_ground(letters, ground):
    for mode in (0, 1):
        low, high = sorted(luminance(COLOURS[name][mode]) for name in (letters, ground))
        assert (high + 0.05) / (low + 0.05) >= 4.5


def test_numbers_are_short():
    assert [number(value) for value in (3, 3.0, 3.14159, -0.001, 0.96, -2.5, 120)] == ["3", "3", "3.1", "0", "1", "-2.5", "120"]


def test_an_arrow_ends_at_its_point():
    tip, left, right = arrow_head((0, 0), (100, 0))
    assert tip == (100, 0)
    assert left[0] == right[0] == 92
    assert left[1] == -right[1]
    line = canvas(lambda c: c.line(((10, 50), (150, 50)))).marks[0]
    assert line.points[-1] == (150, 50)


def test_bends_are_round_and_start_and_end_where_the_line_does():
    assert path([(0, 0), (0, 20), (40, 20)]) == "M0 0L0 13Q0 20 7 20L40 20"
    assert path([(0, 0), (0, 4), (40, 4)]) == "M0 0L0 2Q0 4 2 4L40 4"  # a short piece is not overshot


@pytest.mark.parametrize(
    ("leaving", "reaching", "expected"),
    [
        ("e", "w", ((0, 0), (50, 0), (50, 60), (100, 60))),
        ("s", "n", ((0, 0), (0, 30), (100, 30), (100, 60))),
        ("s", "w", ((0, 0), (0, 60), (100, 60))),
        ("e", "n", ((0, 0), (100, 0), (100, 60))),
        ("e", "e", ((0, 0), (118, 0), (118, 60), (100, 60))),
        ("n", "n", ((0, 0), (0, -18), (100, -18), (100, 60))),
    ],
)
def test_lines_leave_and_reach_the_sides_that_are_named(leaving, reaching, expected):
    assert bends((0, 0), leaving, (100, 60), reaching) == expected


def test_sides_of_a_trapezoid_and_of_a_circle_lie_on_their_outline():
    wide = network(100, 50, "f", width=100, height=40)
    assert wide.side("e") == (140, 50)
    assert wide.side("e", -20) == (150, 30)  # the upper corner
    assert wide.side("w", 20) == (70, 70)  # the lower one
    assert random(100, 50, "z", radius=26).side("e", 10) == (124, 60)


def drawing(things, *arrows):
    return Drawing("A drawing", (400, 200), things, arrows, "", "", "")


TWO = {"a": data(80, 80, "a"), "b": data(280, 80, "b")}


def test_arrows_are_lines_of_text():
    made = render("two", drawing(TWO, "a -> b | over", "b:s ~~> a:s |_ under"))
    lines = [mark for mark in made.marks if mark.kind == "line"]
    assert lines[0].points == ((112, 80), (248, 80))
    assert lines[1].points[:2] == ((280, 107), (280, 125))
    assert lines[1].points[-1] == (80, 107)
    assert made.svg().count("stroke-dasharray") == 1
    assert "gradient-pen" in made.svg()
    assert {mark.name for mark in made.marks if mark.kind == "text"} == {"a", "b", "over", "under"}


def test_a_good_layout_has_no_problems():
    assert problems(render("two", drawing(TWO, "a -> b | over"))) == []


@pytest.mark.parametrize(
    ("things", "arrows", "told"),
    [
        ({"a": data(380, 80, "a")}, (), "shape 'a' leaves the canvas"),
        ({"a": note(380, 80, "a long note")}, (), "text 'a long note' leaves the canvas"),
        ({"a": data(80, 80, "a"), "b": data(140, 80, "b")}, (), "shape 'a' and shape 'b' overlap"),
        ({"a": data(80, 80, "a"), "b": random(120, 110, "b")}, (), "shape 'a' and shape 'b' overlap"),
        ({"a": note(80, 80, "some words"), "b": note(120, 85, "other words")}, (), "text 'some words' and text 'other words' overlap"),
        ({"a": data(80, 80, "reconstruction")}, (), "text 'reconstruction' leaves shape 'a'"),
        ({"a": data(80, 80, "a\nb\nc\nd\ne")}, (), "text 'a' leaves shape 'a'"),
        ({"a": network(80, 80, "long name\nlong name", 80)}, (), "text 'long name' leaves shape 'a'"),
        ({"a": random(80, 80, "latent")}, (), "text 'latent' leaves shape 'a'"),
        (TWO | {"c": data(180, 80, "c")}, ("a -> b",), "line 'a -> b' crosses shape 'c'"),
        (TWO | {"c": note(180, 80, "words")}, ("a -> b",), "line 'a -> b' crosses text 'words'"),
        (TWO, ("a:n -> a:s",), "line 'a:n -> a:s' crosses shape 'a'"),
        ({"a": Thing("panel", 200, 100, 100, 100, "a name that is too long for it")}, (), "leaves panel 'a'"),
        ({"a": Thing("badge", 100, 100, 20, 20, "1"), "b": note(110, 100, "words")}, (), "text 'words' and badge '1' overlap"),
    ],
)
def test_a_planted_fault_is_noticed(things, arrows, told):
    assert any(told in problem for problem in problems(render("planted", drawing(things, *arrows))))


def test_what_touches_does_not_overlap():
    side_by_side = {"a": data(80, 80, "a"), "b": data(144, 80, "b"), "c": loss(80, 127, "c", 64)}
    assert problems(render("touching", drawing(side_by_side))) == []
