"""The query plans of each kind of list, with some ten thousand products."""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from catalog.domain import Filter, Sort
from catalog.repository.categories import move_paths
from catalog.use_cases import products as use_cases
from catalog.use_cases.categories import list_categories
from shared.database import Database, connect
from tests.catalog.conftest import make_settings
from tests.catalog.rows import SOURCE, begin_catalogue

PRODUCTS = 16_000  # A seventh has the same word, which is more than MAX_SORTED.
MAX_READ = PRODUCTS // 3  # Product rows that a list may read; sorting alone may need MAX_SORTED.

FILL = """
INSERT INTO products (id, sku, title, brand, category, unit_amount, description, rating, on_hand)
SELECT id, 'S-' || id,
    (ARRAY['Walnut', 'Copper', 'Linen', 'Glass', 'Cork'])[1 + mix % 5] || ' '
        || (ARRAY['board', 'lamp', 'kettle', 'bag', 'pen', 'bell', 'mat'])[1 + mix / 5 % 7]
        || ' ' || mix % 1000,
    'Brand ' || mix / 161 % 37, 'category ' || mix / 7 % 23, 100 + mix % 50000,
    'Made of ' || (ARRAY['oak', 'ash', 'elm'])[1 + mix % 3] || ', ' || mix % 97 || ' cm long.',
    (mix % 51) / 10.0, mix % 4
FROM (SELECT id, abs(hashint8(id)) AS mix FROM generate_series(1, :number) AS id) AS numbered
"""

INDEXES = """
SELECT indexrelid::regclass AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index
WHERE indrelid = 'products'::regclass AND NOT indisprimary
"""


@contextmanager
def fill(database: Database) -> Iterator[Connection]:
    """Give a connection to write many products, and prepare the catalogue for reading them.

    Creating an index after the inserts takes a fraction of the time of updating it with every row.
    """
    begin_catalogue(database)
    with database.transaction() as connection:
        indexes = connection.execute(text(INDEXES)).all()
        for index in indexes:
            connection.execute(text(f"DROP INDEX {index.name}"))
        yield connection
        for index in indexes:
            connection.exec_driver_sql(index.definition)
    use_cases.recount(database)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


@pytest.fixture(scope="module")
def large(make_database) -> Iterator[Database]:
    """A catalogue large enough for the planner to prefer indexes."""
    with closing(connect(make_settings(make_database("catalog-service")))) as database:
        with fill(database) as connection:
            connection.execute(text(FILL), {"number": PRODUCTS})
        yield database


def explain(database: Database, call: Any) -> list[dict[str, Any]]:
    """Return the plan nodes of every SELECT that a call executes, with its SET statements applied."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.lstrip().startswith(("SELECT", "SET")):
            statements.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        call()
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    nodes: list[dict[str, Any]] = []

    def walk(node: dict[str, Any]) -> None:
        nodes.append(node)
        for each in node.get("Plans", []):
            walk(each)

    with database.transaction() as connection:
        for statement, parameters in statements:
            if statement.startswith("SET"):
                connection.exec_driver_sql(statement)
                continue
            explained = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}"
            [(plan,)] = connection.exec_driver_sql(explained, parameters).all()
            walk(plan[0]["Plan"])
    assert nodes
    return nodes


def explain_page(
    database: Database, wanted: Filter, sort: Sort | None = Sort.ID, **more: Any
) -> list[dict[str, Any]]:
    """Return the plan nodes of a page of the list."""
    return explain(
        database,
        lambda: use_cases.list_products(database, SOURCE, wanted, sort, limit=30, **more),
    )


def has_run(node: dict[str, Any]) -> bool:
    """Return whether the plan reached this node; products with one variant never reach the others'."""
    return bool(node["Actual Loops"])


def count_read(nodes: list[dict[str, Any]]) -> int:
    """Return the number of product rows that were read."""
    return sum(
        node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
        for node in nodes
        if node.get("Relation Name") == "products"
    )


