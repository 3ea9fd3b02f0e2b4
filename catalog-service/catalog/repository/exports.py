"""SQL that reads many products for sale with their variants."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, or_, select

from catalog.domain import ExportedProduct
from catalog.media import trim_alts
from catalog.repository.arrays import IDS
from catalog.repository.categories import path_of
from catalog.repository.images import ALTS
from catalog.repository.prices import IS_ON_SALE, REGULAR_AMOUNT
from catalog.repository.slugs import slug_of
from catalog.repository.variants import READ, VARIANT, to_options, to_variant
from catalog.tables import FOR_SALE, IS_FURTHER, products
from catalog.variants import Variant

CHUNK = 1000  # Rows that an export fetches at a time.

# The prices without the running sale, which a file that is imported later must not make permanent.
_REGULAR: dict[str, ColumnElement[Any]] = {
    "unit_amount": REGULAR_AMOUNT.label("unit_amount"),
    "compare_at_amount": case(
        (IS_ON_SALE, products.c.regular_compare_at_amount), else_=products.c.compare_at_amount
    ).label("compare_at_amount"),
}
# The search vector is large, and no export needs it.
EXPORTED = (
    select(
        *[_REGULAR.get(column.name, column) for column in products.c if column.name != "search"],
        path_of(products.c.category).label("path"),
        slug_of(products.c.id).label("slug"),
        ALTS.label("image_alts"),
    )
    .where(FOR_SALE)
    .order_by(products.c.id)
)
EXPORTED_SOME = EXPORTED.where(products.c.id == func.any(IDS))
READ_VARIANTS = (
    READ.with_only_columns(*[_REGULAR.get(column.name, column) for column in VARIANT])
    .where(or_(products.c.id == func.any(IDS), and_(IS_FURTHER, products.c.parent_id == func.any(IDS))))
    .order_by(products.c.id)
)


def stream_products(connection: Connection) -> Iterator[ExportedProduct]:
    """Yield the products for sale by id, through a server-side cursor that keeps memory use constant."""
    streamed = connection.execute(EXPORTED, execution_options={"stream_results": True, "yield_per": CHUNK})
    for rows in streamed.partitions(CHUNK):
        for product, row in zip(_add_variants(connection, rows), rows, strict=True):
            yield replace(product, category=row.path)


def read_products(connection: Connection, ids: Iterable[int]) -> dict[int, ExportedProduct]:
    """Return those of these products that are for sale, with the keys of their categories."""
    rows = connection.execute(EXPORTED_SOME, {"ids": list(ids)}).all()
    return {product.id: product for product in _add_variants(connection, rows)}


def _add_variants(connection: Connection, rows: Sequence[Row[*tuple[Any, ...]]]) -> Iterator[ExportedProduct]:
    several = [row.id for row in rows if not _has_one_row(row)]
    variants: dict[int, list[Variant]] = {number: [] for number in several}
    if several:
        for found in connection.execute(READ_VARIANTS, {"ids": several}):
            variant = to_variant(found)
            variants[variant.product_id].append(variant)
    for row in rows:
        yield _to_product(row, variants[row.id] if row.id in variants else [_to_variant(row)])


def _has_one_row(row: Row[*tuple[Any, ...]]) -> bool:
    """Return whether the row of the product is its only variant, which is the common case."""
    return row.further_variants == 0 and row.withdrawn_at is None


def _to_product(row: Row[*tuple[Any, ...]], variants: list[Variant]) -> ExportedProduct:
    return ExportedProduct(
        id=row.id,
        version=row.version,
        title=row.title,
        slug=row.slug,
        brand=row.brand,
        category=row.category,
        description=row.description,
        rating=row.rating,
        images=row.images,
        image_alts=trim_alts(row.image_alts),
        tax_class=row.tax_class,
        metadata=row.product_metadata,
        options=to_options(row.options),
        variants=variants,
    )


def _to_variant(row: Row[*tuple[Any, ...]]) -> Variant:
    values = {
        **row._mapping,
        "parent_id": None,
        "product_title": row.title,
        "title": row.variant_title,
        "image": row.source_image,
    }
    return Variant(*[values[field.name] for field in fields(Variant)])
