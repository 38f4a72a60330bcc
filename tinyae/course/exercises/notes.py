"""What else there is to say of an answer: it is defined twice, it is another file's, it keeps something of an earlier call, it changes NumPy."""

import ast
import contextlib
import io
import linecache
import os
import types

import numpy as np

from tinyae.course.exercises.sheet import load

MODULES = {"np": np, "np.linalg": np.linalg, "np.random": np.random}
OURS = {name: dict(vars(module)) for name, module in MODULES.items()}  # as they were before any learner's file ran


def source_of(path):
    """The text of a learner's file, as it runs."""
    return "".join(linecache.getlines(str(path)))


def twice(name, path):
    """A sentence on a function that the file defines several times, or nothing."""
    with contextlib.suppress(SyntaxError, ValueError):
        found = [str(node.lineno) for node in ast.parse(source_of(path)).body if getattr(node, "name", None) == name]
        if len(found) > 1:
            return f"{name} is defined in the lines {' and '.join(found)}: the last one counts"
    return ""


def elsewhere(function, path):
    """The file that defines a function, where it is another one than the learner's; else nothing."""
    code = getattr(function, "__code__", None)
    if not isinstance(code, types.CodeType) or code.co_filename == str(path) or not os.path.isfile(code.co_filename):
        return ""
    return code.co_filename


def again(name, path):
    """The function of the learner's file, run anew: it knows nothing of earlier calls; or None.  What it prints is not shown."""
    with contextlib.suppress(BaseException), contextlib.redirect_stdout(io.StringIO()):
        return getattr(load(path, "learner_again", source_of(path)), name)


def changed_in_numpy():
    """The name of what has been changed in NumPy, such as "np.abs", or nothing; all is as before then."""
    found = ""
    for prefix, module in MODULES.items():
        for name, value in OURS[prefix].items():
            if vars(module).get(name) is not value:
                setattr(module, name, value)
                found = found or f"{prefix}.{name}"
    return found
