"""An import accepts every export, for any products of the source."""

import io
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from catalog.schemas.imports import to_line
from catalog.sources import FindKnown, Page
from catalog.use_cases.admin import export_products
from catalog.use_cases.imports import import_products
from catalog.use_cases.source import copy_source
from shared.database import Database
from tests.catalog.product_files import export_table, load_table, write_table
from tests.catalog.upstreams import execute, make_due

CHARACTERS = st.sampled_from(
    [*"aB1é \t\r\n\0\x01\x1c\x85\u00a0\u00ad\u200b\u2028\u3000\ufeff\ud800,;'\"\\🫖"]
)
WRITTEN = st.text(CHARACTERS, max_size=6) | st.text(max_size=12)
LONG = st.sampled_from([100, 101, 200, 201, 500, 501, 2000, 2001, 20_000, 20_001]).map(lambda n: "é" * n)
NUMBERS = (
    st.integers(-5, 10**7 + 1)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.decimals(0, 6, places=3).map(float)
    | st.sampled_from([0, -0.0, 0.005, 4.995, 4.996, 5, 5.001, 1e300, 2**31, 10**30, True])
)
ANYTHING = WRITTEN | LONG | NUMBERS | st.none() | st.lists(WRITTEN, max_size=3) | st.just({"a": 1})
SKUS = st.sampled_from(["A 1", "A  1", " A 1", "A\t1", "A\r\n1", "A\u00a01", "A\x011", "P-1", "P-2"])
OPTIONAL = {
    "sku": SKUS | WRITTEN,
    "brand": ANYTHING,
    "category": ANYTHING,
    "description": ANYTHING,
    "rating": ANYTHING,
    "stock": ANYTHING,
    "images": st.lists(WRITTEN | LONG, max_size=3) | ANYTHING,
}
IDS = st.integers(1, 5)
GOOD = st.fixed_dictionaries({"id": IDS, "title": st.just("Lamp"), "price": st.just(1)}, optional=OPTIONAL)
BAD = st.fixed_dictionaries({"id": IDS, "title": ANYTHING, "price": ANYTHING}, optional=OPTIONAL)
PRODUCTS = st.lists(GOOD | BAD, max_size=6)


class HostileSource:
    """A source with these products."""

    name = "hostile"
    refresh_seconds = 60
    edition = 0

    def __init__(self, products: list[Any]) -> None:
        self.products = products

    def read_pages(self, _find_known: FindKnown, *, is_probe: bool) -> Iterator[Page]:  # noqa: ARG002  # As in Source.
        """Yield its only page."""
        yield Page(0, 100, self.products, len(self.products))


def copy_from(database: Database, products: list[Any]) -> None:
    make_due(database)
    assert copy_source(database, HostileSource(products), "USD")


def export(database: Database) -> list[dict[str, Any]]:
    return [to_line(product, "USD") for product in export_products(database)]


def load(database: Database, lines: list[dict[str, Any]]) -> tuple[int, int, int]:
    body = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
    done = list(import_products(database, io.BytesIO(body), "USD"))[-1]
    return done.rows, done.added, done.changed


@settings(
    max_examples=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(before=PRODUCTS, now=PRODUCTS)
def test_products_of_a_hostile_source_are_exported_and_imported_unchanged(
    database, reset_database, before, now
):
    reset_database()
    copy_from(database, before)
    # Products that become invalid keep their last valid state, and new ones are added.
    copy_from(database, now)
    exported = export(database)
    assert load(database, exported) == (len(exported), 0, 0)
    done = load_table(database, write_table(export_table(database)))
    assert (done.rows, done.added, done.changed) == (len(exported), 0, 0)
    assert export(database) == exported


def test_an_export_with_a_duplicate_sku_can_be_imported(database):
    copy_from(database, [{"id": number, "title": "A", "price": 1} for number in (1, 2, 3)])
    execute(database, "UPDATE products SET sku = 'SAME' WHERE id < 3")
    exported = export(database)
    assert load(database, exported) == (3, 0, 0)
    with database.transaction() as connection:
        connection.execute(text("UPDATE products SET sku = 'OTHER' WHERE id = 1"))
    assert load(database, [{"id": 2, "sku": "SAME", "title": "B"}, {"id": 3}]) == (2, 0, 1)
