"""The page of a record as text: whole, escaped, named, small, the same every time."""

import base64
import hashlib
import io
import itertools
import json
import re
from html.parser import HTMLParser

import numpy as np
import pages
import pytest
from PIL import Image

import tinyae as ta
from tinyae.errors import RunError
from tinyae.microscope import page, pieces, png
from tinyae.microscope.record import record_of
from tinyae.microscope.trace import trace

VOID = {"meta", "img", "input", "wbr", "br", "path", "rect"}  # elements that have no end


class Parsed(HTMLParser):
    """The elements of a page: (tag, attributes, tags around it), and its text."""

    def __init__(self, source):
        super().__init__()
        self.elements, self.text, self._open = [], "", []
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), list(self._open)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), list(self._open)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self._open.pop() == tag, f"{tag} is closed at the wrong place"

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        """The attributes of the elements of a kind."""
        return [attributes for name, attributes, _ in self.elements if name == tag]


@pytest.fixture(scope="module")
def record():
    return pages.vae_record()


@pytest.fixture(scope="module")
def source(record):
    return page.to_html(record)


@pytest.fixture(scope="module")
def parsed(source):
    return Parsed(source)


@pytest.fixture(scope="module")
def users_record(tmp_path_factory):
    return pages.users_record(tmp_path_factory.mktemp("user"))


def test_the_page_is_one_file_that_asks_for_nothing(source, parsed):
    visible = re.sub(r"<script>.*</script>|<style>.*</style>", "", source, flags=re.DOTALL)
    assert not re.search(r"https?:|\burl\(|@import", source)
    assert not {"link", "iframe", "object", "embed", "base"} & {tag for tag, _, _ in parsed.elements}
    assert all(a["src"].startswith("data:image/png;base64,") for a in parsed.all("img"))
    assert not re.search(r"<[^>]*\s(on\w+|style)=", re.sub(r'"[^"]*"', '""', visible))


