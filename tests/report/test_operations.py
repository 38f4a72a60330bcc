"""The reference of the operations: complete, from the registry, self-contained; and one readable line for bad input."""

import itertools
import os
import pty
import re
import subprocess
import sys

import pytest
from test_report import Page

import tinyae as ta
from tinyae.cli import main
from tinyae.report import operations as reference


@pytest.fixture(scope="module")
def page():
    source = reference.render()
    return source, Page(source)


def test_every_primitive_stands_on_the_page_with_its_value_its_rules_and_its_source(page):
    source, parsed = page
    assert [a["id"] for a in parsed.all("article")] == [o.name for group in reference.operations().values() for o in group]
    assert {a["id"] for a in parsed.all("article")} == set(ta.ops.registry)
    for name, primitive in ta.ops.registry.items():
        article = re.search(rf'<article id="{name}".*?</article>', source, re.DOTALL).group()
        shown = Page(article)
        equations = 1 + sum(len(reference.typeset.rule_equations(rule)) for rule in primitive.rules)
        assert [a.get("class") for a in shown.all("div")].count("formula") == equations
        assert len(shown.all("math")) >= equations
        assert f"def {name}(" in shown.text
        assert shown.text.count(f"@{name}.vjp(") == len(primitive.rules)
        assert primitive.kinks is None or primitive.kinks in shown.text
        assert ("surrogate" in [a.get("class", "").split()[-1] for a in shown.all("span") if a.get("class")]) is primitive.surrogate


def test_the_page_needs_no_network_and_no_script(page):
    source, parsed = page
    assert not re.search(r"https?://|\burl\(|@import", source)
    assert not {"script", "link", "iframe", "object", "img"} & {tag for tag, _ in parsed.tags}
    assert all(a["href"].startswith("#") for a in parsed.all("a"))
    (policy,) = [meta["content"] for meta in parsed.all("meta") if meta.get("http-equiv")]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_every_link_and_label_leads_to_an_id_that_is_there_once(page):
    _, parsed = page
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for a in parsed.all("a")} | {a["aria-labelledby"] for _, a in parsed.tags if "aria-labelledby" in a} <= set(ids)


