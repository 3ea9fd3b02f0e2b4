"""Sales: the prices of all writers before, during and after them, and the jobs of several replicas."""

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from io import BytesIO
from threading import Event
from uuid import uuid4

import pytest
from sqlalchemy import text

from catalog.errors import VersionConflict
from catalog.repository import sales as repository
from catalog.sources import Page
from catalog.use_cases import admin
from catalog.use_cases.imports import import_products
from catalog.use_cases.sales import BATCH, MAX_WAITS, cancel_sale, put_sale, write_due_prices
from catalog.use_cases.source import copy_source
from catalog.use_cases.sync import read_last_sync
from shared.database import connect
from tests.catalog.fake_source import FakeSource, reserve
from tests.catalog.rows import begin_catalogue, put_products
from tests.waiting import wait_for

SALE = "/products/1/variants/1/sale"

VALID = {"unit_amount": 300}
INVALID = {
    "without a price": {},
    "a negative price": {"unit_amount": -1},
    "a price that is not lower": {"unit_amount": 6490},
    "an end before the start": {
        **VALID,
        "starts": "2999-01-02T00:00:00Z",
        "ends": "2999-01-01T00:00:00Z",
    },
    "an end at the start": {**VALID, "starts": "2999-01-01T00:00:00Z", "ends": "2999-01-01T01:00:00+01:00"},
    "an end in the past": {**VALID, "ends": "2020-01-01T00:00:00Z"},
    "a start and an end in the past": {
        **VALID,
        "starts": "2020-01-01T00:00:00Z",
        "ends": "2020-01-02T00:00:00Z",
    },
    "no offset": {**VALID, "starts": "2999-01-01T00:00:00"},
    "a date": {**VALID, "starts": "2999-01-01"},
    "a number": {**VALID, "ends": 4102444800},
    "an unknown member": {**VALID, "begins": "2999-01-01T00:00:00Z"},
}


LAST = "9999-12-31T23:59:59Z"


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


def age_prices(database, days):
    execute(database, "UPDATE prices SET valid_from = valid_from - make_interval(days => :days)", days=days)


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


def count_waiting(database):
    """Return the number of connections that wait for a lock."""
    with database.transaction() as connection:
        query = text(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND datname = current_database()"
        )
        return connection.execute(query).scalar()


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


WRITERS = {
    "a replica of the previous release": set_price,
    "an admin": patch_price,
    "an import": import_price,
    "a copy of the source": copy_price,
}


@pytest.fixture
def product(database):
    """A product of the source at 500."""
    copy_price(database, 500)
    return 1


@pytest.fixture
def call(client, auth):
    """Send a request of an admin about the sample."""

    def call(method, path, body=None):
        return client.open(path, method=method, json=body, headers=auth.bearer(role="admin"))

    return call


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


def test_an_export_during_a_sale_has_the_price_without_it(call, database):
    def export():
        lines = call("GET", "/products/export").data.splitlines()
        return next(row for row in map(json.loads, lines) if row["id"] == 1)

    before = export()
    assert call("PUT", SALE, {"unit_amount": 100}).status_code == 200
    assert call("GET", "/products/1").json["unit_amount"] == 100
    assert export() == before


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


def test_an_order_keeps_the_price_at_which_it_reserved(database, product):
    before, during, after = uuid4(), uuid4(), uuid4()
    assert reserve(database, before, {1: 1}).lines[0].unit_amount == 500
    plan(database, 300)
    assert reserve(database, during, {1: 1}).lines[0].unit_amount == 300
    assert reserve(database, before, {1: 1}).lines[0].unit_amount == 500
    make_ended(database)
    assert reserve(database, during, {1: 1}).lines[0].unit_amount == 300
    assert reserve(database, after, {1: 1}).lines[0].unit_amount == 500


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
            partial(patch_price, amount=700, version=1),
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


