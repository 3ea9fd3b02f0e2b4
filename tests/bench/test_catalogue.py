"""The bench of a large catalogue: its products, its rounds and its summary."""

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bench import catalogue
from bench.__main__ import main
from bench.catalogue import HERE, average, read_count, render, sum_up
from bench.errors import CannotMeasure
from bench.many_products import wait_for_recount, write_products, write_variants
from local.settings import ROOT
from tests.bench.test_bench import read_rows

COUNT = 600
BEFORE_VARIANTS = "f09a98a"  # A commit whose products have no variants.
SUMMARY = "further_variants, further_lowest, further_highest, further_in_stock"
INDEXES = "SELECT array_agg(indexdef ORDER BY indexdef) FROM pg_indexes WHERE tablename = 'products'"


class FakeShop:
    """The database of a shop's catalogue, without its services."""

    def __init__(self, url: str) -> None:
        self._url = url

    def run_sql(self, _database: str, statement: str, **values: Any) -> Any:
        """Run a statement, as the shop does."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None

    def read(self, statement: str) -> list[Any]:
        """Return all rows."""
        with psycopg.connect(self._url) as connection:
            return connection.execute(statement.encode()).fetchall()


def test_the_products_fit_the_schema_before_variants_and_keep_its_indexes(make_old_database) -> None:
    url = make_old_database("catalog-service", before="0007").engine.url
    shop: Any = FakeShop(url.set(drivername="postgresql").render_as_string(hide_password=False))
    indexes = shop.run_sql("catalog", INDEXES)
    write_products(shop, COUNT)
    assert shop.run_sql("catalog", "SELECT count(*) FROM products WHERE removed_at IS NULL") == COUNT
    assert shop.run_sql("catalog", INDEXES) == indexes
    assert shop.run_sql("catalog", "SELECT count(*) FROM catalogue_changes") == 1


def test_two_shops_have_the_same_products(make_database) -> None:
    rows = []
    for _ in range(2):
        shop: Any = FakeShop(make_database("catalog-service"))
        write_products(shop, COUNT)
        rows.append(shop.read("SELECT id, sku, title, unit_amount, on_hand, created_at FROM products"))
    assert rows[0] == rows[1]
    # Triggers do not run meanwhile, and a product without a slug cannot be shown.
    assert shop.run_sql("catalog", "SELECT count(*) FROM product_slugs WHERE is_current") == COUNT


def test_the_summary_of_written_variants_is_that_of_the_trigger(make_database) -> None:
    shop: Any = FakeShop(make_database("catalog-service"))
    write_products(shop, COUNT)
    indexes = shop.run_sql("catalog", INDEXES)
    write_variants(shop)
    assert shop.run_sql("catalog", INDEXES) == indexes
    parents = f"SELECT id, {SUMMARY} FROM products WHERE parent_id IS NULL ORDER BY id"
    written = shop.read(parents)
    assert [each[1] for each in written].count(2) == COUNT // 3
    assert {each[4] for each in written if each[1]} == {True, False}
    # Each variant is withdrawn and sold again, so that the trigger summarizes its product.
    shop.run_sql("catalog", "UPDATE products SET withdrawn_at = now() WHERE parent_id IS NOT NULL")
    assert {each[1] for each in shop.read(parents)} == {0}
    shop.run_sql("catalog", "UPDATE products SET withdrawn_at = NULL WHERE parent_id IS NOT NULL")
    assert shop.read(parents) == written


def test_a_recount_that_never_ends_is_an_error(make_database, monkeypatch) -> None:
    monkeypatch.setattr("bench.many_products.SETTLE_SECONDS", 0.1)
    shop: Any = FakeShop(make_database("catalog-service"))
    write_products(shop, COUNT)
    with pytest.raises(CannotMeasure, match="recounted"):
        wait_for_recount(shop)


def test_an_invalid_number_of_products_is_refused_by_name() -> None:
    for text in ("x", "1999", "-2000", "1e6", "2000.5", "9999999999"):
        with pytest.raises(CannotMeasure, match="PRODUCTS"):
            read_count({"PRODUCTS": text})
    assert read_count({"PRODUCTS": ""}) == 1_000_000
    assert read_count({"PRODUCTS": "2000"}) == 2000


def make_round(question: str, shop: str, ms: float, cpu_ms: float, **changes: Any) -> dict[str, Any]:
    numbers = {"ms": ms, "cpu_ms": cpu_ms, "errors": 0, "found": 30}
    return {"question": question, "shop": shop, **numbers, **changes}


def test_the_ratios_are_medians_of_rounds_and_above_1_where_this_shop_is_faster() -> None:
    # One round was slow, equally for both.
    rounds = [
        make_round("a brand", shop, slow * ms, cpu_ms)
        for slow in (1, 10, 1)
        for shop, ms, cpu_ms in (("abc", 8.0, 3.0), (HERE, 2.0, 6.0))
    ]
    rounds += [make_round("one product", shop, 1.0, 0.0, found=1, errors=2) for shop in ("abc", HERE)]
    varied = sum_up([make_round("a size", HERE, 5.0, 4.0)])
    results = {"products": 5000, "commit": "abc", "plain": sum_up(rounds), "varied": varied}
    lines = render(results)
    assert read_rows(lines) == [
        [
            *("question", "products", "ms, abc", "ms, here", "core ms, abc", "core ms, here"),
            *("as fast as", "as cheap as", "errors"),
        ],
        ["a brand", "30", "8.00", "2.00", "3.00", "6.00", "4.00", "0.50", "0"],
        # The processor clock counts hundredths of a second, so a short round may need none.
        ["one product", "1", "1.00", "1.00", "0.00", "0.00", "1.00", "", "4"],
        ["geometric mean", "", "", "", "", "", "2.00", "0.50", ""],
        ["question", "products", "ms", "core ms", "errors"],
        ["a size", "30", "5.00", "4.00", "0"],
    ]
    assert average([None]) is None


def test_answers_of_two_shops_that_differ_are_shown() -> None:
    rounds = [make_round("a brand", "abc", 1.0, 1.0), make_round("a brand", HERE, 1.0, 1.0, found=29)]
    results = {"products": 5000, "commit": "abc", "plain": sum_up(rounds), "varied": sum_up(rounds[1:])}
    assert read_rows(render(results))[1][:2] == ["a brand", "30, 29"]


@pytest.mark.long
@pytest.mark.xdist_group("bench")
@pytest.mark.timeout(900)
def test_a_catalogue_is_compared_with_a_commit_before_variants(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("CONTROL", BEFORE_VARIANTS)
    monkeypatch.setenv("PRODUCTS", "3000")
    monkeypatch.setenv("SECONDS", "0.8")
    monkeypatch.setattr("bench.catalogue.ROUNDS", 1)
    monkeypatch.setattr("bench.__main__.RESULTS", tmp_path)
    assert main(["catalogue"]) == 0
    [file] = tmp_path.glob("*/results.json")
    found = json.loads(file.read_text())["parts"]["catalogue"]
    names = [*catalogue.QUESTIONS, "a later page", "one product"]
    assert [row["question"] for row in found["plain"]] == names
    assert len(found["varied"]) == len(names) + len(catalogue.OPTION_QUESTIONS)
    wrong = [
        row for row in [*found["plain"], *found["varied"]] if row["errors"] or 0 in row["found"].values()
    ]
    # Both shops answer with the same number of products.
    wrong += [row for row in found["plain"] if len({*row["found"].values()}) != 1]
    wrong += [row for row in found["plain"] if not row["ratios"]["ms"]]
    assert not wrong
    assert list(ROOT.glob(".local-bench-*")) == []
