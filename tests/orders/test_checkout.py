"""The checkout of an order, with failures at every step."""

import threading

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError

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
        "variant_id": 1,
        "sku": "SKU",
        "title": "Thing",
        "quantity": 2,
        "unit_amount": 1000,
        "amount": 2000,
        "discount_amount": 0,
        "tax_rate": None,
        "tax_amount": 0,
    }
    assert (order["adjustments"], order["tax_amount"]) == ([], 0)
    assert order["payment"]["status"] == "requires_capture"
    location = answer.headers["Location"]
    assert location == f"/orders/{order['id']}"
    wait_for(lambda: read_status(buyer, location) == "paid")
    assert buyer.get(location).json["payment"]["status"] == "succeeded"
    assert catalog.stock[1] == 98
    assert catalog.calls.count("commit") == payments.calls.count("capture") == 1


def test_the_steps_are_taken_in_order(buyer, catalog, payments):
    taken = []
    catalog.before = payments.before = taken.append
    location = buyer.order().headers["Location"]
    wait_for(lambda: read_status(buyer, location) == "paid")
    assert taken == ["reserve", "authorize", "commit", "capture"]
    kinds = [event["kind"] for event in buyer.get(f"{location}/events").json["data"]]
    assert kinds == ["placed", "stock_reserved", "payment_authorized", "stock_committed", "payment_captured"]


def test_out_of_stock_is_409_with_the_lines_and_authorizes_no_payment(buyer, catalog, payments):
    answer = buyer.order(items=[(1, 2), (2, 101)])
    assert answer.status_code == 409
    assert answer.json["code"] == "out_of_stock"
    assert answer.json["lines"] == [{"product_id": 2, "variant_id": 2, "requested": 101}]
    order = buyer.get(f"/orders/{answer.json['order_id']}").json
    assert (order["status"], order["reason"]) == ("cancelled", "out_of_stock")
    assert catalog.stock[1] == 100
    assert payments.calls == []


def test_out_of_stock_also_releases_a_reservation_that_arrives_late(buyer, catalog):
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
def test_while_a_service_is_unavailable_the_call_gets_202_and_the_order_finishes_in_the_background(
    buyer, catalog, payments, step
):
    catalog.is_away, payments.is_away = {step}, {step}
    answer = buyer.order()
    assert answer.status_code == 202
    assert answer.json["status"] == "pending"
    catalog.is_away, payments.is_away = set(), set()
    wait_for(lambda: read_status(buyer, answer.headers["Location"]) == "paid")


def age(database, order_id):
    """Make an order's deadline pass."""
    with database.transaction() as connection:
        connection.execute(
            text(
                "UPDATE order_work SET deadline = now() - interval '1s', next_attempt_at = now()"
                " WHERE order_id = :id"
            ),
            {"id": order_id},
        )


@pytest.mark.parametrize("step", ["reserve", "authorize"])
def test_a_pending_order_past_its_deadline_is_undone_its_payment_first(
    buyer, catalog, payments, database, step
):
    catalog.is_away, payments.is_away = {step}, {step}
    answer = buyer.order()
    taken = []
    catalog.before = payments.before = taken.append
    age(database, answer.json["id"])
    wait_for(lambda: read_status(buyer, answer.headers["Location"]) == "cancelled")
    order = buyer.get(answer.headers["Location"]).json
    assert order["reason"] == "timed_out"
    assert [call for call in taken if call in {"cancel", "release"}] == ["cancel", "release"]
    assert catalog.stock[1] == 100


@pytest.mark.usefixtures("quick_retries")
def test_an_order_is_not_cancelled_before_its_payment_is(buyer, payments, database):
    payments.is_away = {"authorize", "cancel"}
    answer = buyer.order()
    age(database, answer.json["id"])
    wait_for(lambda: payments.calls.count("cancel") >= 2)
    assert read_status(buyer, answer.headers["Location"]) == "pending"
    payments.is_away = set()
    wait_for(lambda: read_status(buyer, answer.headers["Location"]) == "cancelled")


def test_another_replica_finishes_the_order_of_a_dead_replica(
    start_orders, auth, catalog, payments, database
):
    first = start_orders()
    payments.is_away = {"authorize"}
    buyer = Buyer(first, auth, "ada")
    order_id = buyer.order().json["id"]
    first.close()
    # A killed replica leaves its lease behind.
    with database.transaction() as connection:
        connection.execute(
            text(
                "UPDATE order_work SET lease_token = gen_random_uuid(), lease_until = now() - interval '1s',"
                " next_attempt_at = now() WHERE order_id = :id"
            ),
            {"id": order_id},
        )
    payments.is_away = set()
    other = Buyer(start_orders(), auth, "ada")
    wait_for(lambda: read_status(other, f"/orders/{order_id}") == "paid")


