"""Filters of a product list by metadata, and the keys that an admin marks for them."""

import pytest
from sqlalchemy import event, text

from catalog.domain import Filter, Sort
from catalog.repository import metadata_keys, value_counts
from catalog.use_cases import products as use_cases
from tests.catalog.fake_source import copy_stock
from tests.catalog.product_files import find_product, load_lines, read_variants
from tests.catalog.rows import SOURCE, list_ids
from tests.catalog.test_plans import count_read, explain, indexes

KEYS = "/products/metadata-keys"


@pytest.fixture
def admin(auth):
    return auth.bearer(role="admin")


@pytest.fixture
def mark(client, admin):
    """Mark keys for filters."""

    def mark(*keys):
        answer = client.put(KEYS, json={"keys": list(keys)}, headers=admin)
        assert answer.status_code == 200, answer.json
        return answer.json

    return mark


@pytest.fixture
def search(client, admin):
    """Return the ids of a filtered list."""

    def search(query):
        answer = client.get(f"/products?{query}", headers=admin)
        assert answer.status_code == 200, answer.json
        return [product["id"] for product in answer.json["data"]]

    return search


def test_an_admin_marks_the_keys_of_filters(client, admin, mark):
    assert client.get(KEYS, headers=admin).json == {"keys": []}
    assert mark("washable", "material", "material") == {"keys": ["material", "washable"]}
    assert mark("material", "length") == {"keys": ["length", "material"]}
    assert client.get(KEYS, headers=admin).json == {"keys": ["length", "material"]}
    for keys in ([""], ["a" * 65], ["a\nb"], [f"k{number}" for number in range(51)], [1]):
        assert client.put(KEYS, json={"keys": keys}, headers=admin).status_code == 422, keys
    assert mark() == {"keys": []}


def test_a_filter_by_an_unmarked_key_is_refused_by_name(client, admin, mark):
    mark("material")
    refused = client.get("/products?meta.colour=red&meta.material=oak", headers=admin)
    assert refused.status_code == 422
    assert [(error["field"], error["detail"]) for error in refused.json["errors"]] == [
        ("meta.colour", "This metadata key is not marked for filters.")
    ]
    for query in ("meta.=x", "meta.material=", "meta.material=%00", f"meta.{'a' * 65}=x"):
        assert client.get(f"/products?{query}", headers=admin).status_code == 422, query


def test_products_are_filtered_by_their_own_metadata_and_that_of_any_variant(
    client, admin, database, mark, search
):
    load_lines(
        database,
        {"id": 1, "metadata": {"material": "walnut", "length": 40, "washable": True}},
        {"id": 2, "metadata": {"material": "40", "length": 40.0, "washable": False}},
        {"id": 3, "variant_metadata": {"material": "oak", "length": 40.5}},
        {
            "title": "Shirt",
            "options": [{"name": "Size", "values": ["S", "M"]}],
            "variants": [
                {"options": {"Size": "S"}, "price": 1},
                {"options": {"Size": "M"}, "price": 1, "metadata": {"material": "linen", "washable": "true"}},
            ],
        },
    )
    shirt = find_product(database, "Shirt").id
    mark("material", "length", "washable")
    cases = {
        "meta.material=walnut": [1],
        "meta.material=Walnut": [],
        "meta.material=40": [2],
        "meta.material=oak&meta.material=linen": [3, shirt],
        "meta.length=40": [1, 2],
        "meta.length=40.0": [1, 2],
        "meta.length=40.50": [3],
        "meta.length=long": [],
        "meta.washable=true": [1, shirt],
        "meta.washable=false": [2],
        "meta.material=walnut&meta.washable=false": [],
        "meta.length=40&meta.washable=false": [2],
        "meta.material=linen&option.Size=M": [shirt],
        "meta.material=walnut&category=kitchen&sort=-price": [1],
        "meta.material=walnut&q=walnut&facets=true": [1],
    }
    assert {query: search(query) for query in cases} == cases
    _first, second = read_variants(database, shirt)
    client.delete(f"/products/{shirt}/variants/{second.id}", headers=admin)
    assert search("meta.material=linen") == []
    facets = client.get("/products?meta.length=40&facets=true", headers=admin).json["facets"]
    assert sum(each["count"] for each in facets["categories"]) == 2


