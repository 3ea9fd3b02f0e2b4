"""Token revocation by clients (RFC 7009)."""

import pytest

from tests.auth.conftest import ADMIN, bearer
from tests.auth.test_introspection import introspect
from tests.auth.test_oauth import basic, get_token

SERVICE = ("orders-service", "orders secret")


def revoke(client, token, headers=None, **form):
    return client.post("/auth/revoke", data={"token": token, **form}, headers=headers or {})


def test_the_shops_client_revokes_a_session_by_its_refresh_token(client):
    signed_in = client.post("/auth", json=ADMIN).json
    answer = revoke(client, signed_in["refresh_token"], client_id="shop")
    assert answer.status_code == 200
    assert answer.data == b""
    assert answer.headers["Cache-Control"] == "no-store"
    for kind in ("access_token", "refresh_token"):
        assert introspect(client, signed_in[kind]).json == {"active": False}
    again = client.post("/auth/refresh", json={"refresh_token": signed_in["refresh_token"]})
    assert again.status_code == 401


def test_the_shops_client_revokes_an_access_token_and_the_session_stays(client):
    signed_in = client.post("/auth", json=ADMIN).json
    assert revoke(client, signed_in["access_token"], client_id="shop").status_code == 200
    assert introspect(client, signed_in["access_token"]).json == {"active": False}
    fresh = client.post("/auth/refresh", json={"refresh_token": signed_in["refresh_token"]})
    assert fresh.status_code == 200
    assert introspect(client, fresh.json["access_token"]).json["active"] is True


def test_a_revoked_token_is_refused_by_all_replicas(client, make_replica):
    other = make_replica().test_client()
    token = client.post("/auth", json=ADMIN).json["access_token"]
    revoke(client, token, client_id="shop")
    answer = other.get("/auth/me", headers=bearer(token))
    assert answer.status_code == 401
    assert answer.json["code"] == "token_invalid"


def test_a_client_revokes_one_of_its_tokens_and_keeps_the_rest(client, make_client):
    for credentials in (SERVICE, make_client("logs:read")):
        revoked, kept = get_token(client, *credentials), get_token(client, *credentials)
        assert revoke(client, revoked, basic(*credentials)).status_code == 200
        assert introspect(client, revoked).json == {"active": False}
        assert introspect(client, kept).json["active"] is True


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "id_token", "?"])
def test_the_hint_does_not_matter(client, hint):
    signed_in = client.post("/auth", json=ADMIN).json
    for kind in ("access_token", "refresh_token"):
        assert revoke(client, signed_in[kind], client_id="shop", token_type_hint=hint).status_code == 200
        assert introspect(client, signed_in[kind]).json == {"active": False}


def test_a_client_cannot_revoke_another_clients_token(client, make_client):
    user = client.post("/auth", json=ADMIN).json
    integrator = make_client("logs:read")
    service = get_token(client, *integrator)
    tries = [
        revoke(client, user["access_token"], basic(*SERVICE)),
        revoke(client, user["refresh_token"], basic(*SERVICE)),
        revoke(client, user["access_token"], basic(*integrator)),
        revoke(client, service, basic(*SERVICE)),
        revoke(client, service, client_id="shop"),
    ]
    for answer in tries:
        assert answer.status_code == 400
        assert answer.json["error"] == "unauthorized_client"
    for token in (user["access_token"], user["refresh_token"], service):
        assert introspect(client, token).json["active"] is True


@pytest.mark.parametrize("token", ["x", "sfr_", "sfr_" + "a" * 43, "a.b.c", "x" * 10_000, "\0"])
def test_revoking_an_invalid_token_succeeds(client, token):
    assert revoke(client, token, client_id="shop").status_code == 200
    assert revoke(client, token, basic(*SERVICE)).status_code == 200


def test_a_token_can_be_revoked_twice(client):
    token = client.post("/auth", json=ADMIN).json["refresh_token"]
    assert revoke(client, token, client_id="shop").status_code == 200
    assert revoke(client, token, client_id="shop").status_code == 200


def test_a_confidential_client_must_authenticate(client):
    token = get_token(client, *SERVICE)
    for answer in (
        revoke(client, token),
        revoke(client, token, client_id="orders-service"),
        revoke(client, token, basic("orders-service", "wrong")),
        revoke(client, token, client_id="shop", client_secret="x"),
        revoke(client, token, basic("shop", "")),
    ):
        assert answer.status_code == 401
        assert answer.json["error"] == "invalid_client"
    assert introspect(client, token).json["active"] is True


def test_without_a_token_it_is_an_invalid_request(client):
    answer = client.post("/auth/revoke", data={"client_id": "shop"})
    assert answer.status_code == 400
    assert answer.json["error"] == "invalid_request"


def test_the_audit_trail_records_a_revocation_without_the_token(client, caplog):
    signed_in = client.post("/auth", json=ADMIN).json
    revoke(client, signed_in["access_token"], client_id="shop")
    revoke(client, signed_in["refresh_token"], client_id="shop")
    trail = [vars(record) for record in caplog.records if record.name == "shopfleet.audit"]
    assert [each["event.name"] for each in trail].count("auth.token.revoked") == 2
    assert not [
        each
        for each in trail
        if signed_in["refresh_token"] in str(each) or signed_in["access_token"] in str(each)
    ]
