r"""Formulas as LaTeX and MathML, typeset from the expressions that the code itself returns.

Parentheses come from precedence alone, so what is printed means what is computed.
"""

import ast
import re
from xml.etree import ElementTree

# How tightly a piece of LaTeX holds together, loosest first.  BIG is a sum sign or a prefix such as log, SLASH is a / b on one line.
LOOSE, ADD, NEGATE, BIG, SLASH, MATMUL, MULTIPLY, POWER, ATOM = range(9)

NAMES = {
    "mean": r"\mu",
    "log_variance": r"\log\sigma^2",
    "noise": r"\varepsilon",
    "logits": "a",
    "weight": "W",
    "bias": "b",
    "gx": r"\bar{x}",
    "gy": r"\bar{y}",
    "gz": r"\bar{z}",
    "pi": r"\pi",
}
FUNCTIONS = {"log": r"\log", "tanh": r"\tanh", "sigmoid": r"\sigma", "maximum": r"\max", "minimum": r"\min"}
PREFIXES = ("log", "tanh")  # log(x)^2 would be read in two ways
RELATIONS = {ast.Gt: ">", ast.GtE: r"\geq", ast.Lt: "<", ast.LtE: r"\leq", ast.Eq: "=", ast.NotEq: r"\neq"}
OVERLINE = "\N{HORIZONTAL BAR}"  # what latex2mathml puts above an \\overline
AXES = {"-1": "j", "0": "n", "None": ""}  # the index of a sum over the last axis, over the examples, over all


def to_latex(expression):
    """The LaTeX of a formula, an ast expression over our operations such as `primitive.formula` gives."""
    return _Typesetter().set(expression)[0]


