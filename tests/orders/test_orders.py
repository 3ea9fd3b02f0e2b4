"""Carts and orders, through their public routes."""

from tests.orders.conftest import ADDRESS, Buyer


def put(buyer, product, quantity):
    return buyer.call("PUT", f"/cart/items/{product}", json={"quantity": quantity})


def test_a_cart_is_priced_by_the_catalogue(buyer):
    put(buyer, 1, 2)
    cart = put(buyer, 2, 1).json
    assert cart["amount"] == 3000
    assert cart["currency"] == "USD"
    assert cart["items"][0] == {
        "product_id": 1,
        "variant_id": 1,
        "title": "Thing",
        "quantity": 2,
        "unit_amount": 1000,
        "previous_unit_amount": None,
        "amount": 2000,
        "problem": None,
    }
    assert buyer.get("/cart").json == cart


def test_a_quantity_is_set_not_added(buyer):
    put(buyer, 1, 2)
    assert [item["quantity"] for item in put(buyer, 1, 5).json["items"]] == [5]


def test_removing_a_product_is_idempotent(buyer):
    put(buyer, 1, 2)
    for _ in range(2):
        assert buyer.call("DELETE", "/cart/items/1").json["items"] == []


def test_an_unknown_product_cannot_be_added(buyer):
    answer = put(buyer, 99, 1)
    assert answer.status_code == 404
    assert answer.json["code"] == "product_not_found"


def test_an_impossible_product_id_is_404(buyer):
    assert put(buyer, 10**30, 1).status_code == 404
    assert buyer.call("DELETE", f"/cart/items/{10**30}").status_code == 404


def test_a_line_that_is_unavailable_or_short_is_marked(buyer, catalog):
    put(buyer, 1, 2)
    put(buyer, 2, 3)
    del catalog.stock[1]
    catalog.stock[2] = 2
    cart = buyer.get("/cart").json
    assert [item["problem"] for item in cart["items"]] == ["unavailable", "insufficient_stock"]
    assert cart["amount"] is None


def test_while_the_catalogue_is_unavailable_the_cart_has_no_prices(buyer, catalog):
    put(buyer, 1, 2)
    catalog.is_away = {"read_offers"}
    cart = buyer.get("/cart")
    assert cart.status_code == 200
    assert cart.json["items"][0]["quantity"] == 2
    assert cart.json["items"][0]["unit_amount"] is None
    assert cart.json["amount"] is None


def test_ordering_the_cart_empties_it_at_the_confirmation(buyer, app, auth):
    put(buyer, 1, 2)
    order = buyer.order(items=None)
    assert order.json["items"][0]["quantity"] == 2
    assert buyer.get("/cart").json["items"] == []


def test_a_declined_order_does_not_change_the_cart(buyer):
    put(buyer, 1, 2)
    assert buyer.order(items=None, card="pm_card_chargeDeclined").status_code == 402
    assert len(buyer.get("/cart").json["items"]) == 1


def test_an_invalid_order_is_refused_by_field(buyer):
    cases = [
        ({"items": []}, "items"),
        ({"items": [{"product_id": 1, "quantity": 0}]}, "items.0.quantity"),
        ({"items": [{"product_id": 1, "quantity": 501}, {"variant_id": 1, "quantity": 500}]}, "items"),
        ({"items": [{"product_id": 1, "variant_id": 1, "quantity": 1}]}, "items.0"),
        ({"items": [{"quantity": 1}]}, "items.0"),
        ({"items": [{"product_id": 1, "quantity": 1, "unit_amount": 1}]}, "items.0.unit_amount"),
        ({"payment_method": "4242424242424242"}, "payment_method"),
        ({"payment_method": "pm_4242424242424242"}, "payment_method"),
        ({"card_number": "4242424242424242"}, "card_number"),
        ({"email": "ada"}, "email"),
        ({"shipping_address": {**ADDRESS, "country": "Springfield"}}, "shipping_address.country"),
        ({"shipping_address": None}, "shipping_address"),
    ]
    body = {
        "items": [{"product_id": 1, "quantity": 1}],
        "payment_method": "pm_card_visa",
        "shipping_address": ADDRESS,
    }
    wrong = []
    for changes, field in cases:
        answer = buyer.call("POST", "/orders", key="k", json={**body, **changes})
        fields = [entry["field"] for entry in answer.json.get("errors", [])]
        if (answer.status_code, fields) != (422, [field]) or b"42424242" in answer.data:
            wrong.append((changes, answer.status_code, answer.text))
    assert wrong == []


def test_a_quantity_of_the_wrong_type_is_refused(buyer):
    for quantity in (True, "5", 1.5, None):
        assert buyer.order(str(quantity), items=[(1, quantity)]).status_code == 422, quantity
        put = buyer.call("PUT", "/cart/items/1", json={"quantity": quantity})
        assert put.status_code == 422, quantity
    assert buyer.get("/orders").json["data"] == []
    assert buyer.order("five", items=[(1, 5.0)]).json["items"][0]["quantity"] == 5


def test_another_customers_order_is_404(app, auth, buyer):
    location = buyer.order().headers["Location"]
    other = Buyer(app, auth, "bob")
    for path in (location, f"{location}/events"):
        assert other.get(path).status_code == 404
        assert other.get(path).json["code"] == "order_not_found"
    assert other.get("/orders").json["data"] == []


def test_an_admin_sees_every_order_and_filters_them(app, auth, buyer):
    Buyer(app, auth, "bob").order(card="pm_card_chargeDeclined")
    location = buyer.order().headers["Location"]
    admin = Buyer(app, auth, "boss", role="admin")
    assert len(admin.get("/orders").json["data"]) == 2
    assert [order["status"] for order in admin.get("/orders?user=bob").json["data"]] == ["cancelled"]
    assert len(admin.get("/orders?status=cancelled").json["data"]) == 1
    assert admin.get("/orders?since=2999-01-01T00:00:00Z").json["data"] == []
    assert admin.get(location).status_code == 200


def test_a_customers_user_filter_is_ignored(app, auth, buyer):
    buyer.order()
    assert Buyer(app, auth, "bob").get("/orders?user=ada").json["data"] == []


def test_orders_are_listed_newest_first_page_by_page(buyer):
    placed = [buyer.order(key=str(number)).json["id"] for number in range(5)]
    seen, path = [], "/orders?limit=2"
    while path:
        page = buyer.get(path).json
        seen += [order["id"] for order in page["data"]]
        path = page["next"] and f"/orders?limit=2&cursor={page['next']}"
    assert seen == placed[::-1]


def test_an_invalid_query_is_refused(buyer):
    queries = [
        "cursor=MQ",
        "status=odd",
        "limit=0",
        "since=yesterday",
        "since=2026",
        "until=2026-01-31",
        "until=2026-01-31T12:00:00",
        "colour=red",
    ]
    answers = [(query, buyer.get(f"/orders?{query}").status_code) for query in queries]
    assert [answer for answer in answers if answer[1] != 422] == []


def test_an_unknown_order_is_404(buyer):
    assert buyer.get("/orders/00000000-0000-7000-8000-000000000000").status_code == 404
    assert buyer.get("/orders/nonsense").status_code == 404
