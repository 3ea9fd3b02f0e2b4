"""Pages stay right while products change, and what is derived follows every change."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from catalog.domain import Count, Filter, Sort
from catalog.repository import counts, search
from catalog.schemas.cursors import read_position, write_position
from catalog.use_cases import products as use_cases
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
def shelf(database: Database) -> Database:
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
def test_nothing_comes_twice_and_nothing_is_left_out_that_stayed_in_its_place(
    shelf, rows, changes, wanted, sort, limit
):
    if sort is None and wanted.words is None:
        sort = Sort.ID
    with shelf.transaction() as connection:
        connection.execute(text("DELETE FROM products"))
    put_products(shelf, *rows)
    before = list_ids(shelf, wanted, sort)
    moved: set[int] = set()
    seen: list[int] = []
    cursor: str | None = None
    while True:
        asked, after = read_position(wanted, sort, cursor)
        page = use_cases.list_products(shelf, SOURCE, asked, sort, after=after, limit=limit)
        seen += [product.id for product in page.products]
        cursor = write_position(replace(wanted, corrected=page.corrected), sort, page.next)
        if cursor is None:
            break
        for change in changes.pop() if changes else []:
            moved.add(change["id"])
            if change["on_hand"]:
                put_products(shelf, change)
            else:
                remove_products(shelf, [change["id"]])
    stayed = [number for number in seen if number not in moved]
    assert stayed == [number for number in before if number not in moved]


def test_what_nobody_rated_comes_after_the_worst(shelf):
    put_products(shelf, {"id": 1, "rating": None}, {"id": 2, "rating": 0}, {"id": 3, "rating": 5})
    assert list_ids(shelf, sort=Sort.RATING) == [3, 2, 1]


def test_a_brand_that_english_passes_over_is_found(shelf):
    put_products(shelf, {"id": 1, "brand": "It"}, {"id": 2, "title": "The Who, live"})
    assert list_ids(shelf, Filter(words="it"), None) == [1]
    assert list_ids(shelf, Filter(words="the who"), None) == [2]


def test_a_changed_title_is_found_at_once(shelf):
    put_products(shelf, {"id": 1, "title": "A kettle"})
    put_products(shelf, {"id": 1, "title": "A teapot"})
    assert list_ids(shelf, Filter(words="kettle"), None) == []
    assert list_ids(shelf, Filter(words="teapot"), None) == [1]


def test_of_very_many_a_part_is_ranked_and_an_order_goes_through_all(shelf, monkeypatch):
    monkeypatch.setattr(search, "MOST_RANKED", 30)
    put_products(shelf, *[{"id": number, "title": "A lamp", "unit_amount": number} for number in range(100)])

    def read(sort: Sort | None) -> list[int]:
        seen: list[int] = []
        after: Any = None
        while True:
            page = use_cases.list_products(shelf, SOURCE, Filter(words="lamp"), sort, after=after, limit=7)
            seen += [product.id for product in page.products]
            after = page.next
            if after is None:
                return seen

    ranked = read(None)
    assert len(ranked) == len(set(ranked)) == 30
    assert read(Sort.PRICE) == list(range(100))


def read_categories(shelf: Database) -> list[Count]:
    with shelf.autocommit() as connection:
        return counts.read_categories(connection, after="", limit=100)


def make_due(shelf: Database) -> None:
    with shelf.transaction() as connection:
        connection.execute(text("UPDATE recount SET due_at = now()"))


def test_numbers_follow_every_change_and_a_hold_is_none(shelf):
    put_products(shelf, {"id": 1, "category": "a"}, {"id": 2, "category": "a"}, {"id": 3, "category": "b"})
    assert use_cases.recount(shelf)
    assert read_categories(shelf) == [Count("a", 2), Count("b", 1)]
    with shelf.transaction() as connection:
        connection.execute(text("UPDATE products SET reserved = 1, on_hand = 5"))
    make_due(shelf)
    assert not use_cases.recount(shelf)
    remove_products(shelf, [3])
    make_due(shelf)
    assert use_cases.recount(shelf)
    assert read_categories(shelf) == [Count("a", 2)]


def test_a_recount_is_followed_by_a_pause_and_loses_no_change(shelf):
    put_products(shelf, {"id": 1})
    assert use_cases.recount(shelf)
    with shelf.transaction() as connection:
        connection.execute(text("UPDATE recount SET due_at = now() + interval '1 hour'"))
    put_products(shelf, {"id": 2})
    assert not use_cases.recount(shelf)
    make_due(shelf)
    assert use_cases.recount(shelf)
    assert read_categories(shelf) == [Count("things", 2)]


def test_one_replica_recounts_at_a_time_and_none_waits(shelf):
    put_products(shelf, {"id": 1})
    with shelf.transaction() as connection:
        assert counts.claim_recount(connection)
        assert not use_cases.recount(shelf)
    assert not use_cases.recount(shelf)


def test_whoever_asks_first_need_not_wait_for_the_first_count(shelf):
    put_products(shelf, {"id": 1, "category": "a", "brand": "x"})
    found, following, _age = use_cases.list_categories(shelf, SOURCE, after="", limit=10)
    assert (found, following) == ([Count("a", 1)], None)
    put_products(shelf, {"id": 2, "category": "b"})
    assert use_cases.recount(shelf)


def test_words_are_forgotten_with_their_last_product(shelf):
    put_products(shelf, {"id": 1, "title": "Samovar"}, {"id": 2})
    use_cases.recount(shelf)
    found = use_cases.list_products(shelf, SOURCE, Filter(words="samovvar"), None, limit=5)
    assert (found.corrected, [product.id for product in found.products]) == ("samovar", [1])
    remove_products(shelf, [1])
    make_due(shelf)
    use_cases.recount(shelf)
    found = use_cases.list_products(shelf, SOURCE, Filter(words="samovvar"), None, limit=5)
    assert (found.corrected, found.products) == (None, [])


def test_facets_of_very_many_say_that_they_are_of_a_part(shelf, monkeypatch):
    monkeypatch.setattr(counts, "MOST_COUNTED", 5)
    put_products(shelf, *[{"id": number, "unit_amount": 10 * number} for number in range(1, 10)])
    found = use_cases.list_products(
        shelf, SOURCE, Filter(highest=80), Sort.ID, limit=1, with_facets=True
    ).facets
    assert found is not None
    assert not found.exact
    assert found.categories == [Count("things", 5)]
