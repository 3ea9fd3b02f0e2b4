"""Look again and again beside what is measured."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def looking(look: Callable[[], None], every: float) -> Iterator[None]:
    """Call `look` every so many seconds, in a thread of its own, until the block ends."""
    stop = threading.Event()

    def go_on() -> None:
        while not stop.wait(every):
            look()

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
