"""The page of a record in a real browser: its keys, its address, its terms, its looks, and what it never does."""

import inspect
import io
import itertools
import os
from pathlib import Path

import browser as chromium
import numpy as np
import pages
import pytest
from PIL import Image

from tinyae.microscope import page
from tinyae.models import vae

needs_browser = pytest.mark.skipif(chromium.path() is None, reason="needs Chromium, which is not installed here")


@pytest.fixture(scope="module")
def record():
    return pages.vae_record()


@pytest.fixture(scope="module")
def users_record(tmp_path_factory):
    return pages.users_record(tmp_path_factory.mktemp("user"))


@pytest.fixture(scope="module")
def browser():
    with chromium.Browser.start() as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory, record, users_record):
    folder = tmp_path_factory.mktemp("pages")
    page.write_page(record, folder / "vae.html")
    page.write_page(users_record, folder / "user.html")
    page.write_page(record, folder / "two.html", pages.vae_record(scale=1.1))
    return folder


@pytest.fixture
def opened(browser, folder):
    """A function that opens a page; at the end nothing has been asked for and nothing has been complained about."""
    opened_pages = []

    def open_page(name="vae.html", hash="", **settings):
        address = (folder / name).as_uri()
        opened_pages.append((browser.open(address + hash, **settings), address))
        return opened_pages[-1][0]

    yield open_page
    for one, address in opened_pages:
        assert one.problems == []
        assert [asked.partition("#")[0] for asked in one.requests] == [address]
        one.send("Page.close")


CURRENT = "document.querySelector('.card.current').dataset.node"
SELECTED = "document.querySelector('[aria-selected=true]').id"
SHOWN = "[...document.querySelectorAll('.card')].filter(card => card.checkVisibility()).map(card => card.dataset.node)"
MEAN = "document.querySelector('.card.current .gradient .path:not([hidden]) [data-statistic=mean]').textContent"


def follow(shown, hash):
    """Go to another address of the same page, as a link does, and wait until it is there."""
    shown.run(f"new Promise(done => {{ addEventListener('hashchange', () => done(), {{once: true}}); location.hash = '{hash}'; }})")


def stops_of(record):
    """The lines as they are visited: [(line, its operations)]."""
    lines = [(f"L{node['function']}-{node['at']}", node["id"]) for node in record["nodes"]]
    return [(line, [number for _, number in group]) for line, group in itertools.groupby(lines, lambda pair: pair[0])]


@needs_browser
def test_a_page_that_asks_for_something_or_fails_is_noticed(browser, tmp_path):
    path = tmp_path / "bad.html"
    path.write_text('<img src="http://127.0.0.1:9/x.png"><script>nothing.here</script>')
    shown = browser.open(path.as_uri())
    assert shown.requests == [path.as_uri(), "http://127.0.0.1:9/x.png"]
    assert any("nothing is not defined" in problem for problem in shown.problems)


@needs_browser
@pytest.mark.parametrize("name", ["vae.html", "user.html"])
def test_j_walks_through_every_line_and_k_back(opened, name, record, users_record):
    shown, stops = opened(name), stops_of(record if name == "vae.html" else users_record)
    seen = []
    for _ in stops:
        seen.append((shown.run(SELECTED), [int(i) for i in shown.run(SHOWN)]))
        shown.press("j")
    assert seen == stops
    assert "last line" in shown.run("document.querySelector('#where').textContent")
    for line, _ in reversed(stops):
        assert shown.run(SELECTED) == line
        shown.press("k")
    shown.press("G")
    assert shown.run(SELECTED) == stops[-1][0]
    shown.press("g")
    assert shown.run(SELECTED) == stops[0][0]


@needs_browser
def test_b_begins_at_the_loss_and_j_then_walks_back(opened, record):
    shown, stops = opened(), stops_of(record)
    shown.press("b")
    assert shown.run(CURRENT) == "14"
    for line, numbers in reversed(stops):
        assert shown.run(SELECTED) == line
        assert [int(i) for i in shown.run(SHOWN)] == numbers[::-1]
        shown.press("ArrowDown")
    shown.press("f")
    assert shown.run(CURRENT) == "3"
    assert shown.run("document.documentElement.dataset.mode") == "forward"


@needs_browser
def test_arrows_walk_through_every_operation(opened, record):
    shown = opened()
    for node in record["nodes"]:
        assert shown.run(CURRENT) == str(node["id"])
        shown.press("ArrowRight")
    shown.press("ArrowLeft")
    assert shown.run(CURRENT) == "13"