def indexes(nodes: list[dict[str, Any]]) -> set[str]:
    return {
        node["Index Name"]
        for node in nodes
        if has_run(node) and re.match("products_", node.get("Index Name", ""))
    }


def assert_by_index(nodes: list[dict[str, Any]]) -> None:
    scans = [node["Node Type"] for node in nodes if has_run(node) and node.get("Relation Name") == "products"]
    assert scans
    assert "Seq Scan" not in scans
    assert count_read(nodes) <= MAX_READ


@pytest.mark.parametrize("sort", list(Sort))
@pytest.mark.parametrize(
    ("wanted", "scope"),
    [
        (Filter(), ""),
        (Filter(categories=("category 3",)), "category_"),
        (Filter(categories=("category 3", "category 4")), "category_"),
        (Filter(brands=("Brand 5",)), "brand_"),
        (Filter(brands=("Brand 5", "Brand 6")), "brand_"),
    ],
)
def test_every_order_of_all_products_a_category_or_a_brand_is_a_scan_of_its_index(large, wanted, scope, sort):
    name = sort.value.removeprefix("-")
    name = "lowest" if name == "price" else name
    expected = f"products_{scope}{name}" if scope or sort is not Sort.ID else "products_for_sale"
    nodes = explain_page(large, wanted, sort)
    assert indexes(nodes) <= {expected, "products_pkey"}
    # For each category or brand: a page, and one more row to find out whether a next page exists.
    assert count_read(nodes) <= 31 * max(1, len(wanted.categories), len(wanted.brands))
    assert "Sort" not in {node["Node Type"] for node in nodes if node.get("Relation Name") == "products"}


@pytest.fixture
def branch(large) -> Iterator[str]:
    """A category with two others below it."""
    moves = {f"category {number}": f"branch/{number}" for number in (3, 4)}
    with large.transaction() as connection:
        move_paths(connection, moves)
    yield "branch"
    with large.transaction() as connection:
        move_paths(connection, {new: old for old, new in moves.items()})


@pytest.mark.parametrize("sort", list(Sort))
def test_every_order_of_a_category_scans_the_index_of_each_category_below(large, branch, sort):
    nodes = explain_page(large, Filter(categories=(branch,)), sort)
    key = "lowest" if "price" in sort else sort.value
    assert indexes(nodes) == {f"products_category_{key}"}
    # EXPLAIN rounds the average of several loops.
    assert 31 <= round(count_read(nodes)) <= 62


@pytest.mark.parametrize(
    "words", ["branch", "branch walnut", "branch oak", "branch S-12345", "board -branch"]
)
@pytest.mark.parametrize("sort", [None, Sort.PRICE, Sort.TITLE])
def test_a_search_by_the_name_of_a_moved_category_uses_an_index_and_reads_few_rows(
    large, branch, words, sort
):
    assert_by_index(explain_page(large, Filter(words=words), sort))


@pytest.mark.parametrize("sort", list(Sort))
def test_a_later_page_costs_no_more_than_the_first(large, sort):
    first = use_cases.list_products(large, SOURCE, Filter(), sort, limit=30)
    after = first.next
    for _ in range(5):
        after = use_cases.list_products(large, SOURCE, Filter(), sort, after=after, limit=100).next
    nodes = explain_page(large, Filter(), sort, after=after)
    assert_by_index(nodes)
    assert count_read(nodes) <= 31


@pytest.mark.parametrize(
    "wanted",
    [
        Filter(lowest=1000, highest=1010),
        Filter(lowest=10_000, highest=40_000),
        Filter(in_stock=True),
        Filter(in_stock=False),
        Filter(categories=("category 3",), brands=("Brand 5",)),
        Filter(categories=("category 3",), brands=("Brand 5", "Brand 6"), in_stock=True, lowest=200),
        Filter(words="board"),
        # Titles at the very end of the order.
        Filter(words="walnut board"),
        Filter(words="S-12345"),
        Filter(words="board", brands=("Brand 5",), in_stock=True),
        Filter(words="nothing"),
    ],
)
@pytest.mark.parametrize("sort", list(Sort))
def test_every_other_filter_uses_an_index_and_reads_few_rows(large, wanted, sort):
    assert_by_index(explain_page(large, wanted, sort))


