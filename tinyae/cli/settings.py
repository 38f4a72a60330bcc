"""The settings of a training: options, the defaults of model and data set, and the model that they make."""

import inspect
import re

import tinyae as ta
from tinyae.data.images import are_grey
from tinyae.errors import ArgumentError
from tinyae.models import model_named
from tinyae.models.likelihoods import HAVE_A_VARIANCE

BINARY = {"likelihood": "bernoulli", "binarisation": "dynamic"}
GREY = {"likelihood": "gaussian", "binarisation": "grey"}
LARGE = {"latent": 20, "hidden": [400], "activation": "relu", "epochs": 10, "batch": 128, "lr": 1e-3, **BINARY}
COLOUR = LARGE | GREY | {"latent": 32, "variance": 0.02, "epochs": 20}
POINTS = LARGE | GREY | {"latent": 2, "hidden": [64, 64], "variance": 0.02, "epochs": 30}
DEFAULTS = {
    "digits": {"latent": 2, "hidden": [128], "activation": "tanh", "epochs": 600, "batch": 100, "lr": 1e-3, **BINARY, "binarisation": "threshold"},
    "mnist": LARGE,
    "fashion-mnist": LARGE,
    "shapes": LARGE | {"latent": 6, "hidden": [200], "epochs": 30},
    "shapes-64": LARGE | {"latent": 6},
    "cifar-10": COLOUR,
    "celeba": COLOUR,
}
NETWORK = "latent hidden channels activation likelihood variance".split()  # settings that make the model, each an option of its own


def defaults():
    """The defaults of each data set as options, a line each; a model's own come before them."""
    lines = []
    for name, settings in (DEFAULTS | {"points": POINTS}).items():
        options = {key: " ".join(map(str, value)) if isinstance(value, list) else value for key, value in settings.items()}
        lines.append(f"  {name:<15}" + " ".join(f"--{key} {value}" for key, value in options.items()))
    lines.append("  (points: the sets from two-moons on; a folder: as mnist where all its images are grey, else as cifar-10)")
    return "\n".join([*lines, "  A model's own defaults, on the data set that it takes without --data: tinyae models NAME"])


def settings_of(arguments):
    """All settings of a training: what was given, else the model's default for its data set, else the default for the data set."""
    kind = model_named(arguments.model)
    given = {k: v for k, v in vars(arguments).items() if k not in ("run", "out", "resume")}
    given |= {"data": given["data"] or kind.about.data, "seed": given["seed"] or 0, "backend": given["backend"] or "numpy"}
    given["set"] = dict(chosen(kind, assignment) for assignment in given["set"] or ())
    check_options(kind, given)
    own = kind.about.training if given["data"] == kind.about.data else {}
    usual = getattr(accepted(kind).get("likelihood"), "default", "bernoulli")  # a model may be made for another one
    made_for = {} if usual == "bernoulli" else {"likelihood": usual, "variance": None, "binarisation": "grey"}
    default = defaults_for(given["data"]) | made_for | own
    if "likelihood" not in accepted(kind):
        default = default | {"likelihood": None, "variance": None, "binarisation": own.get("binarisation", "grey")}
    elif given["likelihood"] not in (None, default["likelihood"]):
        default = default | {"variance": None} | ({} if given["likelihood"] == "bernoulli" else {"binarisation": "grey"})
    found = {k: default.get(k) if v is None else v for k, v in given.items()} | {k: None for k in NETWORK if k not in accepted(kind)}
    if found["likelihood"] not in HAVE_A_VARIANCE and found["variance"] is not None:
        those = ", ".join(HAVE_A_VARIANCE)
        raise ArgumentError(f"--variance: only these likelihoods have one: {those}.", remedy="add --likelihood gaussian, or leave it out")
    return found


