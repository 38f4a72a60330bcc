"""What the command names: a small model, or a function in somebody's file, with what it is called with and its own errors."""

import os

import numpy as np
import pytest
import scripts

import tinyae as ta
from tinyae.errors import ArgumentError, one_line
from tinyae.microscope.target import load_target

HEAD = "import numpy as np\nimport tinyae as ta\nfrom tinyae import ops\nw = ta.Tensor(np.ones((2, 2)), requires_grad=True)\nx = np.eye(2)\n"


@pytest.fixture
def write(somebody, request):
    """write(text): a file of its own name with that text; returns its path."""
    names = iter("abcdefgh")

    def make(text, name=None):
        path = somebody / f"{name or 'own_' + next(names)}.py"
        path.write_text(HEAD + text)
        return path

    return make


def names_of(target):
    """The names of the leaves."""
    return [name for name, _ in target.trace().leaves.values()]


def message(text, **settings):
    """The one line of the error that a target gives."""
    with pytest.raises(ArgumentError) as caught:
        load_target(text, **settings).trace()
    return one_line(caught.value)


# ---- models


def test_sizes_reach_the_model():
    target = load_target("vae", hidden=[5, 4], latent=3, batch=7)
    assert target.model.config["hidden"] == (5, 4)
    assert target.args[0].shape == (7, 64)
    assert "latent=3" in target.title
    convolutional = load_target("autoencoder", channels=[2, 3])
    assert "conv2d" in {line.primitive.name for line in convolutional.trace().lines}
    assert convolutional.image_shape == (8, 8)


@pytest.mark.parametrize(("text", "says"), [("gan", "unknown model 'gan'."), ("vea", "did you mean vae?"), ("", "FILE.py::FUNCTION")])
def test_what_is_no_model_and_no_file_is_one_line(text, says):
    assert says in message(text)


@pytest.mark.parametrize("text", ["mlp.txt", ".", "a.txt::f", "folder/file", "two:a", "vae.json"])
def test_what_looks_like_a_file_but_is_no_python_file_is_told_the_form(text):
    assert message(text) == f"{text}: it is no model, and no function in a Python file. (expected: vae, autoencoder, or FILE.py::FUNCTION)"


def test_one_colon_is_told_to_be_two():
    assert message("two.py:a") == "two.py:a: a function stands after two colons, FILE.py::FUNCTION. (remedy: two.py::a)"


def test_a_model_s_name_is_a_model_also_beside_a_folder_of_that_name(somebody, monkeypatch):
    (somebody / "vae").mkdir()
    monkeypatch.chdir(somebody)
    assert "VAE(" in load_target("vae").title


def test_a_batch_of_more_than_the_data_is_one_line():
    assert "a batch of 100000 is more than there is. (expected: at most the" in message("vae", batch=100000)
    digits = len(ta.data.load("digits", split="train"))
    assert load_target("vae", batch=digits).args[0].shape[0] == digits
    assert "is more than" in message("vae", batch=digits + 1)


# ---- what a function is called with


def test_a_function_gets_the_variables_of_its_names_and_keeps_its_defaults(write):
    path = write("def loss(x, w, *, scale, power=2, **more):\n    return (scale * (x @ w) ** power).sum()\nscale = 3.0\n")
    target = load_target(f"{path}::loss")
    assert target.trace().loss.item() == 12.0
    assert names_of(target) == ["w"]
    assert target.title == f"{path}::loss"


def test_rng_comes_from_the_seed_with_or_without_a_default(write):
    path = write("def loss(w, rng):\n    return (w * rng.normal((2, 2), 'float64')).sum()\ndef other(w, rng=None):\n    return loss(w, rng)\n")
    values = [load_target(f"{path}::{name}", seed).trace().loss.item() for name in ("loss", "other") for seed in (0, 0, 1)]
    assert values[0] == values[1] == values[3] == values[4]
    assert values[2] == values[5] != values[0]


def test_positional_only_parameters_are_given(write):
    path = write("def loss(x, w, /, k=1):\n    return (x @ w).sum()\n")
    assert load_target(f"{path}::loss").trace().loss.item() == 4.0


def test_a_missing_variable_is_named(write):
    path = write("def loss(w, batch):\n    return w.sum()\n")
    assert f"{path}: loss takes batch, and the file has no variable of that name." in message(f"{path}::loss")


def test_a_file_alone_means_its_loss_its_main_or_its_only_function(write):
    body = "def {}(w):\n    return w.sum()\n"
    assert load_target(str(write(body.format("other") + body.format("loss")))).title.endswith("::loss")
    assert load_target(str(write(body.format("other") + body.format("main")))).title.endswith("::main")
    assert load_target(str(write(body.format("single")))).title.endswith("::single")
    path = write(body.format("one") + body.format("two"))
    assert f"{path}: which function? (expected: {path}::FUNCTION, or one called loss or main; got: it has one, two)" in message(str(path))
    assert "it has none" in message(str(write("")))


def test_a_gradient_from_before_is_not_added(write):
    path = write("def loss(w):\n    return w.sum()\nloss(w).backward()\n")
    target = load_target(f"{path}::loss")
    for _ in range(2):
        ((_, leaf),) = target.trace().leaves.values()
        np.testing.assert_array_equal(leaf.grad, 1.0)


# ---- modules


MODEL = """
class Net(ta.nn.Module):
    def __init__(self, rng):
        self.first = ta.nn.Linear(2, 3, rng=rng)
        self.second = ta.nn.Linear(3, 1, rng=rng)
    def forward(self, x):
        return self.second(ops.tanh(self.first(x)))
    def loss(self, x):
        return ops.square(self(x)).mean()
model = Net(ta.rng(0))
def loss(x):
    return model.loss(x)
def given(model, x):
    return model.loss(x)
x = np.eye(2, dtype=np.float32)
"""


