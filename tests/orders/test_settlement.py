"""Settlement: the stock of confirmed orders is committed and their payments captured, in batches."""

import threading

import pytest

from orders.errors import CheckoutRefused
from orders.repository import progress
from shared.ids import new_id
from tests.orders.conftest import Buyer, read_kinds, read_status, run_sql
from tests.waiting import wait_for


@pytest.fixture
def paused_settlement(catalog):
    """Pause settlement in its first batch: an event for its arrival, and one that resumes it."""
    arrived, go_on = threading.Event(), threading.Event()

    def wait(name):
        if name == "commit" and not go_on.is_set():
            arrived.set()
            go_on.wait(60)

    catalog.before = wait
    yield arrived, go_on
    go_on.set()


def place_many(app, auth, count):
    """Place one order for each of `count` new customers; return the customers and their orders' paths."""
    buyers = [Buyer(app, auth, f"buyer {new_id()}") for _ in range(count)]
    return [(buyer, buyer.order().headers["Location"]) for buyer in buyers]


def wait_until_all_are(orders, status):
    for buyer, location in orders:
        wait_for(lambda buyer=buyer, location=location: read_status(buyer, location) == status)


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize("step", ["commit", "capture"])
def test_after_the_confirmation_a_step_is_retried_until_it_is_done(buyer, catalog, payments, step):
    catalog.is_away, payments.is_away = {step}, {step}
    answer = buyer.order()
    assert answer.status_code == 201
    wait_for(lambda: (catalog.calls + payments.calls).count(step) >= 2)
    assert read_status(buyer, answer.headers["Location"]) == "confirmed"
    catalog.is_away, payments.is_away = set(), set()
    wait_for(lambda: read_status(buyer, answer.headers["Location"]) == "paid")


def test_a_lapsed_reservation_is_made_again(buyer, catalog, payments):
    catalog.lapse_next_commit = True
    location = buyer.order().headers["Location"]
    wait_for(lambda: read_status(buyer, location) == "paid")
    assert catalog.calls == ["reserve", "commit", "reserve", "commit"]
    assert catalog.stock[1] == 98
    assert len(payments.payments) == 1


def test_a_lapsed_reservation_of_sold_out_stock_cancels_the_payment(buyer, catalog, payments):
    catalog.lapse_next_commit = True

    def sell_the_rest(_name):
        if catalog.calls == ["reserve", "commit", "reserve"]:
            catalog.stock[1] = 0

    catalog.before = sell_the_rest
    location = buyer.order(items=[(1, 2)]).headers["Location"]
    wait_for(lambda: read_status(buyer, location) == "cancelled")
    assert buyer.get(location).json["reason"] == "stock_lost"
    assert [payment["status"] for payment in payments.payments.values()] == ["canceled"]


def test_a_permanently_refused_capture_undoes_the_order(buyer, catalog, payments):
    payments.refuse["capture"] = CheckoutRefused("capture_failed", "capture_failed", "Not any more.")
    answer = buyer.order()
    assert answer.status_code == 201
    location = answer.headers["Location"]
    wait_for(lambda: read_status(buyer, location) == "cancelled")
    assert buyer.get(location).json["reason"] == "capture_failed"
    assert catalog.stock[1] == 100
    assert payments.calls[-1] == "cancel"


def test_orders_that_are_confirmed_during_a_batch_are_settled_together(
    app, auth, catalog, payments, paused_settlement
):
    arrived, go_on = paused_settlement
    orders = place_many(app, auth, 1)
    assert arrived.wait(60)
    orders += place_many(app, auth, 7)
    go_on.set()
    wait_until_all_are(orders, "paid")
    assert [len(batch) for batch in catalog.batches] == [1, 7]
    assert [len(batch) for batch in payments.batches] == [1, 7]
    assert catalog.stock[1] == 84


