"""Import and export of the catalogue as JSON Lines, all or nothing."""

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text

from catalog.domain import FIRST_LOCAL_ID
from catalog.use_cases import imports
from catalog.use_cases.admin import export_products
from catalog.use_cases.imports import import_products
from catalog.use_cases.reservations import commit_reservation
from shared.database import connect
from tests.catalog.conftest import make_settings
from tests.catalog.fake_source import copy_stock, read_counts, reserve

LINES = "application/x-ndjson"


def to_lines(rows):
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


class Importer:
    """An admin with a file."""

    def __init__(self, client, auth):
        self.client = client
        self.headers = auth.bearer(role="admin")

    def load(self, rows, **options):
        body = rows if isinstance(rows, bytes) else to_lines(rows)
        options = {"headers": self.headers, "content_type": LINES, **options}
        return self.client.post("/products/import", data=body, **options)

    def export(self):
        answer = self.client.get("/products/export", headers=self.headers)
        assert answer.status_code == 200
        assert answer.content_type == LINES
        return [json.loads(line) for line in answer.data.splitlines()]

    def show(self, product_id):
        return self.client.get(f"/products/{product_id}", headers=self.headers).json


@pytest.fixture
def importer(client, auth):
    return Importer(client, auth)


def read_rows(database, columns):
    with database.transaction() as connection:
        query = text(f"SELECT {columns} FROM products WHERE removed_at IS NULL ORDER BY id")
        return [tuple(row) for row in connection.execute(query)]


def read_lines(answer):
    """Return the decoded lines of a response."""
    return [json.loads(line) for line in answer.data.splitlines()]


def load(database, rows):
    """Import rows without HTTP; return the final progress."""
    body = rows if isinstance(rows, bytes) else to_lines(rows)
    return list(import_products(database, io.BytesIO(body), "USD"))[-1]


def test_an_import_adds_new_products_and_changes_existing_ones(importer):
    answer = importer.load(
        [
            {
                "sku": "MUG-1",
                "title": "Mug",
                "price": 12.5,
                "on_hand": 4,
                "brand": "Acme",
                "images": ["/m.svg"],
            },
            {"title": "Without a sku", "unit_amount": 100},
            {"sku": "KIT-0001", "price": 1},
            {"id": 2, "title": "Renamed"},
            {"id": 3},
        ]
    )
    assert answer.status_code == 200
    assert answer.content_type == LINES
    assert read_lines(answer) == [{"status": "done", "rows": 5, "applied": 5, "added": 2, "changed": 2}]
    rows = {row.get("sku"): row for row in importer.export()}
    mug = rows["MUG-1"]
    assert mug["id"] >= FIRST_LOCAL_ID
    assert (mug["unit_amount"], mug["stock"], mug["images"]) == (1250, 4, ["/m.svg"])
    assert importer.show(1)["price"] == 1
    assert importer.show(2)["title"] == "Renamed"
    assert [importer.show(number)["version"] for number in (1, 2, 3)] == [2, 2, 1]


def test_a_file_truncated_at_the_end_of_a_line_is_rejected(importer, database):
    before = read_rows(database, "id, version")
    line = to_lines([{"sku": "KIT-0001", "price": 1}])
    # gunicorn ends a truncated body like a complete one.
    answer = importer.load(
        line, environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": str(2 * len(line))}
    )
    assert answer.status_code == 400
    assert read_rows(database, "id, version") == before


def test_an_import_accepts_an_export(importer):
    exported = importer.export()
    assert [row["id"] for row in exported] == list(range(1, 121))
    assert set(exported[0]) == {
        "id",
        "version",
        "sku",
        "title",
        "slug",
        "brand",
        "category",
        "unit_amount",
        "currency",
        "description",
        "rating",
        "images",
        "image_alts",
        "stock",
        "compare_at_amount",
        "weight_grams",
        "low_stock_threshold",
        "tax_class",
        "metadata",
        "variant_metadata",
    }
    answer = importer.load(exported)
    assert read_lines(answer)[-1] == {"status": "done", "rows": 120, "applied": 120, "added": 0, "changed": 0}
    assert importer.export() == exported
    sold = [each for row in exported for each in row.get("variants", [row])]
    for each in sold:
        each["unit_amount"] += 1
    assert read_lines(importer.load(exported))[-1]["changed"] == 120
    changed = [each for row in importer.export() for each in row.get("variants", [row])]
    assert [each["unit_amount"] for each in changed] == [each["unit_amount"] for each in sold]
    # The rows have outdated versions.
    refused = importer.load(exported)
    assert (refused.status_code, refused.json["rejected"]) == (422, 120)
    assert refused.json["errors"][0]["field"] == "version"


