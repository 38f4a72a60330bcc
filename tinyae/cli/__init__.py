"""The `tinyae` command."""

import argparse
import errno
import io
import os
import shlex
import signal
import sys

import tinyae as ta
from tinyae.cli.compression import add_compress, add_decompress
from tinyae.cli.course import add_course, add_lesson
from tinyae.cli.datasets import add_datasets
from tinyae.cli.evaluate import add_compare, add_evaluate
from tinyae.cli.exercise import add_exercise
from tinyae.cli.microscope import add_microscope, add_unroll
from tinyae.cli.models import add_models
from tinyae.cli.runs import add_reconstruct, add_sample
from tinyae.cli.tools import add_check, add_ops
from tinyae.cli.train import add_train
from tinyae.cli.uses import add_anomalies, add_attribute, add_denoise, add_interpolate, add_traverse
from tinyae.errors import TinyaeError, one_line


def main(argv=None):
    """Run the command line `argv`; returns the exit code: 0, 1 for a failed check, 2 for bad input, 130 after Ctrl-C."""
    argv = sys.argv[1:] if argv is None else argv
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal may not know every letter of a name
    arguments = parser().parse_args(argv)
    try:
        code = arguments.run(arguments, shlex.join(["tinyae", *argv])) or 0
        sys.stdout.flush()
        return code
    except TinyaeError as error:
        print(f"tinyae: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("tinyae: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away: head, less
        write_no_more()
        return 128 + signal.SIGPIPE
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print(f"tinyae: the output cannot be written: {error.strerror}", file=sys.stderr)
        write_no_more()
        return 2


def write_no_more():
    """Send the rest of the output nowhere: the interpreter's last flush may not complain either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parser():
    """The arguments of every command."""
    top = argparse.ArgumentParser(prog="tinyae", description="Backpropagation through autoencoders and variational autoencoders, line by line.")
    top.epilog = "example: tinyae train vae"
    top.add_argument("--version", action="version", version=f"tinyae {ta.__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for add in (
        add_train,
        add_evaluate,
        add_compare,
        add_sample,
        add_reconstruct,
        add_interpolate,
        add_traverse,
        add_attribute,
        add_denoise,
        add_anomalies,
        add_compress,
        add_decompress,
        add_models,
        add_datasets,
        add_microscope,
        add_unroll,
        add_ops,
        add_check,
        add_lesson,
        add_exercise,
        add_course,
    ):
        add(commands)
    return top
