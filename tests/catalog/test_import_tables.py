"""CSV files of products: what an import reads, what it refuses, and what an export writes."""

import csv
import io
import json
import re
import resource
from pathlib import Path

import pytest

from catalog.use_cases.import_files import Format, Notes, read_file
from tests.catalog.fake_source import copy_stock
from tests.catalog.product_files import (
    export_lines,
    export_table,
    find_product,
    load_lines,
    load_table,
    refuse,
    write_table,
)
from tests.catalog.test_import import read_lines

ROWS = 150  # The variants of the sample, one in each row.
HEADER = "sku,title,price"
HOSTILE = [
    "=1+1",
    "+49 30 1234",
    "-5 degrees",
    "@home",
    "'=quoted already",
    "''=quoted twice",
    "'quoted, but no formula",
    'said "no", then; left',
    "two\nlines",
    "two\r\nlines",
    "a\rb",
    "é ß 🫖, 中文",
    "=cmd|' /C calc'!A0",
]


@pytest.fixture
def admin(auth):
    return auth.bearer(role="admin")


def export(client, admin, accept="text/csv"):
    return client.get("/products/export", headers={**admin, "Accept": accept})


def test_an_export_as_csv_is_imported_unchanged_over_http(client, admin):
    exported = export(client, admin)
    assert exported.content_type == "text/csv; charset=utf-8; header=present"
    assert exported.headers["Vary"] == "Accept"
    assert exported.data.startswith(b"\xef\xbb\xbfid,variant_id,")
    assert exported.data.count(b"\r\n") >= 121
    loaded = client.post("/products/import", data=exported.data, headers=admin, content_type="text/csv")
    done = {"status": "done", "rows": ROWS, "applied": ROWS, "added": 0, "changed": 0}
    assert read_lines(loaded) == [done]
    assert export(client, admin).data == exported.data
    # A caller that accepts anything receives JSON Lines.
    for accept in ("*/*", "application/json", "application/x-ndjson"):
        assert export(client, admin, accept).content_type == "application/x-ndjson"


def test_hostile_text_survives_the_round_trip_and_no_cell_begins_a_formula(database):
    copy_stock(database, {1: 1})
    rows = [
        {"title": f"Row {number}", "price": 1, "description": each, "images": ["=a", each.split()[0]]}
        for number, each in enumerate(HOSTILE)
    ]
    load_lines(database, *rows)
    load_lines(
        database, *[{"title": each.replace("\n", " ").replace("\r", " "), "price": 1} for each in HOSTILE]
    )
    values = [each.replace("\n", " ").replace("\r", " ") for each in HOSTILE]
    load_lines(
        database,
        {
            "title": "Options",
            "options": [{"name": "=Size", "values": list(dict.fromkeys(values))}],
            "variants": [{"price": 1, "options": {"=Size": each}} for each in dict.fromkeys(values)],
            "metadata": {"=key": '"=value"', "number": 1.5, "whole": 10**15, "flag": False},
        },
    )
    before = export_lines(database)
    table = export_table(database)
    assert [cell for row in table for cell in row if cell[:1] in {"=", "+", "-", "@"}] == []
    for options in ({}, {"delimiter": ";"}, {"delimiter": "\t"}, {"quoting": csv.QUOTE_ALL}):
        assert load_table(database, write_table(table, **options)).changed == 0, options
    assert export_lines(database) == before


def test_the_writings_of_spreadsheets_are_read(database):
    copy_stock(database, {1: 1})
    rows = [["sku", "title", "price"], ["A-1", "Bœuf; “à la mode”", "12,50"]]
    comma, semicolon = write_table(rows), write_table(rows, delimiter=";")
    cases = {
        "comma": comma.encode(),
        "byte order mark": b"\xef\xbb\xbf" + comma.encode(),
        "semicolons": semicolon.encode(),
        "line feeds": comma.replace("\r\n", "\n").encode(),
        "no end of the last line": comma.rstrip().encode(),
        "UTF-16": write_table(rows, delimiter="\t").encode("utf-16"),
        "big-endian UTF-16": b"\xfe\xff" + comma.encode("utf-16-be"),
        "blank lines": comma.replace("\r\n", "\r\n,,\r\n\r\n").encode(),
        "a named delimiter": b"sep=;\r\n" + semicolon.encode(),
        "empty columns": comma.replace("\r\n", ",,\r\n").encode(),
        "names in other cases": comma.replace("sku,title,price", " SKU,Title ,PRICE").encode(),
        "other order": write_table([row[::-1] for row in rows]).encode(),
    }
    wrong = []
    for name, table in cases.items():
        done = load_table(database, table)
        if (done.rows, done.added, done.changed, done.notes) != (1, int(name == "comma"), 0, Notes()):
            wrong.append((name, done))
    assert wrong == []
    found = find_product(database, "Bœuf; “à la mode”").variants[0]
    assert (found.sku, found.unit_amount) == ("A-1", 1250)


