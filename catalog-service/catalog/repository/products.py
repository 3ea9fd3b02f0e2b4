"""SQL that reads products for sale, together with the status of the copy."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, FromClause, Row, Select, bindparam, func, select, true

from catalog.domain import Product, SourceCopy
from catalog.repository.arrays import IDS
from catalog.repository.source import COPY
from catalog.tables import FOR_SALE, products, source_copy

STOCK = products.c.on_hand - products.c.reserved
# The columns of a Product, in the order of its fields.
PRODUCT = [
    STOCK.label("stock") if field.name == "stock" else products.c[field.name] for field in fields(Product)
]


def with_source_copy(found: FromClause) -> Select[Any]:
    """Return a query that adds the status of the copy, read at the same moment, to each row found.

    If `found` is empty, the query returns one row whose `id` is NULL.
    """
    return select(*found.c, *COPY).select_from(source_copy.outerjoin(found, true()))


# Statements that every request runs are built once, because building one takes longer than sending it.
READ = select(*PRODUCT).where(FOR_SALE)
FIND_PRODUCT = with_source_copy(READ.where(products.c.id == bindparam("id")).subquery("found"))
READ_PRODUCTS = with_source_copy(READ.where(products.c.id == func.any(IDS)).subquery("found")).order_by("id")


def find_product(connection: Connection, product_id: int) -> tuple[Product | None, SourceCopy]:
    """Return the product if it is for sale, and the status of the copy."""
    row = connection.execute(FIND_PRODUCT, {"id": product_id}).one()
    return (None if row.id is None else to_product(row)), to_copy(row)


def read_products(connection: Connection, ids: Iterable[int]) -> tuple[list[Product], SourceCopy]:
    """Return the products that are for sale, by id, and the status of the copy."""
    rows = connection.execute(READ_PRODUCTS, {"ids": list(ids)}).all()
    return [to_product(row) for row in rows if row.id is not None], to_copy(rows[0])


def to_product(row: Row[Any]) -> Product:
    """Return the product of a row that begins with the columns in PRODUCT."""
    return Product(*row[: len(PRODUCT)])


def to_copy(row: Row[Any]) -> SourceCopy:
    """Return the status of the copy from a row of `with_source_copy`."""
    return SourceCopy(**{column.name: getattr(row, column.name) for column in COPY})