@pytest.mark.parametrize("function", ["loss", "given", "model.loss"])
def test_parameters_have_the_dotted_names_of_their_module(function, write):
    names = names_of(load_target(f"{write(MODEL)}::{function}"))
    assert names == ["first.weight", "first.bias", "second.weight", "second.bias"]


@pytest.mark.parametrize("function", ["Net.loss", "Net"])
def test_a_class_is_told_to_be_made_first(function, write):
    path = write(MODEL)
    assert message(f"{path}::{function}") == f"{path}: Net is a class. (remedy: make one: n = Net(...), then {path}::n.loss)"


def test_a_function_kept_in_a_class_or_an_instance_is_one(write):
    path = write("class A:\n    @staticmethod\n    def two(w):\n        return w.sum()\na = A()\n")
    assert load_target(f"{path}::a.two").trace().loss.item() == 4.0


def test_a_method_of_numpy_s_generators_is_told_ours(write):
    path = write("def loss(w, rng):\n    return (w * rng.{}((2, 2))).sum()\n".format("standard_normal"))
    assert message(f"{path}::loss").endswith("has no attribute 'standard_normal' (remedy: rng.normal(shape))")
    path = write("def loss(w, rng):\n    return (w * rng.random((2, 2))).sum()\n")
    assert message(f"{path}::loss").endswith("(remedy: rng.uniform(shape))")
    path = write("def loss(w, rng):\n    return (w * rng.gamma((2, 2))).sum()\n")
    assert "remedy: rng.normal(shape), rng.uniform(shape)" in message(f"{path}::loss")
    path = write("def loss(w, rng):\n    return w.standard_normal()\n")
    assert "rng.normal" not in message(f"{path}::loss")


def test_several_modules_have_the_names_of_their_variables(write):
    text = MODEL + "encoder, decoder = model.first, model.second\ndel model\ndef pair(x):\n    return decoder(encoder(x)).sum()\n"
    assert names_of(load_target(f"{write(text)}::pair")) == ["encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias"]


def test_a_part_of_a_module_is_no_module_of_its_own(write):
    path = write(MODEL + "part = model.first\n")
    assert names_of(load_target(f"{path}::loss"))[0] == "first.weight"


# ---- the file


def test_a_file_runs_under_its_own_name_with_helpers_beside_it(somebody, monkeypatch):
    path = scripts.write(somebody)
    monkeypatch.chdir("/")
    target = load_target(f"{path}::loss")
    assert target.function.__name__ == "loss"
    assert len(target.trace().lines) > 20


ERRORS = {
    "syntax": ("def loss(w:\n    pass\n", "::loss", 6, "SyntaxError: '(' was never closed"),
    "at import": ("1 / 0\n", "::loss", 6, "ZeroDivisionError: division by zero"),
    "exit": ("raise SystemExit('no data')\n", "::loss", 6, "SystemExit: no data"),
    "in the function": ("def loss(w):\n    y = w * 2\n    return y[5]\n", "::loss", 8, "index 5 is out of bounds"),
    "of ours": ("def loss(w):\n    return w @ np.ones(3)\n", "::loss", 7, "matmul: "),
    "import": ("import nowhere_to_be_found\n", "::loss", 6, "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_of_the_file_names_its_line(kind, write):
    text, function, line, says = ERRORS[kind]
    path = write(text)
    found = message(f"{path}{function}")
    assert found.startswith(f"{path}, line {line}: ")
    assert says in found
    assert "\n" not in found


def test_an_error_in_a_helper_names_the_helper(write, somebody, monkeypatch):
    write("def half(w):\n    return w / None\n", "helper_that_fails")
    path = write("from helper_that_fails import half\ndef loss(w):\n    return half(w).sum()\n")
    monkeypatch.chdir(somebody)
    assert message(f"{path}::loss").startswith("helper_that_fails.py, line 7: ")
    write("def broken(:\n", "helper_with_a_fault")
    path = write("import helper_with_a_fault\ndef loss(w):\n    return w.sum()\n")
    assert message(f"{path}::loss").startswith("helper_with_a_fault.py, line 6: SyntaxError")


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        ("def loss(w):\n    return w.sum()\n", "::los", "there is no function 'los'. (remedy: did you mean loss?)"),
        ("", "::w.nothing", "there is no function 'w.nothing'."),
        ("five = 5\n", "::five", "five is no function. (got: int)"),
        ("def loss(w):\n    return 5\n", "::loss", "trace: loss gives no loss."),
        ("def loss(x):\n    return x.sum()\n", "::loss", "trace: loss gives no loss."),
        ("def loss(w):\n    return w + 1\n", "::loss", "trace: loss gives no loss."),
        ("", "::dict", "there is no function 'dict'"),
    ],
)
def test_what_gives_no_loss_is_one_line(text, name, says, write):
    assert says in message(f"{write(text)}{name}")


def test_a_file_that_is_not_there_and_sizes_of_a_file_are_one_line(write):
    assert "there is no file nowhere.py." in message("nowhere.py::loss")
    assert "--latent is the size of a model." in message(f"{write('')}::loss", latent=3)


def test_the_working_folder_may_be_the_file_s(write, somebody, monkeypatch):
    path = write("def loss(w):\n    return w.sum() + missing\n")
    monkeypatch.chdir(somebody)
    assert message(f"{os.path.basename(path)}::loss").startswith(f"{os.path.basename(path)}, line 7: NameError")
