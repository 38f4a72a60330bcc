"""The pages of the course in a real browser: what they show, what is copied, the keys, the search, and that they ask for nothing."""

import io
import itertools
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import small_lesson
from PIL import Image

from tinyae import course
from tinyae.course import build, formulas, library, script

sys.path.append(str(Path(__file__).parent.parent / "microscope"))
import browser as chromium
from test_page_in_browser import CONTRAST

pytestmark = pytest.mark.skipif(chromium.path() is None, reason="needs Chromium, which is not installed here")
REAL = 8  # a lesson with many formulas
SMALL, INDEX, LONG = "03_small.html", "index.html", "08_the_vae_line_by_line.html"
COURSE = """
[[path]]
title = "New to gradients"
for = "You know NumPy."
lessons = [3, 8, 9]
why = "Because."

[[guide]]
question = "Which one?"
answer = "This one."
model = "vae"
lesson = 8

[lesson.03]
drawing = "vae"
"""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A folder of lessons: the small one, and a real one."""
    shelf, real = tmp_path_factory.mktemp("course") / "lessons", course.entry(REAL).path
    small_lesson.put(shelf)
    (shelf / "course.toml").write_text(COURSE)
    for path in (real, real.with_suffix(".bands.json")):
        (shelf / path.name).write_bytes(path.read_bytes())
    return shelf


@pytest.fixture(scope="module")
def pages(shelf):
    """The course of these lessons, made once in its short form."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "folder", lambda: shelf)
        assert build.build_course(shelf.parent / "pages", fast=True, say=lambda text: None) == {}
    return shelf.parent / "pages"


@pytest.fixture(scope="module")
def browser():
    with chromium.Browser.start() as found:
        yield found


@pytest.fixture
def opened(browser, pages):
    """A function that opens a page; at the end nothing has been asked for and nothing has been complained about."""
    opened_pages = []

    def open_page(name=SMALL, hash="", **settings):
        address = (pages / name).as_uri()
        opened_pages.append((browser.open(address + hash, **settings), address))
        return opened_pages[-1][0]

    yield open_page
    for one, address in opened_pages:
        assert one.problems == []
        assert {asked.partition("#")[0] for asked in one.requests} <= {address}
        one.send("Page.close")


@pytest.mark.parametrize("name", [SMALL, LONG, INDEX])
def test_every_formula_is_shown_and_no_sign_of_tex_is_left(opened, name):
    shown = opened(name)
    sizes = shown.run("[...document.querySelectorAll('math')].map(m => m.getBoundingClientRect()).map(r => [r.width, r.height])")
    assert len(sizes) > (0 if name == INDEX else 5)
    assert all(width > 3 and height > 5 for width, height in sizes)
    assert shown.run("document.querySelectorAll('merror, parsererror').length") == 0
    assert shown.run("[...document.querySelectorAll('annotation')].some(a => a.checkVisibility())") is False
    told = shown.run(
        """(() => { const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
        while (walker.nextNode()) if (!walker.currentNode.parentElement.closest('script, code, pre, annotation')) found.push(walker.currentNode.data);
        return found.join(' '); })()"""
    )
    assert "$" not in told
    assert "\\" not in told


def test_formulas_have_the_height_of_their_fractions_and_words_their_space(opened):
    shown = opened(width=1280)
    row = "[...document.querySelectorAll('#derivation .formula')].map(f => [f.getBoundingClientRect().height, f.scrollWidth <= f.clientWidth + 1])"
    (height, fits), *_ = shown.run(row)
    assert height > 40
    assert fits
    narrow = opened(width=400)
    assert narrow.run(row)[0][0] > height, "it goes over more lines"


