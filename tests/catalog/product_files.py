"""Files of products that a test imports and exports."""

import csv
import io
import json
from typing import Any

import pytest

from catalog.errors import ImportRefused
from catalog.repository.variants import list_variants
from catalog.schemas.csv_rows import EXPORTED, to_cells
from catalog.schemas.imports import write_lines
from catalog.use_cases.admin import export_products
from catalog.use_cases.import_files import Format
from catalog.use_cases.imports import Progress, import_products
from catalog.variants import Variant
from shared.database import Database


def load_table(database: Database, table: str | bytes) -> Progress:
    """Import a CSV file; return the final progress."""
    body = table if isinstance(table, bytes) else table.encode()
    return list(import_products(database, io.BytesIO(body), "USD", Format.CSV))[-1]


def load_lines(database: Database, *lines: dict[str, Any]) -> Progress:
    """Import JSON Lines; return the final progress."""
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    return list(import_products(database, io.BytesIO(body), "USD"))[-1]


def refuse(database: Database, *file: Any) -> list[tuple[str, str, str]]:
    """Import a CSV file, or lines, that the shop refuses; return the problems."""
    with pytest.raises(ImportRefused) as refusal:
        load_table(database, file[0]) if isinstance(file[0], str | bytes) else load_lines(database, *file)
    return [(each["location"], each["field"], each["detail"]) for each in refusal.value.extra["errors"]]


def write_table(rows: list[list[str]], **options: Any) -> str:
    """Return rows as CSV."""
    text = io.StringIO(newline="")
    csv.writer(text, **options).writerows(rows)
    return text.getvalue()


def export_table(database: Database) -> list[list[str]]:
    """Return the rows of an export as CSV, with its header."""
    rows = [cells for product in export_products(database) for cells in to_cells(product, "USD")]
    return [EXPORTED, *rows]


def export_lines(database: Database) -> bytes:
    """Return an export as JSON Lines."""
    return b"".join(write_lines(product, "USD") for product in export_products(database))


def find_product(database: Database, title: str) -> Any:
    """Return the row of the product for sale with this title."""
    (found,) = [product for product in export_products(database) if product.title == title]
    return found


def read_variants(database: Database, product_id: int) -> list[Variant]:
    """Return the variants of a product by id."""
    with database.transaction() as connection:
        return list_variants(connection, product_id)
