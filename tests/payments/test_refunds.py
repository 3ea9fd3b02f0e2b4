"""Refunds: a part of the money goes back once, whoever asks and how often, and never more than was taken."""

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from payments.domain import RefundStatus
from payments.errors import ProviderUnavailable, RefundFailed
from payments.use_cases import sweep
from shared.ids import new_id
from tests.waiting import wait_for


def drop_line():
    raise ProviderUnavailable


@pytest.fixture
def paid(orders, order_id):
    """An order whose 1299 were captured."""
    orders.authorize(order_id)
    orders.capture(order_id)
    return order_id


def assert_books_agree(books, refunded):
    payment = books.payment()
    assert payment["amount_refunded"] == refunded
    assert payment["amount_refunding"] == 0
    (charge,) = books.charges()
    assert charge["amount_refunded"] == refunded
    left = payment["amount_captured"] - refunded
    assert books.balances() == {"receivable": left, "sales": -left}
    booked = [row["key"] for row in books.read("SELECT key FROM simulated_refunds")]
    succeeded = [
        str(row["id"])
        for row in books.read("SELECT id FROM refunds WHERE status = %s", RefundStatus.SUCCEEDED)
    ]
    assert sorted(booked) == sorted(succeeded)


def test_a_part_is_refunded_and_booked_on_both_sides(orders, books, paid):
    refund_id = new_id()
    answer = orders.refund(paid, 300, refund_id)
    assert answer.status_code == 200
    payment = orders.find(paid).json
    assert answer.json == {"id": str(refund_id), "amount": 300, "status": "succeeded", "payment": payment}
    assert payment["status"] == "succeeded"
    assert payment["amount_refunded"] == 300
    assert books.movements() == ["capture", f"refund:{refund_id}"]
    assert_books_agree(books, 300)


def test_the_same_refund_again_gives_the_same_answer_and_nothing_more(orders, books, provider, paid):
    refund_id = new_id()
    first = orders.refund(paid, 300, refund_id)
    assert orders.refund(paid, 300, refund_id).json == first.json
    assert provider.calls.count("refund") == 1
    assert_books_agree(books, 300)


def test_a_refund_whose_money_went_back_later_with_a_cancel_is_still_answered(orders, books, paid):
    refund_id = new_id()
    orders.refund(paid, 300, refund_id)
    orders.cancel(paid)
    assert orders.refund(paid, 300, refund_id).status_code == 200


def test_the_same_refund_of_another_amount_is_a_conflict(orders, books, paid):
    refund_id = new_id()
    orders.refund(paid, 300, refund_id)
    answer = orders.refund(paid, 301, refund_id)
    assert (answer.status_code, answer.json["code"]) == (409, "refund_conflict")
    assert_books_agree(books, 300)


def test_the_same_refund_for_another_order_is_a_conflict(orders, paid):
    refund_id, other = new_id(), new_id()
    orders.refund(paid, 300, refund_id)
    orders.authorize(other)
    orders.capture(other)
    answer = orders.refund(other, 300, refund_id)
    assert (answer.status_code, answer.json["code"]) == (409, "refund_conflict")


def test_more_than_is_left_is_refused_and_says_how_much_that_is(orders, books, paid):
    orders.refund(paid, 1000)
    answer = orders.refund(paid, 300)
    assert (answer.status_code, answer.json["code"]) == (409, "refund_exceeds_payment")
    assert answer.json["refundable"] == 299
    assert orders.refund(paid, 299).json["payment"]["status"] == "succeeded"
    assert_books_agree(books, 1299)


def test_refunds_at_once_never_exceed_what_was_captured(orders, books, paid):
    together = threading.Barrier(8)

    def ask(_number):
        together.wait()
        return orders.refund(paid, 500).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(ask, range(8))) == [200, 200, *[409] * 6]
    assert_books_agree(books, 1000)


def test_the_same_refund_at_once_moves_money_once(orders, books, paid):
    refund_id, together = new_id(), threading.Barrier(8)

    def ask(_number):
        together.wait()
        return orders.refund(paid, 500, refund_id).data

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    assert_books_agree(books, 500)


