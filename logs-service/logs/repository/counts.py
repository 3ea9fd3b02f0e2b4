"""How many records there were: from the counts by minute, or from the records that fit."""

from datetime import timedelta

from sqlalchemy import Connection, delete, func, insert, select

from logs.domain import Bar, Search, Span
from logs.repository.records import fits, make_bucket
from logs.tables import record_counts, records

MOST_COUNTED = 50_000  # Records that one question counts one by one.
SETTLED = timedelta(minutes=5)  # After which few records come in for a minute.


def count_minutes(connection: Connection, search: Search, span: Span) -> list[Bar]:
    """Count by the minute's counts: what a search by service and level alone needs."""
    bucket = make_bucket(record_counts.c.minute, span)
    query = select(
        bucket.label("time"), record_counts.c.severity_number, func.sum(record_counts.c.count)
    ).where(record_counts.c.minute >= span.since, record_counts.c.minute < span.until)
    if search.service is not None:
        query = query.where(record_counts.c.service == search.service)
    if search.severity_number is not None:
        query = query.where(record_counts.c.severity_number >= search.severity_number)
    rows = connection.execute(query.group_by("time", record_counts.c.severity_number))
    return [Bar(*row) for row in rows]


def count_records(connection: Connection, search: Search, span: Span) -> tuple[list[Bar], bool]:
    """Count the newest records that fit; tell whether these are all."""
    newest = (
        select(records.c.time, records.c.severity_number)
        .where(*fits(search), records.c.time >= span.since, records.c.time < span.until)
        .order_by(records.c.time.desc())
        .limit(MOST_COUNTED)
        .subquery()
    )
    bucket = make_bucket(newest.c.time, span)
    query = select(bucket.label("time"), newest.c.severity_number, func.count())
    bars = [Bar(*row) for row in connection.execute(query.group_by("time", newest.c.severity_number))]
    return bars, sum(bar.count for bar in bars) < MOST_COUNTED


def merge_counts(connection: Connection) -> None:
    """Put together what belongs to one minute, once it has settled."""
    settled = func.now() - SETTLED
    keys = record_counts.c.minute, record_counts.c.service, record_counts.c.severity_number
    doubled = (
        select(record_counts.c.minute)
        .where(record_counts.c.minute < settled)
        .group_by(*keys)
        .having(func.count() > 1)
    )
    gone = (
        delete(record_counts).where(record_counts.c.minute.in_(doubled)).returning(record_counts).cte("gone")
    )
    together = select(gone.c.minute, gone.c.service, gone.c.severity_number, func.sum(gone.c.count)).group_by(
        gone.c.minute, gone.c.service, gone.c.severity_number
    )
    connection.execute(insert(record_counts).from_select([*(key.name for key in keys), "count"], together))
