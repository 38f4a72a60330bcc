"""Mutants: copies of a function with one small error each, made from its syntax tree by rules that know nothing of its meaning.

An operator, a sign, a constant, an axis, a name, a comparison is exchanged; a term, a factor, a call, a subscript, a keyword or a
statement is left out; a gradient is stopped.  Docstrings and the refusal of bad input (`raise`, `check_...`, and the `if` before it) are left alone.
"""

import ast
import contextlib
import inspect
import textwrap
from typing import NamedTuple

from tinyae.autograd import raw
from tinyae.errors import ArgumentError
from tinyae.formula import copied

ARITHMETIC = {ast.Add: [ast.Sub], ast.Sub: [ast.Add], ast.Mult: [ast.Div, ast.Add], ast.Div: [ast.Mult], ast.MatMult: [ast.Mult]}
ARITHMETIC |= {ast.Pow: [ast.Mult], ast.FloorDiv: [ast.Mult], ast.Mod: [ast.FloorDiv]}
COMPARISONS = {ast.Gt: [ast.GtE, ast.Lt], ast.GtE: [ast.Gt, ast.LtE], ast.Lt: [ast.LtE, ast.Gt], ast.LtE: [ast.Lt, ast.GtE]}
COMPARISONS |= {ast.Eq: [ast.NotEq], ast.NotEq: [ast.Eq], ast.Is: [ast.IsNot], ast.IsNot: [ast.Is], ast.In: [ast.NotIn], ast.NotIn: [ast.In]}
GUARD = "strict"  # a keyword that refuses bad input only: zip(a, b, strict=True)
STOP = "stop_gradient"  # the name by which a mutant calls `raw`
NO_GRADIENT = ("shape", "ndim", "size", "dtype", "raw", "len", STOP)  # attributes and functions through which none flows


class Mutant(NamedTuple):
    """A function's code with one error: number counts the mutants of the function, before and after are the changed statement."""

    function: object
    number: int
    before: str
    after: str
    code: object

    @property
    def text(self):
        """before  ->  after, on one line."""
        return f"{self.before}  ->  {self.after}"

    @contextlib.contextmanager
    def in_place(self):
        """`with mutant.in_place():` everybody who calls the function runs the mutant."""
        right, namespace = self.function.__code__, self.function.__globals__
        self.function.__code__, namespace[STOP] = self.code, raw
        try:
            yield
        finally:
            self.function.__code__ = right
            del namespace[STOP]


def mutants(function, gradients=()):
    """All mutants of a function, in the order of its source; no two alike.

    function: one that was written with `def`.  gradients: names of its arguments through which a gradient may flow; each of their
    uses is tried with the gradient stopped.  Raises ArgumentError where the source is not at hand.
    """
    definition = definition_of(function)
    names, attributes = names_in(definition)
    mark_names(definition)
    unchanged = compiled(definition, function)
    if (unchanged.co_names, unchanged.co_varnames) != (function.__code__.co_names, function.__code__.co_varnames):
        raise ArgumentError(f"mutants: the source of {function.__qualname__} is not what runs.", remedy="start again: the file was changed")
    seen, number = {ast.dump(definition)}, 0
    for statement in statements(definition.body):
        before = shown(statement)
        for holder, key, changed in changes(statement, names, attributes, set(gradients)):
            right = get(holder, key)
            put(holder, key, changed)
            if (dump := ast.dump(definition)) not in seen:
                seen.add(dump)
                with contextlib.suppress(SyntaxError):  # what is no Python is no mutant
                    code = compiled(definition, function)
                    number += 1
                    yield Mutant(function, number, before, shown(statement), code)
            put(holder, key, right)


def definition_of(function):
    """The syntax tree of a function, without its decorators."""
    try:
        source = textwrap.dedent(inspect.getsource(function))
        definition = ast.parse(source).body[0]
    except (OSError, TypeError, SyntaxError):
        definition = None
    if not isinstance(definition, ast.FunctionDef):
        raise ArgumentError("mutants: a function written with def, in a file, is needed.", got=getattr(function, "__qualname__", repr(function)))
    definition.decorator_list = []
    return definition


