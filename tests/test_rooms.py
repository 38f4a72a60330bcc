"""The house: one-way imports, sizes, docstrings, and what `import tinyae` loads."""

import ast
import pathlib
import subprocess
import sys

import pytest

PACKAGE = pathlib.Path(__file__).parent.parent / "tinyae"
ROOMS = "__main__ cli course report microscope figures training evaluation models data distributions optim nn checks ops kernels autograd".split()
ROOMS += ["guards", "backend", "formula", "errors", "lazy"]
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent.name != "lessons")


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(source):
    """The rooms that a source imports, wherever the import stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "tinyae":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tinyae."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("tinyae."))


def upstairs(room, source):
    """The imports of `source` that lead from `room` to a room above it."""
    return [name for name in imported_rooms(source) if name in ROOMS and ROOMS.index(name) < ROOMS.index(room)]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_from_rooms_below(path):
    if path.name == "__init__.py" and path.parent == PACKAGE:
        return
    assert room_of(path) in ROOMS, "a room that is not on the map"
    assert upstairs(room_of(path), path.read_text()) == []


def test_an_import_upstairs_is_noticed():
    assert upstairs("ops", "def f():\n    from tinyae.models import VAE") == ["models"]
    assert upstairs("ops", "import tinyae.nn.layers") == ["nn"]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_and_functions_stay_readable(path):
    source = path.read_text()
    assert source.count("\n") <= 400
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 45, f"{node.name} is long"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_whatever_is_public_has_a_docstring(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "the file says what it is for"
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name


def lines_of_code(source):
    """The lines that are neither blank, nor comment, nor docstring."""
    tree, told = ast.parse(source), set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            told |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return [n for n, line in enumerate(source.splitlines(), 1) if line.strip() and not line.strip().startswith("#") and n not in told]


def test_autograd_is_read_in_one_sitting():
    sources = [path.read_text() for path in (PACKAGE / "autograd").glob("*.py")]
    assert sum(len(lines_of_code(source)) for source in sources) <= 460
    assert sum(line.strip() != "" for source in sources for line in source.splitlines()) <= 550


def primitives_of(path):
    """(name, lines of code) of each primitive in a file: its function, its rules and its twin."""
    source = path.read_text()
    code, found = lines_of_code(source), {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            mark = ast.unparse(node.decorator_list[0])
            name = node.name if mark.startswith("primitive") else mark.split(".")[0]
            lines = range(node.decorator_list[0].lineno, node.end_lineno + 1)
            found[name] = found.get(name, 0) + sum(n in lines for n in code)
    return found.items()


@pytest.mark.parametrize("path", sorted((PACKAGE / "ops").glob("*.py")), ids=lambda p: p.name)
def test_a_primitive_and_its_rules_fit_on_one_screen(path):
    assert {name: lines for name, lines in primitives_of(path) if lines > 27} == {}


def test_import_loads_numpy_and_nothing_heavier():
    code = "import sys, tinyae; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "numpy" in loaded
    heavy = "matplotlib rich pooch safetensors jinja2 latex2mathml executing hypothesis cupy scipy".split()
    assert not set(heavy) & set(loaded)
