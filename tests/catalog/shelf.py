"""A product source that holds what a test puts on its shelf, and what the database makes of it."""

from collections.abc import Iterator, Mapping
from uuid import UUID

from sqlalchemy import text

from catalog.domain import Reservation
from catalog.sources import FindKnown, Page
from catalog.use_cases.reservations import reserve_stock
from catalog.use_cases.source import copy_source
from shared.database import Database

PRICE = 5


class Shelf:
    """A source with so many of each product, by id; it may be copied at any time."""

    name = "shelf"
    refresh_seconds = 0

    def __init__(self, stock: Mapping[int, int]) -> None:
        self.stock = stock

    def read_pages(self, _find_known: FindKnown, *, is_probe: bool) -> Iterator[Page]:  # noqa: ARG002
        """Yield the one page that it has."""
        products = [
            {"id": number, "title": f"Thing {number}", "price": PRICE, "stock": stock}
            for number, stock in self.stock.items()
        ]
        yield Page(0, 100, products, len(products))


def copy_shelf(database: Database, stock: Mapping[int, int]) -> None:
    """Let the source have these numbers, and copy it."""
    assert copy_source(database, Shelf(stock), "USD")


def reserve(database: Database, order_id: UUID, quantities: Mapping[int, int]) -> Reservation:
    """Hold what is on the shelf for an order of somebody's."""
    return reserve_stock(database, Shelf({}), "USD", order_id, "somebody", quantities)


def read_counts(database: Database) -> dict[int, tuple[int, int]]:
    """Return what is on hand and what is reserved of each product."""
    with database.transaction() as connection:
        rows = connection.execute(text("SELECT id, on_hand, reserved FROM products ORDER BY id"))
        return {row.id: (row.on_hand, row.reserved) for row in rows}


def make_overdue(database: Database) -> None:
    """Let the time of every hold be over."""
    with database.transaction() as connection:
        connection.execute(text("UPDATE reservations SET expires_at = now() - interval '1 second'"))
