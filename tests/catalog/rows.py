"""Products that a test writes directly into the database, without a source."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import text

from catalog.domain import Filter, Sort
from catalog.use_cases import products as use_cases
from shared.database import Database
from tests.catalog.fake_source import FakeSource

SOURCE = FakeSource({})
EVERYTHING = Filter()
COLUMNS = ("id", "sku", "title", "brand", "category", "unit_amount", "description", "rating", "on_hand")


def begin_catalogue(database: Database) -> None:
    """Record an empty copy of the source."""
    with database.transaction() as connection:
        connection.execute(
            text("UPDATE source_copy SET source = :source, copied_at = now()"), {"source": SOURCE.name}
        )


def put_products(database: Database, *rows: dict[str, Any]) -> None:
    """Insert or replace products; absent fields have defaults."""
    with database.transaction() as connection:
        for row in rows:
            number = row["id"]
            defaults = {"sku": f"S-{number}", "title": f"Thing {number}", "brand": None, "category": "things"}
            defaults |= {"unit_amount": 500, "description": "", "rating": None, "on_hand": 1}
            connection.execute(
                text(
                    f"INSERT INTO products ({', '.join(COLUMNS)}) VALUES (:{', :'.join(COLUMNS)})"
                    " ON CONFLICT (id) DO UPDATE SET "
                    + ", ".join(f"{name} = excluded.{name}" for name in COLUMNS)
                    + ", removed_at = NULL"
                ),
                defaults | row,
            )


def remove_products(database: Database, ids: Iterable[int]) -> None:
    """Mark products as removed."""
    with database.transaction() as connection:
        connection.execute(
            text("UPDATE products SET removed_at = now() WHERE id = ANY (:ids)"), {"ids": list(ids)}
        )


def list_ids(
    database: Database, wanted: Filter = EVERYTHING, sort: Sort | None = Sort.ID, limit: int = 100
) -> list[int]:
    """Return the ids of the first page."""
    found = use_cases.list_products(database, SOURCE, wanted, sort, limit=limit)
    return [product.id for product in found.products]
