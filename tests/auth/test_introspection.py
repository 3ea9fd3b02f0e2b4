"""What a program is told of a token (RFC 7662)."""

import time

import pytest

from auth.issuer import TokenIssuer
from auth.signing_keys import SigningKeys
from shared.testing import FakeAuth
from tests.auth.conftest import ADMIN, bearer, claims_of
from tests.auth.test_oauth import basic, get_token

OURS = basic("orders-service", "orders secret")
NOTHING = {"active": False}


def ask(client, token, headers=OURS, **form):
    return client.post("/auth/introspect", data={"token": token, **form}, headers=headers)


def test_a_good_access_token_is_told_with_what_it_says(client):
    token = client.post("/auth", json=ADMIN).json["access_token"]
    answer = ask(client, token)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Pragma"] == "no-cache"
    assert answer.json == {"active": True, "token_type": "Bearer", **claims_of(token)}


def test_a_good_refresh_token_is_told_with_whose_it_is(client):
    came = client.post("/auth", json=ADMIN).json
    claims = claims_of(came["access_token"])
    answer = ask(client, came["refresh_token"], token_type_hint="access_token").json
    assert answer["active"] is True
    assert answer["token_type"] == "refresh_token"
    assert answer["client_id"] == "shop"
    assert (answer["sub"], answer["sid"], answer["role"]) == (claims["sub"], claims["sid"], "admin")
    assert abs(answer["iat"] - time.time()) < 60


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_a_session_that_was_ended_leaves_no_good_token(client, kind):
    came = client.post("/auth", json=ADMIN).json
    assert ask(client, came[kind]).json["active"] is True
    assert client.post("/auth/logout", headers=bearer(came["access_token"])).status_code == 204
    assert ask(client, came[kind]).json == NOTHING


def test_an_end_in_one_replica_is_known_to_the_other_at_once(make_replica):
    one, other = make_replica().test_client(), make_replica().test_client()
    token = one.post("/auth", json=ADMIN).json["access_token"]
    assert ask(other, token).json["active"] is True
    one.post("/auth/logout", headers=bearer(token))
    assert ask(other, token).json == NOTHING


def test_nothing_is_told_of_an_unknown_token(client):
    told = {
        (token, hint): answer
        for token in ["x", "sfr_", "sfr_" + "a" * 43, "a.b.c", "ü", "a\0b", "x" * 10_000]
        for hint in ["access_token", "refresh_token", "anything"]
        if (answer := ask(client, token, token_type_hint=hint).json) != NOTHING
    }
    assert told == {}


def test_a_token_that_somebody_else_signed_is_not_good(client):
    assert ask(client, FakeAuth().token()).json == NOTHING


@pytest.mark.parametrize(("seconds", "good"), [(60, True), (-6, False)])
def test_an_expired_token_is_not_good(client, settings, database, seconds, good):
    issuer = TokenIssuer(SigningKeys(database), settings.public_url, seconds)
    token = issuer.issue(sub="somebody", role="customer").access_token
    assert ask(client, token).json["active"] is good


def test_an_integrator_needs_the_scope_for_it(client, make_client):
    token = client.post("/auth", json=ADMIN).json["access_token"]
    may, may_not = make_client("tokens:introspect"), make_client("logs:read", "logs:write")
    assert ask(client, token, basic(*may)).json["active"] is True
    answer = ask(client, token, basic(*may_not))
    assert answer.status_code == 403
    assert answer.json["error"] == "insufficient_scope"
    # A token that was asked for with fewer scopes changes nothing: it is the client that proves itself here.
    assert ask(client, get_token(client, *may_not), basic(*may)).json["scope"] == "logs:read logs:write"


def test_nobody_asks_without_credentials(client):
    token = client.post("/auth", json=ADMIN).json["access_token"]
    client.delete_cookie("token")
    for headers in ({}, bearer(token), basic("orders-service", "wrong")):
        answer = ask(client, token, headers)
        assert answer.status_code == 401
        assert answer.json["error"] == "invalid_client"
    assert client.post("/auth/introspect", data={"token": token, "client_id": "shop"}).status_code == 401


@pytest.mark.parametrize("form", [{}, {"token": ""}])
def test_a_question_without_a_token_is_an_invalid_request(client, form):
    answer = client.post("/auth/introspect", data=form, headers=OURS)
    assert answer.status_code == 400
    assert answer.json["error"] == "invalid_request"


def test_a_closed_account_leaves_no_good_token(client, admin):
    came = client.post("/auth/register", json={"username": "eve", "password": "correct horse battery"}).json
    user_id = claims_of(came["access_token"])["sub"]
    assert client.patch(f"/auth/users/{user_id}", json={"disabled": True}, headers=admin).status_code == 200
    for kind in ("access_token", "refresh_token"):
        assert ask(client, came[kind]).json == NOTHING
