"""Pages, counts and words stay correct while products change."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from catalog.domain import Count, Filter, Sort
from catalog.repository import counts, search
from catalog.schemas.cursors import decode_position, encode_position
from catalog.use_cases import products as use_cases
from catalog.use_cases.categories import list_categories
from shared.database import Database
from tests.catalog.rows import SOURCE, begin_catalogue, list_ids, put_products, remove_products

IDS = st.integers(1, 40)
ROWS = st.fixed_dictionaries(
    {
        "id": IDS,
        "title": st.sampled_from(
            ["Lamp", "lamp", "Ämter", "ämter", "Z", "a", "\U0001f600" * 120, "lamp desk"]
        ),
        "category": st.sampled_from(["one", "two", "three"]),
        "brand": st.sampled_from([None, "x", "y"]),
        "unit_amount": st.integers(0, 3),
        "rating": st.sampled_from([None, 0, 1.5, 5]),
        "on_hand": st.integers(0, 1),
    }
)
SOME_ROWS = st.lists(ROWS, max_size=40, unique_by=lambda row: row["id"])
FILTERS = st.builds(
    Filter,
    words=st.sampled_from([None, None, "lamp"]),
    categories=st.sampled_from([(), ("one",), ("one", "two")]),
    brands=st.sampled_from([(), (), ("x", "y")]),
    highest=st.sampled_from([None, None, 2]),
    in_stock=st.sampled_from([None, None, True]),
)


@pytest.fixture
def empty_catalog(database: Database) -> Database:
    """An empty catalogue."""
    begin_catalogue(database)
    return database


@settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    rows=SOME_ROWS,
    changes=st.lists(st.lists(ROWS, max_size=4, unique_by=lambda row: row["id"]), max_size=4),
    wanted=FILTERS,
    sort=st.sampled_from([None, *Sort]),
    limit=st.integers(1, 5),
)
def test_pages_repeat_no_product_and_omit_none_that_kept_its_position(
    empty_catalog, rows, changes, wanted, sort, limit
):
    if sort is None and wanted.words is None:
        sort = Sort.ID
    with empty_catalog.transaction() as connection:
        connection.execute(text("DELETE FROM products"))
    put_products(empty_catalog, *rows)
    before = list_ids(empty_catalog, wanted, sort)
    changed: set[int] = set()
    seen: list[int] = []
    cursor: str | None = None
    while True:
        asked, after = decode_position(wanted, sort, cursor)
        page = use_cases.list_products(empty_catalog, SOURCE, asked, sort, after=after, limit=limit)
        seen += [product.id for product in page.products]
        cursor = encode_position(replace(wanted, corrected=page.corrected), sort, page.next)
        if cursor is None:
            break
        for change in changes.pop() if changes else []:
            changed.add(change["id"])
            if change["on_hand"]:
                put_products(empty_catalog, change)
            else:
                remove_products(empty_catalog, [change["id"]])
    unchanged = [number for number in seen if number not in changed]
    assert unchanged == [number for number in before if number not in changed]


def test_unrated_products_follow_the_worst_rated(empty_catalog):
    put_products(empty_catalog, {"id": 1, "rating": None}, {"id": 2, "rating": 0}, {"id": 3, "rating": 5})
    assert list_ids(empty_catalog, sort=Sort.RATING) == [3, 2, 1]


def test_a_brand_that_is_an_english_stop_word_is_found(empty_catalog):
    put_products(empty_catalog, {"id": 1, "brand": "It"}, {"id": 2, "title": "The Who, live"})
    assert list_ids(empty_catalog, Filter(words="it"), None) == [1]
    assert list_ids(empty_catalog, Filter(words="the who"), None) == [2]


def test_a_changed_title_is_found_at_once(empty_catalog):
    put_products(empty_catalog, {"id": 1, "title": "A kettle"})
    put_products(empty_catalog, {"id": 1, "title": "A teapot"})
    assert list_ids(empty_catalog, Filter(words="kettle"), None) == []
    assert list_ids(empty_catalog, Filter(words="teapot"), None) == [1]


def test_relevance_ranks_a_limited_number_and_other_orders_return_all(empty_catalog, monkeypatch):
    monkeypatch.setattr(search, "MAX_RANKED", 30)
    put_products(
        empty_catalog, *[{"id": number, "title": "A lamp", "unit_amount": number} for number in range(100)]
    )

    def read(sort: Sort | None) -> list[int]:
        seen: list[int] = []
        after: Any = None
        while True:
            page = use_cases.list_products(
                empty_catalog, SOURCE, Filter(words="lamp"), sort, after=after, limit=7
            )
            seen += [product.id for product in page.products]
            after = page.next
            if after is None:
                return seen

    ranked = read(None)
    assert len(ranked) == len(set(ranked)) == 30
    assert read(Sort.PRICE) == list(range(100))


def read_categories(empty_catalog: Database) -> list[Count]:
    found, following, _age = list_categories(empty_catalog, SOURCE, after="", limit=100)
    assert following is None
    return [Count(category.path, category.count) for category in found]


def make_due(empty_catalog: Database) -> None:
    with empty_catalog.transaction() as connection:
        connection.execute(text("UPDATE recount SET due_at = now()"))


def test_counts_follow_every_change_except_reservations(empty_catalog):
    put_products(
        empty_catalog, {"id": 1, "category": "a"}, {"id": 2, "category": "a"}, {"id": 3, "category": "b"}
    )
    assert use_cases.recount(empty_catalog)
    assert read_categories(empty_catalog) == [Count("a", 2), Count("b", 1)]
    with empty_catalog.transaction() as connection:
        connection.execute(text("UPDATE products SET reserved = 1, on_hand = 5"))
    make_due(empty_catalog)
    assert not use_cases.recount(empty_catalog)
    remove_products(empty_catalog, [3])
    make_due(empty_catalog)
    assert use_cases.recount(empty_catalog)
    assert read_categories(empty_catalog) == [Count("a", 2)]


def test_a_recount_is_followed_by_a_pause_and_misses_no_change(empty_catalog):
    put_products(empty_catalog, {"id": 1})
    assert use_cases.recount(empty_catalog)
    with empty_catalog.transaction() as connection:
        connection.execute(text("UPDATE recount SET due_at = now() + interval '1 hour'"))
    put_products(empty_catalog, {"id": 2})
    assert not use_cases.recount(empty_catalog)
    make_due(empty_catalog)
    assert use_cases.recount(empty_catalog)
    assert read_categories(empty_catalog) == [Count("things", 2)]


def test_only_one_replica_recounts_and_no_other_waits(empty_catalog):
    put_products(empty_catalog, {"id": 1})
    with empty_catalog.transaction() as connection:
        assert counts.claim_recount(connection)
        assert not use_cases.recount(empty_catalog)
    assert not use_cases.recount(empty_catalog)


def test_the_first_request_does_not_wait_for_the_first_recount(empty_catalog):
    put_products(empty_catalog, {"id": 1, "category": "a", "brand": "x"})
    assert read_categories(empty_catalog) == [Count("a", 1)]
    put_products(empty_catalog, {"id": 2, "category": "b"})
    assert use_cases.recount(empty_catalog)


def test_words_are_removed_with_their_last_product(empty_catalog):
    put_products(empty_catalog, {"id": 1, "title": "Samovar"}, {"id": 2})
    use_cases.recount(empty_catalog)
    found = use_cases.list_products(empty_catalog, SOURCE, Filter(words="samovvar"), None, limit=5)
    assert (found.corrected, [product.id for product in found.products]) == ("samovar", [1])
    remove_products(empty_catalog, [1])
    make_due(empty_catalog)
    use_cases.recount(empty_catalog)
    found = use_cases.list_products(empty_catalog, SOURCE, Filter(words="samovvar"), None, limit=5)
    assert (found.corrected, found.products) == (None, [])


def test_facets_of_too_many_products_are_not_exact(empty_catalog, monkeypatch):
    monkeypatch.setattr(counts, "MAX_COUNTED", 5)
    put_products(empty_catalog, *[{"id": number, "unit_amount": 10 * number} for number in range(1, 10)])
    found = use_cases.list_products(
        empty_catalog, SOURCE, Filter(highest=80), Sort.ID, limit=1, with_facets=True
    ).facets
    assert found is not None
    assert not found.exact
    assert found.categories == [Count("things", 5, "Things")]
