"""SQL that reads products for sale, together with the status of the copy."""

from dataclasses import fields
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Row,
    Select,
    bindparam,
    case,
    cast,
    func,
    or_,
    select,
    true,
)

from catalog.domain import Product, SourceCopy
from catalog.repository.categories import path_of
from catalog.repository.slugs import slug_of
from catalog.repository.source import COPY
from catalog.tables import FOR_SALE, HIGHEST_AMOUNT, IS_SOLD, LOWEST_AMOUNT, products, source_copy

STOCK = products.c.on_hand - products.c.reserved

_variant = products.alias("variant")
_SOLD_VARIANTS = (
    _variant.c.withdrawn_at.is_(None),
    or_(_variant.c.id == products.c.id, _variant.c.parent_id == products.c.id),
)
# A product with one variant, which is the common case, reads no other row.
_IS_ONE_ROW = products.c.further_variants == 0


def sum_variants(name: str) -> ColumnElement[Any]:
    """Return the sum of a column over the variants of a product."""
    total = select(func.sum(_variant.c[name])).where(*_SOLD_VARIANTS).scalar_subquery()
    return case((_IS_ONE_ROW, products.c[name]), else_=cast(total, products.c[name].type)).label(name)


def of_cheapest(name: str) -> ColumnElement[Any]:
    """Return a column of the cheapest variant of a product."""
    cheapest = (
        select(_variant.c[name])
        .where(*_SOLD_VARIANTS)
        .order_by(_variant.c.unit_amount, _variant.c.id)
        .limit(1)
        .scalar_subquery()
    )
    return case((_IS_ONE_ROW, products.c[name]), else_=cheapest).label(name)


# The columns of a Product that are more than a column of its row.
_COMPUTED: dict[str, ColumnElement[Any]] = {
    "sku": of_cheapest("sku"),
    "unit_amount": LOWEST_AMOUNT.label("unit_amount"),
    "highest_unit_amount": HIGHEST_AMOUNT.label("highest_unit_amount"),
    **{name: of_cheapest(name) for name in ("compare_at_amount", "lowest_amount_30d", "regular_amount")},
    "stock": (sum_variants("on_hand") - sum_variants("reserved")).label("stock"),
    "variant_count": (products.c.further_variants + cast(IS_SOLD, Integer)).label("variant_count"),
}
# The columns of a Product, in the order of its fields. A query of many rows reads the `ROW` of each, whose
# category is a key, and `describe_rows` looks up the path and the slug of those that it returns.
ROW: list[ColumnElement[Any]] = [
    _COMPUTED[field.name] if field.name in _COMPUTED else products.c[field.name]
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


def with_source_copy(found: FromClause, *, is_product: bool = True) -> Select[Any]:
    """Return a query that adds the status of the copy, read at the same moment, to each row found.

    If `found` is empty, the query returns one row whose `id` is NULL.
    """
    columns: list[ColumnElement[Any]] = list(found.c)
    if is_product:
        columns = [*describe_rows(found.c), *[column for column in found.c if column.name not in NAMES]]
    return select(*columns, *COPY).select_from(source_copy.outerjoin(found, true()))


# Statements that every request runs are built once, because building one takes longer than sending it.
FIND_PRODUCT = with_source_copy(
    select(*ROW, products.c.options, products.c.product_metadata)
    .where(FOR_SALE, products.c.id == bindparam("id"))
    .subquery("found")
)


def find_product(connection: Connection, product_id: int) -> tuple[Row[*tuple[Any, ...]] | None, SourceCopy]:
    """Return the row of a product for sale, with `options` and `product_metadata`, and the copy's status."""
    row = connection.execute(FIND_PRODUCT, {"id": product_id}).one()
    return (None if row.id is None else row), to_copy(row)


def to_product(row: Row[*tuple[Any, ...]]) -> Product:
    """Return the product of a row that begins with the columns in PRODUCT."""
    return Product(*row[: len(PRODUCT)])


def to_copy(row: Row[*tuple[Any, ...]]) -> SourceCopy:
    """Return the status of the copy from a row of `with_source_copy`."""
    return SourceCopy(**{column.name: getattr(row, column.name) for column in COPY})
