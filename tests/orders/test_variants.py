"""Orders and carts of variants: an item names the variant, or its product if that has no further ones."""

import pytest

from tests.orders.conftest import Buyer, read_kinds, read_status, run_sql
from tests.waiting import wait_for

BLUE = 501  # A further variant of product 1.


@pytest.fixture(autouse=True)
def blue(catalog):
    """Product 1 has two variants, and every other product has one."""
    catalog.add_variant(BLUE, parent=1, price=1200)


def order(buyer, *items, **options):
    return buyer.order(items=items, **options)


def put(buyer, variant, quantity):
    return buyer.call("PUT", f"/cart/items/{variant}", json={"quantity": quantity})


def read_units(answer):
    return {
        (item["product_id"], item["variant_id"]): (item["quantity"], item["unit_amount"])
        for item in answer.json["items"]
    }


def describe(answer):
    return answer.status_code, answer.json["code"], answer.json["lines"]


def test_a_line_of_an_order_has_the_numbers_of_its_product_and_its_variant(buyer, catalog):
    placed = order(
        buyer,
        {"variant_id": BLUE, "quantity": 2},
        {"variant_id": 1, "quantity": 1},
        {"product_id": 2, "quantity": 1},
        {"variant_id": 3, "quantity": 1},
    )
    assert placed.status_code == 201
    units = {(1, BLUE): (2, 1200), (1, 1): (1, 1000), (2, 2): (1, 1000), (3, 3): (1, 1000)}
    assert read_units(placed) == units
    location = placed.headers["Location"]
    wait_for(lambda: read_status(buyer, location) == "paid")
    assert read_units(buyer.get(location)) == units
    assert (catalog.stock[BLUE], catalog.stock[1]) == (98, 99)
    assert buyer.get("/orders").json["data"][0] == buyer.get(location).json


def test_items_of_the_same_variant_are_added_up(buyer, catalog):
    cases = [
        ([{"variant_id": BLUE, "quantity": 2}, {"variant_id": BLUE, "quantity": 3}], {(1, BLUE): 5}),
        ([{"product_id": 2, "quantity": 2}, {"variant_id": 2, "quantity": 3}], {(2, 2): 5}),
        ([{"variant_id": 2, "quantity": 1}, {"product_id": 2, "quantity": 1}], {(2, 2): 2}),
        ([{"variant_id": 1, "quantity": 1}, {"variant_id": BLUE, "quantity": 1}], {(1, 1): 1, (1, BLUE): 1}),
        ([{"product_id": 2, "quantity": 400}, {"variant_id": 2, "quantity": 600}], {(2, 2): 1000}),
    ]
    catalog.stock[2] = 2000
    wrong = []
    for number, (items, wanted) in enumerate(cases):
        answer = order(buyer, *items, key=str(number))
        found = {line: quantity for line, (quantity, _price) in read_units(answer).items()}
        if found != wanted:
            wrong.append((items, found))
    assert wrong == []


def test_an_item_names_exactly_one_of_variant_and_product(buyer):
    items = [
        {"quantity": 1},
        {"variant_id": BLUE, "product_id": 1, "quantity": 1},
        {"variant_id": None, "product_id": None, "quantity": 1},
        {"variant_id": 0, "quantity": 1},
        {"variant_id": "2", "quantity": 1},
        {"variant_id": 2**53 + 1, "quantity": 1},
    ]
    answers = [(item, order(buyer, item).status_code) for item in items]
    assert [answer for answer in answers if answer[1] != 422] == []
    assert buyer.get("/orders").json["data"] == []


def test_a_product_with_further_variants_cannot_be_ordered_by_its_number(buyer, catalog, payments):
    items = [
        [{"product_id": 1, "quantity": 1}],
        [{"product_id": 2, "quantity": 1}, {"product_id": 1, "quantity": 1}],
        # Another item that names the first variant does not tell which one this item means.
        [{"product_id": 1, "quantity": 1}, {"variant_id": 1, "quantity": 1}],
        [{"variant_id": 1, "quantity": 1}, {"product_id": 1, "quantity": 1}],
    ]
    refused = (422, "variant_required", [{"product_id": 1}])
    wrong = []
    for number, each in enumerate(items):
        answer = order(buyer, *each, key=str(number))
        again = order(buyer, *each, key=str(number))
        if describe(answer) != refused or again.data != answer.data:
            wrong.append((each, answer.json))
    assert wrong == []
    location = f"/orders/{answer.json['order_id']}"
    assert buyer.get(location).json["reason"] == "variant_required"
    assert read_kinds(buyer, location) == ["placed", "refused", "cancelled"]
    assert (catalog.stock[1], catalog.stock[2], payments.calls) == (100, 100, [])
    assert answer.content_type == "application/problem+json"


