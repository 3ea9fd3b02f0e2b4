"""Copies of the product source: scheduling, conditional requests, options and reports."""

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
from tests.catalog.fake_source import FakeSource
from tests.catalog.upstreams import CachingUpstream, execute, make_due, make_products
from tests.waiting import wait_for


@pytest.mark.parametrize("header", ["ETag", "Last-Modified"])
def test_only_changed_pages_are_sent_again(caching, copy, header, titles):
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


def test_a_copy_follows_a_source_that_shrinks_or_grows_after_unchanged_pages(caching, copy, titles):
    copy()
    del caching.products[200:]
    assert copy().removed == 50
    assert len(titles()) == 200
    caching.products = make_products(250)
    assert copy().changed == 50
    assert len(titles()) == 250


def test_an_unchanged_page_still_overwrites_edits(caching, copy, database, titles):
    copy()
    execute(database, "UPDATE products SET title = 'Ours', edited = '{title}' WHERE id = 7")
    assert (copy().changed, titles()[6]) == (0, "Ours")
    execute(database, "UPDATE source_copy SET overwrite = true")
    report = copy()
    assert (report.unchanged_pages, report.changed, titles()[6]) == (3, 1, "Thing 7")


def test_unchanged_pages_with_an_old_total_do_not_prevent_removals(caching, copy, database):
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


def test_rejections_and_adjustments_of_an_unchanged_page_are_still_reported(caching, copy):
    caching.products[3]["price"] = -1
    caching.products[4]["rating"] = 8.4
    first, second = copy(), copy()
    assert (first.unchanged_pages, second.unchanged_pages) == (0, 3)
    for report in (first, second):
        assert (report.rejected_count, report.rejected[0].id) == (1, 4)
        assert (report.adjusted_count, report.adjusted[0].id) == (1, 5)


def test_a_page_read_by_the_previous_release_is_requested_again(caching, copy, database):
    copy()
    execute(database, "UPDATE source_pages SET adjusted = NULL WHERE skip = 100")
    assert copy().unchanged_pages == 2
    assert caching.answers[3:] == [304, 200, 304]
    assert copy().unchanged_pages == 3


def test_validators_of_one_source_are_not_sent_to_another(caching, copy, database):
    copy()
    copy_one_product(database)
    assert copy().unchanged_pages == 0
    assert 304 not in caching.answers


def copy_one_product(database):
    assert copy_source(database, FakeSource({1: 1}), "USD")


def test_edits_of_one_source_do_not_apply_to_the_products_of_another(caching, copy, database):
    copy()
    execute(database, "UPDATE products SET title = 'Ours', edited = '{title,stock}' WHERE id = 1")
    execute(database, "UPDATE products SET removed_at = now(), edited = '{removed}' WHERE id = 2")
    assert copy_source(database, FakeSource({1: 4, 2: 4}), "USD")
    with database.transaction() as connection:
        rows = connection.execute(
            text("SELECT title, on_hand FROM products WHERE removed_at IS NULL ORDER BY id")
        )
        assert [tuple(row) for row in rows] == [("Thing 1", 4), ("Thing 2", 4)]


def test_a_new_stock_keeps_the_version(database):
    copy_one_product(database)
    assert copy_source(database, FakeSource({1: 9}), "USD")
    with database.transaction() as connection:
        row = connection.execute(text("SELECT on_hand, version FROM products")).one()
    assert tuple(row) == (9, 1)


def test_only_one_of_many_replicas_copies(caching, settings, source):
    begin = threading.Barrier(6)

    def attempt(_number):
        with closing(connect(settings)) as database:
            begin.wait()
            return copy_source(database, source, "USD")

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(attempt, range(6))) == [False] * 5 + [True]
    assert caching.answers == [200, 200, 200]


class PausedSource:
    """A source that pauses after its first page until the test sets `go_on`."""

    name = "fake"
    refresh_seconds = 60
    edition = 0

    def __init__(self, title):
        self.title = title
        self.is_reading = threading.Event()
        self.go_on = threading.Event()

    def read_pages(self, _find_known, *, is_probe):  # noqa: ARG002  # As in Source.
        yield Page(0, 1, [{"id": 1, "title": self.title, "price": 1}], 2)
        self.is_reading.set()
        assert self.go_on.wait(20)
        yield Page(1, 1, [{"id": 2, "title": self.title, "price": 1}], 2)


@pytest.mark.parametrize("moment", ["reading", "writing"])
def test_a_slow_copy_never_overwrites_a_newer_one(database, settings, monkeypatch, moment, titles):
    slow, quick = PausedSource("Old"), PausedSource("New")
    quick.go_on.set()
    if moment == "writing":
        slow.go_on.set()
        pause_writing(monkeypatch, slow)
    with closing(connect(settings)) as own, ThreadPoolExecutor(1) as pool:
        copied = pool.submit(copy_source, own, slow, "USD")
        assert slow.is_reading.wait(20)
        # Its lease expires while it is paused.
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


