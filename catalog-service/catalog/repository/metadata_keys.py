"""SQL for the metadata keys by which a list of products can be filtered."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, delete, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY, insert

from catalog.repository.arrays import as_texts
from catalog.tables import metadata_keys

READ = select(metadata_keys.c.key).order_by(metadata_keys.c.key)
# The marked keys by name, for a query that reads them with something else.
MARKED: ColumnElement[Any] = func.array(READ.scalar_subquery(), type_=ARRAY(Text)).label("marked")


def read_keys(connection: Connection) -> list[str]:
    """Return the marked keys by name."""
    return list(connection.execute(READ).scalars())


def store_keys(connection: Connection, keys: Iterable[str]) -> None:
    """Mark these keys and no others."""
    marked = sorted(set(keys))
    # Two admins at the same time would leave the keys of both.
    connection.execute(text("LOCK TABLE metadata_keys IN SHARE ROW EXCLUSIVE MODE"))
    connection.execute(delete(metadata_keys).where(metadata_keys.c.key != func.all(as_texts(marked))))
    if marked:
        added = insert(metadata_keys).on_conflict_do_nothing()
        connection.execute(added, [{"key": key} for key in marked])
