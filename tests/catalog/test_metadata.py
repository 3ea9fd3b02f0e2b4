"""Filters of a product list by metadata, and the keys that an admin marks for them."""

import pytest
from sqlalchemy import text

from catalog.domain import Filter
from tests.catalog.fake_source import copy_stock
from tests.catalog.product_files import find_product, load_lines, read_variants
from tests.catalog.rows import list_ids
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
