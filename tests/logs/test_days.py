"""Records are partitioned by day. Partitions are created as needed, split when large, and dropped whole."""

import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from logs.domain.retention import MIB, Partition, Retention, choose_partitions_to_drop, choose_split
from logs.repository import partitions
from logs.use_cases import retention
from logs.use_cases.retention import RetentionMetrics, apply_retention, move_unpartitioned_records
from tests.logs.conftest import NOW, make_record, write_age

TODAY = date(2026, 1, 10)
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SMALL = Retention(days=3650, mib=8, audit_days=3650)
EVER = Retention(days=3650, mib=1_000_000, audit_days=3650)


def days_of(app) -> list[date]:
    with app.database.transaction() as connection:
        return partitions.read_dates(connection)


def test_a_day_gets_its_partition_with_its_first_record(app, sender):
    sender.export(
        make_record("long ago", timeUnixNano=write_age(700)), make_record("then", timeUnixNano=write_age(703))
    )
    today = datetime.now(UTC).date()
    assert {today - timedelta(days=700), today - timedelta(days=703)} <= set(days_of(app))
    assert sender.find_messages() == ["long ago", "then"]


def test_today_and_tomorrow_get_their_partitions_in_advance(app):
    apply_retention(app.database, EVER)
    today = datetime.now(UTC).date()
    assert {today, today + timedelta(days=1)} <= set(days_of(app))


def test_a_record_beyond_the_retention_period_is_rejected(sender, app):
    answer = sender.export(make_record("old", timeUnixNano=write_age(3651)), make_record("new"))
    assert answer.json["partialSuccess"] == {
        "rejectedLogRecords": "1",
        "errorMessage": "A record was rejected: it is older than the retention period.",
    }
    assert sender.find_messages() == ["new"]


