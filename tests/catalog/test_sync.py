"""Copies of the product source: who makes them and when, what is asked of them, what they report."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from sqlalchemy import text

from catalog.sources import Page
from catalog.use_cases import source as copying
from catalog.use_cases.source import copy_source
from catalog.use_cases.sync import read_last_sync, request_sync
from shared.database import connect
from tests.catalog.shelf import Shelf
from tests.catalog.upstreams import CachingUpstream, execute, make_due, make_products
from tests.waiting import wait_for


@pytest.mark.parametrize("header", ["ETag", "Last-Modified"])
def test_only_pages_that_changed_are_sent_again(caching, copy, header, titles):
    caching.header = header
    first = copy()
    assert (first.pages, first.unchanged_pages, first.added) == (3, 0, 250)
    assert caching.answers == [200, 200, 200]
    assert (copy().unchanged_pages, caching.answers[3:]) == (3, [304, 304, 304])
    caching.products[120]["title"] = "Renamed"
    report = copy()
    assert caching.answers[6:] == [304, 200, 304]
    assert (report.unchanged_pages, report.changed, report.removed) == (2, 1, 0)
    assert titles()[120] == "Renamed"


def test_a_source_that_shrinks_or_grows_behind_unchanged_pages_is_followed(caching, copy, titles):
    copy()
    del caching.products[200:]
    assert copy().removed == 50
    assert len(titles()) == 200
    caching.products = make_products(250)
    assert copy().changed == 50
    assert len(titles()) == 250


def test_a_page_that_did_not_change_still_gives_what_was_edited_back(caching, copy, database, titles):
    copy()
    execute(database, "UPDATE products SET title = 'Ours', edited = '{title}' WHERE id = 7")
    assert (copy().changed, titles()[6]) == (0, "Ours")
    execute(database, "UPDATE source_copy SET overwrite = true")
    report = copy()
    assert (report.unchanged_pages, report.changed, titles()[6]) == (3, 1, "Thing 7")


def test_a_source_whose_pages_do_not_know_its_new_total_is_followed_too(caching, copy, database):
    copy()
    del caching.products[240:]
    whole = caching.server.answer

    def answer(handler, body):
        if "skip=200" in handler.path:
            whole(handler, body)
        else:
            handler.send_response(304)
            handler.end_headers()

    caching.server.answer = answer
    report = copy()
    assert (report.unchanged_pages, report.removed) == (2, 10)


def test_the_rejected_of_an_unchanged_page_are_still_reported(caching, copy):
    caching.products[3]["price"] = -1
    assert copy().rejected_count == 1
    report = copy()
    assert (report.unchanged_pages, report.rejected_count, report.rejected[0].id) == (3, 1, 4)


def test_the_adjusted_of_an_unchanged_page_are_still_reported(caching, copy):
    caching.products[3]["rating"] = 8.4
    assert copy().adjusted_count == 1
    report = copy()
    assert (report.unchanged_pages, report.adjusted_count, report.adjusted[0].id) == (3, 1, 4)


def test_a_page_that_the_release_before_read_is_asked_for_again(caching, copy, database):
    copy()
    execute(database, "UPDATE source_pages SET adjusted = NULL WHERE skip = 100")
    assert copy().unchanged_pages == 2
    assert caching.answers[3:] == [304, 200, 304]
    assert copy().unchanged_pages == 3


def test_another_source_is_not_asked_what_changed_since_the_last_one(caching, copy, database):
    copy()
    copy_shelf_once(database)
    assert copy().unchanged_pages == 0
    assert 304 not in caching.answers


def copy_shelf_once(database):
    assert copy_source(database, Shelf({1: 1}), "USD")


def test_what_was_edited_of_one_source_is_not_set_on_another_ones_products(caching, copy, database):
    copy()
    execute(database, "UPDATE products SET title = 'Ours', edited = '{title,stock}' WHERE id = 1")
    execute(database, "UPDATE products SET removed_at = now(), edited = '{removed}' WHERE id = 2")
    assert copy_source(database, Shelf({1: 4, 2: 4}), "USD")
    with database.transaction() as connection:
        rows = connection.execute(text("SELECT title, on_hand FROM products WHERE removed_at IS NULL"))
        assert [tuple(row) for row in rows] == [("Thing 1", 4), ("Thing 2", 4)]


def test_a_stock_that_changes_is_no_new_version(database):
    copy_shelf_once(database)
    assert copy_source(database, Shelf({1: 9}), "USD")
    with database.transaction() as connection:
        row = connection.execute(text("SELECT on_hand, version FROM products")).one()
    assert tuple(row) == (9, 1)


def test_of_many_replicas_one_copies(caching, settings, source):
    begin = threading.Barrier(6)

    def attempt(_number):
        with closing(connect(settings)) as database:
            begin.wait()
            return copy_source(database, source, "USD")

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(attempt, range(6))) == [False] * 5 + [True]
    assert caching.answers == [200, 200, 200]


class StuckSource:
    """A source that stands still after its first page until it is told to go on."""

    name = "shelf"
    refresh_seconds = 60

    def __init__(self, title):
        self.title = title
        self.is_reading = threading.Event()
        self.go_on = threading.Event()

    def read_pages(self, _find_known, *, is_probe):  # noqa: ARG002
        yield Page(0, 1, [{"id": 1, "title": self.title, "price": 1}], 2)
        self.is_reading.set()
        assert self.go_on.wait(20)
        yield Page(1, 1, [{"id": 2, "title": self.title, "price": 1}], 2)


@pytest.mark.parametrize("moment", ["reading", "writing"])
def test_a_slow_copy_never_overwrites_a_newer_one(database, settings, monkeypatch, moment, titles):
    slow, quick = StuckSource("Old"), StuckSource("New")
    quick.go_on.set()
    if moment == "writing":
        slow.go_on.set()
        hold_up_writing(monkeypatch, slow)
    with closing(connect(settings)) as own, ThreadPoolExecutor(1) as pool:
        copied = pool.submit(copy_source, own, slow, "USD")
        assert slow.is_reading.wait(20)
        # Its lease ends while it stands still.
        make_due(database)
        assert copy_source(database, quick, "USD")
        slow.go_on.set()
        if moment == "writing":
            slow.written.set()
        assert copied.result(20)
    assert titles() == ["New", "New"]
    report = read_last_sync(database)
    assert (report.status, report.added) == ("done", 2)
    with database.transaction() as connection:
        statuses = connection.execute(text("SELECT status FROM source_syncs ORDER BY id")).scalars().all()
    assert statuses == ["abandoned", "done"]


def hold_up_writing(monkeypatch, slow):
    """Let the slow copy stand still between its last page and its first write."""
    slow.is_reading = threading.Event()
    slow.written = threading.Event()
    find_gone = copying._find_gone

    def wait(database, claim, inventory, tally):
        gone = find_gone(database, claim, inventory, tally)
        if not slow.is_reading.is_set():
            slow.is_reading.set()
            assert slow.written.wait(20)
        return gone

    slow.read_pages = lambda _find_known, **_: iter(
        [Page(0, 2, [{"id": number, "title": "Old", "price": 1} for number in (1, 2)], 2)]
    )
    monkeypatch.setattr(copying, "_find_gone", wait)


def test_a_copy_lets_buyers_in_between(database, settings):
    """Nothing is locked while the source is read, and nobody waits for rows that stay as they are."""
    assert copy_source(database, Shelf(dict.fromkeys(range(1, 51), 5)), "USD")
    with database.transaction() as buyer:
        buyer.execute(text("SELECT id FROM products WHERE id <= 50 FOR UPDATE"))
        with closing(connect(settings)) as own:
            assert copy_source(own, Shelf(dict.fromkeys(range(1, 52), 5)), "USD")
    assert read_last_sync(database).added == 1


@pytest.fixture
def admin(start_catalog, auth, fake_server):
    def start(**settings):
        client = start_catalog(catalog_upstream_url=fake_server.url, **settings).test_client()
        headers = auth.bearer(role="admin")
        return lambda method, path, body=None: client.open(path, method=method, json=body, headers=headers)

    return start


def test_a_sync_by_hand_answers_with_its_report(caching, admin):
    ask = admin()
    wait_for(lambda: ask("GET", "/products").status_code == 200)
    first = ask("GET", "/products/sync").json
    caching.products = [
        *make_products(249, price=6),
        {"id": 300, "title": "New", "price": 1, "images": "a"},
        {"id": 301},
    ]
    answer = ask("POST", "/products/sync")
    assert answer.status_code == 200
    assert answer.headers["Location"] == "/products/sync"
    report = answer.json
    assert report["id"] > first["id"]
    assert {name: report[name] for name in ("status", "added", "changed", "removed", "rejected_count")} == {
        "status": "done",
        "added": 1,
        "changed": 249,
        "removed": 1,
        "rejected_count": 1,
    }
    assert report["rejected"] == [{"id": 301, "reason": "title: Field required"}]
    assert report["adjusted_count"] == 1
    assert report["adjusted"] == [
        {"id": 300, "field": "images", "reason": "Input should be a valid list"},
    ]
    assert report["started_at"] <= report["finished_at"]
    assert ask("GET", "/products/sync").json == report


@pytest.mark.parametrize("body", [{"overwrite": "perhaps"}, {"colour": 1}, []])
def test_a_sync_with_wishes_that_are_none_is_refused(caching, admin, body):
    answer = admin()("POST", "/products/sync", body)
    assert (answer.status_code, answer.json["code"]) == (422, "validation_failed")


def test_a_sync_that_takes_long_is_taken_and_can_be_asked_for(fake_server, admin, monkeypatch):
    monkeypatch.setattr("catalog.use_cases.sync.PATIENCE", 0.2)
    caching = CachingUpstream(fake_server)
    ask = admin()
    wait_for(lambda: ask("GET", "/products").status_code == 200)
    go_on, whole = threading.Event(), fake_server.answer
    # The newest report is that of the first copy until this one has begun.
    first = wait_for(lambda: (found := ask("GET", "/products/sync").json)["status"] == "done" and found)

    def wait(handler, body):
        assert go_on.wait(60)
        whole(handler, body)

    def find_report():
        found = ask("GET", "/products/sync").json
        return found if found["id"] != first["id"] and found["status"] == "done" else None

    fake_server.answer = wait
    answer = ask("POST", "/products/sync")
    assert answer.status_code == 202
    caching.products[0]["title"] = "Renamed"
    go_on.set()
    assert wait_for(find_report)["changed"] == 1


def test_before_the_first_copy_there_is_no_report(start_catalog, auth, settings, database, monkeypatch):
    monkeypatch.setattr("catalog.app.copy_source", lambda *_: None)
    client = start_catalog().test_client()
    answer = client.get("/products/sync", headers=auth.bearer(role="admin"))
    assert (answer.status_code, answer.json["code"]) == (404, "sync_not_found")


def test_a_wish_that_comes_during_a_copy_is_for_the_next_one(database, settings):
    slow = StuckSource("Thing")
    with closing(connect(settings)) as own, ThreadPoolExecutor(2) as pool:
        copied = pool.submit(copy_source, own, slow, "USD")
        assert slow.is_reading.wait(20)
        asked = pool.submit(request_sync, database, lambda: None, overwrite=True, allow_removals=False)
        wait_for(lambda: is_asked_for(database))
        slow.go_on.set()
        assert copied.result(20)
        assert copy_source(database, slow, "USD")
        report, is_done = asked.result(20)
    assert (is_done, report.overwrite, report.status) == (True, True, "done")


def is_asked_for(database):
    return execute(database, "SELECT requested_at IS NOT NULL FROM source_copy").scalar()


def test_only_the_last_hundred_reports_are_kept(database):
    execute(
        database,
        """
        INSERT INTO source_syncs (source, status, overwrite, allow_removals)
        SELECT 'x', 'done', false, false FROM generate_series(1, 150)
        """,
    )
    copy_shelf_once(database)
    assert execute(database, "SELECT count(*) FROM source_syncs").scalar() == 100
