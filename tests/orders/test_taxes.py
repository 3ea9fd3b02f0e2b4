"""Taxes: the admin's rates, and what an order pays by them."""

import pytest

from tests.orders.conftest import ADDRESS, Buyer, read_status
from tests.orders.prices import add_coupon, add_method, add_rate, list_adjustments
from tests.waiting import wait_for


def test_an_included_tax_is_a_part_of_the_price(buyer, admin):
    add_rate(admin)
    placed = buyer.order(expected_amount=2000).json
    # 2000 x 1900 / 11900 = 319.3
    assert placed["adjustments"] == [
        {"kind": "tax", "code": "US", "title": "Tax US", "amount": 319, "included": True}
    ]
    assert (placed["amount"], placed["tax_amount"]) == (2000, 319)
    line = placed["items"][0]
    assert (line["tax_rate"], line["tax_amount"], line["discount_amount"]) == (1900, 319, 0)


@pytest.fixture
def net_buyer(start_orders, standing, auth):
    """A customer of a shop whose prices do not include taxes."""
    settings = standing.settings
    standing.settings = settings.model_copy(update={"prices_include_tax": "no"})
    try:
        return Buyer(start_orders(), auth, "ada")
    finally:
        standing.settings = settings


@pytest.fixture
def net_admin(app, auth):
    """An administrator; no replica of this test includes taxes but the one that only keeps the rates."""
    return Buyer(app, auth, "boss", role="admin")


def test_a_tax_that_is_not_included_is_added(net_admin, net_buyer):
    add_rate(net_admin, rate=725)
    placed = net_buyer.order(expected_amount=2145).json
    assert (placed["amount"], placed["tax_amount"]) == (2145, 145)
    assert placed["adjustments"][0]["included"] is False


def test_the_country_and_region_of_the_address_and_the_class_decide(buyer, admin, catalog):
    add_rate(admin, "US", 100)
    add_rate(admin, "US", 200, region="US-IL", title="Illinois")
    add_rate(admin, "US", 300, region="US-IL", tax_class="books", title="Illinois books")
    add_rate(admin, "DE", 1900)
    catalog.traits[2] = {"tax_class": "books"}
    items = [(1, 1), (2, 1)]
    placed = buyer.order(items=items).json
    assert [(each["code"], each["title"]) for each in placed["adjustments"]] == [
        ("US-IL/books", "Illinois books"),
        ("US-IL", "Illinois"),
    ]
    assert [line["tax_rate"] for line in placed["items"]] == [200, 300]
    for number, region in enumerate(["US-IL", "il", " Illinois "]):
        placed = buyer.order(key=f"by name {number}", shipping_address={**ADDRESS, "region": region}).json
        assert placed["items"][0]["tax_rate"] == 200, region
    elsewhere = {**ADDRESS, "region": "CA"}
    placed = buyer.order(key="two", items=items, shipping_address=elsewhere).json
    assert [line["tax_rate"] for line in placed["items"]] == [100, 100]
    abroad = {"name": "A", "line1": "B 1", "city": "Bern", "postal_code": "3011", "country": "CH"}
    placed = buyer.order(key="three", items=items, shipping_address=abroad).json
    assert (placed["adjustments"], placed["tax_amount"]) == ([], 0)


def test_shipping_is_taxed_by_its_class_and_a_cancelled_order_keeps_its_totals(buyer, admin):
    add_method(admin, tax_class="freight")
    add_rate(admin)
    add_rate(admin, rate=700, tax_class="freight", title="Freight")
    placed = buyer.order(shipping_method="standard")
    # 490 x 700 / 10700 = 32.06
    totals = [("shipping", "standard", 490), ("tax", "US", 319), ("tax", "US/freight", 32)]
    assert list_adjustments(placed.json) == totals
    location = placed.headers["Location"]
    buyer.post(f"{location}/cancel")
    shown = buyer.get(location).json
    assert (shown["status"], list_adjustments(shown), shown["tax_amount"]) == ("cancelled", totals, 351)


