"""Partitions of the `records` table, which are created in advance and dropped whole.

Each day is a partition. When today's becomes too large to be dropped whole, the rest of the day gets a
partition of its own, and the day itself becomes a partitioned table. So a day keeps its name, and replicas of
the previous release, which know days only, can still write, read and drop it.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from itertools import pairwise

from sqlalchemy import Connection, text

from logs.domain.retention import Partition, end_of, start_of

PREFIX = "records_"
LOCK = 5_714_101  # Of an advisory lock: one transaction at a time creates or drops partitions.

_PARTITIONS = text(
    "SELECT relname AS name, pg_total_relation_size(relid) AS bytes FROM pg_partition_tree('records')"
    " JOIN pg_class ON pg_class.oid = relid WHERE isleaf"
)

_NAMES = text(
    "SELECT child.relname FROM pg_inherits"
    " JOIN pg_class child ON child.oid = inhrelid WHERE inhparent = 'records'::regclass"
)


def read_partitions(connection: Connection) -> list[Partition]:
    """Return all partitions, oldest first."""
    rows = {_read_start(row.name): row for row in connection.execute(_PARTITIONS)}
    ends = [*sorted(rows), datetime.max.replace(tzinfo=UTC)]
    return [
        Partition(rows[start].name, start, min(end_of(start.date()), following), rows[start].bytes)
        for start, following in pairwise(ends)
    ]


def read_dates(connection: Connection) -> list[date]:
    """Return the days that have a partition, oldest first; this is quicker than `read_partitions`."""
    return sorted(_read_start(name).date() for name in connection.execute(_NAMES).scalars())


def create_days(connection: Connection, days: Iterable[date]) -> None:
    """Create the missing partitions.

    Each is created as a separate table and then attached, which does not block readers and writers.
    """
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    existing = set(read_dates(connection))
    for day in sorted(set(days) - existing):
        connection.execute(text(f"CREATE TABLE {_name(day)} (LIKE records INCLUDING ALL)"))
        _attach(connection, "records", _name(day), start_of(day), end_of(day))


def split_partition(connection: Connection, partition: Partition, split: datetime) -> None:
    """End a partition at a moment, and create another for the rest of its day.

    This blocks all other readers and writers while PostgreSQL scans the partition for later records.
    """
    day = _name(partition.day)
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text("LOCK TABLE ONLY records IN ACCESS EXCLUSIVE MODE"))
    if partition.name == day:
        earlier = _name(partition.day, partition.start)
        connection.execute(text(f"ALTER TABLE records DETACH PARTITION {day}"))
        connection.execute(text(f"ALTER TABLE {day} RENAME TO {earlier}"))
        connection.execute(text(f"CREATE TABLE {day} (LIKE records INCLUDING ALL) PARTITION BY RANGE (time)"))
        # Attach the day while it is empty, so that PostgreSQL scans the partition only once.
        _attach(connection, "records", day, partition.start, partition.end)
    else:
        earlier = partition.name
        connection.execute(text(f"ALTER TABLE {day} DETACH PARTITION {earlier}"))
    later = _name(partition.day, split)
    connection.execute(text(f"CREATE TABLE {later} (LIKE records INCLUDING ALL)"))
    connection.execute(
        text(
            # The names are dates, not user input.
            f"WITH moved AS (DELETE FROM {earlier} WHERE time >= :split RETURNING *)"  # noqa: S608  # A partition name, never input.
            f" INSERT INTO {later} SELECT * FROM moved"
        ),
        {"split": split},
    )
    _attach(connection, day, earlier, partition.start, split)
    _attach(connection, day, later, split, partition.end)


def drop_partitions(connection: Connection, day: date, end: datetime) -> None:
    """Drop a day's partitions up to a moment at which one of them ends, and the counts of their records.

    Unless this drops the whole day, an empty partition replaces them for records that still arrive.
    """
    partitions = [partition for partition in read_partitions(connection) if partition.day == day]
    if not partitions:
        return
    if partitions[-1].end <= end:
        connection.execute(text(f"DROP TABLE {_name(day)}"))
    else:
        for partition in partitions:
            if partition.end <= end:
                connection.execute(text(f"DROP TABLE {partition.name}"))
        first = _name(day, start_of(day))
        connection.execute(text(f"CREATE TABLE {first} (LIKE records INCLUDING ALL)"))
        _attach(connection, _name(day), first, start_of(day), end)
    connection.execute(
        text("DELETE FROM record_counts WHERE minute >= :start AND minute < :end"),
        {"start": start_of(day), "end": end},
    )


def try_lock(connection: Connection) -> bool:
    """Try to get the sole right to create or drop partitions until the transaction ends."""
    return bool(
        connection.execute(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": LOCK}).scalar_one()
    )


def _attach(connection: Connection, parent: str, name: str, start: datetime, end: datetime) -> None:
    bounds = f"FROM ('{start.isoformat()}') TO ('{end.isoformat()}')"
    connection.execute(text(f"ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES {bounds}"))


def _read_start(name: str) -> datetime:
    written = name.removeprefix(PREFIX)
    return datetime.strptime(written, "%Y%m%d_%H%M" if "_" in written else "%Y%m%d").replace(tzinfo=UTC)


def _name(day: date, start: datetime | None = None) -> str:
    return f"{PREFIX}{day:%Y%m%d}{f'_{start:%H%M}' if start else ''}"
