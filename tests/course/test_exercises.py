"""The machinery of exercises: each way in which a learner's file can be bad is reported in a few lines, and its words and files judge nothing."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tinyae.cli import main
from tinyae.course import library
from tinyae.course.exercises import Exercise, Mismatch, check_file, exercises_of, expect_arrays, expect_same
from tinyae.course.exercises import sheet as sheets
from tinyae.course.exercises.compare import reasons
from tinyae.course.exercises.exercise import Count
from tinyae.course.exercises.judge import judge
from tinyae.course.exercises.runner import environment
from tinyae.course.exercises.sheet import load
from tinyae.course.exercises.show import meaning, show
from tinyae.errors import ArgumentError

LESSON = "# %% [markdown]\n# # Lesson 3: Small ones\n# ## Exercises\n"
START = '"""Fill in."""\n\n\ndef double(x):\n    """Twice x."""\n    raise NotImplementedError\n'
SOLUTION = "def double(x):\n    return 2 * x\n"
CHECKS = """
import numpy as np
from hypothesis import strategies as st

from tinyae.checks.strategies import arrays
from tinyae.course.exercises import Exercise, expect, expect_same


def silent(answer, solution, arguments):
    answer(**arguments)


def never_calls(answer, solution, arguments):
    expect(True, "nothing is wrong")


def two(answer, solution, arguments):
    expect_same(answer(**arguments), 2 * arguments["x"], "twice x")
    return "kills 5 of 6 hidden mutants"


X = np.array([[1.0, -2.0, 3.0], [0.5, 0.25, -1.0]])
SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 3))
INPUTS = SHAPES.flatmap(arrays).map(lambda x: {"x": x})
JUDGES = {"silent": silent, "never_calls": never_calls, "two": two}
HINTS = "add x to something", "x + x"
EXERCISES = tuple(
    Exercise(function=name, kind="do", goal="twice x", example={"x": X}, inputs=INPUTS, judge=JUDGES.get(name), hints=HINTS) for name in NAMES
)
"""


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A function that makes a lesson 3 with the exercises of these names, each: return twice x; the working folder is empty."""
    folder = tmp_path / "lessons"
    for name in ("exercises", "solutions", "checks"):
        (folder / name).mkdir(parents=True)
    (folder / "03_small.py").write_text(LESSON)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(library, "folder", lambda: folder)

    def fill(*names):
        (folder / "exercises" / "03_small.py").write_text("".join(START.replace("double", name) for name in names))
        (folder / "solutions" / "03_small.py").write_text("".join(SOLUTION.replace("double", name) for name in names))
        (folder / "checks" / "03_small.py").write_text(f"NAMES = {names!r}\n{CHECKS}")
        return pathlib.Path("03_small.py")

    return fill


def judged(shelf, body, **settings):
    """The report on a learner's file whose function has this body, and that prints and returns nothing else."""
    path = shelf("double")
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    path.write_text(f"import numpy as np\n\n\ndef double(x):\n{lines}", encoding="utf-8")
    return check_file(path, 3, **settings)


