"""What went wrong in a learner's file, in the learner's own lines: nobody learns from ours."""

import linecache
import tokenize
import traceback

from tinyae.course.exercises.show import CHARACTERS, short

LARGEST = 1_000_000  # bytes of a learner's file
SHOWN = 4  # lines of a traceback
MEANINGS = {
    "EOFError": "there is no keyboard here: take what you need as an argument instead of input()",
    "MemoryError": "more memory than an exercise may have; is an array much larger than meant, or does a list grow in a loop?",
    "RecursionError": "a function calls itself without an end",
    "NotImplementedError": "a function is called that is not begun",
    "SystemExit": "the file leaves Python: take exit() out",
    "KeyboardInterrupt": "the file raises what Ctrl-C raises",
}
SHAPES = {  # a part of NumPy's message on shapes, and what it means
    "mismatch in its core dimension": "the shapes do not fit: the last axis left of @ must be as long as the last but one (or only) axis right of it",
    "could not be broadcast": "the shapes do not fit: from the right, lengths must be the same or 1; keepdims=True keeps a summed axis as 1",
}


class Unreadable(Exception):
    """A learner's file that cannot be run at all.  line: where, or None."""

    def __init__(self, text, line=None):
        super().__init__(text)
        self.text, self.line = text, line


def read(path):
    """The text of a learner's file.  Raises Unreadable, of one line, for what is no Python text."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise Unreadable(f"the file cannot be read: {error.strerror}") from error
    if len(data) > LARGEST:
        raise Unreadable(f"the file has more than {LARGEST:,} bytes: is it the right one?")
    if b"\0" in data:
        raise Unreadable("the file is not text: it has bytes of value 0")
    try:
        encoding, _ = tokenize.detect_encoding(iter(data.splitlines(keepends=True)).__next__)
    except SyntaxError:
        encoding = "utf-8"  # which says where it is not
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Unreadable(f"line {line} is not {encoding} text (byte 0x{data[error.start]:02x}): save the file as UTF-8", line) from error


def frames(error, path):
    """The learner's frames in a traceback, the innermost last: (line number, function, text)."""
    found = traceback.walk_tb(error.__traceback__)
    here = [(line, frame.f_code.co_name) for frame, line in found if frame.f_code.co_filename == str(path)]
    return [(line, name, linecache.getline(str(path), line).strip()) for line, name in here]


def innermost(error):
    """The file of the innermost frame of a traceback."""
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    return files[-1] if files else None


def lines(found):
    """Frames as lines of a report; where there are many, the first and the last."""
    texts = [short(f"line {line:<4} {text}".rstrip(), 160) for line, _, text in found]
    if len(texts) > SHOWN:
        texts = [*texts[:2], f"... {len(texts) - 3} more", texts[-1]]
    return "".join(f"\n  {text}" for text in texts)


def describe(error, path):
    """(text, line) of an exception: what it is, what it means, and the learner's lines that led to it."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        text = f"\n  line {error.lineno:<4} {(error.text or '').strip()}".rstrip() if error.lineno else ""
        return f"{type(error).__name__}: {error.msg}{text}", error.lineno
    name = type(error).__name__
    try:
        message = " ".join(str(error).split())
    except Exception:
        message = "(its text cannot be shown)"
    meant = MEANINGS.get(name) or next((text for part, text in SHAPES.items() if part in message), None)
    meaning = f"\n  {meant}" if meant else ""
    found = frames(error, path)
    text = short(f"{name}: {message}" if message else name, CHARACTERS)
    return f"{text}{lines(found)}{meaning}", found[-1][0] if found else None
