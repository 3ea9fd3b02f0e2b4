"""Wait for a condition instead of sleeping."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

SHORTEST, LONGEST = 0.005, 0.25  # Seconds between two checks.


def choose_pause(waited: float) -> float:
    """Return the seconds until the next check: a tenth of the seconds that passed so far.

    Most conditions are true at once. The checks of a long wait would keep a busy machine from its work.
    """
    return min(max(SHORTEST, waited / 10), LONGEST)


def wait_for(condition: Callable[[], T], *, seconds: float = 60.0) -> T:
    """Return the condition's first truthy value; fail the test if there is none in time."""
    began = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        waited = time.monotonic() - began
        if waited > seconds:
            raise AssertionError(f"The condition was not met within {seconds:.0f} s; it is {value!r}.")
        time.sleep(choose_pause(waited))
