"""A record on the terminal: the source on the left, the operation of the selected line on the right, keys to walk through both passes."""

import contextlib
import importlib.util
import os
import select
import signal
import sys

from tinyae.microscope import cards

KEYS = {  # what a key does; arrows and others send several bytes
    "j": "next", "\x1b[B": "next", "\x1bOB": "next", "k": "previous", "\x1b[A": "previous", "\x1bOA": "previous",
    "l": "next operation", "\x1b[C": "next operation", "\x1bOC": "next operation",
    "h": "previous operation", "\x1b[D": "previous operation", "\x1bOD": "previous operation",
    " ": "page down", "\x1b[6~": "page down", "\x1b[5~": "page up", "J": "down", "K": "up", "?": "help",
    "g": "first", "G": "last", "f": "forward", "b": "backward", "r": "first term", "e": "second term", "t": "total", "q": "quit",
}  # fmt: skip
HELP = "q quit  ? keys  j k line  h l operation  f b pass  Space scroll  r e t terms"
EVERY_KEY = {
    "j or down, k or up": "next line, previous line, in the order of the pass",
    "l or right, h or left": "next operation, previous operation",
    "g, G": "first operation, last operation",
    "f, b": "forward; backward, from the loss",
    "Space, PageDown; PageUp": "on in a long card; back",
    "J, K": "the same, one row",
    "r, e, t": "gradient of the first term alone, of the second alone, of the whole loss",
    "?": "these keys; any key closes them",
    "q, Ctrl-C": "quit",
}
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[0m\x1b[?25h\x1b[?1049l"  # the other screen, without a cursor
WAIT = 0.25  # seconds between two looks at the size of the window


def answers():
    """Whether there is a terminal with keys, which no setting says to keep plain."""
    if importlib.util.find_spec("termios") is None:
        return False
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb"
    return bool(not plain and sys.stdin.isatty() and sys.stdout.isatty())


class View:
    """What is selected: the operation, the mode, and the term whose gradient is shown (None for the total).

    bars: of histograms.  scroll: rows of the card that are above the window.  page: rows to scroll at once.  help: whether keys are told.
    """

    def __init__(self, record, bars=cards.ASCII_BARS):
        self.record, self.mode, self.term, self.bars = record, "forward", None, bars
        self.node, self.scroll, self.page, self.help = record["nodes"][0], 0, 1, False

    @property
    def order(self):
        """The operations in the order of the mode: the backward pass begins at the loss, and has those that it reaches."""
        nodes = self.record["nodes"]
        reached = [node for node in reversed(nodes) if node["gradient"] is not None]
        return nodes if self.mode == "forward" or not reached else reached

    @property
    def steps(self):
        """The same, those that follow one another on a line together."""
        found = []
        for node in self.order:
            if found and cards.line_of(found[-1][0]) == cards.line_of(node):
                found[-1].append(node)
            else:
                found.append([node])
        return found

    def press(self, key):
        """Do what a key says; returns whether to go on."""
        action, before = KEYS.get(key), (self.node, self.mode, self.term, self.help)
        self.help = action == "help" and not self.help
        if action in ("page down", "page up", "down", "up"):
            self.scroll = max(0, self.scroll + (self.page if "page" in action else 1) * (1 if "down" in action else -1))
        else:
            self.select(action)
        if before != (self.node, self.mode, self.term, self.help):
            self.scroll = 0
        return action != "quit"

    def select(self, action):
        """Go to another operation, the other mode, or another term."""
        if action in ("forward", "backward"):
            self.turn(action)
        elif action in ("next operation", "previous operation"):
            self.walk(self.order, self.order.index(self.node), 1 if action == "next operation" else -1)
        elif action in ("first", "last"):
            self.node = self.order[0 if action == "first" else -1]
        elif action in ("next", "previous"):
            steps = self.steps
            at = next(i for i, step in enumerate(steps) if self.node in step)
            self.walk([step[0] for step in steps], at, 1 if action == "next" else -1)
        elif action in ("first term", "second term", "total"):
            names = [term["name"] for term in self.record["terms"]]
            at = {"first term": 0, "second term": 1, "total": None}[action]
            self.term = self.term if at is not None and at >= len(names) else None if at is None else names[at]

    def turn(self, mode):
        """Change the mode; the operation stays, or where it has no gradient the nearest one before it that has."""
        if mode == self.mode:
            return
        self.mode = mode
        order = self.order
        if mode == "backward":
            self.node = order[0]
        elif self.node not in order:
            self.node = order[-1]

    def walk(self, nodes, at, step):
        """Select the neighbour of `nodes[at]`, if there is one."""
        if 0 <= at + step < len(nodes):
            self.node = nodes[at + step]


def view(record):
    """Show a record until q is pressed; Ctrl-C and errors leave the terminal as it was, too."""
    import termios
    import tty

    stdin, stdout = sys.stdin.fileno(), sys.stdout
    shown = View(record, cards.BARS if "utf" in (stdout.encoding or "").lower() else cards.ASCII_BARS)
    before = termios.tcgetattr(stdin)
    with contextlib.ExitStack() as after:
        after.callback(termios.tcsetattr, stdin, termios.TCSADRAIN, before)
        after.enter_context(terminated())
        tty.setcbreak(stdin)  # Ctrl-C still interrupts
        modes = termios.tcgetattr(stdin)
        modes[6][termios.VSUSP] = os.fpathconf(stdin, "PC_VDISABLE").to_bytes(1, "little")  # Ctrl-Z would leave the other screen behind
        termios.tcsetattr(stdin, termios.TCSADRAIN, modes)
        after.callback(lambda: (stdout.write(LEAVE), stdout.flush()))
        stdout.write(ENTER)
        loop(shown, stdin, stdout)


def loop(shown, stdin, stdout):
    """Draw, wait for a key or another size, and so on."""
    size, drawn = None, None
    while True:
        now = os.get_terminal_size(stdout.fileno())
        state = now, shown.node["id"], shown.mode, shown.term, shown.scroll, shown.help
        if state != drawn:
            text = ("\x1b[2J" if now != size else "") + "\x1b[H" + screen(shown, now.columns, now.lines)
            stdout.write(text.encode(stdout.encoding or "utf-8", "replace").decode(stdout.encoding or "utf-8"))
            stdout.flush()
            size, drawn = now, (*state[:4], shown.scroll, shown.help)  # drawing ends a scroll beyond the end
        if select.select([stdin], [], [], WAIT)[0]:
            read = os.read(stdin, 1024)
            if not read or not all(shown.press(key) for key in keys_in(read.decode(errors="replace"))):
                return


def keys_in(text):
    """The keys in what was read; an arrow is one key."""
    while text:
        key = next((key for key in KEYS if len(key) > 1 and text.startswith(key)), text[0])
        yield key
        text = text[len(key) :]


@contextlib.contextmanager
def terminated():
    """While it lasts, the signal to end ends by SystemExit, so that the terminal is put right."""

    def end(number, frame):
        raise SystemExit(128 + number)

    numbers = signal.SIGTERM, signal.SIGHUP
    before = [signal.signal(number, end) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def screen(shown, width, height):
    """The screen as text with colours, `height` lines of `width` columns."""
    from rich.console import Console

    console = Console(width=width, height=height, force_terminal=True, color_system="standard", highlight=False, legacy_windows=False)
    lines = console.render_lines(cards.page(shown, width, height, HELP, EVERY_KEY), console.options.update(width=width, height=height), pad=True)
    texts = ["".join(segment.style.render(segment.text) if segment.style else segment.text for segment in line) for line in lines[:height]]
    return "\r\n".join(texts)
