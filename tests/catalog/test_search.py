"""Filters, orders, pages, words and facets of the list of products, from the bundled sample catalogue."""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

import pytest
from werkzeug.test import TestResponse

from tests.catalog.conftest import Catalogue
from tests.fakes import FakeAuth

Get = Callable[..., TestResponse]


@pytest.fixture(scope="module")
def get(sample_catalogue: Catalogue, auth: FakeAuth) -> Get:
    """Send GET requests to a catalogue that no test changes; a list is a repeated parameter."""
    sample_catalogue.standing.restore()
    client = sample_catalogue.get().test_client()

    def get(path: str = "/products", **query: Any) -> TestResponse:
        asked = f"{path}?{urlencode(query, doseq=True)}" if query else path
        return client.get(asked, headers=auth.bearer())

    return get


@pytest.fixture(scope="module")
def all_products(get) -> list[dict[str, Any]]:
    """Return all products, by id."""
    return read_all(get)


def read_all(get: Get, **query: Any) -> list[dict[str, Any]]:
    found, cursor = [], None
    while True:
        page = get(**query, **({"cursor": cursor} if cursor else {})).json
        found += page["data"]
        cursor = page["next"]
        if cursor is None:
            return found


def titles(answer: TestResponse) -> list[str]:
    assert answer.status_code == 200, answer.json
    return [product["title"] for product in answer.json["data"]]


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ({"category": "kitchen"}, lambda p: p["category"] == "kitchen"),
        ({"category": ["kitchen", "desk"]}, lambda p: p["category"] in {"kitchen", "desk"}),
        ({"brand": "Tindlecroft"}, lambda p: p["brand"] == "Tindlecroft"),
        (
            {"brand": ["Tindlecroft", "Ledgerby"], "category": ["desk", "garden"]},
            lambda p: p["brand"] in {"Tindlecroft", "Ledgerby"} and p["category"] in {"desk", "garden"},
        ),
        ({"min_price": "39"}, lambda p: p["price"] >= 39),
        ({"max_price": "39.00"}, lambda p: p["price"] <= 39),
        ({"min_price": "38.991", "max_price": "39.009"}, lambda p: p["price"] == 39),
        ({"min_price": "1e2"}, lambda p: p["price"] >= 100),
        ({"min_price": "50", "max_price": "40"}, lambda p: p["price"] < 0),
        ({"in_stock": "true"}, lambda p: p["stock"] > 0),
        ({"in_stock": "false"}, lambda p: p["stock"] == 0),
        ({"category": "kitchen", "in_stock": "true", "max_price": "50"}, None),
    ],
)
@pytest.mark.parametrize("sort", [None, "price", "-price", "title", "rating", "newest"])
def test_a_filter_returns_exactly_the_matching_products_in_every_order(
    get, all_products, query, matches, sort
):
    matches = matches or (lambda p: p["category"] == "kitchen" and p["stock"] > 0 and p["price"] <= 50)
    expected = {product["id"] for product in all_products if matches(product)}
    # Several pages, regardless of the number of matches.
    limit = max(1, len(expected) // 3)
    asked = {**query, "limit": limit, **({"sort": sort} if sort else {})}
    found = [product["id"] for product in read_all(get, **asked)]
    assert len(found) == len(set(found))
    assert set(found) == expected


@pytest.mark.parametrize(
    ("sort", "key"),
    [
        ("id", lambda p: p["id"]),
        ("price", lambda p: (p["unit_amount"], p["id"])),
        ("-price", lambda p: (-p["unit_amount"], -p["id"])),
        ("title", lambda p: (p["title"].lower(), p["id"])),
        ("rating", lambda p: (-p["rating"], -p["id"])),
        ("newest", lambda p: -p["id"]),
    ],
)
def test_a_list_has_the_requested_order(get, all_products, sort, key):
    assert [p["id"] for p in read_all(get, sort=sort, limit=11)] == [
        p["id"] for p in sorted(all_products, key=key)
    ]


def test_a_search_without_matches_is_an_empty_list_and_not_204(get):
    answer = get(category="unknown")
    assert (answer.status_code, answer.json) == (200, {"data": [], "next": None})


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"sort": "colour"}, "sort"),
        ({"sort": ["price", "title"]}, "sort"),
        ({"limit": ["1", "2"]}, "limit"),
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"colour": "red"}, "colour"),
        ({"min_price": "cheap"}, "min_price"),
        ({"min_price": "-1"}, "min_price"),
        ({"max_price": "NaN"}, "max_price"),
        ({"max_price": "1E-99999999999999999999"}, "max_price"),
        ({"max_price": "9" * 40}, "max_price"),
        ({"in_stock": "perhaps"}, "in_stock"),
        ({"q": "x" * 201}, "q"),
        ({"q": "a\0b"}, "q"),
        ({"category": "a\0b"}, "category.0"),
        ({"category": ["c"] * 21}, "category"),
        ({"brand": ""}, "brand.0"),
        ({"skip": "30"}, "skip"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "LTE"}, "cursor"),
        ({"cursor": "W10"}, "cursor"),
        ({"cursor": "WyJhIixudWxsLDFd"}, "cursor"),
    ],
)
def test_an_invalid_parameter_is_rejected_by_name(get, query, field):
    answer = get(**query)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == field


def test_a_cursor_is_valid_only_with_its_filters_and_order(get):
    cursor = get(category="kitchen", sort="price", limit=2).json["next"]
    assert get(category="kitchen", sort="price", limit=50, cursor=cursor).status_code == 200
    for other in [
        {"category": "desk", "sort": "price"},
        {"category": "kitchen", "sort": "-price"},
        {"category": "kitchen"},
        {"sort": "price"},
    ]:
        answer = get(**other, cursor=cursor)
        assert answer.status_code == 422
        assert answer.json["errors"][0]["field"] == "cursor"