def pause_writing(monkeypatch, slow):
    """Pause the slow copy between its last page and its first write."""
    slow.is_reading = threading.Event()
    slow.written = threading.Event()
    find_missing = copying._find_missing

    def wait(database, claim, inventory, tally):
        missing = find_missing(database, claim, inventory, tally)
        if not slow.is_reading.is_set():
            slow.is_reading.set()
            assert slow.written.wait(20)
        return missing

    slow.read_pages = lambda _find_known, **_: iter(
        [Page(0, 2, [{"id": number, "title": "Old", "price": 1} for number in (1, 2)], 2)]
    )
    monkeypatch.setattr(copying, "_find_missing", wait)


def test_a_copy_does_not_block_buyers(database, settings):
    """A copy locks nothing while it reads the source, and never locks unchanged rows."""
    assert copy_source(database, FakeSource(dict.fromkeys(range(1, 51), 5)), "USD")
    with database.transaction() as buyer:
        buyer.execute(text("SELECT id FROM products WHERE id <= 50 FOR UPDATE"))
        with closing(connect(settings)) as own:
            assert copy_source(own, FakeSource(dict.fromkeys(range(1, 52), 5)), "USD")
    assert read_last_sync(database).added == 1


@pytest.fixture
def admin(start_catalog, auth, fake_server):
    def start(**settings):
        client = start_catalog(catalog_upstream_url=fake_server.url, **settings).test_client()
        headers = auth.bearer(role="admin")
        return lambda method, path, body=None: client.open(path, method=method, json=body, headers=headers)

    return start


def test_a_requested_sync_returns_its_report(caching, admin):
    send = admin()
    wait_for(lambda: send("GET", "/products").status_code == 200)
    first = send("GET", "/products/sync").json
    caching.products = [
        *make_products(249, price=6),
        {"id": 300, "title": "New", "price": 1, "images": "a"},
        {"id": 301},
    ]
    answer = send("POST", "/products/sync")
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
    assert send("GET", "/products/sync").json == report


@pytest.mark.parametrize("body", [{"overwrite": "perhaps"}, {"colour": 1}, []])
def test_a_sync_with_invalid_options_is_rejected(caching, admin, body):
    answer = admin()("POST", "/products/sync", body)
    assert (answer.status_code, answer.json["code"]) == (422, "validation_failed")


def test_a_long_sync_is_accepted_and_its_report_is_available_later(fake_server, admin, monkeypatch):
    monkeypatch.setattr("catalog.use_cases.sync.SYNC_TIMEOUT", 0.2)
    caching = CachingUpstream(fake_server)
    send = admin()
    wait_for(lambda: send("GET", "/products").status_code == 200)
    go_on, whole = threading.Event(), fake_server.answer
    # Until the requested copy begins, the newest report is that of the first copy.
    first = wait_for(lambda: (found := send("GET", "/products/sync").json)["status"] == "done" and found)

    def wait(handler, body):
        assert go_on.wait(60)
        whole(handler, body)

    def find_report():
        found = send("GET", "/products/sync").json
        return found if found["id"] != first["id"] and found["status"] == "done" else None

    fake_server.answer = wait
    answer = send("POST", "/products/sync")
    assert answer.status_code == 202
    caching.products[0]["title"] = "Renamed"
    go_on.set()
    assert wait_for(find_report)["changed"] == 1


def test_before_the_first_copy_there_is_no_report(start_catalog, auth, settings, database, monkeypatch):
    monkeypatch.setattr("catalog.app.copy_source", lambda *_: None)
    client = start_catalog().test_client()
    answer = client.get("/products/sync", headers=auth.bearer(role="admin"))
    assert (answer.status_code, answer.json["code"]) == (404, "sync_not_found")


def test_a_sync_requested_during_a_copy_applies_to_the_next_copy(database, settings):
    slow = PausedSource("Thing")
    with closing(connect(settings)) as own, ThreadPoolExecutor(2) as pool:
        copied = pool.submit(copy_source, own, slow, "USD")
        assert slow.is_reading.wait(20)
        asked = pool.submit(request_sync, database, lambda: None, overwrite=True, allow_removals=False)
        wait_for(lambda: is_requested(database))
        slow.go_on.set()
        assert copied.result(20)
        assert copy_source(database, slow, "USD")
        report, is_done = asked.result(20)
    assert (is_done, report.overwrite, report.status) == (True, True, "done")


def is_requested(database):
    return execute(database, "SELECT requested_at IS NOT NULL FROM source_copy").scalar()


def test_only_the_last_hundred_reports_are_kept(database):
    execute(
        database,
        """
        INSERT INTO source_syncs (source, status, overwrite, allow_removals)
        SELECT 'x', 'done', false, false FROM generate_series(1, 150)
        """,
    )
    copy_one_product(database)
    assert execute(database, "SELECT count(*) FROM source_syncs").scalar() == 100
