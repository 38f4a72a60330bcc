"""What is put under the microscope: a small model on digits, or a function in somebody's file."""

import functools
import inspect
import os
import textwrap
from dataclasses import dataclass

from tinyae.backend import Rng
from tinyae.checks.subjects import failed, functions_of, loaded, meant
from tinyae.errors import ArgumentError
from tinyae.microscope.record import record_of
from tinyae.microscope.trace import trace
from tinyae.nn import Module

USUAL = ("loss", "main")  # of a file alone, the function that is meant; else the only one that it defines
KINDS = "vae, autoencoder, or FILE.py::FUNCTION"
STREAMS = {  # of NumPy's generators, and how our streams are asked
    "rng.normal(shape)": ("standard_normal", "randn"),
    "rng.uniform(shape)": ("random", "rand", "random_sample"),
    "rng.bernoulli(probability)": ("binomial",),
    "rng.permutation(n)": ("shuffle", "permuted", "choice", "integers", "randint"),
}


@dataclass
class Target:
    """A function that gives a loss, and what it is called with.

    title: of pages and records.  heading: what a reader must know of it.  units: of the loss, where they are known.
    model: a Module whose parameters are called by their dotted names.  image_shape: of rows that are images.
    """

    title: str
    function: object
    args: tuple
    kwargs: dict
    seed: int
    model: object = None
    heading: str = ""
    units: str = ""
    image_shape: tuple | None = None

    def trace(self):
        """The Trace of one call, forward and backward.  Raises ArgumentError where there is no loss, or somebody's file fails."""
        return trace(self.function, *self.args, model=self.model, **self.kwargs)

    def record(self, found=None, **settings):
        """The record of a trace of it, by default of a new one; settings: of `record_of`."""
        found = self.trace() if found is None else found
        return record_of(found, title=self.title, seed=self.seed, image_shape=self.image_shape, **settings)


def load_target(text, seed=0, **sizes):
    """The Target of "vae", "autoencoder", "FILE.py::FUNCTION" or "FILE.py".

    sizes: `channels`, `hidden`, `latent`, `batch` of a model.  A file is run once under its own name, so what stands below
    `if __name__ == "__main__"` is not; its folder is on the path, for helpers in other files.  FUNCTION may be a method of one of its
    objects, `model.loss`; it is called with `ta.rng(seed)` as `rng` and, for each other parameter without a default, with the variable
    of that name.  FILE.py alone means its function `loss`, else `main`, else the only one that it defines.
    Raises ArgumentError for anything else, and with their own file and line for errors of the file.
    """
    file, _, name = text.partition("::")
    if not file.endswith(".py"):
        check_no_file(text)
        return model_target(text, seed, **sizes)
    if sizes:
        raise ArgumentError(f"--{next(iter(sizes))} is the size of a model.", got=text, remedy="set it in the file")
    return file_target(file, name, seed)


def check_no_file(text):
    """Raise ArgumentError for what is no Python file, but looks like a file: it has an ending, a colon or a slash."""
    file, _, function = text.partition(".py:")
    if function:
        raise ArgumentError(f"{text}: a function stands after two colons, FILE.py::FUNCTION.", remedy=f"{file}.py::{function}")
    if any(mark in text for mark in "./:" + os.sep):
        raise ArgumentError(f"{text}: it is no model, and no function in a Python file.", expected=KINDS)


def model_target(name, seed=0, batch=4, latent=2, hidden=(16,), channels=(), activation="tanh"):
    """One training step of a small model, "vae" or "autoencoder", on digits binarised at 0.5.

    Raises ArgumentError for an unknown model, a size that is no whole number, a batch of more than there is, or an unknown activation.
    """
    from tinyae import backend, data, models

    if name not in models.MODELS:
        raise ArgumentError(f"unknown model {name!r}.", expected=KINDS, remedy=meant(name, models.MODELS, None))
    rng = backend.rng(seed)
    digits = data.load("digits", split="train").binarise("threshold")
    if batch > len(digits):
        raise ArgumentError(f"a batch of {batch} is more than there is.", expected=f"at most the {len(digits)} training digits")
    settings = {"features": digits.features, "latent": latent, "hidden": tuple(hidden), "activation": activation}
    if channels:
        settings |= {"channels": tuple(channels), "image_shape": digits.image_shape}
    model = models.build({"model": name} | settings, rng.stream("weights"))
    x = next(iter(digits.batches(batch, rng=rng.stream("batches"))))
    noise = {"rng": rng.stream("noise")} if hasattr(model, "draw_noise") else {}
    described = ", ".join(f"{key}={value!r}" for key, value in model.config.items() if key != "model" and value not in (None, ()))
    title = f"One training step of {type(model).__name__}({described})"
    heading = f"{title}.\nSeed {seed}; a batch of {len(x)} training digits, each pixel 1 where the grey value is above 0.5."
    units = "nats per example" if name == "vae" else "squared error, summed over features (mse: per feature)"
    return Target(title, model.loss, (x,), noise, seed, model, heading, f"{units}, mean over the batch", digits.image_shape)