BODIES = {  # a body of double(x), then state, first words of the message, and a line of the body that is named
    "right": ("return x + x", "passed", "", None),
    "wrong": ("return 3 * x", "failed", "the result is wrong, 6 of 6 entries: yours is 1.5 times the expected value in every entry.", None),
    "only_some": ("return np.where(x > 0, 2 * x, x)", "failed", "the result is wrong, 2 of 6 entries: wrong where x < 0, right elsewhere.", None),
    "rare": ("return 2 * x if x.shape != (3, 1) else x", "failed", "the result is wrong, 3 of 3 entries: yours is 0.5 times", None),
    "not_begun": ("raise NotImplementedError", "not begun", "", 1),
    "transposed": ("return 2 * x.T", "failed", "the result has the wrong shape: it is transposed.", None),
    "summed": ("return 2 * x.sum(axis=0)", "failed", "the result has the wrong shape: the sum over axis 0 is too much.", None),
    "none": ("2 * x", "failed", "it returns None: is a return missing?", None),
    "a_list": ("return [2.0, 3.0]", "failed", "the result must be a NumPy array of shape (2, 3), and it is a list of 2 things", None),
    "a_tensor": (
        "import tinyae as ta\nreturn ta.Tensor(2 * x)",
        "failed",
        "the result must be a NumPy array of shape (2, 3), and it is a Tensor",
        None,
    ),
    "a_complex": (
        "return 2 * x + 0j",
        "failed",
        "the result must be a NumPy array of shape (2, 3), and it is an array of shape (2, 3) and type co",
        None,
    ),
    "an_object": ("return np.array([[object()] * 3] * 2)", "failed", "the result must be a NumPy array of shape (2, 3), and it is an array of", None),
    "nan": ("return np.where(x < 0, np.nan, 2 * x)", "failed", "the result is nan in entry (0, 1), and 2 of 6 entries are not finite.", None),
    "infinite": ("return 2 * x / 0", "failed", "the result is inf in entry (0, 0), and 6 of 6", None),
    "narrow": ("return (2.2 * x / np.float32(1.1)).astype(np.float32)", "failed", "the result is wrong", None),
    "in_place": ("x *= 2\nreturn x", "failed", "it changes its argument x: compute something new from it", None),
    "resized": ("x.resize(6)\nreturn 2 * x", "failed", "it changes its argument x", None),
    "nearly": ("return 2 * x * (1 + 1e-7)", "failed", "the result is wrong, 6 of 6 entries: nearly right, to 7 digits", None),
    "far_too_large": ("return 1e30 * x", "failed", "the result is wrong, 6 of 6 entries: yours is far too large: does it grow without end?", None),
    "yields": ("yield 2 * x", "failed", "the result must be a NumPy array of shape (2, 3), and it is a generator: is a yield meant to be", None),
    "keeping": ("global kept\nkept = globals().get('kept', 2 * x)\nreturn kept", "failed", "the result has the wrong shape.", None),
    "numpys": ("np.abs = np.negative\nreturn 3 * x", "failed", "it changes NumPy itself, np.abs: give what is yours another name.", None),
    "restless": ("return 2 * x + np.random.normal(size=x.shape)", "failed", "the result is wrong, 6 of 6 entries.", None),
    "raises": ("y = x @ x\nreturn y", "error", "ValueError: matmul", 1),
    "calls": ("return [double_(x) for _ in 'ab']", "error", "NameError: name 'double_' is not defined", 1),
    "leaves": ("import sys\nsys.exit(0)", "error", "SystemExit: 0", 2),
    "interrupts": ("raise KeyboardInterrupt", "error", "KeyboardInterrupt", 1),
    "strange": ("class E(BaseException):\n    __str__ = None\nraise E", "error", "E: (its text cannot be shown)", 3),
    "recursive": ("return recursive(x)", "error", "RecursionError: maximum recursion depth exceeded", 1),
    "large": ("return np.ones(10**13)", "error", "MemoryError: Unable to allocate 72.8 TiB", 1),
    "growing": ("a = []\nwhile True:\n    a.append(np.empty(10**7))", "error", "MemoryError: Unable to allocate 76.3 MiB", 3),
    "asks": ("input('? ')", "error", "EOFError: EOF when reading a line", 1),
    "warns": ("import warnings\nwarnings.simplefilter('error')\nnp.log(-x)\nreturn 2 * x", "passed", "", None),
    "forks": ("import os\nos.fork()\nreturn 2 * x", "passed", "", None),
    "closes": ("import os\nos.closerange(0, 100)\nreturn 2 * x", "passed", "", None),
    "fills": (
        "global kept\nkept = []\ntry:\n    while True:\n        kept.append(np.empty(10**6))\nexcept MemoryError:\n"
        "    while True:\n        kept.append(bytearray(1000))",
        "error",
        "MemoryError\n  line",
        8,
    ),
    "leaves_at_once": ("import os\nos._exit(0)", "error", "the process ended in the middle with exit code 0: is there an os._exit?", None),
    "crashes": ("import ctypes\nctypes.string_at(0)", "error", "it crashed Python (SIGSEGV)", 2),
    "after_a_crash": ("return 2 * x", "passed", "", None),
    "silent": ("return 2 * x", "error", "the check compared nothing: that is a fault of the exercise", None),
    "never_calls": ("return 2 * x", "error", "the check compared nothing: that is a fault of the exercise", None),
    "two": ("return 2 * x", "passed", "", None),
}


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """(report, lines): one learner's file with all of BODIES, and the line where each body begins."""
    with pytest.MonkeyPatch.context() as patch:
        path = shelf.__wrapped__(tmp_path_factory.mktemp("all"), patch)(*BODIES)
        text, lines = "import numpy as np\n", {}
        for name, (body, *_) in BODIES.items():
            text += f"\n\ndef {name}(x):\n"
            lines[name] = text.count("\n") + 1
            text += "".join(f"    {line}\n" for line in body.splitlines())
        path.write_text(text)
        return check_file(path, 3, seconds=600), lines  # nobody is meant to be stopped, on a busy machine either