def interrupt(buyer, catalog, item):
    """Place an order whose stock cannot be held yet, on a replica that then stops; return its path."""
    catalog.is_away = {"reserve"}
    placed = order(buyer, item)
    assert (placed.status_code, placed.json["status"]) == (202, "pending")
    return placed.headers["Location"]


@pytest.mark.usefixtures("quick_retries")
def test_any_replica_knows_how_an_interrupted_order_was_addressed(start_orders, auth, catalog, database):
    cases = {
        "by product": ({"product_id": 2, "quantity": 1}, None, "cancelled"),
        "by variant": ({"variant_id": 2, "quantity": 1}, None, "paid"),
        # A replica of the previous release sells the first variant, and has recorded neither column.
        "by the previous release": ({"product_id": 2, "quantity": 1}, "parent_id = NULL", "paid"),
    }
    wrong = []
    for name, (item, changed, wanted) in cases.items():
        catalog.parents.pop(502, None)
        first = start_orders()
        location = interrupt(Buyer(first, auth, name), catalog, item)
        first.close()
        if changed:
            run_sql(database, f"UPDATE order_lines SET only_variant = NULL, {changed}")
        # The product gets a further variant before another replica resumes the order.
        catalog.add_variant(502, parent=2)
        catalog.is_away = set()
        second = start_orders()
        other = Buyer(second, auth, name)
        wait_for(lambda other=other, location=location: read_status(other, location) in {"paid", "cancelled"})
        found = other.get(location).json
        if (found["status"], found["items"][0]["product_id"]) != (wanted, 2):
            wrong.append((name, found))
        second.close()
    assert wrong == []
    assert describe(order(Buyer(start_orders(), auth, "by product"), {"product_id": 2, "quantity": 1})) == (
        422,
        "variant_required",
        [{"product_id": 2}],
    )


@pytest.mark.usefixtures("quick_retries")
def test_the_product_of_a_named_variant_is_null_until_the_stock_is_held(buyer, catalog):
    location = interrupt(buyer, catalog, {"variant_id": BLUE, "quantity": 1})
    assert read_units(buyer.get(location)) == {(None, BLUE): (1, None)}
    catalog.is_away = set()
    wait_for(lambda: read_status(buyer, location) == "paid")
    assert read_units(buyer.get(location)) == {(1, BLUE): (1, 1200)}


def test_a_confirmed_order_keeps_its_variant_if_the_product_gets_further_ones(buyer, catalog):
    catalog.lapse_next_commit = True

    def add_variant(name):
        if name == "commit":
            catalog.add_variant(502, parent=2)

    catalog.before = add_variant
    location = order(buyer, {"product_id": 2, "quantity": 1}).headers["Location"]
    wait_for(lambda: read_status(buyer, location) in {"paid", "cancelled"})
    assert catalog.calls == ["reserve", "commit", "reserve", "commit"]
    assert read_units(buyer.get(location)) == {(2, 2): (1, 1000)}
    assert read_status(buyer, location) == "paid"


def test_a_refused_line_has_the_numbers_of_its_product_and_its_variant(buyer, catalog):
    put(buyer, BLUE, 3)
    put(buyer, 2, 1)
    refused = {}
    catalog.stock[BLUE] = 2
    refused["short"] = buyer.order("short", items=None)
    catalog.stock[BLUE] = 0
    refused["sold out"] = buyer.order("sold out", items=None)
    del catalog.stock[BLUE]
    refused["withdrawn"] = buyer.order("withdrawn", items=None)
    refused["named"] = order(buyer, {"variant_id": BLUE, "quantity": 3}, key="named")
    refused["removed"] = order(buyer, {"product_id": 99, "quantity": 1}, key="removed")
    line = {"product_id": 1, "variant_id": BLUE, "requested": 3}
    assert {name: describe(answer) for name, answer in refused.items()} == {
        "short": (409, "out_of_stock", [line]),
        "sold out": (409, "out_of_stock", [line]),
        "withdrawn": (409, "product_unavailable", [line]),
        # Only the catalogue could say which product this was.
        "named": (409, "product_unavailable", [line | {"product_id": None}]),
        "removed": (409, "product_unavailable", [{"product_id": 99, "variant_id": 99, "requested": 1}]),
    }
    assert catalog.stock[2] == 100
    assert len(buyer.get("/cart").json["items"]) == 2


