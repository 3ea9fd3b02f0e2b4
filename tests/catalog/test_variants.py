"""Variants: options, prices, stock, and the traps of other shops."""

from uuid import uuid4

import pytest
from sqlalchemy import event, text

from catalog.domain import FIRST_LOCAL_ID, Filter, Sort
from catalog.repository.details import find_by_id
from catalog.repository.variants import list_variants
from catalog.use_cases.products import list_products, recount
from catalog.use_cases.reservations import commit_reservation, release_reservation
from tests.catalog.rows import SOURCE, begin_catalogue, put_products
from tests.catalog.test_admin import Admin
from tests.catalog.test_reservations import Orders
from tests.catalog.upstreams import execute

SIZES = {"name": "Size", "values": ["S", "M", "L"]}
COLOURS = {"name": "Colour", "values": ["Red", "Blue"]}
MISSING = 9_000_000_000_999_999


class Office(Admin):
    """An admin's browser that edits variants."""

    def create_shirt(self, options=(SIZES,), variants=None, **fields):
        rows = variants or [
            {
                "sku": f"SHIRT-{size}",
                "options": {"Size": size},
                "unit_amount": 2000 + 500 * place,
                "on_hand": 5,
            }
            for place, size in enumerate(["S", "M", "L"])
        ]
        body = {"title": "Shirt", "category": "clothes", "options": list(options), "variants": rows, **fields}
        answer = self.send("POST", "/products", body)
        assert answer.status_code == 201, answer.json
        return self.show(answer.json["id"]).json

    def create_answer(self, **fields):
        return self.send("POST", "/products", {"title": "Cap", "unit_amount": 100, **fields})

    def add(self, product_id, **fields):
        return self.send("POST", f"/products/{product_id}/variants", {"unit_amount": 100, **fields})

    def change_variant(self, product_id, variant_id, **fields):
        return self.send("PATCH", f"/products/{product_id}/variants/{variant_id}", fields)

    def withdraw(self, product_id, variant_id):
        return self.send("DELETE", f"/products/{product_id}/variants/{variant_id}")

    def count_variant(self, product_id, variant_id, on_hand):
        path = f"/products/{product_id}/variants/{variant_id}/stock"
        return self.send("PUT", path, {"on_hand": on_hand})

    def list_ids(self, query):
        answer = self.send("GET", f"/products?category=clothes&{query}")
        return [product["id"] for product in answer.json["data"]]


@pytest.fixture
def office(client, auth):
    return Office(client, auth)


@pytest.fixture
def orders(client, auth):
    return Orders(client, auth)


@pytest.fixture
def shirt(office):
    return office.create_shirt()


def test_a_product_shows_its_options_and_its_variants_in_their_order(office):
    variants = [
        {"options": {"Size": size, "Colour": colour}, "unit_amount": 900, "weight_grams": 180}
        for size in ("L", "S")
        for colour in ("Blue", "Red")
    ]
    shown = office.create_shirt([SIZES, COLOURS], variants)
    assert shown["options"] == [SIZES, COLOURS]
    titles = [variant["title"] for variant in shown["variants"]]
    assert titles == ["S / Red", "S / Blue", "L / Red", "L / Blue"]
    # The first row of the body has the product's number; the further ones have their own, from the sequence.
    ids = {variant["title"]: variant["id"] for variant in shown["variants"]}
    assert ids["L / Blue"] == shown["id"]
    assert len(set(ids.values())) == 4
    assert min(ids.values()) >= FIRST_LOCAL_ID
    assert {variant["sku"] for variant in shown["variants"]} == {f"P-{number}" for number in ids.values()}
    assert all(variant["weight_grams"] == 180 for variant in shown["variants"])


def test_a_product_has_the_price_of_its_cheapest_variant_and_the_stock_of_all(office, shirt):
    small, medium, large = shirt["variants"]
    assert office.change_variant(shirt["id"], large["id"], version=1, price=9.5).status_code == 200
    office.count_variant(shirt["id"], large["id"], 0)
    listed = office.send("GET", "/products?category=clothes").json["data"]
    assert len(listed) == 1
    assert {
        name: listed[0][name]
        for name in ("id", "sku", "price", "unit_amount", "highest_unit_amount", "stock", "variant_count")
    } == {
        "id": shirt["id"],
        # The cheapest, also when it is sold out.
        "sku": "SHIRT-L",
        "price": 9.5,
        "unit_amount": 950,
        "highest_unit_amount": 2500,
        "stock": small["stock"] + medium["stock"],
        "variant_count": 3,
    }


