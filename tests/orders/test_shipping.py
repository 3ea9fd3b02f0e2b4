"""Shipping methods: the admin's, those that an order is offered, and the one that it pays."""

import pytest

from tests.orders.conftest import ADDRESS, Buyer, read_status, run_sql
from tests.orders.prices import add_coupon, add_method, list_adjustments
from tests.waiting import wait_for


def quote(buyer: Buyer, **body):
    wanted = {"items": [{"product_id": 1, "quantity": 2}], "shipping_address": {"country": "US"}, **body}
    return buyer.call("POST", "/orders/quote", json=wanted)


def test_without_methods_delivery_is_free_and_an_order_names_none(buyer):
    placed = buyer.order()
    assert (placed.status_code, placed.json["adjustments"], placed.json["amount"]) == (201, [], 2000)
    assert quote(buyer).json["shipping_options"] == []


def test_an_order_pays_the_method_that_it_names(buyer, admin, payments):
    add_method(admin)
    placed = buyer.order(shipping_method="standard", expected_amount=2490)
    assert (placed.status_code, placed.json["shipping_method"]) == (201, "standard")
    assert placed.json["adjustments"] == [
        {"kind": "shipping", "code": "standard", "title": "standard", "amount": 490, "included": False}
    ]
    assert (placed.json["items_amount"], placed.json["amount"]) == (2000, 2490)
    [payment] = payments.payments.values()
    assert payment["amount"] == 2490
    location = placed.headers["Location"]
    wait_for(lambda: read_status(buyer, location) == "paid")
    assert buyer.get(location).json["adjustments"] == placed.json["adjustments"]


def test_an_order_without_a_method_learns_which_ones_fit(buyer, admin, catalog, payments):
    add_method(admin)
    add_method(admin, "island", countries=["DE"])
    refused = buyer.order()
    assert (refused.status_code, refused.json["code"]) == (422, "shipping_method_required")
    assert [each["code"] for each in refused.json["shipping_options"]] == ["standard"]
    assert refused.json["amount"] == 2000
    wait_for(lambda: read_status(buyer, f"/orders/{refused.json['order_id']}") == "cancelled")
    assert (catalog.stock[1], payments.payments) == (100, {})


def test_a_method_that_is_removed_between_quote_and_order_is_409_with_the_new_quote(buyer, admin, catalog):
    add_method(admin)
    add_method(admin, "express", price=990, position=1)
    quoted = quote(buyer, shipping_method="standard")
    assert (quoted.status_code, quoted.json["amount"]) == (200, 2490)
    assert admin.call("DELETE", "/shipping-methods/standard").status_code == 204
    refused = buyer.order(shipping_method="standard", expected_amount=2490)
    assert (refused.status_code, refused.json["code"]) == (409, "shipping_method_unavailable")
    assert (refused.json["amount"], refused.json["adjustments"]) == (2000, [])
    assert [(each["code"], each["amount"]) for each in refused.json["shipping_options"]] == [("express", 990)]
    wait_for(lambda: catalog.stock[1] == 100)
    # The order keeps the code that it asked for, and what its items would have cost.
    shown = buyer.get(f"/orders/{refused.json['order_id']}").json
    assert (shown["shipping_method"], shown["items_amount"]) == ("standard", 2000)


def test_a_price_that_changes_between_quote_and_order_is_409_with_the_new_totals(buyer, admin):
    add_method(admin)
    quoted = quote(buyer, shipping_method="standard").json
    assert admin.call("PATCH", "/shipping-methods/standard", json={"price": 590}).status_code == 200
    refused = buyer.order(shipping_method="standard", expected_amount=quoted["amount"])
    assert (refused.status_code, refused.json["code"], refused.json["amount"]) == (
        409,
        "amount_changed",
        2590,
    )
    assert list_adjustments(refused.json) == [("shipping", "standard", 590)]


