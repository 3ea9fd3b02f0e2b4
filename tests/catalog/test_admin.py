"""Admin routes for products and stock."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import uuid4

import pytest
from sqlalchemy import text

from catalog.domain import FIRST_LOCAL_ID
from catalog.use_cases.products import recount
from catalog.use_cases.reservations import commit_reservation, lapse_reservations, release_reservation
from tests.catalog.fake_source import copy_stock, make_overdue, read_counts, reserve

MUG = {"title": "Blue Mug", "unit_amount": 1250, "category": "kitchen", "on_hand": 7}

# Invalid fields of a new product, and the field that the error names.
INVALID = [
    ({"title": ""}, "title"),
    ({"title": "   "}, "title"),
    ({"title": None}, "title"),
    ({"title": "x" * 501}, "title"),
    ({"title": "nul\0"}, "title"),
    ({"description": "nul\0"}, "description"),
    ({"unit_amount": -1}, "unit_amount"),
    ({"unit_amount": 1.5}, "unit_amount"),
    ({"price": 12.505}, "price"),
    ({"price": 13}, "price"),
    ({"price": "NaN"}, "price"),
    ({"rating": 5.1}, "rating"),
    ({"sku": "X\tY"}, "sku"),
    ({"title": "A mug\r\nfor tea"}, "title"),
    ({"brand": "Ac\x00me"}, "brand"),
    ({"category": "kit\u2028chen"}, "category"),
    ({"on_hand": -1}, "on_hand"),
    ({"on_hand": 2**40}, "on_hand"),
    ({"images": "a.svg"}, "images"),
    ({"id": 5}, "id"),
    ({"colour": "red"}, "colour"),
]


class Admin:
    """An admin's browser."""

    def __init__(self, client, auth, **claims):
        self.client = client
        self.headers = auth.bearer(**{"role": "admin", **claims})

    def send(self, method, path, body=None):
        return self.client.open(path, method=method, json=body, headers=self.headers)

    def show(self, product_id):
        return self.send("GET", f"/products/{product_id}")

    def create(self, **fields):
        answer = self.send("POST", "/products", {**MUG, **fields})
        assert answer.status_code == 201, answer.json
        return answer.json

    def change(self, product_id, **fields):
        return self.send("PATCH", f"/products/{product_id}", fields)

    def count(self, product_id, on_hand):
        return self.send("PUT", f"/products/{product_id}/stock", {"on_hand": on_hand})


@pytest.fixture
def admin(client, auth):
    return Admin(client, auth)


@pytest.fixture
def hold(client, auth):
    """Reserve units for an order, as orders-service does."""

    def hold(order_id, quantities):
        items = [{"product_id": number, "quantity": units} for number, units in quantities.items()]
        answer = client.put(
            f"/internal/reservations/{order_id}",
            json={"customer": "a-customer", "items": items},
            headers=auth.service_bearer("orders-service"),
        )
        assert answer.status_code == 200, answer.json

    return hold


@pytest.fixture
def copying_admin(sample_app, start_catalog, auth):
    """An admin of a replica that copies its source."""
    return Admin(start_catalog().test_client(), auth)


def sync(copying_admin, **options):
    answer = copying_admin.send("POST", "/products/sync", options or None)
    assert answer.status_code == 200, answer.json
    return answer.json


def test_a_new_product_is_for_sale_at_once_with_an_id_above_those_of_any_source(admin):
    answer = admin.send("POST", "/products", {**MUG, "sku": "MUG-1", "brand": "Acme", "rating": 4.5})
    assert answer.status_code == 201
    product = answer.json
    assert product["id"] >= FIRST_LOCAL_ID
    assert answer.headers["Location"] == f"/products/{product['id']}"
    assert (product["price"], product["unit_amount"], product["stock"]) == (12.5, 1250, 7)
    assert (product["version"], product["on_hand"], product["reserved"], product["edited"]) == (1, 7, 0, [])
    shown = admin.show(product["id"]).json
    both = shown.keys() & product.keys()
    assert {name: shown[name] for name in both} == {name: product[name] for name in both}
    assert product.keys() - both == {"on_hand", "reserved", "edited", "weight_grams", "low_stock_threshold"}
    assert shown.keys() - both == {"options", "variants", "breadcrumbs"}
    assert shown["breadcrumbs"] == [{"path": "kitchen", "title": "Kitchen"}]


