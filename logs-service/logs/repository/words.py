"""Full-text search, from the newest days to the oldest.

The planner cannot distinguish a rare prefix from a common one. With a plain `ORDER BY time LIMIT 30` it would
scan all records backwards for a word that no message contains. So the newest records are scanned, which finds
common words, and the full-text index is queried for the rest, for more and more days at a time.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, text

from logs.domain.histogram import Bar, Span
from logs.domain.log_records import LogRecord
from logs.domain.retention import end_of, start_of
from logs.domain.search import Position, Search
from logs.repository.log_records import (
    FIELDS,
    everything,
    is_before,
    make_bucket,
    matches,
    matches_words,
    newest_first,
    to_log_record,
)
from logs.repository.partitions import read_dates

SCANNED = 1000  # Records that are compared one by one, without the index.
MOST_COUNTED = 50_000  # Records after which no older day is counted.


def find_by_words(
    connection: Connection, search: Search, *, before: Position | None, limit: int
) -> list[LogRecord]:
    """Return up to `limit` matching records before the position, newest first."""
    _plan_each_query(connection)
    newest = newest_first(select(*FIELDS).where(*matches(replace(search, text=None)), *is_before(before)))
    last = connection.execute(newest.offset(SCANNED - 1).limit(1)).first()
    scanned = newest.limit(SCANNED).subquery()
    matching = select(scanned).where(matches_words(scanned.c.message, search))
    query = newest_first(matching, scanned).limit(limit)
    found = [to_log_record(row) for row in connection.execute(query)]
    if last is None:
        return found
    rest = Position(last.time, last.id)
    for start, end in _days(connection, search.since, rest.time):
        if len(found) == limit:
            break
        # OFFSET keeps the planner from scanning the day in order of time.
        of_day = _of_day(FIELDS, search, start, end).where(*is_before(rest)).offset(0).subquery()
        query = newest_first(select(of_day), of_day).limit(limit - len(found))
        found += [to_log_record(row) for row in connection.execute(query)]
    return found


def count_by_words(connection: Connection, search: Search, span: Span) -> tuple[list[Bar], bool]:
    """Count the newest matching records, day by day, and return whether these are all."""
    _plan_each_query(connection)
    bars: list[Bar] = []
    for start, end in _days(connection, span.since, span.until):
        if sum(bar.count for bar in bars) >= MOST_COUNTED:
            return bars, False
        within = max(start, span.since), min(end, span.until)
        of_day = (
            _of_day([everything.c.time, everything.c.severity_number], search, *within).offset(0).subquery()
        )
        query = select(
            make_bucket(of_day.c.time, span).label("bucket"), of_day.c.severity_number, func.count()
        ).group_by("bucket", of_day.c.severity_number)
        bars += [Bar(*row) for row in connection.execute(query)]
    return bars, True


def _plan_each_query(connection: Connection) -> None:
    # A generic plan ignores how rare the words are and how long the period is.
    connection.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))


def _of_day(fields: list[Any], search: Search, start: datetime, end: datetime) -> Any:
    return select(*fields).where(*matches(search), everything.c.time >= start, everything.c.time < end)


def _days(
    connection: Connection, since: datetime | None, until: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """Yield start and end of the newest stored day, of the two before it, then of four, and so on."""
    days = [
        day
        for day in reversed(read_dates(connection))
        if start_of(day) <= until and (since is None or end_of(day) > since)
    ]
    count = 1
    while days:
        yield start_of(days[:count][-1]), end_of(days[0])
        days, count = days[count:], count * 2
