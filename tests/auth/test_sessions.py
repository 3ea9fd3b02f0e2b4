"""Sessions: refresh, reuse and end."""

from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie

import pytest

from auth.issuer import TokenIssuer
from auth.repository.sessions import insert_sign_off
from auth.signing_keys import SigningKeys
from auth.use_cases.sessions import derive_successor
from tests.auth.conftest import ADMIN, PRODUCTION, bearer, claims_of


@pytest.fixture
def signed_in(client):
    answer = client.post("/auth", json=ADMIN).json
    # Each test sends its tokens explicitly.
    client.delete_cookie("token")
    client.delete_cookie("refresh", path="/auth")
    return answer


def refresh(client, token):
    return client.post("/auth/refresh", json={"refresh_token": token})


def cookies_of(answer):
    return {
        name: morsel
        for line in answer.headers.getlist("Set-Cookie")
        for name, morsel in SimpleCookie(line).items()
    }


def test_a_log_in_also_sets_both_tokens_as_cookies(client):
    answer = client.post("/auth", json=ADMIN)
    cookies = cookies_of(answer)
    assert cookies["token"].value == answer.json["access_token"]
    assert cookies["refresh"].value == answer.json["refresh_token"]
    assert cookies["refresh"]["path"] == "/auth"
    assert cookies["refresh"]["samesite"] == "Strict"
    assert cookies["refresh"]["httponly"]
    assert not cookies["refresh"]["secure"]
    assert cookies["refresh"]["max-age"] == str(7 * 24 * 3600)


def test_both_cookies_are_secure_in_production(make_replica):
    answer = make_replica(**PRODUCTION).test_client().post("/auth", json=ADMIN)
    assert cookies_of(answer)["refresh"]["secure"]
    assert cookies_of(answer)["__Host-token"]["secure"]
    assert cookies_of(answer)["__Host-token"]["path"] == "/"


def test_a_refresh_returns_new_tokens_of_the_same_session(client, signed_in):
    answer = refresh(client, signed_in["refresh_token"])
    assert answer.status_code == 200
    assert answer.json.keys() == signed_in.keys()
    assert answer.json["refresh_token"] != signed_in["refresh_token"]
    assert answer.json["refresh_token"].startswith("sfr_")
    before, after = claims_of(signed_in["access_token"]), claims_of(answer.json["access_token"])
    assert after["sid"] == before["sid"]
    assert after["jti"] != before["jti"]
    assert client.get("/auth/me", headers=bearer(answer.json["access_token"])).status_code == 200


def test_a_refresh_with_the_cookie_needs_no_body(client):
    client.post("/auth", json=ADMIN)
    client.delete_cookie("token")
    assert client.get("/auth/me").status_code == 401
    assert client.post("/auth/refresh").status_code == 200
    assert client.get("/auth/me").status_code == 200
    assert client.post("/auth/refresh", json={}).status_code == 200


def test_the_openapi_document_marks_the_refresh_body_as_optional(client):
    paths = client.get("/openapi.json").json["paths"]
    assert paths["/auth/refresh"]["post"]["requestBody"]["required"] is False
    assert paths["/auth"]["post"]["requestBody"]["required"] is True


def test_tokens_are_stored_as_hashes_only(client, signed_in, run_sql):
    second = refresh(client, signed_in["refresh_token"]).json["refresh_token"]
    stored = repr(run_sql("SELECT * FROM refresh_tokens")) + repr(run_sql("SELECT * FROM sessions"))
    assert len(run_sql("SELECT hash FROM refresh_tokens")) == 2
    for token in (signed_in["refresh_token"], second):
        assert token not in stored
        assert token.removeprefix("sfr_") not in stored


@pytest.mark.parametrize("token", ["", "sfr_", "sfr_" + "x" * 43, "nonsense", "ü" * 100])
def test_an_invalid_refresh_token_is_refused_and_the_cookies_are_cleared(client, token):
    client.post("/auth", json=ADMIN)
    answer = refresh(client, token)
    assert answer.status_code == 401
    assert answer.json["code"] == "refresh_token_invalid"
    assert client.get_cookie("token") is None
    assert client.get_cookie("refresh", path="/auth") is None


def test_a_call_without_any_refresh_token_is_refused(client):
    answer = client.post("/auth/refresh")
    assert answer.status_code == 401
    assert answer.json["code"] == "refresh_token_invalid"


@pytest.mark.parametrize(
    ("body", "status"),
    [({"data": b"x=1", "content_type": "text/plain"}, 415), ({"json": {"refresh_token": 5}}, 422)],
)
def test_a_refresh_body_must_be_valid(client, body, status):
    assert client.post("/auth/refresh", **body).status_code == status


