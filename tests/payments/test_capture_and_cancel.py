"""Capture and cancel: the money moves once in each direction, even after repeated requests."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.payments.conftest import run_concurrently
from tests.waiting import wait_for


def test_a_capture_moves_the_money_between_two_accounts(orders, tables, order_id):
    authorized = orders.authorize(order_id).json
    answer = orders.capture(order_id)
    assert answer.status_code == 200
    assert answer.json == {**authorized, "status": "succeeded", "amount_captured": 1299}
    assert tables.movements() == ["capture"]
    assert tables.balances() == {"receivable": 1299, "sales": -1299}
    assert [charge["amount_captured"] for charge in tables.charges()] == [1299]


def test_a_repeated_capture_adds_one_ledger_entry(orders, tables, provider, order_id):
    orders.authorize(order_id)
    assert orders.capture(order_id).json == orders.capture(order_id).json
    assert tables.movements() == ["capture"]
    assert provider.calls == ["authorize", "capture"]


def test_ten_concurrent_captures_add_one_ledger_entry(orders, tables, order_id):
    orders.authorize(order_id)
    answers = run_concurrently(*[lambda: orders.capture(order_id)] * 10)
    assert {answer.json["status"] for answer in answers} == {"succeeded"}
    assert tables.movements() == ["capture"]


def test_concurrent_results_of_the_provider_are_recorded_one_after_another(
    orders, settings, tables, order_id
):
    orders.authorize(order_id)
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with ThreadPoolExecutor(3) as pool, psycopg.connect(settings.database_url) as connection:
        connection.execute("SELECT FROM payments FOR UPDATE")
        answers = [pool.submit(orders.capture, order_id) for _ in range(3)]
        wait_for(lambda: len(tables.read(waiting)) == 3)
    assert [answer.result().status_code for answer in answers] == [200] * 3
    assert tables.movements() == ["capture"]


def test_an_authorization_after_the_capture_returns_the_captured_payment(orders, order_id):
    orders.authorize(order_id)
    captured = orders.capture(order_id).json
    assert orders.authorize(order_id).json == captured


def test_an_order_without_a_payment_cannot_be_captured(orders, order_id):
    answer = orders.capture(order_id)
    assert answer.status_code == 404
    assert answer.json["code"] == "payment_not_found"


def test_a_cancel_before_the_capture_voids_the_charge_without_a_ledger_entry(orders, tables, order_id):
    authorized = orders.authorize(order_id).json
    assert orders.cancel(order_id).json == {**authorized, "status": "canceled"}
    assert tables.movements() == []
    assert [(charge["released"], charge["amount_captured"]) for charge in tables.charges()] == [(True, 0)]


def test_a_cancel_after_the_capture_refunds_once_and_the_ledger_sums_to_zero(
    orders, tables, provider, order_id
):
    orders.authorize(order_id)
    captured = orders.capture(order_id).json
    for _ in range(3):
        answer = orders.cancel(order_id)
        assert answer.status_code == 200
        assert answer.json == {**captured, "status": "canceled", "amount_refunded": 1299}
    assert tables.movements() == ["capture", "cancel"]
    assert tables.balances() == {"receivable": 0, "sales": 0}
    assert [charge["amount_refunded"] for charge in tables.charges()] == [1299]
    assert provider.calls == ["authorize", "capture", "release"]


def test_ten_concurrent_cancels_refund_once(orders, tables, order_id):
    orders.authorize(order_id)
    orders.capture(order_id)
    answers = run_concurrently(*[lambda: orders.cancel(order_id)] * 10)
    assert {answer.json["amount_refunded"] for answer in answers} == {1299}
    assert tables.movements() == ["capture", "cancel"]


@pytest.mark.parametrize("step", ["authorize", "capture"])
def test_after_a_cancel_the_payment_is_closed(orders, tables, order_id, step):
    orders.authorize(order_id)
    orders.cancel(order_id)
    answer = getattr(orders, step)(order_id)
    assert answer.status_code == 409
    assert answer.json["code"] == "payment_closed"
    assert tables.movements() == []


@pytest.mark.parametrize("step", ["authorize", "capture"])
def test_an_unknown_order_that_was_canceled_can_never_be_charged(orders, tables, order_id, step):
    for _ in range(2):
        answer = orders.cancel(order_id)
        assert answer.status_code == 200
        assert answer.json == {"status": "canceled"}
    late = getattr(orders, step)(order_id)
    assert late.status_code == 409
    assert late.json["code"] == "payment_closed"
    assert tables.charges() == []


def test_a_concurrent_authorization_and_cancel_leave_no_money_held(orders, tables, order_id):
    authorized, canceled = run_concurrently(
        lambda: orders.authorize(order_id), lambda: orders.cancel(order_id)
    )
    assert authorized.status_code in {200, 409}
    assert canceled.json["status"] == "canceled"
    assert all(charge["released"] for charge in tables.charges())
    assert orders.capture(order_id).json["code"] == "payment_closed"


@pytest.mark.parametrize("when", ["before authorize", "after authorize"])
def test_a_cancel_during_an_authorization_leaves_no_money_held(orders, tables, provider, order_id, when):
    provider.interrupt(when, lambda: orders.cancel(order_id))
    answer = orders.authorize(order_id)
    assert answer.status_code == 409
    assert answer.json["code"] == "payment_closed"
    assert [charge["released"] for charge in tables.charges()] == [True]


@pytest.mark.parametrize(
    ("when", "movements"), [("before capture", []), ("after capture", ["capture", "cancel"])]
)
def test_a_cancel_that_overtakes_a_capture_wins(orders, tables, provider, order_id, when, movements):
    orders.authorize(order_id)
    provider.interrupt(when, lambda: orders.cancel(order_id))
    answer = orders.capture(order_id)
    assert answer.status_code == 409
    assert answer.json["code"] == "payment_closed"
    assert tables.movements() == movements
    assert set(tables.balances().values()) <= {0}
    (charge,) = tables.charges()
    assert charge["released"]
    assert charge["amount_captured"] == charge["amount_refunded"]


@pytest.mark.parametrize("when", ["before release", "after release"])
def test_a_capture_during_a_cancel_is_refused(orders, tables, provider, order_id, when):
    orders.authorize(order_id)
    late = []
    provider.interrupt(when, lambda: late.append(orders.capture(order_id)))
    assert orders.cancel(order_id).json["status"] == "canceled"
    assert [answer.json["code"] for answer in late] == ["payment_closed"]
    assert tables.movements() == []


@pytest.mark.parametrize(("step", "call"), [("capture", "capture"), ("cancel", "release")])
def test_a_provider_that_ignores_a_request_is_reported_as_unavailable(
    orders, provider, order_id, monkeypatch, step, call
):
    orders.authorize(order_id)
    monkeypatch.setattr(provider, call, provider.find)
    answer = getattr(orders, step)(order_id)
    assert answer.status_code == 503
    assert answer.json["code"] == "provider_unavailable"
    monkeypatch.undo()
    assert getattr(orders, step)(order_id).status_code == 200


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", ["capture", "cancel"])
def test_a_payment_left_processing_by_a_crash_can_be_captured_and_canceled(
    orders, tables, provider, order_id, moment, step
):
    provider.lose_response(f"{moment} authorize")
    orders.authorize(order_id)
    answer = getattr(orders, step)(order_id)
    assert answer.json["status"] == {"capture": "succeeded", "cancel": "canceled"}[step]
    (charge,) = tables.charges()
    assert charge["released"] == (step == "cancel")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_retry_records_a_capture_whose_response_was_lost(orders, tables, provider, order_id, moment):
    orders.authorize(order_id)
    provider.lose_response(f"{moment} capture")
    assert orders.capture(order_id).status_code == 503
    assert tables.movements() == []
    assert orders.capture(order_id).json["amount_captured"] == 1299
    assert tables.movements() == ["capture"]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_retry_records_a_cancel_whose_response_was_lost(orders, tables, provider, order_id, moment):
    orders.authorize(order_id)
    orders.capture(order_id)
    provider.lose_response(f"{moment} release")
    assert orders.cancel(order_id).status_code == 503
    assert orders.cancel(order_id).json["amount_refunded"] == 1299
    assert tables.movements() == ["capture", "cancel"]
    assert tables.balances() == {"receivable": 0, "sales": 0}
