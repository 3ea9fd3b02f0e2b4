"""SQL that reads products for sale, together with the status of the copy.

Statements that every request runs are built once, because building one takes longer than sending it.
"""

from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Row,
    Select,
    cast,
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB, distinct_on

from catalog.domain import Product, SourceCopy
from catalog.repository.arrays import IDS, with_one_plan
from catalog.repository.categories import path_of
from catalog.repository.slugs import slug_of
from catalog.repository.source import COPY
from catalog.tables import HIGHEST_AMOUNT, IS_SOLD, LOWEST_AMOUNT, products, source_copy

# The columns of a Product that are more than a column of its row. Without images, no JSON is decoded.
_COMPUTED: dict[str, ColumnElement[Any]] = {
    "unit_amount": LOWEST_AMOUNT.label("unit_amount"),
    "highest_unit_amount": HIGHEST_AMOUNT.label("highest_unit_amount"),
    "stock": (products.c.on_hand - products.c.reserved).label("stock"),
    "variant_count": (products.c.further_variants + cast(IS_SOLD, Integer)).label("variant_count"),
    "media": func.nullif(products.c.media, literal_column("'{}'", JSONB), type_=JSONB).label("media"),
}
# The columns of a Product, in the order of its fields, and `further_variants`. A query of many rows reads the
# `ROW` of each, whose category is a key, and `describe_rows` looks up the path and the slug of those that it
# returns. The columns of variants are those of the product's own row, which suffice for a product with one.
ROW: list[ColumnElement[Any]] = [
    *[
        _COMPUTED[field.name] if field.name in _COMPUTED else products.c[field.name]
        for field in fields(Product)
        if field.name not in {"slug", "cheapest_id"}
    ],
    products.c.further_variants,
]
NAMES = {column.name for column in ROW}


def describe_rows(found: Any) -> list[ColumnElement[Any]]:
    """Return the columns of a Product from those of ROW, by name."""
    computed = {
        "category": path_of(found["category"]).label("category"),
        "slug": slug_of(found["id"]).label("slug"),
    }
    columns = [
        computed[field.name] if field.name in computed else found[field.name]
        for field in fields(Product)
        if field.name != "cheapest_id"
    ]
    return [*columns, found["further_variants"]]


PRODUCT = describe_rows({column.name: column for column in ROW})


def with_source_copy(found: FromClause, *, is_product: bool = True) -> Select[Any]:
    """Return a query that adds the status of the copy, read at the same moment, to each row found.

    If `found` is empty, the query returns one row whose `id` is NULL.
    """
    columns: list[ColumnElement[Any]] = list(found.c)
    if is_product:
        columns = [*describe_rows(found.c), *[column for column in found.c if column.name not in NAMES]]
    return select(*columns, *COPY).select_from(source_copy.outerjoin(found, true()))


# The variants of products with several: their sums, and what a product has from its cheapest one.
_WANTED = with_one_plan(IDS)
_OWNER = func.coalesce(products.c.parent_id, products.c.id)
OF_CHEAPEST = ("sku", "compare_at_amount", "lowest_amount_30d", "regular_amount")
SUMMARIES = (
    select(
        _OWNER.label("product_id"),
        products.c.id.label("cheapest_id"),
        *[products.c[name] for name in OF_CHEAPEST],
        *[
            cast(func.sum(products.c[name]).over(partition_by=_OWNER), BigInteger).label(name)
            for name in ("on_hand", "reserved")
        ],
    )
    .ext(distinct_on(_OWNER))
    .where(IS_SOLD, or_(products.c.id == func.any(_WANTED), products.c.parent_id == func.any(_WANTED)))
    .order_by(_OWNER, products.c.unit_amount, products.c.id)
)


def to_products(connection: Connection, rows: Iterable[Row[*tuple[Any, ...]]]) -> list[Product]:
    """Return the products of rows that begin with the columns in PRODUCT."""
    several = [row.id for row in rows if row.further_variants]
    summaries = summarize_variants(connection, several)
    return [to_product(row, summaries.get(row.id)) for row in rows]


def summarize_variants(connection: Connection, ids: list[int]) -> dict[int, Row[*tuple[Any, ...]]]:
    """Return the summaries of the variants of these products by id."""
    if not ids:
        return {}
    return {row.product_id: row for row in connection.execute(SUMMARIES, {"ids": ids})}


def to_product(row: Row[*tuple[Any, ...]], summary: Row[*tuple[Any, ...]] | None = None) -> Product:
    """Return the product of a row that begins with the columns in PRODUCT, and the sums of its variants."""
    product = Product(*row[: len(PRODUCT) - 1])
    if summary is None:
        return product
    of_cheapest = {name: getattr(summary, name) for name in ("cheapest_id", *OF_CHEAPEST)}
    return replace(product, **of_cheapest, stock=summary.on_hand - summary.reserved)


def to_copy(row: Row[*tuple[Any, ...]]) -> SourceCopy:
    """Return the status of the copy from a row of `with_source_copy`."""
    return SourceCopy(**{column.name: getattr(row, column.name) for column in COPY})
