"""Token introspection (RFC 7662)."""

import time

import pytest

from auth.issuer import TokenIssuer
from auth.signing_keys import SigningKeys
from tests.auth.conftest import ADMIN, bearer, claims_of
from tests.auth.test_oauth import basic, get_token
from tests.fakes import FakeAuth

SERVICE = basic("orders-service", "orders secret")
INACTIVE = {"active": False}


def introspect(client, token, headers=SERVICE, **form):
    return client.post("/auth/introspect", data={"token": token, **form}, headers=headers)


def test_a_valid_access_token_is_active_and_has_its_claims(client):
    token = client.post("/auth", json=ADMIN).json["access_token"]
    answer = introspect(client, token)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Pragma"] == "no-cache"
    assert answer.json == {"active": True, "token_type": "Bearer", **claims_of(token)}


def test_a_valid_refresh_token_is_active_and_names_its_user(client):
    signed_in = client.post("/auth", json=ADMIN).json
    claims = claims_of(signed_in["access_token"])
    answer = introspect(client, signed_in["refresh_token"], token_type_hint="access_token").json
    assert answer["active"] is True
    assert answer["token_type"] == "refresh_token"
    assert answer["client_id"] == "shop"
    assert (answer["sub"], answer["sid"], answer["role"]) == (claims["sub"], claims["sid"], "admin")
    assert abs(answer["iat"] - time.time()) < 60


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_the_tokens_of_an_ended_session_are_inactive(client, kind):
    signed_in = client.post("/auth", json=ADMIN).json
    assert introspect(client, signed_in[kind]).json["active"] is True
    assert client.post("/auth/logout", headers=bearer(signed_in["access_token"])).status_code == 204
    assert introspect(client, signed_in[kind]).json == INACTIVE


def test_a_log_out_at_one_replica_is_visible_at_another_at_once(make_replica):
    one, other = make_replica().test_client(), make_replica().test_client()
    token = one.post("/auth", json=ADMIN).json["access_token"]
    assert introspect(other, token).json["active"] is True
    one.post("/auth/logout", headers=bearer(token))
    assert introspect(other, token).json == INACTIVE


def test_an_unknown_token_is_inactive(client):
    active = {
        (token, hint): answer
        for token in ["x", "sfr_", "sfr_" + "a" * 43, "a.b.c", "ü", "a\0b", "x" * 10_000]
        for hint in ["access_token", "refresh_token", "anything"]
        if (answer := introspect(client, token, token_type_hint=hint).json) != INACTIVE
    }
    assert active == {}


def test_a_token_with_an_unknown_signature_is_inactive(client):
    assert introspect(client, FakeAuth().token()).json == INACTIVE


@pytest.mark.parametrize(("seconds", "is_active"), [(60, True), (-6, False)])
def test_an_expired_token_is_inactive(client, settings, database, seconds, is_active):
    issuer = TokenIssuer(SigningKeys(database), settings.public_url, seconds)
    token = issuer.issue(sub="user", role="customer").access_token
    assert introspect(client, token).json["active"] is is_active


def test_an_integrator_needs_the_scope_to_introspect(client, make_client):
    token = client.post("/auth", json=ADMIN).json["access_token"]
    allowed, refused = make_client("tokens:introspect"), make_client("logs:read", "logs:write")
    assert introspect(client, token, basic(*allowed)).json["active"] is True
    answer = introspect(client, token, basic(*refused))
    assert answer.status_code == 403
    assert answer.json["error"] == "insufficient_scope"
    # The scopes of the client count, not those of its tokens.
    assert (
        introspect(client, get_token(client, *refused), basic(*allowed)).json["scope"]
        == "logs:read logs:write"
    )


def test_introspection_requires_client_credentials(client):
    token = client.post("/auth", json=ADMIN).json["access_token"]
    client.delete_cookie("token")
    for headers in ({}, bearer(token), basic("orders-service", "wrong")):
        answer = introspect(client, token, headers)
        assert answer.status_code == 401
        assert answer.json["error"] == "invalid_client"
    assert client.post("/auth/introspect", data={"token": token, "client_id": "shop"}).status_code == 401


@pytest.mark.parametrize("form", [{}, {"token": ""}])
def test_a_request_without_a_token_is_an_invalid_request(client, form):
    answer = client.post("/auth/introspect", data=form, headers=SERVICE)
    assert answer.status_code == 400
    assert answer.json["error"] == "invalid_request"


def test_the_tokens_of_a_disabled_account_are_inactive(client, admin):
    signed_in = client.post(
        "/auth/register", json={"username": "eve", "password": "correct horse battery"}
    ).json
    user_id = claims_of(signed_in["access_token"])["sub"]
    assert client.patch(f"/auth/users/{user_id}", json={"disabled": True}, headers=admin).status_code == 200
    for kind in ("access_token", "refresh_token"):
        assert introspect(client, signed_in[kind]).json == INACTIVE
