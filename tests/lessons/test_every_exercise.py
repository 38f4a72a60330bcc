"""Every exercise of every lesson: the solution passes, and so do right answers in other styles; what is blank, not begun, one of the stated
wrong answers, or a mutant of the solution does not.

pytest tests/lessons/test_every_exercise.py -k 06
"""

import ast
import functools
import inspect
import re

import numpy as np
import pytest
from other_styles import ANSWERS

from tinyae.checks.mutants import Equivalents
from tinyae.course import library
from tinyae.course.exercises import check_file, exercises_of
from tinyae.course.exercises.judge import judge
from tinyae.course.exercises.mutants import EQUIVALENTS, verdicts
from tinyae.course.exercises.sheet import load, numbers

NUMBERS = numbers()
each_lesson = pytest.mark.parametrize("number", NUMBERS, ids=[f"{number:02d}" for number in NUMBERS])
each_exercise = pytest.mark.parametrize(("number", "place"), [(number, place) for number in NUMBERS for place in range(3)], ids=lambda x: f"{x:02d}")


@functools.cache
def sheet_of(number):
    """The exercises of a lesson, read once."""
    return exercises_of(number)


@functools.cache
def solution_of(number):
    """The module of a lesson's solutions."""
    return load(sheet_of(number).solution, f"solution_{number:02d}")


@functools.cache
def functions_in(path):
    """name -> (syntax tree, source) of the public functions at the top of a file, in their order."""
    source = path.read_text(encoding="utf-8")
    nodes = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
    return {node.name: (node, ast.get_source_segment(source, node)) for node in nodes}


def verdict_of(number, exercise, source, folder):
    """The verdict on an answer whose file has this text."""
    path = folder / "answer.py"
    return judge(exercise, load(path, "learner", source), solution_of(number), path)


def unfinished(result):
    """What gives zeros where a result has numbers; of a function a function."""
    if isinstance(result, (tuple, list)):
        return type(result)(map(unfinished, result))
    if isinstance(result, dict):
        return {key: unfinished(value) for key, value in result.items()}
    if callable(result):
        return lambda *args, **kwargs: unfinished(result(*args, **kwargs))
    return np.zeros_like(result) if isinstance(result, np.ndarray) else type(result)() if isinstance(result, (str, bool)) else 0.0 * result


@each_lesson
def test_the_three_files_have_the_same_functions(number):
    sheet = sheet_of(number)
    names = [exercise.function for exercise in sheet.exercises]
    assert [exercise.kind for exercise in sheet.exercises] == ["do", "break", "extend"]
    for path in (sheet.start, sheet.solution):
        assert [name for name in functions_in(path) if name in names] == names
    assert list(functions_in(sheet.start)) == names, "helpers of a solution begin with _, and a start has none"
    for exercise in sheet.exercises:
        start, solution = (functions_in(path)[exercise.function][0] for path in (sheet.start, sheet.solution))
        assert ast.unparse(start.args) == ast.unparse(solution.args)
        assert ast.get_docstring(start).splitlines()[0] == ast.get_docstring(solution).splitlines()[0]
        inspect.signature(getattr(solution_of(number), exercise.function)).bind(**exercise.example)


@each_lesson
def test_the_lesson_names_its_exercises(number):
    text = library.entry(number).path.read_text(encoding="utf-8")
    assert library.entry(number).path.name == sheet_of(number).name
    section = re.split(r"^# ## ", text.partition("# ## Exercises")[2], flags=re.MULTILINE)[0]
    assert [exercise.function for exercise in sheet_of(number).exercises if f"`{exercise.function}" not in section] == []


@each_lesson
def test_the_file_to_fill_in_holds_nothing_of_the_solution(number):
    start = " ".join(sheet_of(number).start.read_text(encoding="utf-8").split())
    assert "tinyae exercise" in start
    for name, (node, _) in functions_in(sheet_of(number).solution).items():
        body = node.body[1:] if ast.get_docstring(node) else node.body
        for statement in (one for top in body for one in ast.walk(top) if isinstance(one, ast.stmt)):
            line = " ".join(ast.unparse(statement).splitlines()[0].split())
            assert len(line) <= 12 or line not in start, name
    for node, _ in functions_in(sheet_of(number).start).values():
        assert [ast.unparse(one) for one in node.body[1:]] == ["raise NotImplementedError"]


