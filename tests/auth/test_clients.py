"""Integrators' clients, which admins create with scopes."""

import base64

import pytest

from auth.domain.clients import Scope
from tests.auth.conftest import claims_of
from tests.auth.test_oauth import GRANT, basic, get_token

BOTH = ["logs:read", "logs:write"]


def is_active(client, token):
    answer = client.post(
        "/auth/introspect", data={"token": token}, headers=basic("orders-service", "orders secret")
    )
    return answer.json["active"]


def test_an_admin_creates_a_client_and_sees_its_secret_once(client, admin):
    answer = client.post("/auth/clients", json={"name": "Collector", "scopes": BOTH}, headers=admin)
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/auth/clients/{answer.json['id']}"
    assert answer.headers["Cache-Control"] == "no-store"
    made = answer.json
    assert made["id"].startswith("app-")
    assert len(made.pop("client_secret")) > 40
    shown = client.get(answer.headers["Location"], headers=admin).json
    assert shown == made
    assert shown["created_by"] == client.get("/auth/me", headers=admin).json["id"]
    assert client.get("/auth/clients", headers=admin).json == {"data": [made], "next": None}


def test_the_secret_is_stored_as_a_hash_only(client, make_client, database):
    client_id, secret = make_client("logs:write")
    with database.transaction() as connection:
        rows = connection.exec_driver_sql("SELECT oauth_clients::text FROM oauth_clients").scalars().all()
    assert client_id in rows[0]
    assert secret not in rows[0]


def test_a_clients_token_has_its_scopes(client, make_client):
    client_id, secret = make_client(*BOTH)
    answer = client.post("/auth/token", data=GRANT, headers=basic(client_id, secret))
    assert answer.json["scope"] == "logs:read logs:write"
    claims = claims_of(answer.json["access_token"])
    assert claims["role"] == "service"
    assert claims["sub"] == claims["client_id"] == client_id
    assert claims["scope"] == "logs:read logs:write"


def test_a_client_may_request_fewer_scopes_but_no_others(client, make_client):
    credentials = make_client(*BOTH)
    for requested in ("logs:read", "logs:write logs:read"):
        token = get_token(client, *credentials, scope=requested)
        assert set(claims_of(token)["scope"].split()) == set(requested.split())
    others = ["products:read", "logs:read products:read", "logs:read  logs:write", " ", "?"]
    answers = {
        requested: client.post("/auth/token", data={**GRANT, "scope": requested}, headers=basic(*credentials))
        for requested in others
    }
    assert {
        requested: (answer.status_code, answer.json.get("error")) for requested, answer in answers.items()
    } == dict.fromkeys(others, (400, "invalid_scope"))


def test_a_client_that_fails_validation_is_refused(client, admin):
    bodies = [
        {"name": "x", "scopes": ["everything"]},
        {"name": "x", "scopes": []},
        {"name": "", "scopes": BOTH},
        {"name": "x" * 101, "scopes": BOTH},
        {"name": "a\0b", "scopes": BOTH},
        {"name": "x", "scopes": BOTH, "secret": "mine"},
        {},
    ]
    accepted = [
        body for body in bodies if client.post("/auth/clients", json=body, headers=admin).status_code != 422
    ]
    assert accepted == []


def test_each_scope_can_be_granted(client, make_client):
    granted = {scope: claims_of(get_token(client, *make_client(scope)))["scope"] for scope in Scope}
    assert granted == {scope: scope for scope in Scope}


@pytest.mark.parametrize("change", [{"disabled": True}, {"scopes": ["logs:read"]}])
def test_losing_a_permission_ends_a_clients_tokens_at_once(client, make_client, admin, change):
    client_id, secret = make_client(*BOTH)
    token = get_token(client, client_id, secret)
    assert is_active(client, token)
    assert client.patch(f"/auth/clients/{client_id}", json=change, headers=admin).status_code == 200
    assert not is_active(client, token)


@pytest.mark.parametrize(
    "change", [{"name": "Other"}, {"scopes": [*BOTH, "products:read"]}, {"disabled": False}]
)
def test_changes_without_a_lost_permission_keep_a_clients_tokens(client, make_client, admin, change):
    client_id, secret = make_client(*BOTH)
    token = get_token(client, client_id, secret)
    client.patch(f"/auth/clients/{client_id}", json=change, headers=admin)
    assert is_active(client, token)


def test_a_disabled_client_gets_no_token_until_it_is_enabled(client, make_client, admin):
    client_id, secret = make_client("logs:read")
    first = get_token(client, client_id, secret)
    client.patch(f"/auth/clients/{client_id}", json={"disabled": True}, headers=admin)
    refused = client.post("/auth/token", data=GRANT, headers=basic(client_id, secret))
    assert refused.json["error"] == "invalid_client"
    client.patch(f"/auth/clients/{client_id}", json={"disabled": False}, headers=admin)
    assert is_active(client, get_token(client, client_id, secret))
    assert not is_active(client, first)


