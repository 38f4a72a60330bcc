r"""Formulas as LaTeX, typeset from the expressions that the code itself returns.

Parentheses come from precedence alone, so what is printed means what is computed.
"""

import ast
import re

from tinyae.formula import substitute
from tinyae.microscope.names import rewrite
from tinyae.microscope.rewriting import Deviations, chain, factors, product

# How tightly a piece of LaTeX holds together, loosest first.  BIG is a sum sign or a prefix such as log, SLASH is a / b on one line.
LOOSE, ADD, NEGATE, BIG, SLASH, MATMUL, MULTIPLY, POWER, ATOM = range(9)

NAMES = {
    "mean": r"\mu",
    "log_variance": r"\log\sigma^2",
    "variance": r"\sigma^2",
    "standard_deviation": r"\sigma",
    "prior_mean": r"\mu_{p}",
    "prior_log_variance": r"\log\sigma_{p}^2",
    "prior_variance": r"\sigma_{p}^2",
    "prior_standard_deviation": r"\sigma_{p}",
    "noise": r"\varepsilon",
    "logits": "a",
    "weight": "W",
    "bias": "b",
    "gx": r"\bar{x}",
    "gy": r"\bar{y}",
    "gz": r"\bar{z}",
    "eps": r"\epsilon",
    "stride": "S",
    "dilation": "D",
    "padding": "P",
    "kernel_size": "K",
} | {greek: rf"\{greek}" for greek in "alpha beta gamma delta kappa rho tau pi".split()}
PREFIXES = {name: rf"\{name}" for name in "log sin cos tan sinh cosh tanh arcsin arccos arctan det".split()}  # log(x)^2 would be read in two ways
FUNCTIONS = PREFIXES | {"maximum": r"\max", "minimum": r"\min"}
BIG_SIGNS = {"sum": r"\sum", "prod": r"\prod", "max": r"\max", "min": r"\min"}
FENCES = {"abs": ("|", "|"), "norm": (r"\|", r"\|"), "floor": (r"\lfloor", r"\rfloor"), "ceil": (r"\lceil", r"\rceil")}
SHORT = ("spread", "standardised", "unbroadcast", "on_diagonal", "by_channel")  # shown with their first argument; the others say how it is done
REWRITTEN = {  # a function of a and b that a textbook writes with signs
    "log1p": "log(1 + a)", "expm1": "exp(a) - 1", "logaddexp": "log(exp(a) + exp(b))", "square": "a ** 2", "reciprocal": "1 / a",
    "add": "a + b", "subtract": "a - b", "multiply": "a * b", "divide": "a / b", "negative": "-a", "power": "a ** b", "matmul": "a @ b",
}  # fmt: skip
CONNECTIVES = {ast.BitAnd: r"\text{ and }", ast.BitOr: r"\text{ or }"}
RELATIONS = {ast.Gt: ">", ast.GtE: r"\geq", ast.Lt: "<", ast.LtE: r"\leq", ast.Eq: "=", ast.NotEq: r"\neq"}
AXES = {"-1": "j", "0": "n", "None": ""}  # the index of a sum over the last axis, over the examples, over all


def to_latex(expression):
    """The LaTeX of a formula: an ast expression over our operations, or an assignment in index notation, as `primitive.formula` gives."""
    return _Typesetter().set(Deviations().visit(rewrite(expression, {})))[0]


def value_equation(primitive):
    """The LaTeX of an operation's value, y = f(x)."""
    output = primitive.rules[0].cotangent.removeprefix("g") if primitive.rules else "y"
    output = "y" if "gy" in primitive.inputs else output
    return _equation(to_latex(ast.Name(output)), renamed(primitive, primitive.formula))


def renamed(primitive, formula, cotangent=None):
    """A formula in which an input that is itself a cotangent, gy, is called g, so that the cotangent of the result may be gy."""
    if "gy" not in primitive.inputs:
        return formula
    return substitute(formula, {"gy": ast.Name("g", ast.Load()), cotangent: ast.Name("gy", ast.Load())})


def rule_equations(rule):
    """The LaTeX of a rule: a list with an equation for the gradient of each input, or one for all where they are not apart."""
    formula = renamed(rule.primitive, rule.formula, rule.cotangent)
    bars = [bar("g" if name == "gy" else name) for name in rule.inputs]
    if isinstance(formula, ast.Tuple) and len(formula.elts) == len(rule.inputs):
        return [_equation(*sides) for sides in zip(bars, formula.elts, strict=True)]
    return [_equation(r",\,".join(bars), formula)]