def file_target(file, name, seed):
    """A function in a file, see `load_target`."""
    module = loaded(file)
    name = name or usual(file, module)
    function = found(file, module, name)
    bound = arguments(file, module, name, function, seed)
    values = {**vars(module), **bound.arguments}
    title = f"{file}::{name}"
    return Target(title, guarded(file, name, function), bound.args, bound.kwargs, seed, model_of(function, values), f"{title}, seed {seed}.")


def usual(file, module):
    """The name of the function that a file alone stands for."""
    own = [name for name in functions_of(module) if getattr(getattr(module, name), "__module__", None) == module.__name__]
    if len(chosen := [name for name in USUAL if name in own][:1] or own) == 1:
        return chosen[0]
    raise ArgumentError(
        f"{file}: which function?", expected=f"{file}::FUNCTION, or one called {' or '.join(USUAL)}", got=f"it has {', '.join(own) or 'none'}"
    )


def found(file, module, name):
    """The function of that name, or the method of an object, `model.loss`."""
    value = module
    for part in name.split("."):
        if not hasattr(value, part):
            known = functions_of(module)
            hint = meant(name, known, f"it has {', '.join(known) or 'none'}")
            raise ArgumentError(f"{file}: there is no function {name!r}.", remedy=hint)
        owner, value = value, getattr(value, part)
        kind = value if inspect.isclass(value) else owner if inspect.isclass(owner) and inspect.isfunction(value) else None
        if kind is not None and part == name.rpartition(".")[2]:
            m, method = kind.__name__[0].lower(), part if kind is owner else "loss"
            raise ArgumentError(f"{file}: {kind.__name__} is a class.", remedy=f"make one: {m} = {kind.__name__}(...), then {file}::{m}.{method}")
    if not callable(value):
        raise ArgumentError(f"{file}: {name} is no function.", got=type(value).__name__)
    return value


def arguments(file, module, name, function, seed):
    """What a function is called with, as BoundArguments: `rng`, variables of the module by their names, defaults."""
    from tinyae.backend import rng

    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        raise ArgumentError(f"{file}: {name} does not say which parameters it has.", remedy="a function of yours that calls it") from None
    values = {}
    for parameter in signature.parameters.values():
        if parameter.name == "rng":
            values["rng"] = rng(seed)
        elif parameter.default is parameter.empty and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            if parameter.name not in vars(module):
                remedy = f"{parameter.name} = ... at the top level of the file, or a default"
                raise ArgumentError(f"{file}: {name} takes {parameter.name}, and the file has no variable of that name.", remedy=remedy)
            values[parameter.name] = vars(module)[parameter.name]
    # what stands behind a positional parameter that keeps its default is passed by name
    return inspect.BoundArguments(signature, values)


def model_of(function, values):
    """The Module that names the parameters: the object of a method, the only one among the values, or all of them as one."""
    if isinstance(owner := getattr(function, "__self__", function), Module):
        return owner
    modules = {name: value for name, value in values.items() if isinstance(value, Module)}
    parts = {id(part) for module in modules.values() for _, part in module.named_parts(Module) if part is not module}
    whole = {id(module): (name, module) for name, module in modules.items() if id(module) not in parts}
    if len(whole) == 1:
        return next(iter(whole.values()))[1]
    together = Module()
    vars(together).update(whole.values())
    return together if whole else None


def guarded(file, name, function):
    """The function; what it raises is an ArgumentError that names the file and the line."""

    @functools.wraps(function, assigned=(), updated=())
    def call(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except (Exception, SystemExit) as error:
            raise failed(file, error, stream_of_ours(error)) from error

    call.__name__ = name
    return call


def stream_of_ours(error):
    """What to write where a method of NumPy's generators was asked of one of our streams; None for any other error."""
    if not (isinstance(error, AttributeError) and isinstance(error.obj, Rng)):
        return None
    return next((ours for ours, theirs in STREAMS.items() if error.name in theirs), ", ".join(STREAMS))


def wrapped(text, width):
    """A text whose paragraphs are filled to a width."""
    return "\n".join(textwrap.fill(paragraph, width) for paragraph in text.splitlines())
