"""The pages of the course: whole, true to the script, the same for the same run, and made also where a lesson fails."""

import json
import re
from html.parser import HTMLParser

import pytest
import small_lesson

from tinyae import course
from tinyae.cli import main
from tinyae.course import build, formulas, library, outline, page, prose, script
from tinyae.errors import ArgumentError, DataError, RunError

COURSE = """
[[path]]
title = "New"
for = "You know nothing."
lessons = [3, 4]
why = "It's short."

[[guide]]
question = "Which?"
answer = "This."
model = "beta_vae"
lesson = 3

[lesson.03]
drawing = "vae"
summary = "One sum."
minutes = 5

[lesson.04]
summary = "Of tomorrow."
"""


class Page(HTMLParser):
    """The tags of a page with their attributes, the text of each element that was asked for by id, and all visible text."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.stack, self.by_id, self.text = [], [], {}, ""
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "input", "br", "wbr", "link"):
            self.stack.append((tag, dict(attributes).get("id")))

    def handle_endtag(self, tag):
        while self.stack and self.stack.pop()[0] != tag:
            pass

    def handle_data(self, data):
        if not {"style", "script", "annotation"} & {tag for tag, _ in self.stack}:
            self.text += data
        for _, name in self.stack:
            self.by_id[name] = self.by_id.get(name, "") + data

    def all(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder with the small lesson in place of the real ones; the working folder is empty."""
    small_lesson.put(tmp_path / "lessons")
    monkeypatch.setattr(library, "folder", lambda: tmp_path / "lessons")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "lessons"


def made(tmp_path, name="run", **settings):
    """(text, Page) of the small lesson's page."""
    assert main(["lesson", "3", "--html", "--out", str(tmp_path / name), *settings.get("extra", [])]) == 0
    text = (tmp_path / name / "lesson.html").read_text(encoding="utf-8")
    return text, Page(text)


def test_code_stands_there_exactly_with_its_line_numbers(shelf, tmp_path):
    text, found = made(tmp_path)
    cells = script.read(shelf / "03_small.py").cells
    codes = [(number, cell) for number, cell in enumerate(cells) if cell.kind == "code"]
    assert len(codes) == 6
    for number, cell in codes:
        assert found.by_id[f"cell-{number}"] == cell.text
        for n in cell.lines:
            assert f'id="L{n}" data-line="{n}"' in text
    assert [attributes["data-of"] for attributes in found.all("button")][:6] == [f"cell-{number}" for number, _ in codes]
    assert text.count("<script") == 1, "what a string of the lesson says is no tag"
    assert small_lesson.EVIL in found.text


def test_what_cells_print_and_draw_stands_after_their_code(shelf, tmp_path):
    text, found = made(tmp_path)
    assert "the total is 4 & <more>" in found.text
    places = [text.index(part) for part in ("A function</h3>", "the total is 4 &amp;", "Measured, and drawn</h3>", 'id="line.png"', "The end</h3>")]
    assert places == sorted(places)
    (image,) = found.all("img")
    assert image["src"].startswith("data:image/png;base64,iVBOR")
    assert image["alt"] == "A line from 0 to -4, at x from 0 to 1."
    assert (image["width"], image["height"]) == ("300", "200")


def test_formulas_are_mathml_with_their_source(shelf, tmp_path):
    text, found = made(tmp_path)
    assert len(found.all("annotation")) == 9
    assert r"\log p(x) = \mathbb{E}_q[\log p(x, z) - \log q(z)]" in text
    assert not re.search(r"[$\\]", found.text.replace(small_lesson.EVIL, ""))
    assert "<b>of HTML</b>" in found.text, "HTML in the prose is text"
    assert "the reader’s" in found.text


def test_numbers_stand_with_bands_and_predictions(shelf, tmp_path):
    _, found = made(tmp_path)
    words = " ".join(found.by_id["numbers"].split())
    assert re.search(r"test\.total ◆ effect ?4 ?4 ?\+0 ?units ?3\.9 to 4\.1 ?✓ inside", words)
    assert re.search(r"test\.seed ?0 ?−0\.5 to 2 ?✓ inside", words)
    assert re.search(r"check\.two ?2 ?exactly 2 ?✓ holds", words)
    assert "tinyae lesson 3 --control" in words


