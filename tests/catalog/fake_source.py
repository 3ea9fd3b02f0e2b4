"""A product source with the stock that a test gives it, and helpers for reservations of that stock."""

from collections.abc import Iterator, Mapping
from uuid import UUID

from sqlalchemy import text

from catalog.domain import Reservation
from catalog.sources import FindKnown, Page
from catalog.use_cases.reservations import reserve_stock
from catalog.use_cases.source import copy_source
from shared.database import Database


class FakeSource:
    """A source with the given stock by product id; it can be copied at any time."""

    name = "fake"
    refresh_seconds = 0
    edition = 0

    def __init__(self, stock: Mapping[int, int]) -> None:
        self.stock = stock

    def read_pages(self, _find_known: FindKnown, *, is_probe: bool) -> Iterator[Page]:  # noqa: ARG002  # As in Source.
        """Yield its only page."""
        products = [
            {"id": number, "title": f"Thing {number}", "price": 5, "stock": stock}
            for number, stock in self.stock.items()
        ]
        yield Page(0, 100, products, len(products))


def copy_stock(database: Database, stock: Mapping[int, int]) -> None:
    """Copy a source with this stock."""
    assert copy_source(database, FakeSource(stock), "USD")


def reserve(database: Database, order_id: UUID, quantities: Mapping[int, int]) -> Reservation:
    """Reserve these quantities for an order."""
    return reserve_stock(database, FakeSource({}), "USD", order_id, "a-customer", quantities)


def read_counts(database: Database) -> dict[int, tuple[int, int]]:
    """Return the units on hand and the reserved units of each product."""
    with database.transaction() as connection:
        rows = connection.execute(text("SELECT id, on_hand, reserved FROM products ORDER BY id"))
        return {row.id: (row.on_hand, row.reserved) for row in rows}


def make_overdue(database: Database) -> None:
    """Make every reservation overdue."""
    with database.transaction() as connection:
        connection.execute(text("UPDATE reservations SET expires_at = now() - interval '1 second'"))
