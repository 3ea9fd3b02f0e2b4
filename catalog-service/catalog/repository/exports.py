"""SQL that reads many products for sale with their variants."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, func, or_, select

from catalog.domain import ExportedProduct
from catalog.repository.arrays import IDS
from catalog.repository.variants import READ, to_options, to_variant
from catalog.tables import FOR_SALE, IS_FURTHER, products
from catalog.variants import Variant

CHUNK = 1000  # Rows that an export fetches at a time.

# The search vector is large, and no export needs it.
EXPORTED = (
    select(*[column for column in products.c if column.name != "search"])
    .where(FOR_SALE)
    .order_by(products.c.id)
)
EXPORTED_SOME = EXPORTED.where(products.c.id == func.any(IDS))
READ_VARIANTS = READ.where(
    or_(products.c.id == func.any(IDS), and_(IS_FURTHER, products.c.parent_id == func.any(IDS)))
).order_by(products.c.id)


def stream_products(connection: Connection) -> Iterator[ExportedProduct]:
    """Yield the products for sale by id, through a server-side cursor that keeps memory use constant."""
    streamed = connection.execute(EXPORTED, execution_options={"stream_results": True, "yield_per": CHUNK})
    for rows in streamed.partitions(CHUNK):
        yield from _add_variants(connection, rows)


def read_products(connection: Connection, ids: Iterable[int]) -> dict[int, ExportedProduct]:
    """Return those of these products that are for sale."""
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
        brand=row.brand,
        category=row.category,
        description=row.description,
        rating=row.rating,
        images=row.images,
        tax_class=row.tax_class,
        metadata=row.product_metadata,
        options=to_options(row.options),
        variants=variants,
    )


def _to_variant(row: Row[*tuple[Any, ...]]) -> Variant:
    return Variant(
        id=row.id,
        parent_id=None,
        product_title=row.title,
        sku=row.sku,
        title=row.variant_title,
        option_values=row.option_values,
        unit_amount=row.unit_amount,
        compare_at_amount=row.compare_at_amount,
        weight_grams=row.weight_grams,
        on_hand=row.on_hand,
        reserved=row.reserved,
        shortfall=row.shortfall,
        low_stock_threshold=row.low_stock_threshold,
        metadata=row.metadata,
        version=row.version,
    )