def accepted(kind):
    """The settings of a class of models, by name: parameters of its constructor, those of the classes that it hands others on to too."""
    found = {}
    for one in kind.__mro__:
        own = inspect.signature(one.__init__).parameters if "__init__" in vars(one) else {}
        found = {name: p for name, p in own.items() if name not in ("self", "rng") and p.kind is not p.VAR_POSITIONAL} | found
        if own and not any(p.kind is p.VAR_KEYWORD for p in own.values()):
            break
    return {name: p for name, p in found.items() if p.kind is not p.VAR_KEYWORD}


def check_options(kind, given):
    """Raise ArgumentError for an option that this model does not have."""
    missing = [name for name in NETWORK if name not in accepted(kind)]
    if "likelihood" in missing:
        missing += ["warm_up", "free_bits"]
    if unused := [name for name in missing if given[name] is not None]:
        option, name = unused[0].replace("_", "-"), given["model"]
        why = "; it minimises the squared error" if unused[0] in ("likelihood", "variance", "warm_up", "free_bits") else ""
        raise ArgumentError(f"--{option}: {'an' if name[0] in 'aeiou' else 'a'} {name} has none{why}.", remedy=f"its settings: tinyae models {name}")


def chosen(kind, text):
    """(name, value) of NAME=VALUE, a setting of the model that is no option of its own; the type is that of its default."""
    name, _, value = text.partition("=")
    own = {name: p for name, p in accepted(kind).items() if name not in (*NETWORK, "features", "image_shape", "classes")}
    if name not in own or not value:
        expected = "NAME=VALUE, NAME one of " + ", ".join(own) if own else "nothing: this model has no such settings"
        raise ArgumentError(f"--set {text}: no setting of this model.", expected=expected)
    return name, converted(name, value, own[name].default)


def converted(name, value, default):
    """The text `value` as a value of the type that the default has."""
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[value.lower()]
        if isinstance(default, str):
            return value
        if isinstance(default, (tuple, list)):
            return tuple(int(part) for part in re.split("[, ]+", value))
        if default is None and not re.fullmatch(r"[-+.\deE]+", value):
            return value
        return int(value) if isinstance(default, int) or (default is None and value.isdigit()) else float(value)
    except (ValueError, KeyError):
        kinds = {bool: "true or false", tuple: "whole numbers with commas between them", int: "a whole number"}
        expected = f"{kinds.get(type(default), 'a number')}, such as {default}"
        raise ArgumentError(f"--set {name}={value}: the value is of another kind.", expected=expected) from None


def defaults_for(data):
    """The default settings for a data set, or for a folder of images."""
    if data in ta.data.DATASETS:
        return DEFAULTS.get(data, POINTS)
    return LARGE if are_grey(data) else COLOUR


def model_for(s, data):
    """The model of these settings for images of this data set."""
    takes = accepted(model_named(s["model"]))
    config = {"model": s["model"], "features": data.features} | {name: s[name] for name in NETWORK if name in takes and s[name] is not None}
    config |= s["set"]
    if "classes" in takes:
        config["classes"] = int(data.labels.max()) + 1
    if "image_shape" in takes and ("channels" not in takes or takes["channels"].default):  # convolutions without being asked for
        config["image_shape"] = data.image_shape
    if s["channels"] and "channels" in takes:
        if ta.figures.are_points(data.image_shape):
            raise ArgumentError(f"--channels: {data.name} are points, not images.", remedy="leave it out; --hidden for more layers")
        config["image_shape"] = data.image_shape
        most = min(data.image_shape[-2:]).bit_length() - 1
        if len(s["channels"]) > most:
            expected = f"at most {most} of them on {data.image_shape[-2]}x{data.image_shape[-1]} pixels"
            raise ArgumentError("--channels: each convolution halves the image.", expected=expected, got=len(s["channels"]))
    model = ta.models.build(config, ta.rng(s["seed"]).stream("weights"))
    if s["free_bits"] is not None:
        if not hasattr(getattr(model, "objective", None), "free_bits"):
            raise ArgumentError(f"--free-bits: the objective of a {s['model']} has none.")
        model.objective.free_bits = s["free_bits"]
    return model