@pytest.mark.parametrize("name", BODIES)
def test_each_way_to_answer_is_judged_for_itself_and_told_in_a_few_lines(everything, name):
    report, lines = everything
    verdict = {verdict.name: verdict for verdict in report.exercises}[name]
    _, state, message, line = BODIES[name]
    assert (verdict.state, verdict.message[: len(message)]) == (state, message), verdict
    assert bool(verdict.message) == (state not in ("passed", "not begun"))
    assert len(verdict.message.splitlines()) <= 9
    assert verdict.assertions > 25 or state != "passed"
    assert verdict.assertions or state != "failed"
    if line:
        assert verdict.line == lines[name] + line - 1
        assert state == "not begun" or f"line {verdict.line}" in verdict.message
    assert not report.passed


def test_a_failure_shows_the_smallest_input_and_can_be_called_again_by_hand(everything):
    verdicts = {verdict.name: verdict for verdict in everything[0].exercises}
    assert "for       rare(x=np.array([[0.025], [0.075], [0.125]]))" in verdicts["rare"].message
    assert "expected  entry (0, 0): 2\n  got       entry (0, 0): 3" in verdicts["wrong"].message or "entry (0, 2): 6" in verdicts["wrong"].message
    assert "does it draw random numbers of its own?" in verdicts["restless"].message
    assert "does it keep something of an earlier call, in a global or a default?" in verdicts["keeping"].message
    assert "the last axis left of @ must be as long as" in verdicts["raises"].message
    assert verdicts["two"].remark == "kills 5 of 6 hidden mutants"
    assert "there is no keyboard here" in verdicts["asks"].message
    assert "... 9" in verdicts["recursive"].message


@pytest.mark.parametrize(
    ("content", "problem", "line"),
    [
        (b"def double(x):\n    return (2 * x\n", "SyntaxError: '(' was never closed\n  line 2    return (2 * x", 2),
        (b"def double(x):\nreturn 2 * x\n", "IndentationError: expected an indented block after function definition on line 1", 2),
        (b"def double(x):\n    return 2 * x\n\n1 / 0\n", "ZeroDivisionError: division by zero\n  line 4    1 / 0", 4),
        (b"def double(x):\n    raise NotImplementedError\nprint(double(1))\n", "NotImplementedError\n  line 3    print(double(1))\n  line 2  ", 2),
        (b"import nothing_like_this\n", "ModuleNotFoundError: No module named 'nothing_like_this'", 1),
        (b"import sys\nsys.exit()\n", "SystemExit\n  line 2    sys.exit()\n  the file leaves Python: take exit() out", 2),
        (b"import os\nos._exit(3)\n", "the process ended in the middle with exit code 3: is there an os._exit?", None),
        (b"x = 1\n# caf\xe9\n", "line 2 is not utf-8 text (byte 0xe9): save the file as UTF-8", 2),
        (b"import numpy as np\nnp.abs = abs\n", "the file changes NumPy itself, np.abs: give what is yours another name", None),
        (b"x = 1\0", "the file is not text: it has bytes of value 0", None),
        (b"# \n" * 400_000, "the file has more than 1,000,000 bytes: is it the right one?", None),
    ],
)
def test_a_file_that_cannot_be_run_is_one_problem_of_all_its_exercises(shelf, content, problem, line):
    path = shelf("double", "treble")
    path.write_bytes(content)
    report = check_file(path, 3)
    assert report.problem.startswith(problem)
    assert [(verdict.state, verdict.line) for verdict in report.exercises] == [("error", line)] * 2
    assert not report.passed