def test_days_that_are_too_old_are_dropped_with_their_counts(app, sender):
    sender.export(
        make_record("old", timeUnixNano=write_age(12)), make_record("new", timeUnixNano=write_age(2))
    )
    apply_retention(app.database, replace(EVER, days=10))
    assert sender.find_messages() == ["new"]
    since = (datetime.now(UTC) - timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    chart = sender.client.get(f"/logs/histogram?since={since}", headers=sender.admin).json
    assert sum(bar["total"] for bar in chart["data"]) == 1


def test_one_replica_at_a_time_applies_the_retention(app, sender):
    sender.export(make_record("old", timeUnixNano=write_age(12)))
    with app.database.transaction() as connection:
        assert partitions.try_lock(connection)
        apply_retention(app.database, replace(EVER, days=10))
        assert sender.find_messages() == ["old"]
    apply_retention(app.database, replace(EVER, days=10))
    assert sender.find_messages() == []


def test_beyond_the_storage_limit_the_oldest_days_are_dropped_and_the_newest_records_stay(
    app, sender, caplog
):
    sender.export(*[make_record(str(day), timeUnixNano=write_age(day)) for day in (0, 3, 4)])
    apply_retention(app.database, replace(EVER, mib=0))
    assert sender.find_messages() == ["0"]
    assert "The newest log records alone exceed the storage limit" in caplog.text


def make_partition(start: float, end: float, size: float) -> Partition:
    """Return a partition of `size` MiB; `start` and `end` are hours after midnight."""
    day = datetime.combine(TODAY, datetime.min.time(), UTC)
    return Partition("p", day + timedelta(hours=start), day + timedelta(hours=end), int(size * MIB))


def test_the_oldest_partitions_are_dropped_beyond_the_retention_period_or_the_storage_limit():
    # Sizes by the hour of the start. It is noon, and the limits are seven days and 10 MiB.
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
        starts = [*sorted(sizes), 1000]
        stored = [
            make_partition(start, min(start // 24 * 24 + 24, following), sizes[start])
            for start, following in pairwise(starts)
        ]
        chosen = choose_partitions_to_drop(stored, NOON, Retention(days=7, mib=10, audit_days=365))
        found.append((sizes, [(each.start - NOON) / HOUR + 12 for each in chosen]))
    assert found == cases


def test_todays_partition_is_split_once_it_takes_an_eighth_of_the_storage_limit():
    split = NOON + timedelta(minutes=2)
    cases = [
        ([(0, 24, 1), (24, 48, 9)], NOON, None),
        ([(-24, 0, 9), (0, 24, 1.1), (24, 48, 0)], NOON, split),
        ([(0, 11, 9), (11, 24, 1)], NOON, None),
        ([(0, 11, 1), (11, 24, 9)], NOON + timedelta(seconds=59), split),
        # A later partition of the day starts soon.
        ([(0, 12.02, 9), (12.02, 24, 9)], NOON, None),
        # The day is almost over.
        ([(0, 24, 9)], NOON + timedelta(hours=11, minutes=58), None),
    ]
    kept = Retention(days=7, mib=8, audit_days=365)
    chosen = [
        choose_split([make_partition(*each) for each in stored], now, kept) for stored, now, _split in cases
    ]
    assert [found and found[1] for found in chosen] == [split for _stored, _now, split in cases]


def read_partitions(app) -> list[Partition]:
    with app.database.transaction() as connection:
        return partitions.read_partitions(connection)


def split_day(app, start: datetime, *hours: int) -> None:
    """Split a day at these hours."""
    for hour in hours:
        with app.database.transaction() as connection:
            last = [each for each in partitions.read_partitions(connection) if each.day == start.date()][-1]
            partitions.split_partition(connection, last, start + timedelta(hours=hour))


def fill_day(sender, start: datetime, *hours: int) -> None:
    """Export a record for each of these hours."""
    moments = {hour: int((start + timedelta(hours=hour, minutes=30)).timestamp()) for hour in hours}
    answer = sender.export(
        *[make_record(str(hour), timeUnixNano=str(moment * 10**9)) for hour, moment in moments.items()]
    )
    assert answer.json == {}


@pytest.fixture
def day(app) -> Iterator[datetime]:
    """A day that only this test uses, and that is dropped afterwards."""
    start = datetime(2026, 1, 15, tzinfo=UTC)
    yield start
    with app.database.transaction() as connection:
        partitions.drop_partitions(connection, start.date(), start + timedelta(days=1))


def test_a_split_day_has_every_record_once_and_its_partitions_are_dropped_separately(app, sender, day):
    fill_day(sender, day, 1, 9, 17, 22)
    split_day(app, day, 8, 16)
    fill_day(sender, day, 2, 10, 18)
    assert sender.find_messages() == ["22", "18", "17", "10", "9", "2", "1"]
    of_day = [each for each in read_partitions(app) if each.day == day.date()]
    assert [((each.start - day) / HOUR, (each.end - day) / HOUR) for each in of_day] == [
        (0, 8),
        (8, 16),
        (16, 24),
    ]
    assert all(each.bytes > 0 for each in of_day)

    with app.database.transaction() as connection:
        partitions.drop_partitions(connection, day.date(), day + 8 * HOUR)
    assert sender.find_messages() == ["22", "18", "17", "10", "9"]
    # A late record still has a partition, even if an old replica that knows only whole days inserts it.
    fill_day(sender, day, 3)
    with app.database.transaction() as connection:
        partitions.drop_partitions(connection, day.date(), day + 16 * HOUR)
    fill_day(sender, day, 4)
    assert sender.find_messages() == ["22", "18", "17", "4"]
    chart = sender.client.get(
        "/logs/histogram?since=2026-01-15T00:00:00Z&until=2026-01-16T00:00:00Z&bars=1", headers=sender.admin
    )
    assert [bar["total"] for bar in chart.json["data"]] == [4]

    with app.database.transaction() as connection:
        partitions.drop_partitions(connection, day.date(), day + 24 * HOUR)
    assert sender.find_messages() == []
    assert day.date() not in days_of(app)


def test_the_previous_release_reads_and_drops_a_split_day(app, sender, day):
    fill_day(sender, day, 1, 9)
    split_day(app, day, 8)
    with app.database.transaction() as connection:
        # The statements of that release.
        names = connection.exec_driver_sql(
            "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid"
            " WHERE inhparent = 'records'::regclass"
        )
        assert list(names.scalars()).count("records_20260115") == 1
        connection.exec_driver_sql("DROP TABLE records_20260115")
    assert sender.find_messages() == []
    fill_day(sender, day, 5)
    assert sender.find_messages() == ["5"]


def test_a_flood_drops_the_oldest_hours_of_today_with_a_warning(app, sender, caplog):
    registry = CollectorRegistry()
    metrics = RetentionMetrics(registry, SMALL)
    start = datetime.combine(datetime.now(UTC).date(), datetime.min.time(), UTC) - timedelta(days=1)
    sizes = []
    for minutes in range(0, 200, 5):
        now = start + timedelta(hours=6, minutes=minutes)
        moment = str(int(now.timestamp()) * 10**9)
        words = " ".join(secrets.token_hex(4) for _ in range(2000))
        sender.export(
            *[
                make_record(f"minute{minutes:03} {number} {words}", timeUnixNano=moment)
                for number in range(20)
            ]
        )
        metrics.count_dropped(apply_retention(app.database, SMALL, now))
        sizes.append(sum(each.bytes for each in read_partitions(app)) / MIB)
    # The excess is an eighth, the records until the split, and what other tests left in later days.
    assert max(sizes) < SMALL.mib * 1.5, sizes
    newest = {int(message[6:9]) for message in sender.find_messages()}
    assert newest == {175, 180, 185, 190, 195}
    assert not sender.find_messages("q=minute000")
    assert "Dropped today's log records up to" in caplog.text
    dropped = registry.get_sample_value("log_records_dropped_bytes_total", {"reason": "size"})
    assert dropped
    assert dropped > SMALL.mib * MIB / 2
    chart = sender.client.get(
        f"/logs/histogram?since={start:%Y-%m-%d}T00:00:00Z&bars=1", headers=sender.admin
    )
    with app.database.transaction() as connection:
        kept = connection.exec_driver_sql("SELECT count(*) FROM records").scalar_one()
        partitions.drop_partitions(connection, start.date(), start + timedelta(days=1))
    assert 100 < kept < 800
    assert sum(bar["total"] for bar in chart.json["data"]) == kept


def insert_old(app, message: str, days: float) -> None:
    """Insert a record like releases before partitioning did."""
    with psycopg.connect(app.settings.database_url) as connection:
        connection.execute(
            "INSERT INTO log_records VALUES (uuidv7(), %(time)s, %(time)s, 'auth-service', NULL, 'WARNING',"
            " 13, %(message)s, NULL, NULL, 'r-9', NULL, '{}')",
            {"time": datetime.now(UTC) - timedelta(days=days), "message": message},
        )


def test_records_of_older_releases_are_moved_and_found(app, sender, monkeypatch):
    monkeypatch.setattr(retention, "MOST_MOVED", 2)
    for number in range(5):
        insert_old(app, f"old {number}", days=number)
    move_unpartitioned_records(app.database, replace(EVER, days=3))
    assert sender.find_messages("request_id=r-9&level=WARNING") == ["old 0", "old 1", "old 2"]
    with psycopg.connect(app.settings.database_url) as connection:
        assert connection.execute("SELECT count(*) FROM log_records").fetchone() == (0,)


def test_old_records_are_moved_in_every_time_zone_of_the_database(app, sender, far_east):
    # At noon in UTC the next day has begun there. No other test has records on these days.
    noon = datetime.now(UTC).replace(hour=12) - timedelta(days=100)
    insert_old(app, "moved", days=(datetime.now(UTC) - noon) / timedelta(days=1))
    move_unpartitioned_records(far_east, replace(EVER, days=200))
    assert sender.find_messages("request_id=r-9") == ["moved"]


def test_a_day_that_another_replica_has_created_is_not_an_error(app, sender):
    moment = datetime.fromtimestamp(NOW / 1e9, UTC).date() - timedelta(days=1)
    with app.database.transaction() as connection:
        partitions.create_days(connection, [moment])
        partitions.create_days(connection, [moment])
    assert days_of(app).count(moment) == 1
