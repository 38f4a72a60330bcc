"""Where the files of data sets are looked for, and whether they are what they should be."""

import hashlib
import os
import pathlib

from tinyae.errors import DataError


def cache():
    """The folder of downloaded files: the system's cache folder, in tinyae/."""
    import pooch

    return pathlib.Path(pooch.os_cache("tinyae"))


def places(*names):
    """The folders in which the files of a data set are looked for, by its names."""
    given = os.environ.get("TINYAE_DATA")
    return [root / name for root in [*([pathlib.Path(given)] if given else []), cache()] for name in names]


def check_md5(path, content, md5):
    """Raises DataError where the bytes `content` have another checksum than `md5`; None where none is known."""
    if md5 is not None and (found := hashlib.md5(content, usedforsecurity=False).hexdigest()) != md5:
        raise DataError(f"{path}: wrong checksum of the uncompressed content.", expected=f"md5 {md5}", got=f"md5 {found}")