def claim(value, **limits):
    return {"value": value, "unit": "", "kind": "claim", "effect": False, "inside": True} | limits


def test_limits_are_told_in_words():
    told = {
        "at most 1e−08": {"at_most": 1e-8},
        "at least −2": {"at_least": -2},
        "0.5 to 2": {"at_least": 0.5, "at_most": 2},
        "exactly 3": {"at_least": 3, "at_most": 3},
        "−2.00001 to −1.99999": {"at_least": -2.00001, "at_most": -1.99999},
        "−0.5 to 2": {"low": -0.5, "high": 2},
        "": {},
    }
    assert [page.limits_of(limits) for limits in told.values()] == list(told)


def test_gradients_are_told_in_one_line():
    ways = "engine", "differences", "complex"
    rows = {f"gradients.loss_{name}_{way}": claim(1e-13, at_most=1e-8) for name in ("w_1", "b") for way in ways}
    rows["gradients.loss_b_complex"] |= {"value": 3e-12}
    found = page.gradients_of(rows)
    assert (found["count"], found["worst"], found["limit"], found["holds"]) == (2, "3e−12", "1e−08", True)
    assert found["ways"] == "the engine, finite differences and a complex step"
    assert len(found["rows"]) == 6
    rows["gradients.loss_b_complex"]["inside"] = False
    assert page.gradients_of({name: row for name, row in rows.items() if "differences" not in name})["ways"] == "the engine and a complex step"
    assert page.gradients_of(rows)["holds"] is False
    assert page.gradients_of({}) is None


def test_many_claims_are_folded_but_not_those_of_the_effect(shelf, tmp_path):
    lines = "".join(f'lesson.claim("many.n{n}", {n}, "", at_most=99, effect={n == 3} and not lesson.control)\n' for n in range(11))
    lines += 'lesson.gradients("sum", lambda x: (x * x).sum(), {"x": X}, {"x": 2 * X})\nlesson.claim('
    begin = "import numpy as np\n\nlesson, X = course.begin(3), np.arange(3.0)"
    small_lesson.put(shelf, small_lesson.LESSON.replace("lesson.claim(", lines).replace("lesson = course.begin(3)", begin))
    text, found = made(tmp_path)
    words = " ".join(found.by_id["numbers"].split())
    assert "11 more numbers stay inside stated limits" in words
    assert "A gradient by hand agrees with the engine, finite differences and a complex step: largest relative error" in words
    closed = "".join(re.findall("<details>.*?</details>", text, re.DOTALL))
    assert "n4<" in closed
    assert "n3 <" not in closed
    assert "n3 <" in text


def test_the_settings_stand_with_the_code_though_they_come_before_its_heading(shelf, tmp_path):
    text, _ = made(tmp_path)
    places = [text.index(part) for part in ('<section id="derivation"', '<section id="code"', "Step 1, and a word", "Settings.", "A function")]
    assert places == sorted(places)


def test_prose_stands_left_of_the_code_and_figures_that_follow_it(shelf, tmp_path):
    text, _ = made(tmp_path)
    check = text[text.index('<section id="check"') :]
    check = check[: check.index("</section>")]
    assert check.count('class="row beside"') == 1
    places = [check.index(part) for part in ('class="prose"', 'class="exact"', "Measured, and drawn", "<figure", "The end")]
    assert places == sorted(places)
    derivation = text[text.index('<section id="derivation"') : text.index('<section id="code"')]
    assert 'class="exact"' not in derivation


def test_files_of_the_run_that_the_prose_names_are_links(shelf, tmp_path):
    text, _ = made(tmp_path)
    assert '<a href="#line.png"><code>line.png</code></a>' in text
    assert 'id="line.png"' in text
    assert "<code>microscope.html</code>" in text, "this lesson made none"
    assert 'href="microscope.html"' not in text
    (shelf / "03_small.py").write_text(
        small_lesson.LESSON.replace(
            "lesson.finish(",
            "import tinyae as ta\n\nlesson.microscope(ta.microscope.trace(ta.ops.square, ta.Tensor(2.0, requires_grad=True)))\nlesson.finish(",
        )
    )
    _, found = made(tmp_path, "again")
    assert [a["href"] for a in found.all("a") if "microscope" in a["href"]] == ["microscope.html"] * 2
    assert (tmp_path / "again" / "microscope.html").exists()
    assert main(["course", "--html", str(tmp_path / "pages")]) == 0
    found = Page((tmp_path / "pages" / "03_small.html").read_text(encoding="utf-8"))
    (address,) = {a["href"] for a in found.all("a") if "microscope" in a["href"]}
    assert (tmp_path / "pages" / address).exists()


