"""Store and find log records."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from logs.domain.acceptance import accept_log_record
from logs.domain.histogram import Chart, choose_span
from logs.domain.log_records import LogRecord, SentRecord
from logs.domain.retention import Retention
from logs.domain.search import Arrival, Position, Search
from logs.errors import DayMissing, RecordNotFound, RecordRejected
from logs.repository import counts, log_records, partitions, words
from shared.database import Database

T = TypeVar("T")
# Without a bound, the context of a stopped replica's last record would scan all later ones of its service.
AROUND = timedelta(hours=1)
MOST_ARRIVALS = 500  # In one query.


def store_log_records(
    database: Database,
    sent: Iterable[SentRecord | RecordRejected],
    *,
    writer: str,
    retention: Retention,
) -> tuple[int, str]:
    """Store the records of a sender; return the number of rejected ones and the reason for the first.

    Accepted records are committed when this returns. Records already stored are skipped.
    """
    accepted, reasons = accept_log_records(sent, writer=writer, retention=retention)

    def insert() -> None:
        with database.transaction() as connection:
            log_records.insert_log_records(connection, accepted)

    if accepted:
        with_days(database, insert)
    return len(reasons), reasons[0] if reasons else ""


def accept_log_records(
    sent: Iterable[SentRecord | RecordRejected], *, writer: str, retention: Retention
) -> tuple[list[LogRecord], list[str]]:
    """Return the accepted records, and a reason for each rejected one."""
    accepted, reasons = [], []
    known: Counter[UUID] = Counter()
    received_ns = time.time_ns()
    for record in sent:
        try:
            if isinstance(record, RecordRejected):
                raise record
            accepted.append(accept_log_record(record, writer, received_ns, retention, known))
        except RecordRejected as error:
            reasons.append(f"A record was rejected: {error}.")
    return accepted, reasons


def with_days(database: Database, work: Callable[[], T]) -> T:
    """Run `work`, which opens its own transactions; if days are missing, create them and run it again."""
    try:
        return work()
    except DayMissing as missing:
        with database.transaction() as connection:
            partitions.create_days(connection, missing.days)
        return work()


def find_log_records(
    database: Database, search: Search, *, before: Position | None, limit: int
) -> tuple[list[LogRecord], Position | None]:
    """Return a page of records, newest first, and the position of the next page, if there is one."""
    with database.transaction() as connection:
        find = log_records.find_log_records if search.text is None else words.find_by_words
        page = find(connection, search, before=before, limit=limit + 1)
    return page[:limit], page[limit - 1].position if len(page) > limit else None


def find_context(
    database: Database, record_id: UUID, *, whole_shop: bool, before: int, after: int
) -> list[LogRecord]:
    """Return a record with those before and after it, oldest first; raise RecordNotFound.

    These are records of the same replica, or of the whole shop, from the hour before and the hour after.
    """
    with database.snapshot() as connection:
        record = log_records.find_log_record(connection, record_id)
        if record is None:
            raise RecordNotFound
        search = Search(since=record.time - AROUND, until=record.time + AROUND)
        if not whole_shop:
            search = replace(search, service=record.service, instance=record.instance)
        earlier, later = log_records.find_neighbours(
            connection, record.position, search, before=before, after=after
        )
    return [*earlier, record, *later]


def count_log_records(database: Database, search: Search, *, most_bars: int) -> Chart:
    """Count matching records in bars of equal length, by default those of the last hour."""
    span = choose_span(search, most_bars, now=datetime.now(UTC))
    with database.transaction() as connection:
        if span.is_by_minutes:
            return Chart(span, counts.count_minutes(connection, search, span), is_complete=True)
        count = counts.count_log_records if search.text is None else words.count_by_words
        bars, is_complete = count(connection, search, span)
    return Chart(span, bars, is_complete)


def read_current_arrival(database: Database) -> Arrival:
    """Return the current end of the order of arrival."""
    with database.transaction() as connection:
        return log_records.read_current_arrival(connection)


def find_arrivals(
    database: Database, search: Search, after: Arrival
) -> tuple[list[tuple[Arrival, LogRecord]], Arrival]:
    """Return matching records that arrived after `after`, in that order, and the next value for `after`.

    That value advances even without a match, so a search for a rare word does not scan the same records
    again.
    """
    with database.snapshot() as connection:
        now = log_records.read_current_arrival(connection)
        arrivals = log_records.find_arrivals(connection, search, after=after, before=now, limit=MOST_ARRIVALS)
    if len(arrivals) == MOST_ARRIVALS:
        return arrivals, arrivals[-1][0]
    # If `after` is later than `now`, it refers to another database; then this starts again from `now`.
    return arrivals, now
