"""The total that the customer was shown, which the order must have."""

import pytest

from tests.orders.conftest import Buyer, run_sql
from tests.waiting import wait_for


def test_an_order_of_the_expected_amount_is_placed(buyer):
    placed = buyer.order(expected_amount=2000)
    assert (placed.status_code, placed.json["amount"]) == (201, 2000)
    assert buyer.order(key="none", expected_amount=None).status_code == 201


@pytest.mark.parametrize("expected", [0, 1999, 2001, 2**53])
def test_another_amount_is_refused_with_the_new_totals_and_nothing_is_held(
    buyer, catalog, payments, expected
):
    answer = buyer.order(expected_amount=expected)
    assert (answer.status_code, answer.json["code"]) == (409, "amount_changed")
    line = {"product_id": 1, "variant_id": 1, "quantity": 2, "unit_amount": 1000, "amount": 2000}
    assert answer.json["lines"] == [{**line, "discount_amount": 0}]
    totals = ("items_amount", "adjustments", "tax_amount", "amount", "shipping_options", "currency")
    assert {name: answer.json[name] for name in totals} == {
        "items_amount": 2000,
        "adjustments": [],
        "tax_amount": 0,
        "amount": 2000,
        "shipping_options": [],
        "currency": "USD",
    }
    # A repeated call gets the same answer, and makes no other order.
    again = buyer.order(expected_amount=expected)
    assert (again.data, again.headers["Idempotent-Replayed"]) == (answer.data, "true")
    location = f"/orders/{answer.json['order_id']}"
    wait_for(lambda: buyer.get(location).json["status"] == "cancelled")
    shown = buyer.get(location).json
    assert (shown["reason"], shown["amount"], shown["payment"]) == ("amount_changed", 2000, None)
    assert catalog.stock[1] == 100
    assert payments.payments == {}


def test_a_refused_cart_stays_and_is_ordered_at_the_new_price(app, auth, catalog):
    buyer = Buyer(app, auth, "ada")
    buyer.call("PUT", "/cart/items/1", json={"quantity": 2})
    shown = buyer.get("/cart").json
    catalog.prices[1] = 1100
    refused = buyer.order(
        key="one", items=None, cart_version=shown["version"], expected_amount=shown["amount"]
    )
    assert (refused.status_code, refused.json["amount"]) == (409, 2200)
    shown = buyer.get("/cart").json
    assert (shown["amount"], shown["items"][0]["previous_unit_amount"]) == (2200, 1000)
    placed = buyer.order(
        key="two", items=None, cart_version=shown["version"], expected_amount=shown["amount"]
    )
    assert (placed.status_code, placed.json["amount"]) == (201, 2200)
    assert buyer.get("/cart").json["items"] == []


@pytest.mark.parametrize("wrong", [-1, "2000", 20.5, True, 2**53 + 1])
def test_an_expected_amount_is_a_whole_number_of_minor_units(buyer, wrong):
    answer = buyer.order(expected_amount=wrong)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "expected_amount")


@pytest.mark.usefixtures("quick_retries")
def test_a_thread_that_takes_an_order_over_keeps_to_the_expected_amount(buyer, catalog, payments, database):
    catalog.prices[1] = 1100
    catalog.is_away.add("reserve")
    assert buyer.order(expected_amount=2000).status_code == 202
    catalog.is_away.clear()
    wait_for(lambda: run_sql(database, "SELECT status FROM orders") == [("cancelled",)])
    assert run_sql(database, "SELECT refusal ->> 'reason' FROM orders") == [("amount_changed",)]
    assert catalog.stock[1] == 100
    # Only the refusal of an authorization that might still arrive.
    assert {each["status"] for each in payments.payments.values()} <= {"canceled"}
