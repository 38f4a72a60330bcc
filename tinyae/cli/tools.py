"""The commands that train nothing: operations, checks."""

import shutil

from tinyae.cli.arguments import file, whole
from tinyae.errors import ArgumentError


def add_ops(commands):
    """The arguments of `tinyae ops`."""
    add = commands.add_parser(
        "ops", help="every operation with its gradient", epilog="example: tinyae ops softmax, or: tinyae ops --html operations.html"
    )
    add.add_argument("name", nargs="?", metavar="NAME", help="show this operation in full (default: a table of all)")
    add.add_argument("--html", type=file, metavar="FILE", help="write the reference of all operations as one page")
    add.set_defaults(run=operations)


def operations(arguments, command):
    """`tinyae ops`: a table of all operations, one in full, or the page."""
    from tinyae.report import operations as reference

    if arguments.html and arguments.name:
        raise ArgumentError("--html writes all operations on one page.", remedy="leave out " + arguments.name)
    if arguments.html:
        print(f"reference: {reference.write_page(arguments.html)}")
    elif arguments.name:
        print(reference.describe(reference.find(arguments.name), width=min(shutil.get_terminal_size((100, 24)).columns, 100)))
    else:
        reference.print_table()


def add_check(commands):
    """The arguments of `tinyae check`."""
    add = commands.add_parser(
        "check", help="check the gradients of operations, or of your function", epilog="example: tinyae check softmax, or: tinyae check mine.py::f"
    )
    add.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="an operation; or file.py::function, with a function_backward(gy, *inputs) beside it, or of Tensors (default: every operation)",
    )
    add.add_argument("--order", type=int, choices=(1, 2), default=2, help="2 checks the gradients of gradients too (default 2)")
    add.add_argument("--seed", type=whole(0), default=0, metavar="N", help="of the inputs (default 0)")
    add.add_argument("--examples", type=whole(1), default=20, metavar="N", help="calls drawn for each (default 20)")
    add.add_argument("--mutants", action="store_true", help="check the checks: put every small error into the rules, and list those nobody sees")
    add.set_defaults(run=check)


def check(arguments, command):
    """`tinyae check`: a table of the checks; exit code 1 where one failed."""
    from tinyae.checks import command as checks

    if arguments.mutants:
        from tinyae.evaluation.targets import targets

        return checks.check_mutants(arguments.names, targets())
    return checks.check(arguments.names, order=arguments.order, seed=arguments.seed, examples=arguments.examples)
