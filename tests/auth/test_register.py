"""Registration, log-in as a guest, and password changes."""

import pytest

from auth.repository.users import insert_user
from tests.auth.conftest import ADMIN, EVE, bearer, claims_of


@pytest.fixture
def guest(client):
    answer = client.post("/auth/guest").json
    client.delete_cookie("token")
    client.delete_cookie("refresh", path="/auth")
    return answer


def register(client, headers=None, **changed):
    return client.post("/auth/register", json={**EVE, **changed}, headers=headers)


def test_a_new_customer_is_signed_in_and_can_log_in_again(client):
    answer = register(client, email="eve@example.org")
    assert answer.status_code == 201
    assert answer.json["message"] == "Authentication successful"
    claims = claims_of(answer.json["access_token"])
    assert claims["role"] == "customer"
    assert client.get("/auth/me").json | {"created_at": "x"} == {
        "id": claims["sub"],
        "username": "eve",
        "email": "eve@example.org",
        "role": "customer",
        "disabled": False,
        "created_at": "x",
        "email_verified": False,
        "has_totp": False,
        "totp_required": False,
        "recovery_codes_left": 0,
    }
    assert client.post("/auth", json=EVE).status_code == 200
    assert client.post("/auth/refresh").status_code == 200


def test_a_guest_who_registers_keeps_the_id_and_the_guests_tokens_end(client, guest):
    answer = register(client, headers=bearer(guest["access_token"]))
    assert answer.status_code == 201
    before, after = claims_of(guest["access_token"]), claims_of(answer.json["access_token"])
    assert after["sub"] == before["sub"]
    assert after["role"] == "customer"
    assert after["sid"] != before["sid"]
    assert client.get("/auth/me", headers=bearer(guest["access_token"])).json["code"] == "token_invalid"
    old = client.post("/auth/refresh", json={"refresh_token": guest["refresh_token"]})
    assert old.status_code == 401


def test_a_guest_can_register_with_the_cookie(client):
    sub = claims_of(client.post("/auth/guest").json["access_token"])["sub"]
    assert claims_of(register(client).json["access_token"])["sub"] == sub


@pytest.mark.parametrize("left", [None, "an expired token"])
def test_a_guest_can_register_with_the_refresh_cookie_alone(client, left):
    sub = claims_of(client.post("/auth/guest").json["access_token"])["sub"]
    client.delete_cookie("token")
    if left:
        client.set_cookie("token", left)
    assert claims_of(register(client).json["access_token"])["sub"] == sub


def test_a_bad_token_in_the_header_is_refused_so_that_no_cart_is_lost(client):
    for header in ("Bearer nonsense", "Bearer", "Basic eDp5"):
        answer = register(client, headers={"Authorization": header})
        assert answer.status_code == 401, header
    assert client.post("/auth", json=EVE).status_code == 401


def test_expired_cookies_do_not_prevent_a_registration(client):
    client.set_cookie("token", "nonsense")
    client.set_cookie("refresh", "sfr_nonsense", path="/auth")
    assert register(client).status_code == 201


def test_a_signed_in_customer_cannot_register_again(client):
    token = register(client).json["access_token"]
    for headers in ({}, bearer(token)):
        answer = register(client, username="eve2", headers=headers)
        assert answer.status_code == 409
        assert answer.json["code"] == "already_registered"
    client.delete_cookie("token")
    assert register(client, username="eve2").json["code"] == "already_registered"


@pytest.mark.parametrize(
    "name",
    [
        "ab",
        "x" * 151,
        "e\nve",
        "e\x7fve",
        "e\u200bve",
        "guest-eve",
        "GUEST-1",
        "\ufdfa" * 20,
        "e\0ve",
    ],
)
def test_an_invalid_name_is_refused_with_its_field(client, name):
    answer = register(client, username=name)
    assert answer.status_code == 422
    assert [entry["field"] for entry in answer.json["errors"]] == ["username"]


