"""Each version of a cart is ordered once, and its ordered units are removed from it."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.orders.conftest import Buyer, read_status, run_sql, sweep
from tests.waiting import wait_for

NEEDS_AUTHENTICATION = "pm_card_authenticationRequired"
pytestmark = pytest.mark.usefixtures("quick_retries")


def put(buyer, product, quantity):
    return buyer.call("PUT", f"/cart/items/{product}", json={"quantity": quantity}).json["version"]


def show(buyer):
    return {item["product_id"]: item["quantity"] for item in buyer.get("/cart").json["items"]}


def order_cart(buyer, key, card="pm_card_visa", **options):
    return buyer.order(items=None, key=key, card=card, **options)


def describe(answer):
    return answer.status_code, answer.json.get("code")


def test_the_version_changes_with_each_change_of_the_cart_only(buyer, catalog):
    seen = [buyer.get("/cart").json["version"], put(buyer, 1, 2), put(buyer, 2, 1), put(buyer, 1, 3)]
    seen.append(buyer.call("DELETE", "/cart/items/2").json["version"])
    assert seen == sorted(set(seen))
    catalog.prices[1] = 1100
    assert put(buyer, 1, 3) == buyer.get("/cart").json["version"] == seen[-1]


def test_two_concurrent_calls_with_two_keys_make_one_order(app, auth, buyer, catalog):
    put(buyer, 1, 2)
    both = threading.Barrier(2)

    def order(key):
        both.wait(60)
        return order_cart(Buyer(app, auth, "ada"), key)

    for round_ in range(5):
        put(buyer, 1, 2)
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(order, [f"{round_} first", f"{round_} second"]))
        placed = [answer for answer in answers if answer.status_code == 201]
        refused = [answer for answer in answers if answer.status_code == 409]
        assert (len(placed), len(refused)) == (1, 1), [describe(answer) for answer in answers]
        # A call that reads the cart after the first order has emptied it gets cart_empty.
        assert refused[0].json["code"] in {"cart_already_ordered", "cart_empty"}
        if refused[0].json["code"] == "cart_already_ordered":
            assert refused[0].json["order_id"] == placed[0].json["id"]
    assert catalog.stock[1] == 90


def test_a_cart_whose_order_waits_for_payment_is_not_ordered_again_until_that_is_cancelled(buyer):
    put(buyer, 1, 2)
    first = order_cart(buyer, "first", NEEDS_AUTHENTICATION)
    assert first.json["status"] == "awaiting_payment"
    again = order_cart(buyer, "second")
    assert describe(again) == (409, "cart_already_ordered")
    assert again.json["order_id"] == first.json["id"]
    # Setting the same quantity again does not change the cart.
    put(buyer, 1, 2)
    assert describe(order_cart(buyer, "third")) == (409, "cart_already_ordered")
    # The first call keeps its answer.
    assert order_cart(buyer, "first", NEEDS_AUTHENTICATION).data == first.data
    assert buyer.call("POST", f"/orders/{first.json['id']}/cancel").json["status"] == "cancelled"
    assert order_cart(buyer, "fourth").status_code == 201
    assert show(buyer) == {}


def test_a_changed_cart_can_be_ordered(buyer):
    put(buyer, 1, 2)
    order_cart(buyer, "first", NEEDS_AUTHENTICATION)
    put(buyer, 1, 3)
    assert order_cart(buyer, "second").json["items"][0]["quantity"] == 3


@pytest.mark.parametrize("order", [{"card": "pm_card_chargeDeclined"}, {"short": True}])
def test_a_cart_whose_order_was_refused_can_be_ordered_again(buyer, catalog, order):
    version = put(buyer, 1, 2)
    catalog.stock[1] = 1 if "short" in order else 100
    assert order_cart(buyer, "first", order.get("card", "pm_card_visa")).status_code in {402, 409}
    catalog.stock[1] = 100
    assert buyer.get("/cart").json["version"] == version
    assert order_cart(buyer, "second", cart_version=version).status_code == 201


def test_a_cart_with_a_newer_version_is_not_ordered(buyer):
    seen = put(buyer, 1, 2)
    now = put(buyer, 1, 3)
    answer = order_cart(buyer, "a key", cart_version=seen)
    assert describe(answer) == (409, "cart_changed")
    assert answer.json["cart_version"] == now
    assert buyer.get("/orders").json["data"] == []
    # The refused call has not taken the key.
    assert order_cart(buyer, "a key", cart_version=now).status_code == 201


def test_an_old_version_that_was_ordered_is_refused_and_its_key_replays(buyer):
    version = put(buyer, 1, 2)
    first = order_cart(buyer, "first", cart_version=version)
    assert first.status_code == 201
    again = order_cart(buyer, "second", cart_version=version)
    assert describe(again) == (409, "cart_already_ordered")
    assert again.json["order_id"] == first.json["id"]
    put(buyer, 2, 1)
    replayed = order_cart(buyer, "first", cart_version=version)
    assert (replayed.data, replayed.headers["Idempotent-Replayed"]) == (first.data, "true")


def test_a_cart_version_is_a_number_and_excludes_items(buyer):
    for options in ({"items": [(1, 1)], "cart_version": 1}, {"items": None, "cart_version": -1}):
        assert describe(buyer.order(**options)) == (422, "validation_failed"), options
    assert describe(order_cart(buyer, "a key", cart_version=0)) == (409, "cart_empty")
    assert describe(order_cart(buyer, "a key", cart_version=9)) == (409, "cart_changed")


def test_units_that_are_added_during_the_checkout_stay_in_the_cart(app, auth, buyer, payments):
    put(buyer, 1, 2)
    put(buyer, 2, 1)
    asked, go_on = threading.Event(), threading.Event()

    def pause(name):
        if name == "authorize":
            asked.set()
            assert go_on.wait(60)

    payments.before = pause
    answers = []
    thread = threading.Thread(target=lambda: answers.append(order_cart(buyer, "a key")))
    thread.start()
    assert asked.wait(60)
    put(Buyer(app, auth, "ada"), 1, 5)
    go_on.set()
    thread.join()
    assert answers[0].status_code == 201
    assert show(buyer) == {1: 3}


def test_units_that_are_removed_during_the_checkout_do_not_return(buyer, payments):
    put(buyer, 1, 3)
    put(buyer, 2, 1)
    location = order_cart(buyer, "a key", NEEDS_AUTHENTICATION).headers["Location"]
    put(buyer, 1, 1)
    buyer.call("DELETE", "/cart/items/2")
    payments.confirm(next(iter(payments.payments)))
    wait_for(lambda: read_status(buyer, location) == "paid")
    assert show(buyer) == {}


def test_an_order_with_items_does_not_change_the_cart(buyer):
    version = put(buyer, 1, 3)
    assert buyer.order(items=[(1, 1)]).status_code == 201
    assert show(buyer) == {1: 3}
    assert buyer.get("/cart").json["version"] == version


def test_a_line_that_is_added_while_the_cart_is_emptied_is_kept_or_ordered(app, auth, buyer, catalog):
    for number in range(10):
        put(buyer, 1, 1)
        with ThreadPoolExecutor(2) as pool:
            ordered = pool.submit(order_cart, Buyer(app, auth, "ada"), f"key {number}")
            added = pool.submit(put, Buyer(app, auth, "ada"), 2, 1)
            added.result()
        units = {item["product_id"]: item["quantity"] for item in ordered.result().json["items"]}
        left = show(buyer)
        assert {**units, **left} == {1: 1, 2: 1}
        assert not units.keys() & left.keys()
        buyer.call("DELETE", "/cart/items/2")


def test_the_versions_of_carts_that_were_empty_for_90_days_are_deleted(buyer, app, auth, database):
    other = Buyer(app, auth, "bob")
    put(buyer, 1, 1)
    put(other, 1, 1)
    before = other.call("DELETE", "/cart/items/1").json["version"]
    run_sql(database, "UPDATE carts SET updated_at = now() - interval '91 days'")
    sweep(database)
    assert run_sql(database, "SELECT owner FROM carts") == [("ada",)]
    assert put(other, 1, 1) > before
