"""Apply the retention period and the storage limit."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import groupby

from prometheus_client import CollectorRegistry, Counter

from logs.domain.retention import (
    MIB,
    Partition,
    Retention,
    choose_partitions_to_drop,
    choose_split,
)
from logs.repository import counts, log_records, partitions
from shared.database import Database

log = logging.getLogger(__name__)

MOST_MOVED = 5000  # Records in one transaction.


class RetentionMetrics:
    """Metrics of dropped records. Each replica counts the partitions that it dropped."""

    def __init__(self, registry: CollectorRegistry, retention: Retention) -> None:
        self._retention = retention
        self._bytes = Counter(
            "log_records_dropped_bytes",
            "Bytes of log records dropped, by reason.",
            ["reason"],
            registry=registry,
        )
        for reason in ("age", "size"):
            self._bytes.labels(reason)

    def count_dropped(self, dropped: Iterable[Partition]) -> None:
        """Count dropped partitions, either as too old or as beyond the storage limit."""
        oldest = self._retention.find_oldest(datetime.now(UTC)).date()
        for partition in dropped:
            self._bytes.labels("age" if partition.day < oldest else "size").inc(partition.bytes)


def apply_retention(database: Database, retention: Retention, now: datetime | None = None) -> list[Partition]:
    """Drop records beyond the retention period or the storage limit, and return the dropped partitions.

    This also creates tomorrow's partition and merges counts. If another replica is already doing this, do
    nothing.
    """
    now = now or datetime.now(UTC)
    with database.transaction() as connection:
        if not partitions.try_lock(connection):
            return []
        partitions.create_days(connection, [now.date(), now.date() + timedelta(days=1)])
        stored = partitions.read_partitions(connection)
        counts.merge_counts(connection)
        log_records.delete_old_audit_records(connection, retention.find_oldest(now, of_audit=True))
    dropped: list[Partition] = []
    chosen = choose_partitions_to_drop(stored, now, retention)
    for day, group in groupby(chosen, key=lambda partition: partition.day):
        of_day = list(group)
        with database.transaction() as connection:
            if not partitions.try_lock(connection):
                return dropped
            partitions.drop_partitions(connection, day, of_day[-1].end)
        dropped += of_day
        _log_dropped(of_day, now)
    _split_today(database, now, retention)
    return dropped


def _split_today(database: Database, now: datetime, retention: Retention) -> None:
    """Split today's partition once it is too large to be dropped whole."""
    with database.transaction() as connection:
        if not partitions.try_lock(connection):
            return
        stored = partitions.read_partitions(connection)
        chosen = choose_split(stored, now, retention)
        if chosen:
            partitions.split_partition(connection, *chosen)
    size = sum(partition.bytes for partition in stored)
    if size > retention.mib * MIB:
        log.warning("The newest log records alone exceed the storage limit", extra={"log.bytes": size})


def _log_dropped(dropped: list[Partition], now: datetime) -> None:
    attributes = {"log.bytes": sum(partition.bytes for partition in dropped)}
    day, end = dropped[-1].day, dropped[-1].end
    if day == now.date():
        log.warning("Dropped today's log records up to %s to meet the storage limit", end, extra=attributes)
    else:
        log.info("Dropped the log records of %s up to %s", day, end, extra=attributes)


def move_unpartitioned_records(database: Database, retention: Retention) -> None:
    """Move records from the table of older releases, which replicas of those may still write to."""
    now = datetime.now(UTC)
    while True:
        with database.transaction() as connection:
            moved = log_records.take_unpartitioned_records(connection, most=MOST_MOVED)
            if not moved:
                return
            kept = [
                record
                for record in moved
                if record.time >= retention.find_oldest(now, of_audit=record.is_audit)
            ]
            partitions.create_days(connection, {record.time.date() for record in kept})
            log_records.insert_log_records(connection, kept)
