"""`tinyae exercise`: a learner's own file, started, hinted at and judged."""

from tinyae.cli.arguments import positive, whole
from tinyae.errors import ArgumentError

EXAMPLE = "example: tinyae exercise 6 --start, then edit the file, then: tinyae exercise 6"


def add_exercise(commands):
    """The arguments of `tinyae exercise`."""
    add = commands.add_parser("exercise", help="check your own answers to a lesson's exercises", epilog=EXAMPLE)
    add.add_argument("number", nargs="?", type=whole(0), metavar="N", help="of the lesson (default: list those that have exercises)")
    add.add_argument("files", nargs="*", metavar="FILE", help="your file, or those of a class (default: NN_name.py here)")
    add.add_argument("--start", nargs="?", const=".", metavar="DIR", help="copy the file to fill in into DIR (default: here), never over another")
    add.add_argument("--hint", nargs="*", metavar=("NAME", "STEP"), help="list the hints; the first one for NAME (do, break, extend); or hint STEP")
    add.add_argument("--json", action="store_true", help="print what was found for other programs")
    add.add_argument("--seconds", type=positive, default=20.0, metavar="S", help="for a whole file, shared by its exercises (default 20)")
    add.set_defaults(run=exercise)
    files_anywhere(add)


def files_anywhere(parser):
    """Let FILE stand behind an option too, as in `tinyae exercise 6 --json mine.py`: argparse gives up once it has read the number."""
    parse = parser.parse_known_args

    def parse_known_args(args=None, namespace=None):
        found, rest = parse(args, namespace)
        found.files = [*found.files, *(word for word in rest if not word.startswith("-"))]
        return found, [word for word in rest if word.startswith("-")]

    parser.parse_known_args = parse_known_args


def exercise(arguments, command):
    """`tinyae exercise`: as asked for; exit code 1 where not everything passed."""
    from tinyae.course.exercises import command as exercises

    if arguments.number is None:
        if arguments.start is not None or arguments.hint is not None or arguments.json:
            raise ArgumentError("exercise: of which lesson?", remedy="its number: tinyae exercise 6 --start")
        return print(exercises.listing())
    alone = [name for name in ("start", "hint") if getattr(arguments, name) is not None]
    if len(alone) == 2 or (alone and (arguments.files or arguments.json)):
        raise ArgumentError(f"--{alone[0]} goes alone.", remedy=f"tinyae exercise {arguments.number} --{alone[0]}")
    if arguments.start is not None:
        path = exercises.start(arguments.number, arguments.start)
        return print(f"written: {path}\nnext:    edit it, then tinyae exercise {arguments.number} {path}")
    if arguments.hint is not None:
        return print(exercises.hint(arguments.number, *hint_of(arguments.hint)))
    return exercises.check(arguments.number, arguments.files, arguments.seconds, arguments.json)


def hint_of(words):
    """(name, step) of the words after --hint."""
    if len(words) > 2 or (len(words) == 2 and not words[1].isdecimal()):
        raise ArgumentError("--hint takes an exercise and the number of a hint.", expected="--hint do 2", got=" ".join(words))
    return [words[0], int(words[1])] if len(words) == 2 else words