def test_an_order_keeps_its_taxes_when_the_rates_change(buyer, admin):
    rate = add_rate(admin)
    location = buyer.order().headers["Location"]
    admin.call("PATCH", f"/tax-rates/{rate['id']}", json={"rate": 500})
    assert buyer.get(location).json["tax_amount"] == 319
    admin.call("DELETE", f"/tax-rates/{rate['id']}")
    assert buyer.get(location).json["items"][0]["tax_rate"] == 1900
    assert buyer.order(key="two").json["tax_amount"] == 0


@pytest.mark.parametrize(("currency", "price", "total"), [("JPY", 1, 1), ("KWD", 1005, 1005)])
def test_currencies_with_no_and_with_three_minor_digits_have_integers_only(
    buyer, admin, catalog, currency, price, total
):
    catalog.currency, catalog.prices[1] = currency, price
    add_rate(admin, rate=1000)
    placed = buyer.order(items=[(1, 1)]).json
    assert (placed["currency"], placed["amount"], type(placed["tax_amount"])) == (currency, total, int)


def test_a_refund_in_parts_ends_with_exactly_what_was_paid(buyer, admin, catalog, payments):
    catalog.prices[1], catalog.prices[2] = 333, 1
    add_method(admin)
    add_rate(admin)
    add_coupon(admin, percent=7)
    placed = buyer.order(items=[(1, 3), (2, 1)], shipping_method="standard", coupon="TEN")
    # 1000 - 70 + 490
    amount = placed.json["amount"]
    assert amount == 1420
    location = placed.headers["Location"]
    wait_for(lambda: read_status(buyer, location) == "paid")

    def refund(key, **body):
        return admin.call("POST", f"{location}/refund", key=key, json=body)

    too_much = refund("more", amount=amount + 1)
    assert (too_much.status_code, too_much.json["refundable"]) == (409, amount)
    assert refund("one", amount=473).status_code == 200
    assert refund("two", amount=474).status_code == 200
    last = refund("three")
    assert (last.json["status"], last.json["amount_refunded"]) == ("refunded", amount)
    [payment] = payments.payments.values()
    assert (payment["refunded"], payment["captured"]) == (amount, amount)


def test_an_admin_keeps_the_rates(admin):
    added = add_rate(admin, "DE", 1900, title="MwSt.")
    reduced = add_rate(admin, "DE", 700, tax_class="reduced")
    island = add_rate(admin, "ES", 0, region="ES-CN")
    assert admin.get("/tax-rates").json["data"] == [added, reduced, island]
    again = admin.call("POST", "/tax-rates", json={"country": "DE", "rate": 1, "title": "x"})
    assert (again.status_code, again.json["code"]) == (409, "tax_rate_exists")
    path = f"/tax-rates/{added['id']}"
    assert admin.call("PATCH", path, json={"rate": 1600}).json == {**added, "rate": 1600}
    assert admin.call("DELETE", path).status_code == 204
    for method in ("PATCH", "DELETE"):
        missing = admin.call(method, path, json={"rate": 1} if method == "PATCH" else None)
        assert (missing.status_code, missing.json["code"]) == (404, "tax_rate_not_found")


BAD = {
    "above 100 %": ({"rate": 10_001}, "rate"),
    "negative": ({"rate": -1}, "rate"),
    "a float": ({"rate": 5.5}, "rate"),
    "no country": ({"country": "EU"}, "country"),
    "a region of another country": ({"region": "AT-9"}, "region"),
    "no title": ({"title": ""}, "title"),
}


@pytest.mark.parametrize(("wrong", "field"), BAD.values(), ids=BAD)
def test_a_wrong_rate_is_refused(admin, wrong, field):
    body = {"country": "DE", "rate": 1900, "title": "VAT", **wrong}
    answer = admin.call("POST", "/tax-rates", json=body)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, field)
    assert admin.get("/tax-rates").json["data"] == []
