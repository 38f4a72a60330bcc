"""Learning curves: the terms of the loss after each epoch."""

from matplotlib.ticker import MaxNLocator

from tinyae.figures.style import WIDTH, blank, styled

SPLITS = {
    "train": {"color": "#1b6ca8", "linestyle": "-"},
    "validation": {"color": "#2a7f3f", "linestyle": ":"},
    "test": {"color": "#c0392b", "linestyle": "--"},
}
NATS = "nats per example"
TERMS = {
    "mse": ("squared error", "mean squared error per feature"),
    "negative_elbo": ("negative ELBO", NATS),
    "reconstruction": ("reconstruction", NATS),
    "kl": ("KL divergence", NATS),
    "gradient_norm": ("gradient", "norm of the gradient"),
}


@styled
def learning_curves(rows):
    """The terms of the loss against the epoch, for each split there is, and the norm of the gradient where it was kept.

    rows: a dict for each epoch, with `epoch`, `train_negative_elbo`, `test_kl`, ... (or `train_mse`, `test_mse`), `gradient_norm`.
    A VAE has an axis for each of negative ELBO, reconstruction and KL, in nats per example; an autoencoder has its mean
    squared error per feature.
    """
    terms = [term for term in TERMS if term in rows[0] or f"train_{term}" in rows[0]]
    if "negative_elbo" not in terms:
        terms = [term for term in terms if term != "reconstruction"]  # mse is the same, per feature
    columns = 2 if len(terms) % 2 == 0 else len(terms)
    figure = blank(WIDTH * (0.7 if columns == 1 else 1), 3.0 * len(terms) / columns)
    for i, (axes, term) in enumerate(zip(figure.subplots(len(terms) // columns, columns, squeeze=False).flat, terms, strict=True)):
        title, unit = TERMS[term]
        _curve(axes, rows, term, title, None if i and columns == 3 else unit)
    return figure


def _curve(axes, rows, term, title, unit):
    epochs = [row["epoch"] for row in rows]
    for split, look in SPLITS.items():
        column = term if split == "train" and term in rows[0] else f"{split}_{term}"  # the gradient has its norm in training alone
        if column in rows[0]:
            values = [row[column] for row in rows]
            axes.plot(epochs, values, label=f"{split} (last: {_last(values[-1], term)})", marker="o" if len(rows) < 3 else None, **look)
    axes.set(title=title, xlabel="epoch", ylabel=unit)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
    axes.legend(handlelength=2.6)


def _last(value, term):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.{4 if term == 'mse' else 2}f}"
