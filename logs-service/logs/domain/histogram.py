"""Histograms of log records: counts over time, by severity."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from logs.domain.log_records import EPOCH
from logs.domain.search import Search

# Bar lengths in seconds that are easy to read.
STEPS = (1, 2, 5, 10, 30, 60, 300, 900, 1800, 3600, 10_800, 21_600, 43_200, 86_400)
# No record lies outside these. A bar that began before year 1, or ended after 9999, would have no datetime.
FIRST_COUNTED, LAST_COUNTED = EPOCH, datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Bar:
    """The number of records of one severity within one bar, which starts at `time`."""

    time: datetime
    severity_number: int
    count: int


@dataclass(frozen=True)
class Span:
    """The period that a histogram covers, and the length of its bars."""

    since: datetime
    until: datetime
    step: timedelta
    is_by_minutes: bool


@dataclass(frozen=True)
class Chart:
    """A histogram. If it is incomplete, only the newest records were counted."""

    span: Span
    bars: list[Bar]
    is_complete: bool


def choose_span(search: Search, most_bars: int, now: datetime) -> Span:
    """Return the period of a search, by default the last hour, divided into at most `most_bars` bars.

    A search by service and level alone is answered from the counts per minute.
    """
    is_by_minutes = search == Search(
        service=search.service,
        severity_number=search.severity_number,
        since=search.since,
        until=search.until,
    )
    first, last = _clamp(search.since), _clamp(search.until)
    until = last or max(now, (first or now) + timedelta(minutes=1))
    since = first or until - timedelta(hours=1)
    until = max(until, since + timedelta(minutes=1))
    shortest = math.ceil((until - since).total_seconds() / most_bars)
    day = STEPS[-1]
    fitting = (step for step in STEPS if step >= max(shortest, 60 if is_by_minutes else 1))
    step = timedelta(seconds=next(fitting, math.ceil(shortest / day) * day))
    return Span(since - (since - EPOCH) % step, until, step, is_by_minutes)


def _clamp(time: datetime | None) -> datetime | None:
    return time and min(max(time, FIRST_COUNTED), LAST_COUNTED)
