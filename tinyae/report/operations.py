"""The reference of all operations, from the registry: in the terminal, and as one self-contained page."""

import ast
import difflib
import functools
import inspect
import os
import pathlib
import re
import sys
import textwrap
from typing import NamedTuple

from markupsafe import Markup, escape

import tinyae
from tinyae import formula as formulas
from tinyae import ops
from tinyae.errors import PACKAGE, ArgumentError, RunError
from tinyae.microscope import typeset
from tinyae.report.templates import mathml, mathml_in_pieces, template
from tinyae.training.files import write_atomic

DOMAINS = {"real": "real", "positive": "positive", "nonzero": "not 0", "unit": "from 0 to 1", "boolean": "true or false, no gradient"}
IN_STEPS, LONG = "in several steps: see the source", 100  # what stands for a twin that is no single expression, or one so long


class Rule(NamedTuple):
    """One rule: the gradient of some inputs."""

    text: str  # gx = gy * y
    equations: list  # the same as LaTeX, one for each input where they are apart
    keeps: list  # what it keeps from the forward pass


class Operation(NamedTuple):
    """What there is to know about one primitive."""

    name: str
    signature: str
    domain: str  # the file it stands in
    text: str  # its docstring
    formula: str  # y = exp(x)
    equation: str  # the same as LaTeX
    rules: list
    shapes: str | None  # None: its docstring says more than a line of shapes can
    inputs: dict  # name -> what values it takes
    kinks: str | None
    surrogate: bool
    analytic: bool
    view: bool
    twin: str | None  # the twin's formula, or IN_STEPS where it is no single expression
    letters: list  # (LaTeX, name) of what the equations call otherwise than the code
    words: dict  # signature of a function that formulas or docstrings name -> its docstring
    place: str  # file:line
    source: str  # with its rules and its twin


class Domain(NamedTuple):
    """A file of operations."""

    name: str
    text: str  # the docstring of its file
    operations: list


def operations():
    """Every operation of the registry, by domain: a dict of lists, in the order of the alphabet and of the files."""
    found = {}
    for primitive in sorted(ops.registry.values(), key=lambda p: (domain_of(p), p.forward.__code__.co_firstlineno)):
        found.setdefault(domain_of(primitive), []).append(operation(primitive))
    return found


def domain_of(primitive):
    """The file of a primitive, without its ending."""
    return primitive.__module__.rpartition(".")[2]


@functools.cache
def operation(primitive):
    """All about one primitive; reading its source takes time, so it is done once."""
    output = primitive.rules[0].cotangent.removeprefix("g") if primitive.rules else "y"
    code = sorted(
        [primitive.forward, *(rule.function for rule in primitive.rules), *([primitive.composed] if primitive.composed else [])], key=line_of
    )
    file = pathlib.Path(primitive.forward.__code__.co_filename)
    return Operation(
        name=primitive.name,
        signature=f"{primitive.name}{primitive.signature}",
        domain=domain_of(primitive),
        text=inspect.getdoc(primitive) or "",
        formula=equation_text(output, primitive.formula),
        equation=typeset.value_equation(primitive),
        rules=[rule_of(rule) for rule in primitive.rules],
        shapes=primitive.shapes or any_shape(primitive),
        inputs={
            name: DOMAINS.get(d) or f"above {d[0]:g}" + ("" if d[1] == float("inf") else f", below {d[1]:g}") for name, d in primitive.domain.items()
        },
        kinks=primitive.kinks,
        surrogate=primitive.surrogate,
        analytic=primitive.analytic,
        view=primitive.view,
        twin=twin_of(primitive),
        letters=typeset.letters(primitive),
        words=words_of(primitive),
        place=f"{file.relative_to(pathlib.Path(PACKAGE).parent).as_posix()}:{line_of(primitive.forward)}",
        source="\n\n\n".join(textwrap.dedent(inspect.getsource(function)).strip() for function in code),
    )


def any_shape(primitive):
    """What shapes an elementwise operation takes; None for another one."""
    if not typeset.is_elementwise(primitive.formula):
        return None
    return "shapes that broadcast" if len(primitive.inputs) > 1 else "any shape"


def line_of(function):
    """The line on which a function begins, its decorators included."""
    return function.__code__.co_firstlineno