def letters(primitive):
    """(LaTeX, name) for each input and argument that the formulas of an operation call otherwise than its code does."""
    formulas = [primitive.formula, *(rule.formula for rule in primitive.rules)]
    used = {node.id for formula in formulas for node in ast.walk(formula) if isinstance(node, ast.Name)}
    named = [name for name in (*primitive.inputs, *primitive.attributes) if name in used]
    found = [("g" if name == "gy" else NAMES[name], name) for name in named if NAMES.get(name, rf"\{name}") != rf"\{name}"]
    return found + ([(r"\hat{x}", "standardised(x)")] if "standardised" in used else [])


def _equation(left, formula):
    """left = formula; in index notation left_ij = formula."""
    if isinstance(formula, ast.Assign):
        left, formula = f"{{{left}}}_{{{_Typesetter().indices(formula.targets[0].slice)}}}", formula.value
    return f"{left} = {to_latex(formula)}"


def bar(name):
    """The LaTeX of the gradient of what `name` names: the name with a bar."""
    latex = to_latex(ast.Name(name))
    return rf"\bar{{{latex}}}" if len(latex) == 1 or latex.strip("\\").isalpha() else rf"\overline{{{latex}}}"


def has_notation(name):
    """Whether a function is printed with signs, not by its name."""
    return name in {*FUNCTIONS, *BIG_SIGNS, *FENCES, *REWRITTEN} or (hasattr(_Typesetter, f"call_{name}") and name not in SHORT)


