"""What a model says of itself, for `tinyae models` and for `tinyae train` without options."""

from typing import NamedTuple


class About(NamedTuple):
    """title: what the model is called.  objective: what is minimised, as a formula.  paper: authors and year.  good_for: in a few words.

    data: the data set that `tinyae train NAME` takes without --data.  training: the defaults of its options there (epochs, batch, lr, latent,
    hidden, binarisation, ...), before those of the data set.  drawing: the name of its picture in `tinyae.figures.drawings`, if there is one.
    """

    title: str
    objective: str
    paper: str
    good_for: str
    data: str = "digits"
    training: dict = {}  # noqa: RUF012 (nobody changes it)
    drawing: str | None = None
