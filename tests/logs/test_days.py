"""Records are parted by day: days come when they are needed, and go whole."""

from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from logs.domain import choose_days_to_drop
from logs.repository import partitions
from logs.use_cases import retention
from logs.use_cases.retention import keep_days, move_old_records
from tests.logs.conftest import NOW, make_record

TODAY = date(2026, 1, 10)
MUCH = 1_000_000


def days_of(app) -> list[date]:
    with app.database.transaction() as connection:
        return [day.date for day in partitions.read_days(connection)]


def age(days: float) -> str:
    """Return the moment so many days ago, as OTLP writes it."""
    moment = datetime.now(UTC) - timedelta(days=days)
    return str(int(moment.timestamp()) * 1_000_000_000)


def test_a_day_comes_with_its_first_record(app, sender):
    sender.export(make_record("long ago", timeUnixNano=age(700)), make_record("then", timeUnixNano=age(703)))
    today = datetime.now(UTC).date()
    assert {today - timedelta(days=700), today - timedelta(days=703)} <= set(days_of(app))
    assert sender.find_messages() == ["long ago", "then"]


def test_today_and_tomorrow_are_there_before_they_are_needed(app):
    keep_days(app.database, days_kept=3650, mib_kept=MUCH)
    today = datetime.now(UTC).date()
    assert {today, today + timedelta(days=1)} <= set(days_of(app))


def test_a_record_older_than_records_are_kept_is_rejected_and_not_kept_for_a_moment(sender, app):
    answer = sender.export(make_record("old", timeUnixNano=age(3651)), make_record("new"))
    assert answer.json["partialSuccess"] == {
        "rejectedLogRecords": "1",
        "errorMessage": "A record was rejected: it is older than records are kept.",
    }
    assert sender.find_messages() == ["new"]


def test_days_that_are_too_old_go_with_their_counts(app, sender):
    sender.export(make_record("old", timeUnixNano=age(12)), make_record("new", timeUnixNano=age(2)))
    keep_days(app.database, days_kept=10, mib_kept=MUCH)
    assert sender.find_messages() == ["new"]
    since = (datetime.now(UTC) - timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    chart = sender.client.get(f"/logs/histogram?since={since}", headers=sender.admin).json
    assert sum(bar["total"] for bar in chart["data"]) == 1


def test_two_replicas_do_not_get_into_each_others_way(app, sender):
    sender.export(make_record("old", timeUnixNano=age(12)))
    with app.database.transaction() as connection:
        assert partitions.take_turn(connection)
        keep_days(app.database, days_kept=10, mib_kept=MUCH)
        assert sender.find_messages() == ["old"]
    keep_days(app.database, days_kept=10, mib_kept=MUCH)
    assert sender.find_messages() == []


def test_when_there_is_too_much_the_oldest_days_go_first_and_today_stays(app, sender, caplog):
    sender.export(*[make_record(str(day), timeUnixNano=age(day)) for day in (0, 3, 4)])
    keep_days(app.database, days_kept=3650, mib_kept=0)
    assert sender.find_messages() == ["0"]
    assert "Today's records alone take more" in caplog.text


@pytest.mark.parametrize(
    ("sizes", "dropped"),
    [
        ({}, []),
        ({0: 5, -1: 5}, []),
        ({0: 5, -7: 5, -8: 1, -9: 1}, [-9, -8]),
        ({0: 5, -1: 5, -2: 5}, [-2]),
        ({0: 11, -1: 5, -2: 5}, [-2, -1]),
        ({1: 11, 0: 11}, []),
        ({0: 1, -8: 100}, [-8]),
    ],
)
def test_what_goes_is_what_is_too_old_and_then_the_oldest_of_what_is_too_much(sizes, dropped):
    days = {TODAY + timedelta(days=days): size for days, size in sizes.items()}
    expected = [TODAY + timedelta(days=days) for days in dropped]
    assert choose_days_to_drop(days, TODAY, days_kept=7, bytes_kept=10) == expected


def insert_old(app, message: str, days: float) -> None:
    """Write a record as the code before this one did."""
    with psycopg.connect(app.settings.database_url) as connection:
        connection.execute(
            "INSERT INTO log_records VALUES (uuidv7(), %(time)s, %(time)s, 'auth-service', NULL, 'WARNING',"
            " 13, %(message)s, NULL, NULL, 'r-9', NULL, '{}')",
            {"time": datetime.now(UTC) - timedelta(days=days), "message": message},
        )


def test_what_older_code_keeps_is_moved_and_found(app, sender, monkeypatch):
    monkeypatch.setattr(retention, "MOST_MOVED", 2)
    for number in range(5):
        insert_old(app, f"old {number}", days=number)
    move_old_records(app.database, days_kept=3)
    assert sender.find_messages("request_id=r-9&level=WARNING") == ["old 0", "old 1", "old 2"]
    with psycopg.connect(app.settings.database_url) as connection:
        assert connection.execute("SELECT count(*) FROM log_records").fetchone() == (0,)


def test_old_records_are_moved_in_every_time_zone_of_the_database(app, sender, far_east):
    # At noon in UTC the next day has begun there, and no other test has records of these days.
    noon = datetime.now(UTC).replace(hour=12) - timedelta(days=100)
    insert_old(app, "moved", days=(datetime.now(UTC) - noon) / timedelta(days=1))
    move_old_records(far_east, days_kept=200)
    assert sender.find_messages("request_id=r-9") == ["moved"]


def test_a_day_that_another_replica_made_meanwhile_is_no_trouble(app, sender):
    moment = datetime.fromtimestamp(NOW / 1e9, UTC).date() - timedelta(days=1)
    with app.database.transaction() as connection:
        partitions.make_days(connection, [moment])
        partitions.make_days(connection, [moment])
    assert days_of(app).count(moment) == 1