def test_a_repeated_refresh_gets_the_same_successor_for_ten_seconds(client, signed_in, run_sql):
    first = refresh(client, signed_in["refresh_token"]).json["refresh_token"]
    again = refresh(client, signed_in["refresh_token"])
    assert again.status_code == 200
    assert again.json["refresh_token"] == first
    run_sql("UPDATE refresh_tokens SET used_at = used_at - interval '8 s' WHERE used_at IS NOT NULL")
    assert refresh(client, signed_in["refresh_token"]).json["refresh_token"] == first


def test_later_reuse_of_a_token_ends_the_whole_session(client, signed_in, run_sql, caplog):
    second = refresh(client, signed_in["refresh_token"]).json
    run_sql("UPDATE refresh_tokens SET used_at = used_at - interval '11 s' WHERE used_at IS NOT NULL")
    answer = refresh(client, signed_in["refresh_token"])
    assert answer.status_code == 401
    assert refresh(client, second["refresh_token"]).status_code == 401
    for token in (signed_in["access_token"], second["access_token"]):
        assert client.get("/auth/me", headers=bearer(token)).json["code"] == "token_invalid"
    (record,) = [each for each in caplog.records if vars(each).get("event.name") == "auth.refresh.reused"]
    assert record.levelname == "WARNING"
    assert vars(record)["audit.target"] == claims_of(second["access_token"])["sid"]


def test_a_token_whose_successor_was_used_cannot_be_repeated(client, signed_in):
    second = refresh(client, signed_in["refresh_token"]).json["refresh_token"]
    third = refresh(client, second).json["refresh_token"]
    assert refresh(client, signed_in["refresh_token"]).status_code == 401
    assert refresh(client, third).status_code == 401


def test_a_session_ends_after_a_week_without_use(client, signed_in, run_sql):
    run_sql("UPDATE refresh_tokens SET expires_at = now() - interval '1 s'")
    assert refresh(client, signed_in["refresh_token"]).status_code == 401


def test_a_session_ends_after_thirty_days_despite_use(client, signed_in, run_sql):
    run_sql("UPDATE sessions SET expires_at = now() + interval '1 hour'")
    answer = refresh(client, signed_in["refresh_token"])
    assert 3500 < int(cookies_of(answer)["refresh"]["max-age"]) <= 3600
    run_sql("UPDATE sessions SET expires_at = now() - interval '1 s'")
    assert refresh(client, answer.json["refresh_token"]).status_code == 401


def test_a_refresh_reads_the_current_role(client, signed_in, run_sql):
    run_sql("UPDATE users SET role = 'customer'")
    answer = refresh(client, signed_in["refresh_token"])
    assert claims_of(answer.json["access_token"])["role"] == "customer"


def test_a_disabled_user_cannot_refresh(client, signed_in, run_sql):
    run_sql("UPDATE users SET disabled = true")
    assert refresh(client, signed_in["refresh_token"]).status_code == 401


def test_the_next_token_depends_only_on_the_last_one_and_the_sessions_secret():
    assert derive_successor(b"secret", "sfr_a") == derive_successor(b"secret", "sfr_a")
    assert derive_successor(b"another", "sfr_a") != derive_successor(b"secret", "sfr_a")
    assert derive_successor(b"secret", "sfr_b") != derive_successor(b"secret", "sfr_a")


def test_a_log_out_ends_all_tokens_and_clears_the_cookies(client, signed_in):
    answer = client.post("/auth/logout", headers=bearer(signed_in["access_token"]))
    assert answer.status_code == 204
    assert answer.data == b""
    cleared = cookies_of(answer)
    assert cleared.keys() == {"token", "refresh"}
    assert all(morsel["max-age"] == "0" for morsel in cleared.values())
    assert cleared["refresh"]["path"] == "/auth"
    me = client.get("/auth/me", headers=bearer(signed_in["access_token"]))
    assert me.json["code"] == "token_invalid"
    assert refresh(client, signed_in["refresh_token"]).status_code == 401


def test_a_log_out_with_the_cookie_keeps_other_sessions(client, app):
    other = app.test_client()
    other.post("/auth", json=ADMIN)
    client.post("/auth", json=ADMIN)
    assert client.post("/auth/logout").status_code == 204
    assert client.get("/auth/me").status_code == 401
    assert other.get("/auth/me").status_code == 200


def test_a_token_without_a_session_can_be_signed_off(client, database, run_sql):
    """Releases without sessions issued such tokens."""
    ((admin,),) = run_sql("SELECT id FROM users")
    issuer = TokenIssuer(SigningKeys(database), "http://localhost:8080", 900)
    headers = bearer(issuer.issue(sub=str(admin), role="admin").access_token)
    assert client.get("/auth/me", headers=headers).status_code == 200
    assert client.post("/auth/logout", headers=headers).status_code == 204
    assert client.get("/auth/me", headers=headers).status_code == 401


