"""Reading what is for sale, and how old it is."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, FromClause, Row, Select, bindparam, func, select, true

from catalog.domain import Product, SourceCopy
from catalog.repository.arrays import IDS
from catalog.repository.source import COPY
from catalog.tables import FOR_SALE, products, source_copy

STOCK = products.c.on_hand - products.c.reserved
# The columns that make a Product, in its order.
PRODUCT = [
    STOCK.label("stock") if field.name == "stock" else products.c[field.name] for field in fields(Product)
]


def beside_copy(found: FromClause) -> Select[Any]:
    """Return a query of what was found, beside how the copying stands at the same moment.

    It has a row even if nothing was found; `id` is null there.
    """
    return select(*found.c, *COPY).select_from(source_copy.outerjoin(found, true()))


# What is run for every request is made once: to make a statement takes longer than to send it.
READ = select(*PRODUCT).where(FOR_SALE)
FIND_PRODUCT = beside_copy(READ.where(products.c.id == bindparam("id")).subquery("found"))
READ_PRODUCTS = beside_copy(READ.where(products.c.id == func.any(IDS)).subquery("found")).order_by("id")


def find_product(connection: Connection, product_id: int) -> tuple[Product | None, SourceCopy]:
    """Return the product if it is for sale, and how the copying stands."""
    row = connection.execute(FIND_PRODUCT, {"id": product_id}).one()
    return (None if row.id is None else to_product(row)), to_copy(row)


def read_products(connection: Connection, ids: Iterable[int]) -> tuple[list[Product], SourceCopy]:
    """Return those of the products that are for sale, by id, and how the copying stands."""
    rows = connection.execute(READ_PRODUCTS, {"ids": list(ids)}).all()
    return [to_product(row) for row in rows if row.id is not None], to_copy(rows[0])


def to_product(row: Row[Any]) -> Product:
    """Return what a row stands for that begins with the columns in PRODUCT."""
    return Product(*row[: len(PRODUCT)])


def to_copy(row: Row[Any]) -> SourceCopy:
    """Return how the copying stands, beside which the row was found."""
    return SourceCopy(**{column.name: getattr(row, column.name) for column in COPY})
