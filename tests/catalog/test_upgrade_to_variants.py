"""The upgrade of a filled shop to variants, while callers use it."""

from contextlib import closing
from threading import Event, Thread
from time import monotonic

import pytest
from sqlalchemy import create_engine, text

from shared.database import Database, connect
from shared.migrate import upgrade
from shared.service import migrations_of
from tests.catalog.conftest import make_settings

PRODUCTS = 100_000
FILL = """
INSERT INTO products (id, sku, title, brand, category, unit_amount, description, rating, on_hand,
    source_on_hand)
SELECT id, 'S-' || id, 'Thing ' || id, 'Brand ' || id % 37, 'category ' || id % 23, 100 + id % 50000,
    'A thing.', (id % 51) / 10.0, 1000, 1000
FROM generate_series(1, :number) AS id
"""
# What a sale of the previous release does to a product, and what its list reads.
SELL = "UPDATE products SET reserved = reserved + 1 WHERE id = :id"
LIST = "SELECT id, title FROM products WHERE removed_at IS NULL ORDER BY unit_amount, id LIMIT 30"


@pytest.fixture
def old_shop(make_old_database) -> Database:
    """A shop of the previous release with a hundred thousand products."""
    database = make_old_database("catalog-service", before="0007")
    with database.transaction() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text(FILL), {"number": PRODUCTS})
    return database


@pytest.mark.long
def test_callers_do_not_feel_the_upgrade_of_a_hundred_thousand_products(old_shop):
    done, waits, sold = Event(), [], []

    def call(seed: int) -> None:
        turn = seed
        with closing(Database(create_engine(old_shop.engine.url))) as own:
            while not done.is_set():
                turn += 7
                begun = monotonic()
                with own.transaction() as connection:
                    connection.execute(text(SELL), {"id": 1 + turn % PRODUCTS})
                    connection.execute(text(LIST)).all()
                waits.append(monotonic() - begun)
                sold.append(1 + turn % PRODUCTS)

    callers = [Thread(target=call, args=(seed,)) for seed in range(3)]
    for caller in callers:
        caller.start()
    begun = monotonic()
    try:
        upgrade(old_shop, migrations_of("catalog-service"))
        took = monotonic() - begun
    finally:
        done.set()
        for caller in callers:
            caller.join()
    assert len(waits) > 100
    # No statement of the upgrade that scans the table keeps a lock that a caller needs.
    assert max(waits) < took / 3, f"A call took {max(waits):.2f} s of the upgrade's {took:.2f} s."
    with old_shop.transaction() as connection:
        summary = "SELECT count(*), sum(reserved), sum(further_variants) FROM products"
        assert tuple(connection.execute(text(summary)).one()) == (PRODUCTS, len(sold), 0)
        invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
        assert connection.execute(text(invalid)).scalar() == 0
        open_checks = "SELECT count(*) FROM pg_constraint WHERE NOT convalidated"
        assert connection.execute(text(open_checks)).scalar() == 0


def test_an_interrupted_upgrade_is_finished_by_the_next_one(make_old_database):
    database = make_old_database("catalog-service", before="0008")
    with database.transaction() as connection:
        # As if the process had died while it built the last index.
        connection.execute(text("UPDATE alembic_version SET version_num = '0006'"))
        connection.execute(text("DROP INDEX products_option_values"))
        connection.execute(text("ALTER TABLE products DROP CONSTRAINT products_parent"))
    upgrade(database, migrations_of("catalog-service"))
    with database.transaction() as connection:
        names = "SELECT count(*) FROM pg_class WHERE relname = 'products_option_values'"
        assert connection.execute(text(names)).scalar() == 1


def test_the_previous_release_passes_over_further_variants(make_database):
    """Its statements: the list, the reservation, the counts."""
    with (
        closing(connect(make_settings(make_database("catalog-service")))) as database,
        database.transaction() as connection,
    ):
        row = "(id, sku, title, category, unit_amount, description, on_hand, parent_id, removed_at)"
        connection.execute(
            text(f"""
                INSERT INTO products {row} VALUES
                    (1, 'A', 'Shirt', 'clothes', 5, '', 1, NULL, NULL),
                    (9000000000000000, 'B', '', '', 4, '', 1, 1, 'infinity')
            """)
        )
        for query in (
            "SELECT id FROM products WHERE removed_at IS NULL",
            "SELECT id FROM products WHERE removed_at IS NULL AND id = ANY ('{1, 9000000000000000}')",
            "SELECT count(*) FROM products WHERE removed_at IS NULL",
        ):
            assert connection.execute(text(query)).scalars().all() == [1]