def test_the_picture_is_letters_then_prose_then_a_drawing_with_its_letters_slanted(shelf, tmp_path):
    (shelf / "course.toml").write_text(COURSE)
    text, _ = made(tmp_path)
    picture = text[text.index('<section id="picture"') : text.index('<section id="derivation"')]
    places = [
        picture.index(part) for part in ('<pre class="drawing', 'class="row drawn"', "Numbers flow", "<svg", "<figcaption>", "E<sub><i>q</i></sub>")
    ]
    assert places == sorted(places)
    assert "*" not in picture[picture.index("<figcaption>") :].partition("<annotation")[0]


def test_exercises_have_their_commands_and_the_parts_their_order(shelf, tmp_path):
    text, found = made(tmp_path)
    assert [found.by_id[f"command-{i}"] for i in (1, 2, 3)] == ["tinyae exercise 3 --start", "tinyae exercise 3", "tinyae exercise 3 --hint do"]
    sections = [attributes["id"] for attributes in found.all("section")]
    assert sections == ["picture", "derivation", "code", "check", "numbers", "what-surprised-us", "exercises", "conventions", "references"]
    assert [attributes.get("href") for attributes in found.all("a")][: len(sections)] == [f"#{name}" for name in sections]
    assert 'class="box"' in text
    (shelf / "exercises" / "03_small.py").unlink()
    assert "tinyae exercise" not in made(tmp_path, "again")[0]


def test_the_same_run_gives_the_same_bytes_wherever_it_was_written(shelf, tmp_path):
    assert made(tmp_path, "one")[0] == made(tmp_path, "other")[0]
    assert made(tmp_path, "seed", extra=["--seed", "1"])[0] != made(tmp_path, "one-more")[0]


def test_nothing_is_asked_of_the_network_and_only_our_script_may_run(shelf, tmp_path):
    text, found = made(tmp_path)
    policy = next(a["content"] for a in found.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "script-src 'sha256-" in policy
    for attributes in (attributes for _, attributes in found.tags):
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
    assert "url(" not in text


def test_a_control_run_says_so(shelf, tmp_path):
    _, found = made(tmp_path, extra=["--control"])
    assert "This is a control run" in found.text
    assert "✗ outside" in found.text


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("$a + b$", r"$\nonsense{a}$", 6, r"\nonsense is not known"),
        ("$a + b$", r"$\frac{a}$", 6, "a part of mfrac is missing"),
        ("**4**", "**$4**", 4, "a $ or a backslash that belongs to no formula"),
        ("until the sum", r"until \beta", 4, "a $ or a backslash that belongs to no formula"),
        (r"\sum_{n=1}^{N}", r"\unknownsum", 21, r"\unknownsum is not known"),
        ("$a$ | the first", "$a_{$ | the first", 25, "does not convert"),
    ],
)
def test_a_formula_that_does_not_convert_names_lesson_and_line(shelf, old, new, line, says, capsys):
    assert small_lesson.LESSON.count(old) == 1
    small_lesson.put(shelf, small_lesson.LESSON.replace(old, new))
    assert main(["lesson", "3", "--html", "--out", "run"]) == 2
    error = capsys.readouterr().err
    assert f"lesson 3, line {line}: " in error
    assert says in error
    assert not (shelf.parent / "run").exists(), "it is told before the work"


