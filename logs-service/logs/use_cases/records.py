"""Keep records and find them."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from logs.domain import (
    Arrival,
    Chart,
    LogRecord,
    Position,
    Retention,
    Search,
    SentRecord,
    accept_record,
    choose_span,
)
from logs.errors import DayMissing, RecordNotFound, RecordRejected
from logs.repository import counts, partitions, records, words
from shared.database import Database

T = TypeVar("T")
# A replica that is gone said nothing afterwards, and all that its service did say would be looked through.
AROUND = timedelta(hours=1)
MOST_ARRIVALS = 500  # Of one look.


def store_records(
    database: Database,
    sent: Iterable[SentRecord | RecordRejected],
    *,
    writer: str,
    retention: Retention,
) -> tuple[int, str]:
    """Keep the records that a program sent; return how many were rejected, and why the first one was.

    When this returns, what was accepted is committed; what was there already is passed over.
    """
    accepted, reasons = accept_records(sent, writer=writer, retention=retention)

    def insert() -> None:
        with database.transaction() as connection:
            records.insert_records(connection, accepted)

    if accepted:
        with_days(database, insert)
    return len(reasons), reasons[0] if reasons else ""


def accept_records(
    sent: Iterable[SentRecord | RecordRejected], *, writer: str, retention: Retention
) -> tuple[list[LogRecord], list[str]]:
    """Return what will be kept of the records, and a sentence for each that will not."""
    accepted, reasons = [], []
    known: Counter[UUID] = Counter()
    received_ns = time.time_ns()
    for record in sent:
        try:
            if isinstance(record, RecordRejected):
                raise record
            accepted.append(accept_record(record, writer, received_ns, retention, known))
        except RecordRejected as error:
            reasons.append(f"A record was rejected: {error}.")
    return accepted, reasons


def with_days(database: Database, work: Callable[[], T]) -> T:
    """Do work in transactions of its own; should days be missing, make them and do it once more."""
    try:
        return work()
    except DayMissing as missing:
        with database.transaction() as connection:
            partitions.make_days(connection, missing.days)
        return work()


def find_records(
    database: Database, search: Search, *, before: Position | None, limit: int
) -> tuple[list[LogRecord], Position | None]:
    """Return a page of records, newest first, and where the next page begins, if there is one."""
    with database.transaction() as connection:
        find = records.find_records if search.text is None else words.find_by_words
        page = find(connection, search, before=before, limit=limit + 1)
    return page[:limit], page[limit - 1].position if len(page) > limit else None


def find_context(
    database: Database, record_id: UUID, *, whole_shop: bool, before: int, after: int
) -> list[LogRecord]:
    """Return a record between those around it, oldest first; raise RecordNotFound.

    Around it is what the same replica said, or what the whole shop did, within an hour.
    """
    with database.snapshot() as connection:
        record = records.find_record(connection, record_id)
        if record is None:
            raise RecordNotFound
        search = Search(since=record.time - AROUND, until=record.time + AROUND)
        if not whole_shop:
            search = replace(search, service=record.service, instance=record.instance)
        earlier, later = records.find_neighbours(
            connection, record.position, search, before=before, after=after
        )
    return [*earlier, record, *later]


def count_records(database: Database, search: Search, *, most_bars: int) -> Chart:
    """Count what fits in bars of one length, from the last hour unless the search says otherwise."""
    span = choose_span(search, most_bars, now=datetime.now(UTC))
    with database.transaction() as connection:
        if span.is_by_minutes:
            return Chart(span, counts.count_minutes(connection, search, span), is_complete=True)
        count = counts.count_records if search.text is None else words.count_by_words
        bars, is_complete = count(connection, search, span)
    return Chart(span, bars, is_complete)


def read_now(database: Database) -> Arrival:
    """Return the arrival after which everything is still to come."""
    with database.transaction() as connection:
        return records.read_now(connection)


def find_arrivals(
    database: Database, search: Search, after: Arrival
) -> tuple[list[tuple[Arrival, LogRecord]], Arrival]:
    """Return what came in after that and fits, in the order in which it came, and after what to look next.

    Whoever looks for what is rare does not look through the rest again and again.
    """
    with database.snapshot() as connection:
        now = records.read_now(connection)
        arrivals = records.find_arrivals(connection, search, after=after, before=now, limit=MOST_ARRIVALS)
    if len(arrivals) == MOST_ARRIVALS:
        return arrivals, arrivals[-1][0]
    # What bears a number of the future is from a database that was here before this one.
    return arrivals, now