def test_each_invalid_row_is_reported_by_number_and_nothing_is_imported(importer):
    before = importer.export()
    lines = [
        b'{"sku": "A", "title": "Good", "price": 1}',
        b"nonsense",
        b"",
        b'{"sku": "B", "title": "Bad price", "price": -1}',
        b"[]",
        b'{"sku": "C", "title": "\\ud800", "price": 1}',
        b'{"sku": "D", "title": "Too fine", "price": 1.005}',
        b'{"sku": "E", "title": "Yen", "price": 1, "currency": "JPY"}',
        b'{"sku": "F", "title": "Colour", "price": 1, "colour": "red"}',
        b'{"sku": "G", "title": "Too long", "price": 1, "description": "' + b"x" * 2_000_000 + b'"}',
        b'{"sku": "H", "title": "Not UTF-8 \xff", "price": 1}',
        b'{"sku": "I", "title": "Both", "price": 1, "unit_amount": 200}',
        b'{"sku": "J", "title": "Good too", "price": 1}',
    ]
    answer = importer.load(b"\n".join(lines))
    assert (answer.status_code, answer.json["code"]) == (422, "import_refused")
    assert (answer.json["rows"], answer.json["rejected"]) == (12, 10)
    errors = [(error["location"], error["field"]) for error in answer.json["errors"]]
    assert errors == [
        ("row 2", ""),
        ("row 4", "price"),
        ("row 5", ""),
        ("row 6", ""),
        ("row 7", "price"),
        ("row 8", "currency"),
        ("row 9", "colour"),
        ("row 10", ""),
        ("row 11", ""),
        ("row 12", "price"),
    ]
    assert importer.export() == before


@pytest.mark.parametrize(
    ("rows", "errors"),
    [
        ([{"id": 999, "title": "x"}], [("row 1", "id", "No product for sale has this id.")]),
        ([{"sku": "NEW"}], [("row 1", "title", "Required for a new product.")]),
        ([{"sku": "NEW", "title": "x"}], [("row 1", "unit_amount", "Required for a new product.")]),
        ([{"id": 1}, {"sku": "KIT-0001"}], [("row 2", "id", "Row 1 is for the same product.")]),
        ([{"id": 1, "version": 7}], [("row 1", "version", "The product is at version 1 now.")]),
        ([{"id": 1, "sku": "KIT-0002"}], [("row 1", "sku", "Product 2 has this SKU.")]),
        (
            [{"sku": "N", "title": "x", "price": 1}, {"sku": "N", "title": "y", "price": 1}],
            [("row 2", "sku", "Row 1 has the same SKU.")],
        ),
        ([{"id": 1, "sku": "N"}, {"id": 2, "sku": "N"}], [("row 2", "sku", "Row 1 has the same SKU.")]),
    ],
)
def test_a_row_that_conflicts_with_existing_products_is_reported(importer, rows, errors):
    before = importer.export()
    answer = importer.load([*rows, {"id": 5, "title": "Never"}])
    assert answer.status_code == 422
    found = [(error["location"], error["field"], error["detail"]) for error in answer.json["errors"]]
    assert found == errors
    assert importer.export() == before


def test_two_products_can_swap_their_skus_in_one_file(importer):
    answer = importer.load([{"id": 1, "sku": "KIT-0002"}, {"id": 2, "sku": "KIT-0001"}])
    assert read_lines(answer)[-1]["changed"] == 2
    assert (importer.show(1)["sku"], importer.show(2)["sku"]) == ("KIT-0002", "KIT-0001")


def test_a_row_cannot_identify_a_product_by_a_duplicate_sku(database):
    copy_stock(database, {1: 1, 2: 1})
    with database.transaction() as connection:
        connection.execute(text("UPDATE products SET sku = 'SAME'"))
    with pytest.raises(imports.ImportRefused) as refusal:
        load(database, [{"sku": "SAME", "title": "x"}])
    assert "several" in refusal.value.extra["errors"][0]["detail"].lower()
    # A row can identify it by its id and change the SKU.
    assert load(database, [{"id": 1, "sku": "OTHER"}]).changed == 1


def test_an_error_lists_the_first_hundred_invalid_rows_and_counts_all(database):
    for bad in ({"price": -1}, {"sku": "NEW"}):
        with pytest.raises(imports.ImportRefused) as refusal:
            load(database, [{**bad, "sku": f"N{number}"} for number in range(250)])
        extra = refusal.value.extra
        assert (extra["rows"], extra["rejected"], len(extra["errors"])) == (250, 250, 100)
        assert extra["errors"][99]["location"] == "row 100"