def test_what_is_no_file_is_said_without_running_anything(shelf):
    shelf("double")
    pathlib.Path("folder").mkdir()
    assert check_file("folder", 3).problem == "it is a folder and no file"
    assert check_file("gone.py", 3).problem == "it is not there"
    assert check_file(os.devnull, 3).problem == "it is no file"


@pytest.mark.parametrize(
    ("text", "state", "message"),
    [
        ("", "missing", "there is no function double."),
        ("def doubel(x):\n    return 2 * x", "missing", "there is no function double. Is doubel meant?"),
        ("double = 2.0", "missing", "double is 2.0, and no function."),
        ("def double(y):\n    return 2 * y", "failed", "its parameters are (y), and the exercise calls it with (x)."),
        ("def double(x, y):\n    return 2 * x", "failed", "its parameters are (x, y), and the exercise calls it with (x)."),
        ("def double(x, times=2):\n    return times * x", "passed", ""),
        ("def double(x):\n    return half(x)\ndef half(x):\n    raise NotImplementedError", "not begun", "it calls half, which is not begun."),
    ],
)
def test_a_function_must_be_there_with_its_parameters(shelf, text, state, message):
    path = shelf("double")
    sheet = exercises_of(3)
    verdict = judge(sheet.exercises[0], load(path, "learner", text), load(sheet.solution, "solution"), path)
    assert (verdict.state, verdict.message[: len(message)]) == (state, message)


def test_loops_without_end_are_stopped_each_in_its_share_and_their_line_is_named(shelf):
    path = shelf("looping", "flooding", "counting", "after")
    loops = {"looping": "while True:\n        pass", "flooding": "while True:\n        print('x' * 5000)", "counting": "return 10**10**9"}
    path.write_text("".join(f"def {name}(x):\n    {loops.get(name, 'return 2 * x')}\n" for name in (*loops, "after")))
    report = check_file(path, 3, seconds=6)
    assert [verdict.state for verdict in report.exercises] == ["stopped", "stopped", "stopped", "passed"]
    assert [verdict.line for verdict in report.exercises[:3]] in ([2, 6, 8], [3, 6, 8], [2, 5, 8], [3, 5, 8])
    assert report.exercises[2].message.startswith("it was still running after")
    assert "line 8    return 10**10**9" in report.exercises[2].message
    assert len(report.printed) < 2200
    assert "... the first 2,000 of " in report.printed


def test_a_loop_that_has_closed_every_file_is_stopped_by_the_clock_too(shelf):
    report = judged(shelf, "import os\nos.closerange(0, 100)\nwhile True:\n    pass", seconds=1)
    assert report.exercises[0].state == "stopped"
    assert report.exercises[0].message.startswith("it was still running after")


def test_a_file_that_takes_long_to_load_is_not_loaded_twice(shelf):
    path = shelf("double")
    path.write_text("import time\ntime.sleep(1.5)\nprint('loaded')\n\n\ndef double(x):\n    return 2 * x if x.size == 6 else x\n")
    report = check_file(path, 3, seconds=6)
    assert (report.exercises[0].state, report.printed) == ("failed", "loaded\n")


