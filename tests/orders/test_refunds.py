"""Refunds never exceed the captured amount, and happen once per Idempotency-Key."""

import threading

import pytest

from orders.errors import CheckoutRefused
from tests.orders.conftest import Buyer, read_kinds, read_status, run_sql
from tests.waiting import wait_for

UNKNOWN = "/orders/00000000-0000-7000-8000-000000000000"


def refund(admin, location, key="refund", **body):
    return admin.call("POST", f"{location}/refund", key=key, json=body)


def refunded(payments):
    return [payment["refunded"] for payment in payments.payments.values()]


def test_a_refund_without_an_amount_is_a_full_refund(buyer, admin, paid, catalog, payments):
    answer = refund(admin, paid)
    assert answer.status_code == 200
    assert (answer.json["status"], answer.json["amount_refunded"]) == ("refunded", 2000)
    assert refunded(payments) == [2000]
    assert catalog.stock[1] == 98
    assert read_kinds(buyer, paid)[-2:] == ["refund_requested", "refunded"]
    assert buyer.get(f"{paid}/events").json["data"][-1]["detail"] == "2000 USD"


@pytest.mark.parametrize("moves", [[], ["ship"], ["ship", "deliver"]])
def test_a_partial_refund_keeps_the_status_and_the_remainder_makes_it_refunded(admin, paid, moves, payments):
    for move in moves:
        admin.post(f"{paid}/{move}")
    before = read_status(admin, paid)
    answer = refund(admin, paid, "first", amount=500)
    assert (answer.json["status"], answer.json["amount_refunded"]) == (before, 500)
    answer = refund(admin, paid, "second")
    assert (answer.json["status"], answer.json["amount_refunded"]) == ("refunded", 2000)
    assert refunded(payments) == [2000]


def test_a_refund_with_restock_returns_the_units(buyer, admin, paid, catalog):
    refund(admin, paid, "first", amount=500)
    answer = refund(admin, paid, "second", amount=1500, restock=True)
    assert answer.json["status"] == "refunded"
    assert catalog.stock[1] == 100
    assert read_kinds(buyer, paid)[-2:] == ["refunded", "restocked"]


def test_restocking_needs_a_full_refund(admin, paid, payments):
    answer = refund(admin, paid, amount=500, restock=True)
    assert (answer.status_code, answer.json["code"]) == (409, "restock_needs_full_refund")
    assert payments.refunds == {}


def test_more_than_the_remainder_is_refused_and_does_not_take_the_key(admin, paid):
    refund(admin, paid, "first", amount=500)
    answer = refund(admin, paid, "second", amount=1501)
    assert (answer.status_code, answer.json["code"]) == (409, "refund_exceeds_order")
    assert answer.json["refundable"] == 1500
    assert refund(admin, paid, "second", amount=1500).json["status"] == "refunded"


def test_an_amount_beyond_a_bigint_is_refused_like_any_other(admin, paid):
    codes = [refund(admin, paid, amount=amount).json["code"] for amount in (2**63, 10**40)]
    assert codes == ["refund_exceeds_order"] * 2


def test_an_invalid_body_is_refused(admin, paid, payments):
    amounts, restocks = (0, -1, 1.5, True, "5"), (7, 1, "no")
    bodies = [{"amount": amount} for amount in amounts] + [{"restock": restock} for restock in restocks]
    answers = [(body, refund(admin, paid, **body)) for body in [*bodies, {"to": "me"}]]
    codes = [(body, answer.status_code, answer.json["code"]) for body, answer in answers]
    assert [code for code in codes if code[1:] != (422, "validation_failed")] == []
    assert payments.refunds == {}
    assert refund(admin, paid, amount=5.0).json["amount_refunded"] == 5


def test_a_refunded_order_cannot_be_refunded_again(admin, paid):
    refund(admin, paid)
    answer = refund(admin, paid, "another")
    assert (answer.status_code, answer.json["code"]) == (409, "order_not_refundable")


def test_an_order_that_is_not_paid_cannot_be_refunded(buyer, admin, payments):
    payments.is_away = {"capture"}
    location = buyer.order().headers["Location"]
    assert refund(admin, location).json["code"] == "order_not_refundable"


def test_a_cancelled_order_cannot_be_refunded(buyer, admin, paid, payments):
    buyer.post(f"{paid}/cancel")
    assert refund(admin, paid).json["code"] == "order_not_refundable"
    assert refunded(payments) == [2000]


def test_cancelling_after_a_partial_refund_refunds_only_the_remainder(buyer, admin, paid, payments):
    refund(admin, paid, amount=500)
    assert buyer.post(f"{paid}/cancel").json["amount_refunded"] == 2000
    assert refunded(payments) == [2000]


def test_without_a_key_nothing_is_refunded(admin, paid, payments):
    answer = refund(admin, paid, None)
    assert (answer.status_code, answer.json["code"]) == (400, "idempotency_key_missing")
    assert payments.refunds == {}


