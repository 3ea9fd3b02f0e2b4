"""Becoming a customer, and logging in, with or without having been a guest."""

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


def test_a_new_customer_is_in_at_once_and_can_come_back(client):
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
    }
    assert client.post("/auth", json=EVE).status_code == 200
    assert client.post("/auth/refresh").status_code == 200


def test_a_guest_who_registers_stays_the_same_and_the_guests_tokens_end(client, guest):
    answer = register(client, headers=bearer(guest["access_token"]))
    assert answer.status_code == 201
    before, after = claims_of(guest["access_token"]), claims_of(answer.json["access_token"])
    assert after["sub"] == before["sub"]
    assert after["role"] == "customer"
    assert after["sid"] != before["sid"]
    assert client.get("/auth/me", headers=bearer(guest["access_token"])).json["code"] == "token_invalid"
    old = client.post("/auth/refresh", json={"refresh_token": guest["refresh_token"]})
    assert old.status_code == 401


def test_the_cookie_is_as_good_as_the_header(client):
    sub = claims_of(client.post("/auth/guest").json["access_token"])["sub"]
    assert claims_of(register(client).json["access_token"])["sub"] == sub


@pytest.mark.parametrize("left", [None, "a token that has ended"])
def test_the_refresh_cookie_is_enough_when_the_token_is_gone(client, left):
    sub = claims_of(client.post("/auth/guest").json["access_token"])["sub"]
    client.delete_cookie("token")
    if left:
        client.set_cookie("token", left)
    assert claims_of(register(client).json["access_token"])["sub"] == sub


def test_a_bad_token_in_the_header_is_refused_before_a_cart_is_lost(client):
    for header in ("Bearer nonsense", "Bearer", "Basic eDp5"):
        answer = register(client, headers={"Authorization": header})
        assert answer.status_code == 401, header
    assert client.post("/auth", json=EVE).status_code == 401


def test_cookies_that_have_ended_stop_nobody_from_registering(client):
    client.set_cookie("token", "nonsense")
    client.set_cookie("refresh", "sfr_nonsense", path="/auth")
    assert register(client).status_code == 201


def test_whoever_has_an_account_is_told_so(client):
    token = register(client).json["access_token"]
    for headers in ({}, bearer(token)):
        answer = register(client, username="eve2", headers=headers)
        assert answer.status_code == 409
        assert answer.json["code"] == "already_registered"
    client.delete_cookie("token")
    assert register(client, username="eve2").json["code"] == "already_registered"


def test_a_service_is_no_person(client):
    grant = {
        "grant_type": "client_credentials",
        "client_id": "orders-service",
        "client_secret": "orders secret",
    }
    token = client.post("/auth/token", data=grant).json["access_token"]
    assert register(client, headers=bearer(token)).status_code == 403


def test_a_page_of_another_site_cannot_register_a_guest(client):
    client.post("/auth/guest")
    answer = register(client, headers={"Origin": "https://elsewhere.example"})
    assert answer.json["code"] == "cross_site"


@pytest.mark.parametrize("name", ["eve", "EVE", "Eve", "\uff45\uff56\uff45"])
def test_a_name_is_taken_in_whatever_way_it_is_written(client, app, name):
    register(app.test_client())
    answer = register(client, username=name)
    assert answer.status_code == 409
    assert answer.json["code"] == "username_taken"


def test_a_guest_whose_wish_is_taken_stays_a_guest(client, app):
    register(app.test_client())
    client.post("/auth/guest")
    assert register(client).json["code"] == "username_taken"
    assert client.get("/auth/me").json["role"] == "guest"


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
def test_a_name_that_cannot_be_had_is_refused_with_its_field(client, name):
    answer = register(client, username=name)
    assert answer.status_code == 422
    assert [entry["field"] for entry in answer.json["errors"]] == ["username"]


def test_a_refusal_of_a_name_is_a_sentence_for_people(client):
    (entry,) = register(client, username="guest-1").json["errors"]
    assert entry == {"location": "json", "field": "username", "detail": "must not begin with guest-"}


@pytest.mark.parametrize("name", ["Zoë", "李小龍", "eve@example.org", "two words", "Ω-3"])
def test_a_name_may_be_in_any_script(client, name):
    assert register(client, username=name).status_code == 201
    assert client.post("/auth", json={**EVE, "username": name}).status_code == 200


# Lists, rows of keys, sequences, repeats, years, and words with something around them.
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
# Of Evangeline Smith, eve.smith@example.org.
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
def test_a_password_of_another_length_is_refused_with_its_field(client, password):
    answer = register(client, password=password)
    assert answer.status_code == 422
    assert [entry["field"] for entry in answer.json["errors"]] == ["password"]
    assert password not in answer.text


