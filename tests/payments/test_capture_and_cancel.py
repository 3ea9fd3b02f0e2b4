"""Capturing and canceling: the money moves once in each direction, whoever asks and how often."""

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from payments.errors import ProviderUnavailable
from tests.waiting import wait_for


def refuse():
    raise ProviderUnavailable


def at_once(*calls):
    together = threading.Barrier(len(calls))

    def run(call):
        together.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_a_capture_takes_the_money_and_books_it_twice(orders, books, order_id):
    authorized = orders.authorize(order_id).json
    answer = orders.capture(order_id)
    assert answer.status_code == 200
    assert answer.json == {**authorized, "status": "succeeded", "amount_captured": 1299}
    assert books.movements() == ["capture"]
    assert books.balances() == {"receivable": 1299, "sales": -1299}
    assert [charge["amount_captured"] for charge in books.charges()] == [1299]


def test_capturing_twice_books_once(orders, books, provider, order_id):
    orders.authorize(order_id)
    assert orders.capture(order_id).json == orders.capture(order_id).json
    assert books.movements() == ["capture"]
    assert provider.calls == ["authorize", "capture"]


def test_ten_captures_at_once_book_once(orders, books, order_id):
    orders.authorize(order_id)
    answers = at_once(*[lambda: orders.capture(order_id)] * 10)
    assert {answer.json["status"] for answer in answers} == {"succeeded"}
    assert books.movements() == ["capture"]


def test_answers_that_are_recorded_at_the_same_moment_are_recorded_one_after_the_other(
    orders, settings, books, order_id
):
    orders.authorize(order_id)
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with ThreadPoolExecutor(3) as pool, psycopg.connect(settings.database_url) as connection:
        connection.execute("SELECT FROM payments FOR UPDATE")
        answers = [pool.submit(orders.capture, order_id) for _ in range(3)]
        wait_for(lambda: len(books.read(waiting)) == 3)
    assert [answer.result().status_code for answer in answers] == [200] * 3
    assert books.movements() == ["capture"]


def test_authorizing_after_the_capture_gives_the_captured_payment(orders, order_id):
    orders.authorize(order_id)
    captured = orders.capture(order_id).json
    assert orders.authorize(order_id).json == captured


def test_an_order_without_a_payment_cannot_be_captured(orders, order_id):
    answer = orders.capture(order_id)
    assert answer.status_code == 404
    assert answer.json["code"] == "payment_not_found"


def test_a_cancel_before_the_capture_voids_and_books_nothing(orders, books, order_id):
    authorized = orders.authorize(order_id).json
    assert orders.cancel(order_id).json == {**authorized, "status": "canceled"}
    assert books.movements() == []
    assert [(charge["released"], charge["amount_captured"]) for charge in books.charges()] == [(True, 0)]


def test_a_cancel_after_the_capture_refunds_exactly_once_and_the_ledger_comes_to_zero(
    orders, books, provider, order_id
):
    orders.authorize(order_id)
    captured = orders.capture(order_id).json
    for _ in range(3):
        answer = orders.cancel(order_id)
        assert answer.status_code == 200
        assert answer.json == {**captured, "status": "canceled", "amount_refunded": 1299}
    assert books.movements() == ["capture", "cancel"]
    assert books.balances() == {"receivable": 0, "sales": 0}
    assert [charge["amount_refunded"] for charge in books.charges()] == [1299]
    assert provider.calls == ["authorize", "capture", "release"]


def test_ten_cancels_at_once_refund_once(orders, books, order_id):
    orders.authorize(order_id)
    orders.capture(order_id)
    answers = at_once(*[lambda: orders.cancel(order_id)] * 10)
    assert {answer.json["amount_refunded"] for answer in answers} == {1299}
    assert books.movements() == ["capture", "cancel"]


@pytest.mark.parametrize("step", ["authorize", "capture"])
def test_after_a_cancel_the_payment_is_closed(orders, books, order_id, step):
    orders.authorize(order_id)
    orders.cancel(order_id)
    answer = getattr(orders, step)(order_id)
    assert answer.status_code == 409
    assert answer.json["code"] == "payment_closed"
    assert books.movements() == []