def test_the_policy_allows_this_style_and_this_script_alone(source, parsed):
    (policy,) = [meta["content"] for meta in parsed.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", source, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
    assert source.index("Content-Security-Policy") < source.index("<style>")


def test_every_link_and_label_leads_to_an_id_that_is_there_once(source, parsed):
    ids = [attributes["id"] for _, attributes, _ in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = {a[key] for _, a, _ in parsed.elements for key in ("aria-labelledby", "for") if key in a}
    assert {a["href"].removeprefix("#") for a in parsed.all("a")} | named <= set(ids)


def test_every_operation_has_a_card_in_order_within_details(record, source, parsed):
    cards = [(a, around) for tag, a, around in parsed.elements if tag == "details" and a.get("class") == "card"]
    assert [int(a["data-node"]) for a, _ in cards] == [node["id"] for node in record["nodes"]]
    for node in record["nodes"]:
        (card,) = re.findall(
            rf'<div class="body" id="n{node["id"]}">.*?\n</div>\n</details>\n(?=<details class="card"|</div>\n<section)', source, re.DOTALL
        )
        shown = Parsed(card.removesuffix("</details>\n").rstrip())
        assert node["operation"] in shown.text
        assert node["about"] in shown.text
        assert [a.get("class") for a in shown.all("div")].count("rule") == len(node["rules"])
        assert len(shown.all("math")) >= len(node["rules"]) + (node["equation"] is not None)
        for given in node["inputs"]:
            assert given["text"] in shown.text
            assert pieces.shape(given["shape"]) in shown.text
        for other in node["from"]:
            assert f"#n{other['node']}" in [a["href"] for a in shown.all("a")]
        assert shown.text.count("agrees") == len(node["rules"]) + 1
        assert ("Noise drawn again 20 times" in shown.text) is (node["spread"] is not None)
        assert ("simple steps" in card) is bool(node["inside"])


def test_every_source_line_is_there_with_its_number_and_its_operations(record, parsed, source):
    for index, function in enumerate(record["functions"]):
        for place, line in enumerate(function["lines"], function["first"]):
            (html,) = re.findall(rf'<div class="line[^>]* id="L{index}-{place}"[^>]*>(.*?)</div>', source)
            shown = Parsed(html).text
            assert shown.startswith(str(place))
            assert line.strip() in shown
            here = [node for node in record["nodes"] if node["function"] == index and node["at"] == place]
            assert (f"{len(here)} operation" in shown) is bool(here)


def test_what_comes_from_the_source_is_escaped(users_record, source):
    for text in (page.to_html(users_record), source):
        assert pages.EVIL not in text
        assert "&lt;/script&gt;&lt;img src=x" in text
        assert text.count("<script>") == text.count("</script>") == 1


def test_every_heatmap_says_its_statistics_and_has_a_legend(source):
    figures = re.findall(r'<figure>\s*<img src="data[^"]*" width="(\d+)" height="(\d+)" alt="([^"]*)">(.*?)</figure>', source, re.DOTALL)
    assert len(figures) > 40
    for width, height, alt, caption in figures:
        assert re.fullmatch(r"Heatmap of .*: .*from \S+ to \S+, mean \S+, standard deviation \S+\.", alt)
        assert 1 <= int(width) <= pieces.WIDTH
        assert int(height) >= 1
        low, high = re.findall(r'<span class="legend"><span>(.*?)</span><span class="bar \w+"></span><span>(.*?)</span>', caption)[0]
        assert pages.to_number(low) < pages.to_number(high)
        if "diverging" in caption:
            assert pages.to_number(low) == -pages.to_number(high)
            assert "a dot is a minus" in caption


def test_controls_and_pictures_have_names_and_headings_nest(source, parsed):
    assert parsed.all("html") == [{"lang": "en"}]
    levels = [int(tag[1]) for tag, _, _ in parsed.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all(a["alt"] for a in parsed.all("img"))
    assert all(a.get("aria-hidden") == "true" or (a["role"] == "img" and a["aria-label"]) for a in parsed.all("svg"))
    assert {a["id"] for a in parsed.all("input")} <= {a["for"] for a in parsed.all("label")}
    for name in ("button", "a", "summary", "caption"):
        assert all(Parsed(text).text.strip() for text in re.findall(rf"<{name}\b[^>]*>(.*?)</{name}>", source, re.DOTALL))
    for table in re.findall(r"<table.*?</table>", source, re.DOTALL):
        assert 'scope="col"' in table or 'scope="row"' in table
    (status,) = [a for _, a, _ in parsed.elements if a.get("role") == "status"]
    assert status["aria-live"] == "polite"


def luminance(colour):
    values = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_every_ink_is_readable_on_every_ground_in_both_schemes():
    style = (page.HERE / "page.css").read_text()
    light, dark = (dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)[:2])
    inks = "ink soft forward backward right wrong unsure value gradient keyword string comment literal function builtin".split()
    for scheme in (light, dark):
        for ink, ground in itertools.product(inks, ("paper", "panel", "forward-tint", "backward-tint")):
            dim, bright = sorted((luminance(scheme[ink]), luminance(scheme[ground])))
            assert (bright + 0.05) / (dim + 0.05) >= 4.5, (ink, ground)


def test_the_script_is_short_and_the_style_knows_print_and_preferences():
    script, style = ((page.HERE / name).read_text() for name in ("page.js", "page.css"))
    assert len(script.splitlines()) <= 300
    assert not re.search(r"innerHTML|eval\(|document\.write|fetch\(|XMLHttp|localStorage|Date|random", script)
    for query in ("prefers-color-scheme: dark", "prefers-reduced-motion: reduce", "print", "forced-colors: active"):
        assert f"@media ({query})" in style or f"@media {query}" in style


def test_the_same_record_gives_the_same_bytes_also_after_json(record, source):
    assert page.to_html(record) == source
    assert page.to_html(json.loads(json.dumps(record, allow_nan=False))) == source


def test_a_page_stays_below_the_limit_and_says_what_it_leaves_out(record, source, monkeypatch):
    assert len(source.encode()) < 400_000
    assert "it leaves out" not in source
    sizes = [len(page.render(record, detail=detail).encode()) for detail in page.DETAILS]
    assert sizes == sorted(sizes, reverse=True)
    for size in sizes[1:]:
        monkeypatch.setattr(page, "LIMIT", size)
        smaller = page.to_html(record)
        assert len(smaller.encode()) == size
        assert "it leaves out the simple steps of fused operations" in smaller


def test_large_layers_make_no_large_page():
    record = pages.vae_record(784, (400, 200), (28, 28), draws=0)
    assert len(page.to_html(record).encode()) < page.LIMIT


def test_the_page_is_written_whole_or_not_at_all(record, source, tmp_path):
    assert page.write_page(record, tmp_path / "page.html") == tmp_path / "page.html"
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == source
    with pytest.raises(RunError):
        page.write_page(record, tmp_path / "nowhere" / "page.html")


def test_equations_have_the_names_of_the_line_and_no_leftovers(record, users_record):
    latex = {node["name"]: node["equation"] for node in record["nodes"]}
    assert latex["z"] == r"z = \mu + \sigma\,\varepsilon"
    assert latex["y1"] == r"y_{1} = x @ {\text{encoder.0.weight}}^\top + \text{encoder.0.bias}"
    assert latex["kl"] == r"\text{kl} = \frac{1}{6}\,\sum y_{12}"
    rules = {(node["name"], rule["input"]): rule["equation"] for node in record["nodes"] for rule in node["rules"]}
    assert rules["h", 1] == [r"\overline{\text{encoder.2.weight}}", r"{\bar{h}}^\top @ y_{2}"]
    assert rules["y2", 0] == [r"\bar{y}_{1}", r"\bar{y}_{2}\,\left(1 - {y_{2}}^{2}\right)"]
    for one in (record, users_record):
        nodes = [inner for node in one["nodes"] for inner in (node, *node["inside"])]
        for text in [node["equation"] for node in nodes] + [side for node in nodes for rule in node["rules"] for side in rule["equation"]]:
            html = str(pieces.formula(text) or "")
            assert "placeholder" not in html
            assert "merror" not in html
            assert "\\" not in html
            assert "style=" not in html.replace("displaystyle", "")


def test_the_dimensions_of_the_kl_divergence_add_up_to_its_term(record):
    (row,) = record["dimensions"]
    assert len(row["values"]) == 2
    assert sum(row["values"]) == pytest.approx(record["terms"][1]["value"], rel=1e-4)


def test_numbers_of_a_record_have_six_digits_and_are_finite():
    x = ta.Tensor(np.array([0.0, 1 / 3]), requires_grad=True)
    with np.errstate(all="ignore"):
        record = record_of(trace(lambda x: ta.ops.log(x).sum(), x))
    assert record["nodes"][0]["value"]["entries"] == [None, -1.09861]
    assert record["loss"]["value"] is None
    assert not next(check for check in record["checks"] if check["what"] == "gradients")["passed"]
    text = page.to_html(record)
    assert "1 infinite of its entries" in text
    assert "loss</span> <b>not finite" in text


def test_heatmaps_are_true_to_their_entries():
    picture = {"rows": 2, "columns": 3, "limit": 2.0, "images": 0, "of": [2, 3]}
    picture["data"] = base64.b64encode(bytes([0, 127, 255, 128, 64, 200])).decode()
    assert np.allclose(png.entries_of(picture), [[-1, 0, 1], [0, -0.5, 0.5625]], atol=0.01)
    uri, columns, rows = png.picture_uri(picture, "gradient")
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGBA"))
    assert (columns, rows, image.shape) == (3, 2, (6, 9, 4))
    corners = image[::3, ::3, :3].tolist()
    assert corners[0] == [[0x05, 0x30, 0x61], [0xF7, 0xF7, 0xF7], [0x67, 0x00, 0x1F]]
    assert corners[1][0] == corners[0][1], "zero is the middle colour"
    marked = (image[1::3, 1::3, :3] != image[::3, ::3, :3]).any(-1)
    assert marked.tolist() == [[True, False, False], [False, True, False]]


def test_images_lie_side_by_side_with_a_gap_that_is_no_colour():
    picture = {"rows": 2, "columns": 4, "limit": 1.0, "images": 2, "of": [2, 4], "data": base64.b64encode(bytes([255, 0] * 4)).decode()}
    uri, columns, _ = png.picture_uri(picture, "value")
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGBA"))
    assert columns == image.shape[1] == 5
    assert image[0, :, 3].tolist() == [255, 255, 0, 255, 255]
    assert image[0, 0, :3].tolist() == [255, 255, 255]
    assert image[0, 1, :3].tolist() == [0, 0, 0]


def test_colours_change_no_letter():
    lines = ["    def f(x):", '        """Two', '        lines <b>."""', "", "        return x<b & 1  # why"]
    shown = [Parsed(str(line)).text for line in pieces.colours(lines)]
    assert shown == [line[4:] for line in lines]


def test_inputs_that_are_repeated_say_along_which_axis(users_record):
    added = next(node for node in users_record["nodes"] if node["operation"] == "add")
    assert [pieces.input_of(added, i, {})["broadcast"] for i in range(2)] == ["", "broadcast along axis 0"]
    node = {"rules": [], "value": {"shape": [3, 2]}, "inputs": [{"shape": [3, 1]}, {"shape": [2]}]}
    assert [pieces.repeated(node, given["shape"]) for given in node["inputs"]] == [[1], [0]]


def test_two_traces_tell_the_first_operation_that_differs(record):
    assert page.difference_of(record, record)["summary"][-1]["text"] == "The traces are the same in every operation"
    other = pages.vae_record(scale=1.1)
    found = page.difference_of(record, other)
    assert next(i for i, rows in found["nodes"].items() if any(row[0].startswith("value") for row in rows)) == 6
    assert [(row["text"], row["name"]) for row in found["summary"]][1:3] == [("The data or noise differ: noise", "6 z"), ("First difference", "6 z")]
    assert "First difference: <a" in page.to_html(record, other)
    fewer = record | {"nodes": [node for node in record["nodes"] if node["id"] != 8]}
    assert any(row["text"] == "Only in this trace" and row["name"] == "8 y8" for row in page.difference_of(record, fewer)["summary"])
    assert any("8 y8" in row["text"] for row in page.difference_of(fewer, record)["summary"])
