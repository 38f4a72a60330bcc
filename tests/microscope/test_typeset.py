"""Formulas as LaTeX and MathML: what is printed means what is computed."""

import ast
from xml.etree import ElementTree

import pytest

import tinyae as ta
from tinyae.microscope.mathml import to_mathml, to_pieces
from tinyae.microscope.typeset import bar, is_elementwise, letters, rule_equations, to_latex, value_equation

FORMULAS = {
    f"{name} {part}": expression
    for name, primitive in ta.ops.registry.items()
    for part, expression in [("value", value_equation(primitive)), *((", ".join(r.inputs), e) for r in primitive.rules for e in rule_equations(r))]
}


def plain(text):
    return text.replace(r"\left", "").replace(r"\right", "").replace(r",\,", ", ").replace(r"\,", " ")


def latex(source):
    return plain(to_latex(ast.parse(source, mode="eval").body))


@pytest.mark.parametrize("name", FORMULAS)
def test_every_formula_of_the_registry_becomes_mathml_without_a_stray_command(name):
    mathml = to_mathml(FORMULAS[name])
    assert ElementTree.fromstring(mathml).tag == "math"
    assert "mathvariant" not in mathml  # browsers have dropped it
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
        ("a @ (b * c)", "a @ (b c)"),
        ("a @ b @ c", "a @ b @ c"),
        ("(a @ b) * c", "(a @ b) c"),
        ("c * (a @ b)", "c (a @ b)"),
        ("-a @ b", "(-a) @ b"),
        ("a @ b + c * d", "a @ b + c d"),
        ("(a + b).T @ c", r"{(a + b)}^\top @ c"),
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
        ("(a * b).sum(axis=0) / 2", r"\frac{1}{2} \sum_{n} a b"),
        ("c * (sum(a) / 2) * b", r"c (\frac{1}{2} \sum a) b"),
        ("c * sum(a, axis=axis) + b", r"c \sum_{\text{axis}} a + b"),
        ("c * sum(a, axis=0) * b", r"(c \sum_{n} a) b"),
        ("max(a, axis=-1, keepdims=True)", r"\max_{j} a"),
        ("a / b * c / 2", r"\frac{a c}{2 b}"),
        ("a * a", "{a}^{2}"),
        ("2 * 2", r"2 \cdot 2"),
        ("a.sum(axis=-1) * b", r"(\sum_{j} a) b"),
        ("sum(a)", r"\sum a"),
        ("gy[..., None] * log_variance * noise", r"\bar{y} (\log\sigma^2) \varepsilon"),
        ("mean + exp(log_variance / 2) * noise", r"\mu + \sigma \varepsilon"),
        ("gy * (y > 0)", r"\bar{y} \mathbf{1}[y > 0]"),
        ("x @ weight.T + bias", r"x @ {W}^\top + b"),
        ("sigmoid(logits) - x", r"\text{sigmoid}(a) - x"),
        ("x[index]", r"{x}_{\text{index}}"),
        ("sqrt(a) ** 2", r"{(\sqrt{a})}^{2}"),
        ("keep_this", r"\text{keep\_this}"),
        ("log1p(-x)", r"\log(1 - x)"),
        ("logaddexp(a, b) * c", r"\log(e^{a} + e^{b}) c"),
        ("expm1(a) * b", "(e^{a} - 1) b"),
        ("square(a + b)", "{(a + b)}^{2}"),
        ("sin(x) ** 2 + arctan(y)", r"{(\sin(x))}^{2} + \arctan(y)"),
        ("abs(a) * norm(b)", r"| a | \| b \|"),
        ("floor(a) // 2 + a % b", r"\lfloor \lfloor a \rfloor / 2 \rfloor + a \bmod b"),
        ("softmax(logits, axis=-1)", r"\text{softmax}_{j}(a)"),
        ("mean(a, axis=-1, keepdims=True)", r"\text{mean}_{j}(a)"),
        ("flip(gy, axis=axis)", r"\text{flip}_{\text{axis}}(\bar{y})"),
        ("pad(x, width, value=value, mode=k)", r"\text{pad}(x, \text{width}, \text{value}, \text{mode} = k)"),
        ("spread(gy, x_shape, axis, keepdims) * x", r"\text{spread}(\bar{y}) x"),
        ("gweight @ x", r"\bar{W} @ x"),
        ("solve(a, b) + inv(a)", r"{a}^{-1} @ b + {a}^{-1}"),
        ("where(a > 0, b, 0)", r"\begin{cases} b & \text{where } a > 0 \\ 0 & \text{elsewhere} \end{cases}"),
        ("gy * where(a, b, c)", r"\bar{y} (\begin{cases} b & \text{where } a \\ c & \text{elsewhere} \end{cases})"),
        ("b if a > 0 else -b", r"\begin{cases} b & \text{where } a > 0 \\ -b & \text{elsewhere} \end{cases}"),
        ("gy * ((x > 0) & (x < 1))", r"\bar{y} \mathbf{1}[x > 0 \text{ and } x < 1]"),
        ("~(x > 0) * y", r"\mathbf{1}[\text{not } x > 0] y"),
        ("sum(x[k] for k in range(n))", r"\sum_{0 \leq k < n} {x}_{k}"),
        ("tuple(gy[p] for p in q)", r"({\bar{y}}_{p})_{p \in q}"),
    ],
)
def test_names_calls_and_sums_are_printed_as_a_textbook_would(source, expected):
    assert latex(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "y[n, o, i] = sum(x[n, c, s * i + k] * weight[o, c, k], over=(c, k)) + bias[o]",
            "{y}_{n, o, i} = \\sum_{c, k} {x}_{n, c, s i + k} {W}_{o, c, k} + {b}_{o}",
        ),
        ("gx[i] = y[i] * (gy[i] - sum(gy[j] * y[j], over=j))", r"{\bar{x}}_{i} = {y}_{i} ({\bar{y}}_{i} - \sum_{j} {\bar{y}}_{j} {y}_{j})"),
        ("y[i] = x[i // r]", r"{y}_{i} = {x}_{\lfloor i / r \rfloor}"),
        ("y[i] = sum(x[j] * (j <= i), over=j)", r"{y}_{i} = \sum_{j} {x}_{j} \mathbf{1}[j \leq i]"),
        ("y[i] = max(x[s * i + k], over=k)", r"{y}_{i} = \max_{k} {x}_{s i + k}"),
    ],
)
def test_index_notation_is_printed_with_subscripts(source, expected):
    assert plain(to_latex(ast.parse(source).body[0])) == expected


