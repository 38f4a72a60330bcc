"""Learning curves: the terms of the loss after each epoch."""

from matplotlib.ticker import MaxNLocator

from tinyae.figures.style import WIDTH, blank, styled

SPLITS = {"train": {"color": "#1b6ca8", "linestyle": "-"}, "test": {"color": "#c0392b", "linestyle": "--"}}
VAE_TERMS = {"negative_elbo": "negative ELBO", "reconstruction": "reconstruction", "kl": "KL divergence"}


@styled
def learning_curves(rows):
    """The terms of the loss against the epoch, train and test.

    rows: a dict for each epoch, with `epoch`, `train_negative_elbo`, `test_kl`, ... (or `train_mse`, `test_mse`).
    A VAE has an axis for each of negative ELBO, reconstruction and KL, in nats per example; an autoencoder has its mean
    squared error per feature.
    """
    if "train_mse" in rows[0]:
        figure = blank(WIDTH * 0.7, 3.2)
        _curve(figure.subplots(), rows, "mse", "squared error", "mean squared error per feature")
        return figure
    figure = blank(WIDTH, 3.0)
    for axes, (term, title) in zip(figure.subplots(1, 3), VAE_TERMS.items(), strict=True):
        _curve(axes, rows, term, title, "nats per example" if term == "negative_elbo" else None)
    return figure


def _curve(axes, rows, term, title, unit):
    digits = 4 if term == "mse" else 2
    epochs = [row["epoch"] for row in rows]
    for split, look in SPLITS.items():
        if f"{split}_{term}" in rows[0]:
            values = [row[f"{split}_{term}"] for row in rows]
            axes.plot(epochs, values, label=f"{split} (last: {values[-1]:.{digits}f})", marker="o" if len(rows) < 3 else None, **look)
    axes.set(title=title, xlabel="epoch", ylabel=unit)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
    axes.legend(handlelength=2.6)