def test_lists_filter_and_sort_by_what_can_be_bought(office):
    shirt = office.create_shirt()["id"]  # 20, 25, 30
    plain = office.create(title="Scarf", category="clothes", unit_amount=2200, on_hand=0)["id"]
    [small, *_] = office.show(shirt).json["variants"]
    office.count_variant(shirt, small["id"], 0)
    expected = {
        "sort=price": [shirt, plain],
        "sort=-price": [plain, shirt],
        # Any variant's price, without a price between two variants.
        "min_price=24": [shirt],
        "min_price=21&sort=price": [shirt, plain],
        "max_price=20": [shirt],
        "max_price=19": [],
        "min_price=21&max_price=24": [plain],
        "min_price=26&max_price=29": [],
        "min_price=30&max_price=30&sort=title": [shirt],
        "in_stock=true": [shirt],
        "in_stock=false": [plain],
        "option.Size=M": [shirt],
        "option.Size=M&option.Size=XL": [shirt],
        "option.Size=XL": [],
        "option.Colour=M": [],
        # The same variant has the option, the price and the stock.
        "option.Size=S&min_price=25": [],
        "option.Size=M&min_price=25&max_price=25": [shirt],
        "option.Size=S&in_stock=true": [],
        "option.Size=S&in_stock=false": [shirt],
        "option.Size=M&in_stock=true": [shirt],
        "q=shirt": [shirt],
        # A SKU of any variant, as a whole and by its parts.
        "q=SHIRT-M": [shirt],
        "q=shirtl": [shirt],
        "q=shirt-m&sort=price": [shirt],
    }
    found = {query: office.list_ids(query) for query in expected}
    wrong = {query: ids for query, ids in found.items() if ids != expected[query]}
    assert wrong == {}


def test_options_are_facets_that_ignore_their_own_filter(office, database):
    office.create_shirt()
    office.create_shirt(
        [SIZES, COLOURS],
        [
            {"options": {"Size": "M", "Colour": "Red"}, "unit_amount": 100},
            {"options": {"Size": "M", "Colour": "Blue"}, "unit_amount": 100},
        ],
    )
    recount(database)

    def read(query):
        facets = office.send("GET", f"/products?facets=true&{query}").json["facets"]["options"]
        return {
            option["name"]: {each["name"]: each["count"] for each in option["values"]} for option in facets
        }

    every = {"Colour": {"Red": 1, "Blue": 1}, "Size": {"S": 1, "M": 2, "L": 1}}
    assert read("category=clothes") == every
    sample = {
        option["name"] for option in office.send("GET", "/products?facets=true").json["facets"]["options"]
    }
    assert sample >= every.keys()
    assert read("category=kitchen&q=walnut") == {}
    assert read("category=clothes&option.Size=S") == {"Size": every["Size"]}
    assert read("category=clothes&option.Colour=Red") == {"Colour": every["Colour"], "Size": {"M": 1}}
    assert read("q=shirt&max_price=5") == {"Colour": {"Red": 1, "Blue": 1}, "Size": {"M": 1}}


def test_pages_of_a_price_range_have_each_product_once(office):
    """Products whose cheapest variant is in the range, and those of which only a dearer one is."""
    expected = []
    for number in range(12):
        low, high = 1000 + 10 * number, 5000 + 10 * number
        rows = [
            {"options": {"Size": "S"}, "unit_amount": low if number % 2 else 5000 + number},
            {"options": {"Size": "M"}, "unit_amount": high},
        ]
        expected.append(office.create_shirt(variants=rows)["id"])
    for sort in ("id", "price", "-price", "title", "newest", "rating"):
        ids, cursor = [], ""
        while cursor is not None:
            path = f"/products?category=clothes&min_price=50&sort={sort}&limit=5&cursor={cursor}"
            page = office.send("GET", path if cursor else path.removesuffix("&cursor="))
            assert page.status_code == 200, page.json
            ids += [product["id"] for product in page.json["data"]]
            cursor = page.json["next"]
        assert sorted(ids) == expected, sort


