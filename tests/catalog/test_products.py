"""The list of products and one product, from the bundled sample catalogue."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from catalog.sources import SAMPLE
from tests.waiting import wait_for

PRODUCT_FIELDS = [
    "id",
    "sku",
    "title",
    "brand",
    "category",
    "price",
    "unit_amount",
    "currency",
    "description",
    "rating",
    "stock",
    "images",
    "media",
    "version",
    "updated_at",
    "variant_count",
    "highest_unit_amount",
    "compare_at_amount",
    "lowest_amount_30d",
    "tax_class",
    "slug",
    "variant_id",
]


@pytest.fixture
def get(client, auth):

    def get(path, **headers):
        return client.get(path, headers={**auth.bearer(), **headers})

    return get


def test_the_list_has_the_tutorials_format_and_every_documented_field(get):
    answer = get("/products")
    first = answer.json["data"][0]
    sample = json.loads(Path(SAMPLE).read_text())[0]
    assert list(first) == PRODUCT_FIELDS
    assert {name: first[name] for name in ("id", "title", "brand", "price", "description")} == {
        name: sample[name] for name in ("id", "title", "brand", "price", "description")
    }
    assert first["unit_amount"] == round(sample["price"] * 100)
    assert first["currency"] == "USD"
    assert answer.headers["Cache-Control"].startswith("private, no-cache")


def test_the_pages_have_every_product_once_and_in_order(get):
    ids, path = [], "/products?limit=50"
    while path:
        page = get(path).json
        ids += [product["id"] for product in page["data"]]
        path = page["next"] and f"/products?limit=50&cursor={page['next']}"
    assert ids == list(range(1, 121))


def test_a_page_has_thirty_products_by_default(get):
    assert len(get("/products").json["data"]) == 30
    last = get("/products?limit=100").json["next"]
    assert len(get(f"/products?limit=100&cursor={last}").json["data"]) == 20


def test_one_product_is_the_same_as_in_the_list(get):
    listed = get("/products").json["data"][4]
    shown = get(f"/products/{listed['id']}").json
    assert {name: shown[name] for name in listed} == listed
    assert shown.keys() - listed.keys() == {"metadata", "options", "variants", "breadcrumbs"}
    assert shown["breadcrumbs"] == [{"path": "kitchen", "title": "Kitchen"}]
    [only] = shown["variants"]
    common = only.keys() & listed.keys()
    assert {name: only[name] for name in common - {"title"}} == {
        name: listed[name] for name in common - {"title"}
    }


@pytest.mark.parametrize("path", ["/products/121", "/products/0", f"/products/{10**30}"])
def test_an_unknown_product_is_404(get, path):
    answer = get(path)
    assert answer.status_code == 404
    assert answer.json["code"] == "product_not_found"


def test_a_second_replica_does_not_load_the_sample_again(get, start_catalog, auth):
    versions = [product["version"] for product in get("/products").json["data"]]
    other = start_catalog().test_client()
    answer = wait_for(lambda: other.get("/products", headers=auth.bearer()))
    assert [product["version"] for product in answer.json["data"]] == versions == [1] * 30


def test_another_currency_needs_another_copy_with_its_own_minor_units(start_catalog, auth):
    def read_first(currency):
        with closing(start_catalog(currency=currency)) as replica:
            client = replica.test_client()

            def send():
                answer = client.get("/products", headers=auth.bearer())
                return answer.status_code == 200 and answer.json["data"][0]

            return wait_for(send)

    dollars, yen, dinars = read_first("USD"), read_first("JPY"), read_first("KWD")
    assert (dollars["unit_amount"], dollars["price"]) == (6490, 64.9)
    assert (yen["unit_amount"], yen["price"], yen["currency"]) == (65, 65, "JPY")
    assert (dinars["unit_amount"], dinars["price"], dinars["currency"]) == (64_900, 64.9, "KWD")
