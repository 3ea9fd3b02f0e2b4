"""The routes of sales, and how products with a sale are shown, exported and changed."""

import json

import pytest
from sqlalchemy import text

from tests.catalog.sale_steps import add_variant, execute, read

SALE = "/products/1/variants/1/sale"
LAST = "9999-12-31T23:59:59Z"

VALID = {"unit_amount": 300}
INVALID = {
    "without a price": {},
    "a negative price": {"unit_amount": -1},
    "a price that is not lower": {"unit_amount": 6490},
    "an end before the start": {
        **VALID,
        "starts": "2999-01-02T00:00:00Z",
        "ends": "2999-01-01T00:00:00Z",
    },
    "an end at the start": {**VALID, "starts": "2999-01-01T00:00:00Z", "ends": "2999-01-01T01:00:00+01:00"},
    "an end in the past": {**VALID, "ends": "2020-01-01T00:00:00Z"},
    "a start and an end in the past": {
        **VALID,
        "starts": "2020-01-01T00:00:00Z",
        "ends": "2020-01-02T00:00:00Z",
    },
    "no offset": {**VALID, "starts": "2999-01-01T00:00:00"},
    "a date": {**VALID, "starts": "2999-01-01"},
    "a number": {**VALID, "ends": 4102444800},
    "an unknown member": {**VALID, "begins": "2999-01-01T00:00:00Z"},
}


@pytest.fixture
def call(client, auth):
    """Send a request of an admin about the sample."""

    def call(method, path, body=None):
        return client.open(path, method=method, json=body, headers=auth.bearer(role="admin"))

    return call


def test_an_export_during_a_sale_has_the_price_without_it(call, database):
    def export():
        lines = call("GET", "/products/export").data.splitlines()
        return next(row for row in map(json.loads, lines) if row["id"] == 1)

    before = export()
    assert call("PUT", SALE, {"unit_amount": 100}).status_code == 200
    assert call("GET", "/products/1").json["unit_amount"] == 100
    assert export() == before


def test_a_further_variant_has_its_own_sale_and_changes_the_summary(database, call):
    add_variant(database, 9000000000000501, amount=8000)
    path = "/products/1/variants/9000000000000501/sale"
    answer = call("PUT", path, {"unit_amount": 7000})
    assert (answer.status_code, answer.json["variant_id"]) == (200, 9000000000000501)
    with database.transaction() as connection:
        assert connection.execute(text("SELECT further_lowest FROM products WHERE id = 1")).scalar() == 7000
    assert read(database)[1] is None
    assert call("GET", "/products/2/variants/9000000000000501/sale").status_code == 404
    execute(database, "UPDATE products SET withdrawn_at = now() WHERE id = 9000000000000501")
    assert call("GET", path).status_code == 404


def test_invalid_sales_are_refused(call):
    answers = {name: call("PUT", SALE, body).status_code for name, body in INVALID.items()}
    assert answers == dict.fromkeys(INVALID, 422)
    assert call("GET", SALE).status_code == 204


def test_a_sale_is_shown_planned_running_and_cancelled(call):
    planned = call("PUT", SALE, {"unit_amount": 300, "starts": "2999-01-01T01:00:00+01:00", "ends": LAST})
    assert planned.json == {
        "product_id": 1,
        "variant_id": 1,
        "state": "planned",
        "unit_amount": 300,
        "regular_amount": 6490,
        "currency": "USD",
        "starts": "2999-01-01T00:00:00Z",
        "ends": "9999-12-30T23:59:59.999999Z",
    }
    assert call("GET", SALE).json == planned.json
    running = call("PUT", SALE, {"unit_amount": 300, "starts": "0001-01-01T00:00:00Z"}).json
    assert (running["state"], running["regular_amount"], running["ends"]) == ("running", 6490, None)
    shown = call("GET", "/products/1").json
    names = ("unit_amount", "price", "compare_at_amount", "lowest_amount_30d")
    assert [shown[name] for name in names] == [300, 3.0, 6490, 6490]
    listed = call("GET", "/products?limit=1").json["data"][0]
    assert [listed[name] for name in names] == [300, 3.0, 6490, 6490]
    assert call("DELETE", SALE).status_code == 204
    assert call("DELETE", SALE).json["code"] == "sale_not_found"
    assert call("GET", SALE).status_code == 204
    assert [call("GET", "/products/1").json[name] for name in names] == [6490, 64.9, None, None]


def test_the_running_and_the_planned_sales_of_products_are_summed(database, call):
    starts, ends = "2999-01-01T00:00:00Z", "2999-02-01T00:00:00Z"
    for number, amount in ((501, 8000), (502, 9000), (503, 9100)):
        add_variant(database, 9000000000000000 + number, amount=amount)
    bodies = {
        "1/variants/1": {"unit_amount": 300, "ends": ends},
        "1/variants/9000000000000501": {"unit_amount": 250},
        "1/variants/9000000000000502": {"unit_amount": 200, "starts": starts},
        "1/variants/9000000000000503": {"unit_amount": 100},
        "2/variants/2": {"unit_amount": 150, "starts": starts, "ends": ends},
        "3/variants/3": {"unit_amount": 140},
    }
    made = {path: call("PUT", f"/products/{path}/sale", body).json for path, body in bodies.items()}
    # A variant that is no longer sold has no sale to show.
    assert call("DELETE", "/products/1/variants/9000000000000503").status_code == 204
    found = call("GET", "/products/sales?product_id=2&product_id=1&product_id=4&product_id=999").json["data"]
    begun = made["1/variants/1"]["starts"]
    expected = [
        (1, "running", 2, 250, begun, ends),
        (1, "planned", 1, 200, starts, None),
        (2, "planned", 1, 150, starts, ends),
    ]
    names = ("product_id", "state", "variant_count", "unit_amount", "starts", "ends")
    assert [tuple(each[name] for name in names) for each in found] == expected
    assert {each["currency"] for each in found} == {"USD"}


def test_a_list_of_sales_names_its_products(call):
    many = "&".join(f"product_id={number}" for number in range(101))
    for query in ("", "product_id=x", "product_id=-1", f"product_id={2**70}", "product_id=1&id=1", many):
        assert call("GET", f"/products/sales?{query}").status_code == 422, query
    assert call("GET", "/products/sales?product_id=1").json == {"data": []}


def test_sales_of_unknown_products_are_404(call):
    call("DELETE", "/products/2")
    paths = ["/products/999/variants/999/sale", "/products/1/variants/3/sale", "/products/2/variants/2/sale"]
    paths.append(f"/products/{2**70}/variants/{2**70}/sale")
    codes = {path: call("PUT", path, {"unit_amount": 1}).json["code"] for path in paths}
    assert codes == dict.fromkeys(paths, "variant_not_found")


def test_a_crossed_out_price_is_shown_only_above_the_price(call):
    for amount, shown in ((7000, 7000), (6490, None), (1, None), (None, None)):
        version = call("GET", "/products/1").json["version"]
        answer = call("PATCH", "/products/1", {"version": version, "compare_at_amount": amount})
        assert (answer.json["compare_at_amount"], answer.json["edited"]) == (amount, [])
        assert call("GET", "/products/1").json["compare_at_amount"] == shown
    created = call("POST", "/products", {"title": "Mug", "unit_amount": 1, "compare_at_amount": 5}).json
    assert (created["compare_at_amount"], created["lowest_amount_30d"]) == (5, None)