def test_a_replica_sees_a_change_that_another_one_made_at_its_next_order(buyer, admin, start_orders, auth):
    add_method(admin)
    other = Buyer(start_orders(), auth, "bob")
    assert other.order(shipping_method="standard").json["amount"] == 2490
    admin.call("PATCH", "/shipping-methods/standard", json={"price": 100})
    assert other.order(key="two", shipping_method="standard").json["amount"] == 2100
    assert buyer.order(key="three", shipping_method="standard").json["amount"] == 2100


def test_a_quote_lists_the_methods_that_fit_by_position_and_price(buyer, admin):
    add_method(admin, "late", price=100, position=2, delivery_time="next week")
    add_method(admin, "dear", price=900, position=1)
    add_method(admin, "cheap", price=300, position=1)
    add_method(admin, "abroad", countries=["DE", "AT"])
    add_method(admin, "heavy", prices=[{"from_weight_grams": 5000, "price": 1}])
    add_method(admin, "off", active=False)
    options = quote(buyer).json["shipping_options"]
    assert [each["code"] for each in options] == ["cheap", "dear", "late"]
    assert options[2] == {"code": "late", "title": "late", "amount": 100, "delivery_time": "next week"}
    abroad = quote(buyer, shipping_address={"country": "AT"}).json["shipping_options"]
    assert "abroad" in {each["code"] for each in abroad}


def test_the_weight_and_the_tax_classes_of_the_items_decide(buyer, admin, catalog):
    catalog.traits[1] = {"weight_grams": 1500}
    catalog.traits[2] = {"tax_class": "bulky"}
    steps = [{"from_weight_grams": 0, "price": 490}, {"from_weight_grams": 3000, "price": 990}]
    add_method(admin, prices=steps, excluded_tax_classes=["bulky"])

    def options(*items):
        wanted = [{"product_id": number, "quantity": quantity} for number, quantity in items]
        return [each["amount"] for each in quote(buyer, items=wanted).json["shipping_options"]]

    assert options((1, 1)) == [490]
    assert options((1, 2)) == [990]
    # What has no weight weighs nothing.
    assert options((3, 100)) == [490]
    assert options((1, 1), (2, 1)) == []
    assert buyer.order(shipping_method="standard").json["amount"] == 2990
    refused = buyer.order(key="two", items=[(2, 1)], shipping_method="standard")
    assert refused.json["code"] == "shipping_method_unavailable"


def test_two_reasons_for_free_shipping_make_it_free_once(buyer, admin):
    add_method(admin, free_from=2000)
    add_coupon(admin, "SHIP", free_shipping=True)
    both = buyer.order(shipping_method="standard", coupon="ship").json
    assert (both["amount"], list_adjustments(both)) == (
        2000,
        [("discount", "SHIP", 0), ("shipping", "standard", 0)],
    )
    alone = buyer.order(key="two", items=[(1, 1)], shipping_method="standard", coupon="SHIP").json
    assert (alone["amount"], list_adjustments(alone)) == (
        1000,
        [("discount", "SHIP", -490), ("shipping", "standard", 490)],
    )


def test_an_admin_keeps_the_methods(admin):
    added = add_method(admin, countries=["DE"], postal_codes=["10*", "!10999"], free_from=5000)
    assert added == {
        "code": "standard",
        "title": "standard",
        "countries": ["DE"],
        "regions": [],
        "postal_codes": ["10*", "!10999"],
        "price": 490,
        "prices": [],
        "free_from": 5000,
        "tax_class": None,
        "excluded_tax_classes": [],
        "delivery_time": None,
        "position": 0,
        "active": True,
    }
    again = admin.call("POST", "/shipping-methods", json={"code": "standard", "title": "x", "price": 1})
    assert (again.status_code, again.json["code"]) == (409, "shipping_method_exists")
    by_weight = {"price": None, "prices": [{"from_weight_grams": 0, "price": 100}], "free_from": None}
    changed = admin.call("PATCH", "/shipping-methods/standard", json=by_weight).json
    step = {"from_weight_grams": 0, "from_amount": None, "price": 100}
    assert changed == {**added, "price": None, "prices": [step], "free_from": None}
    assert admin.get("/shipping-methods").json == {"data": [changed], "next": None}
    assert admin.call("PATCH", "/shipping-methods/standard", json={}).json == changed
    assert admin.call("DELETE", "/shipping-methods/standard").status_code == 204
    for method in ("PATCH", "DELETE"):
        missing = admin.call(method, "/shipping-methods/standard", json={})
        assert (missing.status_code, missing.json["code"]) == (404, "shipping_method_not_found")