def test_an_option_is_added_together_with_the_values_of_existing_variants(office, shirt):
    path = {"version": shirt["version"], "options": [SIZES, COLOURS]}
    refused = office.change(shirt["id"], **path)
    assert (refused.status_code, refused.json["code"]) == (422, "option_values_invalid")
    assert refused.json["detail"] == "Give one value for each of: Size, Colour."
    assert refused.json["variant_id"] in {variant["id"] for variant in shirt["variants"]}
    values = [
        {"id": variant["id"], "options": {**variant["options"], "Colour": "Red"}}
        for variant in shirt["variants"]
    ]
    assert office.change(shirt["id"], **path, variants=values).status_code == 200
    shown = office.show(shirt["id"]).json
    assert [variant["title"] for variant in shown["variants"]] == ["S / Red", "M / Red", "L / Red"]
    assert shown["version"] > shirt["version"]


def test_an_option_value_that_variants_have_cannot_be_removed(office, shirt):
    fewer = {"name": "Size", "values": ["S", "M"]}
    refused = office.change(shirt["id"], version=shirt["version"], options=[fewer])
    assert (refused.status_code, refused.json["code"]) == (422, "option_values_invalid")
    assert refused.json["variant_id"] == shirt["variants"][2]["id"]
    assert office.show(shirt["id"]).json == shirt
    assert office.withdraw(shirt["id"], shirt["variants"][2]["id"]).status_code == 204
    version = office.show(shirt["id"]).json["version"]
    assert office.change(shirt["id"], version=version, options=[fewer]).status_code == 200


def test_variants_swap_their_values_in_one_change(office, shirt):
    small, medium, _large = shirt["variants"]
    values = [{"id": small["id"], "options": {"Size": "M"}}, {"id": medium["id"], "options": {"Size": "S"}}]
    assert office.change(shirt["id"], version=shirt["version"], variants=values).status_code == 200
    titles = {variant["id"]: variant["title"] for variant in office.show(shirt["id"]).json["variants"]}
    assert (titles[small["id"]], titles[medium["id"]]) == ("M", "S")


def test_two_equal_values_options_or_combinations_are_refused(office, shirt):
    number, version = shirt["id"], shirt["version"]
    small, medium, _large = shirt["variants"]
    cases = {
        "equal values": (
            office.change(number, version=version, options=[{"name": "Size", "values": ["S", "s"]}]),
            422,
        ),
        "no values": (office.change(number, version=version, options=[{"name": "Size", "values": []}]), 422),
        "equal options": (
            office.change(number, version=version, options=[SIZES, {**SIZES, "name": "SIZE"}]),
            422,
        ),
        "a new equal combination": (office.add(number, options={"Size": "M"}), 409),
        "a changed combination": (
            office.change_variant(number, small["id"], version=1, options={"Size": "M"}),
            409,
        ),
        "equal after a change of options": (
            office.change(number, version=version, variants=[{"id": small["id"], "options": {"Size": "M"}}]),
            409,
        ),
        "an unknown value": (office.add(number, options={"Size": "XL"}), 422),
        "a missing value": (office.add(number, options={}), 422),
        "an unknown option": (office.add(number, options={"Size": "M", "Fit": "Slim"}), 422),
        "an unknown variant": (
            office.change(number, version=version, variants=[{"id": MISSING, "options": {"Size": "M"}}]),
            404,
        ),
    }
    wrong = {name: answer.json for name, (answer, status) in cases.items() if answer.status_code != status}
    assert wrong == {}
    assert cases["a new equal combination"][0].json["variant_id"] == medium["id"]
    assert office.show(number).json == shirt


def test_variants_without_options_are_refused(office):
    """As an ERP may send them: nothing would tell the variants apart."""
    plain = office.create()
    refused = office.add(plain["id"], sku="ERP-2")
    assert (refused.status_code, refused.json["code"]) == (409, "variant_exists")
    body = {"title": "Bolt", "options": [], "variants": [{"unit_amount": 1}, {"unit_amount": 2}]}
    assert office.send("POST", "/products", body).status_code == 422


