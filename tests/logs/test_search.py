"""Admins search the records: newest first, by filter, page by page."""

import json
import secrets
from urllib.parse import quote

import pytest

from logs.repository import words
from shared.pages import encode_cursor
from tests.logs.conftest import make_record

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ORDER = "018f0000-0000-7000-8000-000000000001"


@pytest.fixture
def filled(sender):
    """A few records of three services, one per minute."""
    sender.export(
        make_record(
            "Order placed", second=0, traceId=TRACE, attributes={"order.id": ORDER, "request.id": "r-1"}
        ),
        make_record("Order FAILED: 50% off_by Ärger", second=60, severityNumber=17, traceId=TRACE),
        service="orders-service",
    )
    sender.export(
        make_record("Payment authorized", second=120, attributes={"order.id": ORDER}),
        make_record("Slow", second=180, severityNumber=13),
        service="payments-service",
    )
    sender.export(make_record("Looking", second=240, severityNumber=5), service="catalog-service")
    return sender


ALL = ["Looking", "Slow", "Payment authorized", "Order FAILED: 50% off_by Ärger", "Order placed"]


def test_the_newest_records_are_listed_first(filled):
    assert filled.find_messages() == ALL


def test_found_records_match_all_filters(filled):
    cases = [
        ("service=payments-service", ["Slow", "Payment authorized"]),
        ("service=payments", []),
        ("level=DEBUG", ALL),
        ("level=INFO", ALL[1:]),
        ("level=WARNING", ["Slow", ALL[3]]),
        ("level=ERROR", [ALL[3]]),
        ("level=CRITICAL", []),
        ("q=order", [ALL[3], ALL[4]]),
        ("q=failed", [ALL[3]]),
        ("q=50%25", [ALL[3]]),
        ("q=off_by", [ALL[3]]),
        ("q=offxby", []),
        ("q=by+off", [ALL[3]]),
        ("q=fail+ord", [ALL[3]]),
        ("q=ailed", []),
        ("q=" + quote("äRGER"), [ALL[3]]),
        (f"trace_id={TRACE}", [ALL[3], ALL[4]]),
        ("request_id=r-1", ["Order placed"]),
        (f"order_id={ORDER}", ["Payment authorized", "Order placed"]),
        ("since=2023-11-14T22:15:20Z", ["Looking", "Slow", "Payment authorized"]),
        ("until=2023-11-14T22:15:20Z", ALL[3:]),
        ("since=2023-11-14T23:14:20%2B01:00&until=2023-11-14T22:15:20.5Z", ALL[2:4]),
        (f"order_id={ORDER}&service=payments-service&level=INFO&q=pay", ["Payment authorized"]),
        (f"order_id={ORDER}&level=ERROR", []),
    ]
    assert [(query, filled.find_messages(query)) for query, _found in cases] == cases


def test_an_invalid_query_is_refused_by_field(sender):
    queries = [
        "limit=0",
        "limit=101",
        "cursor=nonsense",
        f"cursor={encode_cursor(['2026-01-01T00:00:00', ORDER])}",
        f"cursor={encode_cursor([5, 6])}",
        f"cursor={encode_cursor(['2026-01-01T00:00:00Z'])}",
        f"cursor={encode_cursor({'a': 1})}",
        "level=LOUD",
        "trace_id=xyz",
        "order_id=5",
        "since=yesterday",
        "since=1700000000",
        "since=2026-01-01",
        "until=2026-01-01T00:00:00",
        "until=2026-02-30T00:00:00Z",
        "q=",
        "q=%00",
        "q=%25",
        "service=%00",
        "colour=red",
    ]
    wrong = []
    for query in queries:
        answer = sender.client.get(f"/logs?{query}", headers=sender.admin)
        fields = [error["field"] for error in answer.json.get("errors", [])]
        if answer.status_code != 422 or fields[:1] != [query.partition("=")[0]]:
            wrong.append((query, answer.status_code, answer.json))
    assert wrong == []


def read_pages(sender, query, *, between=lambda: None):
    """Return all messages, page by page."""
    messages, cursor = [], ""
    while True:
        page = sender.client.get(f"/logs?{query}{cursor}", headers=sender.admin).json
        messages.append([record["message"] for record in page["data"]])
        if page["next"] is None:
            return messages
        cursor = f"&cursor={page['next']}"
        between()


def test_pages_have_every_record_once_while_new_ones_arrive(sender):
    sender.export(*[make_record(str(number), second=number) for number in range(10)])
    later = iter(range(100, 200))

    def arrive():
        sender.export(*[make_record(f"new {next(later)}", second=next(later)) for _ in range(3)])

    pages = read_pages(sender, "limit=3", between=arrive)
    assert pages == [["9", "8", "7"], ["6", "5", "4"], ["3", "2", "1"], ["0"]]


def test_records_of_the_same_time_are_listed_once_across_pages(sender):
    sender.export(*[make_record(str(number)) for number in range(7)])
    pages = read_pages(sender, "limit=2")
    assert sorted(message for page in pages for message in page) == [str(number) for number in range(7)]


