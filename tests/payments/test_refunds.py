"""Refunds: each refund moves money once, and never more than was captured."""

import psycopg
import pytest

from payments.domain.payments import RefundStatus
from payments.errors import RefundFailed
from payments.use_cases import sweep
from shared.ids import new_id
from tests.payments.conftest import run_concurrently
from tests.waiting import wait_for


@pytest.fixture
def paid(orders, order_id):
    """An order with 1299 captured."""
    orders.authorize(order_id)
    orders.capture(order_id)
    return order_id


def assert_records_agree(tables, refunded):
    payment = tables.payment()
    assert payment["amount_refunded"] == refunded
    assert payment["amount_refunding"] == 0
    (charge,) = tables.charges()
    assert charge["amount_refunded"] == refunded
    left = payment["amount_captured"] - refunded
    assert tables.balances() == {"receivable": left, "sales": -left}
    made = [row["key"] for row in tables.read("SELECT key FROM simulated_refunds")]
    succeeded = [
        str(row["id"])
        for row in tables.read("SELECT id FROM refunds WHERE status = %s", RefundStatus.SUCCEEDED)
    ]
    assert sorted(made) == sorted(succeeded)


def test_a_partial_refund_moves_money_and_adds_a_ledger_entry(orders, tables, paid):
    refund_id = new_id()
    answer = orders.refund(paid, 300, refund_id)
    assert answer.status_code == 200
    payment = orders.find(paid).json
    assert answer.json == {"id": str(refund_id), "amount": 300, "status": "succeeded", "payment": payment}
    assert payment["status"] == "succeeded"
    assert payment["amount_refunded"] == 300
    assert tables.movements() == ["capture", f"refund:{refund_id}"]
    assert_records_agree(tables, 300)


def test_a_repeated_refund_returns_the_same_response_and_moves_no_money(orders, tables, provider, paid):
    refund_id = new_id()
    first = orders.refund(paid, 300, refund_id)
    assert orders.refund(paid, 300, refund_id).json == first.json
    assert provider.calls.count("refund") == 1
    assert_records_agree(tables, 300)


def test_a_repeated_refund_succeeds_after_a_cancel(orders, tables, paid):
    refund_id = new_id()
    orders.refund(paid, 300, refund_id)
    orders.cancel(paid)
    assert orders.refund(paid, 300, refund_id).status_code == 200


def test_the_same_refund_with_a_different_amount_is_a_conflict(orders, tables, paid):
    refund_id = new_id()
    orders.refund(paid, 300, refund_id)
    answer = orders.refund(paid, 301, refund_id)
    assert (answer.status_code, answer.json["code"]) == (409, "refund_conflict")
    assert_records_agree(tables, 300)


def test_the_same_refund_for_a_different_order_is_a_conflict(orders, paid):
    refund_id, other = new_id(), new_id()
    orders.refund(paid, 300, refund_id)
    orders.authorize(other)
    orders.capture(other)
    answer = orders.refund(other, 300, refund_id)
    assert (answer.status_code, answer.json["code"]) == (409, "refund_conflict")


def test_a_refund_above_the_refundable_amount_is_refused_with_that_amount(orders, tables, paid):
    orders.refund(paid, 1000)
    answer = orders.refund(paid, 300)
    assert (answer.status_code, answer.json["code"]) == (409, "refund_exceeds_payment")
    assert answer.json["refundable"] == 299
    assert orders.refund(paid, 299).json["payment"]["status"] == "succeeded"
    assert_records_agree(tables, 1299)


def test_concurrent_refunds_never_exceed_the_captured_amount(orders, tables, paid):
    answers = run_concurrently(*[lambda: orders.refund(paid, 500)] * 8)
    assert sorted(answer.status_code for answer in answers) == [200, 200, *[409] * 6]
    assert_records_agree(tables, 1000)


def test_concurrent_requests_of_the_same_refund_move_money_once(orders, tables, paid):
    refund_id = new_id()
    answers = run_concurrently(*[lambda: orders.refund(paid, 500, refund_id)] * 8)
    assert len({answer.data for answer in answers}) == 1
    assert_records_agree(tables, 500)