def test_absent_fields_of_a_new_product_have_defaults(admin):
    product = admin.send("POST", "/products", {"title": "Bare", "price": 3}).json
    assert product["sku"] == f"P-{product['id']}"
    assert (product["category"], product["unit_amount"], product["stock"]) == ("other", 300, 0)
    assert (product["brand"], product["rating"], product["description"], product["images"]) == (
        None,
        None,
        "",
        [],
    )


def test_texts_are_trimmed_and_blank_texts_are_cleared(admin):
    blank = {"sku": " ", "brand": "", "category": "\u200b"}
    product = admin.send(
        "POST", "/products", {**MUG, **blank, "title": " A mug ", "description": " 1\n2 "}
    ).json
    assert (product["title"], product["description"]) == ("A mug", "1\n2")
    assert (product["sku"], product["brand"], product["category"]) == (f"P-{product['id']}", None, "other")
    path = f"/products/{product['id']}"
    named = admin.send("PATCH", path, {"version": 1, "brand": " Acme ", "category": "kitchen"}).json
    assert (named["brand"], named["category"]) == ("Acme", "kitchen")
    cleared = admin.send("PATCH", path, {"version": 2, "brand": " ", "category": "", "description": " "}).json
    assert (cleared["brand"], cleared["category"], cleared["description"]) == (None, "other", "")
    refused = {
        field: admin.send("PATCH", path, {"version": 3, field: " "}).status_code for field in ("title", "sku")
    }
    assert refused == {"title": 422, "sku": 422}


def test_the_longest_names_have_valid_cursors(admin, database):
    long = chr(0x1F642) * 99
    for last in "ab":
        admin.create(title=long + last, category=long + last, sku=f"LONG-{last}")
    assert recount(database)
    for path in ("/categories?limit=1", "/products?limit=1&sort=title&q=LONG"):
        pages, cursor = 0, ""
        while cursor is not None:
            answer = admin.send("GET", f"{path}&cursor={cursor}" if cursor else path)
            assert answer.status_code == 200, answer.json
            pages, cursor = pages + 1, answer.json["next"]
        assert pages >= 2


def test_an_invalid_field_is_reported_by_name(admin):
    wrong = {}
    for fields, field in INVALID:
        answer = admin.send("POST", "/products", {**MUG, **fields})
        errors = answer.json.get("errors") or [{"field": None}]
        if (answer.status_code, errors[0]["field"]) != (422, field):
            wrong[str(fields)] = answer.json
    assert wrong == {}


def test_a_product_without_a_price_is_rejected(admin):
    answer = admin.send("POST", "/products", {"title": "Priceless"})
    assert answer.status_code == 422
    assert "price" in answer.json["errors"][0]["detail"]


def test_a_sku_is_unique_among_products_for_sale(admin):
    first = admin.create(sku="MUG-1")
    answer = admin.send("POST", "/products", {**MUG, "sku": "MUG-1"})
    assert (answer.status_code, answer.json["code"]) == (409, "sku_taken")
    assert answer.json["product_id"] == first["id"]
    assert admin.send("POST", "/products", {**MUG, "sku": "KIT-0001"}).json["product_id"] == 1
    other = admin.create(sku="MUG-2")
    assert admin.change(other["id"], version=1, sku="MUG-1").json["code"] == "sku_taken"
    assert admin.change(first["id"], version=1, sku="MUG-1").status_code == 200
    assert admin.send("DELETE", f"/products/{first['id']}").status_code == 204
    assert admin.change(other["id"], version=1, sku="MUG-1").json["sku"] == "MUG-1"


def test_only_one_of_several_concurrent_new_products_gets_a_sku(admin, copying_admin):
    admins = [admin, copying_admin]
    begin = Barrier(8)

    def create(admin):
        begin.wait()
        return admin.send("POST", "/products", {**MUG, "sku": "MUG-1"}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(create, admins * 4)) == [201] + [409] * 7


