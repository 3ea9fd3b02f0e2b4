"""Fixtures: logs-service on a real database, with a fake auth-service."""

import gzip
import json
import logging
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from logs.app import create_app
from logs.config import Settings
from logs.domain.log_records import OWN_SERVICES
from logs.otlp import PROTOBUF
from shared.app import ServiceFlask
from shared.database import Database, connect
from shared.ids import new_id
from tests.fakes import FakeAuth

NOW = 1_700_000_000_000_000_000  # Nanoseconds; 2023-11-14T22:13:20Z.


@pytest.fixture(scope="package")
def auth() -> FakeAuth:
    """One fake auth-service for all these tests."""
    return FakeAuth()


@pytest.fixture(scope="package")
def started(make_database, auth: FakeAuth) -> Iterator[ServiceFlask]:
    """One logs-service for all these tests; a database for each would take most of their time."""
    settings = Settings(
        service="logs-service",
        database_url=make_database("logs-service"),
        auth_url="http://127.0.0.1:9",
        client_secret="secret",
        log_retention_days=3650,
        audit_retention_days=3600,
    )
    app = create_app(settings, auth)
    # Its own records would mix with those of the tests; `test_own_records.py` starts one that ships them.
    logging.getLogger().removeHandler(app.shipper)
    yield app
    app.close()


@pytest.fixture
def app(started: ServiceFlask) -> ServiceFlask:
    """logs-service without any records."""
    with started.database.engine.begin() as connection:
        # TRUNCATE would take ten times as long, because each partition and index would get new files.
        connection.exec_driver_sql("DELETE FROM records")
        connection.exec_driver_sql("DELETE FROM audit_records")
        connection.exec_driver_sql("DELETE FROM record_counts")
    return started


@pytest.fixture
def far_east(started: ServiceFlask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The database in a time zone that is usually a day ahead of UTC."""
    monkeypatch.setenv("PGTZ", "Pacific/Kiritimati")
    with closing(connect(started.settings)) as database:
        with database.transaction() as connection:
            assert connection.exec_driver_sql("SHOW TimeZone").scalar_one() == "Pacific/Kiritimati"
        yield database


class Sender:
    """Exports records as JSON, and searches for them."""

    def __init__(self, app: ServiceFlask, auth: FakeAuth) -> None:
        self.client = app.test_client()
        self.auth = auth
        self.writer = auth.bearer(role="service", client_id="orders-service")
        self.admin = auth.bearer(role="admin")

    def post(self, body: bytes, media_type: str = "application/json", **headers: str) -> Any:
        """Send a raw body."""
        headers = {"Content-Type": media_type, **self.writer, **headers}
        return self.client.post("/v1/logs", data=body, headers=headers)

    def export(self, *records: dict[str, Any], service: str = "orders-service", **options: Any) -> Any:
        """Send records as one export, with the token of that service if it belongs to the shop."""
        body = json.dumps(make_export(*records, service=service)).encode()
        client_id = service if service in OWN_SERVICES else "orders-service"
        return self.post(body, **{**self.auth.bearer(role="service", client_id=client_id), **options})

    def export_gzip(self, body: bytes, **options: Any) -> Any:
        """Send a body compressed with gzip."""
        return self.post(gzip.compress(body), **{"Content-Encoding": "gzip"}, **options)

    def find(self, query: str = "") -> list[dict[str, Any]]:
        """Return the records of the first page."""
        answer = self.client.get(f"/logs?limit=100&{query}", headers=self.admin)
        assert answer.status_code == 200, answer.json
        return answer.json["data"]

    def find_messages(self, query: str = "") -> list[str]:
        """Return the messages of the first page."""
        return [record["message"] for record in self.find(query)]


@pytest.fixture
def sender(app: ServiceFlask, auth: FakeAuth) -> Sender:
    """A service of the shop that exports its records."""
    return Sender(app, auth)


def make_record(message: str = "An event", *, second: float = 0, **changes: Any) -> dict[str, Any]:
    """Return a record in OTLP's JSON; `attributes` is a dictionary."""
    attributes = {"log.record.uid": str(new_id()), **changes.pop("attributes", {})}
    record = {
        "timeUnixNano": str(NOW + int(second * 1_000_000_000)),
        "severityNumber": 9,
        "severityText": "INFO",
        "body": {"stringValue": message},
        "attributes": make_attributes(attributes),
        **changes,
    }
    return {name: value for name, value in record.items() if value is not None}


def make_attributes(attributes: dict[str, str | None]) -> list[dict[str, Any]]:
    """Return string attributes in OTLP's JSON."""
    return [
        {"key": key, "value": {"stringValue": value}}
        for key, value in attributes.items()
        if value is not None
    ]


def make_export(*records: dict[str, Any], service: str = "orders-service") -> dict[str, Any]:
    """Return an ExportLogsServiceRequest of one service."""
    resource = {"attributes": make_attributes({"service.name": service, "service.instance.id": "one"})}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": list(records)}]}]}


def write_age(days: float) -> str:
    """Return the time `days` ago in OTLP's format."""
    return str(int((datetime.now(UTC) - timedelta(days=days)).timestamp()) * 10**9)


def read_partial(answer: Any) -> tuple[int, str]:
    """Return the number of rejected records in a response, and its message."""
    assert answer.status_code == 200, answer.data
    if answer.content_type == PROTOBUF:
        partial = ExportLogsServiceResponse.FromString(answer.data).partial_success
        return partial.rejected_log_records, partial.error_message
    partial = answer.json.get("partialSuccess", {})
    return int(partial.get("rejectedLogRecords", 0)), partial.get("errorMessage", "")
