"""The report of a run: its terms, its settings, what was minimised, and the pictures, in one file that needs no network."""

import base64
import re
from pathlib import Path

from tinyae.figures import binarisation_of, by, pictures_of, png, things
from tinyae.report.derivations import derivations
from tinyae.report.step import write_step
from tinyae.report.templates import template
from tinyae.training.files import write_atomic
from tinyae.training.monitor import ACTIVE
from tinyae.training.trainer import LOOKED_AT

TERMS = {
    "loss": ("loss", "nats per example"),
    "negative_elbo": ("negative ELBO", "nats per example"),
    "reconstruction": ("reconstruction", "nats per example"),
    "kl": ("KL divergence", "nats per example"),
    "mse": ("mean squared error", "per feature"),
    "kl_top": ("KL of the top level", "nats per example"),
    "codebook": ("codebook term", "squared distance, summed over sites"),
    "commitment": ("commitment term", "squared distance, summed over sites"),
}
SQUARED = {
    "loss": "squared error per example",
    "reconstruction": "squared error per example",
    "penalty": "units of the loss",
    "aux": "units of the loss",
}
PIXELS_PER_INCH = 100  # at which the figures' smallest print is still readable


def write_report(folder, *, model, rows, train, test, config, metrics):
    """Draw `folder`/figures/NAME.png and write `folder`/microscope.html and report.html; each file is whole or absent.

    rows: the history, a dict for each epoch.  train, test: Datasets.  config: the settings, `command` among them.
    metrics: the content of metrics.json, also "interrupted", "stopped" (early), and "warnings", sentences.  Returns the path of the page.
    """
    folder = Path(folder)
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    figures = []
    for picture in pictures_of(model, rows, train, test, metrics.get("seed", 0)):
        drawn = isinstance(picture.figure, str)  # an SVG
        data = picture.figure.encode() if drawn else png(picture.figure)
        write_atomic(folder / "figures" / f"{picture.name}.{'svg' if drawn else 'png'}", data)
        figures.append(_figure(picture, data))
    write_step(folder, model=model, test=test, seed=metrics.get("seed", 0), title=f"One training step: {_kind(model)} on {test.name}")
    path = folder / "report.html"
    page = render(model=model, rows=rows, train=train, test=test, config=config, metrics=metrics, figures=figures)
    write_atomic(path, page)
    return path


def render(*, model, rows, train, test, config, metrics, figures):
    """The page as text.  figures: dicts with name, caption, alt, source (a data URI), width and height in pixels."""
    return template("report.html.j2").render(
        title=f"{_kind(model)} on {test.name}",
        summary=_summary(model, train, test),
        things=things(test),
        notices=_notices(rows, config, metrics),
        kept=_kept(rows, config, metrics),
        grey=test.binarisation == "grey" and _likelihood(model) == "bernoulli",
        command=config.get("command"),
        train_from_history="train" not in metrics,
        seen=_seen(model, rows, test),
        truth=_truth(test, metrics),
        draws=metrics.get("draws") if model.likelihood is not None else None,
        terms=_terms(model, rows, metrics),
        settings=_settings(config, metrics),
        versions=metrics.get("versions") or config.get("versions", {}),
        vae=model.likelihood is not None,
        about=model.about,
        derivations=derivations(model),
        figures=figures,
    )


def _figure(picture, data):
    if isinstance(picture.figure, str):
        kind, (width, height) = "svg+xml", (round(float(size)) for size in re.search(r'viewBox="\S+ \S+ (\S+) (\S+)"', picture.figure).groups())
    else:
        kind, (width, height) = "png", (round(inches * PIXELS_PER_INCH) for inches in picture.figure.get_size_inches())
    source = f"data:image/{kind};base64," + base64.b64encode(data).decode()
    return {"name": picture.name, "caption": picture.caption, "alt": picture.alt, "source": source, "width": width, "height": height}


def _likelihood(model):
    return None if model.likelihood is None else model.likelihood.name


def _kind(model):
    return model.about.title


