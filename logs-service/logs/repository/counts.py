"""Count records over time, from the counts per minute or from the matching records."""

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

from logs.domain.histogram import Bar, Span
from logs.domain.search import Search
from logs.repository.log_records import everything, make_bucket, matches
from logs.tables import audit_records, record_counts

MOST_COUNTED = 50_000  # Records that one query counts one by one.
SETTLED = timedelta(minutes=5)  # After which few records of a minute still arrive.


def count_minutes(connection: Connection, search: Search, span: Span) -> list[Bar]:
    """Count a search by service and level alone, from the counts per minute and the audit trail."""
    minutes = _select_counts(record_counts, record_counts.c.minute, record_counts.c.count, search, span)
    # The counts per minute exclude the audit trail, which has few records and its own retention.
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


def count_log_records(connection: Connection, search: Search, span: Span) -> tuple[list[Bar], bool]:
    """Count the newest matching records, and return whether these are all."""
    newest = (
        select(everything.c.time, everything.c.severity_number)
        .where(*matches(search), everything.c.time >= span.since, everything.c.time < span.until)
        .order_by(everything.c.time.desc())
        .limit(MOST_COUNTED)
        .subquery()
    )
    bucket = make_bucket(newest.c.time, span)
    query = select(bucket.label("time"), newest.c.severity_number, func.count())
    bars = [Bar(*row) for row in connection.execute(query.group_by("time", newest.c.severity_number))]
    return bars, sum(bar.count for bar in bars) < MOST_COUNTED


def merge_counts(connection: Connection) -> None:
    """Merge the counts of each minute that has settled."""
    settled = func.now() - SETTLED
    keys = record_counts.c.minute, record_counts.c.service, record_counts.c.severity_number
    doubled = (
        select(record_counts.c.minute)
        .where(record_counts.c.minute < settled)
        .group_by(*keys)
        .having(func.count() > 1)
    )
    deleted = (
        delete(record_counts)
        .where(record_counts.c.minute.in_(doubled))
        .returning(record_counts)
        .cte("deleted")
    )
    by = deleted.c.minute, deleted.c.service, deleted.c.severity_number
    merged = select(*by, func.sum(deleted.c.count)).group_by(*by)
    connection.execute(insert(record_counts).from_select([*(key.name for key in keys), "count"], merged))
