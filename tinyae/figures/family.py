"""The family of autoencoders, read from the table `family.toml` beside this file."""

import functools
import tomllib
from pathlib import Path
from typing import NamedTuple

CLUSTERS = {  # what the members of each have in common
    "deterministic": "the code is a function of the data",
    "sparse": "few units of the code are on",
    "variational": "the code is a distribution, the loss a bound",
    "discrete": "the code is an index",
    "hierarchical": "codes above codes",
    "score": "the network says where the noise came from",
}


class Member(NamedTuple):
    """A member of the family.  parent: the key of the nearest older relative; change: how it differs from that one."""

    key: str
    name: str
    year: int
    authors: str
    paper: str
    change: str
    good_for: str
    cluster: str
    parent: str | None = None
    drawing: str | None = None
    lesson: int | None = None


@functools.cache
def family():
    """All members by key, in the order of their years."""
    table = tomllib.loads(Path(__file__).with_name("family.toml").read_text(encoding="utf-8"))
    return {key: Member(key=key, **entry) for key, entry in table.items()}


def children(key):
    """The members whose parent this is."""
    return [member for member in family().values() if member.parent == key]
