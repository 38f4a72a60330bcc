"""The texts of errors."""

from tinyae.errors import RunError, ShapeError, caller, one_line, show


def test_an_error_says_rule_expected_got_place_and_remedy():
    text = str(ShapeError("matmul: columns must equal rows.", expected="x (N, K)", got="x (3, 4)", at="a.py:1", remedy="transpose"))
    assert text == (
        "matmul: columns must equal rows.\n"
        "  expected  x (N, K)\n"
        "  got       x (3, 4)\n"
        "  at        a.py:1\n"
        "  remedy    transpose"
    )  # fmt: skip


def test_on_the_command_line_it_is_one_line():
    error = RunError("the folder cannot be made.", got="not a directory", remedy="choose  another")
    assert one_line(error) == "the folder cannot be made. (got: not a directory; remedy: choose another)"
    assert one_line(ValueError("plain")) == "plain"
    assert one_line(KeyError()) == "KeyError"


def test_the_users_line_is_shown():
    place = show(caller())  # this very line
    assert place.startswith("test_errors.py:")
    assert place.endswith("   place = show(caller())  # this very line")
    assert show(None) is None
