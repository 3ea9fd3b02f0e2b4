"""Sales: the prices of all writers before, during and after them."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from catalog.errors import VersionConflict
from catalog.use_cases import admin
from catalog.use_cases.sales import write_due_prices
from tests.catalog.fake_source import reserve
from tests.catalog.sale_steps import (
    copy_price,
    execute,
    import_price,
    make_due,
    make_ended,
    patch_price,
    plan,
    read,
    read_history,
    set_price,
)

WRITERS = {
    "a replica of the previous release": set_price,
    "an admin": patch_price,
    "an import": import_price,
    "a copy of the source": copy_price,
}


def test_a_sale_changes_the_price_and_the_price_before_returns(database, product):
    sale = plan(database, 300, starts=3600, ends=7200)
    assert not sale.is_running
    assert read(database) == (500, None, None, 1)
    assert write_due_prices(database) == 0
    make_due(database)
    assert write_due_prices(database) == 1
    assert read(database) == (300, 500, 500, 1)
    assert write_due_prices(database) == 0
    make_due(database)
    assert write_due_prices(database) == 1
    assert read(database) == (500, None, None, 1)
    assert read_history(database, product) == [500, 300, 500]


def test_a_sale_without_a_start_or_with_a_past_one_runs_at_once(database, product):
    for starts in (None, -10, -(10**9)):
        sale = plan(database, 300, starts=starts, ends=3600)
        assert sale.is_running
        assert datetime.now(UTC) - sale.starts < timedelta(minutes=1)
        assert read(database)[:2] == (300, 500)


def test_a_new_sale_replaces_the_one_before(database, product):
    plan(database, 300, starts=3600)
    plan(database, 400, starts=7200)
    assert read(database)[0] == 500
    running = plan(database, 350)
    assert read(database)[:3] == (350, 500, 500)
    assert plan(database, 250).starts == running.starts
    assert read(database)[:3] == (250, 500, 500)
    # A later start ends the running sale.
    assert not plan(database, 200, starts=3600).is_running
    assert read(database)[:3] == (500, None, None)


def test_sales_of_a_time_without_a_replica_are_applied_or_dropped_afterwards(database, product):
    plan(database, 300, starts=60, ends=120)
    execute(database, "UPDATE sales SET starts_at = now() - interval '2 h', ends_at = now() - interval '1 h'")
    write_due_prices(database)
    assert read(database)[:2] == (500, None)
    plan(database, 300, starts=60, ends=7200)
    execute(database, "UPDATE sales SET starts_at = now() - interval '1 h'")
    write_due_prices(database)
    assert read(database)[:2] == (300, 500)
    execute(database, "UPDATE sales SET ends_at = now() - interval '1 s'")
    write_due_prices(database)
    assert read(database)[:2] == (500, None)


def test_a_price_that_any_writer_sets_during_a_sale_is_the_price_to_return_to(database, reset_database):
    wrong = {}
    for name, write in WRITERS.items():
        reset_database()
        copy_price(database, 500)
        plan(database, 300)
        seen = []
        for amount in (700, 200, 400):
            write(database, amount)
            seen.append(read(database)[:2])
        make_ended(database)
        seen.append(read(database)[:2])
        # The sale never raises a price: at a price of 200 it has no effect.
        if seen != [(300, 700), (200, None), (300, 400), (400, None)]:
            wrong[name] = seen
    assert wrong == {}


def test_the_price_of_the_sale_itself_can_become_the_price_to_return_to(database, product):
    for write in (copy_price, import_price):
        plan(database, 300)
        assert write(database, 300) == 1
        assert write(database, 300) == 0
        assert read(database)[:2] == (300, None)
        make_ended(database)
        assert read(database)[:2] == (300, None)
        set_price(database, 500)


def test_a_copy_or_an_import_of_the_same_price_changes_nothing_during_a_sale(database, product):
    plan(database, 300)
    before = read(database)
    assert copy_price(database, 500) == 0
    assert import_price(database, 500) == 0
    assert read(database) == before


def test_a_sale_does_not_mark_the_price_as_edited(database, product):
    plan(database, 300)
    make_ended(database)
    with database.transaction() as connection:
        assert connection.execute(text("SELECT edited FROM products WHERE id = 1")).scalar() == []
    assert copy_price(database, 600) == 1
    assert read(database)[0] == 600


def test_a_crossed_out_price_of_an_admin_returns_after_a_sale(database, product):
    execute(database, "UPDATE products SET compare_at_amount = 900 WHERE id = 1")
    plan(database, 300)
    assert read(database)[:2] == (300, 500)
    execute(database, "UPDATE products SET compare_at_amount = 800 WHERE id = 1")
    assert read(database)[:2] == (300, 500)
    make_ended(database)
    assert read(database)[:2] == (500, 800)


def test_a_change_that_was_read_before_a_sale_began_still_succeeds(database, product):
    version = read(database)[3]
    plan(database, 300)
    changed = admin.change_product(database, 1, version, {"title": "A mug"}, frozenset())
    assert (changed.product.title, changed.product.unit_amount) == ("A mug", 300)
    with pytest.raises(VersionConflict):
        patch_price(database, 700, version=version)
    assert read(database)[:2] == (300, 500)


def test_an_order_keeps_the_price_at_which_it_reserved(database, product):
    before, during, after = uuid4(), uuid4(), uuid4()
    assert reserve(database, before, {1: 1}).lines[0].unit_amount == 500
    plan(database, 300)
    assert reserve(database, during, {1: 1}).lines[0].unit_amount == 300
    assert reserve(database, before, {1: 1}).lines[0].unit_amount == 500
    make_ended(database)
    assert reserve(database, during, {1: 1}).lines[0].unit_amount == 300
    assert reserve(database, after, {1: 1}).lines[0].unit_amount == 500
