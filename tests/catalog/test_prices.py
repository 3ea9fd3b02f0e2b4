"""The history of prices, and the lowest price of the 30 days before a reduction."""

import pytest
from sqlalchemy import text

from catalog.use_cases.sales import prune_prices
from shared.migrate import upgrade
from shared.service import migrations_of
from tests.catalog.rows import put_products

# Each story is a list of steps (days since the step before, price, crossed-out price), and the lowest price
# at its end. The first step is the state of the new product.
STORIES = {
    "no reduction": ([(0, 500, None), (5, 400, None)], None),
    "a crossed-out price that is not above": ([(0, 500, None), (5, 400, 400)], None),
    "the price before the reduction": ([(0, 500, None), (90, 300, 500)], 500),
    "a product younger than 30 days": ([(0, 500, None), (2, 300, 500)], 500),
    "a rise shortly before the reduction": ([(0, 500, None), (90, 800, None), (3, 600, 800)], 500),
    "a rise more than 30 days before": ([(0, 500, None), (90, 800, None), (31, 600, 800)], 800),
    "a dip within 30 days": ([(0, 500, None), (60, 200, None), (1, 500, None), (29, 400, 500)], 200),
    "a dip that ended within 30 days": (
        [(0, 500, None), (5, 200, None), (40, 500, None), (29, 400, 500)],
        200,
    ),
    "a dip that ended earlier": ([(0, 500, None), (5, 200, None), (4, 500, None), (31, 400, 500)], 500),
    "successive reductions count from the first": (
        [(0, 500, None), (60, 400, 500), (10, 300, 500), (40, 200, 500)],
        500,
    ),
    "a long reduction keeps its lowest price": ([(0, 500, None), (60, 400, 500), (99, 400, 600)], 500),
    "a rise within a reduction begins a new one": ([(0, 500, None), (60, 200, 500), (5, 400, 500)], 200),
    "a reduction after an interruption": (
        [(0, 500, None), (60, 300, 500), (5, 500, None), (5, 400, 500)],
        300,
    ),
    "a crossed-out price without a change of the price": ([(0, 500, None), (60, 500, 900)], 500),
    "a reduction that ended": ([(0, 500, None), (60, 300, 500), (5, 500, 500)], None),
}


def execute(database, statement, **values):
    with database.transaction() as connection:
        return connection.execute(text(statement), values)


def write(database, amount, crossed_out=None):
    execute(
        database,
        "UPDATE products SET unit_amount = :amount, compare_at_amount = :crossed_out WHERE id = 1",
        amount=amount,
        crossed_out=crossed_out,
    )


def pass_days(database, days):
    execute(database, "UPDATE prices SET valid_from = valid_from - make_interval(days => :days)", days=days)


def read(database, query):
    with database.transaction() as connection:
        return connection.execute(text(query)).all()


def read_history(database):
    return [amount for (amount,) in read(database, "SELECT unit_amount FROM prices ORDER BY valid_from")]


def test_the_lowest_price_is_that_of_the_30_days_before_the_reduction(database, reset_database):
    wrong = {}
    for name, ((first, *steps), expected) in STORIES.items():
        reset_database()
        put_products(database, {"id": 1, "unit_amount": first[1]})
        for days, amount, crossed_out in steps:
            pass_days(database, days)
            write(database, amount, crossed_out)
        lowest = read(database, "SELECT lowest_amount_30d FROM products")[0][0]
        if lowest != expected:
            wrong[name] = lowest
    assert wrong == {}


def test_every_change_of_a_price_is_kept_once(database):
    put_products(database, {"id": 1, "unit_amount": 500})
    for amount in (400, 400, 500):
        write(database, amount)
    execute(database, "UPDATE products SET title = 'Other', on_hand = on_hand + 1")
    assert read_history(database) == [500, 400, 500]


def test_old_prices_are_deleted_but_never_the_one_that_was_valid_400_days_ago(database):
    put_products(database, {"id": 1, "unit_amount": 1})
    for amount, days in ((2, 300), (3, 10), (4, 80)):
        pass_days(database, days)
        write(database, amount)
    pass_days(database, 321)
    # The changes were 711, 411, 401 and 321 days ago.
    assert prune_prices(database) == 2
    assert read_history(database) == [3, 4]
    assert prune_prices(database) == 0


@pytest.fixture
def old_database(make_old_database):
    return make_old_database("catalog-service", before="0010")


def test_the_price_at_the_upgrade_is_valid_since_the_last_change_of_the_product(old_database):
    execute(
        old_database,
        """INSERT INTO products (id, sku, title, category, unit_amount, description, on_hand, updated_at)
           VALUES (1, 'A', '', '', 500, '', 1, now() - interval '50 days')""",
    )
    upgrade(old_database, migrations_of("catalog-service"))
    assert read(old_database, "SELECT FROM prices") == []
    write(old_database, 700)
    rows = read(
        old_database, "SELECT unit_amount, (now() - valid_from)::text FROM prices ORDER BY valid_from"
    )
    assert rows[0][1].startswith("50 days")
    assert [amount for amount, _age in rows] == [500, 700]
    write(old_database, 600, 700)
    assert read(old_database, "SELECT lowest_amount_30d FROM products") == [(500,)]
