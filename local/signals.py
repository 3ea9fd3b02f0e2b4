"""Signals: the handlers only set flags, and a wait ends as soon as one arrives."""

import os
import select
import signal
from contextlib import suppress
from types import FrameType

from local.errors import StopRequested

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """What was asked for since `install`."""

    def __init__(self) -> None:
        self.requested = False
        self.hurried = False
        self.stopping = False

    def install(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._old_wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._old_handlers = {number: signal.getsignal(number) for number in (*STOP_SIGNALS, signal.SIGCHLD)}
        for number in STOP_SIGNALS:
            # Under nohup a closed terminal is no reason to stop.
            if number != signal.SIGHUP or self._old_handlers[number] != signal.SIG_IGN:
                signal.signal(number, self._note)
        self._terminal = os.isatty(0) and self._old_handlers[signal.SIGHUP] != signal.SIG_IGN
        # A handler that does nothing, so that the end of a child ends a wait.
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def restore(self) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_wakeup)
        os.close(self._reader)
        os.close(self._writer)

    def wait(self, seconds: float) -> None:
        """Wait so long at most; raise StopRequested if that was asked for and the stop has not begun."""
        # A closed terminal signals the leader of its session; if that is make, it keeps the signal to itself.
        self.requested = self.requested or (self._terminal and not os.isatty(0))
        if self.stopping or not self.requested:
            select.select([self._reader], [], [], seconds)
            with suppress(BlockingIOError):
                os.read(self._reader, 4096)
        if self.requested and not self.stopping:
            raise StopRequested

    def _note(self, number: int, _frame: FrameType | None) -> None:
        # Only a second Ctrl-C hurries: make and a closing terminal send their signals twice by themselves.
        self.hurried = self.hurried or (self.requested and number == signal.SIGINT)
        self.requested = True
