"""Callers at work beside something that is measured, in a process of their own."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from bench.callers import Errand, Orders
from bench.shop import CannotMeasure
from local.settings import ROOT


class Calling:
    """Callers at work; `results` are there at the end."""

    def __init__(self, orders: Orders) -> None:
        self.results: dict[str, Any] = {}
        self._orders = orders
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        """Let them begin."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Tell whether they are still at it."""
        return self._thread.is_alive()

    def finish(self) -> None:
        """Wait for their end; raise CannotMeasure if they came to a bad one."""
        self._thread.join()
        if self._orders.errands and not self.results:
            raise CannotMeasure("The callers failed; their complaint is above.")

    def _run(self) -> None:
        if not self._orders.errands:
            return
        command = [sys.executable, "-m", "bench.callers", json.dumps(asdict(self._orders))]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
        self.results = json.loads(done.stdout) if done.returncode == 0 else {}


@contextmanager
def calling(url: str, errands: Sequence[Errand], pace: float, seconds: float) -> Iterator[Calling]:
    """Let callers work beside a block, and wait for them at its end; raises CannotMeasure."""
    callers = Calling(Orders(url, tuple(errands), pace, seconds))
    callers.start()
    try:
        yield callers
    finally:
        callers.finish()
