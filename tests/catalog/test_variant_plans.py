"""The query plans of lists in a shop where every third product has three variants."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import text

from catalog.domain import Filter, Sort
from catalog.use_cases import products as use_cases
from shared.database import Database, connect
from tests.catalog.conftest import make_settings
from tests.catalog.rows import SOURCE
from tests.catalog.test_plans import FILL, assert_by_index, count_read, explain_page, fill, indexes

PRODUCTS = 9_000
FURTHER = """
INSERT INTO products (id, parent_id, removed_at, sku, title, category, unit_amount, description, on_hand,
    option_values)
SELECT nextval('local_product_ids'), id, 'infinity', sku || '-' || size, '', '', unit_amount + 100 * place,
    '', 1, jsonb_build_object('Size', size)
FROM products, unnest(ARRAY['M', 'L']) WITH ORDINALITY AS sizes (size, place) WHERE id % 3 = 0
"""
# The trigger would do this once for each variant.
SUMMARY = """
UPDATE products SET option_values = '{"Size": "S"}',
    options = '[{"name": "Size", "values": ["S", "M", "L"]}]',
    (further_variants, further_lowest, further_highest, further_in_stock)
        = ROW(further.variants, further.lowest, further.highest, further.in_stock)
FROM (SELECT parent_id, count(*) AS variants, min(unit_amount) AS lowest, max(unit_amount) AS highest,
        bool_or(in_stock) AS in_stock
    FROM products WHERE parent_id IS NOT NULL GROUP BY parent_id) AS further
WHERE products.id = further.parent_id
"""


@pytest.fixture(scope="module")
def varied(make_database) -> Iterator[Database]:
    """Nine thousand products, of which three thousand have three variants."""
    with closing(connect(make_settings(make_database("catalog-service")))) as database:
        with fill(database) as connection:
            connection.execute(text(FILL), {"number": PRODUCTS})
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(text(FURTHER))
            connection.execute(text(SUMMARY))
        yield database


def test_every_filter_reads_few_rows_by_an_index(varied):
    cases = {
        "rare options": Filter(options=(("Size", ("M",)),), lowest=49_990, highest=49_999),
        "options": Filter(options=(("Size", ("M", "L")),)),
        "options in stock": Filter(options=(("Size", ("M",)),), in_stock=True),
        "prices": Filter(lowest=1000, highest=1100),
        "a lowest price": Filter(lowest=40_000),
        "a category and a price": Filter(categories=("category 3",), lowest=30_000),
        "in stock": Filter(in_stock=True),
        "sold out": Filter(in_stock=False),
        "words": Filter(words="board"),
        "words and options": Filter(words="walnut board", options=(("Size", ("L",)),)),
    }
    for wanted in cases.values():
        for sort in (Sort.ID, Sort.PRICE, Sort.PRICE_DESCENDING, Sort.TITLE):
            assert_by_index(explain_page(varied, wanted, sort))


def test_a_page_reads_the_variants_of_its_own_products_only(varied):
    for sort in Sort:
        nodes = explain_page(varied, Filter(), sort)
        assert_by_index(nodes)
        # A page of 31 products, and three rows a few times for those that have variants.
        assert count_read(nodes) <= 31 + 31 * 3 * 4


def test_a_sku_of_a_further_variant_is_found_by_its_index(varied):
    nodes = explain_page(varied, Filter(words="S-3000-M"), None)
    assert "products_variants_search" in indexes(nodes)
    assert count_read(nodes) <= 20
    [found] = use_cases.list_products(varied, SOURCE, Filter(words="S-3000-M"), None, limit=30).products
    assert found.id == 3000
