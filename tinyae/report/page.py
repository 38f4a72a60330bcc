"""The report of a run: its terms, its settings, what was minimised, and the pictures, in one file that needs no network."""

import base64
from pathlib import Path

from tinyae.data import BINARISATIONS
from tinyae.figures import pictures_of, png
from tinyae.report.derivations import derivations
from tinyae.report.templates import template
from tinyae.training.files import write_atomic

TERMS = {
    "loss": ("loss", "nats per example"),
    "negative_elbo": ("negative ELBO", "nats per example"),
    "reconstruction": ("reconstruction", "nats per example"),
    "kl": ("KL divergence", "nats per example"),
    "mse": ("mean squared error", "per feature"),
}
PIXELS_PER_INCH = 100  # at which the figures' smallest print is still readable


def write_report(folder, *, model, rows, train, test, config, metrics):
    """Draw `folder`/figures/NAME.png and write `folder`/report.html; each file is whole or absent.

    rows: the history, a dict for each epoch.  train, test: Datasets.  config: the settings, `command` among them.
    metrics: the content of metrics.json.  Returns the path of the page.
    """
    folder = Path(folder)
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    figures = []
    for picture in pictures_of(model, rows, train, test, metrics.get("seed", 0)):
        data = png(picture.figure)
        write_atomic(folder / "figures" / f"{picture.name}.png", data)
        figures.append(_figure(picture, data))
    path = folder / "report.html"
    page = render(model=model, rows=rows, train=train, test=test, config=config, metrics=metrics, figures=figures)
    write_atomic(path, page)
    return path


def render(*, model, rows, train, test, config, metrics, figures):
    """The page as text.  figures: dicts with name, caption, alt, source (a data URI), width and height in pixels."""
    return template("report.html.j2").render(
        title=f"{_kind(model)} on {test.name}",
        summary=_summary(model, train, test),
        stopped=_stopped(rows, config) if metrics.get("interrupted") else None,
        grey=test.binarisation == "grey" and _likelihood(model) == "bernoulli",
        command=config.get("command"),
        train_from_history="train" not in metrics,
        draws=metrics.get("draws") if model.likelihood is not None else None,
        terms=_terms(model, rows, metrics),
        settings=_settings(config, metrics),
        versions=metrics.get("versions") or config.get("versions", {}),
        vae=model.likelihood is not None,
        derivations=derivations(model),
        figures=figures,
    )


def _figure(picture, data):
    width, height = (round(inches * PIXELS_PER_INCH) for inches in picture.figure.get_size_inches())
    source = "data:image/png;base64," + base64.b64encode(data).decode()
    return {"name": picture.name, "caption": picture.caption, "alt": picture.alt, "source": source, "width": width, "height": height}


def _likelihood(model):
    return None if model.likelihood is None else model.likelihood.name


def _kind(model):
    return "Autoencoder" if model.likelihood is None else "Variational autoencoder"


def _summary(model, train, test):
    """What model, on what data, binarised how."""
    size = f"{model.latent} latent dimension{'s' if model.latent > 1 else ''}"
    parts = f"{size}, trained on {len(train):,} images and tested on {len(test):,} others"
    likelihood = "" if model.likelihood is None else f", {_likelihood(model).capitalize()} likelihood"
    return f"{_kind(model)} with {parts}{likelihood}. Binarisation: {test.binarisation} ({BINARISATIONS[test.binarisation]})."


def _stopped(rows, config):
    """How far a run came that was stopped early."""
    planned = f" of {config['epochs']}" if "epochs" in config else ""
    return f"Training was stopped early, after {len(rows)}{planned} epochs: these are the numbers of an unfinished run."


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
        if name == "loss" and model.likelihood is None:
            unit = "squared error per example"
        table.append({"label": label, "train": _number(train.get(name)), "test": _number(test[name]), "unit": unit})
    return table


def _number(value):
    return "\N{EN DASH}" if value is None else f"{value:#.4g}"


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