WEIGHT, AMOUNT = {"from_weight_grams": 0, "price": 1}, {"from_amount": 0, "price": 1}
BAD = {
    "no price": ({"price": None}, "price"),
    "two prices": ({"prices": [WEIGHT]}, "price"),
    "mixed steps": ({"price": None, "prices": [WEIGHT, AMOUNT]}, "prices"),
    "a step with both": ({"price": None, "prices": [{**WEIGHT, **AMOUNT}]}, "prices"),
    "a step with none": ({"price": None, "prices": [{"price": 1}]}, "prices"),
    "equal steps": ({"price": None, "prices": [WEIGHT, WEIGHT]}, "prices"),
    "a negative price": ({"price": -1}, "price"),
    "a float": ({"price": 4.9}, "price"),
    "no country": ({"countries": ["Germany"]}, "countries.0"),
    "no region": ({"regions": ["Bavaria"]}, "regions.0"),
    "a region of another country": ({"countries": ["DE"], "regions": ["US-CA"]}, "regions"),
    "an empty pattern": ({"postal_codes": ["!"]}, "postal_codes.0"),
    "a slow pattern": ({"postal_codes": ["*1*1*1*1*"]}, "postal_codes.0"),
    "a blank title": ({"title": " "}, "title"),
    "an unknown member": ({"colour": "red"}, "colour"),
}


@pytest.mark.parametrize(("wrong", "field"), BAD.values(), ids=BAD)
def test_a_wrong_method_is_refused_and_changes_nothing(admin, wrong, field):
    body = {"code": "wrong", "title": "Wrong", "price": 490, **wrong}
    answer = admin.call("POST", "/shipping-methods", json=body)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, field)
    before = add_method(admin)
    answer = admin.call("PATCH", "/shipping-methods/standard", json=wrong)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, field)
    assert admin.get("/shipping-methods").json["data"] == [before]


def test_only_an_admin_keeps_the_methods(buyer):
    assert buyer.get("/shipping-methods").status_code == 403


def test_an_interrupted_order_is_priced_by_the_rules_of_its_resumption(
    buyer, admin, catalog, payments, database, quick_retries
):
    add_method(admin)
    catalog.is_away.add("reserve")
    assert buyer.order(shipping_method="standard").status_code == 202
    admin.call("PATCH", "/shipping-methods/standard", json={"price": 590})
    catalog.is_away.clear()
    wait_for(lambda: run_sql(database, "SELECT status, amount FROM orders") == [("paid", 2590)])
    assert [each["captured"] for each in payments.payments.values()] == [2590]


@pytest.mark.usefixtures("quick_retries")
def test_an_order_whose_price_changed_after_its_authorization_is_undone(
    buyer, admin, catalog, payments, database
):
    add_method(admin)
    payments.loses_answer.add("authorize")
    assert buyer.order(shipping_method="standard").status_code == 202
    admin.call("PATCH", "/shipping-methods/standard", json={"price": 590})
    payments.loses_answer.clear()
    wait_for(
        lambda: run_sql(database, "SELECT status, reason FROM orders") == [("cancelled", "amount_changed")]
    )
    [payment] = payments.payments.values()
    assert (payment["status"], payment["captured"], catalog.stock[1]) == ("canceled", 0, 100)


