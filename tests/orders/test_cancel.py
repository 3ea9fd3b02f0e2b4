"""Cancelling refunds the payment and releases the stock at any step of the order."""

import threading

import pytest

from tests.orders.conftest import Buyer, read_kinds, read_status, run_sql
from tests.waiting import wait_for


def cancel(buyer, location):
    return buyer.post(f"{location}/cancel")


def test_a_customer_cancels_a_paid_order_which_is_refunded_and_restocked(buyer, paid, catalog, payments):
    answer = cancel(buyer, paid)
    assert answer.status_code == 200
    assert (answer.json["status"], answer.json["reason"]) == ("cancelled", "cancelled_by_customer")
    assert answer.json["amount_refunded"] == 2000
    assert answer.json["payment"]["status"] == "canceled"
    assert catalog.stock[1] == 100
    assert read_kinds(buyer, paid)[-3:] == ["cancel_requested", "payment_cancelled", "cancelled"]


def test_cancelling_again_changes_nothing(buyer, paid, payments):
    first, again = cancel(buyer, paid), cancel(buyer, paid)
    assert (again.status_code, again.json) == (200, first.json)
    assert payments.calls.count("cancel") == 1


def test_an_admin_cancels_a_customers_order(buyer, admin, paid):
    assert cancel(admin, paid).json["reason"] == "cancelled_by_admin"
    assert read_status(buyer, paid) == "cancelled"


def test_cancelling_another_customers_order_is_404(app, auth, paid, buyer):
    answer = cancel(Buyer(app, auth, "bob"), paid)
    assert (answer.status_code, answer.json["code"]) == (404, "order_not_found")
    assert read_status(buyer, paid) == "paid"


def test_a_shipped_order_cannot_be_cancelled(buyer, admin, paid):
    for move in ("ship", "deliver"):
        assert admin.post(f"{paid}/{move}").status_code == 200
        answer = cancel(buyer, paid)
        assert (answer.status_code, answer.json["code"]) == (409, "order_not_cancellable"), move


def test_cancelling_a_failed_order_keeps_its_reason(buyer):
    order_id = buyer.order(card="pm_card_chargeDeclined").json["order_id"]
    answer = cancel(buyer, f"/orders/{order_id}")
    assert (answer.status_code, answer.json["reason"]) == (200, "payment_declined")


@pytest.mark.parametrize("step", ["commit", "capture"])
def test_a_confirmed_order_that_cannot_be_settled_is_cancelled(buyer, catalog, payments, step):
    catalog.is_away, payments.is_away = {step}, {step}
    location = buyer.order().headers["Location"]
    assert cancel(buyer, location).json["status"] == "cancelled"
    assert catalog.stock[1] == 100
    assert payments.calls[-1] == "cancel"


@pytest.mark.parametrize("step", ["reserve", "authorize"])
def test_a_pending_order_is_undone_its_payment_first(buyer, catalog, payments, step):
    catalog.is_away, payments.is_away = {step}, {step}
    location = buyer.order().headers["Location"]
    taken = []
    catalog.before = payments.before = taken.append
    assert cancel(buyer, location).status_code == 200
    assert [call for call in taken if call in {"cancel", "release"}] == ["cancel", "release"]
    assert catalog.stock[1] == 100


class Pause:
    """Blocks the first call of a step until `go_on` is set."""

    def __init__(self, step):
        self.step, self.reached, self.go_on = step, threading.Event(), threading.Event()

    def __call__(self, name):
        if name == self.step and not self.reached.is_set():
            self.reached.set()
            self.go_on.wait(10)


