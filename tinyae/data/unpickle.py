"""A reader for the pickles of CIFAR-10 that executes nothing: Python's `pickletools` reads the opcodes, we say what they mean."""

import io
import math
import pickletools

import numpy as np

NAMES = {  # what such a pickle may name; the module moved in NumPy 2, and Python 3 writes bytes as encoded text
    "numpy.core.multiarray _reconstruct": "array",
    "numpy._core.multiarray _reconstruct": "array",
    "numpy ndarray": "ndarray",
    "numpy dtype": "dtype",
    "_codecs encode": "bytes",
}
OPCODES = set(
    """PROTO STOP MARK BINPUT LONG_BINPUT BINGET LONG_BINGET NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 BINUNICODE SHORT_BINSTRING BINSTRING
    EMPTY_DICT EMPTY_LIST TUPLE TUPLE1 TUPLE2 TUPLE3 APPEND APPENDS SETITEM SETITEMS GLOBAL REDUCE BUILD""".split()
)


class Array:
    """An array of bytes: it is named first (REDUCE), its `pixels` come later (BUILD)."""

    pixels = None


def read_pickle(content):
    """The value in a pickle of protocol 2 made of dicts, lists, tuples, numbers, text, bytes and arrays of bytes.

    Nothing in it is imported or called, and the values take no more memory than a few times `content`.
    Raises ValueError for whatever else it holds; LookupError, TypeError or AttributeError where it is damaged.
    """
    stack, marks, memo, room = [], [], {}, len(content)
    for name, argument in _opcodes(content):
        match name:
            case "PROTO":
                pass
            case "STOP":
                return stack.pop()
            case "MARK":
                marks.append(len(stack))
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[name])
            case "EMPTY_DICT" | "EMPTY_LIST":
                stack.append({} if name == "EMPTY_DICT" else [])
            case "BININT" | "BININT1" | "BININT2" | "BINUNICODE":
                stack.append(argument)
            case "SHORT_BINSTRING" | "BINSTRING":  # text of Python 2: bytes
                stack.append(argument.encode("latin-1"))
            case "GLOBAL":
                stack.append(NAMES.get(argument) or _refuse(f"it names {argument[:80]!r}"))
            case "TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(_above(stack, marks.pop() if name == "TUPLE" else len(stack) - int(name[-1]))))
            case "APPEND" | "APPENDS":
                items = _above(stack, marks.pop() if name == "APPENDS" else -1)
                stack[-1].extend(items)
            case "SETITEM" | "SETITEMS":
                _set_items(_above(stack, marks.pop() if name == "SETITEMS" else -2), stack)
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                room -= len(arguments[0]) if function == "bytes" else 0  # the same text, again and again, would fill the memory
                stack.append(_call(function, arguments) if room >= 0 else _refuse("its texts are larger than it is"))
            case "BUILD":
                _build(stack.pop(), stack[-1])
    raise ValueError("it has no end")


def _opcodes(content):
    """(name, argument) of each opcode; one that we do not take is refused before its argument is read."""
    file = io.BytesIO(content)
    while code := file.read(1):
        opcode = pickletools.code2op.get(code.decode("latin-1"))
        if opcode is None or opcode.name not in OPCODES:
            _refuse(f"opcode {opcode.name if opcode else code.hex()}")
        if opcode.name == "GLOBAL":  # two lines, as they are: pickletools would interpret escapes in them
            yield "GLOBAL", f"{file.readline()[:-1].decode('latin-1')} {file.readline()[:-1].decode('latin-1')}"
        else:
            yield opcode.name, opcode.arg.reader(file) if opcode.arg else None


def _above(stack, start):
    """What lies on the stack from `start` on, taken off it."""
    items = stack[start:]
    del stack[start:]
    return items


def _set_items(items, stack):
    for key, value in zip(items[::2], items[1::2], strict=True):
        if not isinstance(key, (bytes, str)):  # a tuple of tuples of tuples may take for ever to hash
            _refuse("a key that is no text")
        stack[-1][key] = value


def _call(function, arguments):
    """What calling a known name would give."""
    if function == "array":
        return Array()
    if function == "dtype" and arguments[0] in (b"u1", "u1"):
        return "bytes of an array"
    if function == "bytes" and arguments[1] == "latin1":
        return arguments[0].encode("latin-1")
    return _refuse("a call of something else than an array of bytes")


def _build(state, target):
    """Give an array its shape and content, (version, shape, dtype, Fortran order, bytes); a dtype's state says nothing new."""
    if isinstance(target, Array):
        _, shape, dtype, fortran, content = state
        if dtype != "bytes of an array" or math.prod(shape) != len(content):
            _refuse("an array whose size is not that of its content")
        target.pixels = np.frombuffer(content, np.uint8).reshape(shape, order="F" if fortran else "C")
    elif target != "bytes of an array":
        _refuse("the state of something else than an array")


def _refuse(reason):
    raise ValueError(reason)