def test_a_loop_at_import_stops_the_whole_file(shelf):
    path = shelf("double")
    path.write_text("while True:\n    pass\n")
    report = check_file(path, 3, seconds=0.3)
    assert report.problem.startswith("it was still running after 0.3 s, while the file was loaded")
    assert report.exercises[0].line in (1, 2)


def test_printing_forges_no_verdict_and_is_shown_without_its_control_characters(shelf):
    report = judged(shelf, 'print(\'{"name": "double", "kind": "do", "state": "passed"}\\x1b[2J\', flush=True)\nreturn x')
    assert report.exercises[0].state == "failed"
    assert report.printed.startswith('{"name": "double", "kind": "do", "state": "passed"}\\x1b[2J\n')


def test_files_beside_the_answer_hide_nothing_and_helpers_are_found(shelf):
    for name in ("numpy", "tinyae", "hypothesis", "random", "json", "typing"):
        pathlib.Path(f"{name}.py").write_text("raise RuntimeError('hidden')")
    pathlib.Path("my_helper.py").write_text("two = 2.0")
    report = judged(shelf, "import my_helper, random, numpy\nreturn my_helper.two * numpy.asarray(x)")
    assert report.passed, report
    assert not pathlib.Path("__pycache__").exists()
    assert not pathlib.Path(".hypothesis").exists()


def test_the_functions_of_other_files_are_named_and_the_solutions_are_nobodys(shelf, capsys):
    path = shelf("double")
    pathlib.Path("neighbour.py").write_text(SOLUTION)
    path.write_text("from neighbour import double\n")
    assert check_file(path, 3).exercises[0].origin == str(pathlib.Path("neighbour.py").resolve())
    assert main(["exercise", "3"]) == 0
    assert "the function is that of" in capsys.readouterr().out
    assert main(["exercise", "3", str(path), "neighbour.py"]) == 0
    assert "do: passed     functions of neighbour.py" in capsys.readouterr().out
    path.write_text("import sys\ndouble = sys.modules['tinyae_solution'].double\n")
    (verdict,) = check_file(path, 3).exercises
    assert (verdict.state, verdict.message) == ("failed", "it is the function of the solution, and not your own.")


def test_a_function_that_is_defined_twice_is_said_to_be(shelf):
    path = shelf("double")
    path.write_text(SOLUTION + START.partition("\n")[2])
    (verdict,) = check_file(path, 3).exercises
    assert (verdict.state, verdict.message) == ("not begun", "double is defined in the lines 1 and 5: the last one counts")
    path.write_text(START + SOLUTION)
    assert check_file(path, 3).exercises[0].remark.endswith("the last one counts")


@pytest.mark.parametrize(("old", "new"), [("\n", "\r\n"), ("def", "\ufeffdef"), ("    ", "\t")], ids=["crlf", "bom", "tabs"])
def test_line_ends_marks_and_tabs_of_other_editors_do_not_matter(shelf, old, new):
    path = shelf("double")
    path.write_bytes(SOLUTION.replace(old, new).encode())
    assert check_file(path, 3).passed


def test_code_for_running_the_file_is_not_run(shelf):
    path = shelf("double")
    path.write_text(SOLUTION + "\nif __name__ == '__main__':\n    print(double(input()))\n")
    report = check_file(path, 3)
    assert (report.passed, report.printed) == (True, "")


def test_functions_that_a_check_hands_over_are_shown_as_code(tmp_path):
    (tmp_path / "given.py").write_text('def cube(x):\n    """Of x."""\n    y = x * x\n    return y * x\n')
    assert meaning(load(tmp_path / "given.py", "given").cube) == "def cube(x): y = x * x; return y * x"
    assert meaning(np.sum) is None
    assert show(lambda x: x) == "a function"
    assert show([np.array([1 / 3]), 2 / 3], 6) == "[np.array([0.333333]), 0.666667]"


