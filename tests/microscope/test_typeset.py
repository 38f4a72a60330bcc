"""Formulas as LaTeX and MathML: what is printed means what is computed."""

import ast
from xml.etree import ElementTree

import pytest

import tinyae as ta
from tinyae.microscope.typeset import to_latex, to_mathml

FORMULAS = {
    f"{name} {part}": expression
    for name, primitive in ta.ops.registry.items()
    for part, expression in [("value", primitive.formula), *((", ".join(rule.inputs), rule.formula) for rule in primitive.rules)]
}


def latex(source):
    return to_latex(ast.parse(source, mode="eval").body).replace(r"\left", "").replace(r"\right", "").replace(r"\,", " ")


@pytest.mark.parametrize("name", FORMULAS)
def test_every_formula_of_the_registry_becomes_mathml_without_a_stray_command(name):
    mathml = to_mathml(to_latex(FORMULAS[name]))
    assert ElementTree.fromstring(mathml).tag == "math"
    assert "\\" not in mathml
    assert "http" not in mathml


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("(a + b) * c", "(a + b) c"),
        ("a + b * c", "a + b c"),
        ("a - (b - c)", "a - (b - c)"),
        ("a - b - c", "a - b - c"),
        ("-(a + b)", "-(a + b)"),
        ("a - -b", "a - (-b)"),
        ("a * -b", "a (-b)"),
        ("-a * b", "-a b"),
        ("c - -a * b", "c - (-a b)"),
        ("(a + b) ** 2", "{(a + b)}^{2}"),
        ("(-a) ** 2", "{(-a)}^{2}"),
        ("-a ** 2", "-{a}^{2}"),
        ("(a ** b) ** c", "{({a}^{b})}^{c}"),
        ("a ** b ** c", "{a}^{{b}^{c}}"),
        ("a / (b * c)", r"\frac{a}{b c}"),
        ("a / b * c", r"\frac{a}{b} c"),
        ("-a / b", r"-\frac{a}{b}"),
        ("(a / b) ** 2", r"{(\frac{a}{b})}^{2}"),
        ("exp(-a / (b * c))", "e^{-a / (b c)}"),
        ("exp(a / b * c)", "e^{(a / b) c}"),
        ("exp(a) ** 2", "{(e^{a})}^{2}"),
        ("log(a) ** 2", r"{(\log(a))}^{2}"),
        ("a @ (b * c)", "a (b c)"),
        ("a @ b @ c", "a b c"),
        ("(a @ b) * c", "(a b) c"),
        ("(a + b).T @ c", r"{(a + b)}^\top c"),
        ("2 * 3", r"2 \cdot 3"),
        ("a * 2", r"a \cdot 2"),
    ],
)
def test_parentheses_follow_from_precedence(source, expected):
    assert latex(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("sum(a + b, axis=-1)", r"\sum_{j} (a + b)"),
        ("(a * b).sum(axis=0) / 2", r"\frac{\sum_{n} a b}{2}"),
        ("a.sum(axis=-1) * b", r"(\sum_{j} a) b"),
        ("sum(a)", r"\sum a"),
        ("gy[..., None] * log_variance * noise", r"\bar{y} (\log\sigma^2) \varepsilon"),
        ("mean + exp(log_variance / 2) * noise", r"\mu + e^{(\log\sigma^2) / 2} \varepsilon"),
        ("gy * (y > 0)", r"\bar{y} \mathbf{1}[y > 0]"),
        ("x @ weight.T + bias", r"x {W}^\top + b"),
        ("sigmoid(logits) - x", r"\sigma(a) - x"),
        ("x[index]", r"{x}_{\text{index}}"),
        ("sqrt(a) ** 2", r"{(\sqrt{a})}^{2}"),
        ("keep_this", r"\text{keep this}"),
    ],
)
def test_names_calls_and_sums_are_printed_as_a_textbook_would(source, expected):
    assert latex(source) == expected


@pytest.mark.parametrize("source", ["a if b < c else d", "x['a&b\\\\{']", "not a", "[a for a in b]", "x.some_thing", "x[1:2, ..., 0]"])
def test_what_has_no_notation_is_shown_as_words(source):
    mathml = to_mathml(to_latex(ast.parse(source, mode="eval").body))
    assert "\\" not in mathml
    assert ElementTree.fromstring(mathml).tag == "math"


def test_a_bar_over_more_than_one_letter_is_drawn_over_all_of_it():
    tree = ElementTree.fromstring(to_mathml(r"\overline{\log\sigma^2} = \bar{y}"))
    (drawn,) = [element for element in tree.iter() if "border-top" in element.get("style", "")]
    assert "".join(drawn.itertext()) == "logσ2"
    assert len(list(tree.iter("mover"))) == 1