@pytest.mark.parametrize("change", ["amount_refunding = amount_captured + 1", "amount_refunding = -1"])
def test_the_database_itself_refuses_to_set_more_aside_than_was_captured(books, paid, change):
    with pytest.raises(psycopg.errors.CheckViolation):
        books.write(f"UPDATE payments SET {change}")


def test_what_was_not_captured_cannot_be_refunded(orders, order_id):
    assert orders.refund(order_id, 1).json["code"] == "payment_not_found"
    orders.authorize(order_id)
    answer = orders.refund(order_id, 1)
    assert (answer.status_code, answer.json["code"]) == (409, "payment_unexpected_state")


def test_what_was_canceled_cannot_be_refunded_again(orders, books, paid):
    orders.cancel(paid)
    answer = orders.refund(paid, 1)
    assert (answer.status_code, answer.json["code"]) == (409, "payment_closed")
    assert books.balances() == {"receivable": 0, "sales": 0}


def test_an_order_closed_without_a_payment_has_nothing_to_refund(orders, order_id):
    orders.cancel(order_id)
    assert orders.refund(order_id, 1).json["code"] == "payment_closed"


@pytest.mark.parametrize("when", ["before refund", "after refund"])
def test_a_refund_whose_answer_was_lost_is_finished_by_the_next_call(orders, books, provider, paid, when):
    refund_id = new_id()
    provider.interrupt(when, drop_line)
    assert orders.refund(paid, 300, refund_id).status_code == 503
    assert books.payment()["amount_refunding"] == 300
    # What may have gone back already is not promised a second time.
    assert orders.refund(paid, 1000).json["refundable"] == 999
    assert orders.refund(paid, 300, refund_id).status_code == 200
    assert_books_agree(books, 300)


@pytest.mark.parametrize("when", ["before refund", "after refund"])
def test_a_refund_that_was_left_is_finished_by_the_sweep(orders, books, provider, database, paid, when):
    provider.interrupt(when, drop_line)
    orders.refund(paid, 300)
    books.write("UPDATE payments SET look_at = now()")
    sweep.look_after_payments(database, provider, lambda _order: None)
    wait_for(lambda: books.payment()["amount_refunding"] == 0)
    assert_books_agree(books, 300)


@pytest.mark.parametrize("when", ["before refund", "after refund"])
def test_a_cancel_gives_back_what_a_lost_refund_has_not(orders, books, provider, paid, when):
    provider.interrupt(when, drop_line)
    orders.refund(paid, 300)
    assert orders.cancel(paid).json["amount_refunded"] == 1299
    assert books.movements()[-1] == "cancel"
    assert_books_agree(books, 1299)


def test_a_cancel_after_a_partial_refund_gives_the_rest_back(orders, books, paid):
    refund_id = new_id()
    orders.refund(paid, 300, refund_id)
    assert orders.cancel(paid).json["amount_refunded"] == 1299
    assert books.movements() == ["capture", f"refund:{refund_id}", "cancel"]
    assert_books_agree(books, 1299)


def test_a_payment_refunded_to_the_last_cent_can_still_be_canceled(orders, books, paid):
    orders.refund(paid, 1299)
    assert orders.cancel(paid).json["status"] == "canceled"
    assert "cancel" not in books.movements()
    assert_books_agree(books, 1299)


def test_a_refund_that_the_provider_refuses_for_good_frees_what_was_set_aside(orders, books, provider, paid):
    refund_id = new_id()

    def refuse():
        raise RefundFailed("expired_or_canceled_card")

    provider.interrupt("before refund", refuse)
    for _ in range(2):
        answer = orders.refund(paid, 300, refund_id)
        assert (answer.status_code, answer.json["code"]) == (409, "refund_failed")
        assert answer.json["decline_code"] == "expired_or_canceled_card"
    assert orders.refund(paid, 1299).status_code == 200
    assert_books_agree(books, 1299)


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
def test_what_does_not_fit_is_refused_by_field(orders, paid, change, field):
    answer = orders._post(paid, "refunds", json={"refund_id": str(new_id()), "amount": 1, **change})
    assert answer.status_code == 422
    assert [entry["field"] for entry in answer.json["errors"]] == [field]
