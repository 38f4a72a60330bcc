"""The view on the terminal: keys move through both passes, every size can be drawn, and the terminal is left as it was."""

import contextlib
import copy
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import time

import pytest

import tinyae
from tinyae.microscope import cards, terminal
from tinyae.microscope.target import load_target

fcntl = pytest.importorskip("fcntl")
termios = pytest.importorskip("termios")
HOME = os.path.dirname(os.path.dirname(tinyae.__file__))


@pytest.fixture(scope="module")
def record():
    return load_target("vae").record(draws=3)


def pressed(record, keys):
    shown = terminal.View(record)
    for key in keys:
        assert shown.press(key)
    return shown


def bare(text):
    """The text without what colours it and moves the cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


# ---- what keys select


def test_lines_and_operations_are_walked_through_in_the_order_of_the_mode(record):
    lines = [step[0]["source"] for step in terminal.View(record).steps]
    assert [pressed(record, "j" * i).node["source"] for i in range(len(lines))] == lines
    assert len(lines) < len(record["nodes"])
    assert [pressed(record, "l" * i).node["id"] for i in range(14)] == list(range(1, 15))
    assert [pressed(record, "b" + "l" * i).node["id"] for i in range(14)] == list(range(14, 0, -1))
    assert [step[0]["source"] for step in pressed(record, "b").steps] == lines[::-1]


@pytest.mark.parametrize(
    ("keys", "id"),
    [
        ("", 1),
        ("k", 1),
        ("h", 1),
        ("jk", 1),
        ("G", 14),
        ("Gj", 14),
        ("Gg", 1),
        ("b", 14),
        ("bk", 14),
        ("bG", 1),
        ("bGk", 5),
        ("bGh", 2),
        ("bf", 14),
        ("bllf", 12),
    ],
)
def test_keys_select(record, keys, id):
    assert pressed(record, keys).node["id"] == id


def test_the_first_of_a_line_is_selected_also_when_coming_back(record):
    shown = pressed(record, "jl")
    second = shown.node["id"]
    shown.press("k")
    shown.press("j")
    assert shown.node["id"] == second - 1


def test_terms_are_chosen(record):
    assert pressed(record, "r").term == "reconstruction"
    assert pressed(record, "e").term == "kl"
    assert pressed(record, "et").term is None
    single = copy.deepcopy(record)
    single["terms"] = single["terms"][:1]
    assert pressed(single, "e").term is None


def test_q_ends_and_other_keys_do_nothing(record):
    shown = pressed(record, "xyz 1\x1b")
    assert (shown.node["id"], shown.mode, shown.term) == (1, "forward", None)
    assert shown.press("q") is False


def test_arrows_are_keys_of_several_bytes():
    assert list(terminal.keys_in("j\x1b[Bq\x1bOAx")) == ["j", "\x1b[B", "q", "\x1bOA", "x"]


def test_a_pass_without_gradients_can_be_walked(record):
    other = copy.deepcopy(record)
    for node in other["nodes"]:
        node["gradient"] = None
    assert pressed(other, "bjj").node["gradient"] is None
    assert "none: the backward pass does not come here" in bare(terminal.screen(pressed(other, "b"), 100, 40))


# ---- what is drawn


def test_the_screen_shows_source_and_card(record):
    text = bare(terminal.screen(pressed(record, "jjj"), 140, 40))
    rows = text.split("\r\n")
    assert rows[0].startswith("FORWARD ")
    assert any(row.startswith(">") and "return self.decoder(z)" in row for row in rows)
    assert "y7 = linear(z, decoder.0.weight, decoder.0.bias)" in text
    assert "agrees with finite differences" in text
    assert rows[-1].startswith("q quit  ? keys  j k line")


def test_the_gradient_comes_first_on_the_way_back_and_is_split_by_term(record):
    shown = pressed(record, "bGk")
    assert cards.card(shown).plain.index("GRADIENT") < cards.card(shown).plain.index("VALUE")
    total, first = cards.card(shown).plain, cards.card(pressed(record, "bGkr")).plain
    assert "from reconstruction alone" in first
    assert total != first
    divergence = next(i for i, node in enumerate(record["nodes"]) if node["operation"] == "kl_standard_normal")
    assert "nothing comes from reconstruction" in cards.card(pressed(record, "l" * divergence + "r")).plain


def test_a_wrong_gradient_is_said_in_words_not_only_in_colour(record):
    wrong = copy.deepcopy(record)
    wrong["nodes"][0]["rules"][0]["check"]["verdict"] = "wrong"
    assert "WRONG" in cards.card(pressed(wrong, "")).plain


@pytest.mark.parametrize("size", [(200, 60), (80, 24), (71, 10), (60, 24), (40, 6), (30, 5), (10, 3), (3, 2), (1, 1)])
def test_every_size_of_window_can_be_drawn(record, size):
    width, height = size
    for keys in ("", "G", "bj", "r"):
        rows = bare(terminal.screen(pressed(record, keys), width, height)).split("\r\n")
        assert len(rows) <= height
        assert max(map(len, rows)) <= width


def test_numbers_that_are_missing_can_be_drawn(record):
    other = copy.deepcopy(record)
    other["loss"]["value"] = None
    for node in other["nodes"]:
        node["value"] |= {"norm": None, "mean": None, "min": None, "max": None, "deviation": None, "histogram": [], "nan": 3}
        node["check"] = {"verdict": "not finite", "numeric": None, "analytic": None, "error": None, "step": 1e-4, "slopes": [None, None]}
    text = bare(terminal.screen(pressed(other, ""), 200, 60))
    assert "negative_elbo = not finite" in text
    assert "3 entries are NaN" in text
    assert "proof: not finite" in text


def drawn(shown, width=80, height=24):
    """The rows of the screen."""
    return bare(terminal.screen(shown, width, height)).split("\r\n")


def test_the_keys_fit_in_80_columns_and_say_how_to_end(record):
    assert drawn(pressed(record, ""))[-1].rstrip() == terminal.HELP
    assert len(terminal.HELP) <= 80
    assert "q quit" in drawn(pressed(record, ""), width=40)[-1]


def test_all_keys_are_told_and_any_key_closes_them(record):
    shown = pressed(record, "?")
    text = "\n".join(drawn(shown, 120, 40))
    assert all(said in text for said in terminal.EVERY_KEY)
    assert "VALUE" not in text
    assert "VALUE" in "\n".join(drawn(pressed(record, "??"), 120, 40))
    assert shown.press("x")
    assert not shown.help
    assert shown.press("?")
    assert shown.press("q") is False


@pytest.mark.parametrize("size", [(80, 24), (50, 16), (71, 12)])
def test_a_long_card_can_be_scrolled_to_its_end_and_back(record, size):
    shown = pressed(record, "b" + "l" * 6)
    top = drawn(shown, *size)
    whole = cards.card(shown).plain.split()
    assert "Space" in "".join(top)
    seen = []
    for _ in range(60):
        rows = drawn(shown, *size)
        seen += "\n".join(rows).split()
        before = shown.scroll
        shown.press(" ")
        drawn(shown, *size)
        if shown.scroll == before:
            break
    assert {*whole} <= {*seen}
    assert "Space" not in "".join(drawn(shown, *size)[:-1])
    shown.press("K")  # not swallowed by presses beyond the end
    assert drawn(shown, *size) != rows
    for _ in range(60):
        shown.press("\x1b[5~")
    assert drawn(shown, *size) == top
    shown.press("J")
    assert shown.scroll == 1
    shown.press("l")
    assert shown.scroll == 0


def test_a_single_number_has_no_mean_and_no_deviation(record):
    shown = pressed(record, "G")
    text = cards.card(shown).plain
    assert f"  () float32, {record['loss']['value']:.4g}\n" in text
    assert "+-" not in text
    assert "norm" not in text[: text.index("GRADIENT")]


def test_an_operation_is_told_by_its_number_and_its_line_of_the_source(record):
    node = record["nodes"][6]
    text = cards.card(pressed(record, "l" * 6)).plain
    assert f"operation 7 (vae.py:{node['at']}): linear" in text
    assert "(operation 6)" in text
    assert "line " not in text[text.index("VALUE") :]


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", None)])
def test_settings_that_ask_for_plain_text_are_heard(name, value, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    assert terminal.answers()
    monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    assert not terminal.answers()


# ---- on a real terminal


class Session:
    """`tinyae microscope` on a terminal of its own."""

    def __init__(self, arguments, rows=30, columns=100, **environment):
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        environment = {**os.environ, "TERM": "xterm", "PYTHONPATH": HOME, "PYTHONUTF8": "1"} | environment
        environment.pop("NO_COLOR", None) if "NO_COLOR" not in environment else None
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tinyae", "microscope", *arguments],
            stdin=self.slave, stdout=self.slave, stderr=self.slave, env=environment, start_new_session=True,
        )  # fmt: skip
        self.text = ""

    def resize(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def until(self, wanted, since=0):
        """Read until the text since then holds `wanted`; returns how much was read."""
        end = time.monotonic() + 60
        while wanted not in bare(self.text[since:]):
            assert time.monotonic() < end, f"{wanted!r} did not come: {bare(self.text[since:])[-2000:]!r}"
            if select.select([self.master], [], [], 0.1)[0]:
                self.text += os.read(self.master, 65536).decode(errors="replace")
        return len(self.text)

    def press(self, keys, wanted):
        since = len(self.text)
        os.write(self.master, keys.encode())
        return self.until(wanted, since)

    def end(self):
        """Wait for the end, reading; the exit code."""
        while self.process.poll() is None:
            if select.select([self.master], [], [], 0.1)[0]:
                self.text += os.read(self.master, 65536).decode(errors="replace")
        while select.select([self.master], [], [], 0.1)[0]:
            self.text += os.read(self.master, 65536).decode(errors="replace")
        return self.process.returncode

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def session():
    """session(*arguments, **environment): a Session that is closed at the end."""
    opened = []

    def start(*arguments, **environment):
        opened.append(Session(arguments, **environment))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def assert_left_as_it_was(session):
    assert termios.tcgetattr(session.slave) == session.before
    assert session.text.count("\x1b[?1049h") == session.text.count("\x1b[?1049l") == 1
    assert session.text.rindex("\x1b[?25h") > session.text.rindex("\x1b[?25l")


def test_keys_move_and_q_leaves_the_terminal_as_it_was(session):
    shown = session("vae")
    shown.until("FORWARD 1/14")
    assert termios.tcgetattr(shown.slave)[3] & termios.ICANON == 0
    shown.press("j", "FORWARD 4/14")
    shown.press("\x1b[B", "FORWARD 6/14")
    shown.press("b", "BACKWARD 1/14")
    shown.press("e", "gradient: kl")
    shown.press("G", "BACKWARD 14/14")
    shown.press("t \x1b[6~", "above, PageUp")
    shown.press("?", "any key closes them")
    os.write(shown.master, b"q")
    assert shown.end() == 0
    assert_left_as_it_was(shown)
    assert "Traceback" not in shown.text


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_ctrl_c_and_an_end_from_outside_leave_the_terminal_as_it_was(sent, code, session):
    shown = session("vae")
    shown.until("FORWARD 1/14")
    shown.process.send_signal(sent)
    assert shown.end() == code
    assert_left_as_it_was(shown)
    assert "Traceback" not in shown.text


def test_a_window_of_another_size_is_drawn_again(session):
    shown = session("vae")
    since = shown.until("r e t terms")
    shown.resize(12, 50)
    shown.until("FORWARD 1/14", since)
    assert "\x1b[2J" in shown.text[since:]
    os.write(shown.master, b"q")
    assert shown.end() == 0
    assert_left_as_it_was(shown)


@pytest.mark.parametrize(("arguments", "environment"), [(["vae", "--plain"], {}), (["vae"], {"NO_COLOR": "1"}), (["vae"], {"TERM": "dumb"})])
def test_plain_text_where_it_is_asked_for(session, arguments, environment):
    shown = session(*arguments, **environment)
    assert shown.end() == 0
    assert "\x1b" not in shown.text
    assert "d loss / d log_variance" in shown.text
