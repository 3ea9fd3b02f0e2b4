"""SQL that reads products for sale, together with the status of the copy."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Row, Select, bindparam, func, select, true

from catalog.domain import Product, SourceCopy
from catalog.repository.arrays import IDS
from catalog.repository.categories import path_of
from catalog.repository.slugs import slug_of
from catalog.repository.source import COPY
from catalog.tables import FOR_SALE, products, source_copy

STOCK = products.c.on_hand - products.c.reserved
# The columns of a Product, in the order of its fields. A query of many rows reads the `ROW` of each, whose
# category is a key, and `describe_rows` looks up the path and the slug of those that it returns.
ROW = [
    STOCK.label("stock") if field.name == "stock" else products.c[field.name]
    for field in fields(Product)
    if field.name != "slug"
]
NAMES = {column.name for column in ROW}


def describe_rows(found: Any) -> list[ColumnElement[Any]]:
    """Return the columns of a Product from those of ROW, by name."""
    computed = {
        "category": path_of(found["category"]).label("category"),
        "slug": slug_of(found["id"]).label("slug"),
    }
    return [
        computed[field.name] if field.name in computed else found[field.name] for field in fields(Product)
    ]


PRODUCT = describe_rows({column.name: column for column in ROW})


def with_source_copy(found: FromClause) -> Select[Any]:
    """Return a query that adds the status of the copy, read at the same moment, to each row found.

    If `found` is empty, the query returns one row whose `id` is NULL.
    """
    others = [column for column in found.c if column.name not in NAMES]
    return select(*describe_rows(found.c), *others, *COPY).select_from(source_copy.outerjoin(found, true()))


# Statements that every request runs are built once, because building one takes longer than sending it.
READ = select(*ROW).where(FOR_SALE)
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