def test_a_price_is_read_exactly_or_refused(database):
    copy_stock(database, {1: 1})
    for cell, amount in {
        "12.5": 1250,
        "12,5": 1250,
        " 7 ": 700,
        "0.10": 10,
        "1234.50": 123450,
        "5.0000": 500,
    }.items():
        load_table(database, write_table([["id", "price"], ["1", cell]]))
        assert export_table(database)[1][export_table(database)[0].index("unit_amount")] == str(amount), cell
    wrong = []
    for cell in (
        "1.234,50",
        "1,234.50",
        "1,234",
        "1.234",
        "$5",
        "5 €",
        "1 234,50",
        "-1",
        "1e3",
        "0.005",
        "free",
        "1,2,3",
    ):
        problems = refuse(database, write_table([["id", "price"], ["1", cell]]))
        if [problem[:2] for problem in problems] != [("row 2", "price")]:
            wrong.append((cell, problems))
    assert wrong == []
    same = "id,price,unit_amount\n1,12.50,{}\n"
    assert load_table(database, same.format(1250)).changed == 1
    assert refuse(database, same.format(12))[0] == ("row 2", "price", "It does not match unit_amount.")


def test_an_empty_cell_clears_what_may_be_empty_and_leaves_the_rest(database):
    copy_stock(database, {1: 4})
    full = {
        "id": 1,
        "title": "Full",
        "brand": "Acme",
        "description": "Text",
        "rating": 4.5,
        "images": ["/a.svg"],
        "tax_class": "reduced",
        "metadata": {"a": 1},
        "variant_metadata": {"b": True},
        "compare_at_amount": 900,
        "weight_grams": 10,
        "low_stock_threshold": 1,
    }
    load_lines(database, full)
    header = [name for name in export_table(database)[0] if name != "id"]
    # Without a title, the line says nothing about the product itself.
    load_table(database, write_table([["id", *header], ["1", *[""] * len(header)]]))
    product = find_product(database, "Full")
    assert (product.brand, product.description, product.images) == ("Acme", "Text", ["/a.svg"])
    (variant,) = product.variants
    assert (variant.compare_at_amount, variant.weight_grams, variant.low_stock_threshold) == (None,) * 3
    assert (variant.sku, variant.unit_amount, variant.on_hand, variant.metadata) == ("P-1", 500, 4, {})
    cells = ["Full" if name == "title" else "" for name in header]
    load_table(database, write_table([["id", *header], ["1", *cells]]))
    product = find_product(database, "Full")
    assert (product.brand, product.description, product.rating, product.images) == (None, "", None, [])
    assert (product.category, product.tax_class, product.metadata) == ("other", None, {})
    # Cells that a spreadsheet has left out at the end of a line clear nothing.
    load_table(database, "id,title,brand\n1,Full,Acme\n")
    load_table(database, "id,title,brand\n1,Fuller\n")
    assert find_product(database, "Fuller").brand == "Acme"


