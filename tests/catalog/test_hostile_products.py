"""What a source has for sale may be nonsense, too much, or suddenly gone: one bad product is one."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import text

from catalog import clients
from tests.catalog.upstreams import make_product, serve
from tests.conftest import send_json

# Products that are none, and how the reason begins for which each is rejected.
BAD_PRODUCTS = [
    ("nonsense", "It is no object."),
    (None, "It is no object."),
    ({}, "id: Field required"),
    ({"id": 9, "price": 1}, "title: Field required"),
    (make_product(9, id="x"), "id: Input should be a valid integer"),
    (make_product(9, id=True), "id: "),
    (make_product(0), "id: "),
    (make_product(9_000_000_000_000_000), "id: "),
    (make_product(9, id=10**30), "id: "),
    (make_product(9, title=["x"]), "title: "),
    (make_product(9, title=" "), "title: Field required"),
    (make_product(9, title="\ud800"), "title: "),
    (make_product(9, title="a\0b"), "title: "),
    (make_product(9, price=-1), "price: Input should be greater than or equal to 0"),
    (make_product(9, price="free"), "price: "),
    (make_product(9, price=True), "price: "),
    (make_product(9, price=float("nan")), "price: "),
    (make_product(9, price=float("inf")), "price: "),
    (make_product(9, price=1e300), "price: "),
    (make_product(9, stock=-1), "stock: "),
    (make_product(9, stock=2.5), "stock: "),
    (make_product(9, stock=True), "stock: "),
    (make_product(9, rating=11), "rating: "),
    (make_product(9, images="a.png"), "images: "),
    (make_product(9, images=[{"url": "a.png"}]), "images: "),
    (make_product(9, brand={"name": "Acme"}), "brand: "),
    (make_product(9, category=7), "category: "),
    (make_product(9, description="x" * 10_000_000), "description: String should have at most 20000"),
    (make_product(1), "id: It was there before."),
    (make_product(9, sku="P-1"), "sku: It is the one of product 1."),
]


def test_one_bad_product_never_spoils_the_others(fake_server, copy, titles, begin_again):
    wrong = {}
    for bad, reason in BAD_PRODUCTS:
        begin_again()
        serve(fake_server, [make_product(1), bad, make_product(2)])
        report = copy()
        reasons = [rejection.reason[: len(reason)] for rejection in report.rejected]
        found = (report.status, report.added, report.rejected_count, reasons, titles())
        if found != ("done", 2, 1, [reason], ["Thing 1", "Thing 2"]):
            wrong[repr(bad)[:80]] = found
    assert wrong == {}


def test_what_says_nothing_is_as_good_as_not_there(fake_server, copy, database):
    nothing = dict.fromkeys(["sku", "brand", "category", "description", "rating", "stock", "images"])
    serve(fake_server, [make_product(1, **nothing), make_product(2, sku="", brand=" ", category="")])
    assert copy().rejected_count == 0
    with database.transaction() as connection:
        query = text("SELECT sku, brand, category, description, rating, images FROM products ORDER BY id")
        rows = [tuple(row) for row in connection.execute(query)]
    assert rows == [("P-1", None, "other", "", None, []), ("P-2", None, "other", "", None, [])]


def test_of_many_rejections_the_first_hundred_are_named_and_all_are_counted(fake_server, copy):
    serve(fake_server, [make_product(1), *[{"id": number} for number in range(2, 252)]])
    report = copy()
    assert (report.rejected_count, len(report.rejected), report.rejected[0].id) == (250, 100, 2)


def test_a_known_product_that_goes_bad_stays_as_it_last_was(fake_server, copy, titles):
    serve(fake_server, [make_product(1), make_product(2)])
    copy()
    serve(fake_server, [make_product(1, title="Renamed"), make_product(2, price=-5)])
    report = copy()
    assert (report.changed, report.removed, report.rejected_count) == (1, 0, 1)
    assert titles() == ["Renamed", "Thing 2"]


def test_products_too_large_for_a_page_are_left_out_alone(fake_server, copy, titles, monkeypatch):
    monkeypatch.setattr(clients, "MAX_PAGE_BYTES", 20_000)
    products = [make_product(number) for number in range(1, 31)]
    for number in (7, 8, 21):
        products[number]["description"] = "x" * 30_000
    serve(fake_server, products)
    report = copy()
    assert (report.status, report.added, report.rejected_count) == ("done", 27, 3)
    assert {each.reason for each in report.rejected} == {"It is too large."}
    assert len(titles()) == 27


def test_an_upstream_without_an_end_is_given_up(fake_server, copy, monkeypatch):
    monkeypatch.setattr("catalog.sources.MOST_PAGES", 5)

    def answer(handler, _body):
        skip = int(parse_qs(urlsplit(handler.path).query)["skip"][0])
        page = [make_product(skip + number) for number in range(1, 101)]
        send_json(handler, json.dumps({"products": page, "total": 10**9}).encode())

    fake_server.answer = answer
    report = copy()
    assert (report.status, report.detail) == (
        "failed",
        "The product source has no end: 500 products and more.",
    )


def test_an_upstream_that_begins_again_has_come_to_its_end(fake_server, copy, titles):
    page = json.dumps(
        {"products": [make_product(number) for number in range(1, 101)], "total": 10**9}
    ).encode()
    fake_server.answer = lambda handler, _body: send_json(handler, page)
    report = copy()
    assert (report.status, report.added, report.rejected_count) == ("done", 100, 0)
    assert len(fake_server.requests) == 2
    assert len(titles()) == 100


def test_a_total_that_is_too_low_or_none_at_all_hides_no_full_page(fake_server, copy, titles, begin_again):
    products = [make_product(number) for number in range(1, 251)]
    wrong = {}
    for total in (0, 100, 150, -1, "250", None, 2.5, [], True):
        begin_again()
        serve(fake_server, products, total=total)
        found = (copy().added, len(titles()))
        if found != (250, 250):
            wrong[repr(total)] = found
    assert wrong == {}


def test_a_source_that_refuses_to_be_asked_beyond_its_end_has_come_to_it(fake_server, copy):
    products = [make_product(number) for number in range(1, 101)]

    def answer(handler, _body):
        if "skip=0" in handler.path:
            send_json(handler, json.dumps({"products": products, "total": 100}).encode())
        else:
            send_json(handler, b'{"message": "skip is too large"}', status=400)

    fake_server.answer = answer
    assert (copy().status, copy().added) == ("done", 0)


def test_a_source_that_contradicts_itself_takes_nothing_off_sale(fake_server, copy, titles):
    serve(fake_server, [make_product(number) for number in range(1, 9)])
    copy()
    serve(fake_server, [make_product(number) for number in range(3, 9)], total=8)
    report = copy()
    assert (report.status, report.removed) == ("done", 0)
    assert report.detail.startswith("2 products were missing and stay on sale: the source gave 6")
    assert len(titles()) == 8
    serve(fake_server, [make_product(number) for number in range(3, 9)])
    assert copy().removed == 2


@pytest.mark.parametrize("left", [0, 9])
def test_a_source_that_has_lost_most_of_its_products_is_not_believed(
    fake_server, copy, titles, database, left
):
    serve(fake_server, [make_product(number) for number in range(1, 21)])
    copy()
    serve(fake_server, [make_product(number, title="New") for number in range(1, left + 1)])
    report = copy()
    assert (report.status, report.changed, report.removed) == ("refused", 0, 0)
    assert "allow_removals" in report.detail
    assert titles() == [f"Thing {number}" for number in range(1, 21)]
    with database.transaction() as connection:
        connection.execute(text("UPDATE source_copy SET allow_removals = true"))
    assert (copy().removed, len(titles())) == (20 - left, left)


def test_a_few_products_may_all_be_gone(fake_server, copy, titles):
    serve(fake_server, [make_product(number) for number in range(1, 11)])
    copy()
    serve(fake_server, [])
    assert (copy().removed, titles()) == (10, [])


def test_two_products_may_swap_their_skus(fake_server, copy, database):
    products = [make_product(number, sku=f"S{number}") for number in range(1, 151)]
    serve(fake_server, products)
    copy()
    products[0]["sku"], products[149]["sku"] = "S150", "S1"
    report = copy()
    assert (report.changed, report.rejected_count) == (2, 0)
    with database.transaction() as connection:
        query = text("SELECT sku FROM products WHERE id IN (1, 150) ORDER BY id")
        assert list(connection.execute(query).scalars()) == ["S150", "S1"]
