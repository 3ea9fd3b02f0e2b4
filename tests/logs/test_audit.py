"""The audit trail has its own table, is limited by age alone, and is searchable with the other records."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from logs.domain.retention import Retention
from logs.use_cases.retention import apply_retention
from shared.app import ServiceFlask
from shared.database import Database
from shared.ids import new_id
from shared.migrate import upgrade
from shared.service import migrations_of
from tests.databases import MakeOldDatabase
from tests.logs.conftest import Sender, make_export, make_record, write_age

EVER = Retention(days=3650, mib=1_000_000, audit_days=365)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def export_audit(sender: Sender, message: str, *, scope: str = "shopfleet.audit", **changes: Any) -> Any:
    """Export a record like those of the audit trail."""
    body = make_export(make_record(message, **changes), service="auth-service")
    body["resourceLogs"][0]["scopeLogs"][0]["scope"] = {"name": scope}
    writer = sender.auth.bearer(role="service", client_id="auth-service")
    return sender.client.post("/v1/logs", json=body, headers=writer)


def count_rows(app: ServiceFlask) -> tuple[int, int]:
    """Return the number of ordinary records and of those in the audit trail."""
    with app.database.transaction() as connection:
        return (
            connection.execute(text("SELECT count(*) FROM records")).scalar_one(),
            connection.execute(text("SELECT count(*) FROM audit_records")).scalar_one(),
        )


def test_only_the_audit_trail_of_auth_service_is_stored_in_its_table(
    app: ServiceFlask, sender: Sender
) -> None:
    assert export_audit(sender, "User logged in").json == {}
    assert export_audit(sender, "GET /auth/me 200", scope="shopfleet.access").json == {}
    sender.export(make_record("Order placed", attributes={"otel.scope.name": "shopfleet.audit"}))
    assert count_rows(app) == (2, 1)
    assert sorted(sender.find_messages()) == ["GET /auth/me 200", "Order placed", "User logged in"]


def test_the_audit_trail_is_found_by_every_filter(app: ServiceFlask, sender: Sender) -> None:
    order_id = str(new_id())
    ids = {"order.id": order_id, "request.id": "r-1"}
    export_audit(sender, "User logged in", second=1, severityNumber=13, traceId=TRACE, attributes=ids)
    sender.export(make_record("before", second=0), make_record("after", second=2), service="auth-service")
    queries = ["q=logged", "level=WARNING", f"trace_id={TRACE}", "request_id=r-1", f"order_id={order_id}"]
    queries += ["service=auth-service&q=user", "since=2023-11-14T22:13:21Z&until=2023-11-14T22:13:22Z"]
    found = {query: sender.find_messages(query) for query in queries}
    assert {query: messages for query, messages in found.items() if messages != ["User logged in"]} == {}
    assert sender.find_messages() == ["after", "User logged in", "before"]
    pages = sender.client.get("/logs?limit=1", headers=sender.admin).json
    pages = sender.client.get(f"/logs?limit=1&cursor={pages['next']}", headers=sender.admin).json
    [record] = pages["data"]
    assert record["message"] == "User logged in"
    context = sender.client.get(f"/logs/{record['id']}/context", headers=sender.admin).json["data"]
    assert [each["message"] for each in context] == ["before", "User logged in", "after"]
    span = "since=2023-11-14T22:00:00Z&until=2023-11-14T23:00:00Z&bars=1"
    for query in ("", "&service=auth-service", "&instance=one", "&q=user"):
        chart = sender.client.get(f"/logs/histogram?{span}{query}", headers=sender.admin).json
        [bar] = chart["data"]
        assert bar["levels"].get("WARNING") == 1, query


def test_a_retried_export_of_the_audit_trail_is_stored_once(app: ServiceFlask, sender: Sender) -> None:
    for attributes in ({}, {"log.record.uid": None}):
        record = make_record("User logged in", attributes=attributes)
        body = make_export(record, service="auth-service")
        body["resourceLogs"][0]["scopeLogs"][0]["scope"] = {"name": "shopfleet.audit"}
        writer = sender.auth.bearer(role="service", client_id="auth-service")
        for _ in range(2):
            assert sender.client.post("/v1/logs", json=body, headers=writer).json == {}
    assert count_rows(app) == (0, 2)


def test_the_audit_trail_is_limited_by_age_alone_however_many_other_records_there_are(
    app: ServiceFlask, sender: Sender
) -> None:
    for days in (1, 20, 364.9):
        export_audit(sender, f"trail {days}", timeUnixNano=write_age(days))
        sender.export(make_record(f"other {days}", timeUnixNano=write_age(days)))
    apply_retention(app.database, replace(EVER, days=14, mib=0))
    assert sender.find_messages() == ["trail 1", "trail 20", "trail 364.9"]
    apply_retention(app.database, replace(EVER, audit_days=300))
    assert sender.find_messages() == ["trail 1", "trail 20"]
    since = f"{datetime.now(UTC) - timedelta(days=30):%Y-%m-%d}T00:00:00Z"
    chart = sender.client.get(f"/logs/histogram?since={since}", headers=sender.admin).json
    assert sum(bar["total"] for bar in chart["data"]) == 2


def test_a_record_of_the_audit_trail_is_accepted_within_the_retention_period_of_the_trail(
    app: ServiceFlask, sender: Sender
) -> None:
    answers = [export_audit(sender, str(days), timeUnixNano=write_age(days)) for days in (3599, 3601)]
    assert answers[0].json == {}
    assert answers[1].json["partialSuccess"]["errorMessage"] == (
        "A record was rejected: it is older than the retention period."
    )
    # Here, other records are kept longer.
    assert sender.export(make_record("other", timeUnixNano=write_age(3601))).json == {}


@pytest.fixture
def upgraded(make_old_database: MakeOldDatabase) -> Database:
    """A database of the previous release, with the records of a day and their counts."""
    database = make_old_database("logs-service", before="0003")
    with database.transaction() as connection:
        connection.execute(text("CREATE TABLE records_20260115 (LIKE records INCLUDING ALL)"))
        connection.execute(
            text(
                "ALTER TABLE records ATTACH PARTITION records_20260115"
                " FOR VALUES FROM ('2026-01-15 00:00Z') TO ('2026-01-16 00:00Z')"
            )
        )
        for service, scope in [
            ("auth-service", "shopfleet.audit"),
            ("auth-service", "shopfleet.access"),
            ("till", "shopfleet.audit"),
        ]:
            connection.execute(text(INSERT_OLD), {"service": service, "scope": scope})
        connection.execute(
            text(
                "INSERT INTO record_counts SELECT date_trunc('minute', time, 'UTC'), service,"
                " severity_number, count(*) FROM records GROUP BY 1, 2, 3"
            )
        )
    return database


INSERT_OLD = """
    INSERT INTO records (time, id, observed_time, service, severity_number, message, attributes)
    VALUES ('2026-01-15 12:00:30Z', uuidv7(), now(), :service, 9, :scope || repeat(' word', 1000) || ' last',
            jsonb_build_object('otel.scope.name', CAST(:scope AS text)))
"""


def test_the_migration_moves_the_audit_trail_and_old_replicas_keep_working(upgraded: Database) -> None:
    upgrade(upgraded, migrations_of("logs-service"))
    with upgraded.transaction() as connection:
        rows = connection.execute(text("SELECT service, attributes ->> 'otel.scope.name' FROM audit_records"))
        assert [tuple(row) for row in rows] == [("auth-service", "shopfleet.audit")]
        counted = connection.execute(
            text("SELECT service, sum(count) FROM record_counts GROUP BY 1 ORDER BY 1")
        )
        assert [tuple(row) for row in counted] == [("auth-service", 1), ("till", 1)]
        # A replica of the previous release writes to the old table and still finds its records by words.
        connection.execute(text(INSERT_OLD), {"service": "auth-service", "scope": "shopfleet.audit"})
        assert connection.execute(text("SELECT count(*) FROM records")).scalar_one() == 3
        found = "SELECT count(*) FROM records WHERE words_of(message) @@ words_asked('audit')"
        assert connection.execute(text(found)).scalar_one() == 2