@pytest.mark.parametrize("lesson", course.lessons(), ids=lambda lesson: f"lesson {lesson.number:02d}")
def test_the_prose_of_every_lesson_converts(lesson):
    found = outline.sections(lesson)
    assert {"derivation", "code", "check"} <= {name for name, _, _ in found}
    assert outline.goal_of(lesson)[1]
    assert "##" not in outline.goal_of(lesson)[1]


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"2\log p(x \mid z) - \log q", "2 log p(x∣z)−log q"),
        (r"\mathrm{ELBO}", "ELBO"),
        (r"z \sim \mathcal{N}(0, I)", "z∼𝒩(0,I)"),
        (r"\max_j x_j", "maxj xj"),
    ],
)
def test_words_stand_upright_and_apart(latex, text):
    assert formulas.to_text(latex, "here") == text


def test_a_long_formula_may_end_its_line_before_a_sign_but_not_in_parentheses():
    long = r"\log p(x) = \mathbb{E}_q[\log p(x, z) - \log q(z)] + \mathrm{KL}(q \,\|\, p) - (a + b)"
    pieces = formulas.to_html(long, True, "here").split("<wbr>")
    assert [re.sub("<annotation.*?</annotation>|<[^>]*>", "", piece) for piece in pieces] == [
        "logp(x)", "=𝔼q[logp(x,z)−logq(z)]", "+KL(q‖p)", "−(a+b)",
    ]  # fmt: skip
    assert formulas.to_html("a = b", True, "here").count("<math") == 1
    assert formulas.to_html(r"\begin{aligned} a &= b \\ c &= d \end{aligned}", True, "here").count("<mtr>") == 2
    assert "<span>and so on for all</span>" in formulas.to_html(r"KL(q, p) = (m^2 + e^l - l - 1), \qquad \text{and so on for all}", True, "here")
    with pytest.raises(ArgumentError, match="here: this formula does not convert"):
        formulas.to_html("  ", True, "here")


def test_parentheses_with_an_exponent_or_a_prime_are_closed():
    pieces = formulas.to_html(r"(a - b)^2 + (\log p_s)'(y) + \lVert x - y \rVert^2 + c'' = d_n'", True, "here").split("<wbr>")
    assert [re.sub("<annotation.*?</annotation>|<[^>]*>", "", piece) for piece in pieces] == ["(a−b)2", "+(logps)′(y)", "+‖x−y‖2", "+c″", "=dn′"]


def test_a_minus_that_begins_something_is_that_of_a_number():
    for latex in ("-a", "[-a]", "b = -a", r"\frac{-a}{b}"):
        assert 'form="prefix" lspace="0" rspace="0">−' in formulas.to_html(latex, False, "here")
    for latex in ("b - a", "f(x) - a", "x^2 - a"):
        assert "prefix" not in formulas.to_html(latex, False, "here")


def test_a_comma_stays_with_its_formula():
    assert '<span class="kept"><span class="term"><math' in prose.inline("so $a$, and", "here")
    assert re.search("</math></span>ELBO</span> and", prose.inline("so $-$ELBO and", "here"))
    assert "kept" not in prose.inline("so $a$ and", "here")


def shown(html):
    return [re.sub("<annotation.*?</annotation>|<[^>]*>", "", piece) for piece in re.split('<span class="(?:equation|words)">', html)[1:]]


@pytest.mark.parametrize(
    ("latex", "equations"),
    [
        (r"\frac{1}{N} \sum_n |x_n - Q x_n|^2 = \sum_i a_i - \sum_i a_i w_i, \qquad w_i = |Q^T u_i|^2", ["1N∑n|xn−Qxn|2=∑iai−∑iaiwi,", "wi=|QTui|2"]),
        (r"g_B = \frac{2}{N} \sum_n r_n z_n^T, \; g_A = \frac{2}{N} \sum_n B^T r_n x_n^T", ["gB=2N∑nrnznT,", "gA=2N∑nBTrnxnT"]),
        (r"f(a, \; b, \; c) = \log p(x), \; \log q(x), \; \log r(x)", ["f(a,b,c)=logp(x),logq(x),logr(x)"]),
        (r"\mathrm{KL} = \tfrac{1}{2}(m^2 + e^l - l - 1), \quad \text{and the sum of all}", ["KL=12(m2+el−l−1),", "and the sum of all"]),
        (r"a = b, \quad c = d", ["a=b,c=d"]),
    ],
)
def test_a_line_ends_between_equations_and_not_inside_of_one(latex, equations):
    html = formulas.to_html(latex, True, "here")
    assert shown(html) == equations
    assert html.count("<annotation") == 1
    assert html.count('class="words"') == ("and the sum of all" in equations)


