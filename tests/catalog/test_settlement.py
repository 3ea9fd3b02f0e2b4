"""One request commits the reservations of many orders; each order has its own outcome."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import event, text

from catalog.errors import ReservationClosed, ReservationLapsed
from catalog.use_cases import reservations as use_cases
from catalog.use_cases.reservations import commit_reservations, lapse_reservations, release_reservation
from shared.batches import MOST_ORDERS
from tests.catalog.fake_source import copy_stock, make_overdue, read_counts, reserve

DONE = ("done", None)


@pytest.fixture
def commit(client, auth):
    """Commit several orders in one request; return the outcome and the code of each."""

    def send(*order_ids):
        body = {"orders": [str(order_id) for order_id in order_ids]}
        headers = auth.service_bearer("orders-service")
        answer = client.post("/internal/reservations/commit", json=body, headers=headers)
        assert answer.status_code == 200, answer.json
        return {UUID(each["order_id"]): (each["outcome"], each["code"]) for each in answer.json["orders"]}

    return send


def count(database, *numbers):
    """Return the units on hand and the reserved units of some products; the sample has more."""
    counts = read_counts(database)
    return {number: counts[number] for number in numbers}


def hold(database, quantities, count=1):
    order_ids = [uuid4() for _ in range(count)]
    for order_id in order_ids:
        reserve(database, order_id, quantities)
    return order_ids


def test_a_batch_sells_each_order_once_and_writes_each_product_once(database, commit):
    copy_stock(database, {1: 100, 2: 100})
    order_ids = [*hold(database, {1: 1}, 5), *hold(database, {1: 2, 2: 3}, 2)]
    rows = []

    @event.listens_for(database.engine, "after_cursor_execute")
    def note(_connection, cursor, statement, *_rest):
        if statement.lstrip().startswith("WITH locked") and "UPDATE products" in statement:
            rows.append(cursor.rowcount)

    problems = commit_reservations(database, [*order_ids, order_ids[0]])
    event.remove(database.engine, "after_cursor_execute", note)
    assert problems == dict.fromkeys(order_ids)
    assert rows == [2]
    assert count(database, 1, 2) == {1: (91, 0), 2: (94, 0)}
    assert commit(*order_ids) == dict.fromkeys(order_ids, DONE)
    assert count(database, 1, 2) == {1: (91, 0), 2: (94, 0)}


def test_each_order_of_a_batch_has_its_own_outcome(database, commit):
    copy_stock(database, {1: 100})
    [lapsed] = hold(database, {1: 1})
    make_overdue(database)
    lapse_reservations(database)
    [released] = hold(database, {1: 1})
    release_reservation(database, released)
    closed, unknown = uuid4(), uuid4()
    release_reservation(database, closed)
    held = hold(database, {1: 1}, 2)
    assert commit(lapsed, held[0], released, closed, unknown, held[1]) == {
        lapsed: ("refused", "reservation_lapsed"),
        held[0]: DONE,
        released: ("refused", "reservation_closed"),
        closed: ("refused", "reservation_closed"),
        unknown: ("refused", "reservation_not_found"),
        held[1]: DONE,
    }
    assert count(database, 1) == {1: (98, 0)}


def test_a_product_with_inconsistent_stock_blocks_only_its_own_orders(database, commit, caplog):
    copy_stock(database, {1: 100, 2: 100})
    good, bad = hold(database, {1: 1}, 3), hold(database, {2: 1}, 1)
    with database.transaction() as connection:
        connection.execute(text("UPDATE products SET reserved = 0 WHERE id = 2"))
    outcomes = commit(good[0], bad[0], *good[1:])
    assert outcomes == {**dict.fromkeys(good, DONE), bad[0]: ("pending", "stock_inconsistent")}
    assert count(database, 1, 2) == {1: (97, 0), 2: (100, 0)}
    assert "A reservation cannot be committed" in caplog.text


def test_concurrent_batches_of_the_same_orders_sell_once(database, concurrently):
    copy_stock(database, dict.fromkeys(range(1, 6), 100))
    order_ids = [
        order_id
        for number in range(1, 6)
        for order_id in hold(database, {number: 1, number % 5 + 1: 1}, count=4)
    ]
    tasks = [
        lambda own, order_ids=order_ids[::step]: commit_reservations(own, order_ids)
        for step in (1, -1, 1, -1)
    ]
    assert concurrently(*tasks) == [dict.fromkeys(order_ids)] * 4
    assert read_counts(database) == dict.fromkeys(range(1, 6), (92, 0))


def test_concurrent_batches_commits_releases_and_lapses_count_every_unit_once(database, concurrently):
    copy_stock(database, {1: 200, 2: 200})
    order_ids = hold(database, {1: 1, 2: 1}, count=40)
    make_overdue(database)

    def commit_each(own):
        ended = []
        for order_id in order_ids:
            try:
                ended.append(use_cases.commit_reservation(own, order_id))
            except (ReservationLapsed, ReservationClosed) as problem:
                ended.append(problem.code)
        return ended

    concurrently(
        lambda own: commit_reservations(own, order_ids),
        lambda own: commit_reservations(own, order_ids[::-1]),
        commit_each,
        lapse_reservations,
        lambda own: [release_reservation(own, order_id) for order_id in order_ids[:10]],
    )
    with database.transaction() as connection:
        states = connection.execute(text("SELECT state, count(*) FROM reservations GROUP BY state"))
        found = {row.state: row.count for row in states}
    assert found["released"] == 10
    sold = found.get("committed", 0)
    assert sold + found.get("lapsed", 0) == 30
    assert read_counts(database) == {1: (200 - sold, 0), 2: (200 - sold, 0)}


@pytest.mark.parametrize(
    "body", [{}, {"orders": []}, {"orders": ["x"]}, {"orders": [str(uuid4())] * (MOST_ORDERS + 1)}]
)
def test_an_invalid_batch_is_rejected(client, auth, body):
    headers = auth.service_bearer("orders-service")
    answer = client.post("/internal/reservations/commit", json=body, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (422, "validation_failed")