def is_elementwise(formula):
    """Whether a formula treats every entry alone, so that it holds for arrays of any shape."""
    known = {*FUNCTIONS, *REWRITTEN, "abs", "floor", "ceil", "exp", "sqrt", "where", "sign", "round", "sigmoid"} - {"det", "matmul"}
    called = {ast.unparse(node.func) for node in ast.walk(formula) if isinstance(node, ast.Call)}
    return isinstance(formula, ast.expr) and called <= known and not any(isinstance(node, ast.MatMult) for node in ast.walk(formula))


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

    def Assign(self, node):
        return _equation(self.set(node.targets[0].value)[0], node), LOOSE

    def Name(self, node):
        if node.id in NAMES:
            latex = NAMES[node.id]
            return latex, BIG if latex.startswith(r"\log") else POWER if latex.endswith("^2") else ATOM
        if node.id[0] == "g" and node.id[1:] in NAMES:
            return bar(node.id[1:]), ATOM
        if node.id.endswith("_shape"):
            return rf"\text{{shape}}({self.set(ast.Name(node.id.removesuffix('_shape')))[0]})", ATOM
        return (node.id if len(node.id) == 1 else _words(node.id)), ATOM

    def Constant(self, node):
        text = repr(node.value)
        return (text if re.fullmatch(r"[\d.]+", text) else _words(text)), ATOM

    def Tuple(self, node):
        return rf"\left({self.listed(node.elts)}\right)", ATOM

    def listed(self, nodes):
        return r",\,".join(self.part(node, LOOSE) for node in nodes)

    def UnaryOp(self, node):
        if isinstance(node.op, ast.Invert):
            return rf"\mathbf{{1}}[{self.condition(node)}]", ATOM
        if not isinstance(node.op, ast.USub):
            return self.other(node)
        return "-" + self.part(node.operand, BIG), NEGATE

    def Compare(self, node):
        if not all(type(op) in RELATIONS for op in node.ops):
            return self.other(node)
        return rf"\mathbf{{1}}[{self.condition(node)}]", ATOM  # one where it holds, else zero

    def condition(self, node):
        """A condition in words of mathematics, without the brackets that make it a number."""
        if isinstance(node, ast.Compare) and all(type(op) in RELATIONS for op in node.ops):
            latex = self.part(node.left, ADD)
            for op, side in zip(node.ops, node.comparators, strict=True):
                latex += f" {RELATIONS[type(op)]} {self.part(side, ADD)}"
            return latex
        if isinstance(node, ast.BinOp) and type(node.op) in CONNECTIVES:
            return rf"{self.condition(node.left)} {CONNECTIVES[type(node.op)]} {self.condition(node.right)}"
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert):
            return rf"\text{{not }} {self.condition(node.operand)}"
        return self.set(node)[0]

    def IfExp(self, node):
        return self.cases(node.test, node.body, node.orelse)

    def cases(self, condition, yes, no):
        """One value where a condition holds, another elsewhere."""
        rows = rf"{self.set(yes)[0]} & \text{{where }} {self.condition(condition)} \\ {self.set(no)[0]} & \text{{elsewhere}}"
        return rf"\begin{{cases}} {rows} \end{{cases}}", BIG

    def BinOp(self, node):
        method = getattr(self, type(node.op).__name__, None)
        return self.other(node) if method is None else method(node.left, node.right)

    def Add(self, left, right):
        if isinstance(right, ast.UnaryOp) and isinstance(right.op, ast.USub):
            return self.Sub(left, right.operand)
        return f"{self.part(left, ADD)} + {self.part(right, BIG)}", ADD

    def Sub(self, left, right):
        return f"{self.part(left, ADD)} - {self.part(right, BIG)}", ADD

    def BitAnd(self, left, right):
        return rf"\mathbf{{1}}[{self.condition(ast.BinOp(left, ast.BitAnd(), right))}]", ATOM

    def BitOr(self, left, right):
        return rf"\mathbf{{1}}[{self.condition(ast.BinOp(left, ast.BitOr(), right))}]", ATOM

    def FloorDiv(self, left, right):
        return rf"\lfloor {_Typesetter(inline=True).Div(left, right)[0]} \rfloor", ATOM

    def Mod(self, left, right):
        return rf"{self.part(left, POWER)} \bmod {self.part(right, POWER)}", SLASH

    def Mult(self, left, right):
        if ast.dump(left) == ast.dump(right) and not isinstance(left, ast.Constant):
            return self.Pow(left, ast.Constant(2))
        first, (second, level) = self.part(left, MULTIPLY, also=(NEGATE,)), self.set(right)
        if level == BIG and second.startswith(r"\sum"):
            return rf"{first}\,{second}", NEGATE if first.startswith("-") else BIG
        second = self.part(right, MULTIPLY)
        between = r" \cdot " if second[0].isdigit() else r"\,"
        return first + between + second, _signed(first, MULTIPLY)

    def MatMult(self, left, right):
        first, second = self.part(left, POWER, also=(MATMUL,)), self.part(right, POWER, also=(MATMUL,))
        return rf"{first} @ {second}", MATMUL

    def Div(self, left, right):
        if self.inline:
            over = self.part(left, MULTIPLY, also=(NEGATE,))
            return f"{over} / {self.part(right, POWER)}", _signed(over, SLASH)
        if any(isinstance(factor.op, ast.Div) for factor in chain(left)):  # a / b * c / d is one fraction
            over, under = factors(ast.BinOp(left, ast.Div(), right))
            left, right = product(over), product(under)
        over, level = self.set(left)
        if over.startswith(r"\sum") and isinstance(right, ast.Constant):
            return rf"\frac{{1}}{{{right.value}}}\,{over}", BIG
        sign = "-" if level == NEGATE else ""
        return rf"{sign}\frac{{{over.removeprefix(sign)}}}{{{self.set(right)[0]}}}", _signed(sign, MULTIPLY)

    def Pow(self, left, right):
        return f"{{{self.part(left, ATOM)}}}^{{{_Typesetter(inline=True).set(right)[0]}}}", POWER

    def Attribute(self, node):
        if node.attr == "T":
            return rf"{{{self.part(node.value, ATOM)}}}^\top", POWER
        return f"{_words(node.attr)}({self.set(node.value)[0]})", ATOM

    def Subscript(self, node):
        index = self.indices(node.slice)
        return (rf"{{{self.part(node.value, ATOM)}}}_{{{index}}}", ATOM) if index else self.set(node.value)

    def indices(self, node):
        """The subscripts of an entry; a new axis is none, and a quotient stands on one line."""
        return _Typesetter(inline=True).listed([i for i in getattr(node, "elts", [node]) if not _is_new_axis(i)])

    def Call(self, node):
        if isinstance(node.func, ast.Attribute):
            name, arguments = node.func.attr, [node.func.value, *node.args]
        else:
            name, arguments = ast.unparse(node.func), node.args
        if name in REWRITTEN:
            template = ast.parse(REWRITTEN[name], mode="eval").body
            return self.set(substitute(template, dict(zip("ab", arguments, strict=False))))
        if method := getattr(self, f"call_{name}", None):
            return method(*arguments)
        if name in FENCES:
            return rf"\left{FENCES[name][0]} {self.set(arguments[0])[0]} \right{FENCES[name][1]}", ATOM
        if name in BIG_SIGNS:
            return self.big(BIG_SIGNS[name], arguments, node.keywords)
        return self.named(name, arguments[:1] if name in SHORT else arguments, node.keywords), POWER if name in PREFIXES else ATOM

    def named(self, name, arguments, keywords):
        """A function by its name, f_axis(x, y, key = value)."""
        given = {k.arg: k.value for k in keywords if k.arg != "keepdims"}
        if name == "diagonal" and [ast.unparse(value) for value in given.values()] == ["-2", "-1"]:
            given = {}  # that of a matrix
        index = self.axis(given.pop("axis")) if "axis" in given else ""
        inside = [self.part(argument, LOOSE) for argument in arguments]
        for key, value in given.items():
            same = isinstance(value, ast.Name) and value.id == key
            inside.append(self.set(value)[0] if same else rf"{_words(key)} = {self.set(value)[0]}")
        sign = FUNCTIONS.get(name, _words(name)) + (f"_{{{index}}}" if index else "")
        return sign + r"\left(" + r",\,".join(inside) + r"\right)"

    def call_exp(self, x):
        return f"e^{{{_Typesetter(inline=True).set(x)[0]}}}", POWER

    def call_sqrt(self, x):
        return rf"\sqrt{{{self.set(x)[0]}}}", POWER

    def call_swapaxes(self, x, *axes):
        return rf"{{{self.part(x, ATOM)}}}^\top", POWER

    def call_inv(self, x):
        return f"{{{self.part(x, ATOM)}}}^{{-1}}", POWER

    def call_solve(self, a, b):
        return rf"{self.call_inv(a)[0]} @ {self.part(b, POWER)}", MATMUL

    def call_standardised(self, x, *how):
        return rf"\hat{{{self.set(x)[0]}}}", ATOM

    def call_tuple(self, x):
        return self.set(x)

    def call_zip(self, *arguments):
        return self.Tuple(ast.Tuple(list(arguments)))

    def call_eye(self, n):
        return "I", ATOM

    def call_where(self, condition, yes, no):
        return self.cases(condition, yes, no)

    def big(self, sign, arguments, keywords):
        """A sum sign or its like; its index says over which axis, or over which indices."""
        given = {k.arg: k.value for k in keywords}
        if isinstance(arguments[0], (ast.GeneratorExp, ast.ListComp)):
            index, body = self.loops(arguments[0]), arguments[0].elt
        else:
            over, body = given.get("over") or given.get("axis") or (arguments[1] if len(arguments) > 1 else None), arguments[0]
            index = "" if over is None else self.axis(over)
        return (rf"{sign}_{{{index}}}" if index else sign) + f" {self.part(body, BIG)}", BIG

    def axis(self, node):
        """What stands under a sum sign: an index for an axis, or the indices themselves."""
        text = ast.unparse(node)
        return AXES[text] if text in AXES else self.indices(node)

    def GeneratorExp(self, node):
        return rf"\left({self.set(node.elt)[0]}\right)_{{{self.loops(node)}}}", ATOM

    ListComp = GeneratorExp

    def loops(self, node):
        """The ranges of a comprehension: 0 <= k < n for each `for k in range(n)`."""
        found = []
        for loop in node.generators:
            ranged = isinstance(loop.iter, ast.Call) and ast.unparse(loop.iter.func) == "range" and len(loop.iter.args) == 1
            target = self.set(loop.target)[0]
            found.append(rf"0 \leq {target} < {self.set(loop.iter.args[0])[0]}" if ranged else rf"{target} \in {self.set(loop.iter)[0]}")
        return r",\,".join(found)


def _signed(latex, level):
    """The level of a product: one that begins with a minus holds together no more than that."""
    return NEGATE if latex.startswith("-") else level


def _is_new_axis(node):
    return isinstance(node, ast.Constant) and node.value in (None, ...)


def _words(text):
    """Upright text; what LaTeX would take as a command is made harmless."""
    harmless = re.sub(r"[\\{}$%&#^~]", " ", text).replace("_", r"\_")
    return "<".join(rf"\text{{{part}}}" for part in harmless.split("<"))
