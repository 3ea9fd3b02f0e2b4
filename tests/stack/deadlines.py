"""What has to be true after a time that the shop promises."""

import time
from collections.abc import Callable

LIMIT = 5.0  # Seconds after which a session that ended is over everywhere.


def assert_soon(condition: Callable[[], bool], *, seconds: float = LIMIT) -> None:
    """See a condition come true; fail if it is false when asked for later than so many seconds from now.

    How long the answer takes does not count: a busy machine is slow, and breaks no promise.
    """
    deadline = time.monotonic() + seconds
    while True:
        asked_at = time.monotonic()
        if condition():
            return
        assert asked_at <= deadline, f"This was not true {seconds:.0f} s later."
        time.sleep(0.02)
