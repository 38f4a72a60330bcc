"""`tinyae lesson` and `tinyae course`: one lesson, its page or its notebook; and all of them as a folder of pages."""

from pathlib import Path

from tinyae.cli.arguments import file, folder, whole
from tinyae.errors import ArgumentError


def add_lesson(commands):
    """The arguments of `tinyae lesson`."""
    from tinyae.course.run import add_settings

    add = commands.add_parser(
        "lesson", help="run a lesson", epilog="example: tinyae lesson 6 --fast --html, or: tinyae lesson 6 --notebook six.ipynb"
    )
    add.add_argument("number", type=whole(0), metavar="N")
    add_settings(add)
    add.add_argument("--html", action="store_true", help="write lesson.html beside the results: prose and formulas, code, what it printed and drew")
    add.add_argument(
        "--notebook", type=file, metavar="FILE.ipynb", help='write the lesson as a notebook, and run nothing (pip install "tinyae[notebooks]")'
    )
    add.set_defaults(run=lesson)


def lesson(arguments, command):
    """`tinyae lesson`: run it, and say where its numbers and its page are; or write its notebook."""
    from tinyae.course import entry, run_lesson

    if arguments.notebook:
        from tinyae.course.notebook import write_notebook

        if arguments.html or arguments.control or arguments.out:
            raise ArgumentError("--notebook writes a notebook and runs nothing.", remedy=f"tinyae lesson {arguments.number} --notebook FILE.ipynb")
        write_notebook(entry(arguments.number), arguments.notebook)
        return print(f"notebook: {arguments.notebook}")
    settings = arguments.number, arguments.fast, arguments.seed, arguments.out, arguments.backend, arguments.control
    if not arguments.html:
        return run_lesson(*settings) and None
    from tinyae.course.outline import sections
    from tinyae.course.page import write_lesson
    from tinyae.course.script import Watch

    sections(found := entry(arguments.number))  # a formula that does not convert is told before the work
    watch = Watch()
    results = run_lesson(*settings, watch=watch)
    print(f"         {write_lesson(Path(results) / 'lesson.html', found, results, watch.outputs)}")


def add_course(commands):
    """The arguments of `tinyae course`."""
    add = commands.add_parser("course", help="list the lessons, or write them all as pages", epilog="example: tinyae course --html course --fast")
    add.add_argument("--html", type=folder, metavar="DIR", help="run the lessons and write DIR/index.html and a page of each (minutes)")
    add.add_argument("--fast", action="store_true", help="the short form of each lesson: a minute or two in all")
    add.add_argument("--lessons", type=whole(0), nargs="+", metavar="N", help="only these (default: all)")
    add.set_defaults(run=course)


def course(arguments, command):
    """`tinyae course`: the list; or the pages, with exit code 1 where a lesson failed."""
    if not arguments.html:
        from tinyae.course.outline import listing

        if arguments.fast or arguments.lessons:
            raise ArgumentError("--fast and --lessons say how pages are made.", remedy="tinyae course --html DIR")
        return print(listing())
    from tinyae.course.build import build_course

    failed = build_course(arguments.html, arguments.fast, arguments.lessons, say=lambda text: print(text, flush=True))
    return 1 if failed else 0
