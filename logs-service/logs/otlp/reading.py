"""What the readers of both encodings need."""

import math
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from logs.errors import RecordRejected

P = ParamSpec("P")
T = TypeVar("T")

DEEPEST = 30  # Lists and objects within one another, in a value of a record.


def attempt(read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | RecordRejected:
    """Return what is read, or the rejection that the reader raises."""
    try:
        return read(*args, **kwargs)
    except RecordRejected as rejected:
        # A new one, since that one holds on to all that was being read.
        return RecordRejected(*rejected.args)


def check_depth(levels: int) -> None:
    """Raise RecordRejected for a value within more lists and objects than are kept."""
    if levels > DEEPEST:
        raise RecordRejected(f"it is nested more than {DEEPEST} levels deep")


def plain_float(value: float) -> float | str:
    """Return a number that JSON can write; NaN and infinities become words, as in protobuf's JSON."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"
