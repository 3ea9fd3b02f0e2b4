"""Steps of the tests of sales, on a product with the number 1."""

import json
from datetime import UTC, datetime, timedelta
from io import BytesIO

from sqlalchemy import text

from catalog.sources import Page
from catalog.use_cases import admin
from catalog.use_cases.imports import import_products
from catalog.use_cases.sales import put_sale, write_due_prices
from catalog.use_cases.source import copy_source
from catalog.use_cases.sync import read_last_sync
from tests.catalog.fake_source import FakeSource


def execute(database, statement, **values):
    with database.transaction() as connection:
        return connection.execute(text(statement), values)


def read(database, number=1):
    """Return (price, crossed-out price, lowest price, version) of a row."""
    with database.transaction() as connection:
        row = connection.execute(
            text(
                "SELECT unit_amount, compare_at_amount, lowest_amount_30d, version FROM products"
                " WHERE id = :id"
            ),
            {"id": number},
        ).one()
    return tuple(row)


def read_history(database, number=1):
    with database.transaction() as connection:
        rows = connection.execute(
            text("SELECT unit_amount FROM prices WHERE product_id = :id ORDER BY valid_from"), {"id": number}
        )
        return list(rows.scalars())


def set_price(database, amount, number=1):
    """Write a price as a replica of the previous release does."""
    execute(database, "UPDATE products SET unit_amount = :amount WHERE id = :id", amount=amount, id=number)


def plan(database, amount=300, number=1, *, starts=None, ends=None):
    """Plan a sale whose times are seconds from now."""
    now = datetime.now(UTC)
    times = [None if each is None else now + timedelta(seconds=each) for each in (starts, ends)]
    return put_sale(database, number, number, amount, *times)


def add_variant(database, number, *, amount):
    """Add a further variant of product 1."""
    execute(
        database,
        """INSERT INTO products (id, sku, title, category, unit_amount, description, on_hand, parent_id,
                                 removed_at)
           VALUES (:id, 'V', '', '', :amount, '', 1, 1, 'infinity')""",
        id=number,
        amount=amount,
    )


def make_due(database):
    """Make all sales due: planned ones start, and running ones end."""
    execute(
        database,
        """
        UPDATE sales SET
            starts_at = starts_at - (due_at - now() + interval '1 second'),
            ends_at = CASE WHEN has_started THEN now() - interval '1 second' ELSE ends_at END
        """,
    )


def make_ended(database):
    """End all running sales."""
    execute(
        database,
        "UPDATE sales SET starts_at = now() - interval '1 h', ends_at = now() - interval '1 s'",
    )
    write_due_prices(database)


class PricedSource(FakeSource):
    """A source of product 1 at the price that a test gives it."""

    def __init__(self, amount):
        super().__init__({1: 10})
        self.amount = amount

    def read_pages(self, _find_known, *, is_probe):  # noqa: ARG002  # As in Source.
        yield Page(0, 100, [{"id": 1, "title": "Mug", "price": self.amount / 100, "stock": 10}], 1)


def copy_price(database, amount):
    """Copy the source with this price; return the number of products that changed."""
    assert copy_source(database, PricedSource(amount), "USD")
    return read_last_sync(database).changed


def patch_price(database, amount, *, version=None):
    return admin.change_product(
        database, 1, version or read(database)[3], {"unit_amount": amount}, frozenset()
    )


def import_price(database, amount):
    line = json.dumps({"id": 1, "unit_amount": amount}).encode()
    return list(import_products(database, BytesIO(line), "USD"))[-1].changed