def test_a_filter_by_metadata_uses_the_indexes(database):
    copy_stock(database, dict.fromkeys(range(1, 4), 1))
    with database.transaction() as connection:
        connection.execute(
            text("""
            INSERT INTO products (id, sku, title, category, unit_amount, description, on_hand,
                                  metadata, product_metadata)
            SELECT id, 'M-' || id, 'Thing', 'things', 1, '', 1,
                jsonb_build_object('batch', id), jsonb_build_object('material', 'wood ' || id % 3000)
            FROM generate_series(100, 6099) AS id
        """)
        )
        connection.execute(text("INSERT INTO metadata_keys VALUES ('material'), ('batch')"))
        connection.execute(text("ANALYZE products"))
    wanted = Filter(metadata=(("material", ("wood 700",)),))
    assert list_ids(database, wanted) == [700, 3700]
    assert list_ids(database, Filter(metadata=(("batch", ("1000", 1000)),))) == [1000]
    nodes = explain(database, lambda: list_ids(database, wanted))
    assert {"products_product_metadata", "products_metadata"} <= indexes(nodes)
    assert count_read(nodes) < 50


@pytest.fixture
def read_facets(client, admin):
    """Return the counts of each value of each marked key, for a filtered list; None without a marked key."""

    def read(query=""):
        answer = client.get(f"/products?facets=true&{query}", headers=admin)
        assert answer.status_code == 200, answer.json
        found = answer.json["facets"].get("metadata")
        if found is None:
            return None
        return {key["name"]: [(each["name"], each["count"]) for each in key["values"]] for key in found}

    return read


def test_the_marked_keys_are_facets_with_the_values_that_a_filter_takes(
    client, admin, database, mark, search, read_facets
):
    load_lines(
        database,
        {"id": 1, "metadata": {"material": "walnut", "length": 40, "washable": True, "supplier": "A"}},
        {"id": 2, "metadata": {"material": "oak", "length": 40.0}, "variant_metadata": {"material": "oak"}},
        {"id": 3, "variant_metadata": {"material": "oak", "length": "40", "washable": "true"}},
        {"id": 4, "metadata": {"length": 40.5, "washable": False, "depth": 1e-7, "height": 1e300}},
        {
            "title": "Shirt",
            "category": "clothes",
            "options": [{"name": "Size", "values": ["S", "M", "L"]}],
            "metadata": {"supplier": "B"},
            "variants": [
                {"options": {"Size": "S"}, "price": 1, "metadata": {"material": "linen"}},
                {"options": {"Size": "M"}, "price": 2, "metadata": {"material": "walnut"}},
                {"options": {"Size": "L"}, "price": 2, "metadata": {"material": "cotton"}},
            ],
        },
    )
    shirt = find_product(database, "Shirt").id
    answer = client.get("/products?facets=true", headers=admin).json
    assert set(answer["facets"]) == {"categories", "brands", "price", "options", "exact"}
    mark("material", "length", "washable", "depth", "height")
    every = {
        "depth": [("0.0000001", 1)],
        "length": [("40", 3), ("40.5", 1)],
        "material": [("oak", 2), ("walnut", 2), ("cotton", 1), ("linen", 1)],
        "washable": [("true", 2), ("false", 1)],
    }
    assert read_facets() == every
    # Each value is a filter of as many products; a number that no filter can write has no value.
    for key, values in every.items():
        assert [(value, len(search(f"meta.{key}={value}"))) for value, _count in values] == values, key
    # A key ignores its own filter, and obeys the others.
    found = read_facets("meta.material=walnut")
    assert found == {
        "length": [("40", 1)],
        "material": every["material"],
        "washable": [("true", 1)],
    }
    of_shirt = {"material": [("cotton", 1), ("linen", 1), ("walnut", 1)]}
    assert read_facets("category=clothes") == of_shirt
    assert read_facets("q=shirt&max_price=5") == of_shirt
    assert read_facets("meta.material=walnut&meta.length=40.5")["length"] == [("40", 1)]
    # What the shop no longer sells does not count.
    first, second, _third = read_variants(database, shirt)
    client.delete(f"/products/{shirt}/variants/{second.id}", headers=admin)
    assert read_facets("category=clothes") == {"material": [("cotton", 1), ("linen", 1)]}
    client.delete(f"/products/{shirt}/variants/{first.id}", headers=admin)
    assert read_facets("category=clothes") == {"material": [("cotton", 1)]}
    client.delete("/products/2", headers=admin)
    assert read_facets()["material"] == [("cotton", 1), ("oak", 1), ("walnut", 1)]
    mark("finish")
    assert read_facets() == {}


