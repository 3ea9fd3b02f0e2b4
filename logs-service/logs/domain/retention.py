"""Retention: how long log records are kept, and which partitions to drop or split."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

MIB = 1024 * 1024
LARGEST_SHARE = 8  # No partition takes much more than this fraction (1/8) of the storage limit.


@dataclass(frozen=True)
class Retention:
    """How many days records are kept, and how many MiB they may take, indexes included.

    The audit trail is limited by age alone, not by size.
    """

    days: int
    mib: int
    audit_days: int

    def find_oldest(self, now: datetime, *, of_audit: bool = False) -> datetime:
        """Return the time of the oldest record to keep."""
        return now - timedelta(days=self.audit_days if of_audit else self.days)


@dataclass(frozen=True)
class Partition:
    """A partition: the records of a day, or of some hours of it, and its size on disk."""

    name: str
    start: datetime
    end: datetime
    bytes: int

    @property
    def day(self) -> date:
        """Return the day to which it belongs."""
        return self.start.date()


def choose_partitions_to_drop(
    partitions: Iterable[Partition], now: datetime, retention: Retention
) -> list[Partition]:
    """Return the partitions beyond the retention period or the storage limit, oldest first.

    Today's partitions that have not ended are never dropped.
    """
    ordered = sorted(partitions, key=lambda partition: partition.start)
    total = sum(partition.bytes for partition in ordered)
    # Records are accepted up to the exact age limit, so the day of that limit needs its partition.
    oldest = retention.find_oldest(now).date()
    dropped = []
    for partition in ordered:
        if partition.day >= oldest and total <= retention.mib * MIB:
            break
        if partition.day == now.date() and partition.end > now:
            continue
        dropped.append(partition)
        total -= partition.bytes
    return dropped


def choose_split(
    partitions: Iterable[Partition], now: datetime, retention: Retention
) -> tuple[Partition, datetime] | None:
    """Return the current partition, if it has grown too large to be dropped whole, and where to split it.

    The split is one to two minutes ahead, so that few records are later and have to be moved.
    """
    split = now.replace(second=0, microsecond=0) + timedelta(minutes=2)
    for partition in partitions:
        is_last_of_day = partition.end == end_of(partition.day)
        if partition.start <= now < partition.end and is_last_of_day and split < partition.end:
            return (partition, split) if partition.bytes > retention.mib * MIB / LARGEST_SHARE else None
    return None


def start_of(day: date) -> datetime:
    """Return the first moment of a day."""
    return datetime.combine(day, time(), UTC)


def end_of(day: date) -> datetime:
    """Return the first moment after a day."""
    return start_of(day) + timedelta(days=1)
