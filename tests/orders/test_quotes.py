"""Quotes: what an order would cost, without reserving anything."""

import pytest

from tests.orders.conftest import ADDRESS, run_sql
from tests.orders.prices import add_coupon, add_method, add_rate, list_adjustments

ITEMS = [{"product_id": 1, "quantity": 2}]


def quote(buyer, **body):
    return buyer.call("POST", "/orders/quote", json={"items": ITEMS, **body})


def test_a_quote_costs_what_its_order_costs(buyer, admin, catalog, database):
    add_method(admin)
    add_rate(admin)
    add_coupon(admin)
    choice = {"shipping_method": "standard", "coupon": "ten"}
    quoted = quote(buyer, shipping_address=ADDRESS, **choice).json
    assert quoted == {
        "items": [
            {
                "product_id": 1,
                "variant_id": 1,
                "title": "Thing",
                "quantity": 2,
                "unit_amount": 1000,
                "amount": 2000,
                "discount_amount": 200,
                "tax_rate": 1900,
                "tax_amount": 287,
                "problem": None,
            }
        ],
        "items_amount": 2000,
        "adjustments": [
            {"kind": "discount", "code": "TEN", "title": "TEN", "amount": -200, "included": False},
            {"kind": "shipping", "code": "standard", "title": "standard", "amount": 490, "included": False},
            # 1800 x 1900 / 11900 = 287.4 and 490 x 1900 / 11900 = 78.2
            {"kind": "tax", "code": "US", "title": "Tax US", "amount": 365, "included": True},
        ],
        "tax_amount": 365,
        "amount": 2290,
        "currency": "USD",
        "shipping_options": [{"code": "standard", "title": "standard", "amount": 490, "delivery_time": None}],
        "needs_shipping": True,
        "cart_version": None,
    }
    assert catalog.stock[1] == 100
    assert run_sql(database, "SELECT uses FROM coupons") == [(0,)]
    placed = buyer.order(expected_amount=quoted["amount"], **choice).json
    for name in ("items_amount", "adjustments", "tax_amount", "amount"):
        assert placed[name] == quoted[name]


def test_a_quote_of_the_cart_has_its_coupon_and_delivery_unless_the_call_names_others(buyer, admin):
    add_method(admin)
    add_coupon(admin)
    empty = buyer.call("POST", "/orders/quote", json={})
    assert (empty.status_code, empty.json["code"]) == (409, "cart_empty")
    buyer.call("PUT", "/cart/items/1", json={"quantity": 2})
    buyer.call("PUT", "/cart/coupon", json={"code": "TEN"})
    shown = buyer.call("PUT", "/cart/delivery", json={"country": "US", "shipping_method": "standard"}).json
    quoted = buyer.call("POST", "/orders/quote", json={"cart_version": shown["version"]}).json
    assert (
        (quoted["amount"], quoted["cart_version"])
        == (shown["amount"], shown["version"])
        == (2290, quoted["cart_version"])
    )
    bare = buyer.call("POST", "/orders/quote", json={"coupon": None, "shipping_method": None}).json
    assert (bare["amount"], bare["adjustments"]) == (2000, [])
    stale = buyer.call("POST", "/orders/quote", json={"cart_version": shown["version"] - 1})
    assert (stale.status_code, stale.json["code"]) == (409, "cart_changed")


def test_a_quote_without_a_country_has_no_taxes_and_no_methods(buyer, admin):
    add_method(admin)
    add_rate(admin)
    quoted = quote(buyer).json
    assert (quoted["adjustments"], quoted["shipping_options"], quoted["amount"]) == ([], [], 2000)


def test_a_method_that_does_not_fit_is_409_with_the_quote_without_it(buyer, admin):
    add_method(admin)
    refused = quote(buyer, shipping_address={"country": "US"}, shipping_method="none")
    assert (refused.status_code, refused.json["code"]) == (409, "shipping_method_unavailable")
    assert (refused.json["amount"], len(refused.json["shipping_options"])) == (2000, 1)


def test_a_coupon_that_does_not_apply_is_409(buyer, admin):
    add_coupon(admin, limit_per_customer=1)
    assert quote(buyer, coupon="NONE").json["reason"] == "unknown"
    buyer.order(coupon="TEN")
    assert quote(buyer, coupon="TEN").json["reason"] == "used_by_customer"


def test_what_is_not_for_sale_is_named(buyer, catalog):
    refused = quote(buyer, items=[*ITEMS, {"variant_id": 404, "quantity": 1}])
    assert (refused.status_code, refused.json["code"]) == (409, "product_unavailable")
    assert [line["variant_id"] for line in refused.json["lines"]] == [404]
    catalog.add_variant(501, parent=1)
    for number in (1, 501):
        refused = quote(buyer, items=[{"product_id": number, "quantity": 1}])
        assert (refused.status_code, refused.json["code"]) == (422, "variant_required")
        assert refused.json["lines"] == [{"product_id": number}]
    catalog.stock[2] = 1
    assert (
        quote(buyer, items=[{"product_id": 2, "quantity": 2}]).json["items"][0]["problem"]
        == "insufficient_stock"
    )


def test_equal_items_are_added_up(buyer):
    quoted = quote(buyer, items=[*ITEMS, {"variant_id": 1, "quantity": 3}]).json
    assert [(line["variant_id"], line["quantity"]) for line in quoted["items"]] == [(1, 5)]
    assert list_adjustments(quoted) == []


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"items": []}, "items"),
        ({"shipping_address": {"country": "XX"}}, "shipping_address.country"),
        ({"payment_method": "pm_card_visa"}, "payment_method"),
    ],
)
def test_a_wrong_quote_is_refused(buyer, wrong, field):
    answer = quote(buyer, **wrong)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, field)