def read_values(database, wanted):
    """Return the number of products with each value of each marked key; None without a marked key."""
    found = use_cases.list_products(database, SOURCE, wanted, Sort.ID, limit=1, with_facets=True).facets
    if found.metadata is None:
        return None
    return {key.name: {each.name: each.count for each in key.values} for key in found.metadata}


def store_keys(database, *keys):
    with database.transaction() as connection:
        metadata_keys.store_keys(connection, keys)


def test_a_shop_without_a_marked_key_needs_no_statement_more(database):
    copy_stock(database, {1: 1})
    load_lines(database, {"id": 1, "metadata": {"material": "walnut"}})
    statements = []

    def note(_connection, _cursor, statement, *_rest):
        statements.append(statement)

    def count(wanted):
        statements.clear()
        values = read_values(database, wanted)
        return len(statements), values

    cases = [Filter(), Filter(words="walnut"), Filter(options=(("Size", ("M",)),))]
    # The first request counts the products.
    read_values(database, Filter())
    event.listen(database.engine, "before_cursor_execute", note)
    try:
        without = [count(wanted) for wanted in cases]
        store_keys(database, "material")
        marked = [count(wanted) for wanted in cases]
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    assert [values for _number, values in without] == [None, None, None]
    assert [values for _number, values in marked] == [{"material": {"walnut": 1}}, {}, {}]
    assert [number + 1 for number, _values in without] == [number for number, _values in marked]


def test_the_facets_of_metadata_are_counted_among_a_limited_number_of_products(database, monkeypatch):
    copy_stock(database, dict.fromkeys(range(1, 4), 1))
    with database.transaction() as connection:
        connection.execute(
            text("""
            INSERT INTO products (id, sku, title, category, unit_amount, description, on_hand,
                                  product_metadata)
            SELECT id, 'M-' || id, 'Thing', 'things', 1, '', 1,
                jsonb_build_object('batch', id, 'supplier', 'A') || CASE id % 100
                    WHEN 0 THEN jsonb_build_object('material', 'wood ' || id % 7) ELSE '{}' END
            FROM generate_series(200, 6199) AS id
        """)
        )
        connection.execute(text("ANALYZE products"))
    things = Filter(categories=("things",))

    monkeypatch.setattr(value_counts, "MAX_WITH_METADATA", 3_000)
    monkeypatch.setattr(value_counts, "MAX_COUNTED", 500)
    store_keys(database, "batch", "material")
    counted = read_values(database, things)
    # A key with many values leaves room for the others.
    assert len(counted["batch"]) == value_counts.MAX_METADATA_VALUES
    assert sum(counted["material"].values()) == 5
    # A key that few products have is not hidden by the other keys.
    store_keys(database, "material")
    assert sum(read_values(database, things)["material"].values()) == 30