def test_the_page_says_its_language_and_title_and_its_headings_nest(page):
    _, parsed = page
    assert parsed.all("html") == [{"lang": "en"}]
    levels = [int(tag[1]) for tag, _ in parsed.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_a_docstring_becomes_paragraphs_code_and_blocks_and_nothing_in_it_becomes_a_tag():
    assert reference.blocks("One `x`.\n\n    a  b\n    c\n\nTwo.") == [("p", "One `x`."), ("pre", "a  b\nc"), ("p", "Two.")]
    assert str(reference.code("`x<y>` & <b>")) == "<code>x&lt;y&gt;</code> &amp; &lt;b&gt;"
    assert str(reference.code("what comes *before* it; `2*x*y`, 2 * x * y, *arrays, a*b*c")) == (
        "what comes <em>before</em> it; <code>2*x*y</code>, 2 * x * y, *arrays, a*b*c"
    )
    assert reference.blocks("What:\n1. one\n   and on\n2. two") == [("p", "What:"), ("p", "1. one\n   and on"), ("p", "2. two")]


def test_what_a_rule_keeps_is_what_its_signature_names():
    assert [rule.keeps for rule in reference.find("tanh").rules] == [["y"]]
    assert [rule.keeps for rule in reference.find("sum").rules] == [["shape of x", "axis", "keepdims"]]
    assert [rule.keeps for rule in reference.find("add").rules] == [[], []]


def test_words_that_are_no_notation_are_explained():
    assert reference.find("linear").words == {"rows(x)": "All leading axes as one: (..., K) to (N, K)."}
    assert reference.find("exp").words == {}


def test_helpers_that_formulas_and_docstrings_name_are_there_with_their_docstrings(page, capsys):
    words = reference.find("batch_norm").words
    assert {name.partition("(")[0] for name in words} == {
        "channel_mean",
        "channel_sum",
        "by_channel",
        "standardised",
        "standardise",
        "standardise_vjp",
    }
    article = re.search('<article id="batch_norm".*?</article>', page[0], re.DOTALL).group()
    assert main(["ops", "batch_norm"]) == 0
    printed = capsys.readouterr().out
    for text in (article[: article.index("<details>")], printed):
        assert "standardise_vjp(gn, n, scale, average)" in text
        assert "3. x_i reaches the loss directly" in text
    assert "<p>3. x_i" in article  # a step of a derivation stands on its own
    assert "\n    3. x_i" in printed


def test_letters_of_formulas_are_named_with_the_operation(page):
    article = Page(re.search('<article id="conv2d_weight".*?</article>', page[0], re.DOTALL).group()).text
    assert re.search(r"g\s+gy;\s+S\s+stride;\s+P\s+padding;\s+D\s+dilation", article)


def test_the_constants_of_a_file_are_written_out_in_a_twin():
    assert reference.find("gelu").twin == "x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x ** 3)))"
    assert not [o.twin for group in reference.operations().values() for o in group if re.search(r"\b[A-Z_]{3,}\b", o.twin or "")]


def test_shapes_are_stated_only_where_one_line_can_say_them(page):
    for name in "outer contract upsample_nearest diagonal concatenate stack".split():
        assert reference.find(name).shapes is None
        assert "shapes    " not in reference.describe(reference.find(name))
        article = re.search(f'<article id="{name}".*?</article>', page[0], re.DOTALL).group()
        assert "any shape" not in article
        assert "shapes that broadcast" not in article
    assert reference.find("exp").shapes == "any shape"
    assert reference.find("add").shapes == "shapes that broadcast"
    assert reference.find("tril").shapes == "(n,m)->(n,m)"


def test_one_operation_is_shown_in_full_within_the_width():
    text = reference.describe(reference.find("softmax"), width=60)
    assert text.startswith("softmax(x, *, axis=-1)\ntinyae/ops/softmax.py:")
    for part in ("y[i] = exp(x[i]) / sum(exp(x[j]), over=j)", "keeps", "inputs        x real", "kinks         none", "twin"):
        assert part in text
    assert "the rule is not the derivative, on purpose" in reference.describe(reference.find("straight_through"))


@pytest.mark.parametrize("name", sorted([*ta.ops.registry, *reference.operations()]))
def test_what_is_shown_of_an_operation_or_a_file_fits_a_terminal_of_60_columns(name):
    lines = reference.describe(reference.find(name), width=60).splitlines()
    kept = [line for line in lines if line.startswith("    ") and "  " in line.strip()]  # an indented paragraph keeps its lines
    assert [line for line in lines if len(line) > 60 and line not in kept] == []


def test_a_file_is_shown_as_the_list_of_its_operations(capsys):
    assert main(["ops", "convolution"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("tinyae/ops/convolution.py\n\nConvolution and its two companions.")
    names = [o.name for o in reference.operations()["convolution"]]
    assert [line.split()[0] for line in text.splitlines() if line.startswith("conv")] == names
    assert "(n,c,h,w), (o,c,k,l), (o) -> (n,o,i,j)" in text
    assert reference.find("softmax").name == "softmax"  # the operation goes before the file of its name
    assert isinstance(reference.find("softmax"), reference.Operation)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_standard_output_that_takes_no_more_is_one_line():
    with open("/dev/full", "w") as full:
        process = subprocess.run([sys.executable, "-m", "tinyae", "ops"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert process.returncode == 2
    (line,) = process.stderr.splitlines()
    assert line.startswith("tinyae: standard output: it cannot be written. (got: ")


def test_the_line_number_is_that_of_the_source():
    place, number = reference.find("softmax").place.split(":")
    lines = (reference.pathlib.Path(reference.PACKAGE).parent / place).read_text().splitlines()
    assert "def softmax(" in "".join(lines[int(number) - 1 : int(number) + 3])


def test_piped_output_is_a_plain_line_for_each_operation(capsys):
    assert main(["ops"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(ta.ops.registry)
    assert {line.split()[1] for line in lines} == set(ta.ops.registry)
    assert all("\x1b" not in line for line in lines)
    (relu,) = [line for line in lines if line.split()[1] == "relu"]
    assert relu.split("  ")[0] == "activations"
    assert relu.endswith("y = maximum(x, 0)  any shape  kinks")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("columns", [80, 60])
def test_a_terminal_shows_a_table_that_fits_and_loses_nothing(columns):
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-m", "tinyae", "ops"], stdout=theirs, env=os.environ | {"COLUMNS": str(columns), "TERM": "xterm"})
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:  # how a pseudo-terminal says that the other side is closed
        pass
    os.close(ours)
    assert process.wait() == 0
    lines = re.sub(r"\x1b\[[\d;]*m", "", shown.decode()).splitlines()
    assert max(map(len, lines)) <= columns
    assert lines[0].split() == ["operation", "formula,", "and", "shapes", "special"]
    assert "\N{HORIZONTAL ELLIPSIS}" not in "".join(lines)
    middle = "".join(line[lines[0].index("formula") : lines[0].index("special")] for line in lines)
    for o in (o for group in reference.operations().values() for o in group):
        assert "".join(o.formula.split()) in "".join(middle.split())
        assert not (o.shapes or "").startswith("(") or o.shapes in "".join(middle.split())
    first = {line.split()[0] for line in lines if line.strip()}
    assert set(ta.ops.registry) | {"activations"} <= first


def test_a_primitive_of_a_user_is_not_listed(capsys):
    @ta.autograd.primitive
    def twice_of_mine(x):
        """Twice x."""
        return 2 * x

    try:
        main(["ops"])
        assert "twice_of_mine" not in capsys.readouterr().out
        assert main(["ops", "twice_of_mine"]) == 2
    finally:
        del ta.ops.user_registry["twice_of_mine"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["sofmax"], "no operation is called 'sofmax'. (remedy: did you mean softmax?)"),
        (["qqqq"], "tinyae ops lists them all"),
        (["take"], "not a primitive but a function made of them. (remedy: read it: tinyae/ops/indexing.py, line "),
        (["exp", "--html", "x.html"], "--html writes all operations"),
        (["--html", "{tmp}/nowhere/x.html"], "there is no folder"),
        (["--html", "{tmp}"], "is not the name of a file"),
        (["--html", ""], "is not the name of a file"),
    ],
)
def test_bad_input_is_one_readable_line_and_exit_code_2(arguments, says, tmp_path, capsys):
    try:
        code = main(["ops", *(a.format(tmp=tmp_path) for a in arguments)])
    except SystemExit as stopped:
        code = stopped.code
    assert code == 2
    assert says in capsys.readouterr().err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_the_page_is_written_whole_over_one_that_was_there(tmp_path, capsys, monkeypatch):
    path = tmp_path / "operations.html"
    path.write_text("old")
    assert main(["ops", "--html", str(path)]) == 0
    assert capsys.readouterr().out == f"reference: {path}\n"
    assert path.read_text(encoding="utf-8") == reference.render()
    monkeypatch.setattr(reference, "render", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        reference.write_page(path)
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [p.name for p in tmp_path.iterdir()] == ["operations.html"]