@pytest.mark.parametrize("change", ["amount_refunding = amount_captured + 1", "amount_refunding = -1"])
def test_the_database_refuses_to_reserve_more_than_was_captured(tables, paid, change):
    with pytest.raises(psycopg.errors.CheckViolation):
        tables.write(f"UPDATE payments SET {change}")


def test_a_payment_that_is_not_captured_cannot_be_refunded(orders, order_id):
    assert orders.refund(order_id, 1).json["code"] == "payment_not_found"
    orders.authorize(order_id)
    answer = orders.refund(order_id, 1)
    assert (answer.status_code, answer.json["code"]) == (409, "payment_unexpected_state")


def test_a_canceled_payment_cannot_be_refunded(orders, tables, paid):
    orders.cancel(paid)
    answer = orders.refund(paid, 1)
    assert (answer.status_code, answer.json["code"]) == (409, "payment_closed")
    assert tables.balances() == {"receivable": 0, "sales": 0}


def test_an_order_closed_without_a_payment_cannot_be_refunded(orders, order_id):
    orders.cancel(order_id)
    assert orders.refund(order_id, 1).json["code"] == "payment_closed"


@pytest.mark.parametrize("when", ["before refund", "after refund"])
def test_a_retry_completes_a_refund_whose_response_was_lost(orders, tables, provider, paid, when):
    refund_id = new_id()
    provider.lose_response(when)
    assert orders.refund(paid, 300, refund_id).status_code == 503
    assert tables.payment()["amount_refunding"] == 300
    # The pending refund is no longer refundable.
    assert orders.refund(paid, 1000).json["refundable"] == 999
    assert orders.refund(paid, 300, refund_id).status_code == 200
    assert_records_agree(tables, 300)


@pytest.mark.parametrize("when", ["before refund", "after refund"])
def test_the_sweep_completes_an_interrupted_refund(orders, tables, provider, database, paid, when):
    provider.lose_response(when)
    orders.refund(paid, 300)
    tables.write("UPDATE payments SET look_at = now()")
    sweep.check_due_payments(database, provider, lambda _order: None)
    wait_for(lambda: tables.payment()["amount_refunding"] == 0)
    assert_records_agree(tables, 300)


@pytest.mark.parametrize("when", ["before refund", "after refund"])
def test_a_cancel_completes_an_interrupted_refund_and_returns_the_rest(orders, tables, provider, paid, when):
    provider.lose_response(when)
    orders.refund(paid, 300)
    assert orders.cancel(paid).json["amount_refunded"] == 1299
    assert tables.movements()[-1] == "cancel"
    assert_records_agree(tables, 1299)


def test_a_cancel_after_a_partial_refund_returns_the_rest(orders, tables, paid):
    refund_id = new_id()
    orders.refund(paid, 300, refund_id)
    assert orders.cancel(paid).json["amount_refunded"] == 1299
    assert tables.movements() == ["capture", f"refund:{refund_id}", "cancel"]
    assert_records_agree(tables, 1299)


def test_a_fully_refunded_payment_can_be_canceled(orders, tables, paid):
    orders.refund(paid, 1299)
    assert orders.cancel(paid).json["status"] == "canceled"
    assert "cancel" not in tables.movements()
    assert_records_agree(tables, 1299)


def test_a_permanently_refused_refund_frees_its_reservation(orders, tables, provider, paid):
    refund_id = new_id()

    def refuse():
        raise RefundFailed("expired_or_canceled_card")

    provider.interrupt("before refund", refuse)
    for _ in range(2):
        answer = orders.refund(paid, 300, refund_id)
        assert (answer.status_code, answer.json["code"]) == (409, "refund_failed")
        assert answer.json["decline_code"] == "expired_or_canceled_card"
    assert orders.refund(paid, 1299).status_code == 200
    assert_records_agree(tables, 1299)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": 1.5}, "amount"),
        ({"amount": 10**30}, "amount"),
        ({"refund_id": "17"}, "refund_id"),
        ({"card": "4242424242424242"}, "card"),
    ],
)
def test_an_invalid_field_is_named(orders, paid, change, field):
    answer = orders._post(paid, "refunds", json={"refund_id": str(new_id()), "amount": 1, **change})
    assert answer.status_code == 422
    assert [entry["field"] for entry in answer.json["errors"]] == [field]