def test_a_repeated_call_gets_the_same_bytes_from_every_replica(start_orders, auth, admin, paid, payments):
    first = refund(admin, paid, amount=500)
    again = refund(Buyer(start_orders(), auth, "boss", role="admin"), paid, amount=500)
    assert (again.status_code, again.data) == (first.status_code, first.data)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert refunded(payments) == [500]


def test_a_repeated_order_call_after_a_refund_gets_its_first_answer(buyer, admin, paid):
    first = buyer.order()
    refund(admin, paid)
    assert buyer.order().data == first.data


def test_the_same_key_with_another_body_is_refused(admin, paid):
    refund(admin, paid, amount=500)
    answer = refund(admin, paid, amount=400)
    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")


def test_the_same_key_for_a_different_order_is_a_separate_refund(buyer, admin, paid, payments):
    other = buyer.order("another").headers["Location"]
    wait_for(lambda: read_status(buyer, other) == "paid")
    assert refund(admin, paid).json["id"] != refund(admin, other).json["id"]
    assert refunded(payments) == [2000, 2000]


def test_an_unknown_order_is_404_and_takes_no_key(admin, database):
    assert refund(admin, UNKNOWN).status_code == 404
    assert run_sql(database, "SELECT count(*) FROM idempotency_keys")[0][0] == 0


def test_twenty_concurrent_refunds_never_exceed_the_captured_amount(app, auth, paid, payments, admin):
    answers = []

    def ask(number):
        boss = Buyer(app, auth, "boss", role="admin")
        answers.append(refund(boss, paid, str(number), amount=300).status_code)

    threads = [threading.Thread(target=ask, args=[number]) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) <= {200, 409}
    assert refunded(payments) == [300 * answers.count(200)]
    assert admin.get(paid).json["amount_refunded"] == refunded(payments)[0] <= 2000


def test_twenty_concurrent_calls_with_one_key_are_one_refund(app, auth, paid, payments):
    answers = []

    def ask():
        answers.append(refund(Buyer(app, auth, "boss", role="admin"), paid, amount=300))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert refunded(payments) == [300]


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize("after_it_was_done", [False, True])
def test_a_refund_without_an_answer_of_payments_is_202_and_finishes_in_the_background(
    admin, paid, payments, monkeypatch, after_it_was_done
):
    monkeypatch.setattr("orders.use_cases.changes.LONGEST", 0.02)
    (payments.loses_answer if after_it_was_done else payments.is_away).add("refund")
    answer = refund(admin, paid, amount=500)
    assert (answer.status_code, answer.json["amount_refunded"]) == (202, 0)
    assert refund(admin, paid, amount=500).status_code == 202
    assert refund(admin, paid, "another", amount=1).json["code"] == "refund_in_progress"
    assert admin.post(f"{paid}/cancel").json["code"] == "refund_in_progress"
    assert admin.post(f"{paid}/ship").json["code"] == "order_not_shippable"
    payments.is_away, payments.loses_answer = set(), set()
    done = wait_for(lambda: (again := refund(admin, paid, amount=500)).status_code == 200 and again)
    assert done.json["amount_refunded"] == 500
    assert refunded(payments) == [500]


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize("step", ["refund", "release"])
def test_another_replica_finishes_the_refund_of_a_dead_replica(
    start_orders, auth, catalog, payments, database, monkeypatch, step
):
    monkeypatch.setattr("orders.use_cases.changes.LONGEST", 0.02)
    first = start_orders()
    buyer, boss = Buyer(first, auth, "ada"), Buyer(first, auth, "boss", role="admin")
    location = buyer.order().headers["Location"]
    wait_for(lambda: read_status(buyer, location) == "paid")
    catalog.is_away, payments.is_away = {step}, {step}
    assert refund(boss, location, restock=True).status_code == 202
    first.close()
    run_sql(
        database,
        "UPDATE order_work SET lease_token = gen_random_uuid(), lease_until = now() - interval '1s',"
        " next_attempt_at = now()",
    )
    catalog.is_away, payments.is_away = set(), set()
    other = Buyer(start_orders(), auth, "boss", role="admin")
    wait_for(lambda: refund(other, location, restock=True).status_code == 200)
    assert catalog.stock[1] == 100
    assert refunded(payments) == [2000]
    assert run_sql(database, "SELECT status FROM refunds") == [("succeeded",)]


def test_a_refund_that_payments_refuses_permanently_ends_with_its_error(admin, paid, payments, database):
    payments.refuse["refund"] = CheckoutRefused(
        "refund_failed", "refund_exceeds_payment", "More than is left."
    )
    answer = refund(admin, paid, amount=500)
    assert (answer.status_code, answer.json["code"]) == (409, "refund_exceeds_payment")
    assert answer.json["request_id"] == answer.headers["X-Request-ID"]
    assert refund(admin, paid, amount=500).data == answer.data
    assert run_sql(database, "SELECT status, error FROM refunds") == [("failed", "refund_exceeds_payment")]
    payments.refuse.clear()
    assert refund(admin, paid, "another").json["status"] == "refunded"