def test_a_change_needs_the_current_version(admin):
    product = admin.create()
    changed = admin.change(product["id"], version=1, title="Red Mug", brand="Acme")
    assert changed.status_code == 200
    assert (changed.json["title"], changed.json["brand"], changed.json["version"]) == ("Red Mug", "Acme", 2)
    late = admin.change(product["id"], version=1, title="Green Mug")
    assert (late.status_code, late.json["code"], late.json["version"]) == (409, "version_conflict", 2)
    assert admin.show(product["id"]).json["title"] == "Red Mug"
    assert admin.change(product["id"], title="Green Mug").json["errors"][0]["field"] == "version"


def test_a_change_without_effect_keeps_the_version(admin):
    product = admin.create(brand="Acme")
    same = admin.change(product["id"], version=1, title="Blue Mug", brand="Acme", price=12.5)
    assert (same.status_code, same.json["version"]) == (200, 1)
    assert admin.change(product["id"], version=1, brand=None).json["brand"] is None


def test_exactly_one_of_many_concurrent_changes_to_a_version_succeeds(admin, copying_admin):
    admins = [admin, copying_admin]
    product = admins[0].create()
    begin = Barrier(8)

    def change(number):
        begin.wait()
        return admins[number % 2].change(product["id"], version=1, title=f"Mug {number}").status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(change, range(8))) == [200] + [409] * 7
    assert admins[0].show(product["id"]).json["version"] == 2


def test_a_sale_does_not_conflict_with_a_change(admin, database, hold):
    product = admin.create()
    order_id = uuid4()
    hold(order_id, {product["id"]: 2})
    commit_reservation(database, order_id)
    assert admin.change(product["id"], version=1, title="Red Mug").status_code == 200


def test_a_removed_product_is_404_for_clients_and_stays_for_its_orders(admin, database, hold):
    product = admin.create()
    number = product["id"]
    held, sold = uuid4(), uuid4()
    hold(held, {number: 1})
    hold(sold, {number: 2})
    commit_reservation(database, sold)
    assert admin.send("DELETE", f"/products/{number}").status_code == 204
    for answer in (
        admin.show(number),
        admin.change(number, version=1, title="x"),
        admin.count(number, 3),
        admin.send("GET", f"/products/{number}/stock"),
        admin.send("DELETE", f"/products/{number}"),
    ):
        assert (answer.status_code, answer.json["code"]) == (404, "product_not_found")
    commit_reservation(database, held)
    release_reservation(database, sold)
    assert read_counts(database)[number] == (6, 0)
    # The lines of the reservations keep the title.
    with database.transaction() as connection:
        titles = connection.execute(text("SELECT DISTINCT title FROM reservation_lines")).scalars().all()
    assert titles == ["Blue Mug"]


def test_a_count_sets_the_units_on_hand_including_held_units(admin, database, hold):
    number = admin.create()["id"]
    order_id = uuid4()
    hold(order_id, {number: 2})
    answer = admin.count(number, 5)
    assert answer.status_code == 200
    counts = {"on_hand": 5, "reserved": 2, "stock": 3, "shortfall": 0}
    assert answer.json == {"product_id": number, "variant_id": number, **counts}
    assert admin.send("GET", f"/products/{number}/stock").json == answer.json
    refused = admin.count(number, 1)
    assert (refused.status_code, refused.json["code"]) == (409, "stock_held")
    assert (refused.json["on_hand"], refused.json["reserved"]) == (5, 2)
    assert admin.count(number, 2).json["stock"] == 0
    commit_reservation(database, order_id)
    assert read_counts(database)[number] == (0, 0)
    assert admin.show(number).json["version"] == 1


def test_an_invalid_count_is_rejected(admin):
    bodies = ({}, {"on_hand": -1}, {"on_hand": "many"}, {"on_hand": 1, "why": "x"}, [], None)
    answers = {str(body): admin.send("PUT", "/products/1/stock", body).status_code for body in bodies}
    assert {body: status for body, status in answers.items() if status not in {415, 422}} == {}


def test_every_request_for_an_unknown_product_is_404(admin):
    statuses = {
        number: [
            admin.change(number, version=1, title="x").status_code,
            admin.count(number, 1).status_code,
            admin.send("DELETE", f"/products/{number}").status_code,
            admin.send("GET", f"/products/{number}/stock").status_code,
        ]
        for number in (0, 121, 2**53, 10**30)
    }
    assert statuses == dict.fromkeys(statuses, [404] * 4)