def test_a_sign_off_is_kept_until_the_last_token_of_the_session_expires(client, signed_in, run_sql):
    client.post("/auth/logout", headers=bearer(signed_in["access_token"]))
    ((sid, seconds),) = run_sql("SELECT id, extract(epoch FROM until - now()) FROM sign_offs")
    assert sid == claims_of(signed_in["access_token"])["sid"]
    assert 900 < seconds <= 960


@pytest.fixture
def as_orders(client):
    grant = {
        "grant_type": "client_credentials",
        "client_id": "orders-service",
        "client_secret": "orders secret",
    }
    token = client.post("/auth/token", data=grant).json["access_token"]
    return {"X-Service-Authorization": f"Bearer {token}"}


def test_services_get_the_list_of_sign_offs(client, signed_in, as_orders):
    empty = client.get("/internal/signed-off", headers=as_orders)
    assert empty.json["ids"] == []
    client.post("/auth/logout", headers=bearer(signed_in["access_token"]))
    answer = client.get("/internal/signed-off", headers=as_orders)
    assert answer.json["ids"] == [claims_of(signed_in["access_token"])["sid"]]
    assert answer.json.keys() == {"ids", "as_of"}
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["ETag"] != empty.headers["ETag"]


def test_an_unchanged_list_is_not_sent_again(client, signed_in, as_orders):
    client.post("/auth/logout", headers=bearer(signed_in["access_token"]))
    etag = client.get("/internal/signed-off", headers=as_orders).headers["ETag"]
    assert not etag.startswith("W/")
    answer = client.get("/internal/signed-off", headers={**as_orders, "If-None-Match": etag})
    assert answer.status_code == 304
    assert answer.data == b""
    assert answer.headers["ETag"] == etag


def test_the_list_is_sorted_and_omits_expired_sign_offs(client, as_orders, run_sql):
    run_sql("INSERT INTO sign_offs VALUES ('b', now() + interval '1 h'), ('c', now() - interval '1 s')")
    run_sql("INSERT INTO sign_offs VALUES ('a', now() + interval '1 h')")
    assert client.get("/internal/signed-off", headers=as_orders).json["ids"] == ["a", "b"]


def get_changes(client, headers, since):
    answer = client.get("/internal/signed-off", query_string={"since": since}, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json["since"]
    return answer


def test_services_get_only_sign_offs_since_the_last_response(client, as_orders, run_sql):
    run_sql(
        "INSERT INTO sign_offs SELECT 'old' || number, now() + interval '1 h', now() - interval '1 h'"
        " FROM generate_series(1, 5000) AS number"
    )
    whole = client.get("/internal/signed-off", headers=as_orders)
    run_sql("INSERT INTO sign_offs VALUES ('b', now() + interval '1 h'), ('over', now() - interval '1 s')")
    run_sql("INSERT INTO sign_offs VALUES ('a', now() + interval '1 h')")
    new = get_changes(client, as_orders, whole.json["as_of"])
    assert len(whole.json["ids"]) == 5000
    assert new.json["ids"] == ["a", "b"]
    assert "ETag" not in new.headers
    assert len(new.data) < len(whole.data) / 100
    run_sql("UPDATE sign_offs SET changed_at = now() - interval '31 s' WHERE id = 'a'")
    assert get_changes(client, as_orders, new.json["as_of"]).json["ids"] == ["b"]


def test_a_sign_off_that_is_committed_late_is_included(client, as_orders, database):
    with database.transaction() as connection:
        insert_sign_off(connection, "late", datetime.now(UTC) + timedelta(hours=1))
        before = client.get("/internal/signed-off", headers=as_orders).json
    assert before["ids"] == []
    assert get_changes(client, as_orders, before["as_of"]).json["ids"] == ["late"]


def test_an_extended_sign_off_is_new_again(client, as_orders, database, run_sql):
    run_sql("INSERT INTO sign_offs VALUES ('a', now() - interval '1 s', now() - interval '1 h')")
    as_of = client.get("/internal/signed-off", headers=as_orders).json["as_of"]
    with database.transaction() as connection:
        insert_sign_off(connection, "a", datetime.now(UTC) + timedelta(hours=1))
    assert get_changes(client, as_orders, as_of).json["ids"] == ["a"]


def test_an_invalid_time_is_refused_with_its_field(client, as_orders):
    for since in ("", "yesterday", "1767225600", "2026-01-01"):
        answer = client.get("/internal/signed-off", query_string={"since": since}, headers=as_orders)
        assert answer.status_code == 422, since
        assert answer.json["errors"][0]["field"] == "since"


def test_polling_leaves_no_access_record(client, as_orders, caplog):
    caplog.set_level("INFO")
    caplog.clear()
    paths = ("/internal/signed-off", "/.well-known/jwks.json", "/auth/me")
    statuses = [client.get(path, headers=as_orders).status_code for path in paths]
    records = [record.getMessage() for record in caplog.records if record.name == "shopfleet.access"]
    assert statuses == [200, 200, 401]
    assert records == ["GET /auth/me 401"]