# Common passwords, rows of keys, sequences, repeats, years, and words with additions.
GUESSED = [
    *("password1", "PassW0rd", "Password2024!", "letmein12", "Summer2025!", "Welcome123!", "iloveyou2!"),
    *("12345678", "12345678901", "abcdefgh1", "zzzzzzzzz", "aaaaaaab", "abc123abc123", "qwertyuiop12"),
    *(
        "1q2w3e4r5t",
        "drowssap1",
        "P@55w0rd!",
        "19840612",
        "monkey!monkey!",
        "x" * 1023 + "y",
        "🐧" * 7 + "🐠",
    ),
]
# Passwords of Evangeline Smith, eve.smith@example.org.
DERIVED = [
    *("evangeline smith", "Evangeline", "evangeline1987!", "...evangeline...", "3v4ng3l!n3", "enilegnave99"),
    *(
        "evangelineEvangeline",
        "evangeline-evangeline-1",
        "evangelinesmith",
        "Evangeline.Smith7",
        "smith12345678",
    ),
    *("eve.smith@example.org", "evesmith2024", "htims.eve!", "example1!", "\uff45vangel\u00efne"),
    *(
        "shopfleet",
        "Shopfleet!",
        "5h0pfl33t",
        "teelfpohs1",
        "Shop-Fleet",
        "shopfleetshopfleet",
        "1234shopfleet",
    ),
]


@pytest.mark.parametrize("password", ["short77", "x" * 1025])
def test_a_password_with_a_wrong_length_is_refused_with_its_field(client, password):
    answer = register(client, password=password)
    assert answer.status_code == 422
    assert [entry["field"] for entry in answer.json["errors"]] == ["password"]
    assert password not in answer.text


def test_a_weak_password_is_refused_with_its_field_and_the_reason(client):
    details = {"too easy to guess": GUESSED, "must not be based on": DERIVED}
    person = {"username": "Evangeline Smith", "email": "eve.smith@example.org"}
    accepted = {}
    for detail, passwords in details.items():
        for password in passwords:
            answer = register(client, password=password, **person)
            entries = answer.json.get("errors", [{}])
            has_reason = [entry.get("field") for entry in entries] == ["password"] and detail in answer.text
            if answer.json.get("code") != "weak_password" or not has_reason or password in answer.text:
                accepted[password] = answer.text
    assert accepted == {}


@pytest.mark.parametrize(
    "password",
    [
        *(
            "x y z x y z",
            "no rules but length",
            "🐧🐠🦀🐙🐳🦑🐡🦐",
            "h8Gs7qLp",
            "x" * 1009 + "y z w v q p k j",
        ),
        *("eve has a long phrase", "passwords are not words", "correct horse battery shopfleet"),
    ],
)
def test_a_strong_password_is_accepted(client, password):
    assert register(client, password=password).status_code == 201
    assert client.post("/auth", json={**EVE, "password": password}).status_code == 200


def test_names_and_addresses_are_trimmed_and_passwords_are_not(client):
    password = "  a good pass phrase "
    body = {"username": " eve\u00a0", "password": password, "email": " eve@example.com "}
    token = client.post("/auth/register", json=body).json["access_token"]
    me = client.get("/auth/me", headers={"Authorization": f"Bearer {token}"}).json
    assert (me["username"], me["email"]) == ("eve", "eve@example.com")
    statuses = [
        client.post("/auth", json={"username": name, "password": sent}).status_code
        for name, sent in [("eve", password), (" eve ", password), ("eve", password.strip())]
    ]
    assert statuses == [200, 200, 401]


@pytest.mark.parametrize("email", ["", " ", None])
def test_a_blank_address_counts_as_missing(client, email):
    token = register(client, email=email).json["access_token"]
    assert client.get("/auth/me", headers={"Authorization": f"Bearer {token}"}).json["email"] is None


@pytest.mark.parametrize(
    "email", ["eve", "@x", "e e@x", "eve@", "e\0@x", "e@x\r\nBcc: m@x", "x" * 250 + "@x.org"]
)
def test_a_malformed_address_is_refused(client, email):
    answer = register(client, email=email)
    assert answer.status_code == 422
    assert [entry["field"] for entry in answer.json["errors"]] == ["email"]