@each_exercise
def test_hints_lead_to_the_solution_and_only_the_last_may_say_it(number, place):
    exercise = sheet_of(number).exercises[place]
    assert len(exercise.hints) >= 2
    assert len(exercise.wrong) >= 5
    assert len({wrong.name for wrong in exercise.wrong}) == len(exercise.wrong)
    early = " ".join(" ".join(exercise.hints[:-1]).split())
    node, _ = functions_in(sheet_of(number).solution)[exercise.function]
    lines = [ast.unparse(one).splitlines()[0] for one in ast.walk(node) if isinstance(one, ast.stmt)]
    assert [line for line in lines if len(line) > 12 and line in early] == [], "a line of the solution in a hint before the last"


@each_lesson
def test_the_solution_passes_in_a_process_of_its_own(number):
    report = check_file(sheet_of(number).solution, number)
    assert report.passed, report
    assert all(verdict.assertions for verdict in report.exercises)


@each_exercise
def test_what_is_not_begun_or_blank_is_said_to_be(number, place, tmp_path):
    exercise = sheet_of(number).exercises[place]
    start = sheet_of(number).start.read_text(encoding="utf-8")
    assert verdict_of(number, exercise, start, tmp_path).state == "not begun"
    assert verdict_of(number, exercise, "", tmp_path).state == "missing"


@each_exercise
def test_none_and_zeros_of_the_right_shape_fail(number, place, tmp_path):
    exercise = sheet_of(number).exercises[place]
    right = getattr(solution_of(number), exercise.function)
    arguments = ast.unparse(functions_in(sheet_of(number).solution)[exercise.function][0].args)
    verdict = verdict_of(number, exercise, f"def {exercise.function}({arguments}):\n    return None", tmp_path)
    assert (verdict.state, verdict.message.splitlines()[0]) == ("failed", "it returns None: is a return missing?")
    module = load(tmp_path / "zeros.py", "learner", "")
    setattr(module, exercise.function, functools.wraps(right)(lambda *args, **kwargs: unfinished(right(*args, **kwargs))))
    verdict = judge(exercise, module, solution_of(number), tmp_path / "zeros.py")
    assert verdict.state == "failed", verdict
    assert verdict.assertions


@each_exercise
def test_every_stated_wrong_answer_is_noticed_and_described(number, place, tmp_path):
    exercise = sheet_of(number).exercises[place]
    solution, source = (sheet_of(number).solution.read_text(encoding="utf-8"), functions_in(sheet_of(number).solution)[exercise.function][1] + "\n")
    for wrong in exercise.wrong:
        assert source.count(wrong.old) == 1, f"{wrong.name}: the text to replace stands once in the solution's function"
        verdict = verdict_of(number, exercise, solution.replace(source, source.replace(wrong.old, wrong.new)), tmp_path)
        assert verdict.state == "failed", (wrong.name, verdict)
        assert verdict.assertions, wrong.name
        assert wrong.phrase in verdict.message, (wrong.name, verdict.message)


@each_lesson
def test_every_mutant_of_a_solution_is_noticed_or_right_for_a_stated_reason(number):
    known = Equivalents(sheet_of(number).checks.parent / EQUIVALENTS)
    found = [verdict for exercise in sheet_of(number).exercises for verdict in verdicts(exercise, solution_of(number))]
    assert len(found) >= 60
    assert [verdict.text for verdict in found if not verdict.killed_by and not known.reason(verdict)] == []
    assert known.stale({exercise.function for exercise in sheet_of(number).exercises}) == [], "no longer made, or killed by now"


def test_equivalent_mutants_are_those_of_exercises():
    functions = [exercise.function for number in NUMBERS for exercise in sheet_of(number).exercises]
    assert len(set(functions)) == len(functions)
    assert {text.partition(": ")[0] for text in Equivalents(sheet_of(NUMBERS[0]).checks.parent / EQUIVALENTS)} <= set(functions)


@pytest.mark.parametrize(("number", "function", "source"), [(n, f, s) for n, f, _, s in ANSWERS], ids=[f"{n:02d} {f}: {w}" for n, f, w, _ in ANSWERS])
def test_a_right_answer_in_another_style_passes(number, function, source, tmp_path):
    verdict = verdict_of(number, sheet_of(number).find(function), f"import numpy as np\n{source}", tmp_path)
    assert verdict.state == "passed", verdict


def test_each_exercise_has_right_answers_in_other_styles():
    functions = {exercise.function for number in NUMBERS for exercise in sheet_of(number).exercises}
    assert functions == {function for _, function, _, _ in ANSWERS}
