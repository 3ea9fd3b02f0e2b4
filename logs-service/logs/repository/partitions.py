"""The parts that the records are kept in: made before they are needed, and dropped whole.

A part is a day, a partition of `records`. When today's has grown too large to be dropped at once, the rest of
the day gets a part of its own; the day is then partitioned in its turn. A day keeps its name that way, and
replicas of the release before, which know whole days only, can write, read and drop it.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from itertools import pairwise

from sqlalchemy import Connection, text

from logs.domain import Part, begin_of, end_of

PREFIX = "records_"
LOCK = 5_714_101  # One who makes or drops parts at a time.

_PARTS = text(
    "SELECT relname AS name, pg_total_relation_size(relid) AS bytes FROM pg_partition_tree('records')"
    " JOIN pg_class ON pg_class.oid = relid WHERE isleaf"
)

_NAMES = text(
    "SELECT child.relname FROM pg_inherits"
    " JOIN pg_class child ON child.oid = inhrelid WHERE inhparent = 'records'::regclass"
)


def read_parts(connection: Connection) -> list[Part]:
    """Return the parts that there are, oldest first."""
    rows = {_begin(row.name): row for row in connection.execute(_PARTS)}
    ends = [*sorted(rows), datetime.max.replace(tzinfo=UTC)]
    return [
        Part(rows[begin].name, begin, min(end_of(begin.date()), following), rows[begin].bytes)
        for begin, following in pairwise(ends)
    ]


def read_dates(connection: Connection) -> list[date]:
    """Return the dates alone, which is quicker, oldest first."""
    return sorted(_begin(name).date() for name in connection.execute(_NAMES).scalars())


def make_days(connection: Connection, days: Iterable[date]) -> None:
    """Make the partitions that are missing.

    One is made beside the table and then attached: that keeps nobody from reading or adding records.
    """
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    there = set(read_dates(connection))
    for day in sorted(set(days) - there):
        connection.execute(text(f"CREATE TABLE {_name(day)} (LIKE records INCLUDING ALL)"))
        _attach(connection, "records", _name(day), begin_of(day), end_of(day))


def cut_part(connection: Connection, part: Part, cut: datetime) -> None:
    """End a part at a moment, and make one for the rest of its day.

    No other transaction reads or adds records meanwhile: PostgreSQL looks through the part to see that none
    of its records is from later.
    """
    day = _name(part.day)
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text("LOCK TABLE ONLY records IN ACCESS EXCLUSIVE MODE"))
    if part.name == day:
        earlier = _name(part.day, part.begin)
        connection.execute(text(f"ALTER TABLE records DETACH PARTITION {day}"))
        connection.execute(text(f"ALTER TABLE {day} RENAME TO {earlier}"))
        connection.execute(text(f"CREATE TABLE {day} (LIKE records INCLUDING ALL) PARTITION BY RANGE (time)"))
        # While it is empty, so that the part is looked through once.
        _attach(connection, "records", day, part.begin, part.end)
    else:
        earlier = part.name
        connection.execute(text(f"ALTER TABLE {day} DETACH PARTITION {earlier}"))
    later = _name(part.day, cut)
    connection.execute(text(f"CREATE TABLE {later} (LIKE records INCLUDING ALL)"))
    connection.execute(
        text(
            # The names are dates.
            f"WITH moved AS (DELETE FROM {earlier} WHERE time >= :cut RETURNING *)"  # noqa: S608
            f" INSERT INTO {later} SELECT * FROM moved"
        ),
        {"cut": cut},
    )
    _attach(connection, day, earlier, part.begin, cut)
    _attach(connection, day, later, cut, part.end)


def drop_records(connection: Connection, day: date, end: datetime) -> None:
    """Forget a day's records up to a moment at which a part of it ends, and how many there were.

    What still comes in for that time finds an empty part in their place, unless the whole day is gone.
    """
    parts = [part for part in read_parts(connection) if part.day == day]
    if not parts:
        return
    if parts[-1].end <= end:
        connection.execute(text(f"DROP TABLE {_name(day)}"))
    else:
        for part in parts:
            if part.end <= end:
                connection.execute(text(f"DROP TABLE {part.name}"))
        first = _name(day, begin_of(day))
        connection.execute(text(f"CREATE TABLE {first} (LIKE records INCLUDING ALL)"))
        _attach(connection, _name(day), first, begin_of(day), end)
    connection.execute(
        text("DELETE FROM record_counts WHERE minute >= :begin AND minute < :end"),
        {"begin": begin_of(day), "end": end},
    )


def take_turn(connection: Connection) -> bool:
    """Tell whether no other replica makes or drops parts until the transaction ends."""
    return bool(
        connection.execute(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": LOCK}).scalar_one()
    )


def _attach(connection: Connection, parent: str, name: str, begin: datetime, end: datetime) -> None:
    bounds = f"FROM ('{begin.isoformat()}') TO ('{end.isoformat()}')"
    connection.execute(text(f"ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES {bounds}"))


def _begin(name: str) -> datetime:
    written = name.removeprefix(PREFIX)
    return datetime.strptime(written, "%Y%m%d_%H%M" if "_" in written else "%Y%m%d").replace(tzinfo=UTC)


def _name(day: date, begin: datetime | None = None) -> str:
    return f"{PREFIX}{day:%Y%m%d}{f'_{begin:%H%M}' if begin else ''}"