def test_a_paid_order_keeps_its_totals_when_the_rules_change(buyer, admin, catalog, database):
    add_method(admin)
    catalog.lapse_next_commit = True
    location = buyer.order(shipping_method="standard").headers["Location"]
    admin.call("PATCH", "/shipping-methods/standard", json={"price": 990})
    wait_for(lambda: read_status(buyer, location) == "paid")
    # Its reservation had lapsed, and was renewed without pricing the order again.
    kinds = [kind for (kind,) in run_sql(database, "SELECT kind FROM order_events ORDER BY id")]
    assert kinds.count("stock_reserved") == 2
    assert buyer.get(location).json["amount"] == 2490


def test_the_cart_shows_the_methods_and_is_ordered_with_its_own(buyer, admin):
    add_method(admin)
    add_method(admin, "german", countries=["DE"])
    buyer.call("PUT", "/cart/items/1", json={"quantity": 2})
    delivery = {"country": "US", "postal_code": "62701"}
    shown = buyer.call("PUT", "/cart/delivery", json=delivery).json
    assert [each["code"] for each in shown["shipping_options"]] == ["standard"]
    assert shown["delivery"] == {
        **delivery,
        "region": None,
        "shipping_method": None,
        "problem": None,
    }
    version = shown["version"]
    refused = buyer.call("PUT", "/cart/delivery", json={**delivery, "shipping_method": "german"})
    assert (refused.status_code, refused.json["code"]) == (409, "shipping_method_unavailable")
    assert buyer.get("/cart").json["version"] == version
    shown = buyer.call("PUT", "/cart/delivery", json={**delivery, "shipping_method": "standard"}).json
    assert (shown["amount"], shown["version"] > version) == (2490, True)
    again = buyer.call("PUT", "/cart/delivery", json={**delivery, "shipping_method": "standard"}).json
    assert again["version"] == shown["version"]
    placed = buyer.order(items=None, cart_version=shown["version"], expected_amount=2490)
    assert (placed.status_code, placed.json["shipping_method"]) == (201, "standard")
    # The next cart is delivered alike.
    assert buyer.get("/cart").json["delivery"]["shipping_method"] == "standard"


def test_a_method_of_the_cart_that_is_removed_is_a_problem_and_not_in_the_total(buyer, admin):
    add_method(admin)
    buyer.call("PUT", "/cart/items/1", json={"quantity": 2})
    buyer.call("PUT", "/cart/delivery", json={"country": "US", "shipping_method": "standard"})
    admin.call("DELETE", "/shipping-methods/standard")
    shown = buyer.get("/cart").json
    assert (shown["amount"], bool(shown["delivery"]["problem"])) == (2000, True)
    # An order that names no method, in so many words, has none.
    assert buyer.order(items=None, shipping_method=None).status_code == 201


@pytest.mark.parametrize("wrong", [{}, {"country": "Germany"}, {"country": "DE", "shipping_method": "A B"}])
def test_a_wrong_delivery_is_refused(buyer, wrong):
    assert buyer.call("PUT", "/cart/delivery", json=wrong).status_code == 422


def test_the_shops_country_prices_a_cart_until_one_is_known(start_orders, standing, auth, admin):
    add_method(admin, "german", countries=["DE"])
    settings = standing.settings
    standing.settings = settings.model_copy(update={"shop_country": "DE"})
    try:
        buyer = Buyer(start_orders(), auth, "ada")
    finally:
        standing.settings = settings
    body = {"items": [{"product_id": 1, "quantity": 1}]}
    options = buyer.call("POST", "/orders/quote", json=body).json["shipping_options"]
    assert [each["code"] for each in options] == ["german"]
    body["shipping_address"] = {"country": "US"}
    assert buyer.call("POST", "/orders/quote", json=body).json["shipping_options"] == []
    assert ADDRESS["country"] == "US"
