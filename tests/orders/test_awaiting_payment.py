"""An order whose bank requires authentication waits for its customer until a deadline."""

import pytest

from tests.orders.conftest import read_kinds, read_status, run_sql
from tests.waiting import wait_for

NEEDS_AUTHENTICATION = "pm_card_authenticationRequired"
WAKE = "/internal/orders/{}/wake"
pytestmark = pytest.mark.usefixtures("quick_retries")


@pytest.fixture
def awaiting(buyer):
    """The path of an order that waits for its customer: two units of product 1 from the cart."""
    buyer.call("PUT", "/cart/items/1", json={"quantity": 2})
    answer = buyer.order(items=None, card=NEEDS_AUTHENTICATION)
    assert (answer.status_code, answer.json["status"]) == (201, "awaiting_payment")
    return answer.headers["Location"]


def find_payment(payments):
    return next(iter(payments.payments))


def postpone(database):
    """Postpone the order's next poll by an hour."""
    wait_for(
        lambda: run_sql(
            database,
            "UPDATE order_work SET next_attempt_at = now() + interval '1 hour' WHERE lease_until IS NULL"
            " RETURNING order_id",
        )
    )


def expire(database):
    run_sql(database, "UPDATE order_work SET deadline = now() - interval '1s', next_attempt_at = now()")


def test_the_order_shows_its_payment_and_continues_when_the_bank_approves(buyer, awaiting, payments, catalog):
    assert buyer.get(awaiting).json["payment"]["status"] == "requires_action"
    assert len(buyer.get("/cart").json["items"]) == 1
    payments.confirm(find_payment(payments))
    wait_for(lambda: read_status(buyer, awaiting) == "paid")
    assert buyer.get("/cart").json["items"] == []
    assert catalog.stock[1] == 98
    assert read_kinds(buyer, awaiting) == [
        "placed",
        "stock_reserved",
        "payment_action_required",
        "payment_authorized",
        "stock_committed",
        "payment_captured",
    ]


def test_a_repeated_call_gets_the_first_answer(buyer, awaiting, payments):
    payments.confirm(find_payment(payments))
    wait_for(lambda: read_status(buyer, awaiting) == "paid")
    again = buyer.order(items=None, card=NEEDS_AUTHENTICATION)
    assert (again.status_code, again.json["status"]) == (201, "awaiting_payment")
    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("status", ["requires_payment_method", "canceled"])
def test_an_order_that_the_bank_declines_is_cancelled_and_holds_no_stock(
    buyer, awaiting, payments, catalog, status
):
    payments.confirm(find_payment(payments), status)
    wait_for(lambda: read_status(buyer, awaiting) == "cancelled")
    assert buyer.get(awaiting).json["reason"] == "payment_declined"
    assert catalog.stock[1] == 100
    assert len(buyer.get("/cart").json["items"]) == 1


def test_payments_service_wakes_the_order(app, auth, buyer, awaiting, payments, database):
    postpone(database)
    payments.confirm(find_payment(payments))
    wake = app.test_client().post(
        WAKE.format(find_payment(payments)), headers=auth.service_bearer("payments-service")
    )
    assert wake.status_code == 204
    wait_for(lambda: read_status(buyer, awaiting) == "paid")


def test_an_unknown_order_cannot_be_woken(app, auth):
    path = WAKE.format("00000000-0000-7000-8000-000000000000")
    answer = app.test_client().post(path, headers=auth.service_bearer("payments-service"))
    assert (answer.status_code, answer.json["code"]) == (404, "order_not_found")


def test_only_payments_service_may_wake_an_order(app, auth, awaiting, payments):
    path = WAKE.format(find_payment(payments))
    client = app.test_client()
    assert client.post(path, headers=auth.service_bearer("catalog-service")).status_code == 403
    assert client.post(path, headers=auth.bearer(role="admin")).status_code == 401


def test_the_customer_has_ten_minutes(buyer, awaiting, database):
    left = run_sql(database, "SELECT extract(epoch FROM deadline - now()) FROM order_work")[0][0]
    assert 590 < left <= 600


def test_an_order_past_its_deadline_is_undone(buyer, awaiting, payments, catalog, database):
    postpone(database)
    expire(database)
    wait_for(lambda: read_status(buyer, awaiting) == "cancelled")
    assert buyer.get(awaiting).json["reason"] == "timed_out"
    assert catalog.stock[1] == 100
    assert payments.payments[find_payment(payments)]["status"] == "canceled"


def test_an_authentication_in_the_last_moment_counts(buyer, awaiting, payments, database):
    postpone(database)
    payments.confirm(find_payment(payments))
    expire(database)
    wait_for(lambda: read_status(buyer, awaiting) == "paid")


def test_the_customer_can_cancel_a_waiting_order(buyer, awaiting, payments, catalog):
    assert buyer.post(f"{awaiting}/cancel").json["reason"] == "cancelled_by_customer"
    assert catalog.stock[1] == 100


def test_polls_back_off_to_15_s_at_most(buyer, awaiting, database):
    postpone(database)
    run_sql(database, "UPDATE order_work SET attempts = 5000, next_attempt_at = now()")
    # now() is the start of the transaction, which may be before the poll that this statement sees.
    wait = wait_for(
        lambda: run_sql(
            database,
            "SELECT extract(epoch FROM next_attempt_at - clock_timestamp()) FROM order_work"
            " WHERE attempts = 5001",
        )
    )[0][0]
    assert 10 < wait <= 15
