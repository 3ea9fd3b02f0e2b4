"""An order's way from its placing to its end, whatever comes in between."""

import threading

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from orders.app import FINISHERS, RESUMERS
from orders.checkout import ROOM
from orders.errors import CheckoutRefused
from orders.repository import progress
from tests.orders.conftest import Buyer, read_kinds, read_status, run_sql
from tests.waiting import wait_for


def test_an_order_is_confirmed_with_the_catalogues_prices_and_then_paid(buyer, catalog, payments):
    answer = buyer.order(items=[(1, 2), (3, 1)])
    assert answer.status_code == 201
    order = answer.json
    assert order["status"] == "confirmed"
    assert order["items_amount"] == order["amount"] == 3000
    assert order["currency"] == "USD"
    assert order["items"][0] == {
        "product_id": 1,
        "sku": "SKU",
        "title": "Thing",
        "quantity": 2,
        "unit_amount": 1000,
        "amount": 2000,
    }
    assert order["adjustments"] == []
    assert order["payment"]["status"] == "requires_capture"
    location = answer.headers["Location"]
    assert location == f"/orders/{order['id']}"
    wait_for(lambda: read_status(buyer, location) == "paid")
    assert buyer.get(location).json["payment"]["status"] == "succeeded"
    assert catalog.stock[1] == 98
    assert catalog.calls.count("commit") == payments.calls.count("capture") == 1


def test_the_steps_are_taken_in_the_designs_order(buyer, catalog, payments):
    taken = []
    catalog.before = payments.before = taken.append
    location = buyer.order().headers["Location"]
    wait_for(lambda: read_status(buyer, location) == "paid")
    assert taken == ["reserve", "authorize", "commit", "capture"]
    kinds = [event["kind"] for event in buyer.get(f"{location}/events").json["data"]]
    assert kinds == ["placed", "stock_reserved", "payment_authorized", "stock_committed", "payment_captured"]


def test_out_of_stock_is_409_with_the_lines_and_asks_for_no_money(buyer, catalog, payments):
    answer = buyer.order(items=[(1, 2), (2, 101)])
    assert answer.status_code == 409
    assert answer.json["code"] == "out_of_stock"
    assert answer.json["lines"] == [{"product_id": 2, "requested": 101}]
    order = buyer.get(f"/orders/{answer.json['order_id']}").json
    assert (order["status"], order["reason"]) == ("cancelled", "out_of_stock")
    assert catalog.stock[1] == 100
    assert payments.calls == []


def test_out_of_stock_shuts_the_door_to_a_reservation_that_is_still_on_its_way(buyer, catalog):
    buyer.order(items=[(2, 101)])
    assert catalog.calls == ["reserve", "release"]


def test_a_decline_is_402_with_its_reason_and_leaves_nothing_held(buyer, catalog, payments):
    answer = buyer.order(card="pm_card_chargeDeclined")
    assert answer.status_code == 402
    assert answer.json["code"] == "card_declined"
    assert answer.json["decline_code"] == "generic_decline"
    order = buyer.get(f"/orders/{answer.json['order_id']}").json
    assert (order["status"], order["reason"]) == ("cancelled", "payment_declined")
    assert catalog.stock[1] == 100
    assert payments.calls[-1] == "cancel"


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize("step", ["reserve", "authorize"])
def test_while_a_service_is_away_the_caller_gets_202_and_the_order_finishes_by_itself(
    buyer, catalog, payments, step
):
    catalog.is_away, payments.is_away = {step}, {step}
    answer = buyer.order()
    assert answer.status_code == 202
    assert answer.json["status"] == "pending"
    catalog.is_away, payments.is_away = set(), set()
    wait_for(lambda: read_status(buyer, answer.headers["Location"]) == "paid")


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


def test_a_lapsed_hold_is_taken_again(buyer, catalog, payments):
    catalog.lapse_next_commit = True
    location = buyer.order().headers["Location"]
    wait_for(lambda: read_status(buyer, location) == "paid")
    assert catalog.calls == ["reserve", "commit", "reserve", "commit"]
    assert catalog.stock[1] == 98
    assert len(payments.payments) == 1


def test_a_lapsed_hold_that_cannot_be_had_again_gives_the_money_back(buyer, catalog, payments):
    catalog.lapse_next_commit = True

    def sell_the_rest(_name):
        if catalog.calls == ["reserve", "commit", "reserve"]:
            catalog.stock[1] = 0

    catalog.before = sell_the_rest
    location = buyer.order(items=[(1, 2)]).headers["Location"]
    wait_for(lambda: read_status(buyer, location) == "cancelled")
    assert buyer.get(location).json["reason"] == "stock_lost"
    assert [payment["status"] for payment in payments.payments.values()] == ["canceled"]