@pytest.mark.parametrize(
    ("c", "expected"),
    [
        (2.0, ["a half forgotten", "a sum over 2 entries where a mean belongs"]),
        (1 / 9, ["a factor scale**2 that is missing"]),
        (3.0, ["a factor scale too many", "a sum over 3 entries where a mean belongs"]),
        (0.7, []),
    ],
)
def test_a_factor_may_have_several_reasons(c, expected):
    assert reasons(c, [(3, 2)], {"scale": 3.0}) == expected


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (np.zeros(3), "it must return 2 arrays: W, V."),
        ((np.zeros((2, 1)), None), "V must be a NumPy array of shape (1, 3), and it is None."),
        ((np.zeros((1, 2)), np.zeros((1, 3))), "W has the wrong shape: are its axes exchanged?"),
        ((np.zeros((2, 1)), np.full((1, 3), np.inf)), "V is inf in entry (0, 0), and 3 of 3 entries are not finite."),
    ],
)
def test_results_without_one_right_value_are_arrays_of_a_shape(found, text):
    with pytest.raises(Mismatch) as raised:
        expect_arrays(found, {"W": (2, 1), "V": (1, 3)})
    assert raised.value.text == text
    for several in (tuple, list):
        assert len(expect_arrays(several([np.zeros((2, 1)), np.zeros((1, 3))]), {"W": (2, 1), "V": (1, 3)})) == 2


def test_what_an_answer_starts_does_not_outlive_it(shelf):
    report = judged(shelf, "import subprocess, threading, time\nif 'begun' not in globals():\n    globals()['begun'] = True\n"
                    "    threading.Thread(target=time.sleep, args=(99,)).start()\n"
                    "    print(subprocess.Popen(['sleep', '98']).pid, flush=True)\nreturn 2 * x")  # fmt: skip
    assert report.passed
    for pid in report.printed.split()[:3]:
        state = pathlib.Path(f"/proc/{pid}/stat")
        assert not state.exists() or state.read_text().split()[2] == "Z"


def test_the_learners_file_is_what_runs_and_not_the_solution(shelf, capsys):
    path = shelf("double")
    assert main(["exercise", "3", "--start"]) == 0
    assert path.read_text() == START
    assert main(["exercise", "3"]) == 1
    assert "double  not begun  line 6" in capsys.readouterr().out
    path.write_text(SOLUTION)
    assert main(["exercise", "3"]) == 0
    assert "1 of 1 passed" in capsys.readouterr().out
    path.write_text(SOLUTION.replace("2 * x", "2.0001 * x"))
    assert main(["exercise", "3"]) == 1
    printed = capsys.readouterr().out
    assert "yours is 1.00005 times the expected value in every entry." in printed
    assert "hint      tinyae exercise 3 --hint do" in printed