def test_a_failing_order_does_not_delay_the_others_of_its_batch(
    app, auth, catalog, payments, database, paused_settlement
):
    arrived, go_on = paused_settlement
    place_many(app, auth, 1)
    assert arrived.wait(60)
    orders = place_many(app, auth, 7)
    good, lapsed, refused, silent, unknown, unheld, taken = [
        location.rpartition("/")[2] for _buyer, location in orders
    ]
    ids = {str(order_id): order_id for order_id in payments.payments}
    catalog._give_back(ids[lapsed], "lapsed")
    payments.payments[ids[refused]]["status"] = "canceled"
    payments.silent.add(ids[silent])
    lost = payments.payments.pop(ids[unknown])
    catalog.holds.pop(ids[unheld])
    payments.before = lambda name: (
        name == "capture"
        and run_sql(
            database, "UPDATE order_work SET lease_token = gen_random_uuid() WHERE order_id = :id", id=taken
        )
    )
    go_on.set()
    status = {
        order: lambda buyer=buyer, at=at: read_status(buyer, at)
        for order, (buyer, at) in zip(
            (good, lapsed, refused, silent, unknown, unheld, taken), orders, strict=True
        )
    }
    # The lapsed and the missing reservation are made again.
    for order in (good, lapsed, unheld):
        wait_for(lambda order=order: status[order]() == "paid")
    wait_for(lambda: status[refused]() == "cancelled")
    assert [status[order]() for order in (silent, unknown, taken)] == ["confirmed"] * 3
    kinds = {location.rpartition("/")[2]: read_kinds(buyer, location) for buyer, location in orders}
    assert "reservation_lapsed" in kinds[lapsed]
    assert kinds[taken] == ["placed", "stock_reserved", "payment_authorized"]
    # Without the failures, all orders finish.
    payments.before = lambda _name: None
    payments.silent.clear()
    payments.payments[ids[unknown]] = lost
    run_sql(database, "UPDATE order_work SET lease_until = NULL, next_attempt_at = now()")
    for order in (silent, unknown, taken):
        wait_for(lambda order=order: status[order]() == "paid")
    assert len(payments.captured) == len(set(payments.captured)) == 7


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize("step", ["commit", "capture"])
def test_a_batch_whose_answer_is_lost_is_retried_and_takes_effect_once(app, auth, catalog, payments, step):
    catalog.loses_answer, payments.loses_answer = {step}, {step}
    orders = place_many(app, auth, 3)
    wait_for(lambda: (catalog.calls + payments.calls).count(step) > 3)
    catalog.loses_answer, payments.loses_answer = set(), set()
    wait_until_all_are(orders, "paid")
    assert catalog.stock[1] == 94
    assert len(payments.captured) == 3


def test_two_replicas_never_settle_the_same_order(start_orders, auth, catalog, payments):
    replicas = [start_orders() for _ in range(2)]
    orders = []
    threads = [
        threading.Thread(target=lambda app=app: orders.extend(place_many(app, auth, 6)))
        for app in replicas * 2
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until_all_are(orders, "paid")
    settled = [order_id for batch in payments.batches for order_id in batch]
    assert len(settled) == len(set(settled)) == 24
    assert catalog.stock[1] == 52


def test_concurrent_claims_take_different_orders(app, auth, database, catalog):
    catalog.is_away = {"commit"}
    place_many(app, auth, 4)
    wait_for(lambda: run_sql(database, "SELECT 1 FROM order_work HAVING bool_and(lease_until IS NULL)"))
    run_sql(database, "UPDATE order_work SET next_attempt_at = now(), lease_until = now() + interval '1 day'")
    run_sql(database, "UPDATE order_work SET lease_until = NULL")
    with database.engine.connect() as one, database.engine.connect() as other:
        first, _lease = progress.claim_unsettled_orders(one, 3)
        second, _lease = progress.claim_unsettled_orders(other, 3)
        one.rollback()
        other.rollback()
    assert len(first) + len(second) <= 4
    assert not {order.order_id for order in first} & {order.order_id for order in second}


def test_a_replica_whose_leases_lapsed_records_nothing(buyer, catalog, database):
    """Another thread claimed the order and cancelled it while this one was suspended."""
    catalog.before = lambda name: (
        name == "commit" and run_sql(database, "UPDATE order_work SET lease_token = gen_random_uuid()")
    )
    location = buyer.order().headers["Location"]
    wait_for(lambda: catalog.calls.count("commit") == 1)
    catalog.before = lambda _name: None
    assert buyer.post(f"{location}/cancel").json["status"] == "cancelled"
    assert read_kinds(buyer, location)[-3:] == ["cancel_requested", "payment_cancelled", "cancelled"]
    assert catalog.stock[1] == 100


def test_confirmed_orders_are_settled_before_a_replica_exits(start_orders, auth, payments):
    replica = start_orders()
    payments.before = lambda name: name == "capture" and replica.background.stopping.wait(60)
    locations = [Buyer(replica, auth, "ada").order(str(n)).headers["Location"] for n in range(8)]
    replica.close()
    assert payments.calls.count("capture") == len(locations)