@needs_browser
def test_terms_change_the_numbers_and_add_up_on_the_screen(opened, record):
    shown, compared = opened(hash="#n1,backward"), 0
    for node in record["nodes"]:
        if len(node["terms"]) < 2:
            continue
        follow(shown, f"#n{node['id']}")
        means = []
        for key in "ret":
            shown.press(key)
            means.append(pages.to_number(shown.run(MEAN)))
        assert means == pytest.approx([node["terms"]["reconstruction"]["mean"], node["terms"]["kl"]["mean"], node["gradient"]["mean"]], rel=1e-3)
        assert len(set(means)) == 3
        assert means[0] + means[1] == pytest.approx(means[2], abs=6e-4 * max(map(abs, means)))
        rows = shown.run("[...document.querySelectorAll('.card.current .parts tbody tr')].map(row => row.cells[1].textContent)")
        parts = [pages.to_number(text) for text in rows]
        assert parts[0] + parts[1] == pytest.approx(parts[2], abs=6e-6 * max(map(abs, parts)))
        compared += 1
    assert compared == 5
    total, *parts = (pages.to_number(text) for text in shown.run("[...document.querySelectorAll('.loss-term b')].map(b => b.textContent)"))
    assert sum(parts) == pytest.approx(total, abs=1.01e-4)
    shown.press("e")
    pressed = "[...document.querySelectorAll('.loss-term')].map(b => b.getAttribute('aria-pressed'))"
    assert shown.run(pressed) == ["false", "false", "true"]
    shown.run("document.querySelectorAll('.loss-term')[0].click()")
    assert shown.run(pressed) == ["true", "false", "false"]


@needs_browser
def test_the_address_opens_its_line_and_follows_the_reader(opened):
    shown = opened(hash="#n5,backward,kl")
    assert shown.run("[document.documentElement.dataset.mode, location.hash]") == ["backward", "#n5,backward,kl"]
    assert shown.run(CURRENT) == "5"
    assert shown.run("document.querySelector('.card.current .path:not([hidden]) .which').textContent") == "of kl alone"
    shown.press("t")
    shown.press("j")
    assert shown.run("location.hash") == f"#n{shown.run(CURRENT)},backward"
    follow(shown, "#n10,forward")
    assert shown.run(f"[{CURRENT}, document.documentElement.dataset.mode]") == ["10", "forward"]
    shown.run("document.querySelector('.card.current a[href=\"#n9\"]').click()")
    assert shown.run(CURRENT) == "9"
    for wrong in ("#n999", "#nothing", "#n6,sideways,%22"):
        opened(hash=wrong)


@needs_browser
def test_source_that_would_be_a_tag_stays_text(opened):
    shown = opened("user.html")
    assert shown.run("document.querySelector('#source').textContent").count(pages.EVIL) == 2
    assert shown.run("[window.evil ?? null, document.scripts.length]") == [None, 1]
    assert shown.run("[...document.images].every(image => image.src.startsWith('data:'))")


@needs_browser
def test_search_finds_and_escape_goes_back_and_no_key_acts_inside_it(opened):
    shown = opened()
    shown.press("j")
    before = shown.run(CURRENT)
    shown.press("/")
    assert shown.run("document.activeElement.id") == "search"
    for letter in "logits":
        shown.press(letter)
    assert shown.run("document.querySelector('#search').value") == "logits"
    assert shown.run(CURRENT) == before
    shown.press("Enter")
    assert shown.run(CURRENT) == "9"
    shown.press("Enter")
    assert shown.run(CURRENT) == "10"
    shown.press("Escape")
    assert shown.run(f"[{CURRENT}, document.querySelector('#search').value]") == [before, ""]
    shown.press("j", modifiers=2)  # with Ctrl
    assert shown.run(CURRENT) == before


@needs_browser
def test_lines_are_a_listbox_with_one_stop_for_the_tab_key(opened):
    shown = opened()
    roles = shown.run("[...document.querySelectorAll('#lines, #lines .function, #lines .line')].map(e => e.getAttribute('role'))")
    assert roles[0] == "listbox"
    assert set(roles[1:]) == {"group", "option"}
    focused = "[...document.querySelectorAll('[role=option]')].filter(e => e.tabIndex === 0).map(e => e.id)"
    for key in ("j", "j", "b", "j"):
        shown.press(key)
        assert shown.run(focused) == [shown.run(SELECTED)]
        assert shown.run("document.querySelectorAll('[role=option][aria-selected=true]').length") == 1
    shown.run("document.querySelector('[aria-selected=true]').focus()")
    told = shown.run("document.querySelector('#where').textContent")
    shown.press("ArrowDown")
    assert shown.run("document.activeElement.id") == shown.run(SELECTED)
    assert shown.run("document.querySelector('#where').textContent") != told
    line = 1 + [line.strip() for line in inspect.getsource(vae).splitlines()].index("z = q.rsample(noise)")
    shown.run(f"document.querySelector('#L0-{line}').click()")
    assert shown.run(CURRENT) == "6"


