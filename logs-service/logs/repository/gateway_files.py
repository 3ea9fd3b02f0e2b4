"""Read positions in the gateway's log files. They commit with the records, so each line is stored once."""

from collections.abc import Iterable

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.functions import now

from logs.tables import gateway_files


def read_positions(connection: Connection) -> dict[str, int]:
    """Return how many bytes of each file were read."""
    rows = connection.execute(select(gateway_files.c.name, gateway_files.c.bytes_read))
    return {row.name: row.bytes_read for row in rows}


def lock_position(connection: Connection, name: str) -> int | None:
    """Lock a file and return how many bytes of it were read; None if another transaction has locked it."""
    connection.execute(insert(gateway_files).values(name=name, bytes_read=0).on_conflict_do_nothing())
    query = select(gateway_files.c.bytes_read).where(gateway_files.c.name == name)
    return connection.execute(query.with_for_update(skip_locked=True)).scalar()


def set_position(connection: Connection, name: str, bytes_read: int) -> None:
    """Set how many bytes of a file were read."""
    statement = update(gateway_files).where(gateway_files.c.name == name)
    connection.execute(statement.values(bytes_read=bytes_read, read_at=now()))


def delete_files(connection: Connection, names: Iterable[str]) -> None:
    """Delete the rows of deleted files that no replica has read for an hour."""
    an_hour_ago = now() - func.make_interval(0, 0, 0, 0, 1)
    connection.execute(
        delete(gateway_files).where(gateway_files.c.name.in_(names), gateway_files.c.read_at < an_hour_ago)
    )