def to_mathml(latex, display=False):
    """The MathML element of a piece of LaTeX, for a page that needs no script."""
    from latex2mathml.converter import convert

    spaced = latex.replace(r"\log\sigma", r"\log\,\sigma")
    element = convert(spaced, display="block" if display else "inline")
    tree = ElementTree.fromstring(element.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', ""))
    for mover in tree.iter("mover"):
        if mover[1].text == OVERLINE:  # few fonts have a bar that grows, so it is drawn
            mover.remove(mover[1])
            mover.tag, mover.attrib = "mrow", {"style": "border-top: 0.07em solid; padding-top: 0.1em"}
    return ElementTree.tostring(tree, encoding="unicode")


class _Typesetter:
    """Methods named after the syntax tree's nodes; each returns (LaTeX, how tightly it holds together)."""

    def __init__(self, inline=False):
        self.inline = inline  # in an exponent a quotient stands on one line

    def set(self, node):
        return getattr(self, type(node).__name__, self.other)(node)

    def part(self, node, least, also=()):
        """The LaTeX of a part that must hold together at least so tightly, in parentheses where it does not."""
        latex, level = self.set(node)
        return latex if level >= least or level in also else rf"\left({latex}\right)"

    def other(self, node):
        return _words(ast.unparse(node)), ATOM

    def Name(self, node):
        if node.id in NAMES:
            return NAMES[node.id], BIG if node.id == "log_variance" else ATOM
        if node.id.endswith("_shape"):
            return rf"\operatorname{{shape}}({self.set(ast.Name(node.id.removesuffix('_shape')))[0]})", ATOM
        return (node.id if len(node.id) == 1 else _words(node.id)), ATOM

    def Constant(self, node):
        text = repr(node.value)
        return (text if re.fullmatch(r"[\d.]+", text) else _words(text)), ATOM

    def Tuple(self, node):
        return rf"\left({self.listed(node.elts)}\right)", ATOM

    def listed(self, nodes):
        return r",\,".join(self.part(node, LOOSE) for node in nodes)

    def UnaryOp(self, node):
        if not isinstance(node.op, ast.USub):
            return self.other(node)
        return "-" + self.part(node.operand, BIG), NEGATE

    def Compare(self, node):
        sides = [node.left, *node.comparators]
        if not all(type(op) in RELATIONS for op in node.ops):
            return self.other(node)
        latex = self.part(sides[0], ADD)
        for op, side in zip(node.ops, sides[1:], strict=True):
            latex += f" {RELATIONS[type(op)]} {self.part(side, ADD)}"
        return rf"\mathbf{{1}}[{latex}]", ATOM  # one where it holds, else zero

    def BinOp(self, node):
        method = getattr(self, type(node.op).__name__, None)
        return self.other(node) if method is None else method(node.left, node.right)

    def Add(self, left, right):
        return f"{self.part(left, ADD)} + {self.part(right, BIG)}", ADD

    def Sub(self, left, right):
        return f"{self.part(left, ADD)} - {self.part(right, BIG)}", ADD

    def Mult(self, left, right):
        first, second = self.part(left, MULTIPLY, also=(NEGATE,)), self.part(right, MULTIPLY)
        between = r" \cdot " if second[0].isdigit() else r"\,"
        return first + between + second, _signed(first, MULTIPLY)

    def MatMult(self, left, right):
        first, second = self.part(left, POWER, also=(MATMUL,)), self.part(right, POWER, also=(MATMUL,))
        return rf"{first}\,{second}", MATMUL

    def Div(self, left, right):
        if self.inline:
            over = self.part(left, MULTIPLY, also=(NEGATE,))
            return f"{over} / {self.part(right, POWER)}", _signed(over, SLASH)
        over, level = self.set(left)
        sign = "-" if level == NEGATE else ""
        return rf"{sign}\frac{{{over.removeprefix(sign)}}}{{{self.set(right)[0]}}}", _signed(sign, MULTIPLY)

    def Pow(self, left, right):
        return f"{{{self.part(left, ATOM)}}}^{{{_Typesetter(inline=True).set(right)[0]}}}", POWER

    def Attribute(self, node):
        if node.attr == "T":
            return rf"{{{self.part(node.value, ATOM)}}}^\top", POWER
        return rf"\operatorname{{{_plain(node.attr)}}}({self.set(node.value)[0]})", ATOM

    def Subscript(self, node):
        index = [i for i in getattr(node.slice, "elts", [node.slice]) if not _is_new_axis(i)]
        if not index:
            return self.set(node.value)
        return rf"{{{self.part(node.value, ATOM)}}}_{{{self.listed(index)}}}", ATOM

    def Call(self, node):
        if isinstance(node.func, ast.Attribute):
            name, arguments = node.func.attr, [node.func.value, *node.args]
        else:
            name, arguments = ast.unparse(node.func), node.args
        if name == "exp":
            return f"e^{{{_Typesetter(inline=True).set(arguments[0])[0]}}}", POWER
        if name == "sqrt":
            return rf"\sqrt{{{self.set(arguments[0])[0]}}}", POWER
        if name == "abs":
            return rf"\left|{self.set(arguments[0])[0]}\right|", ATOM
        if name == "swapaxes":
            return rf"{{{self.part(arguments[0], ATOM)}}}^\top", POWER
        if name == "sum":
            return self.sum(arguments, node.keywords)
        named = [rf"{_words(k.arg)} = {self.set(k.value)[0]}" for k in node.keywords]
        inside = r",\,".join([self.part(argument, LOOSE) for argument in arguments] + named)
        return FUNCTIONS.get(name, rf"\operatorname{{{_plain(name)}}}") + rf"\left({inside}\right)", POWER if name in PREFIXES else ATOM

    def sum(self, arguments, keywords):
        """A sum sign; its index says over which axis."""
        axis = next((k.value for k in keywords if k.arg == "axis"), arguments[1] if len(arguments) > 1 else None)
        text = "None" if axis is None else ast.unparse(axis)
        index = AXES[text] if text in AXES else self.set(axis)[0]
        sign = rf"\sum_{{{index}}}" if index else r"\sum"
        return f"{sign} {self.part(arguments[0], BIG)}", BIG


def _signed(latex, level):
    """The level of a product: one that begins with a minus holds together no more than that."""
    return NEGATE if latex.startswith("-") else level


def _is_new_axis(node):
    return isinstance(node, ast.Constant) and node.value in (None, ...)


def _plain(name):
    return name.strip("_").replace("_", r"\;").replace(".", r"\;")


def _words(text):
    """Upright text; what LaTeX would take as a command is made harmless."""
    harmless = re.sub(r"[\\{}$%&#^~_]", " ", text)
    return "<".join(rf"\text{{{part}}}" for part in harmless.split("<"))
