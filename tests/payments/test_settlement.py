"""Captures of many orders by one call: each has an outcome of its own, and none holds another one up."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from payments.errors import ProviderUnavailable
from payments.use_cases import settlement
from shared.batches import MOST_ORDERS
from shared.ids import new_id
from tests.waiting import wait_for

DONE = ("done", None)


@pytest.fixture
def held(orders):
    """Authorize so many payments; return their orders' ids."""

    def hold(count, **changes):
        order_ids = [new_id() for _ in range(count)]
        for order_id in order_ids:
            # A provider that fails at each step fails once.
            answers = (orders.authorize(order_id, **changes).status_code for _ in range(2))
            assert 200 in answers
        return order_ids

    return hold


def refuse():
    raise ProviderUnavailable


def test_the_money_of_all_is_taken_by_one_call_and_booked_once(orders, books, provider, held):
    order_ids = held(5)
    provider.calls.clear()
    assert orders.capture_together(*order_ids, order_ids[0]) == dict.fromkeys(order_ids, DONE)
    assert provider.calls == ["capture together"]
    assert books.movements() == ["capture"] * 5
    assert books.balances() == {"receivable": 5 * 1299, "sales": -5 * 1299}
    rows = books.read("SELECT DISTINCT status, amount_captured, look_at FROM payments")
    assert rows == [{"status": "succeeded", "amount_captured": 1299, "look_at": None}]
    assert orders.capture_together(*order_ids) == dict.fromkeys(order_ids, DONE)
    assert provider.calls == ["capture together"]
    assert len(books.movements()) == 5


def test_each_kind_of_order_has_its_own_outcome_beside_the_others(orders, books, held):
    plain = held(3)
    [cancelled] = held(1)
    orders.cancel(cancelled)
    [refused] = held(1, payment_method="pm_fault_captureRefused")
    [dropped] = held(1, payment_method="pm_fault_webhookTwice")
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
        dropped,
        plain[2],
    ]
    assert orders.capture_together(*order_ids) == {
        **dict.fromkeys([*plain, dropped], DONE),
        cancelled: ("refused", "payment_closed"),
        refused: ("refused", "capture_failed"),
        declined: ("refused", "payment_unexpected_state"),
        closed: ("refused", "payment_closed"),
        waiting: ("refused", "payment_unexpected_state"),
        unknown: ("refused", "payment_not_found"),
    }
    assert books.movements() == ["capture"] * 4


@pytest.mark.parametrize("when", ["before capture together", "after capture together"])
def test_a_batch_whose_answer_was_lost_is_asked_for_again_with_no_harm(orders, books, provider, held, when):
    order_ids = held(3)
    provider.interrupt(when, refuse)
    # What the provider does not do together, it does one by one.
    assert orders.capture_together(*order_ids) == dict.fromkeys(order_ids, DONE)
    assert orders.capture_together(*order_ids) == dict.fromkeys(order_ids, DONE)
    assert books.movements() == ["capture"] * 3
    assert [charge["amount_captured"] for charge in books.charges()] == [1299] * 3


def test_a_provider_that_is_silent_for_one_holds_no_other_up(orders, books, provider, held, monkeypatch):
    monkeypatch.setattr(settlement, "DEADLINE", 0.3)
    plain = held(2)
    silent, other = held(2, payment_method="pm_fault_webhookTwice")
    answers = threading.Event()
    provider.interrupt("before capture", lambda: answers.wait(10))
    began = time.monotonic()
    outcomes = orders.capture_together(silent, *plain, other)
    assert time.monotonic() - began < 5
    assert sorted(outcomes.values()) == [DONE, DONE, DONE, ("pending", "provider_unavailable")]
    answers.set()
    # What was begun goes on, and whoever asks again learns of it.
    wait_for(lambda: set(orders.capture_together(silent, *plain, other).values()) == {DONE})
    assert books.movements() == ["capture"] * 4


def test_a_provider_that_is_away_leaves_every_order_to_be_asked_for_again(orders, books, held):
    order_ids = held(2, payment_method="pm_fault_error500")
    outcomes = orders.capture_together(*order_ids)
    assert outcomes == dict.fromkeys(order_ids, ("pending", "provider_unavailable"))
    assert books.movements() == []
    assert orders.capture_together(*order_ids) == dict.fromkeys(order_ids, DONE)


def test_a_cancel_in_the_middle_of_a_batch_wins(orders, books, provider, held):
    order_ids = held(3)
    provider.interrupt("after capture together", lambda: orders.cancel(order_ids[1]))
    outcomes = orders.capture_together(*order_ids)
    assert outcomes == {
        order_ids[0]: DONE,
        order_ids[1]: ("refused", "payment_closed"),
        order_ids[2]: DONE,
    }
    assert books.balances() == {"receivable": 2 * 1299, "sales": -2 * 1299}


def test_a_look_that_was_asked_for_meanwhile_is_kept(orders, books, provider, held):
    [order_id] = held(1)
    look = "UPDATE payments SET look_at = now()"
    provider.interrupt("after capture together", lambda: books.write(look))
    assert orders.capture_together(order_id) == {order_id: DONE}
    assert books.payment()["look_at"] is not None


def test_batches_of_the_same_orders_at_once_take_the_money_once(orders, books, held):
    order_ids = held(20)
    together = threading.Barrier(4)

    def capture(number):
        together.wait()
        return orders.capture_together(*(order_ids if number % 2 else reversed(order_ids)))

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(capture, range(4)))
    assert outcomes == [dict.fromkeys(order_ids, DONE)] * 4
    assert books.movements() == ["capture"] * 20


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
def test_a_batch_that_is_none_is_refused(orders, body):
    client = orders.app.test_client()
    answer = client.post("/internal/payments/capture", json=body, headers=orders.headers)
    assert (answer.status_code, answer.json["code"]) == (422, "validation_failed")
