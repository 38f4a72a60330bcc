"""The commands that look at one forward and backward pass: `tinyae microscope` and `tinyae unroll`."""

import argparse
import os
import sys

import numpy as np

from tinyae.cli.arguments import file, whole
from tinyae.errors import ArgumentError

TARGET = "vae or autoencoder, a small one on digits; or FILE.py::FUNCTION, a function of yours that gives a loss (`model.loss` may be one)"
SIZES = "channels", "hidden", "latent", "batch"
FUNCTION = """\
FUNCTION gets ta.rng(seed) as `rng` and, for each other parameter without a default, the variable of that name in its file.
FILE.py alone means its function loss, else main, else the only one there is.

example: tinyae microscope vae --html page.html
         tinyae microscope mine.py::loss --check
         tinyae microscope mine.py::loss --json before.json    and, after a change:
         tinyae microscope mine.py::loss --diff before.json"""


def add_microscope(commands):
    """The arguments of `tinyae microscope`."""
    layout = argparse.RawDescriptionHelpFormatter
    add = commands.add_parser("microscope", help="one training step, line by line", formatter_class=layout, epilog=FUNCTION)
    add_target(add, TARGET + "; or FILE.json, a trace that --json wrote")
    add.add_argument("--html", type=file, metavar="FILE", help="write the trace as one page that needs nothing else")
    add.add_argument("--json", type=file, metavar="FILE", help="write the trace for other programs, and for --diff")
    add.add_argument("--diff", metavar="OTHER.json", help="show where this trace differs from another one; exit code 1 where it does")
    add.add_argument("--check", action="store_true", help="prove each gradient by finite differences; exit code 1 where one is wrong")
    add.add_argument("--plain", action="store_true", help="print the lines also on a terminal, where they are shown one at a time with keys")
    add.set_defaults(run=microscope)


def add_unroll(commands):
    """The arguments of `tinyae unroll`."""
    add = commands.add_parser(
        "unroll", help="one training step as a NumPy program without the engine", epilog="example: tinyae unroll vae -o step.py"
    )
    add_target(add, TARGET)
    add.add_argument("-o", "--out", type=file, metavar="FILE", help="write the program here, its arrays beside it (default: print the program)")
    add.set_defaults(run=unroll)


def add_target(add, about):
    """The arguments that say what is looked at."""
    add.add_argument("target", metavar="TARGET", help=about)
    add.add_argument("--seed", type=whole(0), metavar="N", help="of weights, batch and noise, and of `rng` (default 0)")
    add.add_argument("--channels", type=whole(1), nargs="+", metavar="N", help="of the model's convolutions (default none)")
    add.add_argument("--hidden", type=whole(1), nargs="+", metavar="N", help="widths of the model's layers (default 16)")
    add.add_argument("--latent", type=whole(1), metavar="N", help="dimensions of the model's code (default 2)")
    add.add_argument("--batch", type=whole(1), metavar="N", help="examples (default 4)")


def target_of(arguments):
    """The Target that was named."""
    from tinyae.microscope.target import load_target

    sizes = {name: getattr(arguments, name) for name in SIZES if getattr(arguments, name) is not None}
    return load_target(arguments.target, seed=arguments.seed or 0, **sizes)


def microscope(arguments, command):
    """`tinyae microscope`: the lines of one training step, as asked for; without a wish on the terminal."""
    asked = [name for name in ("html", "json", "diff", "check") if getattr(arguments, name)]
    spare(arguments.target, arguments.html, arguments.json)
    if arguments.target.endswith(".json"):
        return from_file(arguments, asked)
    other = read(arguments.diff) if arguments.diff else None  # before the work, in case there is none
    target = target_of(arguments)
    if arguments.check:  # its text names what is not finite, so NumPy need not warn
        with np.errstate(all="ignore"):
            return max(check(found := target.trace()), wishes(arguments, target, found, asked, other) if asked != ["check"] else 0)
    return wishes(arguments, target, target.trace(), asked, other)


def wishes(arguments, target, found, asked, other):
    """What else was asked for."""
    if not asked:
        return show(lambda: target.record(found), lambda: target_text(target, found), arguments.plain)
    record = target.record(found)
    write_files(arguments, record, other)
    return compare(other, record, arguments.diff) if other else 0


