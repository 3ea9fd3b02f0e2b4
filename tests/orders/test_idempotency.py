"""The same Idempotency-Key is the same call."""

import threading

import pytest

from tests.orders.conftest import Buyer, run_sql
from tests.waiting import wait_for


def test_a_repeated_call_gets_the_same_bytes_and_orders_nothing(buyer, catalog):
    first, second = buyer.order(), buyer.order()
    assert (second.status_code, second.data) == (first.status_code, first.data)
    assert second.headers["Location"] == first.headers["Location"]
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert catalog.stock[1] == 98
    assert len(buyer.get("/orders").json["data"]) == 1


@pytest.mark.parametrize("order", [{"card": "pm_card_chargeDeclined"}, {"items": [(1, 101)]}])
def test_a_refusal_is_replayed(buyer, order):
    first, second = buyer.order(**order), buyer.order(**order)
    assert first.status_code in {402, 409}
    assert (second.status_code, second.data) == (first.status_code, first.data)
    assert second.content_type == "application/problem+json"


def test_every_replica_replays_the_answer_even_after_a_restart(start_orders, auth):
    replica = start_orders()
    first = Buyer(replica, auth, "ada").order()
    replica.close()
    again = Buyer(start_orders(), auth, "ada").order()
    assert again.data == first.data


def test_the_same_key_with_another_body_is_refused(buyer):
    buyer.order()
    answer = buyer.order(items=[(2, 1)])
    assert answer.status_code == 422
    assert answer.json["code"] == "idempotency_key_reused"


def test_a_key_is_stored_only_as_a_hash(buyer, database):
    first, second = (buyer.order(key="4242424242424242") for _ in range(2))
    assert second.data == first.data
    kept = run_sql(database, "SELECT idempotency_keys::text FROM idempotency_keys")
    assert len(kept) == 1
    assert "4242424242424242" not in kept[0][0]


def test_keys_belong_to_their_principal(app, auth, buyer):
    first = buyer.order()
    other = Buyer(app, auth, "bob").order()
    assert other.status_code == 201
    assert other.json["id"] != first.json["id"]


def test_a_missing_or_too_long_key_is_refused(buyer):
    answers = [buyer.order(key=key) for key in (None, "x" * 256)]
    assert [(answer.status_code, answer.json["code"]) for answer in answers] == [
        (400, "idempotency_key_missing")
    ] * 2
    assert buyer.get("/orders").json["data"] == []


def test_a_retry_while_the_first_call_is_in_progress_is_409(app, auth, buyer, payments):
    asked, go_on = threading.Event(), threading.Event()

    def pause(_name):
        asked.set()
        go_on.wait(10)

    payments.before = pause
    first = []
    thread = threading.Thread(target=lambda: first.append(buyer.order()))
    thread.start()
    asked.wait(10)
    answer = Buyer(app, auth, "ada").order()
    go_on.set()
    thread.join()
    assert answer.status_code == 409
    assert answer.json["code"] == "idempotency_in_progress"
    assert first[0].status_code == 201


@pytest.mark.usefixtures("quick_retries")
def test_after_a_202_a_retry_gets_the_order_and_finally_its_answer(buyer, payments):
    payments.is_away = {"authorize"}
    assert buyer.order().status_code == 202
    again = buyer.order()
    assert again.status_code == 202
    assert again.json["status"] == "pending"
    payments.is_away = set()
    done = wait_for(lambda: (answer := buyer.order()).status_code == 201 and answer)
    assert done.json["status"] == "confirmed"
    assert done.headers["Idempotent-Replayed"] == "true"


def test_twenty_concurrent_calls_with_one_key_make_one_order(app, auth, catalog):
    answers = []

    def buy():
        answers.append(Buyer(app, auth, "ada").order())

    threads = [threading.Thread(target=buy) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} <= {201, 409}
    confirmed = {answer.data for answer in answers if answer.status_code == 201}
    assert len(confirmed) == 1
    assert catalog.stock[1] == 98


def test_a_refusal_without_an_order_does_not_take_the_key(buyer):
    assert buyer.order(items=None).json["code"] == "cart_empty"
    assert buyer.call("PUT", "/cart/items/1", json={"quantity": 1}).status_code == 200
    assert buyer.order(items=None).status_code == 201
