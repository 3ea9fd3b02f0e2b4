"""Tokens ended by the programs that have them (RFC 7009)."""

import pytest

from tests.auth.conftest import ADMIN, bearer
from tests.auth.test_introspection import ask
from tests.auth.test_oauth import basic, get_token

OURS = ("orders-service", "orders secret")


def end(client, token, headers=None, **form):
    return client.post("/auth/revoke", data={"token": token, **form}, headers=headers or {})


def test_the_shops_client_ends_a_session_by_its_refresh_token(client):
    came = client.post("/auth", json=ADMIN).json
    answer = end(client, came["refresh_token"], client_id="shop")
    assert answer.status_code == 200
    assert answer.data == b""
    assert answer.headers["Cache-Control"] == "no-store"
    for kind in ("access_token", "refresh_token"):
        assert ask(client, came[kind]).json == {"active": False}
    again = client.post("/auth/refresh", json={"refresh_token": came["refresh_token"]})
    assert again.status_code == 401


def test_the_shops_client_ends_one_access_token_and_the_session_goes_on(client):
    came = client.post("/auth", json=ADMIN).json
    assert end(client, came["access_token"], client_id="shop").status_code == 200
    assert ask(client, came["access_token"]).json == {"active": False}
    fresh = client.post("/auth/refresh", json={"refresh_token": came["refresh_token"]})
    assert fresh.status_code == 200
    assert ask(client, fresh.json["access_token"]).json["active"] is True


def test_a_token_that_was_ended_is_refused_everywhere(client, make_replica):
    other = make_replica().test_client()
    token = client.post("/auth", json=ADMIN).json["access_token"]
    end(client, token, client_id="shop")
    answer = other.get("/auth/me", headers=bearer(token))
    assert answer.status_code == 401
    assert answer.json["code"] == "token_invalid"


def test_a_program_ends_its_own_token_and_keeps_its_others(client, make_client):
    for credentials in (OURS, make_client("logs:read")):
        ended, kept = get_token(client, *credentials), get_token(client, *credentials)
        assert end(client, ended, basic(*credentials)).status_code == 200
        assert ask(client, ended).json == {"active": False}
        assert ask(client, kept).json["active"] is True


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "id_token", "?"])
def test_the_hint_does_not_matter(client, hint):
    came = client.post("/auth", json=ADMIN).json
    for kind in ("access_token", "refresh_token"):
        assert end(client, came[kind], client_id="shop", token_type_hint=hint).status_code == 200
        assert ask(client, came[kind]).json == {"active": False}


def test_another_clients_token_is_not_ended(client, make_client):
    person = client.post("/auth", json=ADMIN).json
    integrator = make_client("logs:read")
    theirs = get_token(client, *integrator)
    tries = [
        end(client, person["access_token"], basic(*OURS)),
        end(client, person["refresh_token"], basic(*OURS)),
        end(client, person["access_token"], basic(*integrator)),
        end(client, theirs, basic(*OURS)),
        end(client, theirs, client_id="shop"),
    ]
    for answer in tries:
        assert answer.status_code == 400
        assert answer.json["error"] == "unauthorized_client"
    for token in (person["access_token"], person["refresh_token"], theirs):
        assert ask(client, token).json["active"] is True


@pytest.mark.parametrize("token", ["x", "sfr_", "sfr_" + "a" * 43, "a.b.c", "x" * 10_000, "\0"])
def test_a_token_that_is_not_good_anyway_needs_nothing(client, token):
    assert end(client, token, client_id="shop").status_code == 200
    assert end(client, token, basic(*OURS)).status_code == 200


def test_ending_twice_is_as_good_as_once(client):
    token = client.post("/auth", json=ADMIN).json["refresh_token"]
    assert end(client, token, client_id="shop").status_code == 200
    assert end(client, token, client_id="shop").status_code == 200


def test_a_confidential_client_has_to_prove_itself(client):
    token = get_token(client, *OURS)
    for answer in (
        end(client, token),
        end(client, token, client_id="orders-service"),
        end(client, token, basic("orders-service", "wrong")),
        end(client, token, client_id="shop", client_secret="x"),
        end(client, token, basic("shop", "")),
    ):
        assert answer.status_code == 401
        assert answer.json["error"] == "invalid_client"
    assert ask(client, token).json["active"] is True


def test_without_a_token_it_is_an_invalid_request(client):
    answer = client.post("/auth/revoke", data={"client_id": "shop"})
    assert answer.status_code == 400
    assert answer.json["error"] == "invalid_request"


def test_it_is_in_the_audit_trail_without_the_token(client, caplog):
    came = client.post("/auth", json=ADMIN).json
    end(client, came["access_token"], client_id="shop")
    end(client, came["refresh_token"], client_id="shop")
    trail = [vars(record) for record in caplog.records if record.name == "shopfleet.audit"]
    assert [each["event.name"] for each in trail].count("auth.token.revoked") == 2
    assert not [
        each for each in trail if came["refresh_token"] in str(each) or came["access_token"] in str(each)
    ]