def test_a_log_in_links_the_guest_and_ends_the_guests_session(client, guest):
    answer = client.post("/auth", json=ADMIN, headers=bearer(guest["access_token"]))
    claims = claims_of(answer.json["access_token"])
    assert claims["guest_sub"] == claims_of(guest["access_token"])["sub"]
    assert client.get("/auth/me", headers=bearer(guest["access_token"])).status_code == 401
    again = client.post("/auth/refresh", json={"refresh_token": answer.json["refresh_token"]})
    assert claims_of(again.json["access_token"])["guest_sub"] == claims["guest_sub"]


def test_a_log_in_links_the_guest_from_the_cookies(client):
    sub = claims_of(client.post("/auth/guest").json["access_token"])["sub"]
    client.delete_cookie("token")
    claims = claims_of(client.post("/auth", json=ADMIN).json["access_token"])
    assert claims["guest_sub"] == sub


def test_a_log_in_of_a_signed_in_customer_links_no_guest(client):
    register(client)
    assert "guest_sub" not in claims_of(client.post("/auth", json=ADMIN).json["access_token"])


@pytest.mark.parametrize("header", ["Bearer nonsense", "Bearer", "Basic eDp5"])
def test_a_client_that_sends_an_invalid_token_can_log_in(client, header):
    answer = client.post("/auth", json=ADMIN, headers={"Authorization": header})
    assert answer.status_code == 200
    assert "guest_sub" not in claims_of(answer.json["access_token"])


def test_a_failed_log_in_does_not_change_the_guest(client):
    client.post("/auth/guest")
    assert client.post("/auth", json={**ADMIN, "password": "wrong"}).status_code == 401
    assert client.get("/auth/me").json["role"] == "guest"


def change(client, current, new, headers=None):
    body = {"current_password": current, "new_password": new}
    return client.post("/auth/password", json=body, headers=headers)


def test_a_new_password_ends_all_sessions_and_starts_a_new_one(client, app):
    old = register(client).json
    other = app.test_client()
    elsewhere = other.post("/auth", json=EVE).json
    answer = change(client, EVE["password"], "another horse entirely")
    assert answer.status_code == 200
    assert answer.json.keys() == old.keys()
    assert client.get("/auth/me").json["username"] == "eve"
    for token in (old, elsewhere):
        assert other.get("/auth/me", headers=bearer(token["access_token"])).status_code == 401
        ended = other.post("/auth/refresh", json={"refresh_token": token["refresh_token"]})
        assert ended.status_code == 401
    assert other.post("/auth", json=EVE).status_code == 401
    assert other.post("/auth", json={**EVE, "password": "another horse entirely"}).status_code == 200


def test_a_wrong_current_password_changes_nothing(client):
    register(client)
    answer = change(client, "not this one", "another horse entirely")
    assert answer.status_code == 422
    assert answer.json["code"] == "wrong_password"
    assert [entry["field"] for entry in answer.json["errors"]] == ["current_password"]
    assert client.get("/auth/me").status_code == 200
    assert client.post("/auth", json=EVE).status_code == 200


def test_a_new_password_must_be_strong(client):
    register(client)
    for weak in ("short", "password123", "eve", "Password2024!", "eve-eve-2024"):
        answer = change(client, EVE["password"], weak)
        assert answer.status_code == 422
        assert [entry["field"] for entry in answer.json["errors"]] == ["new_password"]


def test_a_weak_new_password_does_not_count_as_a_try_and_changes_nothing(client, run_sql):
    register(client)
    before = run_sql("SELECT password_hash FROM users WHERE username = 'eve'")
    for _ in range(30):
        assert change(client, EVE["password"], "Password2024!").json["code"] == "weak_password"
    assert run_sql("SELECT password_hash FROM users WHERE username = 'eve'") == before
    assert client.post("/auth", json=EVE).status_code == 200


def test_an_existing_weak_password_stays_valid(client, database, passwords):
    with database.transaction() as connection:
        insert_user(connection, "bob", "customer", passwords.hash("Password2024!"))
    assert client.post("/auth", json={"username": "bob", "password": "Password2024!"}).status_code == 200


def test_guessing_the_current_password_is_slowed_down(client):
    register(client)
    for _ in range(10):
        assert change(client, "not this one", "another horse entirely").status_code == 422
    answer = change(client, EVE["password"], "another horse entirely")
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "1"