def test_a_password_that_would_be_guessed_is_refused_with_its_field_and_the_reason(client):
    details = {"tried first": GUESSED, "must not be made from": DERIVED}
    person = {"username": "Evangeline Smith", "email": "eve.smith@example.org"}
    accepted = {}
    for detail, passwords in details.items():
        for password in passwords:
            answer = register(client, password=password, **person)
            entries = answer.json.get("errors", [{}])
            is_told = [entry.get("field") for entry in entries] == ["password"] and detail in answer.text
            if answer.json.get("code") != "weak_password" or not is_told or password in answer.text:
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
def test_any_other_password_will_do(client, password):
    assert register(client, password=password).status_code == 201
    assert client.post("/auth", json={**EVE, "password": password}).status_code == 200


def test_a_name_and_an_address_are_trimmed_and_a_password_is_kept(client):
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
def test_a_blank_address_is_none(client, email):
    token = register(client, email=email).json["access_token"]
    assert client.get("/auth/me", headers={"Authorization": f"Bearer {token}"}).json["email"] is None


@pytest.mark.parametrize(
    "email", ["eve", "@x", "e e@x", "eve@", "e\0@x", "e@x\r\nBcc: m@x", "x" * 250 + "@x.org"]
)
def test_an_address_that_is_none_is_refused(client, email):
    answer = register(client, email=email)
    assert answer.status_code == 422
    assert [entry["field"] for entry in answer.json["errors"]] == ["email"]


def test_a_log_in_takes_the_guest_along_and_ends_the_guests_session(client, guest):
    answer = client.post("/auth", json=ADMIN, headers=bearer(guest["access_token"]))
    claims = claims_of(answer.json["access_token"])
    assert claims["guest_sub"] == claims_of(guest["access_token"])["sub"]
    assert client.get("/auth/me", headers=bearer(guest["access_token"])).status_code == 401
    again = client.post("/auth/refresh", json={"refresh_token": answer.json["refresh_token"]})
    assert claims_of(again.json["access_token"])["guest_sub"] == claims["guest_sub"]


def test_a_log_in_takes_the_guest_of_the_cookies_along(client):
    sub = claims_of(client.post("/auth/guest").json["access_token"])["sub"]
    client.delete_cookie("token")
    claims = claims_of(client.post("/auth", json=ADMIN).json["access_token"])
    assert claims["guest_sub"] == sub


def test_a_log_in_in_place_of_another_is_nobodys_guest(client):
    register(client)
    assert "guest_sub" not in claims_of(client.post("/auth", json=ADMIN).json["access_token"])


@pytest.mark.parametrize("header", ["Bearer nonsense", "Bearer", "Basic eDp5"])
def test_a_program_that_still_sends_its_old_token_can_log_in_again(client, header):
    answer = client.post("/auth", json=ADMIN, headers={"Authorization": header})
    assert answer.status_code == 200
    assert "guest_sub" not in claims_of(answer.json["access_token"])


def test_a_failed_log_in_leaves_the_guest_as_it_was(client):
    client.post("/auth/guest")
    assert client.post("/auth", json={**ADMIN, "password": "wrong"}).status_code == 401
    assert client.get("/auth/me").json["role"] == "guest"


def change(client, current, new, headers=None):
    body = {"current_password": current, "new_password": new}
    return client.post("/auth/password", json=body, headers=headers)


def test_another_password_ends_every_session_and_begins_a_new_one(client, app):
    old = register(client).json
    other = app.test_client()
    elsewhere = other.post("/auth", json=EVE).json
    answer = change(client, EVE["password"], "another horse entirely")
    assert answer.status_code == 200
    assert answer.json.keys() == old.keys()
    assert client.get("/auth/me").json["username"] == "eve"
    for token in (old, elsewhere):
        assert other.get("/auth/me", headers=bearer(token["access_token"])).status_code == 401
        gone = other.post("/auth/refresh", json={"refresh_token": token["refresh_token"]})
        assert gone.status_code == 401
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


def test_a_new_password_has_to_be_a_good_one(client):
    register(client)
    for weak in ("short", "password123", "eve", "Password2024!", "eve-eve-2024"):
        answer = change(client, EVE["password"], weak)
        assert answer.status_code == 422
        assert [entry["field"] for entry in answer.json["errors"]] == ["new_password"]


def test_a_weak_new_password_costs_no_try_and_keeps_the_old_one(client, run_sql):
    register(client)
    before = run_sql("SELECT password_hash FROM users WHERE username = 'eve'")
    for _ in range(30):
        assert change(client, EVE["password"], "Password2024!").json["code"] == "weak_password"
    assert run_sql("SELECT password_hash FROM users WHERE username = 'eve'") == before
    assert client.post("/auth", json=EVE).status_code == 200


def test_a_password_of_before_stays_however_weak_it_is(client, database, passwords):
    with database.transaction() as connection:
        insert_user(connection, "bob", "customer", passwords.hash("Password2024!"))
    assert client.post("/auth", json={"username": "bob", "password": "Password2024!"}).status_code == 200


def test_a_guest_has_no_password_to_change(client):
    client.post("/auth/guest")
    assert change(client, "whatever it is", "another horse entirely").status_code == 403


def test_the_current_password_cannot_be_tried_out(client):
    register(client)
    for _ in range(10):
        assert change(client, "not this one", "another horse entirely").status_code == 422
    answer = change(client, EVE["password"], "another horse entirely")
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "1"