@pytest.mark.parametrize("step", ["authorize", "capture"])
def test_an_unknown_order_that_was_canceled_cannot_be_charged_any_more(orders, books, order_id, step):
    for _ in range(2):
        answer = orders.cancel(order_id)
        assert answer.status_code == 200
        assert answer.json == {"status": "canceled"}
    late = getattr(orders, step)(order_id)
    assert late.status_code == 409
    assert late.json["code"] == "payment_closed"
    assert books.charges() == []


def test_a_first_request_and_a_cancel_at_once_leave_no_money_held(orders, books, order_id):
    authorized, canceled = at_once(lambda: orders.authorize(order_id), lambda: orders.cancel(order_id))
    assert authorized.status_code in {200, 409}
    assert canceled.json["status"] == "canceled"
    assert all(charge["released"] for charge in books.charges())
    assert orders.capture(order_id).json["code"] == "payment_closed"


@pytest.mark.parametrize("when", ["before authorize", "after authorize"])
def test_a_cancel_while_the_provider_is_being_asked_leaves_no_money_held(
    orders, books, provider, order_id, when
):
    provider.interrupt(when, lambda: orders.cancel(order_id))
    answer = orders.authorize(order_id)
    assert answer.status_code == 409
    assert answer.json["code"] == "payment_closed"
    assert [charge["released"] for charge in books.charges()] == [True]


@pytest.mark.parametrize(
    ("when", "booked"), [("before capture", []), ("after capture", ["capture", "cancel"])]
)
def test_a_cancel_that_overtakes_a_capture_wins(orders, books, provider, order_id, when, booked):
    orders.authorize(order_id)
    provider.interrupt(when, lambda: orders.cancel(order_id))
    answer = orders.capture(order_id)
    assert answer.status_code == 409
    assert answer.json["code"] == "payment_closed"
    assert books.movements() == booked
    assert set(books.balances().values()) <= {0}
    (charge,) = books.charges()
    assert charge["released"]
    assert charge["amount_captured"] == charge["amount_refunded"]


@pytest.mark.parametrize("when", ["before release", "after release"])
def test_a_capture_that_comes_during_a_cancel_is_refused(orders, books, provider, order_id, when):
    orders.authorize(order_id)
    late = []
    provider.interrupt(when, lambda: late.append(orders.capture(order_id)))
    assert orders.cancel(order_id).json["status"] == "canceled"
    assert [answer.json["code"] for answer in late] == ["payment_closed"]
    assert books.movements() == []


@pytest.mark.parametrize(("step", "call"), [("capture", "capture"), ("cancel", "release")])
def test_a_provider_that_does_not_do_as_it_was_asked_is_not_believed(
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
    orders, books, provider, order_id, moment, step
):
    provider.interrupt(f"{moment} authorize", refuse)
    orders.authorize(order_id)
    answer = getattr(orders, step)(order_id)
    assert answer.json["status"] == {"capture": "succeeded", "cancel": "canceled"}[step]
    (charge,) = books.charges()
    assert charge["released"] == (step == "cancel")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_capture_whose_answer_was_lost_is_booked_by_the_next_one(orders, books, provider, order_id, moment):
    orders.authorize(order_id)
    provider.interrupt(f"{moment} capture", refuse)
    assert orders.capture(order_id).status_code == 503
    assert books.movements() == []
    assert orders.capture(order_id).json["amount_captured"] == 1299
    assert books.movements() == ["capture"]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_refund_whose_answer_was_lost_is_booked_by_the_next_cancel(
    orders, books, provider, order_id, moment
):
    orders.authorize(order_id)
    orders.capture(order_id)
    provider.interrupt(f"{moment} release", refuse)
    assert orders.cancel(order_id).status_code == 503
    assert orders.cancel(order_id).json["amount_refunded"] == 1299
    assert books.movements() == ["capture", "cancel"]
    assert books.balances() == {"receivable": 0, "sales": 0}
