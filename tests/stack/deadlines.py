"""Conditions that must become true within a time that the shop promises."""

import time
from collections.abc import Callable

LIMIT = 5.0  # Seconds after which every service refuses an ended session.


def assert_soon(condition: Callable[[], bool], *, seconds: float = LIMIT) -> None:
    """Wait for a condition; fail if a check that begins after so many seconds is still false.

    The duration of a check does not count, because a busy machine is slow.
    """
    deadline = time.monotonic() + seconds
    while True:
        asked_at = time.monotonic()
        if condition():
            return
        assert asked_at <= deadline, f"This was not true {seconds:.0f} s later."
        time.sleep(0.02)
