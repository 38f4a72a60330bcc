"""Lessons: find them, run them, record their numbers, and compare these with the bands of other seeds."""

from tinyae.course.library import Entry, entry, lessons
from tinyae.course.record import CheckFailed, Lesson
from tinyae.course.run import Settings, begin, run_lesson, settings

__all__ = ["CheckFailed", "Entry", "Lesson", "Settings", "begin", "entry", "lessons", "run_lesson", "settings"]
