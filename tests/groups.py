"""Units of tests, which one worker runs as a whole, and what only the tests of one unit need."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

_ends: list[ExitStack] = []


def unit_of(item: pytest.Item) -> str:
    """Return the group or file of a test."""
    group = item.get_closest_marker("xdist_group")
    return str(group.args[0]) if group else item.nodeid.partition("::")[0]


@contextmanager
def until_group_ends(stop: Callable[[], object]) -> Iterator[None]:
    """Call `stop` at the end of the block, or before that, after the last test of the current group or file.

    A fixture of the session ends with the worker. Until then a shop that no test needs takes processor time:
    its background tasks, and with Docker its health checks.
    """
    with ExitStack() as end:
        end.callback(stop)
        _ends.append(end)
        yield


def end_group() -> None:
    """Call each `stop` of the current group or file."""
    while _ends:
        _ends.pop().close()
