"""A program that polls `GET /orders?updated_since=` misses no change, even of a slow transaction."""

import random
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import psycopg
import pytest
from sqlalchemy import text

from orders.repository import feed
from orders.schemas.feed import decode_position
from shared.ids import new_id
from tests.orders.conftest import Buyer, run_sql
from tests.orders.feeds import CHANGE, LONG_AGO, Program, change, insert, place, settle, transaction
from tests.waiting import wait_for

LOCK = text("SELECT coalesce(note, '0') FROM orders WHERE id = :id FOR UPDATE")


@pytest.fixture
def program(standing, auth):
    """An admin's program, next to no background thread that writes."""
    return Program(Buyer(standing.app, auth, "boss", role="admin"))


def test_a_transaction_that_commits_late_is_not_passed_over(database, program):
    program.catch_up()
    slow, quick, before = str(new_id()), str(new_id()), place(database)
    with transaction(database) as connection:
        insert(connection, slow)
        with transaction(database) as other:
            insert(other, quick)
        # The quick one must not move the cursor past the slow one.
        assert program.catch_up() == [before]
        assert program.catch_up() == []
    settle(database)
    assert program.catch_up() == [slow, quick]
    assert program.catch_up() == []


def test_a_transaction_that_is_open_during_the_first_pages_is_not_passed_over(database, program):
    early = [place(database) for _ in range(3)]
    slow, late, unseen = (str(new_id()) for _ in range(3))
    program.limit = 2
    with transaction(database) as connection, transaction(database) as idle:
        insert(connection, slow)
        with transaction(database) as other:
            insert(other, late)
        # The first pages have all that is committed, without regard to older transactions.
        assert program.catch_up() == [*early, late]
        insert(idle, unseen)
        assert program.catch_up() == []
    settle(database)
    assert program.catch_up() == [slow, unseen, late]
    assert program.catch_up() == []


def test_a_transaction_that_commits_between_two_of_the_first_pages_is_not_passed_over(database, program):
    first, slow, *late = ids = [str(new_id()) for _ in range(5)]
    program.limit = 2
    with transaction(database) as connection:
        insert(connection, first)
    with transaction(database) as connection:
        insert(connection, slow)
        for order_id in late:
            with transaction(database) as other:
                insert(other, order_id)
        assert program.poll() == [first, late[0]]
    settle(database)
    assert program.poll() == late[1:]
    assert set(program.catch_up()) == {slow, *late}
    assert set(program.orders) == set(ids)


def test_a_transaction_that_is_rolled_back_is_not_read(database, program):
    program.catch_up()
    undone = str(new_id())
    with database.engine.connect() as connection:
        insert(connection, undone)
        connection.rollback()
    kept = place(database)
    assert program.catch_up() == [kept]


def test_an_open_transaction_of_another_database_delays_changes_and_loses_none(
    database, program, make_empty_database
):
    program.catch_up()
    ids = [str(new_id()) for _ in range(3)]
    with psycopg.connect(make_empty_database()) as other:
        other.execute("SELECT pg_current_xact_id()")
        for order_id in ids:
            with transaction(database) as connection:
                insert(connection, order_id)
        with transaction(database) as connection:
            connection.execute(CHANGE, {"id": ids[0], "note": "changed"})
        assert program.catch_up() == []
    settle(database)
    assert program.catch_up() == [*ids[1:], ids[0]]
    assert program.orders[ids[0]]["note"] == "changed"


def test_a_program_misses_no_change_of_concurrent_writers(database, program):
    shared = [place(database) for _ in range(6)]
    program.catch_up()
    # This one reads its first pages meanwhile.
    late = Program(program.client, limit=2)
    placed, counts, failures = [], Counter(), []
    stopping = threading.Event()

    def write(seed):
        chance = random.Random(seed)  # noqa: S311
        for _ in range(25):
            new, order_id = str(new_id()), chance.choice(shared)
            with transaction(database) as connection:
                time.sleep(chance.random() / 100)
                insert(connection, new)
                time.sleep(chance.random() / 100)
                note = connection.execute(LOCK, {"id": order_id}).scalar_one()
                connection.execute(CHANGE, {"id": order_id, "note": str(int(note) + 1)})
            placed.append(new)
            counts[order_id] += 1

    def poll():
        while not stopping.is_set():
            program.poll()
            late.poll()

    def run(task, *values):
        try:
            task(*values)
        except Exception as error:
            failures.append(error)

    writers = [threading.Thread(target=run, args=[write, seed]) for seed in range(5)]
    poller = threading.Thread(target=run, args=[poll])
    for thread in (*writers, poller):
        thread.start()
    for thread in writers:
        thread.join()
    stopping.set()
    poller.join()
    settle(database)
    assert failures == []
    assert len(placed) == counts.total() == 125
    for each in (program, late):
        each.catch_up()
        assert set(each.orders) == {*placed, *shared}
        assert {order_id: int(each.orders[order_id]["note"] or 0) for order_id in shared} == {
            order_id: counts[order_id] for order_id in shared
        }


