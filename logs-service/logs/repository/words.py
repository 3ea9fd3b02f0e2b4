"""Records by their words, from the newest days to the oldest.

The planner cannot tell a rare beginning of a word from a common one. Left alone with `ORDER BY time LIMIT 30`
it reads backwards through all records for a word that nobody said. So the newest are looked through, where
common words are found, and the index of words is asked for the rest, for more and more days at a time.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select, text

from logs.domain import Bar, LogRecord, Position, Search, Span
from logs.repository.partitions import read_dates
from logs.repository.records import (
    FIELDS,
    everything,
    fits,
    is_before,
    make_bucket,
    newest_first,
    read_record,
    words_fit,
)

LOOKED_THROUGH = 1000  # Records whose words are compared one by one.
MOST_COUNTED = 50_000  # Records after which no further day is counted.
DAY = timedelta(days=1)


def find_by_words(
    connection: Connection, search: Search, *, before: Position | None, limit: int
) -> list[LogRecord]:
    """Return up to `limit` records that fit, newest first, from after the position on."""
    _plan_for_these_words(connection)
    newest = newest_first(select(*FIELDS).where(*fits(replace(search, text=None)), *is_before(before)))
    last = connection.execute(newest.offset(LOOKED_THROUGH - 1).limit(1)).first()
    some = newest.limit(LOOKED_THROUGH).subquery()
    query = newest_first(select(some).where(words_fit(some.c.message, search)), some).limit(limit)
    found = [read_record(row) for row in connection.execute(query)]
    if last is None:
        # These were all.
        return found
    rest = Position(last.time, last.id)
    for begin, end in _days(connection, search.since, rest.time):
        if len(found) == limit:
            break
        # An offset keeps the planner from looking through the day in its order.
        of_day = _of_day(FIELDS, search, begin, end).where(*is_before(rest)).offset(0).subquery()
        query = newest_first(select(of_day), of_day).limit(limit - len(found))
        found += [read_record(row) for row in connection.execute(query)]
    return found


def count_by_words(connection: Connection, search: Search, span: Span) -> tuple[list[Bar], bool]:
    """Count what fits, newest days first, until it is many; tell whether these are all."""
    _plan_for_these_words(connection)
    bars: list[Bar] = []
    for begin, end in _days(connection, span.since, span.until):
        if sum(bar.count for bar in bars) >= MOST_COUNTED:
            return bars, False
        within = max(begin, span.since), min(end, span.until)
        of_day = (
            _of_day([everything.c.time, everything.c.severity_number], search, *within).offset(0).subquery()
        )
        query = select(
            make_bucket(of_day.c.time, span).label("bucket"), of_day.c.severity_number, func.count()
        ).group_by("bucket", of_day.c.severity_number)
        bars += [Bar(*row) for row in connection.execute(query)]
    return bars, True


def _plan_for_these_words(connection: Connection) -> None:
    # A plan for whatever words and times would be one for none of them.
    connection.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))


def _of_day(fields: list[Any], search: Search, begin: datetime, end: datetime) -> Any:
    return select(*fields).where(*fits(search), everything.c.time >= begin, everything.c.time < end)


def _days(
    connection: Connection, since: datetime | None, until: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """Yield beginning and end of the newest day that there is, of the two before it, of the four before."""
    days = [
        day
        for day in reversed(read_dates(connection))
        if _begin(day) <= until and (since is None or _begin(day) + DAY > since)
    ]
    count = 1
    while days:
        yield _begin(days[:count][-1]), _begin(days[0]) + DAY
        days, count = days[count:], count * 2


def _begin(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
