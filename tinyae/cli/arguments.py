"""Types of arguments: what is not of the type is one readable line."""

import argparse
import difflib
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


def share(text):
    """An argument type: a number from 0 to 1, 1 excluded."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1, 1 excluded")
    return value


def named_or_folder(names):
    """An argument type: one of the names as it is, or the folder of that name as an absolute path."""

    def name_or_path(text):
        if text in names:
            return text
        if text.strip() and os.path.isdir(text):
            return os.path.abspath(text)
        close = difflib.get_close_matches(text, names, 1)
        hint = f"did you mean {close[0]}?" if close else "no such folder; or one of " + ", ".join(names)
        raise argparse.ArgumentTypeError(f"invalid choice: {text!r} ({hint})")

    return name_or_path


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