def test_a_line_of_a_cart_names_its_variant_and_is_ordered_as_that(buyer, catalog):
    put(buyer, 1, 1)
    cart = put(buyer, BLUE, 2)
    assert read_units(cart) == {(1, 1): (1, 1000), (1, BLUE): (2, 1200)}
    assert cart.json["amount"] == 3400
    assert buyer.get("/cart").json == cart.json
    ordered = buyer.order(items=None)
    assert read_units(ordered) == read_units(cart)
    assert buyer.get("/cart").json["items"] == []
    assert (catalog.stock[1], catalog.stock[BLUE]) == (99, 98)


def test_removing_a_variant_from_the_cart_keeps_the_others(buyer):
    put(buyer, 1, 1)
    put(buyer, BLUE, 2)
    left = buyer.call("DELETE", "/cart/items/1")
    assert read_units(left) == {(1, BLUE): (2, 1200)}


def test_a_withdrawn_variant_in_a_cart_is_unavailable_and_keeps_its_product(buyer, catalog):
    put(buyer, 1, 1)
    put(buyer, BLUE, 2)
    # The first variant is withdrawn while its product stays.
    del catalog.stock[1]
    cart = buyer.get("/cart")
    assert [item["problem"] for item in cart.json["items"]] == ["unavailable", None]
    assert read_units(cart) == {(1, 1): (1, None), (1, BLUE): (2, 1200)}
    del catalog.stock[BLUE]
    cart = buyer.get("/cart")
    assert read_units(cart) == {(1, 1): (1, None), (1, BLUE): (2, None)}
    assert [item["previous_unit_amount"] for item in cart.json["items"]] == [None, None]
    answer = put(buyer, BLUE, 1)
    assert (answer.status_code, answer.json["code"]) == (404, "product_not_found")


def test_while_the_catalogue_is_unavailable_a_line_of_a_cart_has_both_numbers(buyer, catalog):
    put(buyer, BLUE, 2)
    catalog.is_away = {"read_offers"}
    cart = buyer.get("/cart")
    assert read_units(cart) == {(1, BLUE): (2, None)}
    assert cart.json["items"][0]["previous_unit_amount"] is None


def test_the_variants_of_a_guests_cart_are_merged_with_their_products(app, auth, buyer, catalog):
    catalog.add_variant(502, parent=2)
    guest = Buyer(app, auth, "a guest", role="guest")
    put(guest, BLUE, 2)
    put(guest, 502, 1)
    put(buyer, BLUE, 1)
    catalog.is_away = {"read_offers"}
    cart = Buyer(app, auth, "ada", guest_sub="a guest").get("/cart")
    assert read_units(cart) == {(1, BLUE): (3, None), (2, 502): (1, None)}


def test_a_cart_line_of_the_previous_release_is_ordered_as_its_variant(buyer, catalog, database):
    for variant in (2, BLUE):
        run_sql(
            database,
            "INSERT INTO cart_items (owner, product_id, quantity, unit_amount)"
            " VALUES ('ada', :variant, 1, 900)",
            variant=variant,
        )
    cart = buyer.get("/cart").json
    assert [
        (item["product_id"], item["variant_id"], item["previous_unit_amount"]) for item in cart["items"]
    ] == [
        (2, 2, 900),
        (1, BLUE, 900),
    ]
    # The line records its product when its quantity is set again.
    put(buyer, BLUE, 2)
    catalog.is_away = {"read_offers"}
    assert read_units(buyer.get("/cart")) == {(2, 2): (1, None), (1, BLUE): (2, None)}
    assert read_units(buyer.order(items=None)) == {(2, 2): (1, 1000), (1, BLUE): (2, 1200)}


def test_a_changed_price_does_not_keep_a_cart_from_being_ordered_at_the_current_one(buyer, catalog):
    version = put(buyer, BLUE, 1).json["version"]
    catalog.prices[BLUE] = 1100
    item = buyer.get("/cart").json["items"][0]
    assert (item["unit_amount"], item["previous_unit_amount"]) == (1100, 1200)
    ordered = buyer.order(items=None, cart_version=version)
    assert read_units(ordered) == {(1, BLUE): (1, 1100)}
