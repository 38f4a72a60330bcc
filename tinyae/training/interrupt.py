"""Ctrl-C that waits for the end of a training step."""

import contextlib
import signal
import threading


class Interrupt:
    """`asked` becomes True at the first Ctrl-C; a second one interrupts at once."""

    asked = False

    def __call__(self, number, frame):
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@contextlib.contextmanager
def graceful_interrupt():
    """`with graceful_interrupt() as interrupt:` turns Ctrl-C into `interrupt.asked`, in the main thread."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)