def test_a_file_that_is_no_table_of_products_is_refused_with_the_reason(database):
    copy_stock(database, {1: 1})
    good = f"{HEADER}\nA,Thing,1\n"
    utf_8 = "The file is not text in UTF-8"
    cases = [
        (f"{HEADER},Price\n", "row 1", "price", "The file has this column twice."),
        ("name,cost\nA,1\n", "row 1", "", "The first line has no column that an import knows."),
        ('{"sku": "A", "title": "B"}\n', "row 1", "", ""),
        (good + "B,Thing,1,surplus\n", "row 3", "", "The line has 4 cells, but the header has 3."),
        (good + 'B,"Thing" 2,1\n', "row 3", "", "The line is not CSV"),
        (good + 'B,"Thing,1\n', "row 3", "", "The line is not CSV"),
        (good + f'B,"{"x" * 200_000}",1\n', "row 3", "", "The line is not CSV"),
        (good + 'B,"' + "x\n" * 600_000 + '",1\n', "row 3", "", ""),
        (good + f"B,{'x' * 501},1\n", "row 3", "title", "Value should have at most 500 items"),
        (good + "B,,1\n", "row 3", "title", "Required for a new product."),
        ("sku,title,unit_amount\nA,Thing,12.5\n", "row 2", "unit_amount", "Input should be a valid integer"),
        ("sku,title,unit_amount\nA,Thing,-1\n", "row 2", "unit_amount", "Input should be greater than"),
        ("id,title\n9E+15,Thing\n", "row 2", "id", "A spreadsheet has shortened this number"),
        ("variant_id,title\n1,Thing\n", "row 2", "", "Value error, variant_id needs the id"),
        ("id,metadata\n1,{\n", "row 2", "metadata", "It is not JSON"),
        ('id,metadata\n1,"{""a"": NaN}"\n', "row 2", "metadata", ""),
        ('id,metadata\n1,"{""a"": [1]}"\n', "row 2", "metadata", ""),
        (f"id,metadata\n1,{'[' * 500}\n", "row 2", "metadata", "The JSON is nested"),
        (f"{HEADER},currency\nA,Thing,1,EUR\n", "row 2", "currency", "The shop's currency is USD."),
        (f"{HEADER}\nA,Käse,1\n".encode("latin-1"), "row 1", "", utf_8),
        ((good + "B,Käse,1\n" * 9000).encode("latin-1"), "", "", utf_8),
        (good.encode("utf-16-le"), "row 1", "", utf_8),
        (good.encode("utf-16")[:-1], "", "", utf_8),
        (",".join(f"c{number}" for number in range(501)), "row 1", "", "The file has more than 500 columns."),
    ]
    before = export_lines(database)
    wrong = []
    for table, row, field, detail in cases:
        found = refuse(database, table)[-1]
        if not (found[0].startswith(row) and found[1].startswith(field) and found[2].startswith(detail)):
            wrong.append((table[:80], found))
    assert wrong == []
    assert export_lines(database) == before


@pytest.mark.parametrize("table", ["", "\ufeff", "sku,title,price", "sku,title,price\r\n", "\r\n\r\n"])
def test_a_table_without_lines_changes_nothing(database, table):
    copy_stock(database, {1: 1})
    done = load_table(database, table)
    assert (done.rows, done.added, done.changed) == (0, 0, 0)


def test_unknown_columns_are_reported_in_the_final_line_and_the_others_are_imported(client, admin):
    table = "sku,Farbe,title,price,Lager ort\r\nNEW-1,rot,Lamp,5,A3\r\n"
    loaded = client.post("/products/import", data=table.encode(), headers=admin, content_type="text/csv")
    assert read_lines(loaded) == [
        {
            "status": "done",
            "rows": 1,
            "applied": 1,
            "added": 1,
            "changed": 0,
            "ignored_columns": ["Farbe", "Lager ort"],
        }
    ]


def test_rows_are_numbered_as_a_spreadsheet_shows_them(database):
    copy_stock(database, {1: 1})
    table = '\r\nsku,title,description,price\r\nA,One,"two\r\nlines",1\r\n\r\nB,Two,x,bad\r\n'
    assert refuse(database, table)[0][:2] == ("row 5", "price")


class Endless(io.RawIOBase):
    """A file of this many bytes that repeats a line after its header."""

    def __init__(self, header: bytes, line: bytes, length: int) -> None:
        self._rest, self._line, self._length = header, line, length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        while len(self._rest) < len(buffer) and self._length > 0:
            self._rest += self._line * 100
            self._length -= 100 * len(self._line)
        taken = self._rest[: len(buffer)]
        self._rest = self._rest[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)


@pytest.mark.parametrize("kind", Format)
def test_a_large_file_is_read_with_a_constant_use_of_memory(kind):
    header, line = b"", b'{"sku": "A", "title": "Thing", "price": 1}\n'
    if kind is Format.CSV:
        header, line = b"sku,title,price,description\n", b"A,Thing,1," + b"x" * 5000 + b"\n"
    else:
        line = b'{"sku": "A", "title": "Thing", "price": 1, "description": "' + b"x" * 5000 + b'"}\n'
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = sum(1 for _row in read_file(Endless(header, line, 60_000_000), kind, "USD", Notes()))
    assert rows >= 11_000
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 20_000  # Kilobytes, of 60 megabytes.


def test_the_examples_of_the_documentation_are_imported(database):
    copy_stock(database, {1: 1})
    page = (Path(__file__).parents[2] / "docs" / "product-files.md").read_text()
    [table] = re.findall(r"```csv\n(.*?)```", page, re.DOTALL)
    [lines] = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert load_table(database, table).added == 3
    assert load_lines(database, *map(json.loads, lines.splitlines())).added == 2
