"""The drawings in a real browser: what it measures itself, in light and dark, as files of their own and as parts of a page."""

import importlib.util
import io
from pathlib import Path

import pytest
from PIL import Image

from tinyae.figures import drawings

HELPER = Path(__file__).parent.parent / "microscope" / "browser.py"
spec = importlib.util.spec_from_file_location("drawings_browser", HELPER)
chromium = importlib.util.module_from_spec(spec)
spec.loader.exec_module(chromium)
pytestmark = pytest.mark.skipif(chromium.path() is None, reason="needs Chromium, which is not installed here")

MEASURE = """(() => {
  const box = element => { const b = element.getBBox(); return [b.x, b.y, b.x + b.width, b.y + b.height]; };
  return [...document.querySelectorAll("svg")].map(svg => ({
    name: svg.querySelector("title").textContent, view: [svg.viewBox.baseVal.width, svg.viewBox.baseVal.height],
    texts: [...svg.querySelectorAll("text")].map(t => [t.textContent, box(t), parseFloat(t.getAttribute("font-size"))]),
    boxes: [...svg.querySelectorAll("g > rect, g > circle, g > polygon")].map(box),
    shown: [svg.getBoundingClientRect().left, svg.getBoundingClientRect().right, innerWidth],
  }));
})()"""


@pytest.fixture(scope="module")
def browser():
    with chromium.Browser.start() as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawings")
    texts = [path.read_text() for path in drawings.write(folder)]
    (folder / "page.html").write_text(f"<!DOCTYPE html><meta charset=utf-8><title>All</title><body>{''.join(texts)}")
    return folder


def misplaced(drawing):
    """The texts that leave the drawing or the box that they stand in, as the browser measured them."""
    outlines = [(0, 0, *drawing["view"])]
    found = []
    for text, (left, top, right, bottom), size in drawing["texts"]:
        x, y, lead = (left + right) / 2, (top + bottom) / 2, 0.2 * size  # a line is higher than its letters
        around = [box for box in drawing["boxes"] if box[0] < x < box[2] and box[1] < y < box[3]]
        if not all(a <= left < right <= c and b - lead <= top < bottom <= d + lead for a, b, c, d in outlines + around):
            found.append(text)
    return found


def test_a_planted_text_is_noticed(browser, folder):
    svg = (folder / "vae.svg").read_text().replace(">encoder<", ">an encoder with a long name<").replace(">decoder<", ' dx="90">decoder<')
    (folder / "planted.html").write_text(f"<!DOCTYPE html><title>Planted</title>{svg}")
    page = browser.open((folder / "planted.html").as_uri())
    assert misplaced(page.run(MEASURE)[0]) == ["an encoder with a long name", "decoder"]
    page.send("Page.close")


@pytest.mark.parametrize("width", [1200, 400])
def test_the_browser_finds_every_text_in_its_place(browser, folder, width):
    page = browser.open((folder / "page.html").as_uri(), width=width)
    found = page.run(MEASURE)
    assert len(found) == len(drawings.names()) + 2
    for drawing in found:
        assert 0 <= drawing["shown"][0] < drawing["shown"][1] <= width
        assert misplaced(drawing) == []
    assert page.problems == []
    assert len(page.requests) == 1
    page.send("Page.close")


@pytest.mark.parametrize(("scheme", "ground"), [("light", (255, 255, 255)), ("dark", (0x16, 0x18, 0x1B))])
def test_a_file_of_its_own_follows_light_and_dark(browser, folder, scheme, ground):
    page = browser.open((folder / "vae.svg").as_uri(), width=520, height=420, prefers_color_scheme=scheme)
    pixels = Image.open(io.BytesIO(page.picture())).convert("RGB")
    assert pixels.getpixel((3, 3)) == ground
    letters = [colour for _, colour in sorted(pixels.getcolors(1 << 20), reverse=True)[:12]]
    assert max(abs(sum(colour) - sum(ground)) for colour in letters) > 380  # ink
    assert page.problems == []
    page.send("Page.close")


def test_a_page_may_set_the_colours(browser, folder):
    svg = (folder / "vae.svg").read_text()
    (folder / "own.html").write_text(
        f"<!DOCTYPE html><title>Own</title><style>:root {{ --drawing-paper: rgb(1, 2, 3) }} body {{ margin: 0 }}</style>{svg}"
    )
    page = browser.open((folder / "own.html").as_uri(), prefers_color_scheme="dark")
    assert Image.open(io.BytesIO(page.picture())).convert("RGB").getpixel((3, 3)) == (1, 2, 3)
    page.send("Page.close")
