"""The days by which records are parted: made before they are needed, and dropped whole."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, text

PREFIX = "records_"
LOCK = 5_714_101  # One who makes or drops days at a time.

_DAYS = text(
    "SELECT child.relname, pg_total_relation_size(child.oid) AS bytes FROM pg_inherits"
    " JOIN pg_class child ON child.oid = inhrelid WHERE inhparent = 'records'::regclass"
)

_NAMES = text(
    "SELECT child.relname FROM pg_inherits"
    " JOIN pg_class child ON child.oid = inhrelid WHERE inhparent = 'records'::regclass"
)


@dataclass(frozen=True)
class Day:
    """A day that has a partition, and the bytes that it takes on disk with its indexes."""

    date: date
    bytes: int


def read_days(connection: Connection) -> list[Day]:
    """Return the days that there are, oldest first."""
    days = [Day(_date(row.relname), row.bytes) for row in connection.execute(_DAYS)]
    return sorted(days, key=lambda day: day.date)


def read_dates(connection: Connection) -> list[date]:
    """Return the dates alone, which is quicker, oldest first."""
    return sorted(_date(name) for name in connection.execute(_NAMES).scalars())


def make_days(connection: Connection, days: Iterable[date]) -> None:
    """Make the partitions that are missing.

    One is made beside the table and then attached: that keeps nobody from reading or adding records.
    """
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    there = set(read_dates(connection))
    for day in sorted(set(days) - there):
        name, following = _name(day), day + timedelta(days=1)
        connection.execute(text(f"CREATE TABLE {name} (LIKE records INCLUDING ALL)"))
        bounds = f"FROM ('{day.isoformat()} 00:00Z') TO ('{following.isoformat()} 00:00Z')"
        connection.execute(text(f"ALTER TABLE records ATTACH PARTITION {name} FOR VALUES {bounds}"))


def drop_day(connection: Connection, day: date) -> None:
    """Forget a day's records, and how many there were."""
    connection.execute(text(f"DROP TABLE {_name(day)}"))
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    connection.execute(
        text("DELETE FROM record_counts WHERE minute >= :begin AND minute < :end"),
        {"begin": begin, "end": begin + timedelta(days=1)},
    )


def take_turn(connection: Connection) -> bool:
    """Tell whether nobody else is at the days until the transaction ends."""
    return bool(
        connection.execute(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": LOCK}).scalar_one()
    )


def _date(name: str) -> date:
    return datetime.strptime(name.removeprefix(PREFIX), "%Y%m%d").replace(tzinfo=UTC).date()


def _name(day: date) -> str:
    return f"{PREFIX}{day:%Y%m%d}"
