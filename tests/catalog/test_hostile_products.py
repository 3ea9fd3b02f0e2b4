"""Invalid, oversized or missing products of a source do not affect its other products."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import text

from catalog import clients
from tests.catalog.upstreams import make_product, serve
from tests.conftest import send_json

# Invalid products, and how the reason for each rejection begins.
BAD_PRODUCTS = [
    ("nonsense", "Not a JSON object."),
    (None, "Not a JSON object."),
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
    (make_product(9, rating=11, title=None, stock=-1), "title: Field required"),
    (make_product(1), "id: An earlier product has this id."),
    (make_product(9, sku="P-1"), "sku: Product 1 has this SKU."),
]


# Optional fields, and invalid values of each.
INVALID_FIELDS = [
    ("stock", [-1, -3, 2.5, True, "many", 2**31 + 1, 10**30, [], {}]),
    ("rating", [8.4, 11, -1, True, "good", [], {}, float("nan"), float("inf")]),
    ("images", ["a.png", [{"url": "a.png"}], ["a.png", 7], [""], ["a\0b"], ["a"] * 51, ["x" * 2001], {}, 7]),
    ("brand", [{"name": "Acme"}, 7, True, [], "x" * 201, "a\0b", "\ud800"]),
    ("category", [7, True, {}, ["kitchen"], "x" * 101, "a\0b", "\ud800"]),
    ("description", [7, {}, ["x"], "x" * 20_001, "\ud800"]),
    ("sku", [12345, 1.5, True, {}, [], "x" * 101, "a\0b", "\ud800"]),
]
VALID = {
    "sku": "AB-9",
    "brand": "Acme",
    "category": "kitchen",
    "description": "Good.",
    "rating": 4.5,
    "stock": 5,
    "images": ["/a.png"],
}
DEFAULTS = {
    "sku": "P-9",
    "brand": None,
    "category": "other",
    "description": "",
    "rating": None,
    "stock": 0,
    "images": [],
}


def test_an_invalid_product_does_not_affect_the_others(fake_server, copy, titles, reset_database):
    wrong = {}
    for bad, reason in BAD_PRODUCTS:
        reset_database()
        serve(fake_server, [make_product(1), bad, make_product(2)])
        report = copy()
        reasons = [rejection.reason[: len(reason)] for rejection in report.rejected]
        found = (report.status, report.added, report.rejected_count, reasons, titles())
        if found != ("done", 2, 1, [reason], ["Thing 1", "Thing 2"]):
            wrong[repr(bad)[:80]] = found
    assert wrong == {}


def read_product(database):
    with database.transaction() as connection:
        query = text(
            f"SELECT {', '.join(VALID)} FROM (SELECT *, on_hand AS stock FROM products) AS p WHERE id = 9"
        )
        return dict(connection.execute(query).one()._mapping)


def test_an_invalid_optional_field_is_left_out_and_its_product_is_for_sale(
    fake_server, copy, database, reset_database
):
    wrong = {}
    for name, values in INVALID_FIELDS:
        for value in values:
            reset_database()
            serve(fake_server, [make_product(1), make_product(9, **{**VALID, name: value})])
            report = copy()
            adjusted = [(each.id, each.field, bool(each.reason)) for each in report.adjusted]
            found = (report.rejected_count, report.adjusted_count, adjusted, read_product(database))
            if found != (0, 1, [(9, name, True)], {**VALID, name: DEFAULTS[name]}):
                wrong[name, repr(value)[:80]] = found
    assert wrong == {}


def test_each_of_several_invalid_fields_of_a_product_is_reported(fake_server, copy, database):
    serve(fake_server, [make_product(9, **{name: values[0] for name, values in INVALID_FIELDS})])
    report = copy()
    assert (report.added, report.rejected_count, report.adjusted_count) == (1, 0, len(INVALID_FIELDS))
    assert {each.field for each in report.adjusted} == set(DEFAULTS)
    assert read_product(database) == DEFAULTS


def test_a_report_lists_the_first_hundred_adjustments_and_counts_all(fake_server, copy):
    serve(fake_server, [make_product(number, rating=8.4) for number in range(1, 252)])
    report = copy()
    assert (report.adjusted_count, len(report.adjusted), report.adjusted[0].id) == (251, 100, 1)
    assert (report.added, report.rejected_count) == (251, 0)


def read_skus(database):
    with database.transaction() as connection:
        rows = connection.execute(text("SELECT id, sku FROM products WHERE removed_at IS NULL ORDER BY id"))
        return {row.id: row.sku for row in rows}


def test_spaces_and_control_characters_in_a_sku_are_normalised_and_reported(fake_server, copy, database):
    written = ["A  1", "\tA\t2 ", "A\r\n3", "A\u00a04", "A\x01\x1f5", "A\u3000\u20286", "A 7", " \t "]
    serve(fake_server, [make_product(number, sku=sku) for number, sku in enumerate(written, 1)])
    report = copy()
    assert read_skus(database) == {number: f"A {number}" for number in range(1, 8)} | {8: "P-8"}
    assert [(each.id, each.field) for each in report.adjusted] == [(number, "sku") for number in range(1, 7)]
    assert '"A 1"' in report.adjusted[0].reason
    assert report.rejected_count == 0


def test_a_normalised_sku_of_another_product_is_replaced_and_reported(fake_server, copy, database):
    products = [
        make_product(1, sku="A\t1"),
        make_product(2, sku="A 1"),
        make_product(3, sku="A  1"),
        make_product(4, sku="B  1"),
        make_product(5, sku="B\t1"),
        make_product(6, sku="C  1"),
        *[make_product(number, sku="P-6" if number == 150 else f"S-{number}") for number in range(7, 152)],
        make_product(152, sku="C 1"),
    ]
    serve(fake_server, products)
    report = copy()
    found = read_skus(database)
    assert {number: found[number] for number in range(1, 6)} == {
        1: "P-1",
        2: "A 1",
        3: "P-3",
        4: "B 1",
        5: "P-5",
    }
    assert (found[150], found[152], 6 in found) == ("P-6", "C 1", False)
    assert [(each.id, each.reason) for each in report.rejected] == [(6, "sku: Product 150 has this SKU.")]
    replaced = {each.id: each.reason for each in report.adjusted if "has the SKU" in each.reason}
    assert replaced == {
        1: 'Stored as "P-1": product 2 has the SKU "A 1".',
        3: 'Stored as "P-3": product 2 has the SKU "A 1".',
        5: 'Stored as "P-5": product 4 has the SKU "B 1".',
        6: 'Stored as "P-6": product 152 has the SKU "C 1".',
    }
    assert copy().changed == 0


def test_null_and_blank_fields_count_as_absent(fake_server, copy, database):
    nothing = dict.fromkeys(["sku", "brand", "category", "description", "rating", "stock", "images"])
    serve(fake_server, [make_product(1, **nothing), make_product(2, sku="", brand=" ", category="")])
    assert copy().rejected_count == 0
    with database.transaction() as connection:
        query = text("SELECT sku, brand, category, description, rating, images FROM products ORDER BY id")
        rows = [tuple(row) for row in connection.execute(query)]
    assert rows == [("P-1", None, "other", "", None, []), ("P-2", None, "other", "", None, [])]


def test_a_report_lists_the_first_hundred_rejections_and_counts_all(fake_server, copy):
    serve(fake_server, [make_product(1), *[{"id": number} for number in range(2, 252)]])
    report = copy()
    assert (report.rejected_count, len(report.rejected), report.rejected[0].id) == (250, 100, 2)


def test_a_known_product_that_becomes_invalid_keeps_its_last_valid_state(fake_server, copy, titles):
    serve(fake_server, [make_product(1), make_product(2)])
    copy()
    serve(fake_server, [make_product(1, title="Renamed"), make_product(2, price=-5)])
    report = copy()
    assert (report.changed, report.removed, report.rejected_count) == (1, 0, 1)
    assert titles() == ["Renamed", "Thing 2"]


def test_only_products_too_large_for_a_page_are_left_out(fake_server, copy, titles, monkeypatch):
    monkeypatch.setattr(clients, "MAX_PAGE_BYTES", 20_000)
    products = [make_product(number) for number in range(1, 31)]
    for number in (7, 8, 21):
        products[number]["description"] = "x" * 30_000
    serve(fake_server, products)
    report = copy()
    assert (report.status, report.added, report.rejected_count) == ("done", 27, 3)
    assert {each.reason for each in report.rejected} == {"The product is too large."}
    assert len(titles()) == 27


def test_the_copy_of_an_endless_upstream_fails(fake_server, copy, monkeypatch):
    monkeypatch.setattr("catalog.sources.MAX_PAGES", 5)

    def answer(handler, _body):
        skip = int(parse_qs(urlsplit(handler.path).query)["skip"][0])
        page = [make_product(skip + number) for number in range(1, 101)]
        send_json(handler, json.dumps({"products": page, "total": 10**9}).encode())

    fake_server.answer = answer
    report = copy()
    assert (report.status, report.detail) == (
        "failed",
        "The product source does not end: the copy stopped after 500 products.",
    )


def test_an_upstream_that_repeats_its_first_page_is_complete(fake_server, copy, titles):
    page = json.dumps(
        {"products": [make_product(number) for number in range(1, 101)], "total": 10**9}
    ).encode()
    fake_server.answer = lambda handler, _body: send_json(handler, page)
    report = copy()
    assert (report.status, report.added, report.rejected_count) == ("done", 100, 0)
    assert len(fake_server.requests) == 2
    assert len(titles()) == 100


def test_a_low_or_invalid_total_does_not_end_the_copy_before_the_last_page(
    fake_server, copy, titles, reset_database
):
    products = [make_product(number) for number in range(1, 251)]
    wrong = {}
    for total in (0, 100, 150, -1, "250", None, 2.5, [], True):
        reset_database()
        serve(fake_server, products, total=total)
        found = (copy().added, len(titles()))
        if found != (250, 250):
            wrong[repr(total)] = found
    assert wrong == {}


def test_a_source_that_rejects_a_page_past_its_end_is_complete(fake_server, copy):
    products = [make_product(number) for number in range(1, 101)]

    def answer(handler, _body):
        if "skip=0" in handler.path:
            send_json(handler, json.dumps({"products": products, "total": 100}).encode())
        else:
            send_json(handler, b'{"message": "skip is too large"}', status=400)

    fake_server.answer = answer
    assert (copy().status, copy().added) == ("done", 0)


def test_nothing_is_removed_if_the_total_of_the_source_does_not_match(fake_server, copy, titles):
    serve(fake_server, [make_product(number) for number in range(1, 9)])
    copy()
    serve(fake_server, [make_product(number) for number in range(3, 9)], total=8)
    report = copy()
    assert (report.status, report.removed) == ("done", 0)
    assert report.detail.startswith("2 products were missing but stay for sale: the source returned 6")
    assert len(titles()) == 8
    serve(fake_server, [make_product(number) for number in range(3, 9)])
    assert copy().removed == 2


@pytest.mark.parametrize("left", [0, 9])
def test_a_copy_that_would_remove_most_products_is_refused(fake_server, copy, titles, database, left):
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


def test_a_small_source_may_lose_all_its_products(fake_server, copy, titles):
    serve(fake_server, [make_product(number) for number in range(1, 11)])
    copy()
    serve(fake_server, [])
    assert (copy().removed, titles()) == (10, [])


def test_two_products_can_swap_their_skus(fake_server, copy, database):
    products = [make_product(number, sku=f"S{number}") for number in range(1, 151)]
    serve(fake_server, products)
    copy()
    products[0]["sku"], products[149]["sku"] = "S150", "S1"
    report = copy()
    assert (report.changed, report.rejected_count) == (2, 0)
    with database.transaction() as connection:
        query = text("SELECT sku FROM products WHERE id IN (1, 150) ORDER BY id")
        assert list(connection.execute(query).scalars()) == ["S150", "S1"]
