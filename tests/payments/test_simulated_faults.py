"""The faults of the simulated provider: each shows itself, and after each the books agree."""

from types import SimpleNamespace

import pytest

from payments.clients import PATIENCE, simulated
from payments.clients.simulated import EVENTS, FAULTS, METHODS, SimulatedProvider
from payments.use_cases import sweep
from tests.payments.conftest import Orders
from tests.waiting import wait_for


@pytest.fixture
def naps(monkeypatch):
    """The seconds that the provider kept its caller waiting, which no test really waits for."""
    seconds = []
    monkeypatch.setattr(simulated, "time", SimpleNamespace(sleep=seconds.append))
    return seconds


def ask_until_it_answers(call):
    """Ask again while the provider does not answer; return the answer, and how often it was asked."""
    for attempt in range(1, 4):
        answer = call()
        if answer.status_code != 503:
            return answer, attempt
    raise AssertionError("A fault showed itself more than once.")


def assert_books_agree(books):
    payment, (charge,) = books.payment(), books.charges()
    names = ["amount", "currency", "decline_code", "amount_captured", "amount_refunded"]
    assert [payment[name] for name in names] == [charge[name] for name in names]
    assert charge["released"] == (payment["status"] == "canceled")
    kept = payment["amount_captured"] - payment["amount_refunded"]
    assert set(books.balances().values()) <= {kept, -kept}


@pytest.mark.parametrize("method", sorted(METHODS - {"pm_fault_captureRefused"}))
def test_with_every_fault_an_order_that_asks_again_comes_to_its_end(orders, books, order_id, naps, method):
    held, _attempts = ask_until_it_answers(lambda: orders.authorize(order_id, payment_method=method))
    assert held.status_code in {200, 402}
    if held.status_code == 200 and held.json["status"] == "requires_capture":
        taken, _attempts = ask_until_it_answers(lambda: orders.capture(order_id))
        assert taken.json["amount_captured"] == 1299
        assert_books_agree(books)
        refund_id = order_id
        ask_until_it_answers(lambda: orders.refund(order_id, 99, refund_id))
        assert_books_agree(books)
    canceled, _attempts = ask_until_it_answers(lambda: orders.cancel(order_id))
    assert canceled.json["status"] == "canceled"
    assert_books_agree(books)
    assert all(seconds <= PATIENCE for seconds in naps)


@pytest.mark.parametrize("method", sorted(FAULTS))
def test_with_every_fault_an_order_that_gives_up_has_nothing_held(orders, books, order_id, naps, method):
    orders.authorize(order_id, payment_method=method)
    canceled, _attempts = ask_until_it_answers(lambda: orders.cancel(order_id))
    assert canceled.json["status"] == "canceled"
    assert [charge["released"] for charge in books.charges()] == [True]
    assert orders.authorize(order_id, payment_method=method).json["code"] == "payment_closed"


def test_one_that_answers_late_has_done_it(orders, books, order_id, naps):
    assert orders.authorize(order_id, payment_method="pm_fault_late").json["status"] == "requires_capture"
    assert naps == [2.5]


@pytest.mark.parametrize(
    ("method", "seconds", "charges"),
    [
        ("pm_fault_never", [PATIENCE], 0),
        ("pm_fault_error500", [0.0], 0),
        ("pm_fault_chargedThenDropped", [0.0], 1),
    ],
)
def test_one_that_does_not_answer_may_or_may_not_have_done_it(
    orders, books, order_id, naps, method, seconds, charges
):
    answer = orders.authorize(order_id, payment_method=method)
    assert (answer.status_code, answer.json["code"]) == (503, "provider_unavailable")
    assert answer.headers["Retry-After"] == "1"
    assert naps == seconds
    assert len(books.charges()) == charges
    assert orders.find(order_id).json["status"] == "processing"


@pytest.mark.parametrize("method", sorted(FAULTS))
def test_a_payment_that_nobody_asks_for_again_is_settled_by_the_sweep(
    orders, books, provider, database, sleepy_orders, order_id, naps, method
):
    if orders.authorize(order_id, payment_method=method).status_code == 200:
        return
    books.write("UPDATE payments SET look_at = now()")
    sweep.look_after_payments(database, provider, sleepy_orders.wake)
    assert orders.find(order_id).json["status"] == "requires_capture"
    assert sleepy_orders.woken == [order_id]
    assert_books_agree(books)


def test_a_capture_that_is_refused_for_good_says_so_each_time_and_can_be_undone(orders, books, order_id):
    orders.authorize(order_id, payment_method="pm_fault_captureRefused")
    for _ in range(2):
        answer = orders.capture(order_id)
        assert (answer.status_code, answer.json["code"]) == (409, "capture_failed")
        assert answer.json["decline_code"] == "capture_refused"
    assert orders.cancel(order_id).json["status"] == "canceled"
    assert_books_agree(books)


@pytest.mark.parametrize("method", sorted(EVENTS))
def test_events_that_come_early_twice_or_out_of_order_change_nothing(
    start_payments, auth, books, monkeypatch, method
):
    monkeypatch.setattr(simulated, "HEAD_START", dict.fromkeys(simulated.HEAD_START, 0.1))
    orders = Orders(start_payments(sweeps=True), auth)
    order_id = "01a204a4-a1ea-7fbf-a31f-bad5a2b507ea"
    assert orders.authorize(order_id, payment_method=method).json["status"] == "requires_capture"
    assert orders.capture(order_id).json["status"] == "succeeded"
    wait_for(lambda: books.payment()["look_at"] is None)
    assert orders.find(order_id).json["status"] == "succeeded"
    assert books.movements() == ["capture"]
    assert_books_agree(books)
    heard = {row["id"].partition(":")[2] for row in books.read("SELECT id FROM provider_events")}
    assert heard == {event for events in EVENTS[method].values() for event in events}


def test_an_event_before_its_answer_lets_the_sweep_record_it_first(
    start_payments, auth, books, database, sleepy_orders, naps
):
    order_id = "01a204a4-a1ea-7fbf-a31f-bad5a2b507ea"
    seen = []

    def notify(_event, payment_id):
        sweep.take_notice(database, f"{payment_id}:held", payment_id=payment_id)
        sweep.look_after_payments(database, provider, sleepy_orders.wake)
        seen.append(books.payment()["status"])

    provider = SimulatedProvider(database, notify)
    orders = Orders(start_payments(provider), auth)
    answer = orders.authorize(order_id, payment_method="pm_fault_webhookBeforeAnswer")
    assert answer.json["status"] == "requires_capture"
    assert seen[-1] == "requires_capture"
    assert set(naps) == {0.5}
    assert_books_agree(books)


def test_a_fault_belongs_to_one_order(orders, naps):
    for order_id in ["01a204a4-a1ea-7fbf-a31f-bad5a2b507ea", "01a204a4-a1ea-7fbf-a31f-bad5a2b507eb"]:
        assert orders.authorize(order_id, payment_method="pm_fault_error500").status_code == 503
        assert orders.authorize(order_id, payment_method="pm_fault_error500").status_code == 200