def test_a_formula_of_words_alone_is_text():
    assert formulas.to_html(r"\text{a word}", False, "here") == "<span>a word</span>"


def test_the_colours_are_those_of_the_microscope():
    style = str(page.look()["style"])
    for name in ("--paper", "--ink", "--forward", "--keyword", "--math"):
        assert f"{name}: " in style
    assert style.count(":root {") >= 3


def test_the_course_is_listed_with_its_goals(shelf, capsys):
    assert main(["course"]) == 0
    assert capsys.readouterr().out == " 3  A small one\n    Add numbers a and b until the sum is 4, or −log p(x).\n"
    assert main(["course", "--fast"]) == 2


@pytest.mark.parametrize("command", ["lesson", "course"])
def test_help_explains_and_shows_an_example(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    assert "--html" in printed
    assert f"example: tinyae {command}" in printed


def put_broken(shelf):
    text = small_lesson.LESSON.replace("course.begin(3)", "course.begin(5)").replace("Lesson 3", "Lesson 5").replace("1 + 1", "1 + 2")
    return small_lesson.put(shelf, text, "05_broken.py")


def test_the_course_is_a_folder_of_pages_with_an_index(shelf, capsys):
    (shelf / "course.toml").write_text(COURSE)
    assert main(["course", "--html", "pages", "--fast"]) == 0
    told = capsys.readouterr().out
    assert "1/1  lesson  3  A small one" in told
    assert "the total is" not in told
    pages = shelf.parent / "pages"
    assert sorted(path.name for path in pages.rglob("*")) == ["03_small.html", "index.html", "microscope"]
    index = Page(text := (pages / "index.html").read_text(encoding="utf-8"))
    assert [a["href"] for a in index.all("a")] == ["03_small.html"] * 3  # of a path, of the list, of the guide
    assert "about 4 s" in index.text
    assert "It’s short." in index.text
    assert index.text.count("(coming)") == 1
    assert len(index.all("svg")) == 2
    ids = [a["id"] for _, a in index.tags if "id" in a]
    assert len(ids) == len(set(ids))
    data = json.loads(re.search(r'<script type="application/json" id="index">(.*?)</script>', text, re.DOTALL)[1])
    assert [lesson["page"] for lesson in data] == ["03_small.html"]
    assert ["derivation", "Derivation"] in [section[:2] for section in data[0]["sections"]]
    lesson = Page((pages / "03_small.html").read_text(encoding="utf-8"))
    assert {"index.html"} <= {a.get("href") for a in lesson.all("a")}
    assert len(lesson.all("svg")) == 1, "the drawing of the lesson"
    before = {path: path.read_bytes() for path in pages.rglob("*.html")}
    assert main(["course", "--html", "pages", "--fast"]) == 0
    assert {path: path.read_bytes() for path in pages.rglob("*.html")} == before


def test_a_lesson_that_fails_is_told_and_the_others_are_there(shelf, capsys):
    put_broken(shelf)
    small_lesson.put(shelf, small_lesson.LESSON.replace("(3)", "(7)").replace("Lesson 3", "Lesson 7"), "07_last.py")
    pages = shelf.parent / "pages"
    pages.mkdir()
    (pages / "05_broken.html").write_text(build.MARK)  # of an earlier run
    assert main(["course", "--html", "pages"]) == 1
    assert "FAILED: lesson 5: the check check.two failed." in capsys.readouterr().out
    assert sorted(path.name for path in pages.glob("*.html")) == ["03_small.html", "07_last.html", "index.html"]
    for name in ("03_small", "07_last"):
        links = [a.get("href") for a in Page((pages / f"{name}.html").read_text()).all("a")]
        assert "05_broken.html" not in links
    assert "failed in this run" in (pages / "index.html").read_text()


def test_lessons_that_are_no_python_or_have_a_bad_formula_fail_alone(shelf, capsys):
    small_lesson.put(shelf, "# # Lesson 4: No Python\nx = = 1\n", "04_no.py")
    small_lesson.put(shelf, small_lesson.LESSON.replace("$a + b$", r"$\no$").replace("(3)", "(5)"), "05_formula.py")
    assert main(["course", "--html", "pages"]) == 1
    told = capsys.readouterr().out
    assert "FAILED: SyntaxError: invalid syntax" in told
    assert "FAILED: lesson 5, line 6: this formula does not convert." in told
    assert (shelf.parent / "pages" / "03_small.html").exists()


def test_what_a_lesson_warns_of_stands_below_it_once(shelf, capsys):
    warn = 'import sys\n\nfor _ in range(3):\n    print("warning: it is thin", file=sys.stderr)\nprint("once", file=sys.stderr)\n'
    small_lesson.put(shelf, small_lesson.LESSON.replace("lesson.finish(", f"{warn}lesson.finish("))
    assert main(["course", "--html", "pages"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert [line.strip() for line in told.out.splitlines()][1:3] == ["warning: it is thin (3 times)", "once"]


def test_after_ctrl_c_the_index_of_what_is_there_is_written(shelf, capsys):
    stop = "import os, signal\nfrom tinyae.training.interrupt import graceful_interrupt\nwith graceful_interrupt():  # as in a training\n"
    stop += "    os.kill(os.getpid(), signal.SIGINT)\n    signal.sigtimedwait([], 0)\ntotal = add"
    stop = small_lesson.LESSON.replace("(3)", "(4)").replace("Lesson 3", "Lesson 4").replace("total = add", stop)
    small_lesson.put(shelf, stop, "04_stopped.py")
    small_lesson.put(shelf, small_lesson.LESSON.replace("(3)", "(7)").replace("Lesson 3", "Lesson 7"), "07_last.py")
    assert main(["course", "--html", "pages"]) == 130
    pages = shelf.parent / "pages"
    assert sorted(path.name for path in pages.glob("*.html")) == ["03_small.html", "index.html"]
    assert "04_stopped.html" not in (pages / "03_small.html").read_text()
    assert (pages / "index.html").read_text().count("not run") == 2
    assert "interrupted" in capsys.readouterr().err
    small_lesson.put(shelf, small_lesson.LESSON.replace("(3)", "(4)").replace("Lesson 3", "Lesson 4"), "04_stopped.py")
    assert main(["course", "--html", "pages"]) == 0, "and a second build goes on in the same folder"


def test_some_lessons_are_made_and_neighbours_that_are_there_are_linked(shelf, capsys):
    small_lesson.put(shelf, small_lesson.LESSON.replace("(3)", "(7)").replace("Lesson 3", "Lesson 7"), "07_last.py")
    assert main(["course", "--html", "pages", "--lessons", "7"]) == 0
    page_of_7 = shelf.parent / "pages" / "07_last.html"
    assert 'rel="prev"' not in page_of_7.read_text()
    assert "not run" in (shelf.parent / "pages" / "index.html").read_text()
    assert main(["course", "--html", "pages", "--lessons", "3"]) == 0
    assert '<a rel="next" href="07_last.html">' in (shelf.parent / "pages" / "03_small.html").read_text()
    assert main(["course", "--html", "pages", "--lessons", "99"]) == 2
    assert "there is no lesson 99" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["notes.txt", "index.html", "sub/page.html", "microscope/mine.html"])
def test_a_folder_with_foreign_files_is_refused_and_left_as_it_was(shelf, name):
    path = shelf.parent / "mine" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(RunError, match="no pages of a course"):
        build.build_course(shelf.parent / "mine")
    assert [p.read_text() for p in (shelf.parent / "mine").rglob("*") if p.is_file()] == ["mine"]


@pytest.mark.parametrize("text", ["[[path", "[[path]]\ntitle = 'x'\n", "[lesson.x]\n"])
def test_an_outline_that_is_damaged_is_a_readable_error(shelf, text):
    (shelf / "course.toml").write_text(text)
    with pytest.raises(DataError, match=r"course\.toml"):
        outline.outline()


def test_the_outline_names_lessons_and_drawings_that_are_there():
    from tinyae.figures import drawings

    told, known = outline.outline(), {lesson.number for lesson in course.lessons()}
    assert told.paths
    assert set(told.about) <= known | set(range(21))
    assert {about["drawing"] for about in told.about.values() if "drawing" in about} <= set(drawings.names())
