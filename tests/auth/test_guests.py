"""Guests: visitors without an account."""

from contextlib import closing

import jwt
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from shared.database import connect


def test_a_guest_gets_the_same_response_as_after_a_log_in(client):
    answer = client.post("/auth/guest")
    assert answer.status_code == 201
    assert answer.json.keys() == {"message", "access_token", "token_type", "expires_in", "refresh_token"}
    assert answer.json["message"] == "Authentication successful"
    assert answer.json["token_type"] == "Bearer"
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"token={answer.json['access_token']};")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_guests_token_has_the_role_guest_and_the_id_of_the_account(client):
    token = client.post("/auth/guest").json["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["role"] == "guest"
    assert claims["client_id"] == "shop"
    me = client.get("/auth/me", headers={"Authorization": f"Bearer {token}"})
    assert me.status_code == 200
    assert me.json["id"] == claims["sub"]
    assert me.json["role"] == "guest"
    assert me.json["username"] == f"guest-{claims['sub']}"
    assert me.json["email"] is None


def test_the_cookie_alone_authenticates_a_guest(client):
    client.post("/auth/guest")
    assert client.get("/auth/me").json["role"] == "guest"


def test_each_call_creates_a_new_guest(client):
    def enter():
        token = client.post("/auth/guest").json["access_token"]
        return jwt.decode(token, options={"verify_signature": False})["sub"]

    assert len({enter() for _ in range(5)}) == 5


@pytest.mark.parametrize("password", ["x", "None", "a password of no account"])
def test_a_log_in_to_a_guests_account_is_refused(client, password):
    client.post("/auth/guest")
    name = client.get("/auth/me").json["username"]
    answer = client.post("/auth", json={"username": name, "password": password})
    assert answer.status_code == 401
    assert answer.json["error"] == "Invalid username or password"


def test_only_a_guest_may_have_no_password(app, settings):
    with (
        closing(connect(settings)) as database,
        pytest.raises(IntegrityError),
        database.transaction() as connection,
    ):
        connection.execute(text("UPDATE users SET password_hash = NULL WHERE role = 'admin'"))
