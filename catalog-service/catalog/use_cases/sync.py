"""Use cases for the copy of the product source: request one, read its report, describe its health."""

import time
from collections.abc import Callable

from catalog.domain import SyncReport
from catalog.errors import CatalogueLoading, SourcePaused, SyncNotFound
from catalog.repository import source as source_copies
from catalog.sources import Source
from catalog.use_cases.products import find_stale_age
from shared.database import Database

SYNC_TIMEOUT = 5.0  # Seconds to wait for a copy.


def request_sync(
    database: Database, nudge: Callable[[], None], *, overwrite: bool, allow_removals: bool
) -> tuple[SyncReport, bool]:
    """Request a copy now; return its report and True, or after SYNC_TIMEOUT the newest report and False.

    `overwrite` discards the edits of admins; `allow_removals` accepts any number of removals. Raises
    SourcePaused while the circuit breaker is open.
    """
    with database.transaction() as connection:
        copy = source_copies.read_source_copy(connection)
        if copy.pause_seconds:
            raise SourcePaused(copy.pause_seconds)
        source_copies.request_copy(connection, overwrite=overwrite, allow_removals=allow_removals)
    nudge()
    deadline = time.monotonic() + SYNC_TIMEOUT
    while True:
        with database.transaction() as connection:
            report = source_copies.read_report(connection, after=copy.fence)
            if time.monotonic() > deadline:
                report = report or source_copies.read_report(connection)
                if report is None:
                    raise CatalogueLoading
                return report, False
        if report and report.finished_at:
            return report, True
        time.sleep(0.05)


def read_last_sync(database: Database) -> SyncReport:
    """Return the report of the latest copy; raise SyncNotFound if there is none."""
    with database.transaction() as connection:
        report = source_copies.read_report(connection)
    if report is None:
        raise SyncNotFound
    return report


def describe_copy(database: Database, source: Source) -> str | None:
    """Return a sentence about a failing source or an overdue copy, or None if all is well."""
    with database.transaction() as connection:
        copy = source_copies.read_source_copy(connection)
    if copy.source != source.name:
        return None
    age = find_stale_age(copy, source)
    if copy.failures:
        times = "once" if copy.failures == 1 else f"{copy.failures} times in a row"
        its_age = "there is no copy" if age is None else f"the copy is {age} s old"
        return f"The product source has failed {times}, and {its_age}."
    return (
        None if age is None else f"The copy of the product source is {age} s old; the next copy is overdue."
    )
