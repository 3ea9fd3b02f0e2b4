"""How many records there were: from the counts by minute, or from the records that fit."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    delete,
    func,
    insert,
    literal,
    select,
    union_all,
)

from logs.domain import Bar, Search, Span
from logs.repository.records import everything, fits, make_bucket
from logs.tables import audit_records, record_counts

MOST_COUNTED = 50_000  # Records that one question counts one by one.
SETTLED = timedelta(minutes=5)  # After which few records come in for a minute.


def count_minutes(connection: Connection, search: Search, span: Span) -> list[Bar]:
    """Count by the minute's counts, and the audit trail by itself: a search by service and level alone."""
    minutes = _select_counts(record_counts, record_counts.c.minute, record_counts.c.count, search, span)
    # It has few records, which stay when the other records of their minute go.
    audit = _select_counts(audit_records, audit_records.c.time, literal(1), search, span)
    counted = union_all(minutes, audit).subquery("counted")
    total = func.sum(counted.c.count)
    query = (
        select(counted.c.bucket, counted.c.severity_number, total)
        .group_by(counted.c.bucket, counted.c.severity_number)
        .having(total > 0)
    )
    return [Bar(*row) for row in connection.execute(query)]


def _select_counts(
    table: Table, moment: ColumnElement[datetime], count: ColumnElement[int], search: Search, span: Span
) -> Select[Any]:
    query = select(
        make_bucket(moment, span).label("bucket"), table.c.severity_number, count.label("count")
    ).where(moment >= span.since, moment < span.until)
    if search.service is not None:
        query = query.where(table.c.service == search.service)
    if search.severity_number is not None:
        query = query.where(table.c.severity_number >= search.severity_number)
    return query


def count_records(connection: Connection, search: Search, span: Span) -> tuple[list[Bar], bool]:
    """Count the newest records that fit; tell whether these are all."""
    newest = (
        select(everything.c.time, everything.c.severity_number)
        .where(*fits(search), everything.c.time >= span.since, everything.c.time < span.until)
        .order_by(everything.c.time.desc())
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
