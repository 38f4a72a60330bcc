"""A lesson's script: its cells, run one after another in one namespace, and what each of them printed and drew."""

import __future__

import ast
import contextlib
import io
import re
import sys
import types
from pathlib import Path
from typing import NamedTuple

from tinyae.training.interrupt import interrupt_at_once
from tinyae.training.threads import one_thread

MARK = re.compile(r"# ?%%(?:\s+(?P<title>.*))?$")
MARKDOWN = re.compile(r"\[(?:markdown|md)\]\s*")


class Cell(NamedTuple):
    """A part of a script.  kind: "markdown" or "code".  title: what stands after `# %%`.  first: the number of its first line.

    text: prose without its comment signs, or code as it is; without empty lines around it.
    """

    kind: str
    title: str
    first: int
    text: str

    @property
    def lines(self):
        """The numbers of its lines, a range."""
        return range(self.first, self.first + self.text.count("\n") + 1)


class Script(NamedTuple):
    """A percent script: its path, its cells in order, and the syntax tree of the whole."""

    path: Path
    cells: tuple
    tree: ast.Module


def read(path):
    """The Script in a file.  Raises SyntaxError, with the line of the file, where it is no Python."""
    source = Path(path).read_text(encoding="utf-8")
    tree = ast.parse(source, str(path))
    return Script(Path(path), tuple(_cells(source.split("\n"), tree)), tree)


def _cells(lines, tree):
    """The cells between the marks; a mark inside a statement (a string that goes over lines) is none."""
    within = {n for statement in tree.body for n in range(_start(statement) + 1, statement.end_lineno + 1)}
    marks = [(n, found["title"] or "") for n, line in enumerate(lines, 1) if n not in within and (found := MARK.match(line))]
    for (n, title), (end, _) in zip([(0, ""), *marks], [*marks, (len(lines) + 1, "")], strict=True):
        body = lines[n : end - 1]
        if MARKDOWN.match(title):
            prose = next((i for i, line in enumerate(body) if line and not line.startswith("#")), len(body))
            yield from _cell("markdown", MARKDOWN.sub("", title), n + 1, [line.removeprefix("#").removeprefix(" ") for line in body[:prose]])
            yield from _cell("code", "", n + 1 + prose, body[prose:])
        else:
            yield from _cell("code", title, n + 1, body)


def _cell(kind, title, first, lines):
    """The cell without the empty lines around it, if there is anything else."""
    full = [i for i, line in enumerate(lines) if line.strip()]
    if full:
        yield Cell(kind, title.strip(), first + full[0], "\n".join(lines[full[0] : full[-1] + 1]))


def _start(statement):
    """The number of a statement's first line, that of a decorator where there is one."""
    return min([statement.lineno, *(mark.lineno for mark in getattr(statement, "decorator_list", ()))])


def execute(script, name, watch=None):
    """Run the cells in order in one namespace, as `runpy.run_path(path, run_name=name)` runs the file.  Returns the namespace.

    Each cell is compiled with the name of the file and its own line numbers, so that tracebacks, `inspect.getsource` and the microscope
    point into the script.  watch: a Watch, which keeps what each cell printed.  Ctrl-C ends it at once, also in a training.
    """
    future = [alias.name for part in script.tree.body if isinstance(part, ast.ImportFrom) and part.module == "__future__" for alias in part.names]
    flags = sum({getattr(__future__, name).compiler_flag for name in future})
    with _module(script.path, name) as namespace, interrupt_at_once(), one_thread():  # a lesson's networks are small
        for number, cell in enumerate(script.cells):
            statements = [statement for statement in script.tree.body if cell.kind == "code" and _start(statement) in cell.lines]
            if statements:
                code = compile(ast.Module(statements, []), str(script.path), "exec", flags=flags, dont_inherit=True)
                with contextlib.nullcontext() if watch is None else watch.cell(number):
                    exec(code, namespace)
        return dict(namespace)


@contextlib.contextmanager
def _module(path, name):
    """The namespace of a module that is known by its name while it runs, as the program that was called."""
    module = types.ModuleType(name)
    vars(module).update(__file__=str(path), __cached__=None, __package__=name.rpartition(".")[0])
    before, argument = sys.modules.get(name), sys.argv[0]
    sys.modules[name], sys.argv[0] = module, str(path)
    try:
        yield vars(module)
    finally:
        sys.argv[0] = argument
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before


class Output(NamedTuple):
    """What a cell left: the text that it printed, and the names of the figures that it saved."""

    text: str
    figures: tuple


class Watch:
    """Keeps the Output of each cell, by its number.  `lesson` is the record that the script writes into, once it has begun.

    echo: whether what is printed is shown as well.
    """

    def __init__(self, echo=True):
        self.echo, self.lesson, self.outputs = echo, None, {}

    @contextlib.contextmanager
    def cell(self, number):
        """A context in which the cell runs; what an error leaves is kept too."""
        tee, before = Tee(sys.stdout if self.echo else None), self._figures()
        try:
            with contextlib.redirect_stdout(tee):
                yield
        finally:
            figures = tuple(name for name in self._figures() if name not in before)
            self.outputs[number] = Output(self._without_folder(tee.text.getvalue()), figures)

    def _figures(self):
        return () if self.lesson is None else tuple(self.lesson.figures)

    def _without_folder(self, text):
        """Where the files were written is the business of one run: the page of another is to be the same."""
        return text if self.lesson is None else text.replace(f"{self.lesson.out}/", "")


class Tee(io.TextIOBase):
    """A stream that keeps what is written, and hands it on to another one, if there is one.  It is no terminal: what is kept has no colours."""

    def __init__(self, stream):
        self.stream, self.text = stream, io.StringIO()

    def write(self, text):
        """Keep and hand on."""
        if self.stream is not None:
            self.stream.write(text)
        return self.text.write(text)

    def flush(self):
        """Hand on what waits."""
        if self.stream is not None:
            self.stream.flush()

    @property
    def encoding(self):
        """That of the stream."""
        return getattr(self.stream, "encoding", None) or "utf-8"