def test_each_change_that_the_shop_makes_is_shown(admin, buyer):
    program = Program(admin)
    location = buyer.order().headers["Location"]
    order_id = location.rpartition("/")[2]

    def shows(**expected):
        program.catch_up()
        shown = program.orders.get(order_id, {})
        return {name: shown.get(name) for name in expected} == expected

    wait_for(lambda: shows(status="paid"))
    assert program.orders[order_id] == admin.get(location).json
    admin.post(f"{location}/ship")
    wait_for(lambda: shows(status="shipped"))
    admin.call("POST", f"{location}/refund", key="a refund", json={"amount": 500})
    wait_for(lambda: shows(amount_refunded=500))
    admin.call("POST", f"{location}/refund", key="the rest", json={"restock": True})
    wait_for(lambda: shows(status="refunded"))
    declined = buyer.order(key="declined", card="pm_card_chargeDeclined").json["order_id"]
    wait_for(lambda: program.catch_up() or declined in program.orders)
    wait_for(lambda: program.catch_up() or program.orders[declined]["status"] == "cancelled")


def test_pages_have_each_order_once_in_the_order_of_changes(database, program):
    program.limit = 2
    orders = [place(database) for _ in range(5)]
    for order_id in (orders[0], orders[0], orders[3], orders[1]):
        change(database, order_id)
    pages = [program.poll() for _ in range(5)]
    assert pages == [orders[0:2], orders[2:4], [orders[4], orders[0]], [orders[3], orders[1]], []]
    # The same by transactions.
    for order_id in (*orders, orders[0], orders[0], orders[3], orders[4], orders[3]):
        change(database, order_id)
    pages = [program.poll() for _ in range(5)]
    assert pages == [orders[0:2], orders[2:4], [orders[4], orders[0]], [orders[4], orders[3]], []]


def test_a_transaction_with_more_changes_than_a_page_is_read_completely(database, program):
    program.catch_up()
    program.limit = 3
    ids = [str(new_id()) for _ in range(10)]
    with transaction(database) as connection:
        for order_id in ids:
            insert(connection, order_id)
        for _ in range(feed.EVENTS_PER_ORDER * 4):
            connection.execute(CHANGE, {"id": ids[0], "note": "often"})
    settle(database)
    found = program.catch_up()
    assert set(found) == set(ids)
    assert found[:10] == ids


def test_an_empty_page_has_a_cursor_that_later_finds_the_next_change(database, program):
    program.since = datetime.now(UTC).isoformat()
    assert program.poll() == []
    assert program.poll() == []
    kept = program.cursor
    placed = place(database)
    assert program.catch_up() == [placed]
    # A program that stopped goes on where it was.
    program.cursor = kept
    assert program.catch_up() == [placed]


def read_time(database):
    return run_sql(database, "SELECT clock_timestamp()")[0][0]


def test_the_time_counts_for_the_first_page_alone(database, program):
    old = place(database)
    between = read_time(database) + timedelta(milliseconds=2)
    wait_for(lambda: read_time(database) > between)
    new = place(database)
    program.since = between.isoformat()
    assert program.catch_up() == [new]
    assert old not in program.orders
    program.since = (between + timedelta(days=1)).isoformat()
    late = place(database)
    assert program.catch_up() == [late]


def test_events_of_the_release_before_are_found_by_their_time(database, program):
    old, order_id = place(database), place(database)
    with database.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO order_events (id, order_id, time, kind, actor, transaction_id)"
                " SELECT uuidv7(age), :order, now() + age, 'changed', 'a test', NULL"
                " FROM unnest(ARRAY[interval '-3 days', interval '-2 days']) AS age"
            ),
            {"order": order_id},
        )
    assert program.catch_up() == [old, order_id]
    recent = Program(program.client, since=(datetime.now(UTC) - timedelta(hours=60)).isoformat(), limit=1)
    assert recent.catch_up() == [order_id, old, order_id]
    change(database, old)
    assert (program.catch_up(), recent.catch_up()) == ([old], [old])


def test_filters_are_refused_together_and_by_name(program):
    query = {"updated_since": LONG_AGO, "q": "ada", "status": "paid", "user": "ada", "since": LONG_AGO}
    for more in ({}, {"until": LONG_AGO}):
        answer = program.client.call("GET", "/orders", query_string=query | more)
        assert answer.status_code == 422
        assert [(entry["location"], entry["field"]) for entry in answer.json["errors"]] == [
            ("query", name) for name in ("q", "status", "user", "since", *more)
        ]
    for value in ("", "2026-01-01", "2026-01-01T00:00:00", "yesterday"):
        answer = program.client.get(f"/orders?updated_since={quote(value)}")
        assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "updated_since"), value


def test_customers_and_guests_see_their_own_orders(standing, auth, database):
    own = {
        name: Program(Buyer(standing.app, auth, name, role))
        for name, role in (("ada", "customer"), ("eve", "guest"))
    }
    placed = {name: place(database, name) for name in (*own, "bob")}
    for name, program in own.items():
        assert program.catch_up() == [placed[name]]
    for order_id in placed.values():
        change(database, order_id)
    for name, program in own.items():
        assert program.catch_up() == [placed[name]]
    # Another customer's change moves the cursor on, so that no poll reads it twice.
    before = own["ada"].cursor
    change(database, placed["bob"])
    assert own["ada"].poll() == []
    assert decode_position(own["ada"].cursor).transaction > decode_position(before).transaction
    # An account also sees the orders of the guest whose token was sent at sign-in.
    joined = Program(Buyer(standing.app, auth, "joined", guest_sub="eve"))
    assert joined.catch_up() == [placed["eve"]]