def test_a_last_page_that_is_full_has_no_next_cursor(sender):
    sender.export(make_record("a"), make_record("b"))
    assert len(read_pages(sender, "limit=2")) == 1


def test_a_filter_applies_to_all_pages(sender):
    sender.export(*[make_record(str(n), second=n, severityNumber=17 if n % 2 else 9) for n in range(8)])
    assert read_pages(sender, "limit=2&level=ERROR") == [["7", "5"], ["3", "1"]]


def test_only_admins_read(sender, auth):
    cases = [
        ({"role": "admin"}, 200),
        ({"role": "customer"}, 403),
        ({"role": "guest"}, 403),
        ({"role": "service", "client_id": "orders-service"}, 403),
        ({"role": "customer", "scope": "logs:write"}, 403),
    ]
    answers = [
        (claims, sender.client.get("/logs", headers=auth.bearer(**claims)).status_code)
        for claims, _status in cases
    ]
    assert answers == cases


def test_times_are_in_utc_in_every_time_zone_of_the_database(sender, app, far_east, monkeypatch):
    monkeypatch.setattr(app.database, "engine", far_east.engine)
    sender.export(make_record(second=0.25))
    text = sender.client.get("/logs", headers=sender.admin).text
    assert json.loads(text)["data"][0]["time"] == "2023-11-14T22:13:20.250000Z"


@pytest.fixture
def days_of_words(sender, monkeypatch):
    """Records of three days, of which only the newest two are scanned without the index."""
    monkeypatch.setattr(words, "SCANNED", 2)
    for day in range(3):
        named = [
            make_record(f"{word} {day}", second=-86_400 * day - place)
            for place, word in enumerate(["Common", "Common rare", "Common", "Other"])
        ]
        sender.export(*named)
    return sender


def test_words_are_found_on_every_day_newest_first(days_of_words):
    cases = [
        ("q=rare", ["Common rare 0", "Common rare 1", "Common rare 2"]),
        ("q=common&limit=2", ["Common 0", "Common rare 0"]),
        ("q=common+1", ["Common 1", "Common rare 1", "Common 1"]),
        ("q=other&since=2023-11-13T00:00:00Z", ["Other 0", "Other 1"]),
        ("q=other&until=2023-11-13T23:00:00Z", ["Other 1", "Other 2"]),
        ("q=rare&service=unknown", []),
        ("q=absent", []),
    ]
    answers = []
    for query, _found in cases:
        page = days_of_words.client.get(f"/logs?{query}", headers=days_of_words.admin).json
        answers.append((query, [record["message"] for record in page["data"]]))
    assert answers == cases


def test_pages_of_words_have_every_record_once(days_of_words):
    pages = read_pages(days_of_words, "q=common&limit=2")
    expected = [f"{word} {day}" for day in range(3) for word in ("Common", "Common rare", "Common")]
    assert [message for page in pages for message in page] == expected


def test_words_are_counted_day_by_day_up_to_a_limit(days_of_words, monkeypatch):
    path = "/logs/histogram?q=common&since=2023-11-10T00:00:00Z&until=2023-11-16T00:00:00Z"

    def count() -> tuple[int, bool]:
        chart = days_of_words.client.get(path, headers=days_of_words.admin).json
        return sum(bar["total"] for bar in chart["data"]), chart["complete"]

    assert count() == (9, True)
    monkeypatch.setattr(words, "MOST_COUNTED", 2)
    assert count() == (3, False)


def test_a_message_is_stored_whole_but_only_its_first_words_are_indexed(sender, app):
    words = [f"w{number:04}" for number in range(20_000)]
    message = " ".join(words)
    sender.export(make_record(message), make_record("7 " * 20_000, second=1))
    # The first 1000 characters have 166 of these words and part of another.
    found = {word: len(sender.find(f"q={word}")) for word in (words[0], words[165], words[167], words[-1])}
    assert list(found.values()) == [1, 1, 0, 0]
    assert sender.find_messages("q=w0000") == [message]
    with app.database.transaction() as connection:
        # One letter and a space each: the shortest distinct words.
        shortest = (
            "SELECT length(words_of(string_agg(chr(20000 + n), ' '))) FROM generate_series(1, 5000) AS n"
        )
        assert connection.exec_driver_sql(shortest).scalar_one() == 500


def test_the_index_of_a_long_message_is_small(sender, app):
    def read_bytes() -> int:
        with app.database.transaction() as connection:
            query = "SELECT sum(pg_indexes_size(relid)) FROM pg_partition_tree('records') WHERE isleaf"
            return connection.exec_driver_sql(query).scalar_one()

    before, count = read_bytes(), 100
    for _ in range(count // 10):
        messages = [" ".join(secrets.token_hex(4) for _ in range(10_000)) for _ in range(10)]
        assert sender.export(*map(make_record, messages)).json == {}
    # An index of all words would take about 400 KB per message.
    assert (read_bytes() - before) / count < 20_000
