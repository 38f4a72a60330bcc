"""The texts of errors."""

import subprocess
import sys

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


def test_where_the_command_begins_is_nobodys_line(tmp_path):
    """An error below `tinyae train` has no line of the user's to show, only that of the script which pip wrote."""
    script = tmp_path / "tinyae"
    script.write_text("import sys\nfrom tinyae.cli import main\nsys.exit(main())\n")
    line = ["train", "vae", "--lr", "1e10", "--epochs", "2", "--out", str(tmp_path / "run")]
    for start in ([str(script)], ["-m", "tinyae"]):
        found = subprocess.run([sys.executable, *start, *line], capture_output=True, text=True)
        assert found.returncode == 2
        assert "it made the first infinity" in found.stderr
        assert "main()" not in found.stderr
        assert "runpy" not in found.stderr