def test_the_last_variant_cannot_go_and_the_first_one_can(office, shirt):
    first, second, third = (variant["id"] for variant in shirt["variants"])
    assert first == shirt["id"]
    assert office.withdraw(first, first).status_code == 204
    [listed] = office.send("GET", "/products?category=clothes").json["data"]
    assert (listed["variant_count"], listed["variant_id"]) == (2, None)
    assert office.withdraw(first, second).status_code == 204
    refused = office.withdraw(first, third)
    assert (refused.status_code, refused.json["code"]) == (409, "last_variant")
    shown = office.show(first).json
    assert [variant["id"] for variant in shown["variants"]] == [shown["variant_id"]] == [third]
    assert (shown["sku"], shown["unit_amount"], shown["stock"], shown["variant_count"]) == (
        "SHIRT-L",
        3000,
        5,
        1,
    )
    listed = office.send("GET", "/products?category=clothes").json["data"]
    assert [(each["id"], each["variant_id"], each["unit_amount"]) for each in listed] == [
        (first, third, 3000)
    ]
    assert office.list_ids("max_price=29") == []
    for path in (f"/products/{first}/variants/{first}", f"/products/{first}/variants/{MISSING}"):
        assert office.send("DELETE", path).json["code"] == "variant_not_found"
    # The SKU and the combination are free again.
    again = office.add(first, sku="SHIRT-S", options={"Size": "S"}, on_hand=1)
    assert again.status_code == 201
    assert again.json["id"] not in {first, second, third}


def test_a_list_of_products_without_further_variants_is_one_statement(database):
    begin_catalogue(database)
    put_products(database, {"id": 1}, {"id": 2})
    statements = []

    def note(_connection, _cursor, statement, *_rest):
        statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        found = list_products(database, SOURCE, Filter(), Sort.ID, limit=10)
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    assert [(product.id, product.variant_id) for product in found.products] == [(1, 1), (2, 2)]
    assert len(statements) == 1


def test_a_withdrawn_variant_is_not_sold_but_its_held_units_are(office, orders, shirt, database):
    number, medium = shirt["id"], shirt["variants"][1]["id"]
    held, late = uuid4(), uuid4()
    assert orders.reserve(held, {"product_id": medium, "quantity": 2}).status_code == 200
    assert office.withdraw(number, medium).status_code == 204
    refused = orders.reserve(late, {"product_id": medium, "quantity": 1})
    assert (refused.status_code, refused.json["code"]) == (409, "product_unavailable")
    [first] = orders.prices(f"ids={number},{medium}").json["data"]
    # A further variant is for sale, so the product's number is not enough.
    assert (first["product_id"], first["is_only_variant"]) == (number, False)
    assert len(orders.prices(f"ids={number},{medium}").json["data"]) == 1
    # An order that awaits its payment goes on; another returns its units.
    assert orders.reserve(held, {"product_id": medium, "quantity": 2}).status_code == 200
    commit_reservation(database, held)
    release_reservation(database, held)
    assert office.show(number).json["stock"] == 10


def test_a_removed_product_sells_none_of_its_variants(office, orders, shirt):
    small, medium, _large = (variant["id"] for variant in shirt["variants"])
    assert office.send("DELETE", f"/products/{shirt['id']}").status_code == 204
    for number in (small, medium):
        assert (
            orders.reserve(uuid4(), {"product_id": number, "quantity": 1}).json["code"]
            == "product_unavailable"
        )
    assert orders.prices(f"ids={small},{medium}").json["data"] == []
    assert office.add(shirt["id"], options={"Size": "M"}).status_code == 404
    # The SKUs of its variants are free.
    assert office.create(sku="SHIRT-M")["sku"] == "SHIRT-M"


def test_a_further_variant_is_no_product_of_its_own(office, orders, shirt):
    medium = shirt["variants"][1]["id"]
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/variants"), ("GET", "/stock")):
        answer = office.send(method, f"/products/{medium}{path}")
        assert (answer.status_code, method, path) == (404, method, path)
    refused = orders.reserve(uuid4(), {"product_id": medium, "quantity": 1, "only_variant": True})
    assert refused.json["code"] == "variant_required"