def test_a_file_that_is_there_is_never_written_over(shelf, capsys):
    path = shelf("double")
    path.write_text("mine")
    assert main(["exercise", "3", "--start"]) == 2
    assert "03_small.py: it is there already, and is left as it is." in capsys.readouterr().err
    assert path.read_text() == "mine"
    assert main(["exercise", "3", "--start", "other/folder"]) == 0
    assert pathlib.Path("other/folder/03_small.py").read_text() == START
    assert main(["exercise", "3", "--start", "03_small.py"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_class_is_a_line_for_each_file_and_a_list_as_json(shelf, capsys):
    shelf("double", "treble")
    pathlib.Path("a.py").write_text(SOLUTION + SOLUTION.replace("double", "treble"))
    pathlib.Path("b.py").write_text(SOLUTION)
    pathlib.Path("c.py").write_text("(")
    assert main(["exercise", "3", "a.py", "b.py", "c.py", "gone.py"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "a.py     do: passed     do: passed"
    assert lines[1] == "b.py     do: passed     do: missing"
    assert lines[2].endswith("SyntaxError: '(' was never closed")
    assert lines[3].endswith("it is not there")
    assert lines[-1] == "1 of 4 files passed; one in full: tinyae exercise 3 FILE"
    assert main(["exercise", "3", "--json", "a.py"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["file"], found["lesson"], found["passed"]) == ("a.py", 3, True)
    assert found["exercises"][1].keys() == {"name", "kind", "state", "message", "assertions", "remark", "line", "origin"}
    assert found["exercises"][1]["name"] == "treble"
    assert found["exercises"][1]["line"] == 3


def test_hints_come_one_at_a_time(shelf, capsys):
    shelf("double", "treble")
    assert main(["exercise", "3", "--hint"]) == 0
    assert "double  2 hints   twice x" in capsys.readouterr().out
    assert main(["exercise", "3", "--hint", "treble"]) == 0
    printed = capsys.readouterr().out
    assert "treble, hint 1 of 2: add x to something" in printed
    assert "x + x" not in printed
    assert "next: tinyae exercise 3 --hint treble 2" in printed
    assert main(["exercise", "3", "--hint", "2", "2"]) == 0
    printed = capsys.readouterr().out
    assert "treble, hint 2 of 2: x + x" in printed
    assert f"the solution: {library.folder() / 'solutions' / '03_small.py'}" in printed
    for words, text in ((["half"], "has no exercise 'half'. (expected: do (double), do (treble))"), (["do", "3"], "double has 2 hints. (got: 3)")):
        assert main(["exercise", "3", "--hint", *words]) == 2
        assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["3"], "03_small.py: there is no such file. (remedy: tinyae exercise 3 --start makes 03_small.py here)"),
        (["3", "."], ".: it is a folder. (remedy: tinyae exercise 3 --start makes 03_small.py here)"),
        (["9"], "lesson 9 has no exercises. (expected: one of 3)"),
        (["3", "--start", ".", "--hint"], "--start goes alone."),
        (["3", "--hint", "do", "x"], "--hint takes an exercise and the number of a hint."),
        (["3", "x.py", "--seconds", "0"], "is not a finite number above 0"),
        (["3", "x.py", "--wrong"], "unrecognized arguments: --wrong"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(shelf, capsys, words, text):
    shelf("double")
    try:
        code = main(["exercise", *words])
    except SystemExit as error:
        code = error.code
    assert code == 2
    assert text in capsys.readouterr().err


def test_without_a_number_the_lessons_with_exercises_are_listed(shelf, capsys):
    shelf("double")
    assert main(["exercise"]) == 0
    assert "3  Small ones: double" in capsys.readouterr().out


def test_without_hypothesis_one_can_begin_and_is_told_what_to_install(shelf, capsys, monkeypatch):
    path = shelf("double")
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    assert main(["exercise", "3", "--start"]) == 0
    assert path.read_text() == START
    assert main(["exercise", "3"]) == 2
    assert 'pip install "tinyae[checks]"' in capsys.readouterr().err


def test_ctrl_c_ends_both_processes_in_one_line(shelf, tmp_path):
    path = shelf("double")
    path.write_text("import os, time\nprint(os.getpid(), file=open('pid', 'w'), flush=True)\nwhile True:\n    time.sleep(0.01)\n")
    code = f"import pathlib, sys; from tinyae.course import library; library.folder = lambda: pathlib.Path({str(library.folder())!r}); "
    command = [sys.executable, "-P", "-c", code + "from tinyae.cli import main; sys.exit(main())", "exercise", "3"]
    process = subprocess.Popen(command, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not (pathlib.Path("pid").exists() and pathlib.Path("pid").read_text().strip()) and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=60)
    assert (process.returncode, printed, errors) == (130, "", "tinyae: interrupted\n")
    assert not pathlib.Path("/proc", pathlib.Path("pid").read_text().strip()).exists()


@pytest.mark.parametrize(
    ("found", "expected", "text"),
    [
        (np.array([2.0, 4.0, 6.0]), np.array([1.0, 2.0, 3.0]), "yours is 2 times the expected value in every entry, like a half forgotten."),
        (
            np.array([1.0, 2.0, 4.0]) / 3,
            np.array([1.0, 2.0, 4.0]),
            "yours is 0.333333 times the expected value in every entry, like a mean over 3 ent",
        ),
        (-np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 4.0]), "a sign: yours is minus the expected value in every entry."),
        (np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 3.0], [2.0, 4.0]]), "yours is transposed."),
        (np.array([1.5, 2.5]), np.array([1.0, 2.0]), "yours is 0.5 too large in every entry."),
        (np.array([1.0, 9.0]), np.array([1.0, 3.0]), "yours is the square of the expected value."),
        (np.exp([1.0, 3.0]), np.array([1.0, 3.0]), "yours is the exponential of the expected value."),
        (np.zeros(2), np.array([1.0, 3.0]), "yours is zero in every entry."),
        (np.array([[1.0], [3.0]]), np.array([1.0, 3.0]), "its numbers are right, an axis of length 1 is too many."),
        (np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([3.0, 7.0]), "the sum over axis 1 is missing."),
        (5.0, np.array([1.0, 2.0]), "the result has the wrong shape: it is a single number."),
        ((1.0, 2.0), 3.0, "the result must be a number, and it is a tuple of 2 things: is a comma too much?"),
        (True, 1.0, "the result must be a number, and it is a bool."),
        ("3", 3.0, "the result must be a number, and it is a str."),
        ((1.0,), (1.0, 2.0), "it must return 2 results: the result 1 of 2, the result 2 of 2."),
        ((np.array([1.0, 2.0]), np.array([3.0, 5.0])), (np.array([3.0, 5.0]), np.array([1.0, 2.0])), "It is the result 2 of 2: are they exchanged?"),
        ("yes", "no", "the result is wrong."),
        ({"a": 1.0}, {"b": 1.0}, "the result must be a dict with the keys b."),
    ],
)
def test_a_comparison_says_what_a_learner_may_have_done(found, expected, text):
    Count.made = 0
    with pytest.raises(Mismatch) as raised:
        expect_same(found, expected, arguments={"x": np.zeros(3)})
    assert text in raised.value.text
    assert Count.made
    expect_same(expected, expected)