def names_in(definition):
    """(the function's own names, the attributes of `self` in it): what may be taken for one another."""
    arguments = definition.args
    names = [a.arg for a in [*arguments.posonlyargs, *arguments.args, arguments.vararg, *arguments.kwonlyargs, arguments.kwarg] if a]
    stored = [node.id for node in ast.walk(definition) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    attributes = [node.attr for node in ast.walk(definition) if isinstance(node, ast.Attribute) and of_self(node)]
    return [name for name in dict.fromkeys(names + stored) if name not in ("self", "xp")], list(dict.fromkeys(attributes))


def of_self(node):
    """Whether an attribute is read from `self`."""
    return isinstance(node.value, ast.Name) and node.value.id == "self" and isinstance(node.ctx, ast.Load)


def statements(body):
    """Each statement of a function, those inside others after them; neither a docstring nor what only refuses bad input."""
    for statement in body:
        inner = [getattr(statement, part, []) for part in ("body", "orelse", "finalbody")]
        inner += [handler.body for handler in getattr(statement, "handlers", [])]
        if only_tells(statement) or (isinstance(statement, ast.If) and all(map(only_tells, statement.body))):
            continue
        yield Place(body, body.index(statement), statement)
        for part in inner:
            yield from statements(part)


def only_tells(statement):
    """Whether a statement is a docstring, or only refuses bad input: `raise`, or a call of a function that is called check_something."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        return ast.unparse(statement.value.func).split(".")[-1].startswith("check_")
    return isinstance(statement, ast.Raise) or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))


class Place(NamedTuple):
    """A statement, and where it stands: in the list `body`, at `index`."""

    body: list
    index: int
    statement: ast.stmt


def shown(place):
    """The statement at a place as one line, a compound one without what stands inside; `return` is left away."""
    statement = place.body[place.index]
    if isinstance(statement, ast.Return) and statement.value:
        return ast.unparse(statement.value)
    text = ast.unparse(statement)
    return text.splitlines()[0] if getattr(statement, "body", None) else " ".join(text.split())


def changes(place, names, attributes, gradients):
    """Every small error in one statement, as (holder, key, new node): the node at `key` of `holder` is to be replaced."""
    statement = place.statement
    if isinstance(statement, (ast.Assign, ast.AugAssign, ast.Expr)):
        yield place.body, place.index, ast.copy_location(ast.Pass(), statement)
    if isinstance(statement, ast.AugAssign):
        for operator in ARITHMETIC.get(type(statement.op), []):
            yield statement, "op", operator()
    if isinstance(statement, ast.Return) and statement.value:
        values = statement.value.elts if isinstance(statement.value, ast.Tuple) else [statement.value]
        for i, value in enumerate(values):
            holder, key = (values, i) if isinstance(statement.value, ast.Tuple) else (statement, "value")
            yield holder, key, negated(value)
            yield holder, key, ast.BinOp(ast.Constant(0), ast.Mult(), value)
    if isinstance(statement, (ast.If, ast.While)):
        yield statement, "test", ast.UnaryOp(ast.Not(), statement.test)
    for holder, key, node in expressions(statement):
        for changed in [*alternatives(node), *other_names(node, names, attributes)]:
            yield holder, key, changed
    for holder, key, node in expressions(statement):
        if isinstance(node, ast.Name) and node.id in gradients and not getattr(node, "without_gradient", False):
            yield holder, key, ast.Call(ast.Name(STOP, ast.Load()), [node], [])


def mark_names(definition):
    """Mark what is only compared, or asked for its shape: no gradient flows there."""
    for node in ast.walk(definition):
        called = getattr(getattr(node, "func", None), "id", getattr(node, "attr", None))
        if isinstance(node, ast.Compare) or called in NO_GRADIENT:
            for child in ast.iter_child_nodes(node):
                child.without_gradient = True


def expressions(node):
    """(holder, key, expression) for each expression in a statement, from the outside in; a negative number is one expression."""
    for field, value in ast.iter_fields(node):
        if field in ("body", "orelse", "finalbody", "handlers") and isinstance(value, list):
            continue  # statements inside
        for holder, key, child in [(value, i, v) for i, v in enumerate(value)] if isinstance(value, list) else [(node, field, value)]:
            if not isinstance(child, ast.AST) or getattr(child, "arg", None) == GUARD:
                continue
            if isinstance(child, (ast.expr, ast.Slice)) and not isinstance(getattr(child, "ctx", None), ast.Store):
                yield holder, key, child
            if number_of(child) is None:
                yield from expressions(child)


def number_of(node):
    """The number that a node writes, a negative one included; else None."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and (number := number_of(node.operand)) is not None:
        return -number
    return node.value if isinstance(node, ast.Constant) and type(node.value) in (int, float) else None


def number_node(value):
    """A number as code."""
    return ast.UnaryOp(ast.USub(), ast.Constant(-value)) if value < 0 else ast.Constant(value)


def negated(node):
    """Minus an expression."""
    return ast.UnaryOp(ast.USub(), node)


def alternatives(node):
    """What may be written by mistake for an expression."""
    if (number := number_of(node)) is not None:
        return [number_node(value) for value in dict.fromkeys((number + 1, 0 if number == 1 else 1, -number)) if value != number]
    kind = type(node).__name__
    return WAYS[kind](node) if kind in WAYS else []


def of_constant(node):
    """True for False."""
    return [ast.Constant(not node.value)] if isinstance(node.value, bool) else []


def of_product(node):
    """Another operator, a term or factor left out, the sides exchanged."""
    a, b = node.left, node.right
    found = [ast.BinOp(a, operator(), b) for operator in ARITHMETIC.get(type(node.op), [])] + [a]
    if isinstance(node.op, ast.Sub):
        found.append(negated(b))
    if isinstance(node.op, (ast.Add, ast.Mult, ast.MatMult)):
        found.append(b)
    if isinstance(node.op, (ast.Sub, ast.Div, ast.MatMult)):
        found.append(ast.BinOp(b, node.op, a))
    return found


def of_comparison(node):
    """Another comparison."""
    return [
        ast.Compare(node.left, [*node.ops[:i], other(), *node.ops[i + 1 :]], node.comparators)
        for i, operator in enumerate(node.ops)
        for other in COMPARISONS[type(operator)]
    ]


def of_condition(node):
    """`or` for `and`; one of the conditions left out."""
    other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    left_out = [node.values[:i] + node.values[i + 1 :] for i in range(len(node.values))]
    return [ast.BoolOp(other, node.values)] + [rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest) for rest in left_out]


