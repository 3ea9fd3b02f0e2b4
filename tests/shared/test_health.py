"""The routes for operators."""

from pathlib import Path

import pytest

from shared import __version__
from shared.database import Schema, connect, read_head
from shared.errors import DatabaseUnavailable
from shared.service import migrations_of
from shared.settings import ServiceSettings


def test_the_index_has_the_service_version_and_documents(client):
    answer = client.get("/").json
    assert answer["service"] == "orders-service"
    assert answer["version"] == __version__
    assert answer["documents"]["openapi"] == "/docs/orders.json"


def test_healthz_names_the_replica(client):
    answer = client.get("/healthz")
    assert answer.json == {
        "status": "ok",
        "service": "orders-service",
        "instance": "orders-1",
        "version": __version__,
    }


def test_healthz_fails_until_every_check_has_passed_once(client, auth):
    auth.is_away = True
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json["code"] == "starting"
    auth.is_away = False
    assert client.get("/healthz").status_code == 200


def test_later_the_process_stays_healthy_and_only_readyz_reports_failed_checks(client, auth):
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").json["problems"] == {}
    auth.is_away = True
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json["problems"] == {"keys": "Tokens cannot be verified at the moment; try again shortly."}


def test_without_a_signed_off_list_the_service_is_not_ready_and_a_token_is_not_called_invalid(client, auth):
    headers = auth.bearer()
    auth.sign_offs.is_away = True
    assert client.get("/healthz").json["code"] == "starting"
    assert set(client.get("/readyz").json["problems"]) == {"sign_offs"}
    answer = client.get("/mine", headers=headers)
    assert answer.status_code == 503
    assert answer.json["code"] == "sign_offs_unavailable"
    assert answer.headers["Retry-After"] == "1"


def test_readyz_is_ready_with_a_stale_list_and_reports_its_age(client, auth):
    assert client.get("/readyz").json["remarks"] == {}
    auth.sign_offs.remark = "Its list is 40 s old."
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json["remarks"] == {"sign_offs": "Its list is 40 s old."}
    auth.is_away = True
    assert client.get("/readyz").json["remarks"] == {"sign_offs": "Its list is 40 s old."}


def test_without_keys_a_token_is_not_called_invalid(client, auth):
    headers = auth.bearer()
    auth.is_away = True
    answer = client.get("/mine", headers=headers)
    assert answer.status_code == 503
    assert answer.json["code"] == "keys_unavailable"
    assert answer.headers["Retry-After"] == "1"


def test_metrics_count_requests_by_route(client):
    client.get("/open")
    text = client.get("/metrics").get_data(as_text=True)
    assert (
        'http_server_request_duration_seconds_count{http_request_method="GET",'
        'http_response_status_code="200",http_route="/open"} 1.0'
    ) in text


@pytest.fixture
def schema_of(make_empty_database, make_database):
    databases = []

    def make(url: str) -> Schema:
        database = connect(ServiceSettings(service="auth-service", database_url=url))
        databases.append(database)
        return Schema(database, migrations_of("auth-service"))

    yield make
    for database in databases:
        database.close()


def test_a_schema_at_the_expected_revision_is_accepted(schema_of, make_database):
    schema_of(make_database("auth-service")).check()


def test_a_newer_schema_is_accepted_since_migrations_only_expand(schema_of, make_database):
    schema = schema_of(make_database("auth-service"))
    schema.expected = "0000"
    schema.check()


def test_an_older_or_missing_schema_is_reported(schema_of, make_database, make_empty_database):
    old = schema_of(make_database("auth-service"))
    old.expected = "9999"
    with pytest.raises(DatabaseUnavailable, match="needs 9999"):
        old.check()
    with pytest.raises(DatabaseUnavailable, match="revision none"):
        schema_of(make_empty_database()).check()


def test_an_unavailable_database_is_reported(schema_of):
    with pytest.raises(DatabaseUnavailable, match="is unavailable"):
        schema_of("postgresql://auth@127.0.0.1:9/auth").check()


def test_a_service_without_migrations_needs_no_schema():
    assert read_head(Path("nowhere")) == ""
