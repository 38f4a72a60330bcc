"""The unrolled program as a page: headings from the user's source, lines with their comments side by side, and what stands around them."""

import ast
import itertools
import os
import re
import textwrap
from typing import NamedTuple

from tinyae import formula as formulas
from tinyae.microscope.names import Fold, is_plain
from tinyae.microscope.unroll.tidy import put

PAGE = 150  # characters of a line with its comment
COLUMN = 68  # where comments begin at the latest, if the code leaves room
NOTATION = (
    "d_z is the gradient of the loss with respect to z.  Comments: shape, operation, formula, "
    "in which x is the input, y the result, gx, gy gradients."
)


class Heading(NamedTuple):
    """The source line that the lines below come from."""

    place: tuple
    text: str
    source: str


class Row(NamedTuple):
    """A line of the program with its comment."""

    code: str
    comment: str


def heading(line):
    """The line of the user's source, or of the model's, that runs an operation."""
    call = line.home
    source = textwrap.shorten(call.source or line.primitive.name, 100, placeholder=" ...")
    return Heading(call.site, f"# {os.path.basename(call.file)}:{call.line}  {source}", source)


def shape_of(value):
    """The shape as a comment has it."""
    return str(tuple(value.shape))


def value_note(line):
    """The comment on the value of an operation: its shape and its formula."""
    shapes = {argument.role: argument.shape for argument in line.arguments}
    return f"{shape_of(line.value)}  {formula(line.primitive, '', line.primitive, shapes, line.attributes)}"


def rule_note(gradient):
    """The comment on a gradient: its shape, the rule's formula, what was summed."""
    line, rule, primitive = gradient.line, gradient.vjp, gradient.line.primitive
    index = gradient.position if primitive.variadic else rule.inputs.index(primitive.inputs[gradient.position])
    shapes = {argument.role: argument.shape for argument in line.arguments} | {"y": line.value.shape, rule.cotangent: line.value.shape}
    if primitive.variadic:
        shapes[primitive.inputs[0]] = tuple(argument.shape for argument in line.arguments)
    name = rule.inputs[0] if primitive.variadic else rule.inputs[index]
    text = formula(rule, f"g{name} = ", primitive, shapes, line.attributes, index if rule.joint else None)
    summed = f", summed over axis {', '.join(map(str, gradient.summed))}" if gradient.summed else ""
    return f"{shape_of(gradient)}  {text}{summed}"


def formula(formulated, left, primitive, shapes, attributes, index=None):
    """`tanh: gx = gy * (1 - y * y)`, with the numbers of this call; the operation's name alone where there is no single formula."""
    try:
        expression = formulated.formula
    except (ValueError, SyntaxError, StopIteration):
        expression = None
    if expression is None:
        return primitive.name
    if isinstance(expression, ast.Assign):
        return f"{primitive.name}: {formulas.text(expression)}"
    if index is not None and isinstance(expression, ast.Tuple):
        expression = expression.elts[index]
    known = attributes | {f"{name}_shape": shape for name, shape in shapes.items()}
    known = {name: ast.parse(repr(value), mode="eval").body for name, value in known.items() if is_plain(value)}
    expression = _Numbers(primitive.forward.__globals__).visit(formulas.substitute(expression, known))
    return f"{primitive.name}: {left}{formulas.text(Fold(shapes).visit(expression))}"


class _Numbers(ast.NodeTransformer):
    """Functions of numbers, such as count((4, 2), -1), worked out; keywords that say nothing left out."""

    def __init__(self, functions):
        self.functions = functions

    def visit_Call(self, node):
        node = self.generic_visit(node)
        node.keywords = [keyword for keyword in node.keywords if ast.unparse(keyword.value) != "False"]
        try:
            value = self.functions[node.func.id](*map(ast.literal_eval, node.args))
        except Exception:  # it has other arguments than numbers
            return node
        return ast.Constant(value) if isinstance(value, (int, float)) else node


def block(steps, results, targets, notes, names):
    """The rows of some steps, and of the assignments of their results to `targets`, whose comments are `notes`."""
    new, last, assigned = {}, {}, []
    for result, target, note in zip(results, targets, notes, strict=True):
        made = getattr(result.expression, "id", None)
        if made and made in {step.target for step in steps} and made not in new:
            new[made] = ast.Name(target)
            last[made] = note
        else:
            assigned.append((target, result, note))
    for step in steps:
        if step.target is not None and step.target not in new:
            hint = step.hint
            new[step.target] = ast.Name(names.unique(hint))
    for i, step in enumerate(steps):
        of = step.target or step.changed
        final = of in last and not any(other.changed == of for other in steps[i + 1 :])
        code = ast.unparse(put(step.node, new))
        code = code if step.target is None else f"{new[step.target].id} = {code}"
        own = "" if step.shape is None else shape_of_step(step)
        yield Row(code, last[of] if final else own)
    for target, result, note in assigned:
        yield Row(f"{target} = {ast.unparse(put(result.expression, new))}", note)