def test_a_removed_product_cannot_be_imported_by_its_id_and_its_sku_is_free(database):
    copy_stock(database, {1: 1, 2: 1})
    with database.transaction() as connection:
        connection.execute(text("UPDATE products SET removed_at = now() WHERE id = 1"))
    with pytest.raises(imports.ImportRefused):
        load(database, [{"id": 1, "title": "x"}])
    assert load(database, [{"sku": "P-1", "title": "Other", "price": 1}]).added == 1


def test_an_imported_count_keeps_held_units_and_cannot_be_lower(database):
    copy_stock(database, {1: 10, 2: 10})
    sold = uuid4()
    reserve(database, sold, {1: 3})
    commit_reservation(database, sold)
    reserve(database, uuid4(), {1: 2})
    assert load(database, [{"id": 1, "on_hand": 4}, {"id": 2, "on_hand": 10}]).changed == 1
    assert read_counts(database) == {1: (4, 2), 2: (10, 0)}
    with pytest.raises(imports.ImportRefused) as refusal:
        load(database, [{"id": 1, "on_hand": 1}])
    assert refusal.value.extra["errors"][0]["detail"] == "2 units are held for orders."
    copy_stock(database, {1: 20, 2: 20})
    # The source controls only the stock that was not counted.
    assert read_counts(database) == {1: (4, 2), 2: (20, 0)}


def test_the_next_copy_does_not_overwrite_imported_fields_of_source_products(database):
    copy_stock(database, {1: 5, 2: 5})
    load(database, [{"id": 1, "title": "Ours", "price": 5}, {"id": 2, "title": "Thing 2"}])
    assert read_rows(database, "id, edited") == [(1, ["title"]), (2, [])]
    copy_stock(database, {1: 5, 2: 5})
    assert read_rows(database, "title") == [("Ours",), ("Thing 2",)]


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded"]
)
def test_another_content_type_is_rejected(importer, content_type):
    answer = importer.load(b"{}", content_type=content_type)
    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_media_type")


def test_a_compressed_file_is_rejected(importer):
    headers = {**importer.headers, "Content-Encoding": "gzip"}
    answer = importer.client.post("/products/import", data=b"x", headers=headers, content_type=LINES)
    assert answer.status_code == 415


def test_a_file_that_is_too_large_is_rejected(importer, monkeypatch):
    monkeypatch.setattr("catalog.routes.imports.MAX_IMPORT", 1000)
    before = importer.export()
    answer = importer.load([{"id": 1, "title": "x"}] * 1000)
    assert answer.status_code == 413
    assert importer.export() == before


def test_a_file_may_be_larger_than_other_request_bodies(importer):
    rows = [{"title": f"Thing {number}", "price": 1, "description": "x" * 900} for number in range(2000)]
    assert read_lines(importer.load(rows, content_type="application/jsonl"))[-1]["added"] == 2000


@pytest.mark.parametrize("body", [b"", b"\n\n", b"\r\n"])
def test_an_empty_file_changes_nothing(importer, body):
    done = {"status": "done", "rows": 0, "applied": 0, "added": 0, "changed": 0}
    assert read_lines(importer.load(body)) == [done]


def test_a_long_import_reports_its_progress(importer, monkeypatch):
    monkeypatch.setattr("catalog.routes.imports.PROGRESS_INTERVAL", 0.0)
    monkeypatch.setattr(imports, "BATCH", 10)
    lines = read_lines(importer.load([{"title": f"Thing {number}", "price": 1} for number in range(35)]))
    assert [line["status"] for line in lines] == ["running"] * 4 + ["done"]
    assert [line["applied"] for line in lines] == [10, 20, 30, 35, 35]


def test_a_running_import_is_invisible_and_a_disconnect_rolls_it_back(database, monkeypatch):
    monkeypatch.setattr(imports, "BATCH", 10)
    copy_stock(database, dict.fromkeys(range(1, 31), 5))
    rows = [{"id": number, "title": "New"} for number in range(1, 31)]
    steps = import_products(database, io.BytesIO(to_lines(rows)), "USD")
    assert [next(steps).applied for _ in range(4)] == [0, 10, 20, 30]
    assert ("New",) not in read_rows(database, "title")
    steps.close()
    assert ("New",) not in read_rows(database, "title")
    assert load(database, rows).changed == 30


