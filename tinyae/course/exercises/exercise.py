"""An exercise, the wrong answers that it must notice, and the words with which a check says what it expects."""

from dataclasses import dataclass
from typing import NamedTuple

from tinyae.errors import ArgumentError

KINDS = "do", "break", "extend"


class Wrong(NamedTuple):
    """A wrong answer: a misconception put into the solution.  Tests put it there and expect its phrase in the report.

    old: a text that occurs once in the source of the solution's function.  new: what takes its place.
    """

    name: str
    old: str
    new: str
    phrase: str


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """What a learner writes, and how it is judged.

    function: its name.  kind: "do", "break" or "extend".  goal: one line.  example: the first arguments, by name; axes of different lengths.
    inputs: a Hypothesis strategy of such arguments, or None where the example says all.  judge: None compares the learner's result with the
    solution's on the same arguments; else judge(answer, solution, arguments) with `expect` and `expect_same`, which may return a remark.
    hints: from a first small step to nearly the line of code.  wrong: each a Wrong, or a tuple of its four texts.
    rtol, atol: of the comparison.  returns: names of the results, where there are several.
    """

    function: str
    kind: str
    goal: str
    example: dict
    inputs: object = None
    judge: object = None
    hints: tuple = ()
    wrong: tuple = ()
    rtol: float = 1e-9
    atol: float = 1e-12
    returns: tuple = ()

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ArgumentError(f"{self.function}: an exercise is of one kind.", expected=", ".join(KINDS), got=repr(self.kind))
        object.__setattr__(self, "wrong", tuple(Wrong(*one) for one in self.wrong))


class Mismatch(AssertionError):
    """An answer is not what an exercise asks for.  arguments: those it was called with, where they are not the exercise's own."""

    def __init__(self, text, expected=None, got=None, arguments=None):
        super().__init__(text)
        self.text, self.expected, self.got, self.arguments = text, expected, got, arguments


class Count:
    """How many comparisons were made: a check that made none has shown nothing."""

    made = 0


def expect(condition, text, expected=None, got=None, arguments=None):
    """Count a comparison; where it does not hold, end the exercise with `text`, which says what is wrong.

    expected, got: what is shown below it, a text or a value.  arguments: those of the call, where they are not the exercise's own.
    """
    Count.made += 1
    if not condition:
        raise Mismatch(text, expected, got, arguments)
