"""Filters, orders, pages, words and facets of the list of products, from the bundled sample catalogue."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

import pytest
from werkzeug.test import TestResponse

from catalog.app import create_app
from catalog.config import Settings
from shared.pages import decode_cursor, encode_cursor
from shared.testing import FakeAuth
from tests.waiting import wait_for

Get = Callable[..., TestResponse]


@pytest.fixture(scope="module")
def get(make_database) -> Iterator[Get]:
    """Ask a catalogue that every test of this file leaves as it is; a list is a repeated parameter."""
    auth = FakeAuth()
    url = make_database("catalog-service")
    settings = Settings(
        service="catalog-service", database_url=url, auth_url="http://127.0.0.1:9", client_secret="secret"
    )
    with closing(create_app(settings, auth)) as app:
        client = app.test_client()

        def get(path: str = "/products", **query: Any) -> TestResponse:
            asked = f"{path}?{urlencode(query, doseq=True)}" if query else path
            return client.get(asked, headers=auth.bearer())

        wait_for(lambda: get().status_code == 200)
        yield get


@pytest.fixture(scope="module")
def every(get) -> list[dict[str, Any]]:
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
    ("query", "fits"),
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
def test_a_filter_leaves_exactly_what_fits_in_every_order_and_page(get, every, query, fits, sort):
    fits = fits or (lambda p: p["category"] == "kitchen" and p["stock"] > 0 and p["price"] <= 50)
    expected = {product["id"] for product in every if fits(product)}
    # Several pages, however many fit.
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
def test_a_list_comes_in_the_order_that_was_asked_for(get, every, sort, key):
    assert [p["id"] for p in read_all(get, sort=sort, limit=11)] == [p["id"] for p in sorted(every, key=key)]


def test_an_empty_search_is_an_empty_list_and_no_204(get):
    answer = get(category="nothing of ours")
    assert (answer.status_code, answer.json) == (200, {"data": [], "next": None})


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"sort": "colour"}, "sort"),
        ({"sort": ["price", "title"]}, "sort"),
        ({"limit": ["1", "2"]}, "limit"),
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
        ({"cursor": "W10"}, "cursor"),
        ({"cursor": "WyJhIixudWxsLDFd"}, "cursor"),
    ],
)
def test_what_does_not_fit_is_refused_by_field(get, query, field):
    answer = get(**query)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == field


def test_a_cursor_belongs_to_its_filters_and_its_order(get):
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


def test_a_cursor_that_somebody_wrote_by_hand_does_no_harm(get):
    mark, _corrected, *position = decode_cursor(get(limit=2).json["next"])
    for corrected in ("lamp", "", "x" * 3000):
        assert get(cursor=encode_cursor([mark, corrected, *position])).status_code in {200, 422}
    mark, _corrected, *position = decode_cursor(get(q="with", limit=2).json["next"])
    for rank in (1e308, -5, "NaN", None, True):
        answer = get(q="with", cursor=encode_cursor([mark, None, rank, position[1]]))
        assert answer.status_code in {200, 422}
    mark, _corrected, *position = decode_cursor(get(sort="newest", limit=2).json["next"])
    for time in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59+14:00", 1e20, "2020-01-01T00:00:00", 0):
        answer = get(sort="newest", cursor=encode_cursor([mark, None, time, position[1]]))
        assert answer.status_code in {200, 422}


def test_blank_words_are_none(get):
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
def test_words_find_what_they_mean_best_first(get, words, first):
    assert titles(get(q=words))[0] == first


def test_a_word_in_the_title_is_worth_more_than_one_in_the_description(get):
    found = titles(get(q="lamp"))
    named = ["Lamp" in title for title in found]
    assert named == sorted(named, reverse=True)
    assert len(set(named)) == 2


def test_a_minus_leaves_out_and_an_or_takes_in(get):
    lamps, without = set(titles(get(q="lamp"))), set(titles(get(q="lamp -desk")))
    assert without < lamps
    assert "Jointed Desk Lamp in Matt Green" not in without
    assert set(titles(get(q="lamp or hammock"))) > lamps


def test_a_search_has_pages_and_they_have_each_product_once(get):
    whole = [product["id"] for product in get(q="with", limit=100).json["data"]]
    assert len(whole) > 20
    assert [product["id"] for product in read_all(get, q="with", limit=4)] == whole


def test_a_search_can_be_ordered_and_filtered_like_any_list(get):
    found = get(q="lamp", sort="price", category="lighting").json["data"]
    amounts = [product["unit_amount"] for product in found]
    assert amounts == sorted(amounts)
    assert {product["category"] for product in found} == {"lighting"}


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("waltnut", "walnut"),
        ("hedphones", "headphones"),
        ("choping bord", "chopping board"),
        ("Tindlecraft", "tindlecroft"),
        ("binoculers -lamp", "binoculars -lamp"),
        ("hamock", "hammock"),
    ],
)
def test_misspelt_words_are_met(get, words, meant):
    answer = wait_for(lambda: (found := get(q=words)).json["data"] and found)
    assert answer.json["corrected"] == meant
    assert titles(answer)[0] == titles(get(q=meant))[0]


@pytest.mark.parametrize(
    "words", ["xyzzyx", "123456", "the", "-", '"', "&|!():*", "')--", "or or or", "漢字"]
)
def test_words_that_mean_nothing_find_nothing(get, words):
    answer = get(q=words)
    assert (answer.status_code, answer.json) == (200, {"data": [], "next": None})


def test_known_words_are_not_corrected_however_little_they_find(get):
    assert "corrected" not in get(q="walnut hammock").json
    assert "corrected" not in get(q="turntables").json


def test_the_pages_of_a_corrected_search_go_on_with_the_same_words(get):
    wait_for(lambda: "corrected" in get(q="lampp").json)
    whole = [product["id"] for product in get(q="lampp", limit=100).json["data"]]
    assert len(whole) > 4
    assert [product["id"] for product in read_all(get, q="lampp", limit=2)] == whole


def test_categories_come_by_name_with_their_numbers_in_pages(get, every):
    counted = Counter(product["category"] for product in every)
    assert get("/categories").json == {
        "data": [{"name": name, "count": count} for name, count in sorted(counted.items())],
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
        {"brand": "Nobody"},
    ],
)
def test_facets_tell_what_there_is_beside_each_filter_of_its_own(get, query):
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


def test_facets_come_only_when_they_are_asked_for(get):
    assert set(get().json) == {"data", "next"}
    assert set(get(facets="false").json) == {"data", "next"}


def test_a_list_by_rating_ends_with_what_nobody_rated(get, every):
    ratings = [product["rating"] for product in read_all(get, sort="rating", limit=50)]
    assert all(before >= after for before, after in pairwise(ratings))