def test_an_import_that_fails_midway_reports_it_in_its_last_line_and_imports_nothing(
    importer, database, monkeypatch
):
    monkeypatch.setattr(imports, "BATCH", 10)
    insert = imports.repository.insert_rows

    def insert_and_die(connection, **lines):
        if lines["after"]:
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return insert(connection, **lines)

    monkeypatch.setattr(imports.repository, "insert_rows", insert_and_die)
    answer = importer.load([{"title": f"Thing {number}", "price": 1} for number in range(35)])
    last = read_lines(answer)[-1]
    assert (answer.status_code, last["status"], last["code"]) == (200, "failed", "database_unavailable")
    assert len(importer.export()) == 120


def test_only_one_import_runs_at_a_time(database, importer, auth, monkeypatch):
    monkeypatch.setattr("catalog.repository.skus.SKU_LOCK_TIMEOUT", 0.05)
    steps = import_products(database, io.BytesIO(to_lines([{"id": 1, "title": "First"}])), "USD")
    next(steps)
    answer = importer.load([{"id": 2, "title": "Second"}])
    assert (answer.status_code, answer.json["code"]) == (409, "import_running")
    # Meanwhile no other request can assign a SKU.
    new = importer.client.post(
        "/products", json={"title": "x", "price": 1}, headers=auth.bearer(role="admin")
    )
    assert (new.status_code, new.json["code"]) == (409, "import_running")
    list(steps)
    assert importer.load([{"id": 2, "title": "Second"}]).status_code == 200


def test_an_import_and_orders_do_not_deadlock(database, settings):
    numbers = range(1, 21)
    copy_stock(database, dict.fromkeys(numbers, 1000))
    stop = threading.Event()

    def buy(basket):
        with closing(connect(settings)) as own:
            while not stop.is_set():
                reserve(own, uuid4(), basket)

    def write(turn):
        return load(database, [{"id": number, "title": f"Turn {turn}"} for number in reversed(numbers)])

    with ThreadPoolExecutor(4) as pool:
        buyers = [pool.submit(buy, dict.fromkeys(order, 1)) for order in (numbers, numbers[::-1]) * 2]
        try:
            assert [write(turn).changed for turn in range(10)] == [20] * 10
        finally:
            stop.set()
        assert [buyer.result() for buyer in buyers] == [None] * 4


def test_an_import_may_take_longer_than_a_request(make_database):
    url = make_database("catalog-service")
    with psycopg.connect(url, autocommit=True) as server:
        name = url.rpartition("/")[2].partition("?")[0]
        server.execute(f"ALTER DATABASE {name} SET statement_timeout = '30ms'".encode())
    rows = [{"title": f"Thing {number}", "price": 1} for number in range(3000)]
    with closing(connect(make_settings(url))) as database:
        assert load(database, rows).added == 3000


def test_an_export_is_a_snapshot(database):
    copy_stock(database, dict.fromkeys(range(1, 3001), 5))
    products = export_products(database)
    first = next(products)
    with database.transaction() as connection:
        connection.execute(text("UPDATE products SET title = 'New'"))
    assert {first.title[:5], *(product.title[:5] for product in products)} == {"Thing"}


def test_a_byte_order_mark_at_the_start_is_ignored(importer):
    rows = [{"sku": "BOM-1", "title": "Marked", "unit_amount": 100}]
    assert read_lines(importer.load(b"\xef\xbb\xbf" + to_lines(rows)))[-1]["added"] == 1
    assert read_lines(importer.load(b"\xef\xbb\xbf"))[-1]["rows"] == 0
    # Anywhere else it is invalid JSON.
    assert importer.load(to_lines(rows) + b"\xef\xbb\xbf" + to_lines(rows)).status_code == 422


def test_the_types_of_a_row_are_strict(importer):
    row = {"sku": "STRICT-1", "title": "Strict", "unit_amount": 100}
    for change in ({"unit_amount": True}, {"unit_amount": "100"}, {"on_hand": "5"}, {"price": "1.00"}):
        assert importer.load([{**row, **change}]).status_code == 422, change
    assert read_lines(importer.load([{**row, "unit_amount": 250.0, "on_hand": 5.0}]))[-1]["added"] == 1


def test_a_row_that_is_expensive_to_decode_is_reported(importer):
    many = b'{"title": "Mug", "price": 1, "images": [' + b'"a",' * 6000 + b'"a"]}'
    deep = b'{"title": "Mug", "price": 1, "images": ' + b"[" * 5000 + b"]" * 5000 + b"}"
    answer = importer.load(b"\n".join([b'{"title": "Cup", "price": 1}', many, deep]))
    assert answer.status_code == 422
    assert [(error["location"], error["detail"]) for error in answer.json["errors"]] == [
        ("row 2", "The JSON has more than 5000 values."),
        ("row 3", "The JSON is nested more than 32 levels deep."),
    ]
