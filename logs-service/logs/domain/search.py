"""Searches, and positions in the two orders of records."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True)
class Search:
    """The filters of a search. A record must match all of them."""

    service: str | None = None
    instance: str | None = None
    severity_number: int | None = None  # The minimum.
    text: str | None = None  # Each word must be the prefix of a word in the message, in any case.
    trace_id: str | None = None
    request_id: str | None = None
    order_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None  # Exclusive.


@dataclass(frozen=True)
class Position:
    """A position in the order of time; the id orders records of the same time."""

    time: datetime
    id: UUID


@dataclass(frozen=True)
class Arrival:
    """A position in the order of arrival, which is by transaction and then by id."""

    transaction: int
    id: UUID