def test_a_new_secret_replaces_the_old_one_and_ends_the_tokens(client, make_client, admin):
    client_id, old = make_client("logs:read")
    token = get_token(client, client_id, old)
    answer = client.post(f"/auth/clients/{client_id}/secret", headers=admin)
    assert answer.status_code == 200
    assert not is_active(client, token)
    assert client.post("/auth/token", data=GRANT, headers=basic(client_id, old)).status_code == 401
    assert is_active(client, get_token(client, client_id, answer.json["client_secret"]))


def test_a_deleted_client_is_not_found_and_its_tokens_end(client, make_client, admin):
    client_id, secret = make_client("logs:read")
    token = get_token(client, client_id, secret)
    assert client.delete(f"/auth/clients/{client_id}", headers=admin).status_code == 204
    assert not is_active(client, token)
    assert client.post("/auth/token", data=GRANT, headers=basic(client_id, secret)).status_code == 401
    for answer in (
        client.get(f"/auth/clients/{client_id}", headers=admin),
        client.patch(f"/auth/clients/{client_id}", json={"name": "x"}, headers=admin),
        client.delete(f"/auth/clients/{client_id}", headers=admin),
        client.post(f"/auth/clients/{client_id}/secret", headers=admin),
    ):
        assert answer.status_code == 404


def test_an_unknown_or_malformed_id_is_not_found(client, admin):
    names = ["app-", "orders-service", "app-%00", "%F0%9F", "x" * 5000]
    found = {name: client.get(f"/auth/clients/{name}", headers=admin).status_code for name in names}
    assert found == dict.fromkeys(names, 404)


def test_a_change_that_fails_validation_is_refused(client, make_client, admin):
    client_id, _ = make_client("logs:read")
    changes = [{}, {"name": None}, {"disabled": "yes"}, {"scopes": []}, {"id": "app-x"}]
    accepted = [
        change
        for change in changes
        if client.patch(f"/auth/clients/{client_id}", json=change, headers=admin).status_code != 422
    ]
    assert accepted == []


def test_clients_are_listed_in_pages_newest_first(client, make_client, admin):
    made = [make_client("logs:read")[0] for _ in range(5)]
    first = client.get("/auth/clients?limit=3", headers=admin).json
    second = client.get(f"/auth/clients?limit=3&cursor={first['next']}", headers=admin).json
    assert [each["id"] for each in first["data"] + second["data"]] == made[::-1]
    assert second["next"] is None


def test_a_cursor_of_another_list_is_refused(client, admin):
    def call(position):
        cursor = base64.urlsafe_b64encode(position).decode()
        return client.get(f"/auth/clients?cursor={cursor}", headers=admin).status_code

    positions = [b'"app-x"', b"[]", b'"app-\\u0000"', b"1", b"{}"]
    assert {position: call(position) for position in positions} == dict.fromkeys(positions, 422)


def test_the_audit_trail_records_the_id_of_a_refused_client_only_if_it_exists(client, make_client, caplog):
    client_id, _ = make_client("logs:read")
    for name in (client_id, "orders-service", "a secret in the wrong field"):
        client.post("/auth/token", data=GRANT, headers=basic(name, "wrong"))
    trail = [vars(record) for record in caplog.records if record.name == "shopfleet.audit"]
    refused = [entry for entry in trail if entry["event.name"] == "auth.client.refused"]
    assert [entry.get("audit.target") for entry in refused] == [client_id, "orders-service", None]
    assert "wrong" not in str(refused)


def test_the_audit_trail_records_all_changes_without_secrets(client, make_client, admin, caplog):
    client_id, secret = make_client(*BOTH)
    client.patch(f"/auth/clients/{client_id}", json={"scopes": ["logs:read"], "name": "New"}, headers=admin)
    other = client.post(f"/auth/clients/{client_id}/secret", headers=admin).json["client_secret"]
    client.delete(f"/auth/clients/{client_id}", headers=admin)
    trail = [vars(record) for record in caplog.records if record.name == "shopfleet.audit"]
    about = [entry for entry in trail if entry.get("audit.target") == client_id]
    assert [entry["event.name"] for entry in about] == [
        "auth.client.created",
        "auth.client.changed",
        "auth.client.changed",
        "auth.client.secret_changed",
        "auth.client.deleted",
    ]
    assert about[2]["audit.old"] == BOTH
    assert about[2]["audit.new"] == ["logs:read"]
    me = client.get("/auth/me", headers=admin).json["id"]
    assert {entry["user.id"] for entry in about} == {me}
    assert not [entry for entry in trail if secret in str(entry) or other in str(entry)]
