"""Which source line runs an operation, what that line calls its inputs and its result, and the rule in these names."""

import ast
import builtins
import functools
import linecache
import math
import os
from typing import NamedTuple

from tinyae import formula as formulas
from tinyae.errors import LESSONS, PACKAGE

READ = ("", "models")  # rooms whose lines a reader reads, so that operations are told in their names


class Call(NamedTuple):
    """One frame of the stack: the room of its file ("" for a user's), the expression that it executes, and the statement around it.

    scope: the function around it, (qualified name, first line, last line); ("", 1, the last line) where it stands in none.
    """

    file: str
    line: int
    source: str
    room: str
    node: ast.AST | None
    statement: ast.AST | None
    scope: tuple

    @property
    def site(self):
        """What tells one source line from another."""
        return self.file, getattr(self.statement, "lineno", self.line), self.source

    @property
    def whole(self):
        """Whether the statement is this expression and nothing else, apart from a target or `return`."""
        return self.node is not None and (self.node is self.statement or getattr(self.statement, "value", None) is self.node)


@functools.cache
def room_of(file):
    """The room of the package that a file lies in; "" for the files of users and lessons."""
    return file[len(PACKAGE) :].split(os.sep)[0] if file.startswith(PACKAGE) and not file.startswith(LESSONS) else ""


def call_of(frame):
    """The Call of a frame, looked up once for each instruction of a code."""
    place = frame.f_code.co_filename, frame.f_code, frame.f_lasti
    if place not in _looked_up:
        if len(_looked_up) > 10_000:
            _looked_up.clear()
        _looked_up[place] = look(frame)
    return _looked_up[place]


_looked_up = {}


def look(frame):
    """The Call of a frame.  Where there is no source, or the expression is not found, its node and statement are None."""
    import executing

    file, line = frame.f_code.co_filename, frame.f_lineno
    node = statement = None
    source = linecache.getline(file, line).strip()
    try:
        found = executing.Source.executing(frame)
        node, statements = found.node, list(found.statements or ())
        statement = statements[0] if len(statements) == 1 else None
        if statement is not None and not hasattr(statement, "body"):
            source = ast.get_source_segment(found.source.text, statement) or source
            source = ast.unparse(statement) if "\n" in source else source
    except Exception:  # whatever a strange source does to the search, the line is still known
        node = statement = None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        line = node.func.end_lineno  # the line of the method, in a chain over several lines
    elif node is not None:
        line = node.lineno
    return Call(file, line, source, room_of(file), node, statement, scope_of(statement, file, line))


def scope_of(statement, file, line):
    """The function around a statement: (qualified name, first line, last line); where the statement is not known, its line alone."""
    parents, inner = [], statement
    while getattr(inner, "parent", None) is not None:
        inner = inner.parent
        parents.append(inner)
    functions = [node for node in parents if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    if not functions:
        return ("", 1, len(linecache.getlines(file))) if statement is not None else ("", line, line)
    named = [node.name for node in parents if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))]
    first = min(node.lineno for node in (functions[0], *functions[0].decorator_list))
    return ".".join(reversed(named)), first, functions[0].end_lineno


def target(calls):
    """The name that the innermost call's result is assigned to, or passed on by, also by a caller that it is returned to; None if there is none."""
    if isinstance(keyword := getattr(calls[0].node, "parent", None), ast.keyword) and calls[0].room != "nn":
        return keyword.arg
    for call in calls:
        statement = call.statement
        if (
            call.room == "microscope"
            or not call.whole
            or isinstance(statement, ast.Expr)
            or hasattr(builtins, getattr(getattr(call.node, "func", None), "id", ""))
        ):
            return None  # a built-in function such as `list(map(...))` gives something else
        if isinstance(statement, ast.Return):
            continue
        targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
        named = len(targets) == 1 and isinstance(targets[0], (ast.Name, ast.Attribute)) and call.room != "nn"
        return ast.unparse(targets[0]) if named else None
    return None


def inputs_written(primitive, call, frame, engine_files, count):
    """The expressions written for the `count` inputs of an operation, in their order; None where the line does not say.

    engine_files: files of the package between the line and the operation: none for a call, `operators.py` for a method.
    """
    node, written = call.node, None
    if not all(os.path.basename(file) == "operators.py" for file in engine_files):
        return None
    if isinstance(node, (ast.BinOp, ast.UnaryOp, ast.AugAssign, ast.Subscript, ast.Attribute)):
        written = [getattr(node, field) for field in ("left", "right", "operand", "target", "value") if hasattr(node, field)]
    elif isinstance(node, ast.Call) and engine_files and isinstance(node.func, ast.Attribute):
        written = [node.func.value, *node.args][: len(primitive.inputs)]
    elif isinstance(node, ast.Call) and not engine_files and is_call_of(primitive, node.func, frame):
        named = {keyword.arg: keyword.value for keyword in node.keywords}
        written = node.args + [named[name] for name in primitive.inputs[len(node.args) :] if name in named]
        if primitive.variadic and len(written) == 1 and isinstance(written[0], (ast.List, ast.Tuple)):
            written = written[0].elts
    fits = written is not None and len(written) == count and not any(isinstance(item, ast.Starred) for item in written)
    return written if fits else None


def is_call_of(primitive, function, frame):
    """Whether the expression `function` stands for the primitive, so that the arguments written are its inputs."""
    if isinstance(function, ast.Name):
        return frame.f_locals.get(function.id, frame.f_globals.get(function.id)) is primitive
    if not isinstance(function, ast.Attribute):
        return False
    if function.attr == primitive.name:
        return True
    owner = frame.f_locals.get(getattr(function.value, "id", None))
    return getattr(owner, "__dict__", {}).get(function.attr) is primitive


