"""Batch captures: each order has its own outcome, and a slow order does not delay the others."""

import threading
import time
from functools import partial

import pytest

from payments.use_cases import batch_captures
from shared.batches import MOST_ORDERS
from shared.ids import new_id
from tests.payments.conftest import run_concurrently
from tests.waiting import wait_for

DONE = ("done", None)


@pytest.fixture
def held(orders):
    """Authorize payments; return the ids of their orders."""

    def hold(count, **changes):
        order_ids = [new_id() for _ in range(count)]
        for order_id in order_ids:
            # A simulated fault occurs once per step.
            answers = (orders.authorize(order_id, **changes).status_code for _ in range(2))
            assert 200 in answers
        return order_ids

    return hold


def test_one_call_captures_all_payments_once(orders, tables, provider, held):
    order_ids = held(5)
    provider.calls.clear()
    assert orders.capture_batch(*order_ids, order_ids[0]) == dict.fromkeys(order_ids, DONE)
    assert provider.calls == ["capture batch"]
    assert tables.movements() == ["capture"] * 5
    assert tables.balances() == {"receivable": 5 * 1299, "sales": -5 * 1299}
    rows = tables.read("SELECT DISTINCT status, amount_captured, look_at FROM payments")
    assert rows == [{"status": "succeeded", "amount_captured": 1299, "look_at": None}]
    assert orders.capture_batch(*order_ids) == dict.fromkeys(order_ids, DONE)
    assert provider.calls == ["capture batch"]
    assert len(tables.movements()) == 5


def test_each_kind_of_order_has_its_own_outcome(orders, tables, held):
    plain = held(3)
    [cancelled] = held(1)
    orders.cancel(cancelled)
    [refused] = held(1, payment_method="pm_fault_captureRefused")
    [single] = held(1, payment_method="pm_fault_webhookTwice")
    [waiting] = held(1, payment_method="pm_card_authenticationRequired")
    declined, closed, unknown = (new_id() for _ in range(3))
    assert orders.authorize(declined, payment_method="pm_card_chargeDeclined").status_code == 402
    orders.cancel(closed)
    order_ids = [
        unknown,
        plain[0],
        cancelled,
        refused,
        plain[1],
        declined,
        closed,
        waiting,
        single,
        plain[2],
    ]
    assert orders.capture_batch(*order_ids) == {
        **dict.fromkeys([*plain, single], DONE),
        cancelled: ("refused", "payment_closed"),
        refused: ("refused", "capture_failed"),
        declined: ("refused", "payment_unexpected_state"),
        closed: ("refused", "payment_closed"),
        waiting: ("refused", "payment_unexpected_state"),
        unknown: ("refused", "payment_not_found"),
    }
    assert tables.movements() == ["capture"] * 4


@pytest.mark.parametrize("when", ["before capture batch", "after capture batch"])
def test_a_batch_whose_response_was_lost_is_captured_one_by_one(orders, tables, provider, held, when):
    order_ids = held(3)
    provider.lose_response(when)
    assert orders.capture_batch(*order_ids) == dict.fromkeys(order_ids, DONE)
    assert orders.capture_batch(*order_ids) == dict.fromkeys(order_ids, DONE)
    assert tables.movements() == ["capture"] * 3
    assert [charge["amount_captured"] for charge in tables.charges()] == [1299] * 3


def test_a_capture_without_a_response_does_not_delay_the_others(orders, tables, provider, held, monkeypatch):
    monkeypatch.setattr(batch_captures, "DEADLINE", 0.3)
    plain = held(2)
    silent, fast = held(2, payment_method="pm_fault_webhookTwice")
    response = threading.Event()
    provider.interrupt("before capture", lambda: response.wait(10))
    began = time.monotonic()
    outcomes = orders.capture_batch(silent, *plain, fast)
    assert time.monotonic() - began < 5
    assert sorted(outcomes.values()) == [DONE, DONE, DONE, ("pending", "provider_unavailable")]
    response.set()
    # The pending capture continues, and a retry returns its outcome.
    wait_for(lambda: set(orders.capture_batch(silent, *plain, fast).values()) == {DONE})
    assert tables.movements() == ["capture"] * 4


def test_an_unavailable_provider_leaves_every_order_pending(orders, tables, held):
    order_ids = held(2, payment_method="pm_fault_error500")
    outcomes = orders.capture_batch(*order_ids)
    assert outcomes == dict.fromkeys(order_ids, ("pending", "provider_unavailable"))
    assert tables.movements() == []
    assert orders.capture_batch(*order_ids) == dict.fromkeys(order_ids, DONE)


def test_a_cancel_during_a_batch_wins(orders, tables, provider, held):
    order_ids = held(3)
    provider.interrupt("after capture batch", lambda: orders.cancel(order_ids[1]))
    outcomes = orders.capture_batch(*order_ids)
    assert outcomes == {
        order_ids[0]: DONE,
        order_ids[1]: ("refused", "payment_closed"),
        order_ids[2]: DONE,
    }
    assert tables.balances() == {"receivable": 2 * 1299, "sales": -2 * 1299}


def test_a_check_that_was_scheduled_during_a_batch_is_kept(orders, tables, provider, held):
    [order_id] = held(1)
    provider.interrupt("after capture batch", lambda: tables.write("UPDATE payments SET look_at = now()"))
    assert orders.capture_batch(order_id) == {order_id: DONE}
    assert tables.payment()["look_at"] is not None


def test_concurrent_batches_of_the_same_orders_capture_once(orders, tables, held):
    order_ids = held(20)
    batches = [order_ids, order_ids[::-1]] * 2
    outcomes = run_concurrently(*(partial(orders.capture_batch, *batch) for batch in batches))
    assert outcomes == [dict.fromkeys(order_ids, DONE)] * 4
    assert tables.movements() == ["capture"] * 20


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"orders": []},
        {"orders": ["x"]},
        {"orders": None},
        {"orders": [str(new_id())] * (MOST_ORDERS + 1)},
    ],
)
def test_an_invalid_batch_is_refused(orders, body):
    client = orders.app.test_client()
    answer = client.post("/internal/payments/capture", json=body, headers=orders.headers)
    assert (answer.status_code, answer.json["code"]) == (422, "validation_failed")
