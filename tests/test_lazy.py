"""Names that are loaded when they are first asked for: what an import leaves alone, and that nobody notices otherwise."""

import importlib
import subprocess
import sys

import pytest

import tinyae as ta

PACKAGES = ["tinyae", "tinyae.evaluation", "tinyae.models"]
FIRST_TRAINING = """
import tinyae as ta
digits = ta.data.load("digits", split="train")
model = ta.models.VAE(features=64, rng=ta.rng(0))
ta.fit(model, digits.rows(slice(0, 100)), test=digits.rows(slice(100, 200)), epochs=1, progress=False)
"""


def loaded(code):
    """The modules that are there after a program in an interpreter of its own."""
    program = f"import sys\n{code}\nprint(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split())


def test_import_loads_the_backend_and_no_other_room():
    modules = loaded("import tinyae")
    assert {name for name in modules if name.startswith("tinyae")} == {"tinyae", "tinyae.backend", "tinyae.errors", "tinyae.lazy"}
    assert not modules & {"argparse", "dataclasses", "importlib.metadata", "json", "numpy.ma", "numpy.random", "pathlib", "tempfile"}


def test_a_first_training_loads_neither_checks_nor_metrics_nor_pictures():
    modules = loaded(FIRST_TRAINING)
    assert {"tinyae.training.fit", "tinyae.evaluation.terms", "tinyae.models.vae"} <= modules
    rooms = {f"tinyae.{room}" for room in ("checks", "cli", "course", "evaluation.metrics", "figures", "microscope", "models.iwae", "report")}
    assert not modules & (rooms | {"PIL", "importlib.metadata", "jinja2", "matplotlib", "pooch", "rich", "safetensors", "statistics"})


def test_a_page_of_help_loads_no_pictures():
    program = """
import contextlib
from tinyae.cli import main
with contextlib.suppress(SystemExit):
    main(["train", "--help"])
"""
    modules = loaded(program)
    assert "tinyae.cli.uses" in modules
    assert not modules & {"tinyae.figures", "tinyae.report", "matplotlib", "PIL", "jinja2", "pooch", "rich", "safetensors"}


@pytest.mark.parametrize("name", ta.__all__)
def test_a_name_can_be_the_first_that_is_asked_for(name):
    assert "tinyae" in loaded(f"from tinyae import {name}")


def test_a_tensor_has_its_operators_from_the_beginning():
    for package in ("tinyae", "tinyae.autograd"):
        assert "3.0" in loaded(f"from {package} import Tensor\nprint(float((2 * Tensor([1.0]) + 1).sum()))")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_there_and_listed(package):
    package = importlib.import_module(package)
    assert len(set(package.__all__)) == len(package.__all__)
    assert set(package.__all__) <= set(dir(package))
    for name in package.__all__:
        value = getattr(package, name)
        assert getattr(value, "__name__", name).rpartition(".")[2] == name
        assert vars(package)[name] is value, "the second look finds it at once"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_name_that_is_not_there_is_an_attribute_error(package):
    package = importlib.import_module(package)
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'nonsense'"):
        _ = package.nonsense
    assert not hasattr(package, "nonsense")


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """A package with lazy names, of which each file fails in its own way."""
    (tmp_path / "broken").mkdir()
    files = {"attribute": "import math; math.nonsense", "absent": "import no_such_library", "value": "raise ValueError('its own')", "empty": ""}
    for name, text in files.items():
        (tmp_path / "broken" / f"{name}.py").write_text(text)
    lines = (
        "from tinyae.lazy import lazily",
        f"__all__, __getattr__, __dir__ = lazily(__name__, {[f'{name}.f_{name}' for name in files] + ['value']})",
    )
    (tmp_path / "broken" / "__init__.py").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("broken")
    for name in [name for name in sys.modules if name.partition(".")[0] == "broken"]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        ("f_attribute", ImportError, r"broken\.attribute cannot be loaded: module 'math' has no attribute 'nonsense'"),
        ("f_empty", ImportError, "broken.empty cannot be loaded: .*'f_empty'"),
        ("f_absent", ModuleNotFoundError, "no_such_library"),
        ("f_value", ValueError, "its own"),
        ("value", ValueError, "its own"),
    ],
)
def test_an_error_in_a_file_is_not_taken_for_a_name_that_is_not_there(broken, name, error, text):
    for look in (getattr, hasattr):
        with pytest.raises(error, match=text):
            look(broken, name)
    with pytest.raises(error, match=text):
        exec(f"from broken import {name}")