def of_call(node):
    """What it is called with, or called on, instead of the call; arguments exchanged; a keyword left out; exp(x / 2) and exp(-x) for exp(x)."""
    found, args = [], node.args
    if args and not isinstance(args[0], (ast.Starred, ast.GeneratorExp)):
        found.append(args[0])
    if isinstance(node.func, ast.Attribute) and not (isinstance(node.func.value, ast.Name) and node.func.value.id == "xp"):
        found.append(node.func.value)
    for i in range(len(args) - 1):
        found.append(ast.Call(node.func, [*args[:i], args[i + 1], args[i], *args[i + 2 :]], node.keywords))
    for i, keyword in enumerate(node.keywords):
        if keyword.arg != GUARD:
            found.append(ast.Call(node.func, args, node.keywords[:i] + node.keywords[i + 1 :]))
    if ast.unparse(node.func).split(".")[-1] == "exp" and len(args) == 1:
        found += [ast.Call(node.func, [x], []) for x in (ast.BinOp(args[0], ast.Div(), ast.Constant(2)), negated(args[0]))]
    return found


def of_slice(node):
    """From where it ended, or up to where it began."""
    return [ast.Slice(node.upper, node.lower, node.step)] if (node.lower is None) != (node.upper is None) else []


WAYS = {
    "Constant": of_constant,
    "BinOp": of_product,
    "UnaryOp": lambda node: [node.operand],
    "Compare": of_comparison,
    "BoolOp": of_condition,
    "IfExp": lambda node: [node.body, node.orelse],
    "Call": of_call,
    "Subscript": lambda node: [node.value],
    "Slice": of_slice,
    "Attribute": lambda node: [node.value] if node.attr == "T" else [],
}


def other_names(node, names, attributes):
    """Another of the function's own names, or of the attributes of `self`."""
    if isinstance(node, ast.Attribute) and of_self(node):
        return [ast.Attribute(node.value, other, node.ctx) for other in attributes if other != node.attr]
    if not isinstance(node, ast.Name) or node.id not in names:
        return []
    return [ast.Name(other, node.ctx) for other in names if other != node.id]


def get(holder, key):
    """What stands at `key` of a list or a node."""
    return holder[key] if isinstance(holder, list) else getattr(holder, key)


def put(holder, key, value):
    """Write at `key` of a list or a node."""
    if isinstance(holder, list):
        holder[key] = value
    else:
        setattr(holder, key, value)


def compiled(definition, function):
    """The code of a changed definition, which fits the function: the same file and lines, the same variables of the functions around it."""
    definition, code = copied(definition), function.__code__
    around = code.co_freevars
    if around:  # named after the end, so that they stay variables of the function also where the mutant uses one no more
        definition.body.append(ast.Expr(ast.Tuple([ast.Name(name, ast.Load()) for name in around], ast.Load())))
    definition.args.defaults, definition.args.kw_defaults = [], [None for _ in definition.args.kwonlyargs]
    ast.increment_lineno(definition, code.co_firstlineno - 1)
    tree = ast.parse(f"def around({', '.join(around)}): pass")
    tree.body[0].body = [definition]
    definition.name = "mutant"  # a name of its own: a function that calls itself finds itself where it did before
    outer = constant_code(compile(ast.fix_missing_locations(tree), code.co_filename, "exec"), "around")
    return constant_code(outer, "mutant").replace(co_name=code.co_name)


def constant_code(code, name):
    """The code object called `name` among the constants of another one."""
    return next(constant for constant in code.co_consts if getattr(constant, "co_name", None) == name)