def rule_of(rule):
    """One rule of a primitive."""
    left = ", ".join(f"g{name}" for name in rule.inputs)
    keeps = [
        f"shape of {name.removesuffix('_shape')}" if source.kind == "shape" else name
        for name, source in zip(rule.arguments, rule.sources, strict=True)
    ]
    return Rule(equation_text(left, rule.formula), typeset.rule_equations(rule), keeps)


def equation_text(left, formula):
    """A formula as Python text with its left side."""
    return formulas.text(formula) if formulas.is_indexed(formula) else f"{left} = {formulas.text(formula)}"


def twin_of(primitive):
    """The formula of the composed twin, where it is a single expression; the constants of its file are written out."""
    if primitive.composed is None:
        return None
    try:
        formula = formulas.formula_of(primitive.composed)
        text = formulas.text(formulas.substitute(formula, constants(sys.modules[primitive.__module__])))
        return text if len(text) <= LONG else IN_STEPS
    except ValueError:
        return IN_STEPS


def constants(module):
    """The constants of a file as it writes them, NAME -> expression, without `math.`."""
    statements = [s for s in ast.parse(inspect.getsource(module)).body if isinstance(s, ast.Assign) and isinstance(s.targets[0], ast.Name)]
    written = {s.targets[0].id: ast.unparse(s.value).replace("math.", "") for s in statements if s.targets[0].id.isupper()}
    return {name: formulas.parse(text) for name, text in written.items()}


def words_of(primitive):
    """The functions, neither notation nor operations, that the formulas and the docstrings name: signature -> docstring."""
    names = [ast.unparse(node.func) for f in (primitive, *primitive.rules) for node in ast.walk(f.formula) if isinstance(node, ast.Call)]
    names += named_in(primitive.__doc__)
    scope, found = primitive.forward.__globals__, {}
    while names:
        name, *names = names
        function = scope.get(name)
        if name not in found and inspect.isfunction(function) and function.__doc__ and not typeset.has_notation(name):
            found[name] = function
            names += named_in(function.__doc__)
    return {f"{name}{inspect.signature(function)}": inspect.getdoc(function) for name, function in found.items()}


def named_in(docstring):
    """What a docstring names in backticks."""
    return re.findall(r"`(\w+)`", docstring or "")


def find(name):
    """The operation of a name, or the Domain of a file.  Raises ArgumentError with a suggestion where there is neither."""
    if name in ops.registry:
        return operation(ops.registry[name])
    if name in (groups := operations()):
        return Domain(name, domain_text(name), groups[name])
    close = difflib.get_close_matches(name, [*ops.registry, *groups], 1)
    function = getattr(ops, name, None)
    if inspect.isfunction(function):
        file = pathlib.Path(function.__code__.co_filename).name
        raise ArgumentError(f"{name}: not a primitive but a function made of them.", remedy=f"read it: tinyae/ops/{file}, line {line_of(function)}")
    raise ArgumentError(f"no operation is called {name!r}.", remedy=f"did you mean {close[0]}?" if close else "tinyae ops lists them all")


def marks(operation):
    """What is special about an operation, in a word or two."""
    return [
        word
        for word, there in {"kinks": operation.kinks, "surrogate": operation.surrogate, "twin": operation.twin, "view": operation.view}.items()
        if there
    ]


def domain_text(domain):
    """The docstring of a file of operations."""
    return inspect.getdoc(sys.modules[f"tinyae.ops.{domain}"])


def print_table():
    """Print all operations: a table on a terminal; elsewhere plain lines, one for each, that a program can search."""
    if not sys.stdout.isatty():
        rows = [(o.domain, o.name, o.formula, o.shapes or "see its text", ", ".join(marks(o))) for group in operations().values() for o in group]
        widths = [max(len(row[i]) for row in rows) for i in range(2)]
        say("\n".join(f"{domain:<{widths[0]}}  {name:<{widths[1]}}  {'  '.join(rest).rstrip()}" for domain, name, *rest in rows))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, style in (("operation", "cyan"), ("formula, and shapes", ""), ("special", "dim")):
        table.add_column(heading, style=style, overflow="fold", no_wrap=style != "")
    for domain, group in operations().items():
        table.add_row(Text(f"\n{domain}", "bold"))
        for o in group:
            shapes = f"\n{spaced(o.shapes)}" if o.shapes and o.shapes.startswith("(") else ""
            table.add_row(o.name, Text(o.formula).append(Text(shapes, "dim")), "\n".join(marks(o)))
    Console().print(table)


