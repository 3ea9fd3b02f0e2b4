"""The tutorial's log-in."""

from contextlib import closing

import jwt

from auth.app import create_app
from auth.passwords import Passwords

ADMIN = {"username": "admin", "password": "admin"}


def test_correct_credentials_get_a_token_a_message_and_a_cookie(client):
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


def test_a_log_in_replaces_an_outdated_hash(settings, client, run_sql):
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
    unknown = client.post("/auth", json={"username": "unknown", "password": "admin"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json["error"] == unknown.json["error"] == "Invalid username or password"
    assert wrong.json["code"] == unknown.json["code"] == "wrong_credentials"
    assert "Set-Cookie" not in wrong.headers


def test_a_form_is_an_unsupported_media_type(client):
    answer = client.post("/auth", data=ADMIN)
    assert answer.status_code == 415
    assert answer.json["error"] == "Unsupported Media Type"


def test_malformed_json_is_refused(client):
    answer = client.post("/auth", data=b"{not json", content_type="application/json")
    assert answer.status_code == 400
    assert answer.json["code"] == "malformed_body"


def test_invalid_fields_are_named_and_not_echoed(client):
    answer = client.post("/auth", json={"username": 12345678, "password": ["secret1"]})
    assert answer.status_code == 422
    assert {entry["field"] for entry in answer.json["errors"]} == {"username", "password"}
    assert b"12345678" not in answer.data
    assert b"secret1" not in answer.data


def test_a_nul_character_makes_a_field_invalid(client):
    answer = client.post("/auth", json={"username": "admin\0", "password": "admin"})
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == "username"


def test_the_token_has_the_claims_that_rfc_9068_requires(client):
    token = client.post("/auth", json=ADMIN).json["access_token"]
    assert jwt.get_unverified_header(token).keys() == {"alg", "typ", "kid"}
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims.keys() >= {"iss", "aud", "sub", "exp", "iat", "jti", "sid", "role", "scope", "client_id"}
    assert claims["aud"] == "shopfleet"
    assert claims["role"] == "admin"
    assert claims["exp"] - claims["iat"] == 900


def test_the_published_keys_verify_the_token(client):
    token = client.post("/auth", json=ADMIN).json["access_token"]
    answer = client.get("/.well-known/jwks.json")
    keys = jwt.PyJWKSet.from_dict(answer.json)
    key = keys[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, key, algorithms=["ES256"], audience="shopfleet")["role"] == "admin"
    assert all("d" not in entry for entry in answer.json["keys"])


def test_a_signed_in_user_sees_the_account_without_its_password(client):
    client.post("/auth", json=ADMIN)
    me = client.get("/auth/me")
    assert me.status_code == 200
    assert me.json.keys() == {
        *("id", "username", "email", "email_verified", "role", "disabled", "created_at"),
        *("has_totp", "totp_required", "recovery_codes_left"),
    }
    assert me.json["username"] == "admin"


def test_the_account_is_not_shown_without_a_token(client):
    assert client.get("/auth/me").json["error"] == "Authorization token is missing"
