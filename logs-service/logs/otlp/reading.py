"""Limits and helpers of the readers of both encodings."""

import math
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from logs.domain.acceptance import LONGEST_RECORD
from logs.errors import ExportTooLarge, RecordRejected

P = ParamSpec("P")
T = TypeVar("T")

DEEPEST = 30  # Nested lists and objects in a value.
MOST_RECORDS = 10_000  # In one export.
MOST_FIELDS = 4 * MOST_RECORDS  # Each record may be sent in its own resource and scope group.
# Attributes and list items of all records in an export; a resource's count again for each of its records.
# Python needs some hundred bytes for each.
MOST_VALUES = 300_000
# Bytes (characters in JSON) of an encoded record, resource or scope.
LARGEST_MESSAGE = 2 * LONGEST_RECORD
# Bytes of all records with their resources: a short export can repeat one resource for many records.
MOST_STORED = 32 * 1024 * 1024


class Budget:
    """The number of records, values and bytes that an export may still have."""

    def __init__(self) -> None:
        self._fields = MOST_FIELDS
        self._records = MOST_RECORDS
        self._values = MOST_VALUES
        self._stored = MOST_STORED

    def take_record(self, *, size: int, values: int) -> None:
        """Count a record with its resource; raise ExportTooLarge beyond the limit."""
        self._records -= 1
        self._stored -= size
        if self._records < 0 or self._stored < 0:
            raise ExportTooLarge
        self.take_values(values)

    def take_field(self) -> None:
        """Count a field of an enclosing message; raise ExportTooLarge beyond the limit."""
        self._fields -= 1
        if self._fields < 0:
            raise ExportTooLarge

    def take_values(self, count: int = 1) -> None:
        """Count values; raise ExportTooLarge beyond the limit."""
        self._values -= count
        if self._values < 0:
            raise ExportTooLarge


def attempt(read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | RecordRejected:
    """Return the result of `read`, or the RecordRejected that it raises."""
    try:
        return read(*args, **kwargs)
    except RecordRejected as rejected:
        # Return a new exception: the traceback of this one would keep the whole input in memory.
        return RecordRejected(*rejected.args)


def check_depth(levels: int) -> None:
    """Raise RecordRejected if a value is nested too deeply."""
    if levels > DEEPEST:
        raise RecordRejected(f"it is nested more than {DEEPEST} levels deep")


def plain_float(value: float) -> float | str:
    """Return a number that JSON can represent; NaN and infinities become strings, as in protobuf's JSON."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"
