"""Keep as many days as the shop wants, and as many bytes."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import groupby

from prometheus_client import CollectorRegistry, Counter

from logs.domain import MIB, Part, Retention, choose_cut, choose_what_to_drop
from logs.repository import counts, partitions, records
from shared.database import Database

log = logging.getLogger(__name__)

MOST_MOVED = 5000  # Records of one transaction.


class RetentionFigures:
    """What each replica dropped, for Prometheus; the sum is what the shop dropped."""

    def __init__(self, registry: CollectorRegistry, retention: Retention) -> None:
        self._retention = retention
        self._bytes = Counter(
            "log_records_dropped_bytes",
            "Bytes of log records that were dropped, by reason.",
            ["reason"],
            registry=registry,
        )
        for reason in ("age", "size"):
            self._bytes.labels(reason)

    def note(self, dropped: Iterable[Part]) -> None:
        """Count what was dropped; what was not too old took too much room."""
        oldest = self._retention.find_oldest(datetime.now(UTC)).date()
        for part in dropped:
            self._bytes.labels("age" if part.day < oldest else "size").inc(part.bytes)


def keep_days(database: Database, retention: Retention, now: datetime | None = None) -> list[Part]:
    """Make tomorrow's partition, drop what is too old or too much, and put counts together.

    Return what was dropped. One replica at a time does it, and the others pass.
    """
    now = now or datetime.now(UTC)
    with database.transaction() as connection:
        if not partitions.take_turn(connection):
            return []
        partitions.make_days(connection, [now.date(), now.date() + timedelta(days=1)])
        parts = partitions.read_parts(connection)
        counts.merge_counts(connection)
        records.drop_audit_records(connection, retention.find_oldest(now, of_audit=True))
    dropped: list[Part] = []
    for day, group in groupby(choose_what_to_drop(parts, now, retention), key=lambda part: part.day):
        of_day = list(group)
        with database.transaction() as connection:
            if not partitions.take_turn(connection):
                return dropped
            partitions.drop_records(connection, day, of_day[-1].end)
        dropped += of_day
        _tell(of_day, now)
    _cut_today(database, now, retention)
    return dropped


def _cut_today(database: Database, now: datetime, retention: Retention) -> None:
    """Begin another part, once today's is too much to be dropped at once."""
    with database.transaction() as connection:
        if not partitions.take_turn(connection):
            return
        parts = partitions.read_parts(connection)
        chosen = choose_cut(parts, now, retention)
        if chosen:
            partitions.cut_part(connection, *chosen)
    kept = sum(part.bytes for part in parts)
    if kept > retention.mib * MIB:
        log.warning(
            "The newest records alone take more than the shop wants to keep", extra={"log.bytes": kept}
        )


def _tell(dropped: list[Part], now: datetime) -> None:
    told = {"log.bytes": sum(part.bytes for part in dropped)}
    day, end = dropped[-1].day, dropped[-1].end
    if day == now.date():
        log.warning("Today's records up to %s were dropped, because there are too many", end, extra=told)
    else:
        log.info("The records of %s up to %s were dropped", day, end, extra=told)


def move_old_records(database: Database, retention: Retention) -> None:
    """Move what older code kept, or still keeps, in the table that was not parted by day."""
    now = datetime.now(UTC)
    while True:
        with database.transaction() as connection:
            moved = records.take_old_records(connection, most=MOST_MOVED)
            if not moved:
                return
            kept = [
                record
                for record in moved
                if record.time >= retention.find_oldest(now, of_audit=record.is_audit)
            ]
            partitions.make_days(connection, {record.time.date() for record in kept})
            records.insert_records(connection, kept)
