"""Sales with several replicas, orders and admins at once."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from uuid import uuid4

import pytest
from sqlalchemy import text

from catalog.repository import sales as repository
from catalog.use_cases.sales import BATCH, MAX_WAITS, cancel_sale, put_sale, write_due_prices
from catalog.use_cases.variants import change_variant
from shared.database import connect
from tests.catalog.fake_source import reserve
from tests.catalog.rows import begin_catalogue, put_products
from tests.catalog.sale_steps import (
    add_variant,
    copy_price,
    execute,
    make_due,
    patch_price,
    plan,
    read,
    read_history,
)
from tests.waiting import wait_for


def count_waiting(database):
    """Return the number of connections that wait for a lock."""
    with database.transaction() as connection:
        query = text(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND datname = current_database()"
        )
        return connection.execute(query).scalar()


def test_a_start_and_an_admins_change_at_the_same_time_both_count(database, concurrently, reset_database):
    for _ in range(8):
        reset_database()
        copy_price(database, 500)
        plan(database, 300, starts=3600)
        make_due(database)
        version = read(database)[3]
        # The product may be locked when the first round sees it; the round then waits for it.
        started, changed = concurrently(write_due_prices, partial(patch_price, amount=700, version=version))
        assert started == 1, changed
        assert changed.product.unit_amount in {300, 700}
        assert read(database)[:2] == (300, 700)


def test_replicas_at_the_same_time_apply_each_sale_once(database, concurrently):
    numbers = range(1, BATCH + 50)
    put_products(database, *[{"id": number} for number in numbers])
    execute(database, "INSERT INTO sales SELECT id, 300, now() FROM products")
    assert sum(concurrently(*[write_due_prices] * 3)) == len(numbers)
    assert {tuple(read_history(database, number)) for number in numbers} == {(500, 300)}
    assert write_due_prices(database) == 0


def test_a_job_that_dies_midway_leaves_its_sales_to_the_next_one(database, product):
    plan(database, 300, starts=3600)
    make_due(database)

    class Died(Exception):
        pass

    def die():
        with database.transaction() as connection:
            assert repository.write_prices(connection, repository.claim_due(connection, 10)) == 1
            raise Died

    with pytest.raises(Died):
        die()
    assert read(database)[:2] == (500, None)
    assert write_due_prices(database) == 1
    assert read(database)[:2] == (300, 500)


def test_a_product_that_orders_keep_locked_is_waited_for(database, product):
    plan(database, 300, starts=3600)
    make_due(database)
    with ThreadPoolExecutor(1) as pool, database.transaction() as connection:
        connection.execute(text("SELECT FROM products FOR UPDATE"))
        round_ = pool.submit(write_due_prices, database)
        wait_for(lambda: count_waiting(database))
        connection.commit()
        assert round_.result() == 1
    assert read(database)[:2] == (300, 500)


def test_sales_that_are_planned_cancelled_started_and_sold_at_once_agree_with_the_prices(
    database, concurrently, reset_database
):
    """Without deadlocks, too, for a product and its further variant."""
    for _ in range(4):
        reset_database()
        begin_catalogue(database)
        put_products(database, {"id": 1, "on_hand": 100}, {"id": 2, "on_hand": 100})
        add_variant(database, 9, amount=500)
        execute(database, "INSERT INTO sales SELECT id, 300, now() FROM products WHERE id <> 2")
        work = [
            write_due_prices,
            write_due_prices,
            partial(put_sale, product_id=1, variant_id=9, unit_amount=200, starts=None, ends=None),
            partial(put_sale, product_id=1, variant_id=1, unit_amount=250, starts=None, ends=None),
            partial(cancel_sale, product_id=1, variant_id=1),
            partial(reserve, order_id=uuid4(), quantities={1: 1, 2: 1}),
            partial(change_variant, product_id=1, variant_id=1, version=1, changes={"unit_amount": 700}),
        ]
        outcomes = concurrently(*work)
        # A second cancellation, or a change of a product that has changed, would be an error of this test.
        assert [each for each in outcomes if isinstance(each, Exception)] == []
        write_due_prices(database)
        with database.transaction() as connection:
            wrong = connection.execute(
                text("""
                    SELECT id, sale_amount, sales.unit_amount FROM products LEFT JOIN sales ON product_id = id
                    WHERE sale_amount IS DISTINCT FROM sales.unit_amount
                        OR products.unit_amount <> least(sale_amount, coalesce(regular_amount, 700), 700)
                            AND id = 1
                """)
            ).all()
        assert wrong == []


def test_locked_products_delay_no_others(database):
    numbers = range(1, 2 * MAX_WAITS + 2)
    put_products(database, *[{"id": number} for number in numbers])
    for number in numbers:
        plan(database, 300, number, starts=3600)
    make_due(database)
    with database.transaction() as connection:
        # All but the last, as an import holds them.
        connection.execute(text("SELECT FROM products WHERE id < :last FOR UPDATE"), {"last": numbers[-1]})
        assert write_due_prices(database) == 1
        assert read(database, numbers[-1])[0] == 300
    assert write_due_prices(database) == len(numbers) - 1


def test_a_running_shop_starts_and_ends_a_sale_at_its_times(sample_app, database, start_catalog):
    start_catalog()
    price = read(database)[0]
    plan(database, 300, starts=0.5, ends=2.5)
    wait_for(lambda: read_history(database)[-2:] == [300, price])
    assert read(database)[:3] == (price, None, None)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_100_000_sales_that_start_at_once_hold_no_order_up(database, settings):
    count = 100_000
    with database.transaction() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(
            text("""
                INSERT INTO products (id, sku, title, category, unit_amount, description, on_hand)
                SELECT number, number, 'Thing', 'things', 500, '', 1000000
                FROM generate_series(1, :count) AS number
            """),
            {"count": count},
        )
        connection.execute(
            text("INSERT INTO sales SELECT id, 300, now() FROM products ON CONFLICT DO NOTHING")
        )
    begin_catalogue(database)
    done = Event()
    replicas = [connect(settings) for _ in range(2)]

    def write(replica):
        while write_due_prices(replica):
            pass

    def order():
        waits = []
        while not done.is_set():
            began = time.monotonic()
            reserve(database, uuid4(), dict.fromkeys(random.sample(range(1, count), 5), 1))
            waits.append(time.monotonic() - began)
        return waits

    with ThreadPoolExecutor(3) as pool:
        orders = pool.submit(order)
        jobs = [pool.submit(write, replica) for replica in replicas]
        for job in jobs:
            job.result()
        done.set()
        waits = sorted(orders.result())
    for replica in replicas:
        replica.close()
    with database.transaction() as connection:
        left = text("SELECT count(*) FROM products WHERE unit_amount <> 300")
        assert connection.execute(left).scalar() == 0
    assert waits[-1] < 2, f"{len(waits)} orders waited {waits[-1]:.2f} s at most"