def test_a_further_variant_has_its_own_sale_and_changes_the_summary(database, call):
    add_variant(database, 9000000000000001, amount=8000)
    path = "/products/1/variants/9000000000000001/sale"
    answer = call("PUT", path, {"unit_amount": 7000})
    assert (answer.status_code, answer.json["variant_id"]) == (200, 9000000000000001)
    with database.transaction() as connection:
        assert connection.execute(text("SELECT further_lowest FROM products WHERE id = 1")).scalar() == 7000
    assert read(database)[1] is None
    assert call("GET", "/products/2/variants/9000000000000001/sale").status_code == 404
    execute(database, "UPDATE products SET withdrawn_at = now() WHERE id = 9000000000000001")
    assert call("GET", path).status_code == 404


def test_a_running_shop_starts_and_ends_a_sale_at_its_times(sample_app, database, start_catalog):
    start_catalog()
    plan(database, 300, starts=0.6, ends=1.5)
    first, *_ = read(database)
    assert first != 300
    wait_for(lambda: read(database)[0] == 300)
    wait_for(lambda: read(database)[0] == first)
    with database.transaction() as connection:
        late = connection.execute(
            text("SELECT count(*) FROM prices WHERE product_id = 1 AND unit_amount = 300")
        ).scalar()
    assert late == 1


def test_invalid_sales_are_refused(call):
    answers = {name: call("PUT", SALE, body).status_code for name, body in INVALID.items()}
    assert answers == dict.fromkeys(INVALID, 422)
    assert call("GET", SALE).status_code == 204


def test_a_sale_is_shown_planned_running_and_cancelled(call):
    planned = call("PUT", SALE, {"unit_amount": 300, "starts": "2999-01-01T01:00:00+01:00", "ends": LAST})
    assert planned.json == {
        "product_id": 1,
        "variant_id": 1,
        "state": "planned",
        "unit_amount": 300,
        "regular_amount": 6490,
        "currency": "USD",
        "starts": "2999-01-01T00:00:00Z",
        "ends": "9999-12-30T23:59:59.999999Z",
    }
    assert call("GET", SALE).json == planned.json
    running = call("PUT", SALE, {"unit_amount": 300, "starts": "0001-01-01T00:00:00Z"}).json
    assert (running["state"], running["regular_amount"], running["ends"]) == ("running", 6490, None)
    shown = call("GET", "/products/1").json
    names = ("unit_amount", "price", "compare_at_amount", "lowest_amount_30d")
    assert [shown[name] for name in names] == [300, 3.0, 6490, 6490]
    listed = call("GET", "/products?limit=1").json["data"][0]
    assert [listed[name] for name in names] == [300, 3.0, 6490, 6490]
    assert call("DELETE", SALE).status_code == 204
    assert call("DELETE", SALE).json["code"] == "sale_not_found"
    assert call("GET", SALE).status_code == 204
    assert [call("GET", "/products/1").json[name] for name in names] == [6490, 64.9, None, None]


def test_sales_of_unknown_products_are_404(call):
    call("DELETE", "/products/2")
    paths = ["/products/999/variants/999/sale", "/products/1/variants/3/sale", "/products/2/variants/2/sale"]
    paths.append(f"/products/{2**70}/variants/{2**70}/sale")
    codes = {path: call("PUT", path, {"unit_amount": 1}).json["code"] for path in paths}
    assert codes == dict.fromkeys(paths, "product_not_found")


def test_a_crossed_out_price_is_shown_only_above_the_price(call):
    for amount, shown in ((7000, 7000), (6490, None), (1, None), (None, None)):
        version = call("GET", "/products/1").json["version"]
        answer = call("PATCH", "/products/1", {"version": version, "compare_at_amount": amount})
        assert (answer.json["compare_at_amount"], answer.json["edited"]) == (amount, [])
        assert call("GET", "/products/1").json["compare_at_amount"] == shown
    created = call("POST", "/products", {"title": "Mug", "unit_amount": 1, "compare_at_amount": 5}).json
    assert (created["compare_at_amount"], created["lowest_amount_30d"]) == (5, None)


@pytest.mark.long
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
