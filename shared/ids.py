"""Identifiers that sort by their creation time (RFC 9562, version 7)."""

import os
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

_VERSION = 0x7000
_VARIANT = 0x8000000000000000


def new_id() -> UUID:
    """Return a UUIDv7: 48 bits of milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    high = (milliseconds << 16) | _VERSION | (random >> 68)
    low = _VARIANT | (random & 0x3FFFFFFFFFFFFFFF)
    return UUID(int=(high << 64) | low)


def first_id(moment: datetime, skew: timedelta = timedelta()) -> UUID:
    """Return the smallest id that can have been made at `moment` plus `skew`; a naive moment is UTC.

    Before 1970 this is the smallest UUID. The skew is a separate argument, because adding it to the first or
    last date that Python has would overflow.
    """
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    milliseconds = int((aware.timestamp() + skew.total_seconds()) * 1000)
    return UUID(int=min(max(milliseconds, 0), 2**48 - 1) << 80)