def shape_of_step(step):
    """The comment on an intermediate value."""
    return f"{step.shape}  {formula(step.note, '', step.note, {}, {})}" if step.note else str(step.shape)


def page(program, data, gradients):
    """The text of the program.  gradients: name of a leaf -> variable."""
    imports, definitions = [f"import {name}" for name in sorted(program.copies.modules)], program.copies.definitions
    constants = [f"{name} = {value!r}" for name, value in program.copies.constants.items()]
    if program.silent:
        settings = ", ".join(f'{key}="{value}"' for key, value in program.silent.items())
        constants = [f"np.seterr({settings})  # infinities at the ends of a domain are meant", *constants]
    loss = program.labels[program.loss.number]
    body = ["\n".join(["# FORWARD", *aligned(program.forward)]), "\n".join(["# BACKWARD", *aligned(program.backward), table(gradients)])]
    used = set(re.findall(r"\w+", "\n".join(body + definitions)))
    constants = [text for text in constants if text.split()[0] in used or text.startswith("np.")]
    start = "\n".join([f'data = dict(np.load(pathlib.Path(__file__).with_name("{data}")))', *aligned(list(inputs(program.inputs, program.views)))])
    parts = [
        docstring(program.trace),
        "\n".join(sorted(["import pathlib", *imports])),
        "\n\n".join(["import numpy as np", *(["\n".join(constants)] if constants else [])]),
        *(f"\n{text}" for text in definitions),
        "\n" * bool(definitions) + start,
        *body,
        ending(loss, program.loss.value.data.size == 1),
    ]
    return "\n\n".join(parts) + "\n"


def inputs(arrays, views):
    """The rows that name the arrays of the file; those of one layer share a row.  views: name -> (another one, its shape)."""
    for _, names in itertools.groupby(arrays, lambda name: name.rpartition("_")[0]):
        names = list(names)
        for several in (names[i : i + 2] for i in range(0, len(names), 2)):
            shapes = ", ".join(shape_of(arrays[name]) for name in several)
            loaded = ", ".join(f'data["{name}"]' for name in several)
            yield Row(f"{', '.join(several)} = {loaded}", shapes)
    for name, (other, shape) in views.items():
        yield Row(f"{name} = {other}.reshape({shape})", str(shape))


def docstring(trace):
    """What the program is, and how to read it."""
    of = "A computation"
    if trace.model is not None:
        config = getattr(trace.model, "config", {})
        settings = ", ".join(f"{key}={value!r}" for key, value in config.items() if key != "model" and value not in (None, ()))
        of = f"{type(trace.model).__name__}({settings})"
    first = textwrap.wrap(f"{of}, forward and backward, line by line.", PAGE - 3)
    return '"""' + "\n".join([*first, "", NOTATION + '"""'])


def aligned(parts):
    """Headings and rows as lines; the comments stand in one column where the code leaves room."""
    widths = [len(part.code) for part in parts if isinstance(part, Row)]
    column = max((width for width in widths if width <= COLUMN), default=0)
    lines, place = [], None
    for i, part in enumerate(parts):
        if isinstance(part, Heading):
            following = parts[i + 1].code if i + 1 < len(parts) and isinstance(parts[i + 1], Row) else None
            if part.place != place and following != part.source:
                lines.append(part.text)
            place = part.place
        elif not part.comment:
            lines.append(part.code)
        else:
            shape, _, rest = part.comment.partition("  ")
            short = f"{shape}  {rest.partition(': ')[2]}"
            fits = (f"{part.code:<{column}}  # {part.comment}", f"{part.code}  # {part.comment}", f"{part.code}  # {short}")
            line = next((line for line in fits if len(line) <= PAGE), None)
            if line is None and len(part.comment) > PAGE - 2:  # a copied definition says it
                line = f"{part.code}  # {shape}"
            if line is None:
                lines.extend(textwrap.wrap(part.comment, PAGE - 2, initial_indent="# ", subsequent_indent="#   "))
                line = part.code
            lines.append(line)
    return lines


def table(gradients):
    """The dict of all gradients."""
    rows = ["gradients = {"]
    for entry in (f"{quoted(name)}: {variable}, " for name, variable in gradients.items()):
        rows[-1:] = [rows[-1] + entry] if len(rows[-1] + entry) < PAGE else [rows[-1].rstrip(), " " * len("gradients = {") + entry]
    rows[-1] = rows[-1].rstrip(", ") + "}"
    return "\n".join(rows)


def quoted(name):
    """A name between double quotes, as a program writes it."""
    return f'"{name}"' if '"' not in name and "\\" not in name else repr(name)


def ending(loss, single):
    """What the program prints when it is run."""
    shown = f"{{{loss}.item():.6f}}" if single else f"{{np.linalg.norm({loss}):.6g}} (norm)"
    return f"""if __name__ == "__main__":
    print(f"{loss} = {shown}.  The norm of the gradient of")
    print("\\n".join(f"{{name:<20}} {{np.linalg.norm(gradient):.6g}}" for name, gradient in gradients.items()))"""
