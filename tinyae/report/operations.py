"""The reference of all operations, from the registry: in the terminal, and as one self-contained page."""

import ast
import difflib
import inspect
import pathlib
import re
import sys
import textwrap
from typing import NamedTuple

from markupsafe import Markup, escape

import tinyae
from tinyae import formula as formulas
from tinyae import ops
from tinyae.errors import PACKAGE, ArgumentError
from tinyae.microscope import typeset
from tinyae.report.templates import mathml, template
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
    shapes: str
    inputs: dict  # name -> what values it takes
    kinks: str | None
    surrogate: bool
    analytic: bool
    view: bool
    twin: str | None  # the twin's formula, or "by other operations" where it is no single expression
    words: dict  # name in a formula -> what it means
    place: str  # file:line
    source: str  # with its rules and its twin


def operations():
    """Every operation of the registry, by domain: a dict of lists, in the order of the alphabet and of the files."""
    found = {}
    for primitive in sorted(ops.registry.values(), key=lambda p: (domain_of(p), p.forward.__code__.co_firstlineno)):
        found.setdefault(domain_of(primitive), []).append(operation(primitive))
    return found


def domain_of(primitive):
    """The file of a primitive, without its ending."""
    return primitive.__module__.rpartition(".")[2]


def operation(primitive):
    """All about one primitive."""
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
        shapes=primitive.shapes or ("shapes that broadcast" if len(primitive.inputs) > 1 else "any shape"),
        inputs={
            name: DOMAINS.get(d) or f"above {d[0]:g}" + ("" if d[1] == float("inf") else f", below {d[1]:g}") for name, d in primitive.domain.items()
        },
        kinks=primitive.kinks,
        surrogate=primitive.surrogate,
        analytic=primitive.analytic,
        view=primitive.view,
        twin=twin_of(primitive),
        words=words_of(primitive),
        place=f"{file.relative_to(pathlib.Path(PACKAGE).parent).as_posix()}:{line_of(primitive.forward)}",
        source="\n\n\n".join(textwrap.dedent(inspect.getsource(function)).strip() for function in code),
    )


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
    """The formula of the composed twin, where it is a single expression."""
    if primitive.composed is None:
        return None
    try:
        text = formulas.text(formulas.formula_of(primitive.composed))
        return text if len(text) <= LONG else IN_STEPS
    except ValueError:
        return IN_STEPS


def words_of(primitive):
    """The functions in the formulas that are neither notation nor operations, each with the first line of its docstring."""
    names = [ast.unparse(node.func) for f in (primitive, *primitive.rules) for node in ast.walk(f.formula) if isinstance(node, ast.Call)]
    functions = {name: primitive.forward.__globals__.get(name) for name in names if name not in ops.registry and not typeset.has_notation(name)}
    return {
        f"{name}{inspect.signature(f)}": inspect.getdoc(f).splitlines()[0] for name, f in functions.items() if inspect.isfunction(f) and f.__doc__
    }


def find(name):
    """The operation of a name.  Raises ArgumentError with a suggestion where there is none."""
    if name in ops.registry:
        return operation(ops.registry[name])
    close = difflib.get_close_matches(name, ops.registry, 1)
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


def print_table():
    """Print all operations: a table on a terminal; elsewhere plain lines, one for each, that a program can search."""
    if not sys.stdout.isatty():
        rows = [(o.domain, o.name, o.formula, o.shapes, ", ".join(marks(o))) for group in operations().values() for o in group]
        widths = [max(len(row[i]) for row in rows) for i in range(2)]
        for domain, name, *rest in rows:
            print(f"{domain:<{widths[0]}}  {name:<{widths[1]}}  {'  '.join(rest).rstrip()}")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, style in (("operation", "cyan"), ("formula", ""), ("", "dim")):
        table.add_column(heading, style=style, no_wrap=heading != "formula")
    for domain, group in operations().items():
        table.add_row(Text(f"\n{domain}", "bold"))
        for o in group:
            shapes = Text(f"\n{o.shapes}", "dim") if o.shapes.startswith("(") else ""
            table.add_row(o.name, Text(o.formula).append(shapes), "\n".join(marks(o)))
    Console().print(table)


def describe(o, width=80):
    """One operation in full, as text for a terminal of `width` columns."""

    def row(label, text):
        return textwrap.fill(f"{label:<14}{text}", width, subsequent_indent=" " * 16, break_long_words=False)

    lines = [o.signature, o.place, "", o.text, "", row("value", o.formula)]
    for rule in o.rules:
        lines += [row("rule", rule.text), row("  keeps", ", ".join(rule.keeps) or "nothing")]
    lines += ["", row("shapes", o.shapes), row("inputs", "; ".join(f"{name} {domain}" for name, domain in o.inputs.items()))]
    lines.append(row("kinks", o.kinks or "none"))
    if o.surrogate:
        lines.append(row("surrogate", "the rule is not the derivative, on purpose"))
    if o.view:
        lines.append(row("memory", f"the result shares that of {next(iter(o.inputs))}"))
    if not o.analytic:
        lines.append(row("complex step", "not possible: computed through abs, max or a comparison"))
    lines.append(row("twin", o.twin or "none"))
    lines += [row("words" if i == 0 else "", f"{name}: {text}") for i, (name, text) in enumerate(o.words.items())]
    return "\n".join(lines)


def render():
    """The reference of all operations as the text of a page."""
    found = operations()
    return template("operations.html.j2").render(
        version=tinyae.__version__,
        domains=[(domain, inspect.getdoc(sys.modules[f"tinyae.ops.{domain}"]), group) for domain, group in found.items()],
        count=sum(map(len, found.values())),
        blocks=blocks,
        code=code,
        mathml=mathml,
    )


def blocks(text):
    """The paragraphs of a docstring as (kind, text); an indented one is "pre": its lines stay as they are."""
    paragraphs = [paragraph.strip("\n") for paragraph in (text or "").split("\n\n") if paragraph.strip()]
    return [("pre", textwrap.dedent(p)) if all(line.startswith("  ") for line in p.splitlines()) else ("p", p) for p in paragraphs]


def code(text):
    """A text for the page in which `names` in backticks are set as code."""
    return Markup(re.sub(r"`([^`\n]+)`", r"<code>\1</code>", str(escape(text))))


def write_page(path):
    """Write the reference as one page that needs no network; the file is whole or absent.  Returns its path.

    Raises RunError where it cannot be written.
    """
    path = pathlib.Path(path)
    write_atomic(path, render())
    return path
