"""Concurrent orders, each on its own connection."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from uuid import uuid4

import pytest
from sqlalchemy import text

from catalog.domain import State
from catalog.errors import OutOfStock, ProductUnavailable, ReservationClosed, ReservationLapsed
from catalog.schemas.reservations import ReservationOut
from catalog.use_cases.reservations import commit_reservation, lapse_reservations, release_reservation
from tests.catalog.fake_source import FakeSource, copy_stock, make_overdue, read_counts, reserve
from tests.waiting import wait_for

NUMBERS = range(1, 9)
UP = dict.fromkeys(NUMBERS, 1)
DOWN = dict.fromkeys(reversed(NUMBERS), 1)

WAITING = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


def make_buyer(basket, then, rounds=10):
    """Return a task that reserves the basket for several orders in turn, and calls `then` for each."""

    def task(database):
        for _ in range(rounds):
            order_id = uuid4()
            with suppress(ProductUnavailable):
                reserve(database, order_id, basket)
                then(database, order_id)

    return task


def test_exactly_ten_of_two_hundred_buyers_at_two_replicas_reserve_one_of_ten_units(
    database, settings, start_catalog, auth, monkeypatch
):
    copy_stock(database, {1: 10})
    # The replicas use the fake source.
    monkeypatch.setattr("catalog.app.create_source", lambda _settings: FakeSource({1: 10}))
    replicas = [start_catalog() for _ in range(2)]
    headers = auth.service_bearer("orders-service")
    orders = [uuid4() for _ in range(200)]

    def buy(number):
        body = {"customer": f"buyer {number}", "items": [{"product_id": 1, "quantity": 1}]}
        path = f"/internal/reservations/{orders[number]}"
        return replicas[number % 2].test_client().put(path, json=body, headers=headers)

    # The number of threads of two replicas.
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(buy, range(200)))
    assert Counter(answer.status_code for answer in answers) == {200: 10, 409: 190}
    refused = [answer.json for answer in answers if answer.status_code == 409]
    assert {(body["code"], body["lines"][0]["available"]) for body in refused} == {("out_of_stock", 0)}
    assert read_counts(database) == {1: (10, 10)}
    with database.transaction() as connection:
        held = set(connection.execute(text("SELECT order_id FROM reservation_lines")).scalars())
    assert held == {orders[number] for number, answer in enumerate(answers) if answer.status_code == 200}


def count_waiting(database):
    with database.transaction() as connection:
        return connection.execute(text(WAITING)).scalar()


@pytest.mark.parametrize(("before", "meanwhile"), [(8, 0), (0, 8)])
def test_a_reservation_that_waited_for_a_lock_uses_the_current_stock(database, before, meanwhile):
    copy_stock(database, {1: 10, 2: 10})
    change = text("UPDATE products SET reserved = :reserved WHERE id = 1")
    with database.transaction() as connection:
        connection.execute(change, {"reserved": before})
    with ThreadPoolExecutor(1) as pool:
        with database.transaction() as connection:
            connection.execute(change, {"reserved": meanwhile})
            pending = pool.submit(reserve, database, uuid4(), {1: 5, 2: 5})
            wait_for(lambda: count_waiting(database))
        if meanwhile:
            with pytest.raises(OutOfStock) as refusal:
                pending.result()
            assert refusal.value.extra["lines"] == [{"product_id": 1, "requested": 5, "available": 2}]
        else:
            assert pending.result().quantities == {1: 5, 2: 5}
    assert read_counts(database) == ({1: (10, 8), 2: (10, 0)} if meanwhile else {1: (10, 5), 2: (10, 5)})


@pytest.mark.parametrize(("end", "left"), [(commit_reservation, 15), (release_reservation, 20)])
def test_a_commit_or_release_that_waited_for_a_lock_uses_the_current_stock(database, end, left):
    copy_stock(database, {1: 10, 2: 10})
    order_id = uuid4()
    reserve(database, order_id, {1: 5, 2: 5})
    reserve(database, uuid4(), {1: 5})
    with ThreadPoolExecutor(1) as pool:
        with database.transaction() as connection:
            connection.execute(text("UPDATE products SET on_hand = 20, reserved = 5 WHERE id = 1"))
            pending = pool.submit(end, database, order_id)
            wait_for(lambda: count_waiting(database))
        pending.result()
    assert read_counts(database) == {1: (left, 0), 2: (left - 10, 0)}


def test_orders_with_the_same_products_do_not_deadlock(database, concurrently):
    copy_stock(database, dict.fromkeys(NUMBERS, 1000))
    tasks = [
        make_buyer(basket, then)
        for basket in (UP, DOWN)
        for then in (commit_reservation, release_reservation)
    ]
    assert concurrently(*tasks * 4) == [None] * 16
    assert read_counts(database) == dict.fromkeys(NUMBERS, (1000 - 2 * 4 * 10, 0))


def test_a_copy_of_the_source_and_orders_do_not_deadlock(database, concurrently):
    copy_stock(database, dict.fromkeys(NUMBERS, 1000))

    def copy(own):
        for turn in range(40):
            # The products that the source removes and restores are the first of each basket.
            left = [number for number in NUMBERS if turn % 2 or number not in {3, 6}]
            copy_stock(own, dict.fromkeys(left, 1000))

    tasks = [make_buyer(basket, release_reservation, rounds=30) for basket in ({3: 1, 4: 1}, {6: 1, 8: 1})]
    assert concurrently(copy, *tasks * 4) == [None] * 9
    assert read_counts(database) == dict.fromkeys(NUMBERS, (1000, 0))


def test_concurrent_identical_requests_get_one_reservation_and_one_answer(database, concurrently):
    copy_stock(database, {1: 10, 2: 10})
    order_id = uuid4()
    held = concurrently(*[lambda own: reserve(own, order_id, {1: 2, 2: 1})] * 8)
    answers = {ReservationOut.of(reservation).model_dump_json() for reservation in held}
    assert len(answers) == 1
    assert read_counts(database) == {1: (10, 2), 2: (10, 1)}


def test_a_request_concurrent_with_its_release_leaves_nothing_held(database, concurrently):
    copy_stock(database, {1: 10})
    for _ in range(15):
        order_id = uuid4()
        reserved, released = concurrently(
            lambda own, order_id=order_id: reserve(own, order_id, {1: 1}),
            lambda own, order_id=order_id: release_reservation(own, order_id),
        )
        came_late = isinstance(reserved, ReservationClosed)
        assert released is (State.CLOSED if came_late else State.RELEASED)
        assert read_counts(database) == {1: (10, 0)}


def test_concurrent_commits_releases_and_lapses_count_every_unit_once(database, concurrently):
    copy_stock(database, {1: 100})
    for _ in range(15):
        order_id = uuid4()
        (before, _reserved) = read_counts(database)[1]
        reserve(database, order_id, {1: 3})
        make_overdue(database)
        committed, lapsed, also_lapsed = concurrently(
            lambda own, order_id=order_id: commit_reservation(own, order_id),
            lapse_reservations,
            lapse_reservations,
        )
        sold = committed is State.COMMITTED
        assert sold or isinstance(committed, ReservationLapsed)
        assert lapsed + also_lapsed == (0 if sold else 1)
        assert read_counts(database) == {1: (before - 3 if sold else before, 0)}
        assert set(
            concurrently(*[lambda own, order_id=order_id: release_reservation(own, order_id)] * 3)
        ) == {State.RELEASED}
        assert read_counts(database) == {1: (before, 0)}


def test_concurrent_sweeps_release_each_overdue_reservation_once(database, concurrently):
    copy_stock(database, {1: 100})
    for _ in range(40):
        reserve(database, uuid4(), {1: 1})
    make_overdue(database)
    assert sum(concurrently(*[lapse_reservations] * 4)) == 40
    assert read_counts(database) == {1: (100, 0)}
