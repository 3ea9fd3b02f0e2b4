"""What logs-service does, a function each."""

import time
from collections.abc import Iterable

from logs import repository
from logs.domain import LogRecord, Position, Search, SentRecord, accept_record
from logs.errors import RecordRejected
from shared.database import Database


def store_records(database: Database, sent: Iterable[SentRecord]) -> tuple[int, str]:
    """Keep the records; return how many were rejected, and why the first one was.

    When this returns, what was accepted is committed; what was there already is passed over.
    """
    accepted, reasons = [], []
    received_ns = time.time_ns()
    for record in sent:
        try:
            accepted.append(accept_record(record, received_ns))
        except RecordRejected as error:
            reasons.append(f"A record was rejected: {error}.")
    if accepted:
        with database.transaction() as connection:
            repository.insert_records(connection, accepted)
    return len(reasons), reasons[0] if reasons else ""


def find_records(
    database: Database, search: Search, *, before: Position | None, limit: int
) -> tuple[list[LogRecord], Position | None]:
    """Return a page of records, newest first, and where the next page begins, if there is one."""
    with database.transaction() as connection:
        page = repository.find_records(connection, search, before=before, limit=limit + 1)
    if len(page) <= limit:
        return page, None
    last = page[limit - 1]
    return page[:limit], Position(last.time, last.id)