@pytest.mark.parametrize("name", [SMALL, LONG])
def test_what_is_copied_is_the_code_of_the_script(browser, opened, shelf, name):
    browser.send("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    shown = opened(name)
    shown.send("Emulation.setFocusEmulationEnabled", enabled=True)
    codes = [cell.text for cell in script.read(shelf / name.replace("html", "py")).cells if cell.kind == "code"]
    for number, code in enumerate(codes):
        button = f"document.querySelectorAll('section .copy, header .copy')[{number}]"
        shown.run(f"{button}.focus()")
        shown.press(" ")
        shown.until(f"{button}.textContent === 'copied'")
        assert shown.run("navigator.clipboard.readText()") == code
    assert shown.run("[...document.querySelectorAll('.line')].map(line => getComputedStyle(line, '::before').userSelect)").count("none") == sum(
        code.count("\n") + 1 for code in codes
    )


def test_where_no_file_may_use_the_clipboard_it_is_copied_all_the_same(opened, shelf):
    shown = opened()
    shown.run("Object.defineProperty(navigator, 'clipboard', {value: undefined}); document.addEventListener('copy', () => {"
              "window.copied = document.activeElement.value.slice(0, 30); })")  # fmt: skip
    shown.run("document.querySelector('.copy').focus()")
    shown.press(" ")
    shown.until("document.querySelector('.copy').textContent === 'copied'")
    first = next(cell for cell in script.read(shelf / "03_small.py").cells if cell.kind == "code")
    assert shown.run("window.copied") == first.text[:30]
    assert shown.run("document.querySelectorAll('textarea').length") == 0


TAB = "[document.activeElement.getBoundingClientRect().top + scrollY, document.activeElement.tagName, document.activeElement.textContent]"


@pytest.mark.parametrize("name", [SMALL, INDEX])
def test_the_tab_key_goes_through_the_page_in_reading_order_in_one_column(opened, name):
    shown = opened(name, width=800)
    stops = []
    for _ in range(40):
        shown.press("Tab")
        top, tag, text = shown.run(TAB)
        if tag == "BODY":
            break
        stops.append((top, text))
    assert len(stops) > 5
    tops = [top for top, _ in stops]
    assert all(b > a - 25 for a, b in itertools.pairwise(tops)), stops


def test_j_and_k_go_through_the_parts_and_n_and_p_through_the_lessons(opened, pages):
    shown = opened()
    ids = shown.run("[...document.querySelectorAll('main section[id]')].map(s => s.id)")
    for name in ids:
        shown.press("j")
        assert shown.run("document.activeElement.id") == name
    shown.press("j")
    assert shown.run("document.activeElement.id") == ids[-1]
    shown.press("k")
    assert shown.run("document.activeElement.id") == ids[-2]
    assert shown.run("[document.querySelector('a[rel=next]').getAttribute('href'), document.querySelector('a[rel=prev]')]") == [LONG, None]
    for modifier in (1, 2, 4):
        shown.press("k", modifiers=modifier)
    assert shown.run("document.activeElement.id") == ids[-2]
    for key, there in (("n", LONG), ("p", SMALL), ("/", INDEX)):
        before = len(shown.events)
        shown.press(key)
        shown.loaded(before)
        assert shown.run("location.pathname.split('/').pop()") == there
    assert shown.run("document.activeElement.id") == "search"
    shown.requests.clear()
    shown.events[:] = [event for event in shown.events if event["method"] != "Network.requestWillBeSent"]


def test_the_search_finds_titles_headings_and_text(opened):
    shown = opened(INDEX)
    found = "[...document.querySelectorAll('#found li')].map(li => [li.querySelector('a')?.getAttribute('href'), li.querySelector('a').textContent])"
    wanted = {"small one": f"{SMALL}#top", "derivation VAE": f"{LONG}#derivation", "log-variance": f"{LONG}#", "nobody 1900": f"{SMALL}#references"}
    for words, first in wanted.items():
        shown.run("search.value = ''; search.focus()")
        for letter in words:
            shown.press(letter)
        assert shown.run(found)[0][0].startswith(first), words
        assert "place" in shown.run("told.textContent")
    assert shown.run("[...document.querySelectorAll('#found mark')].map(m => m.textContent)") == ["Nobody", "1900"]
    shown.run("search.value = 'xyzzy'; search.dispatchEvent(new Event('input'))")
    assert shown.run("[told.textContent, found.children.length]") == ["nothing found", 0]
    shown.run("search.value = '<b>'; search.dispatchEvent(new Event('input'))")
    assert shown.run("document.querySelectorAll('#found b').length") == 0
    shown.run("search.focus()")
    shown.press("Escape")
    assert shown.run("[search.value, told.textContent]") == ["", ""]
    shown.press("/")
    assert shown.run("document.activeElement.id") == "search"


def test_without_scripts_everything_is_there_but_what_needs_them(opened):
    for name in (SMALL, INDEX):
        shown = opened(name, scripts=False)
        assert shown.run("[...document.querySelectorAll('.copy, .search, .keys')].some(e => e.checkVisibility())") is False
        assert shown.run("[...document.querySelectorAll('section, h2, .cell, math')].every(e => e.checkVisibility() || e.closest('details'))")
    assert shown.run("document.querySelectorAll('#lessons a').length") == 2


WIDE = """[...document.querySelectorAll('body *')].filter(e => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1
    && !e.closest('.wide, .formula, svg, .unseen, semantics')).map(e => e.outerHTML.slice(0, 200))"""


def test_what_is_too_wide_is_noticed(opened):
    shown = opened(width=400)
    shown.run("document.querySelector('.cell pre').style.cssText = 'width: 90rem'; 0")
    assert shown.run("document.documentElement.scrollWidth") > 400
    assert shown.run(WIDE)[0].startswith("<pre")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 800, 400])