@pytest.mark.parametrize("step", ["reserve", "authorize"])
def test_a_call_whose_order_is_cancelled_during_the_checkout_gets_409(
    start_orders, auth, catalog, payments, step
):
    pause = Pause(step)
    catalog.before = payments.before = pause
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(Buyer(start_orders(), auth, "ada").order()))
    waiting.start()
    assert pause.reached.wait(10)
    other = Buyer(start_orders(), auth, "ada")
    location = f"/orders/{other.get('/orders').json['data'][0]['id']}"
    assert cancel(other, location).status_code == 200
    pause.go_on.set()
    waiting.join()
    assert (answers[0].status_code, answers[0].json["code"]) == (409, "order_cancelled")
    assert location.endswith(answers[0].json["order_id"])
    assert answers[0].headers["Location"] == location
    again = other.order()
    assert (again.status_code, again.data) == (409, answers[0].data)
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_call_whose_order_is_cancelled_waits_for_the_end_of_the_cancellation(
    start_orders, auth, catalog, payments
):
    authorizing, undoing = Pause("authorize"), Pause("cancel")

    def pause_both(name):
        authorizing(name)
        undoing(name)

    payments.before = pause_both
    answers, other = [], Buyer(start_orders(), auth, "ada")
    waiting = threading.Thread(target=lambda: answers.append(Buyer(start_orders(), auth, "ada").order()))
    waiting.start()
    assert authorizing.reached.wait(10)
    location = f"/orders/{other.get('/orders').json['data'][0]['id']}"
    cancelling = threading.Thread(target=lambda: cancel(other, location))
    cancelling.start()
    assert undoing.reached.wait(10)
    authorizing.go_on.set()
    # The call has lost its lease, and gets no answer before the cancellation is done.
    waiting.join(0.2)
    assert answers == []
    undoing.go_on.set()
    waiting.join()
    cancelling.join()
    assert (answers[0].status_code, answers[0].json["code"]) == (409, "order_cancelled")


@pytest.mark.parametrize("step", ["commit", "capture"])
def test_a_replica_in_the_middle_of_a_step_records_nothing_after_a_cancellation(
    start_orders, auth, catalog, payments, step
):
    pause = Pause(step)
    catalog.before = payments.before = pause
    buyer = Buyer(start_orders(), auth, "ada")
    location = buyer.order().headers["Location"]
    assert pause.reached.wait(10)
    assert cancel(buyer, location).json["status"] == "cancelled"
    kinds = read_kinds(buyer, location)
    pause.go_on.set()
    wait_for(lambda: (catalog.calls + payments.calls).count(step) == 1)
    other = Buyer(start_orders(), auth, "ada")
    assert read_status(other, location) == "cancelled"
    assert read_kinds(other, location) == kinds


@pytest.mark.usefixtures("quick_retries")
def test_an_unfinished_cancellation_is_202_and_finishes_in_the_background(buyer, paid, payments, monkeypatch):
    monkeypatch.setattr("orders.use_cases.changes.LONGEST", 0.02)
    payments.is_away = {"cancel"}
    answer = cancel(buyer, paid)
    assert (answer.status_code, answer.json["status"]) == (202, "paid")
    assert cancel(buyer, paid).status_code == 202
    payments.is_away = set()
    wait_for(lambda: read_status(buyer, paid) == "cancelled")
    assert read_kinds(buyer, paid).count("cancel_requested") == 1


@pytest.mark.usefixtures("quick_retries")
def test_an_order_keeps_its_status_until_its_payment_is_cancelled(buyer, paid, payments, monkeypatch):
    monkeypatch.setattr("orders.use_cases.changes.LONGEST", 0.02)
    cancel_payment, settled = payments.cancel, threading.Event()

    def cancel_slowly(order_id):
        payment = cancel_payment(order_id)
        return payment if settled.is_set() else type(payment)(payment.id, "processing")

    payments.cancel = cancel_slowly
    assert cancel(buyer, paid).json["status"] == "paid"
    wait_for(lambda: payments.calls.count("cancel") > 2)
    assert read_status(buyer, paid) == "paid"
    settled.set()
    wait_for(lambda: read_status(buyer, paid) == "cancelled")


def test_twenty_concurrent_cancellations_take_effect_once(app, auth, paid, catalog, database):
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(cancel(Buyer(app, auth, "ada"), paid)))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.json["status"] for answer in answers} == {"cancelled"}
    assert catalog.stock[1] == 100
    kinds = run_sql(database, "SELECT kind, count(*) FROM order_events GROUP BY kind HAVING count(*) > 1")
    assert kinds == []


def test_an_order_that_is_being_cancelled_cannot_be_shipped_or_refunded(
    buyer, admin, paid, payments, monkeypatch
):
    monkeypatch.setattr("orders.use_cases.changes.LONGEST", 0.02)
    payments.is_away = {"cancel"}
    cancel(buyer, paid)
    assert admin.post(f"{paid}/ship").json["code"] == "order_not_shippable"
    answer = admin.call("POST", f"{paid}/refund", key="k", json={})
    assert answer.json["code"] == "order_not_refundable"
