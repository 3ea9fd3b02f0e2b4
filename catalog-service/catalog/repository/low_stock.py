"""SQL that lists the variants with low stock."""

from sqlalchemy import Connection, tuple_

from catalog.repository.variants import READ, to_variant
from catalog.tables import IS_LOW, PRODUCT_ID, products
from catalog.variants import Position, Variant

LOW_STOCK = READ.where(IS_LOW).order_by(PRODUCT_ID, products.c.id)


def list_low_stock(connection: Connection, after: Position | None, limit: int) -> list[Variant]:
    """Return the variants for sale with low stock after this position, by product and id."""
    query = LOW_STOCK
    if after is not None:
        query = query.where(tuple_(PRODUCT_ID, products.c.id) > tuple_(*after))
    return [to_variant(row) for row in connection.execute(query.limit(limit))]
