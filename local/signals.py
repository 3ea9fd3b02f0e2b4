"""Signals: the handlers only set flags, and a wait ends when a signal arrives."""

import os
import select
import signal
from contextlib import suppress
from types import FrameType

from local.errors import StopRequested

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """The stop signals since `install`."""

    def __init__(self) -> None:
        self.requested = False
        self.hurried = False
        self.stopping = False

    def install(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._old_wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._old_handlers = {number: signal.getsignal(number) for number in (*STOP_SIGNALS, signal.SIGCHLD)}
        for number in STOP_SIGNALS:
            # Under nohup the stack outlives its terminal.
            if number != signal.SIGHUP or self._old_handlers[number] != signal.SIG_IGN:
                signal.signal(number, self._note)
        self._terminal = os.isatty(0) and self._old_handlers[signal.SIGHUP] != signal.SIG_IGN
        # An empty handler, so that the end of a child interrupts a wait.
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def restore(self) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_wakeup)
        os.close(self._reader)
        os.close(self._writer)

    def wait(self, seconds: float) -> None:
        """Wait at most so many seconds; raise StopRequested on the first stop signal."""
        # A closed terminal signals its session leader; if that is make, the signal is not passed on.
        self.requested = self.requested or (self._terminal and not os.isatty(0))
        if self.stopping or not self.requested:
            select.select([self._reader], [], [], seconds)
            with suppress(BlockingIOError):
                os.read(self._reader, 4096)
        if self.requested and not self.stopping:
            raise StopRequested

    def _note(self, number: int, _frame: FrameType | None) -> None:
        # Only a second Ctrl-C hurries the stop: make and a closing terminal send other signals twice.
        self.hurried = self.hurried or (self.requested and number == signal.SIGINT)
        self.requested = True
