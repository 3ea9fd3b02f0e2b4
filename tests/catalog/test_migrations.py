"""Migrations of existing data."""

import pytest
from sqlalchemy import text

from shared.migrate import upgrade
from shared.service import migrations_of


@pytest.fixture
def database(make_old_database):
    """A database at the revision before `shortfall`."""
    return make_old_database("catalog-service", before="0004")


def test_stock_counts_start_from_the_current_stock(database):
    with database.transaction() as connection:
        connection.execute(
            text("""
                INSERT INTO products (id, sku, title, category, unit_amount, description, on_hand, reserved,
                                      source_on_hand)
                VALUES (1, 'A', '', '', 1, '', 7, 2, 10), -- Three were sold.
                       (2, 'B', '', '', 1, '', 2, 2, 0), -- The source withdrew the held units.
                       (3, 'C', '', '', 1, '', 5, 0, NULL);
                INSERT INTO reservations (order_id, customer, currency, state, expires_at)
                SELECT gen_random_uuid(), state, 'USD', state, now()
                FROM unnest(ARRAY['committed', 'held']) AS state;
                INSERT INTO reservation_lines
                SELECT order_id, 1, CASE state WHEN 'held' THEN 2 ELSE 3 END, '', '', 1 FROM reservations;
                INSERT INTO reservation_lines
                SELECT order_id, 2, 2, '', '', 1 FROM reservations WHERE state = 'held'
            """)
        )
    upgrade(database, migrations_of("catalog-service"))
    with database.transaction() as connection:
        rows = connection.execute(
            text("SELECT on_hand, reserved, shortfall, source_on_hand FROM products ORDER BY id")
        )
        assert [tuple(row) for row in rows] == [(7, 2, 0, 10), (2, 2, 0, 2), (5, 0, 0, 5)]
