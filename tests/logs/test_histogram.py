"""Admins see the number of records over time, by level."""

from datetime import UTC, datetime, timedelta

import pytest

from logs.domain.histogram import choose_span
from logs.domain.retention import Retention
from logs.domain.search import Search
from logs.repository import counts
from logs.use_cases.retention import apply_retention
from tests.logs.conftest import make_record

ORDER = "018f0000-0000-7000-8000-000000000001"
MORNING = datetime(2026, 1, 1, 8, tzinfo=UTC)


@pytest.fixture
def filled(sender):
    """Records from 22:13:20 to 22:23:20."""
    sender.export(make_record("a", second=0), make_record("b", second=39, severityNumber=17))
    sender.export(make_record("c", second=41, attributes={"order.id": ORDER}), service="payments-service")
    sender.export(make_record("d", second=600, severityNumber=10))
    return sender


def count(sender, query: str) -> dict:
    answer = sender.client.get(
        f"/logs/histogram?since=2023-11-14T22:13:00Z&until=2023-11-14T22:30:00Z&{query}", headers=sender.admin
    )
    assert answer.status_code == 200, answer.json
    return answer.json


def test_bars_count_records_by_level(filled):
    assert count(filled, "") == {
        "data": [
            {"time": "2023-11-14T22:13:00Z", "total": 2, "levels": {"INFO": 1, "ERROR": 1}},
            {"time": "2023-11-14T22:14:00Z", "total": 1, "levels": {"INFO": 1}},
            {"time": "2023-11-14T22:23:00Z", "total": 1, "levels": {"INFO": 1}},
        ],
        "next": None,
        "since": "2023-11-14T22:13:00Z",
        "until": "2023-11-14T22:30:00Z",
        "seconds": 60,
        "complete": True,
    }


def test_bars_count_matching_records(filled):
    cases = [
        ("service=payments-service", [1]),
        ("level=WARNING", [1]),
        ("service=orders-service&level=ERROR", [1]),
        (f"order_id={ORDER}", [1]),
        ("q=a", [1]),
        ("q=zebra", []),
        ("bars=1", [4]),
        ("bars=4", [3, 1]),
        ("instance=one", [1, 1, 1, 1]),
    ]
    found = [(query, [bar["total"] for bar in count(filled, query)["data"]]) for query, _totals in cases]
    assert found == cases


def test_a_record_sent_twice_is_counted_once(sender):
    record = make_record()
    sender.export(record, record)
    sender.export(record)
    assert [bar["total"] for bar in count(sender, "")["data"]] == [1]


def test_merging_counts_preserves_their_sums(filled, app):
    filled.export(make_record("e", second=1), make_record("f", second=2, severityNumber=17))
    before = count(filled, "")
    with app.database.transaction() as connection:
        rows = connection.exec_driver_sql("SELECT count(*) FROM record_counts").scalar()
    apply_retention(app.database, Retention(days=3650, mib=1_000_000, audit_days=3650))
    assert count(filled, "") == before
    with app.database.transaction() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM record_counts").scalar() < rows


def test_a_chart_of_too_many_records_is_incomplete(filled, monkeypatch):
    monkeypatch.setattr(counts, "MOST_COUNTED", 2)
    chart = count(filled, "instance=one")
    assert (chart["complete"], [bar["total"] for bar in chart["data"]]) == (False, [1, 1])


def test_the_default_period_is_the_last_hour(sender):
    sender.export(make_record(timeUnixNano=None))
    chart = sender.client.get("/logs/histogram", headers=sender.admin).json
    assert [bar["total"] for bar in chart["data"]] == [1]
    span = datetime.fromisoformat(chart["until"]) - datetime.fromisoformat(chart["since"])
    assert timedelta(hours=1) <= span < timedelta(hours=1, minutes=2)


@pytest.mark.parametrize(
    ("hours", "search", "seconds"),
    [
        (1, {}, 60),
        (1, {"text": "a"}, 60),
        (0.01, {"text": "a"}, 1),
        (0.01, {}, 60),
        (24, {}, 1800),
        (24 * 14, {"service": "x"}, 21_600),
        (24 * 365 * 3, {}, 19 * 86_400),
    ],
)
def test_the_length_of_a_bar_is_a_round_number(hours, search, seconds):
    wanted = Search(since=MORNING, until=MORNING + timedelta(hours=hours), **search)
    span = choose_span(wanted, 60, now=MORNING)
    assert span.step == timedelta(seconds=seconds)
    assert span.since <= MORNING


def test_a_period_that_ends_before_its_start_is_empty(sender):
    answer = sender.client.get(
        "/logs/histogram?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", headers=sender.admin
    )
    assert (answer.status_code, answer.json["data"]) == (200, [])


def test_a_period_may_reach_either_end_of_the_calendar(sender):
    times = ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59-23:59"]
    queries = [f"since={time}" for time in times] + [f"until={time}" for time in times]
    queries += [f"since={since}&until={until}" for since in times for until in times]
    queries = [f"{query}{words}" for query in queries for words in ("", "&q=a", "&bars=1", "&bars=500")]
    answers = {
        query: sender.client.get(f"/logs/histogram?{query}", headers=sender.admin) for query in queries
    }
    assert not {query: answer.json for query, answer in answers.items() if answer.status_code != 200}