def spaced(shapes):
    """Shapes with a space where a line may end."""
    return shapes.replace("),", "), ").replace("->", " -> ")


def say(text):
    """Print a text.  Raises RunError where it cannot be: a full disk behind the standard output, say."""
    try:
        print(text, flush=True)
    except BrokenPipeError:  # the reader went away
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains once more at its end
        raise RunError("standard output: it cannot be written.", got=error.strerror) from error


def describe(o, width=80):
    """One operation in full, or the list of a Domain's, as text for a terminal of `width` columns."""

    def row(label, text, indent=14):
        return textwrap.fill(f"{label:<{indent}}{text}", width, subsequent_indent=" " * (indent + 2), break_long_words=False)

    if isinstance(o, Domain):
        column = max(len(operation.name) for operation in o.operations) + 2
        lines = [o.operations[0].place.partition(":")[0], "", filled(o.text, width), ""]
        for operation in o.operations:
            lines += [row(operation.name, operation.formula, column)] + ([row("", spaced(operation.shapes), column)] if operation.shapes else [])
        return "\n".join(lines)
    lines = [textwrap.fill(o.signature, width, subsequent_indent="    "), o.place, "", filled(o.text, width), "", row("value", o.formula)]
    for rule in o.rules:
        lines += [row("rule", rule.text), row("  keeps", ", ".join(rule.keeps) or "nothing")]
    lines += [""] + ([row("shapes", spaced(o.shapes))] if o.shapes else [])
    lines += [row("inputs", "; ".join(f"{name} {domain}" for name, domain in o.inputs.items())), row("kinks", o.kinks or "none")]
    if o.surrogate:
        lines.append(row("surrogate", "the rule is not the derivative, on purpose"))
    if o.view:
        lines.append(row("memory", f"the result shares that of {next(iter(o.inputs))}"))
    if not o.analytic:
        lines.append(row("complex step", "not possible: computed through abs, max or a comparison"))
    lines.append(row("twin", o.twin or "none"))
    for name, text in o.words.items():
        lines += ["", textwrap.fill(name, width, subsequent_indent="    "), textwrap.indent(filled(text, width - 4), "    ")]
    return "\n".join(lines)


def filled(text, width):
    """A docstring in lines of at most `width` columns; indented paragraphs keep theirs."""
    parts = [
        textwrap.indent(part, "    ") if kind == "pre" else textwrap.fill(" ".join(part.split()), width, break_long_words=False)
        for kind, part in blocks(text)
    ]
    return "\n\n".join(parts)


def render():
    """The reference of all operations as the text of a page."""
    found = operations()
    return template("operations.html.j2").render(
        version=tinyae.__version__,
        domains=[(domain, domain_text(domain), group) for domain, group in found.items()],
        count=sum(map(len, found.values())),
        blocks=blocks,
        code=code,
        mathml=mathml,
        mathml_in_pieces=mathml_in_pieces,
    )


def blocks(text):
    """The paragraphs of a docstring as (kind, text); an indented one is "pre": its lines stay as they are.  A numbered step is a paragraph."""
    paragraphs = [paragraph.strip("\n") for paragraph in re.split(r"\n\n|\n(?=\d\. )", text or "") if paragraph.strip()]
    return [("pre", textwrap.dedent(p)) if all(line.startswith("  ") for line in p.splitlines()) else ("p", p) for p in paragraphs]


def code(text):
    """A text for the page in which `names` in backticks are set as code, and a *word* between asterisks as emphasis."""
    parts = re.split(r"`([^`\n]+)`", str(escape(text)))
    parts[::2] = [re.sub(r"(?<![\w*])\*(\w[\w ]*)\*(?![\w*])", r"<em>\1</em>", part) for part in parts[::2]]
    parts[1::2] = [f"<code>{part}</code>" for part in parts[1::2]]
    return Markup("".join(parts))


def write_page(path):
    """Write the reference as one page that needs no network; the file is whole or absent.  Returns its path.

    Raises RunError where it cannot be written.
    """
    path = pathlib.Path(path)
    write_atomic(path, render())
    return path
