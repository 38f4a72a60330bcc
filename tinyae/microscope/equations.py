"""The value and the gradient rules of a line as LaTeX, in the names that the line itself uses."""

import ast
import dataclasses
import re

from tinyae import formula as formulas
from tinyae.microscope import names, typeset
from tinyae.ops.reductions import count

PLACEHOLDER = "placeholder"  # a name that typesetting leaves alone, for a text that is no Python name


def value_equation(line):
    """LaTeX of what the operation of a line computes, z = mean + ...; None where its formula does not say."""
    try:
        formula = line.primitive.formula
    except (ValueError, SyntaxError, StopIteration):
        return None
    if formula is None or line.primitive.variadic or formulas.is_indexed(formula):
        return None
    bare, texts = with_placeholders(line)
    inputs = {name: argument.expression for name, argument in zip(line.primitive.inputs, bare.arguments, strict=False)}
    shapes = {f"{name}_shape": argument.shape for name, argument in zip(line.primitive.inputs, line.arguments, strict=False)}
    known = {name: ast.parse(repr(value), mode="eval").body for name, value in (shapes | line.attributes).items() if names.is_plain(value)}
    formula = formulas.substitute(formula, known)
    return f"{label(line)} = {filled(formulas.substitute(formula, inputs), texts)}"


def rule_equation(gradient):
    """(LaTeX of the gradient's name, LaTeX of its rule); the rule is None where it is no single expression."""
    line, argument = gradient.line, gradient.argument
    made = re.fullmatch(r"y(\d+)", argument.text)
    left = rf"\bar{{y}}_{{{made[1]}}}" if made and argument.kind == "line" else typeset.bar(argument.text)
    bare, texts = with_placeholders(line)
    text = names.rule_of(bare, gradient.vjp, gradient.position)
    if text.startswith("(code of"):
        return left, None
    return left, filled(formulas.parse(text), texts)


def with_placeholders(line):
    """A copy of a line whose inputs all are Python names or numbers, and {placeholder: LaTeX of what stands there}."""
    texts, arguments = {f"g{line.number}": cotangent(line), f"y{line.number}": label(line)}, []
    for position, argument in enumerate(line.arguments):
        made = argument.kind == "line" and re.fullmatch(r"y\d+", argument.text)
        if isinstance(argument.expression, ast.Constant):
            expression = ast.Constant(argument.expression.value)  # fresh nodes: those of the source know their whole file
        elif argument.text.isidentifier() and not made:
            expression = ast.Name(argument.text)
        else:
            expression = ast.Name(f"{PLACEHOLDER}{position}")
            texts[expression.id] = rf"y_{{{argument.text[1:]}}}" if made else typeset.to_latex(ast.Name(argument.text))
        arguments.append(dataclasses.replace(argument, expression=expression))
    if isinstance(line.call.node, ast.Subscript):
        texts["index"] = typeset.to_latex(ast.Name(ast.unparse(ast.Subscript(ast.Name(""), line.call.node.slice))[1:-1]))
    bare = dataclasses.replace(line, arguments=arguments, name=None, call=line.call._replace(node=None))
    return bare, texts


class Counts(ast.NodeTransformer):
    """`count(shape, axis)`, how many entries a sum or a mean takes, as the number that it is for this line."""

    def visit_Call(self, node):
        node = self.generic_visit(node)
        if ast.unparse(node.func) != "count" or len(node.args) != 2:
            return node
        try:
            return ast.Constant(count(*map(ast.literal_eval, node.args)))
        except ValueError:  # not literals
            return node


def filled(formula, texts):
    """The LaTeX of a formula, its placeholders replaced."""
    latex = typeset.to_latex(Counts().visit(formula))
    return re.sub(r"\\text\{(\w+)\}", lambda found: texts.get(found[1], found[0]), latex)


def label(line):
    """LaTeX of the name of a line's result."""
    return rf"y_{{{line.number}}}" if line.label == f"y{line.number}" else typeset.to_latex(ast.Name(line.label))


def cotangent(line):
    """LaTeX of the gradient of the loss with respect to a line's result: its name with a bar."""
    return rf"\bar{{y}}_{{{line.number}}}" if line.label == f"y{line.number}" else typeset.bar(line.label)
