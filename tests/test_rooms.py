"""The house: one-way imports, sizes, docstrings, and what `import tinyae` loads."""

import ast
import pathlib
import subprocess
import sys

import pytest

PACKAGE = pathlib.Path(__file__).parent.parent / "tinyae"
ROOMS = "__main__ cli course report microscope figures training evaluation models data distributions optim nn checks ops kernels autograd".split()
ROOMS += ["guards", "backend", "formula", "errors"]
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


def test_autograd_is_read_in_one_sitting():
    assert sum(path.read_text().count("\n") for path in (PACKAGE / "autograd").glob("*.py")) < 750


def test_import_loads_numpy_and_nothing_heavier():
    code = "import sys, tinyae; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "numpy" in loaded
    heavy = "matplotlib rich pooch safetensors jinja2 latex2mathml executing hypothesis cupy scipy".split()
    assert not set(heavy) & set(loaded)