def test_the_equations_of_an_operation_have_left_sides_of_their_own():
    softmax, layer_norm = ta.ops.registry["softmax"], ta.ops.registry["layer_norm"]
    assert value_equation(softmax).startswith("{y}_{i} = ")
    assert rule_equations(softmax.rules[0])[0].startswith(r"{\bar{x}}_{i} = ")
    joint = next(rule for rule in layer_norm.rules if len(rule.inputs) == 2)
    assert [equation.split(" = ")[0] for equation in rule_equations(joint)] == [r"\bar{x}", r"\bar{W}"]
    assert bar("log_variance") == r"\overline{\log\sigma^2}"
    assert value_equation(ta.ops.registry["reparameterize"]).startswith("z = ")


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


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("exp(log_variance)", r"\sigma^2"),
        ("exp(log_variance / 2) * noise", r"\sigma \varepsilon"),
        ("a * exp(-prior_log_variance)", r"\frac{a}{\sigma_{p}^2}"),
        ("a * exp(-log_variance / 2)", r"\frac{a}{\sigma}"),
        ("exp(log_variance - prior_log_variance)", r"\frac{\sigma^2}{\sigma_{p}^2}"),
        ("exp(log_variance) ** 2", r"{(\sigma^2)}^{2}"),
        ("prior_log_variance * a", r"(\log\sigma_{p}^2) a"),
        ("exp(log_variance / 3)", r"e^{(\log\sigma^2) / 3}"),
        ("exp(log_variance + a)", r"e^{\log\sigma^2 + a}"),
        ("exp(-a)", "e^{-a}"),
        ("exp(a - log_variance)", r"e^{a - \log\sigma^2}"),
    ],
)
def test_powers_of_a_log_variance_are_the_variance_and_the_standard_deviation(source, expected):
    assert latex(source) == expected


def test_a_formula_is_the_same_after_it_was_typeset():
    formula = ast.parse("a * exp(-log_variance)", mode="eval").body
    before = ast.dump(formula)
    to_latex(formula)
    assert ast.dump(formula) == before