def age(database, order_id):
    """Make an order's deadline pass."""
    with database.transaction() as connection:
        connection.execute(
            text(
                "UPDATE orders SET deadline = now() - interval '1s', next_attempt_at = now() WHERE id = :id"
            ),
            {"id": order_id},
        )


@pytest.mark.parametrize(("step", "undone"), [("reserve", ["release"]), ("authorize", ["cancel", "release"])])
def test_a_pending_order_past_its_deadline_is_undone(buyer, catalog, payments, database, step, undone):
    catalog.is_away, payments.is_away = {step}, {step}
    answer = buyer.order()
    catalog.calls.clear()
    payments.calls.clear()
    age(database, answer.json["id"])
    wait_for(lambda: read_status(buyer, answer.headers["Location"]) == "cancelled")
    order = buyer.get(answer.headers["Location"]).json
    assert order["reason"] == "timed_out"
    assert [call for call in payments.calls + catalog.calls if call in {"cancel", "release"}] == undone
    assert catalog.stock[1] == 100


@pytest.mark.usefixtures("quick_retries")
def test_an_order_whose_payment_cannot_be_cancelled_yet_is_not_called_cancelled(buyer, payments, database):
    payments.is_away = {"authorize", "cancel"}
    answer = buyer.order()
    age(database, answer.json["id"])
    wait_for(lambda: payments.calls.count("cancel") >= 2)
    assert read_status(buyer, answer.headers["Location"]) == "pending"
    payments.is_away = set()
    wait_for(lambda: read_status(buyer, answer.headers["Location"]) == "cancelled")


def test_an_order_that_a_dead_replica_left_behind_is_finished_by_another(
    start_orders, auth, catalog, payments, database
):
    first = start_orders()
    payments.is_away = {"authorize"}
    buyer = Buyer(first, auth, "ada")
    order_id = buyer.order().json["id"]
    first.close()
    # As a kill leaves it: the lease belongs to a replica that is gone.
    with database.transaction() as connection:
        connection.execute(
            text(
                "UPDATE orders SET lease_token = gen_random_uuid(), lease_until = now() - interval '1s',"
                " next_attempt_at = now() WHERE id = :id"
            ),
            {"id": order_id},
        )
    payments.is_away = set()
    other = Buyer(start_orders(), auth, "ada")
    wait_for(lambda: read_status(other, f"/orders/{order_id}") == "paid")


def test_a_thread_that_lost_the_lease_records_nothing(buyer, payments, database, monkeypatch):
    def steal(name):
        if name == "authorize" and payments.calls.count("authorize") == 1:
            # The call waits for the answer of the lease's new holder, who is not there.
            monkeypatch.setattr("orders.use_cases.orders.PATIENCE", 0.05)
            with database.transaction() as connection:
                connection.execute(text("UPDATE orders SET lease_token = gen_random_uuid()"))

    payments.before = steal
    answer = buyer.order()
    assert answer.status_code == 202
    assert read_status(buyer, answer.headers["Location"]) == "pending"
    kinds = [event["kind"] for event in buyer.get(f"{answer.headers['Location']}/events").json["data"]]
    assert kinds == ["placed", "stock_reserved"]


@pytest.mark.usefixtures("quick_retries")
def test_two_replicas_take_each_order_once(start_orders, auth, catalog, payments):
    payments.is_away = {"authorize"}
    buyers = [Buyer(start_orders(), auth, f"buyer {number}") for number in range(2)]
    placed = [
        (buyer, buyer.order(key=str(number)).headers["Location"]) for buyer in buyers for number in range(5)
    ]
    payments.is_away = set()
    for buyer, location in placed:
        wait_for(lambda buyer=buyer, location=location: read_status(buyer, location) == "paid")
    assert payments.calls.count("capture") == 10
    assert catalog.stock[1] == 80


def test_one_product_bought_by_many_at_once_is_never_sold_twice(app, auth, catalog):
    catalog.stock[1] = 5
    lock, answers = threading.Lock(), []
    reserve = catalog.reserve

    def reserve_alone(order):
        with lock:
            return reserve(order)

    catalog.reserve = reserve_alone

    def buy(number):
        answers.append(Buyer(app, auth, f"buyer {number}").order(items=[(1, 1)]).status_code)

    threads = [threading.Thread(target=buy, args=[number]) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201] * 5 + [409] * 7


