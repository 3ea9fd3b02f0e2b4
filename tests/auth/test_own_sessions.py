"""A user's own sessions."""

import pytest

from tests.auth.conftest import ADMIN, EVE, bearer, claims_of

PHONE, LAPTOP = "198.51.100.7", "203.0.113.9"


@pytest.fixture
def sign_in(app):
    """Log in from a device of its own; return the tokens."""
    app.test_client().post("/auth/register", json=EVE)

    def log_in(person=EVE, address=PHONE, agent="A phone"):
        headers = {"X-Forwarded-For": address, "User-Agent": agent}
        answer = app.test_client(use_cookies=False).post("/auth", json=person, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json

    return log_in


def list_sessions(client, tokens):
    answer = client.get("/auth/sessions", headers=bearer(tokens["access_token"]))
    assert answer.status_code == 200, answer.text
    assert answer.json["next"] is None
    return answer.json["data"]


def end_session(client, tokens, session_id):
    return client.delete(f"/auth/sessions/{session_id}", headers=bearer(tokens["access_token"]))


def sid_of(tokens):
    return claims_of(tokens["access_token"])["sid"]


def test_users_list_their_sessions_and_the_current_one_is_marked(client, sign_in):
    phone = sign_in()
    laptop = sign_in(address=LAPTOP, agent="A laptop")
    sign_in(ADMIN)
    listed = list_sessions(client, laptop)
    assert [each["id"] for each in listed[:2]] == [sid_of(laptop), sid_of(phone)]
    assert [each["current"] for each in listed] == [True, False, False]
    assert [(each["user_agent"], each["address"]) for each in listed[:2]] == [
        ("A laptop", LAPTOP),
        ("A phone", PHONE),
    ]
    assert listed[0].keys() == {
        *("id", "created_at", "last_used_at", "expires_at"),
        *("address", "user_agent", "current"),
    }
    assert [each["current"] for each in list_sessions(client, phone)] == [False, True, False]


def test_an_ended_session_is_not_listed_and_its_tokens_are_refused(client, sign_in, caplog):
    phone, laptop = sign_in(), sign_in()
    answer = end_session(client, laptop, sid_of(phone))
    assert (answer.status_code, answer.data) == (204, b"")
    assert sid_of(phone) not in [each["id"] for each in list_sessions(client, laptop)]
    assert client.get("/auth/me", headers=bearer(phone["access_token"])).json["code"] == "token_invalid"
    again = client.post("/auth/refresh", json={"refresh_token": phone["refresh_token"]})
    assert again.status_code == 401
    assert client.get("/auth/me", headers=bearer(laptop["access_token"])).status_code == 200
    [record] = [each for each in caplog.records if vars(each).get("event.name") == "auth.session.ended"]
    assert vars(record)["user.id"] == vars(record)["audit.target"] == claims_of(laptop["access_token"])["sub"]
    assert vars(record)["audit.sessions"] == [sid_of(phone)]


def test_users_can_end_the_session_of_their_own_token(client, sign_in):
    phone, laptop = sign_in(), sign_in()
    assert end_session(client, phone, sid_of(phone)).status_code == 204
    assert client.get("/auth/me", headers=bearer(phone["access_token"])).status_code == 401
    assert client.get("/auth/me", headers=bearer(laptop["access_token"])).status_code == 200


def test_a_session_that_is_not_ones_own_or_has_ended_is_not_found(client, sign_in, run_sql):
    admin, phone, laptop = sign_in(ADMIN), sign_in(), sign_in()
    assert end_session(client, phone, sid_of(laptop)).status_code == 204
    unknown = "018f5c3e-9b52-7e0a-8c33-5d9a7b3f2d02"
    foreign = {
        name: end_session(client, tokens, session_id).status_code
        for name, tokens, session_id in (
            ("a customer's", admin, sid_of(phone)),
            ("an admin's", phone, sid_of(admin)),
            ("ended", phone, sid_of(laptop)),
            ("unknown", phone, unknown),
            ("not an id", phone, "x"),
            ("a NUL", phone, "%00"),
        )
    }
    assert foreign == dict.fromkeys(foreign, 404)
    for tokens in (admin, phone):
        assert client.get("/auth/me", headers=bearer(tokens["access_token"])).status_code == 200


def test_the_last_use_is_the_last_refresh(client, sign_in, run_sql):
    phone = sign_in()
    run_sql("UPDATE sessions SET created_at = now() - interval '2 d', last_used_at = now() - interval '1 d'")
    before = list_sessions(client, phone)[0]
    client.post("/auth/refresh", json={"refresh_token": phone["refresh_token"]})
    after = next(each for each in list_sessions(client, phone) if each["id"] == sid_of(phone))
    assert after["last_used_at"] > before["last_used_at"]


def test_guests_have_one_session_and_no_list(client):
    guest = client.post("/auth/guest").json
    headers = bearer(guest["access_token"])
    assert client.get("/auth/sessions", headers=headers).status_code == 403
    assert client.delete(f"/auth/sessions/{sid_of(guest)}", headers=headers).status_code == 403