def text_of(node, new):
    """The operation as its line writes it, its inputs replaced: `new` maps the id of an expression to another."""
    if isinstance(node, ast.AugAssign):
        node = ast.BinOp(node.target, node.op, node.value)
    return ast.unparse(rewrite(node, new))


def rewrite(node, new):
    """A copy of the expression `node` in which the parts whose id is in `new` are replaced."""
    if isinstance(node, list):
        return [rewrite(item, new) for item in node]
    if not isinstance(node, ast.AST):
        return node
    return new.get(id(node)) or type(node)(**{field: rewrite(value, new) for field, value in ast.iter_fields(node)})


def rule_of(line, rule, position):
    """The text of a rule with the names of a line; position: of the input that it gives a gradient."""
    inputs = line.primitive.inputs
    arguments = dict(zip(inputs, line.arguments, strict=False)) if not line.primitive.variadic else {}
    shapes = {name: argument.shape for name, argument in arguments.items()} | {"y": line.value.shape, rule.cotangent: line.value.shape}
    constants = {name: a.expression.value for name, a in arguments.items() if isinstance(a.expression, ast.Constant)}
    constants |= line.attributes | {f"{name}_shape": argument.shape for name, argument in arguments.items()}
    if line.primitive.variadic:
        constants[f"{inputs[0]}_shape"] = tuple(argument.shape for argument in line.arguments)
    expressions = {name: argument.expression for name, argument in arguments.items()}
    expressions |= {"y": ast.Name(line.label), rule.cotangent: ast.Name(line.cotangent_label)}
    if isinstance(line.call.node, ast.Subscript):
        expressions["index"] = ast.Name(ast.unparse(ast.Subscript(ast.Name(""), line.call.node.slice)))
        constants.pop("index", None)
    return rule_text(rule, position if line.primitive.variadic else rule.inputs.index(inputs[position]), constants, shapes, expressions)


def rule_text(rule, index, constants, shapes, names):
    """The formula of a rule in a line's own names.

    index: which of the rule's inputs.  constants: attributes and shapes.  shapes: of arrays, by the rule's names.
    names: expressions for the inputs, the output and the cotangent.
    """
    try:
        expression = rule.formula
    except (ValueError, SyntaxError, StopIteration):  # no single expression, or a lambda
        expression = None
    if expression is None:
        return f"(code of {rule.primitive.name}'s rule for {', '.join(rule.inputs)})"
    if rule.joint:
        is_tuple = isinstance(expression, ast.Tuple)
        expression = expression.elts[index] if is_tuple else ast.Subscript(expression, ast.Constant(index), ast.Load())
    constants = {name: ast.parse(repr(value), mode="eval").body for name, value in constants.items() if is_plain(value)}
    expression = Fold(shapes).visit(formulas.substitute(expression, constants))
    return formulas.text(formulas.substitute(expression, names))


def is_plain(value):
    """Whether `repr(value)` is a Python literal."""
    if isinstance(value, tuple):
        return all(map(is_plain, value))
    return value is None or (isinstance(value, (bool, int, float)) and math.isfinite(value))


def is_none(node):
    """Whether an expression is the constant None."""
    return isinstance(node, ast.Constant) and node.value is None


class Fold(ast.NodeTransformer):
    """What says nothing for these shapes is left out or shortened: `rows` of a matrix, `* 1`, arguments that are None."""

    def __init__(self, shapes):
        self.shapes = shapes

    def visit_Call(self, node):
        node = self.generic_visit(node)
        shape = self.shape(node.args[0]) if node.args else None
        function = getattr(node.func, "id", None)
        if getattr(node.func, "attr", None) == "swapaxes" and len(self.shape(node.func.value) or ()) == 2:
            return ast.Attribute(node.func.value, "T", ast.Load())
        if function == "rows" and shape is not None and len(shape) == 2:
            return node.args[0]
        if function == "size" and shape is not None:
            return ast.Constant(math.prod(shape))
        if function == "inverse" and is_none(node.args[0]):
            return node.args[0]
        while function == "spread" and isinstance(node.args[-1], ast.Constant) and node.args[-1].value in (None, False):
            node.args.pop()
        node.keywords = [keyword for keyword in node.keywords if not is_none(keyword.value)]
        return node

    def visit_BinOp(self, node):
        if isinstance(node.op, ast.MatMult) and (product := self.vector_product(node)):
            return product
        node = self.generic_visit(node)
        if isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant) and isinstance(node.op, ast.Sub):
            return ast.Constant(node.left.value - node.right.value)
        one = isinstance(node.right, ast.Constant) and node.right.value == 1
        return node.left if one and isinstance(node.op, (ast.Mult, ast.Div, ast.Pow)) else node

    def shape(self, node):
        """The shape of an array given by its name; None for another expression."""
        return self.shapes.get(getattr(node, "id", None))

    def vector_product(self, node):
        """A matrix product with the transpose of a vector: the vector times a number, or an outer product."""
        bare = [getattr(side.func, "value", side) if isinstance(side, ast.Call) else side for side in (node.left, node.right)]
        vectors = [side is not name and len(self.shape(name) or ()) == 1 for side, name in zip((node.left, node.right), bare, strict=True)]
        if not any(vectors):
            return None
        return ast.BinOp(bare[0], ast.Mult(), bare[1]) if () in map(self.shape, bare) else ast.Call(ast.Name("outer"), bare, [])