def from_file(arguments, asked):
    """The same for a trace that was written before."""
    from tinyae.microscope.text import record_to_text

    given = [name for name in (*SIZES, "seed") if getattr(arguments, name) is not None] + (["check"] if arguments.check else [])
    if given:
        raise ArgumentError(f"--{given[0]} needs the program that the trace was made from.", got=arguments.target)
    record, other = read(arguments.target), read(arguments.diff) if arguments.diff else None
    if not asked:
        return show(lambda: record, lambda: record_to_text(record), arguments.plain)
    write_files(arguments, record, other)
    return compare(other, record, arguments.diff) if other else 0


def read(path):
    """The record in a file."""
    from tinyae.microscope.file import load

    return load(path)


def target_text(target, found):
    """The trace of a target as text."""
    from tinyae.microscope.text import told

    return told(target, found=found)


def show(record, text, plain):
    """The record on the terminal, one line at a time; the text where there is none, or where it was asked for."""
    from tinyae.microscope import terminal

    if plain or not terminal.answers():
        print(text())
    else:
        terminal.view(record())
    return 0


def write_files(arguments, record, other):
    """The files that were asked for; the page tells where the other record differs."""
    if arguments.json:
        from tinyae.microscope.file import save

        save(record, arguments.json)
        print(f"trace: {arguments.json}")
    if arguments.html:
        from tinyae.microscope.page import write_page

        write_page(record, arguments.html, other)
        print(f"page: {arguments.html}")


def compare(other, record, name):
    """Print where a record differs from another, which is shown on the left; returns 1 where it does."""
    from tinyae.microscope.diff import diff

    found = diff(other, record, name)
    print(found.to_text())
    return int(found.first is not None)


def check(trace):
    """Print the proof of every gradient, in the order of the backward pass; returns 1 where one is wrong."""
    from tinyae.microscope.proofs import check_text

    text, passed = check_text(trace)
    print(text)
    return int(not passed)


def spare(target, *outputs):
    """Raise ArgumentError where a file to be written is the one looked at, or a Python file that `tinyae unroll` has not written."""
    source = target.partition("::")[0]
    for path in filter(None, outputs):
        if os.path.exists(path) and os.path.exists(source) and os.path.samefile(path, source):
            raise ArgumentError(f"{path}: it is what is looked at, and would be overwritten.", remedy="another name for what is written")
        if path.endswith(".py") and os.path.isfile(path) and not is_unrolled(path):
            raise ArgumentError(f"{path}: it is there already, and tinyae unroll has not written it.", remedy="another name")


def spare_arrays(program):
    """Raise ArgumentError where the arrays of a program that is to be written would take the place of another file."""
    data = os.path.splitext(program)[0] + ".npz"
    if data == program:
        raise ArgumentError(f"{program}: this name is for the program's arrays.", remedy=f"{data.removesuffix('npz')}py")
    if os.path.isfile(data) and not is_unrolled(program):
        rule = f"{data}: it is there already, and {program} is no program of tinyae unroll that it belongs to."
        raise ArgumentError(rule, remedy="another name for the program")
    return data


def is_unrolled(path):
    """Whether a file is a program that `tinyae unroll` has written; one that is not there is none."""
    from tinyae.microscope.unroll.layout import NOTATION

    try:
        with open(path, encoding="utf-8") as file:
            start = file.read(4096)
    except (OSError, UnicodeDecodeError):
        return False
    return start.startswith('"""') and NOTATION in start


def unroll(arguments, command):
    """`tinyae unroll`: the program."""
    from tinyae.microscope.unroll import unroll as program_of
    from tinyae.microscope.unroll import write

    if arguments.out is not None:
        spare(arguments.target, arguments.out, spare_arrays(arguments.out))
    found = target_of(arguments).trace()
    if arguments.out is None:
        sys.stdout.write(program_of(found))
        print(f"tinyae: the program reads its arrays from step.npz; tinyae unroll {arguments.target} -o step.py writes both", file=sys.stderr)
        return
    for path in write(found, arguments.out):
        print(f"written: {path}")