def test_an_order_that_costs_nothing_needs_no_payment(buyer, catalog, payments):
    catalog.prices[1] = 0
    answer = buyer.order()
    assert (answer.status_code, answer.json["amount"], answer.json["payment"]) == (201, 0, None)
    location = answer.headers["Location"]
    wait_for(lambda: read_status(buyer, location) == "paid")
    assert payments.calls == []
    assert read_kinds(buyer, location)[2:] == ["payment_not_needed", "stock_committed", "payment_not_needed"]
    assert buyer.post(f"{location}/cancel").json["status"] == "cancelled"
    assert payments.calls == ["cancel"]
    assert catalog.stock[1] == 100


def test_a_capture_that_is_refused_for_good_gives_everything_back(buyer, catalog, payments):
    payments.refuse["capture"] = CheckoutRefused("capture_failed", 409, "capture_failed", "Not any more.")
    answer = buyer.order()
    assert answer.status_code == 201
    location = answer.headers["Location"]
    wait_for(lambda: read_status(buyer, location) == "cancelled")
    assert buyer.get(location).json["reason"] == "capture_failed"
    assert catalog.stock[1] == 100
    assert payments.calls[-1] == "cancel"


@pytest.mark.usefixtures("quick_retries")
def test_a_step_is_tried_again_however_often_it_was_tried(buyer, payments, database):
    payments.is_away = {"capture"}
    location = buyer.order().headers["Location"]
    wait_for(lambda: payments.calls.count("capture") >= 2)
    # As after a week: 2 to the power of this is more than a float holds.
    wait_for(
        lambda: run_sql(
            database,
            "UPDATE orders SET attempts = 5000, next_attempt_at = now()"
            " WHERE lease_until IS NULL RETURNING id",
        )
    )
    wait_for(lambda: run_sql(database, "SELECT 1 FROM orders WHERE attempts = 5001 AND lease_until IS NULL"))
    payments.is_away = set()
    run_sql(database, "UPDATE orders SET next_attempt_at = now()")
    wait_for(lambda: read_status(buyer, location) == "paid")


def test_an_order_with_nothing_left_to_do_has_no_lease(buyer, paid, database):
    assert run_sql(database, "SELECT next_step, lease_token, lease_until FROM orders") == [(None, None, None)]


def test_more_orders_than_there_is_room_for_are_all_finished(app, auth, payments, monkeypatch):
    monkeypatch.setattr("orders.checkout.PATIENCE", 0.05)
    go_on = threading.Event()
    payments.before = lambda name: name == "capture" and go_on.wait(60)
    buyers = [Buyer(app, auth, f"buyer {number}") for number in range(8)]
    each = (ROOM + FINISHERS + RESUMERS) // len(buyers) + 2

    def buy(buyer):
        for number in range(each):
            buyer.order(str(number), items=[(number + 1, 1)])

    threads = [threading.Thread(target=buy, args=[buyer]) for buyer in buyers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert payments.calls.count("capture") <= FINISHERS + RESUMERS
    go_on.set()
    wait_for(lambda: all({o["status"] for o in b.get("/orders").json["data"]} == {"paid"} for b in buyers))
    assert payments.calls.count("capture") == len(buyers) * each


def test_what_was_handed_over_is_finished_before_a_replica_ends(start_orders, auth, payments):
    replica = start_orders()
    payments.before = lambda name: name == "capture" and replica.background.stopping.wait(60)
    locations = [Buyer(replica, auth, "ada").order(str(n)).headers["Location"] for n in range(8)]
    replica.close()
    assert payments.calls.count("capture") == len(locations)


def test_a_step_of_a_newer_release_is_left_to_it(start_orders, auth, payments, database):
    payments.is_away = {"capture"}
    replica = start_orders()
    Buyer(replica, auth, "ada").order()
    replica.close()
    due = "next_attempt_at = now() - interval '1h', lease_until = NULL"
    run_sql(database, f"UPDATE orders SET next_step = 'gift_wrap', {due}")
    with database.transaction() as connection:
        assert progress.claim_due_order(connection) is None
    run_sql(database, f"UPDATE orders SET next_step = 'capture', {due}")
    with database.transaction() as connection:
        assert progress.claim_due_order(connection) is not None


def test_the_database_refuses_to_rewrite_an_orders_events(buyer, paid, database):
    before = read_kinds(buyer, paid)
    for statement in (
        "UPDATE order_events SET kind = 'x'",
        "DELETE FROM order_events",
        "TRUNCATE order_events",
    ):
        with pytest.raises(IntegrityError, match="only ever added to"):
            run_sql(database, statement)
    assert read_kinds(buyer, paid) == before