@pytest.mark.parametrize("name", [SMALL, LONG, INDEX])
def test_the_page_fits_and_is_readable(opened, name, width, scheme):
    shown = opened(name, width=width, prefers_color_scheme=scheme)
    assert shown.run("document.documentElement.scrollWidth") <= width
    assert shown.run(WIDE) == []
    assert shown.run("[...document.querySelectorAll('.wide, .formula')].filter(b => b.scrollWidth > b.clientWidth + 1).every(b => b.tabIndex === 0)")
    image = np.asarray(Image.open(io.BytesIO(shown.picture())).convert("L"), float)
    assert (np.median(image) > 230) if scheme == "light" else (np.median(image) < 50)
    shown.run(
        "document.querySelectorAll('details').forEach(one => { one.open = true; }); document.querySelectorAll('svg').forEach(one => one.remove()); 0"
    )
    seen, unreadable = shown.run(CONTRAST)
    assert seen > 50
    assert unreadable == []


def test_two_columns_become_one_below_900_pixels_in_reading_order(opened):
    boxes = "[...document.querySelectorAll('#check .row > *')].slice(0, 2).map(e => e.getBoundingClientRect()).map(r => [r.left, r.top])"
    (left, top), (right, beside) = opened(width=1280).run(boxes)
    assert right > left + 300
    assert beside == top
    (left, top), (right, below) = opened(width=899).run(boxes)
    assert right == left
    assert below > top


LINES = """[...document.querySelector('.prose').querySelectorAll('.equation')]
    .map(e => [...e.querySelectorAll('.term')].map(t => t.getBoundingClientRect()))
    .map(terms => terms.filter((t, i) => i && t.left < terms[i - 1].left).length + 1)"""
THREE = r"V_m = s^2 (r^4 + 14 r^2 + 15) - \frac{1}{2}, \quad V_l = s^2 (8 r^2 + 6), \quad f(x) = a_1 + a_2 x + a_3 x^2 + a_4 x^3 + a_5 x^4 + a_6 x^5"


def test_an_equation_is_broken_only_where_it_alone_is_too_wide(opened):
    for width, lines in ((1280, [1, 1, 1]), (400, [1, 1, 2])):
        shown = opened(width=width)
        shown.run(f"document.querySelector('.prose').innerHTML = {formulas.to_html(THREE, True, 'here')!r}; 0")
        assert shown.run(LINES) == lines
        tops = shown.run("[...document.querySelector('.prose').querySelectorAll('.equation')].map(e => e.getBoundingClientRect().top)")
        assert tops[2] > tops[0] + 20
        assert (tops[1] > tops[0] + 20) == (width == 400)


def test_lines_of_prose_are_as_far_apart_with_formulas_as_without(opened):
    shown = opened(LONG)
    heights = (
        "(() => { const item = document.querySelector('#derivation li'), one = item.cloneNode(true); one.textContent = 'x'; item.after(one);"
        "const found = [item, one].map(e => e.getBoundingClientRect().height); one.remove(); return found; })()"
    )
    item, line = shown.run(heights)
    assert abs(item - round(item / line) * line) <= 3


def test_a_picture_in_letters_is_as_large_as_code_and_prose_has_the_measure_of_a_book(opened):
    shown = opened(LONG)
    size = "[...document.querySelectorAll('#picture pre.drawing, #code .cell pre')].slice(0, 2).map(e => parseFloat(getComputedStyle(e).fontSize))"
    drawn, code = shown.run(size)
    assert drawn >= code
    widths = shown.run("[...document.querySelectorAll('#derivation .prose > *')].map(e => e.getBoundingClientRect().width / 16)")
    assert all(40 < width <= 50 for width in widths)


def test_maps_have_their_own_size_where_there_is_room(opened):
    size = "[...document.querySelectorAll('.map svg')].map(e => [e.getBoundingClientRect().width, e.viewBox.baseVal.width])"
    assert all(abs(width - own) < 1 for width, own in opened(INDEX, width=1280).run(size))
    assert all(width <= 400 for width, _ in opened(INDEX, width=400).run(size))


@pytest.mark.skipif("TINYAE_AXE" not in os.environ, reason="needs axe-core: npm install axe-core, and TINYAE_AXE=.../axe.min.js")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(opened, scheme):
    axe = Path(os.environ["TINYAE_AXE"]).read_text(encoding="utf-8")
    for name, width in ((SMALL, 1280), (SMALL, 400), (LONG, 1280), (INDEX, 1280), (INDEX, 400)):
        shown = opened(name, width=width, prefers_color_scheme=scheme)
        shown.run("document.querySelectorAll('details').forEach(one => { one.open = true; }); 0")
        if name == INDEX:
            shown.run("search.value = 'a'; search.dispatchEvent(new Event('input'))")
        shown.run(axe + "; 0")
        faults = shown.run("axe.run(document, {resultTypes: ['violations']})")["violations"]
        assert [(fault["id"], fault["nodes"][0]["html"]) for fault in faults] == []