def _summary(model, train, test):
    """What model, on what data, binarised how."""
    size = f"{model.latent} latent dimension{'s' if model.latent > 1 else ''}"
    parts = f"{size}, trained on {len(train):,} {things(train)} and tested on {len(test):,} others"
    likelihood = "" if model.likelihood is None else f", {_likelihood(model).capitalize()} likelihood"
    channels = len(test.image_shape) == 3
    shape = f"Images of {by(test.image_shape)} ({'channels, ' * channels}height, width)"
    data = f"Points with {test.features} coordinates." if things(test) == "points" else f"{shape}; {binarisation_of(test)}."
    return f"{_kind(model)} with {parts}{likelihood}. {data}"


def _notices(rows, config, metrics):
    """What a reader must know before the numbers: how far an interrupted run came, and what the monitor warned of."""
    planned = f" of {config['epochs']}" if config.get("epochs", 0) > len(rows) else ""
    interrupted = f"Training was interrupted after {len(rows)}{planned} epochs: these are the numbers of an unfinished run."
    return [interrupted] * bool(metrics.get("interrupted")) + [f"Warning, {sentence}." for sentence in metrics.get("warnings", [])]


def _kept(rows, config, metrics):
    """Which weights early stopping kept, and whether it ended the training; None where it was not asked for."""
    if not config.get("patience") or not rows:
        return None
    term = "validation_negative_elbo" if "validation_negative_elbo" in rows[0] else "validation_loss"
    best = min(rows, key=lambda row: row[term])["epoch"]
    kept = f"The weights, and with them these terms and the pictures, are those after epoch {best}, the best on the validation split."
    stopped = f" Early stopping ended the training after {len(rows)} epochs: the last {config['patience']} brought nothing better."
    return kept + stopped * bool(metrics.get("stopped"))


def _seen(model, rows, test):
    """What the monitor saw after the last epoch, a sentence; None where it saw nothing."""
    last, parts = rows[-1] if rows else {}, []
    if "active_latents" in last:
        parts.append(f"{last['active_latents']} of {model.latent} latent dimensions have a KL of more than {ACTIVE} nats")
    if "dead_units" in last:
        parts.append(f"{last['dead_units']} relu units are 0 for every one of them")
    split = "validation" if "validation_loss" in last else "test"
    return f"After the last epoch, on at most {LOOKED_AT} {things(test)} of the {split} split: {'; '.join(parts)}." if parts else None


def _truth(test, metrics):
    """The best that is possible, where the distribution of the data is known: the mean of -log p(x), in nats, and what is lost to it."""
    if "negative_elbo" not in metrics["test"] or not hasattr(test.truth, "log_prob"):
        return None
    best = -test.truth.log_prob(test.images).mean()
    return {"best": _number(best), "lost": _number(metrics["test"]["negative_elbo"] - best)}


def _terms(model, rows, metrics):
    """A dict for each term of the loss: label, train and test (text, four digits), unit."""
    last = rows[-1] if rows else {}
    test = metrics["test"]
    train = metrics.get("train", {name: last[f"train_{name}"] for name in test if f"train_{name}" in last})
    table = []
    for name in sorted(test, key=lambda name: list(TERMS).index(name) if name in TERMS else len(TERMS)):
        label, unit = TERMS.get(name, (name.replace("_", " "), metrics.get("units", "")))
        if name == "loss" and test[name] == test.get("negative_elbo"):
            continue
        if name in SQUARED and model.likelihood is None:
            unit = SQUARED[name]
        table.append({"label": label, "train": _number(train.get(name)), "test": _number(test[name]), "unit": unit})
    return table


def _number(value):
    return "\N{EN DASH}" if value is None else f"{value:#.4g}".rstrip(".")


def _settings(config, metrics):
    """(name, text) of every setting, a dict's entries by dotted names, then of what the run was made with."""
    made = {name: metrics[name] for name in ("seed", "backend", "wall_seconds") if name in metrics and name not in config}
    return [pair for pair in _flat(config | made) if pair[0] != "command" and not pair[0].startswith("versions.")]


def _flat(settings, prefix=""):
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, (list, tuple)):
            yield prefix + name, ", ".join(map(str, value))
        elif value is not None:
            yield prefix + name, f"{value:.6g}" if isinstance(value, float) else str(value)
