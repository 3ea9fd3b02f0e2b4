"""How far the gateway's files were read: kept with the records, so that each line is stored once."""

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
    """Return how many bytes of a file were read, for this transaction alone; None if another one is at it."""
    connection.execute(insert(gateway_files).values(name=name, bytes_read=0).on_conflict_do_nothing())
    query = select(gateway_files.c.bytes_read).where(gateway_files.c.name == name)
    return connection.execute(query.with_for_update(skip_locked=True)).scalar()


def set_position(connection: Connection, name: str, bytes_read: int) -> None:
    """Note how many bytes of a file were read."""
    statement = update(gateway_files).where(gateway_files.c.name == name)
    connection.execute(statement.values(bytes_read=bytes_read, read_at=now()))


def forget_files(connection: Connection, names: Iterable[str]) -> None:
    """Forget files that are gone, once nobody can be reading them any more."""
    long_ago = now() - func.make_interval(0, 0, 0, 0, 1)
    connection.execute(
        delete(gateway_files).where(gateway_files.c.name.in_(names), gateway_files.c.read_at < long_ago)
    )
