"""Types of arguments: what is not of the type is one readable line."""

import argparse
import os


def whole(least):
    """An argument type: a whole number, `least` or more."""

    def number(text):
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or value < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, {least} or more")
        return value

    return number


def positive(text):
    """An argument type: a finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number above 0")
    return value


def folder(text):
    """An argument type: the name of a folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError("a folder needs a name")
    return text


def file(text):
    """An argument type: the name of a file in a folder that is there."""
    if not text.strip() or os.path.isdir(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a file")
    if not os.path.isdir(os.path.dirname(text) or "."):
        raise argparse.ArgumentTypeError(f"there is no folder {os.path.dirname(text)!r}")
    return text