@needs_browser
def test_panels_keys_and_differences_open_and_close(opened):
    shown = opened("two.html", hash="#n6")
    for number, panel in enumerate(("#source", "#detail", "#time", "#whole"), 1):
        visible = f"document.querySelector('{panel}').checkVisibility()"
        assert shown.run(visible)
        shown.press(str(number))
        assert not shown.run(visible)
        shown.press(str(number))
        assert shown.run(visible)
    shown.press("?")
    assert shown.run("document.querySelector('#keys').open")
    shown.press("j")
    assert shown.run(CURRENT) == "6", "no key acts behind the list of keys"
    shown.press("Escape")
    assert not shown.run("document.querySelector('#keys').open")
    differing = "document.querySelector('.card.current .difference').checkVisibility()"
    assert not shown.run(differing)
    shown.press("d")
    assert shown.run(differing)
    assert "entry 5" in shown.run("document.querySelector('.card.current .difference').textContent")
    shown.press("d")
    assert not shown.run(differing)


@needs_browser
def test_without_scripts_all_cards_are_there_in_order_and_a_link_opens_its_card(opened, record):
    shown = opened(hash="#n6", scripts=False)
    found = "[...document.querySelectorAll('.card')].filter(card => {}).map(card => Number(card.dataset.node))"
    assert shown.run(found.format("card.checkVisibility()")) == [node["id"] for node in record["nodes"]]
    assert shown.run(found.format("card.open")) == [6]
    assert shown.run("[...document.querySelectorAll('.modes, .tools, #where, dialog')].some(e => e.checkVisibility())") is False
    assert shown.run("document.querySelector('[role=listbox]')") is None
    assert shown.run("document.querySelectorAll('#n6 .path[hidden]').length") == 0


CONTRAST = """(() => {
  const channels = text => { const n = text.match(/[\\d.]+/g).map(Number); return n.length > 3 && n[3] === 0 ? null : n.slice(0, 3); };
  const light = rgb => rgb.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest("script, style, .unseen")) continue;
    let around = element;
    while (around && !channels(getComputedStyle(around).backgroundColor)) around = around.parentElement;
    const ground = around ? channels(getComputedStyle(around).backgroundColor) : [255, 255, 255];
    const [low, high] = [light(channels(getComputedStyle(element).color)), light(ground)].sort((a, b) => a - b);
    seen += 1;
    if ((high + 0.05) / (low + 0.05) < 4.5) found.push(`${walker.currentNode.data.trim()} ${getComputedStyle(element).color} on ${ground}`);
  }
  return [seen, found];
})()"""


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 800])
def test_the_page_fits_and_is_readable_in_both_schemes(opened, width, scheme, tmp_path):
    shown = opened("two.html", hash="#n3,backward", width=width, prefers_color_scheme=scheme)
    shown.press("d")
    assert shown.run("document.documentElement.scrollWidth <= innerWidth && document.body.scrollHeight <= innerHeight")
    assert shown.run(
        "[...document.querySelectorAll('#top, #source, #detail, #time')].every(e => e.getBoundingClientRect().right <= innerWidth + 0.5)"
    )
    image = np.asarray(Image.open(io.BytesIO(shown.picture())).convert("L"), float)
    assert image.shape == (900, width)
    assert (np.median(image) > 230) if scheme == "light" else (np.median(image) < 50)
    shown.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    for key in "tf":
        shown.press(key)
        seen, unreadable = shown.run(CONTRAST)
        assert seen > 300
        assert unreadable == []


@needs_browser
def test_contrast_that_is_too_low_is_noticed(opened):
    shown = opened()
    shown.run("document.querySelector('h1').style.color = '#999999'")
    assert len(shown.run(CONTRAST)[1]) == 1


@needs_browser
@pytest.mark.skipif("TINYAE_AXE" not in os.environ, reason="needs axe-core: npm install axe-core, and TINYAE_AXE=.../axe.min.js")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(opened, scheme):
    axe = Path(os.environ["TINYAE_AXE"]).read_text(encoding="utf-8")
    for name, hash in (("two.html", "#n3,backward"), ("user.html", "#n39"), ("vae.html", "#n12,forward,kl")):
        shown = opened(name, hash=hash, prefers_color_scheme=scheme)
        shown.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        shown.press("d")
        shown.run(axe + "; 0")
        faults = shown.run("axe.run(document, {resultTypes: ['violations']})")["violations"]
        assert [(fault["id"], fault["nodes"][0]["html"]) for fault in faults] == []