def test_blank_words_are_ignored(get):
    assert get(q=" ", limit=3).json == get(limit=3).json


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("walnut board", "Walnut Chopping Board with Juice Groove"),
        ("boards of walnut", "Walnut Chopping Board with Juice Groove"),
        ("KIT-0004", "Conical Burr Hand Coffee Grinder"),
        ('"bread crock"', "Stoneware Bread Crock with Beech Lid"),
        ("hammocks", "Striped Cotton Hammock with Straps"),
    ],
)
def test_the_best_match_comes_first(get, words, first):
    assert titles(get(q=words))[0] == first


def test_a_word_in_the_title_ranks_above_one_in_the_description(get):
    found = titles(get(q="lamp"))
    named = ["Lamp" in title for title in found]
    assert named == sorted(named, reverse=True)
    assert len(set(named)) == 2


def test_a_minus_excludes_a_word_and_or_includes_another(get):
    lamps, without = set(titles(get(q="lamp"))), set(titles(get(q="lamp -desk")))
    assert without < lamps
    assert "Jointed Desk Lamp" not in without
    assert set(titles(get(q="lamp or hammock"))) > lamps


def test_the_pages_of_a_search_have_each_product_once(get):
    whole = [product["id"] for product in get(q="with", limit=100).json["data"]]
    assert len(whole) > 20
    assert [product["id"] for product in read_all(get, q="with", limit=4)] == whole


def test_a_search_can_be_ordered_and_filtered_like_any_list(get):
    found = get(q="lamp", sort="price", category="lighting").json["data"]
    amounts = [product["unit_amount"] for product in found]
    assert amounts == sorted(amounts)
    assert {product["category"] for product in found} == {"lighting"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("waltnut", "walnut"),
        ("hedphones", "headphones"),
        ("choping bord", "chopping board"),
        ("Tindlecraft", "tindlecroft"),
        ("binoculers -lamp", "binoculars -lamp"),
        ("hamock", "hammock"),
    ],
)
def test_search_corrects_typos(get, words, expected):
    answer = get(q=words)
    assert answer.json["corrected"] == expected
    assert titles(answer)[0] == titles(get(q=expected))[0]


@pytest.mark.parametrize(
    "words", ["xyzzyx", "123456", "the", "-", '"', "&|!():*", "')--", "or or or", "漢字"]
)
def test_meaningless_words_find_nothing(get, words):
    answer = get(q=words)
    assert (answer.status_code, answer.json) == (200, {"data": [], "next": None})


def test_known_words_are_not_corrected_even_if_they_find_little(get):
    assert "corrected" not in get(q="walnut hammock").json
    assert "corrected" not in get(q="turntables").json


def test_later_pages_of_a_corrected_search_use_the_same_words(get):
    found = get(q="lampp", limit=100).json
    assert "corrected" in found
    whole = [product["id"] for product in found["data"]]
    assert len(whole) > 4
    assert [product["id"] for product in read_all(get, q="lampp", limit=2)] == whole


def test_categories_are_listed_by_path_with_counts_in_pages(get, all_products):
    counted = Counter(product["category"] for product in all_products)
    assert get("/categories").json == {
        "data": [
            {
                "name": name,
                "path": name,
                "title": name.capitalize(),
                "position": 0,
                "count": count,
                "children": [],
            }
            for name, count in sorted(counted.items())
        ],
        "next": None,
    }
    first = get("/categories", limit=4).json
    second = get("/categories", limit=100, cursor=first["next"]).json
    assert [entry["name"] for entry in first["data"] + second["data"]] == sorted(counted)
    assert get("/categories", cursor="WzFd").status_code == 422


def count_by(products: list[dict[str, Any]], name: str) -> dict[str, int]:
    return dict(Counter(product[name] for product in products if product[name]))


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"category": "kitchen"},
        {"category": ["kitchen", "desk"], "brand": ["Tindlecroft", "Ledgerby"]},
        {"in_stock": "true"},
        {"min_price": "20", "max_price": "80", "category": "garden"},
        {"q": "lamp"},
        {"q": "lamp", "brand": "Glimsted"},
        {"brand": "Unknown"},
    ],
)
def test_each_facet_ignores_its_own_filter(get, query):
    facets = get(**query, facets="true", limit=1).json["facets"]
    without = {name: {k: v for k, v in query.items() if k != name} for name in ("category", "brand")}
    priced = {k: v for k, v in query.items() if k not in {"min_price", "max_price"}}
    for name, plural in (("category", "categories"), ("brand", "brands")):
        numbers = {entry["name"]: entry["count"] for entry in facets[plural]}
        assert numbers == count_by(read_all(get, **without[name], limit=100), name)
        assert list(numbers.values()) == sorted(numbers.values(), reverse=True)
    prices = [product["price"] for product in read_all(get, **priced, limit=100)]
    assert facets["price"] == {"min": min(prices, default=None), "max": max(prices, default=None)}
    assert facets["exact"] is True


def test_facets_are_returned_only_on_request(get):
    assert set(get().json) == {"data", "next"}
    assert set(get(facets="false").json) == {"data", "next"}


def test_a_list_by_rating_is_in_descending_order(get, all_products):
    ratings = [product["rating"] for product in read_all(get, sort="rating", limit=50)]
    assert all(before >= after for before, after in pairwise(ratings))