def test_a_reservation_names_the_variant_and_its_product(office, orders, shirt):
    small, medium, _large = (variant["id"] for variant in shirt["variants"])
    answer = orders.reserve(
        uuid4(), {"product_id": medium, "quantity": 1}, {"product_id": small, "quantity": 2}
    )
    assert [
        (item["product_id"], item["parent_id"], item["sku"], item["title"], item["unit_amount"])
        for item in answer.json["items"]
    ] == [
        (small, small, "SHIRT-S", "Shirt, S", 2000),
        (medium, small, "SHIRT-M", "Shirt, M", 2500),
    ]
    prices = orders.prices(f"ids={medium}").json["data"]
    assert [(each["title"], each["parent_id"], each["stock"]) for each in prices] == [("Shirt, M", small, 4)]
    assert office.show(small).json["stock"] == 12


def test_a_products_number_stands_for_its_only_variant(office, orders, shirt):
    items = [{"product_id": shirt["id"], "quantity": 1, "only_variant": True}]
    refused = orders.reserve(uuid4(), *items)
    assert (refused.status_code, refused.json["code"]) == (409, "variant_required")
    assert refused.json["lines"] == [{"product_id": shirt["id"]}]
    assert office.show(shirt["id"]).json["stock"] == 15
    for variant in shirt["variants"][1:]:
        office.withdraw(shirt["id"], variant["id"])
    assert orders.reserve(uuid4(), *items).status_code == 200


def test_a_change_of_a_product_with_several_variants_names_no_price(office, shirt):
    refused = office.change(shirt["id"], version=shirt["version"], unit_amount=1)
    assert (refused.status_code, refused.json["code"]) == (422, "variant_required")
    assert office.count(shirt["id"], 4).json["code"] == "variant_required"
    assert office.change(shirt["id"], version=shirt["version"], title="Tee").status_code == 200


def test_a_new_product_has_its_price_in_one_place(office):
    variants = [{"options": {"Size": "S"}, "unit_amount": 5}]
    cases = {
        "both": {"options": [SIZES], "variants": variants, "unit_amount": 5},
        "a stock": {"options": [SIZES], "variants": variants, "on_hand": 5},
        "no options": {"variants": variants},
        "no variants": {"options": [SIZES], "unit_amount": 5},
        "no price": {"options": [SIZES], "variants": [{"options": {"Size": "S"}}]},
        "two equal SKUs": {
            "options": [SIZES],
            "variants": [
                {"options": {"Size": "S"}, "sku": "A", "unit_amount": 1},
                {"options": {"Size": "M"}, "sku": "A", "unit_amount": 1},
            ],
        },
    }
    answers = {
        name: office.send("POST", "/products", {"title": "Cap", **body}).status_code
        for name, body in cases.items()
    }
    assert answers == {**dict.fromkeys(cases, 422), "two equal SKUs": 409}


def test_a_sku_is_unique_over_all_variants(office, shirt):
    other = office.create(sku="CAP")
    small, medium, _large = shirt["variants"]
    for answer in (
        office.create_answer(sku="SHIRT-M"),
        office.change(other["id"], version=1, sku="SHIRT-L"),
        office.add(shirt["id"], sku="CAP", options={"Size": "M"}),
        office.change_variant(shirt["id"], medium["id"], version=1, sku="SHIRT-S"),
    ):
        assert (answer.status_code, answer.json["code"]) == (409, "sku_taken")
    assert (
        office.change_variant(shirt["id"], small["id"], version=small["version"], sku="SHIRT-S").status_code
        == 200
    )


def test_a_variant_is_changed_at_the_version_that_was_read(office, shirt):
    medium = shirt["variants"][1]
    changed = office.change_variant(
        shirt["id"],
        medium["id"],
        version=1,
        compare_at_amount=3000,
        weight_grams=210,
        low_stock_threshold=2,
        metadata={"fit": "slim", "organic": True, "grams": 180.5},
    )
    assert changed.status_code == 200
    assert changed.json["version"] == 2
    assert changed.json["metadata"] == {"fit": "slim", "organic": True, "grams": 180.5}
    stale = office.change_variant(shirt["id"], medium["id"], version=1, unit_amount=1)
    assert (stale.status_code, stale.json["code"], stale.json["version"]) == (409, "version_conflict", 2)
    cleared = office.change_variant(shirt["id"], medium["id"], version=2, compare_at_amount=None)
    assert cleared.json["compare_at_amount"] is None
    assert (cleared.json["weight_grams"], cleared.json["low_stock_threshold"]) == (210, 2)