@pytest.mark.parametrize("words", ["walnut", "walnut board", "oak", "made of", "S-12345", "walnut board oak"])
def test_a_search_by_relevance_reads_a_limited_number_of_rows(large, words):
    assert_by_index(explain_page(large, Filter(words=words), None))


def test_rare_words_use_the_word_index(large):
    nodes = explain_page(large, Filter(words="S-12345"), None)
    assert "products_search" in indexes(nodes)
    # By its words, and once more whole, because it is on the page.
    assert count_read(nodes) <= 2


def test_the_correction_of_a_typo_uses_the_trigram_index(large):
    with large.transaction() as connection:
        connection.execute(
            text("""
                INSERT INTO search_words (word, products)
                SELECT DISTINCT translate(md5(id::text), '0123456789', 'ghijklmnop'), 1
                FROM generate_series(1, 5000) AS id ON CONFLICT DO NOTHING
            """)
        )
    with large.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE search_words"))
    nodes = explain_page(large, Filter(words="walnutt"), None)
    used = {node.get("Index Name") for node in nodes}
    assert {"search_words_trigrams", "search_words_stem"} <= used
    assert not [
        node
        for node in nodes
        if (node["Node Type"], node.get("Relation Name")) == ("Seq Scan", "search_words")
    ]


def test_stored_facets_and_categories_read_no_products(large):
    def send():
        use_cases.list_products(
            large, SOURCE, Filter(categories=("category 3",)), Sort.ID, limit=1, with_facets=True
        )
        list_categories(large, SOURCE, after="", limit=30)

    nodes = explain(large, send)
    # Two rows for the page itself; the counts are stored.
    assert count_read(nodes) <= 2


@pytest.mark.parametrize("wanted", [Filter(words="walnut"), Filter(lowest=5000), Filter(in_stock=True)])
def test_counted_facets_read_a_limited_number_of_rows(large, wanted):
    nodes = explain(
        large,
        lambda: use_cases.list_products(large, SOURCE, wanted, Sort.ID, limit=1, with_facets=True),
    )
    assert count_read(nodes) <= PRODUCTS // 2


def test_facets_of_metadata_read_the_products_that_have_some(large):
    described = """UPDATE products SET product_metadata = '{"material": "oak"}' WHERE id <= 6"""
    with large.transaction() as connection:
        connection.execute(text(described))
        connection.execute(text("INSERT INTO metadata_keys VALUES ('material')"))
        connection.execute(text("ANALYZE products"))
    found = []

    def send():
        for wanted in (Filter(), Filter(categories=("category 3",)), Filter(brands=("Brand 5",))):
            found.append(
                use_cases.list_products(large, SOURCE, wanted, Sort.ID, limit=1, with_facets=True).facets
            )

    try:
        assert count_read(explain(large, send)) < 50
    finally:
        with large.transaction() as connection:
            connection.execute(text("DELETE FROM metadata_keys"))
    assert [(key.name, [(each.name, each.count) for each in key.values]) for key in found[0].metadata] == [
        ("material", [("oak", 6)])
    ]


def test_a_reservation_updates_no_index(large):
    with large.transaction() as connection:
        connection.execute(text("UPDATE products SET on_hand = 10, reserved = 0 WHERE id = 77"))
    with large.transaction() as connection:
        count = "SELECT pg_stat_get_xact_tuples_hot_updated('products'::regclass)"
        connection.execute(text("UPDATE products SET reserved = reserved + 1 WHERE id = 77"))
        assert connection.execute(text(count)).scalar() == 1