def test_edits_of_a_source_product_survive_the_next_copy(admin, copying_admin):
    assert admin.change(1, version=1, price=1, title="Ours").json["edited"] == ["title", "unit_amount"]
    assert admin.count(2, 5).status_code == 200
    assert sync(copying_admin)["changed"] == 0
    assert (admin.show(1).json["price"], admin.show(1).json["title"]) == (1, "Ours")
    assert admin.show(2).json["stock"] == 5


def test_a_field_follows_the_source_again_at_once(admin):
    before = admin.show(1).json
    version = admin.change(1, version=1, price=1, title="Ours").json["version"]
    answer = admin.change(1, version=version, follow_source=["unit_amount"])
    assert answer.status_code == 200
    assert (answer.json["price"], answer.json["title"]) == (before["price"], "Ours")
    assert answer.json["edited"] == ["title"]
    admin.count(1, 5)
    version = answer.json["version"]
    answer = admin.change(1, version=version, follow_source=["stock", "title"])
    assert (answer.json["title"], answer.json["stock"]) == (before["title"], before["stock"])
    assert answer.json["edited"] == []


def test_a_change_cannot_set_a_field_that_follows_the_source(admin):
    for field, name in (({"title": "x"}, "title"), ({"price": 1}, "unit_amount")):
        answer = admin.change(1, version=1, follow_source=[name], **field)
        assert answer.status_code == 422
    assert admin.change(1, version=1, follow_source=["colour"]).status_code == 422
    own = admin.create()["id"]
    answer = admin.change(own, version=1, follow_source=["title"])
    assert (answer.status_code, answer.json["code"]) == (422, "not_from_source")


def test_a_sync_with_overwrite_discards_edits(admin, copying_admin, database, hold):
    before = [admin.show(1).json, admin.show(2).json]
    admin.change(1, version=1, price=1, title="Ours")
    admin.count(2, 5)
    order_id = uuid4()
    hold(order_id, {2: 3})
    commit_reservation(database, order_id)
    report = sync(copying_admin, overwrite=True)
    assert (report["overwrite"], report["changed"]) == (True, 2)
    after = [admin.show(1).json, admin.show(2).json]
    assert [product["title"] for product in after] == [product["title"] for product in before]
    assert after[0]["price"] == before[0]["price"]
    # Sold units stay sold, even though the stock was counted before.
    assert after[1]["stock"] == before[1]["stock"] - 3
    assert sync(copying_admin, overwrite=True)["changed"] == 0


def test_a_product_removed_by_an_admin_stays_removed_after_a_sync(admin, copying_admin):
    assert admin.send("DELETE", "/products/1").status_code == 204
    sync(copying_admin)
    sync(copying_admin, overwrite=True)
    assert admin.show(1).status_code == 404


def test_a_sync_does_not_remove_the_shops_own_products(admin, copying_admin):
    number = admin.create()["id"]
    assert sync(copying_admin, overwrite=True, allow_removals=True)["removed"] == 0
    assert admin.show(number).status_code == 200


def test_a_shortfall_remains_until_the_source_has_new_units(database):
    copy_stock(database, {1: 10})
    sold, held = uuid4(), uuid4()
    reserve(database, sold, {1: 3})
    commit_reservation(database, sold)
    reserve(database, held, {1: 2})
    copy_stock(database, {1: 0})
    assert read_counts(database) == {1: (2, 2)}
    make_overdue(database)
    lapse_reservations(database)
    # The two released units do not exist, so they are not for sale again.
    assert read_counts(database) == {1: (0, 0)}
    copy_stock(database, {1: 4})
    assert read_counts(database) == {1: (1, 0)}
    release_reservation(database, sold)
    assert read_counts(database) == {1: (4, 0)}


def test_a_count_clears_the_shortfall(database, admin):
    copy_stock(database, {1: 10})
    reserve(database, uuid4(), {1: 6})
    copy_stock(database, {1: 2})
    assert admin.send("GET", "/products/1/stock").json["shortfall"] == 4
    assert admin.count(1, 8).json == {
        "product_id": 1,
        "variant_id": 1,
        "on_hand": 8,
        "reserved": 6,
        "stock": 2,
        "shortfall": 0,
    }