@pytest.mark.parametrize("found", [np.array([1.0, 2.0]), np.array([1.0, 2.0 + 1e-9]), np.array([1, 2])])
def test_a_comparison_accepts_rounding_and_whole_numbers(found):
    expect_same(found, np.array([1.0, 2.0]))


def test_an_exercise_has_one_of_three_kinds():
    with pytest.raises(ArgumentError, match="an exercise is of one kind"):
        Exercise(function="f", kind="guess", goal="", example={})


def test_the_same_file_is_judged_alike_twice(shelf):
    body = "return 2 * x if x.size < 4 else 2 * x + np.random.normal()"
    assert judged(shelf, body).exercises == judged(shelf, body).exercises


def test_all_learners_get_the_same_inputs_whatever_else_their_files_hold(shelf):
    """Hypothesis draws constants that it finds in the modules there are."""
    path, printed = shelf("double"), []
    for constants in ("", "FOUND = [17, -3, 4711, 2.5, 0.125]\n\n\n"):
        path.write_text(constants + "def double(x):\n    print(x.shape, x.sum().item())\n    return 2 * x\n")
        printed.append(check_file(path, 3).printed)
    assert printed[0] == printed[1]
    assert printed[0].count("\n") >= 26


def test_numbers_are_those_of_the_files_of_checks(shelf):
    shelf("double")
    (library.folder() / "checks" / "notes.txt").write_text("")
    assert sheets.numbers() == [3]


def test_an_option_without_a_lesson_asks_which(capsys, tmp_path):
    for option in ("--start", "--hint", "--json"):
        assert main(["exercise", option]) == 2
        assert "of which lesson?" in capsys.readouterr().err
    (tmp_path / "mine.py").write_text("")
    assert main(["exercise", "6", "--start", str(tmp_path / "mine.py")]) == 2
    assert "mine.py: it is no folder" in capsys.readouterr().err
