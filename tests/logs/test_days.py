"""Records are parted by day: days come when they are needed, and go whole."""

import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from logs.domain import MIB, Part, Retention, choose_cut, choose_what_to_drop
from logs.repository import partitions
from logs.use_cases import retention
from logs.use_cases.retention import RetentionFigures, keep_days, move_old_records
from tests.logs.conftest import NOW, make_record

TODAY = date(2026, 1, 10)
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SMALL = Retention(days=3650, mib=8, audit_days=3650)
EVER = Retention(days=3650, mib=1_000_000, audit_days=3650)


def days_of(app) -> list[date]:
    with app.database.transaction() as connection:
        return partitions.read_dates(connection)


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
    keep_days(app.database, EVER)
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
    keep_days(app.database, replace(EVER, days=10))
    assert sender.find_messages() == ["new"]
    since = (datetime.now(UTC) - timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    chart = sender.client.get(f"/logs/histogram?since={since}", headers=sender.admin).json
    assert sum(bar["total"] for bar in chart["data"]) == 1


def test_two_replicas_do_not_get_into_each_others_way(app, sender):
    sender.export(make_record("old", timeUnixNano=age(12)))
    with app.database.transaction() as connection:
        assert partitions.take_turn(connection)
        keep_days(app.database, replace(EVER, days=10))
        assert sender.find_messages() == ["old"]
    keep_days(app.database, replace(EVER, days=10))
    assert sender.find_messages() == []


def test_when_there_is_too_much_the_oldest_days_go_first_and_the_newest_records_stay(app, sender, caplog):
    sender.export(*[make_record(str(day), timeUnixNano=age(day)) for day in (0, 3, 4)])
    keep_days(app.database, replace(EVER, mib=0))
    assert sender.find_messages() == ["0"]
    assert "The newest records alone take more" in caplog.text


def make_part(begin: float, end: float, size: float) -> Part:
    """Return a part from one hour to another, counted from today's beginning, of so many MiB."""
    day = datetime.combine(TODAY, datetime.min.time(), UTC)
    return Part("p", day + timedelta(hours=begin), day + timedelta(hours=end), int(size * MIB))


def test_what_goes_is_what_is_too_old_and_then_the_oldest_of_what_is_too_much():
    # Each part by the hour of its beginning, with its size. It is noon, seven days are kept and 10 MiB.
    cases = [
        ({}, []),
        ({0: 5, -24: 5}, []),
        ({0: 5, -168: 5, -192: 1, -216: 1}, [-216, -192]),
        ({0: 5, -24: 5, -48: 5}, [-48]),
        ({0: 11, -24: 5, -48: 5}, [-48, -24]),
        ({24: 0, 0: 11}, [24]),
        ({24: 11, 0: 11}, [24]),
        ({0: 1, -192: 100}, [-192]),
        ({24: 0, 11: 3, 5: 4, 0: 6}, [0]),
        ({24: 0, 11: 3, 5: 8, 0: 6, -24: 2}, [-24, 0, 5]),
        ({24: 11, 13: 11, 11: 11, 0: 0}, [0, 24]),
        ({-24: 5, -20: 5, -18: 5, 0: 2}, [-24, -20]),
        ({-192: 1, -191: 1, 0: 2}, [-192, -191]),
    ]
    found = []
    for sizes, _dropped in cases:
        begins = [*sorted(sizes), 1000]
        parts = [
            make_part(begin, min(begin // 24 * 24 + 24, following), sizes[begin])
            for begin, following in pairwise(begins)
        ]
        chosen = choose_what_to_drop(parts, NOON, Retention(days=7, mib=10, audit_days=365))
        found.append((sizes, [(part.begin - NOON) / timedelta(hours=1) + 12 for part in chosen]))
    assert found == cases


def test_a_part_of_today_ends_a_minute_ahead_once_it_is_an_eighth_of_what_is_kept():
    cut = NOON + timedelta(minutes=2)
    cases = [
        ([(0, 24, 1), (24, 48, 9)], NOON, None),
        ([(-24, 0, 9), (0, 24, 1.1), (24, 48, 0)], NOON, cut),
        ([(0, 11, 9), (11, 24, 1)], NOON, None),
        ([(0, 11, 1), (11, 24, 9)], NOON + timedelta(seconds=59), cut),
        # The rest of the day has a part that begins soon.
        ([(0, 12.02, 9), (12.02, 24, 9)], NOON, None),
        # The day is nearly over.
        ([(0, 24, 9)], NOON + timedelta(hours=11, minutes=58), None),
    ]
    kept = Retention(days=7, mib=8, audit_days=365)
    chosen = [choose_cut([make_part(*each) for each in parts], now, kept) for parts, now, _cut in cases]
    assert [found and found[1] for found in chosen] == [cut for _parts, _now, cut in cases]


def read_parts(app) -> list[Part]:
    with app.database.transaction() as connection:
        return partitions.read_parts(connection)


def cut_day(app, begin: datetime, *hours: int) -> None:
    """Cut a day at these hours, as it would have been while it was today."""
    for hour in hours:
        with app.database.transaction() as connection:
            last = [part for part in partitions.read_parts(connection) if part.day == begin.date()][-1]
            partitions.cut_part(connection, last, begin + timedelta(hours=hour))


def fill_day(sender, begin: datetime, *hours: int) -> None:
    """Export a record of each hour."""
    moments = {hour: int((begin + timedelta(hours=hour, minutes=30)).timestamp()) for hour in hours}
    answer = sender.export(
        *[make_record(str(hour), timeUnixNano=str(moment * 10**9)) for hour, moment in moments.items()]
    )
    assert answer.json == {}


@pytest.fixture
def day(app) -> Iterator[datetime]:
    """A day of a test's own, which is gone afterwards."""
    begin = datetime(2026, 1, 15, tzinfo=UTC)
    yield begin
    with app.database.transaction() as connection:
        partitions.drop_records(connection, begin.date(), begin + timedelta(days=1))


def test_a_day_in_parts_has_every_record_once_and_each_part_goes_by_itself(app, sender, day):
    fill_day(sender, day, 1, 9, 17, 22)
    cut_day(app, day, 8, 16)
    fill_day(sender, day, 2, 10, 18)
    assert sender.find_messages() == ["22", "18", "17", "10", "9", "2", "1"]
    parts = [part for part in read_parts(app) if part.day == day.date()]
    assert [((part.begin - day) / HOUR, (part.end - day) / HOUR) for part in parts] == [
        (0, 8),
        (8, 16),
        (16, 24),
    ]
    assert all(part.bytes > 0 for part in parts)

    with app.database.transaction() as connection:
        partitions.drop_records(connection, day.date(), day + 8 * HOUR)
    assert sender.find_messages() == ["22", "18", "17", "10", "9"]
    # A record that comes late still has its place, also of a replica that knows whole days only.
    fill_day(sender, day, 3)
    with app.database.transaction() as connection:
        partitions.drop_records(connection, day.date(), day + 16 * HOUR)
    fill_day(sender, day, 4)
    assert sender.find_messages() == ["22", "18", "17", "4"]
    chart = sender.client.get(
        "/logs/histogram?since=2026-01-15T00:00:00Z&until=2026-01-16T00:00:00Z&bars=1", headers=sender.admin
    )
    assert [bar["total"] for bar in chart.json["data"]] == [4]

    with app.database.transaction() as connection:
        partitions.drop_records(connection, day.date(), day + 24 * HOUR)
    assert sender.find_messages() == []
    assert day.date() not in days_of(app)


def test_the_release_before_reads_and_drops_a_day_in_parts(app, sender, day):
    fill_day(sender, day, 1, 9)
    cut_day(app, day, 8)
    with app.database.transaction() as connection:
        # Its own statements.
        names = connection.exec_driver_sql(
            "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid"
            " WHERE inhparent = 'records'::regclass"
        )
        assert list(names.scalars()).count("records_20260115") == 1
        connection.exec_driver_sql("DROP TABLE records_20260115")
    assert sender.find_messages() == []
    fill_day(sender, day, 5)
    assert sender.find_messages() == ["5"]


def test_a_flood_makes_todays_oldest_hours_go_and_it_is_told(app, sender, caplog):
    registry = CollectorRegistry()
    figures = RetentionFigures(registry, SMALL)
    begin = datetime.combine(datetime.now(UTC).date(), datetime.min.time(), UTC) - timedelta(days=1)
    sizes = []
    for minutes in range(0, 200, 5):
        now = begin + timedelta(hours=6, minutes=minutes)
        moment = str(int(now.timestamp()) * 10**9)
        words = " ".join(secrets.token_hex(4) for _ in range(2000))
        sender.export(
            *[
                make_record(f"minute{minutes:03} {number} {words}", timeUnixNano=moment)
                for number in range(20)
            ]
        )
        figures.note(keep_days(app.database, SMALL, now))
        sizes.append(sum(part.bytes for part in read_parts(app)) / MIB)
    # An eighth, what comes until the cut, and what other tests have left in later days.
    assert max(sizes) < SMALL.mib * 1.5, sizes
    newest = {int(message[6:9]) for message in sender.find_messages()}
    assert newest == {175, 180, 185, 190, 195}
    assert not sender.find_messages("q=minute000")
    assert "Today's records up to" in caplog.text
    dropped = registry.get_sample_value("log_records_dropped_bytes_total", {"reason": "size"})
    assert dropped
    assert dropped > SMALL.mib * MIB / 2
    chart = sender.client.get(
        f"/logs/histogram?since={begin:%Y-%m-%d}T00:00:00Z&bars=1", headers=sender.admin
    )
    with app.database.transaction() as connection:
        kept = connection.exec_driver_sql("SELECT count(*) FROM records").scalar_one()
        partitions.drop_records(connection, begin.date(), begin + timedelta(days=1))
    assert 100 < kept < 800
    assert sum(bar["total"] for bar in chart.json["data"]) == kept


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
    move_old_records(app.database, replace(EVER, days=3))
    assert sender.find_messages("request_id=r-9&level=WARNING") == ["old 0", "old 1", "old 2"]
    with psycopg.connect(app.settings.database_url) as connection:
        assert connection.execute("SELECT count(*) FROM log_records").fetchone() == (0,)


def test_old_records_are_moved_in_every_time_zone_of_the_database(app, sender, far_east):
    # At noon in UTC the next day has begun there, and no other test has records of these days.
    noon = datetime.now(UTC).replace(hour=12) - timedelta(days=100)
    insert_old(app, "moved", days=(datetime.now(UTC) - noon) / timedelta(days=1))
    move_old_records(far_east, replace(EVER, days=200))
    assert sender.find_messages("request_id=r-9") == ["moved"]


def test_a_day_that_another_replica_made_meanwhile_is_no_trouble(app, sender):
    moment = datetime.fromtimestamp(NOW / 1e9, UTC).date() - timedelta(days=1)
    with app.database.transaction() as connection:
        partitions.make_days(connection, [moment])
        partitions.make_days(connection, [moment])
    assert days_of(app).count(moment) == 1
