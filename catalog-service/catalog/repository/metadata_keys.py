"""SQL for the metadata keys by which a list of products can be filtered."""

from collections.abc import Iterable

from sqlalchemy import Connection, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert

from catalog.repository.arrays import as_texts
from catalog.tables import metadata_keys


def read_keys(connection: Connection) -> list[str]:
    """Return the marked keys by name."""
    return list(connection.execute(select(metadata_keys.c.key).order_by(metadata_keys.c.key)).scalars())


def store_keys(connection: Connection, keys: Iterable[str]) -> None:
    """Mark these keys and no others."""
    marked = sorted(set(keys))
    # Two admins at the same time would leave the keys of both.
    connection.execute(text("LOCK TABLE metadata_keys IN SHARE ROW EXCLUSIVE MODE"))
    connection.execute(delete(metadata_keys).where(metadata_keys.c.key != func.all(as_texts(marked))))
    if marked:
        added = insert(metadata_keys).on_conflict_do_nothing()
        connection.execute(added, [{"key": key} for key in marked])