@pytest.mark.parametrize("name", ["conv1d_weight", "conv2d_weight"])
def test_an_input_that_is_a_cotangent_is_called_g_and_the_bar_is_that_of_the_result(name):
    primitive = ta.ops.registry[name]
    assert value_equation(primitive).startswith("{y}_{")
    of_x, of_gy = (plain(equation) for rule in primitive.rules for equation in rule_equations(rule))
    assert of_x.startswith(r"{\bar{x}}_{n, c, p")
    assert of_gy.startswith(r"{\bar{g}}_{n, o, i")
    assert r"{g}_{n, o, i" in of_x
    assert all(r"{\bar{y}}_{o, c, k" in equation for equation in (of_x, of_gy))
    assert "W" not in value_equation(primitive) + of_x + of_gy
    assert ("g", "gy") in letters(primitive)


def test_letters_are_those_that_the_formulas_use_and_the_code_does_not():
    assert letters(ta.ops.registry["reparameterize"]) == [(r"\mu", "mean"), (r"\log\sigma^2", "log_variance"), (r"\varepsilon", "noise")]
    assert (r"\hat{x}", "standardised(x)") in letters(ta.ops.registry["batch_norm"])
    assert letters(ta.ops.registry["exp"]) == letters(ta.ops.registry["elu"]) == []  # alpha is called alpha


def test_every_name_of_more_than_one_letter_is_one_word():
    for name, equation in FORMULAS.items():
        for text in ElementTree.fromstring(to_mathml(equation)).iter("mtext"):
            words = text.text.replace("\N{NO-BREAK SPACE}", " ").split()
            assert len(words) == 1 or {"where", "and", "or", "not"} & set(words), (name, text.text)


def test_a_formula_in_words_of_the_log_determinant_is_no_product_with_the_identity():
    (equation,) = rule_equations(ta.ops.registry["log_det_triangular"].rules[0])
    assert plain(equation) == r"\bar{a} = \text{on\_diagonal}(\frac{\bar{y}}{\text{diagonal}(a)})"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("exp", True), ("gelu", True), ("maximum", True), ("where", True), ("clip", True), ("getitem", True), ("dropout", True)]
    + [(name, False) for name in "outer contract upsample_nearest diagonal concatenate stack matmul sum softmax reshape overlap_add".split()],
)
def test_elementwise_is_what_treats_every_entry_alone(name, expected):
    assert is_elementwise(ta.ops.registry[name].formula) is expected


def test_a_matrix_product_is_an_operator_and_not_a_letter():
    tree = ElementTree.fromstring(to_mathml("x @ W"))
    assert [element.text for element in tree.iter("mo")] == ["@"]
    assert [element.text for element in tree.iter("mi")] == ["x", "W"]


@pytest.mark.parametrize("name", FORMULAS)
def test_the_pieces_of_a_formula_are_the_formula(name):
    pieces = [ElementTree.fromstring(piece) for term in to_pieces(FORMULAS[name]) for piece in term]
    assert {piece.tag for piece in pieces} == {"math"}
    assert "".join("".join(piece.itertext()) for piece in pieces) == "".join(ElementTree.fromstring(to_mathml(FORMULAS[name])).itertext())


def test_a_long_formula_is_cut_after_its_equals_sign_at_signs_and_between_factors():
    def shown(latex):
        return [["".join(ElementTree.fromstring(piece).itertext()) for piece in term] for term in to_pieces(latex)]

    a, b, c = (letter * 12 for letter in "abc")
    texts = [rf"\text{{{word}}}" for word in (a, b, c)]
    assert shown("y = {}\\,{} - {}".format(*texts)) == [["y="], [a, b], [f"\N{MINUS SIGN}{c}"]]
    assert shown("y = -{}\\,{}\\,{}".format(*texts)) == [["y="], [f"\N{MINUS SIGN}{a}", b, c]]
    assert shown("y = \\mathbf{{1}}[{} = {} + {}]".format(*texts)) == [["y="], [f"1[{a}={b}+{c}]"]]
    assert shown("y = \\left({} + -{}\\,{}\\right)".format(*texts)) == [["y="], [f"({a}", f"+\N{MINUS SIGN}{b}{c})"]]
    assert shown("y = \\text{{f}}\\left({},\\,{},\\,{}\\right)".format(*texts)) == [["y="], [f"f({a},", f"{b},", f"{c})"]]
    assert shown("y = a + b") == [["y=a+b"]]
    assert 'form="infix"' in to_pieces("y = {} + {}\\,{}".format(*texts))[2][0]  # it keeps the space of a sum at the beginning of a line
