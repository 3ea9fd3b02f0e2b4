"""What the readers of both encodings need."""

import math
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from logs.domain import LONGEST_RECORD
from logs.errors import ExportTooLarge, RecordRejected

P = ParamSpec("P")
T = TypeVar("T")

DEEPEST = 30  # Lists and objects within one another, in a value of a record.
MOST_RECORDS = 10_000  # Of one export.
MOST_FIELDS = 4 * MOST_RECORDS  # Each record may have a sender of its own, with a resource and a group.
# Attributes, and items of lists, of all records of an export, each with its resource's. Python needs some
# hundred bytes for one.
MOST_VALUES = 300_000
# Bytes or characters of a record, a resource or a scope as they come. JSON may say a little more in so many.
LARGEST_MESSAGE = 2 * LONGEST_RECORD
MOST_STORED = (
    32 * 1024 * 1024
)  # Of all records, each with its resource: few bytes can be one of many records.


class Room:
    """What is left of the records and values that one export may have."""

    def __init__(self) -> None:
        self._fields = MOST_FIELDS
        self._records = MOST_RECORDS
        self._values = MOST_VALUES
        self._stored = MOST_STORED

    def take_record(self, *, size: int, values: int) -> None:
        """Count a record with its resource; raise ExportTooLarge if it is too much."""
        self._records -= 1
        self._stored -= size
        if self._records < 0 or self._stored < 0:
            raise ExportTooLarge
        self.take_values(values)

    def take_field(self) -> None:
        """Count a field of the messages around the records; raise ExportTooLarge if it is one too many."""
        self._fields -= 1
        if self._fields < 0:
            raise ExportTooLarge

    def take_values(self, count: int = 1) -> None:
        """Count values; raise ExportTooLarge if they are too many."""
        self._values -= count
        if self._values < 0:
            raise ExportTooLarge


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
