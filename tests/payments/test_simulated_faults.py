"""The faults of the simulated provider: each occurs, and leaves payment and charge record consistent."""

from types import SimpleNamespace

import pytest

from payments.clients import TIMEOUT, simulated
from payments.clients.simulated import EVENTS, FAULTS, METHODS, SimulatedProvider
from payments.use_cases import sweep
from tests.payments.conftest import Orders, retry
from tests.waiting import wait_for


@pytest.fixture
def sleeps(monkeypatch):
    """The seconds that the provider would have slept."""
    seconds = []
    monkeypatch.setattr(simulated, "time", SimpleNamespace(sleep=seconds.append))
    return seconds


def assert_records_agree(tables):
    payment, (charge,) = tables.payment(), tables.charges()
    names = ["amount", "currency", "decline_code", "amount_captured", "amount_refunded"]
    assert [payment[name] for name in names] == [charge[name] for name in names]
    assert charge["released"] == (payment["status"] == "canceled")
    kept = payment["amount_captured"] - payment["amount_refunded"]
    assert set(tables.balances().values()) <= {kept, -kept}


@pytest.mark.parametrize("method", sorted(METHODS - {"pm_fault_captureRefused"}))
def test_with_every_fault_an_order_that_retries_completes(orders, tables, order_id, sleeps, method):
    held = retry(lambda: orders.authorize(order_id, payment_method=method))
    assert held.status_code in {200, 402}
    if held.status_code == 200 and held.json["status"] == "requires_capture":
        captured = retry(lambda: orders.capture(order_id))
        assert captured.json["amount_captured"] == 1299
        assert_records_agree(tables)
        refund_id = order_id
        retry(lambda: orders.refund(order_id, 99, refund_id))
        assert_records_agree(tables)
    canceled = retry(lambda: orders.cancel(order_id))
    assert canceled.json["status"] == "canceled"
    assert_records_agree(tables)
    assert all(seconds <= TIMEOUT for seconds in sleeps)


@pytest.mark.parametrize("method", sorted(FAULTS))
def test_with_every_fault_a_canceled_order_has_no_money_held(orders, tables, order_id, sleeps, method):
    orders.authorize(order_id, payment_method=method)
    canceled = retry(lambda: orders.cancel(order_id))
    assert canceled.json["status"] == "canceled"
    assert [charge["released"] for charge in tables.charges()] == [True]
    assert orders.authorize(order_id, payment_method=method).json["code"] == "payment_closed"


def test_a_late_response_reports_an_authorized_payment(orders, tables, order_id, sleeps):
    assert orders.authorize(order_id, payment_method="pm_fault_late").json["status"] == "requires_capture"
    assert sleeps == [2.5]


@pytest.mark.parametrize(
    ("method", "seconds", "charges"),
    [
        ("pm_fault_never", [TIMEOUT], 0),
        ("pm_fault_error500", [0.0], 0),
        ("pm_fault_chargedThenDropped", [0.0], 1),
    ],
)
def test_a_missing_response_leaves_the_payment_processing(
    orders, tables, order_id, sleeps, method, seconds, charges
):
    answer = orders.authorize(order_id, payment_method=method)
    assert (answer.status_code, answer.json["code"]) == (503, "provider_unavailable")
    assert answer.headers["Retry-After"] == "1"
    assert sleeps == seconds
    assert len(tables.charges()) == charges
    assert orders.find(order_id).json["status"] == "processing"


@pytest.mark.parametrize("method", sorted(FAULTS))
def test_the_sweep_completes_a_payment_without_a_retry(
    orders, tables, provider, database, fake_orders, order_id, sleeps, method
):
    if orders.authorize(order_id, payment_method=method).status_code == 200:
        return
    tables.write("UPDATE payments SET look_at = now()")
    sweep.check_due_payments(database, provider, fake_orders.wake)
    assert orders.find(order_id).json["status"] == "requires_capture"
    assert fake_orders.woken == [order_id]
    assert_records_agree(tables)


def test_a_permanently_refused_capture_fails_each_time_and_can_be_canceled(orders, tables, order_id):
    orders.authorize(order_id, payment_method="pm_fault_captureRefused")
    for _ in range(2):
        answer = orders.capture(order_id)
        assert (answer.status_code, answer.json["code"]) == (409, "capture_failed")
        assert answer.json["decline_code"] == "capture_refused"
    assert orders.cancel(order_id).json["status"] == "canceled"
    assert_records_agree(tables)


@pytest.mark.parametrize("method", sorted(EVENTS))
def test_early_repeated_or_unordered_events_change_nothing(start_payments, auth, tables, monkeypatch, method):
    monkeypatch.setattr(simulated, "HEAD_START", dict.fromkeys(simulated.HEAD_START, 0.1))
    orders = Orders(start_payments(sweeps=True), auth)
    order_id = "01a204a4-a1ea-7fbf-a31f-bad5a2b507ea"
    assert orders.authorize(order_id, payment_method=method).json["status"] == "requires_capture"
    assert orders.capture(order_id).json["status"] == "succeeded"
    wait_for(lambda: tables.payment()["look_at"] is None)
    assert orders.find(order_id).json["status"] == "succeeded"
    assert tables.movements() == ["capture"]
    assert_records_agree(tables)
    received = {row["id"].partition(":")[2] for row in tables.read("SELECT id FROM provider_events")}
    assert received == {event for events in EVENTS[method].values() for event in events}


def test_the_sweep_records_the_result_if_the_event_precedes_the_response(
    start_payments, auth, tables, database, fake_orders, sleeps
):
    order_id = "01a204a4-a1ea-7fbf-a31f-bad5a2b507ea"
    seen = []

    def notify(_event, payment_id):
        sweep.handle_event(database, f"{payment_id}:held", payment_id=payment_id)
        sweep.check_due_payments(database, provider, fake_orders.wake)
        seen.append(tables.payment()["status"])

    provider = SimulatedProvider(database, notify)
    orders = Orders(start_payments(provider), auth)
    answer = orders.authorize(order_id, payment_method="pm_fault_webhookBeforeAnswer")
    assert answer.json["status"] == "requires_capture"
    assert seen[-1] == "requires_capture"
    assert set(sleeps) == {0.5}
    assert_records_agree(tables)


def test_a_fault_affects_each_order_once(orders, sleeps):
    for order_id in ["01a204a4-a1ea-7fbf-a31f-bad5a2b507ea", "01a204a4-a1ea-7fbf-a31f-bad5a2b507eb"]:
        assert orders.authorize(order_id, payment_method="pm_fault_error500").status_code == 503
        assert orders.authorize(order_id, payment_method="pm_fault_error500").status_code == 200