def test_two_admins_who_edit_options_and_variants_at_once_do_not_lose_an_edit(office, shirt):
    """The options were read before a variant was added or withdrawn."""
    added = office.add(
        office.create_shirt(variants=[{"options": {"Size": "S"}, "unit_amount": 1}])["id"],
        options={"Size": "M"},
    )
    assert added.status_code == 201
    office.withdraw(shirt["id"], shirt["variants"][2]["id"])
    stale = office.change(
        shirt["id"], version=shirt["version"], options=[{"name": "Size", "values": ["S", "M"]}]
    )
    assert (stale.status_code, stale.json["code"]) == (409, "version_conflict")


def test_a_product_has_at_most_250_variants(office):
    values = [str(number) for number in range(1, 61)]
    options = [{"name": "A", "values": values}, {"name": "B", "values": values}]
    rows = [
        {"options": {"A": str(1 + number // 50), "B": str(1 + number % 50)}, "unit_amount": number}
        for number in range(251)
    ]
    refused = office.send("POST", "/products", {"title": "Cap", "options": options, "variants": rows})
    assert refused.status_code == 422
    cap = office.create_shirt(options, rows[:250])
    assert (cap["variant_count"], cap["highest_unit_amount"]) == (250, 249)
    full = office.add(cap["id"], options={"A": "60", "B": "60"})
    assert (full.status_code, full.json["code"]) == (409, "too_many_variants")


def test_a_copy_of_the_source_keeps_the_variants_of_its_products(office, database):
    """Of a product from the source, whose stock and price the source controls."""
    options = [{"name": "Size", "values": ["Small", "Large"]}]
    values = [{"id": 1, "options": {"Size": "Small"}}]
    assert office.change(1, version=1, options=options, variants=values).status_code == 200
    added = office.add(1, options={"Size": "Large"}, unit_amount=9900, on_hand=3)
    assert added.status_code == 201
    execute(database, "UPDATE products SET unit_amount = 1, version = version + 1 WHERE id = 1")
    shown = office.show(1).json
    assert [variant["id"] for variant in shown["variants"]] == [1, added.json["id"]]
    changed = office.change_variant(1, 1, version=shown["variants"][0]["version"], unit_amount=6000)
    assert changed.status_code == 200
    with database.transaction() as connection:
        edited = connection.execute(text("SELECT edited FROM products WHERE id = 1")).scalar()
    assert sorted(edited) == ["option_values", "options", "unit_amount"]


def test_metadata_has_at_most_fifty_keys_of_plain_values(office):
    many = {f"key {number}": number for number in range(51)}
    cases = [many, {"": 1}, {"a": None}, {"a": [1]}, {"a": {"b": 1}}, {"a": "x" * 501}, {"x" * 65: 1}]
    answers = [office.create_answer(metadata=metadata).status_code for metadata in cases]
    assert answers == [422] * len(cases)
    kept = {"material": "oak", "grams": 12.5, "pieces": 3, "washable": False}
    product = office.create(metadata=kept)
    shown = office.show(product["id"]).json
    assert shown["metadata"] == kept
    assert type(shown["metadata"]["washable"]) is bool
    # The product's, not those of its first variant.
    assert shown["variants"][0]["metadata"] == {}


def test_the_only_variant_of_a_product_is_read_with_the_product(sample_app, database):
    # Each column of the variant has a value of its own.
    execute(
        database,
        """UPDATE products SET variant_title = 'Own', weight_grams = 7, source_image = '/own.webp',
            reserved = 1, shortfall = 2, low_stock_threshold = 3, metadata = '{"a": 1}',
            compare_at_amount = 999999, option_values = '{"Size": "M"}' WHERE id = 1""",
    )
    with database.autocommit() as connection:
        for number in (1, 2):
            found, _copy = find_by_id(connection, number)
            assert found.product.variant_count == 1
            assert found.variants == list_variants(connection, number)
