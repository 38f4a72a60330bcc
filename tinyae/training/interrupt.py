"""Ctrl-C that waits for the end of a training step."""

import contextlib
import contextvars
import signal
import threading


class Interrupt:
    """`asked` becomes True at the first Ctrl-C; a second one interrupts at once."""

    asked = False

    def __call__(self, number, frame):
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


_at_once = contextvars.ContextVar("tinyae_interrupt_at_once", default=False)


@contextlib.contextmanager
def interrupt_at_once():
    """A context in which Ctrl-C ends everything, also a training: what comes after it would take half a training for a whole one."""
    token = _at_once.set(True)
    try:
        yield
    finally:
        _at_once.reset(token)


@contextlib.contextmanager
def graceful_interrupt():
    """`with graceful_interrupt() as interrupt:` turns Ctrl-C into `interrupt.asked`, in the main thread; not inside `interrupt_at_once`."""
    interrupt = Interrupt()
    if _at_once.get() or threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)
