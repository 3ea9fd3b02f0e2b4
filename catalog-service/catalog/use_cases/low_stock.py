"""Admin use case: the variants to order again."""

from catalog.repository import low_stock as repository
from catalog.variants import Position, Variant
from shared.database import Database


def list_low_stock(
    database: Database, *, after: Position | None, limit: int
) -> tuple[list[Variant], Position | None]:
    """Return a page of the variants with low stock, and the position of the next page."""
    with database.autocommit() as connection:
        found = repository.list_low_stock(connection, after, limit + 1)
    page = found[:limit]
    return page, (page[-1].product_id, page[-1].id) if len(found) > limit else None
