"""Identifiers that sort by the time they were made (RFC 9562, version 7)."""

import os
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

_VERSION = 0x7000
_VARIANT = 0x8000000000000000


def new_id() -> UUID:
    """Return a UUIDv7: 48 bits of milliseconds, then 74 random ones."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    high = (milliseconds << 16) | _VERSION | (random >> 68)
    low = _VARIANT | (random & 0x3FFFFFFFFFFFFFFF)
    return UUID(int=(high << 64) | low)


def first_id(moment: datetime, skew: timedelta = timedelta()) -> UUID:
    """Return the least id that can have been made so long after a moment; UTC where it does not say.

    Before 1970 that is the least of all. The skew comes apart, since a date may be the first or the last one.
    """
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    milliseconds = int((aware.timestamp() + skew.total_seconds()) * 1000)
    return UUID(int=min(max(milliseconds, 0), 2**48 - 1) << 80)
