"""Exercises: what a learner writes, and the checks that run it: in a process of its own, against shapes, values and drawn inputs."""

from tinyae.course.exercises.compare import expect_array, expect_arrays, expect_same
from tinyae.course.exercises.exercise import Exercise, Mismatch, Wrong, expect
from tinyae.course.exercises.judge import Verdict
from tinyae.course.exercises.runner import Report, check_file
from tinyae.course.exercises.sheet import exercises_of

__all__ = ["Exercise", "Mismatch", "Report", "Verdict", "Wrong", "check_file", "exercises_of"]
__all__ += ["expect", "expect_array", "expect_arrays", "expect_same"]