def test_a_thread_that_lost_the_lease_records_nothing(buyer, payments, database, monkeypatch):
    def steal(name):
        if name == "authorize" and payments.calls.count("authorize") == 1:
            # The call would wait for the new holder of the lease, which does not exist here.
            monkeypatch.setattr("orders.use_cases.orders.PATIENCE", 0.05)
            with database.transaction() as connection:
                connection.execute(text("UPDATE order_work SET lease_token = gen_random_uuid()"))

    payments.before = steal
    answer = buyer.order()
    assert answer.status_code == 202
    assert read_status(buyer, answer.headers["Location"]) == "pending"
    kinds = [event["kind"] for event in buyer.get(f"{answer.headers['Location']}/events").json["data"]]
    assert kinds == ["placed"]


@pytest.mark.usefixtures("quick_retries")
def test_two_replicas_process_each_order_once(start_orders, auth, catalog, payments):
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


def test_concurrent_orders_never_sell_more_than_the_stock(app, auth, catalog):
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


@pytest.mark.usefixtures("quick_retries")
def test_a_step_is_retried_after_any_number_of_attempts(buyer, payments, database):
    payments.is_away = {"capture"}
    location = buyer.order().headers["Location"]
    wait_for(lambda: payments.calls.count("capture") >= 2)
    # The attempts of a week: 2 to this power exceeds a float.
    wait_for(
        lambda: run_sql(
            database,
            "UPDATE order_work SET attempts = 5000, next_attempt_at = now()"
            " WHERE lease_until IS NULL RETURNING order_id",
        )
    )
    wait_for(
        lambda: run_sql(database, "SELECT 1 FROM order_work WHERE attempts = 5001 AND lease_until IS NULL")
    )
    payments.is_away = set()
    run_sql(database, "UPDATE order_work SET next_attempt_at = now()")
    wait_for(lambda: read_status(buyer, location) == "paid")


def test_a_finished_order_has_no_work(buyer, paid, database):
    assert run_sql(database, "SELECT order_id FROM order_work") == []


def test_a_step_of_a_newer_release_is_not_claimed_and_its_order_is_shown(
    start_orders, auth, payments, database
):
    payments.is_away = {"capture"}
    replica = start_orders()
    location = Buyer(replica, auth, "ada").order().headers["Location"]
    replica.close()
    due = "next_attempt_at = now() - interval '1h', lease_until = NULL"
    run_sql(database, f"UPDATE order_work SET next_step = 'gift_wrap', {due}")
    with database.transaction() as connection:
        assert progress.claim_due_order(connection) is None
        assert progress.claim_unsettled_orders(connection, 50)[0] == []
    assert read_status(Buyer(start_orders(), auth, "ada"), location) == "confirmed"


def test_nothing_is_written_between_the_reservation_and_the_authorization(buyer, payments, database):
    written = []

    def look(name):
        if name == "authorize":
            written.append(run_sql(database, "SELECT next_step, items_amount FROM orders, order_work"))

    payments.before = look
    assert buyer.order().status_code == 201
    assert written == [[("reserve", None)]]


@pytest.mark.usefixtures("quick_retries")
def test_an_interrupted_checkout_repeats_its_reservation_and_keeps_the_first_prices(buyer, catalog, payments):
    payments.is_away = {"authorize"}
    location = buyer.order().headers["Location"]
    payments.is_away = set()
    wait_for(lambda: read_status(buyer, location) == "paid")
    assert catalog.calls.count("reserve") >= 2
    assert catalog.stock[1] == 98
    assert len(payments.payments) == 1
    assert read_kinds(buyer, location) == [
        "placed",
        "stock_reserved",
        "payment_authorized",
        "stock_committed",
        "payment_captured",
    ]


@pytest.mark.usefixtures("quick_retries")
def test_a_reservation_that_is_refused_later_cancels_the_payment_first(buyer, catalog, payments):
    payments.loses_answer = {"authorize"}
    answer = buyer.order()
    assert answer.status_code == 202
    # The reservation is lost, and the product is out of stock.
    catalog.holds.clear()
    catalog.stock[1] = 0
    taken = []
    catalog.before = payments.before = taken.append
    wait_for(lambda: read_status(buyer, answer.headers["Location"]) == "cancelled")
    assert taken[-3:] == ["reserve", "cancel", "release"]
    assert [payment["status"] for payment in payments.payments.values()] == ["canceled"]


def test_a_payment_that_was_closed_is_cancelled(buyer, payments):
    payments.refuse["authorize"] = CheckoutRefused("payment_closed", "payment_closed", "Closed.")
    answer = buyer.order()
    assert (answer.status_code, answer.json["code"]) == (409, "payment_closed")
    assert payments.calls == ["authorize", "cancel"]


def test_a_wide_order_is_placed_and_confirmed_by_one_statement_each(app, buyer, database):
    written = []

    @event.listens_for(database.engine, "after_cursor_execute")
    def note(_connection, _cursor, statement, *_rest):
        if "INSERT" in statement:
            written.append(statement)

    assert buyer.order(items=[(number, 1) for number in range(1, 10)]).status_code == 201
    event.remove(database.engine, "after_cursor_execute", note)
    # The third may be settlement's.
    assert len(written) in {2, 3}


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
