"""Conditions that must become true within a time that the shop promises."""

import time
from collections.abc import Callable

from tests.waiting import choose_pause

LIMIT = 5.0  # Seconds after which every service refuses an ended session.


def assert_soon(condition: Callable[[], bool], *, seconds: float = LIMIT) -> None:
    """Wait for a condition; fail if a check that begins after so many seconds is still false.

    The duration of a check does not count, because a busy machine is slow.
    """
    began = time.monotonic()
    while True:
        waited = time.monotonic() - began
        if condition():
            return
        assert waited <= seconds, f"This was not true {seconds:.0f} s later."
        time.sleep(choose_pause(waited))
