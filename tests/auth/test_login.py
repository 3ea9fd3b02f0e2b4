"""The tutorial's log-in."""

from contextlib import closing

import jwt

from auth.app import create_app
from auth.config import Settings
from auth.passwords import Passwords
from tests.auth.conftest import PRODUCTION

ADMIN = {"username": "admin", "password": "admin"}


def test_the_right_pair_gets_a_token_a_message_and_a_cookie(client):
    answer = client.post("/auth", json=ADMIN)
    assert answer.status_code == 200
    assert answer.json["message"] == "Authentication successful"
    assert answer.json["token_type"] == "Bearer"
    assert answer.json["expires_in"] == 900
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"token={answer.json['access_token']};")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_log_in_replaces_a_hash_that_is_weaker_than_todays(settings, client, run_sql):
    ((weak,),) = run_sql("SELECT password_hash FROM users")
    with closing(create_app(settings, Passwords(memory_kib=64, passes=2))) as stronger:
        for _ in range(2):
            assert stronger.test_client().post("/auth", json=ADMIN).status_code == 200
            ((stored,),) = run_sql("SELECT password_hash FROM users")
            assert "m=64,t=2" in stored
    assert "m=8,t=1" in weak
    assert client.post("/auth", json=ADMIN).status_code == 200


def test_the_user_name_may_be_written_in_any_case(client):
    assert client.post("/auth", json={"username": "Admin", "password": "admin"}).status_code == 200


def test_a_wrong_password_and_an_unknown_user_get_the_same_answer(client):
    wrong = client.post("/auth", json={"username": "admin", "password": "wrong"})
    unknown = client.post("/auth", json={"username": "nobody", "password": "admin"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json["error"] == unknown.json["error"] == "Invalid username or password"
    assert wrong.json["code"] == unknown.json["code"] == "wrong_credentials"
    assert "Set-Cookie" not in wrong.headers


def test_a_form_is_not_json(client):
    answer = client.post("/auth", data=ADMIN)
    assert answer.status_code == 415
    assert answer.json["error"] == "Unsupported Media Type"


def test_json_in_name_only_is_refused(client):
    answer = client.post("/auth", data=b"{not json", content_type="application/json")
    assert answer.status_code == 400
    assert answer.json["code"] == "malformed_body"


def test_each_field_that_does_not_fit_is_named_and_none_is_echoed(client):
    answer = client.post("/auth", json={"username": 12345678, "password": ["secret1"]})
    assert answer.status_code == 422
    assert {entry["field"] for entry in answer.json["errors"]} == {"username", "password"}
    assert b"12345678" not in answer.data
    assert b"secret1" not in answer.data


def test_a_nul_character_is_a_field_that_does_not_fit(client):
    answer = client.post("/auth", json={"username": "admin\0", "password": "admin"})
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == "username"


def test_the_token_says_what_the_profile_for_access_tokens_asks_for(client):
    token = client.post("/auth", json=ADMIN).json["access_token"]
    assert jwt.get_unverified_header(token).keys() == {"alg", "typ", "kid"}
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims.keys() >= {"iss", "aud", "sub", "exp", "iat", "jti", "sid", "role", "scope", "client_id"}
    assert claims["aud"] == "shopfleet"
    assert claims["role"] == "admin"
    assert claims["exp"] - claims["iat"] == 900


def test_anybody_can_verify_the_token_with_the_published_keys(client):
    token = client.post("/auth", json=ADMIN).json["access_token"]
    answer = client.get("/.well-known/jwks.json")
    keys = jwt.PyJWKSet.from_dict(answer.json)
    key = keys[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, key, algorithms=["ES256"], audience="shopfleet")["role"] == "admin"
    assert all("d" not in entry for entry in answer.json["keys"])


def test_a_second_replica_and_the_next_start_use_the_same_key(app, settings):
    first = app.test_client().get("/.well-known/jwks.json").json
    with closing(create_app(settings)) as replica:
        second = replica.test_client().get("/.well-known/jwks.json").json
    assert first == second


def test_the_cookie_is_bound_to_the_host_in_production(settings, app):
    production = Settings(**{**settings.model_dump(), **PRODUCTION})
    with closing(create_app(production)) as strict:
        cookie = strict.test_client().post("/auth", json=ADMIN).headers["Set-Cookie"]
    assert cookie.startswith("__Host-token=")
    assert "Secure" in cookie


def test_whoever_is_in_sees_the_account_without_its_password(client):
    client.post("/auth", json=ADMIN)
    me = client.get("/auth/me")
    assert me.status_code == 200
    assert me.json.keys() == {"id", "username", "email", "role", "disabled", "created_at"}
    assert me.json["username"] == "admin"


def test_the_account_is_not_shown_without_a_token(client):
    assert client.get("/auth/me").json["error"] == "Authorization token is missing"
