"""Admins' routes for users and their sessions."""

from concurrent.futures import ThreadPoolExecutor
from typing import get_args
from uuid import UUID

import pytest

from auth.domain.accounts import AccountRole, Visitor
from auth.errors import LastAdmin
from auth.use_cases.admin import change_user, list_users
from shared.context import Caller
from shared.ids import new_id
from shared.roles import REGISTERED
from tests.auth.conftest import EVE, bearer, claims_of

BOB = {"username": "bob", "password": "another horse battery", "email": "bob@example.org"}


@pytest.fixture
def join(app):
    """Register a person in a new browser; return the account's id and the response."""

    def register(person=EVE):
        answer = app.test_client().post("/auth/register", json=person)
        assert answer.status_code == 201, answer.text
        return claims_of(answer.json["access_token"])["sub"], answer.json

    return register


def find_id(client, admin, name):
    [user] = client.get(f"/auth/users?q={name}", headers=admin).json["data"]
    return user["id"]


def give_role(role, password="admin"):
    """Return a change of role by the demo admin, who has this password."""
    return {"role": role, "current_password": password}


def promote(client, admin, user_id):
    answer = client.patch(f"/auth/users/{user_id}", json=give_role("admin"), headers=admin)
    assert answer.status_code == 200


def test_users_are_listed_newest_first_without_passwords(client, admin, join):
    eve, _ = join()
    listed = client.get("/auth/users", headers=admin).json
    assert listed["next"] is None
    assert [user["username"] for user in listed["data"]] == ["eve", "admin"]
    members = {"id", "username", "email", "email_verified", "role", "disabled", "created_at", "has_totp"}
    assert listed["data"][0].keys() == members
    assert client.get(f"/auth/users/{eve}", headers=admin).json == listed["data"][0]


def test_users_are_listed_in_pages(client, admin):
    for _ in range(6):
        client.post("/auth/guest")
    seen, path = [], "/auth/users?limit=3"
    while path:
        page = client.get(path, headers=admin).json
        assert len(page["data"]) <= 3
        seen += [user["id"] for user in page["data"]]
        path = f"/auth/users?limit=3&cursor={page['next']}" if page["next"] else None
    assert len(seen) == len(set(seen)) == 7


def test_users_are_searched_and_filtered(client, admin, join):
    eve, _ = join()
    join(BOB)
    client.patch(f"/auth/users/{eve}", json={"disabled": True}, headers=admin)
    expected = {
        "q=BO": ["bob"],
        "q=example.org": ["bob"],
        "q=%25": [],
        "q=_": [],
        "q=%5C": [],
        "q=unknown": [],
        "role=admin": ["admin"],
        "role=customer": ["bob", "eve"],
        "role=guest": [],
        "disabled=true": ["eve"],
        "disabled=false&role=customer": ["bob"],
        "role=customer&q=e": ["bob", "eve"],
    }
    found = {
        query: [user["username"] for user in client.get(f"/auth/users?{query}", headers=admin).json["data"]]
        for query in expected
    }
    assert found == expected


def test_users_are_found_with_and_without_accents(client, admin, join):
    people = {
        "K\u00f6ln": "ko\u0308ln@example.org",  # The address is decomposed.
        "Jos\u00e9 50%_": "jos\u00e9@b\u00fccher.example",
        "\u0141\u00f3d\u017a": None,
        "Stra\u00dfe \u00c6\u00d8\u0110": None,
        "I\u015f\u0131k": None,
        "\u039f\u0394\u039f\u03a3": None,
        "\u30d1\u30f3\u5c4b": None,
    }
    for name, email in people.items():
        person = {**EVE, "username": name} | ({"email": email} if email else {})
        join(person)
    expected = {
        "K\u00f6ln": ["koln", "KOLN", "k\u00f6ln", "ko\u0308ln", "K\u00d6LN@", "\uff4bo\u0308ln"],
        "Jos\u00e9 50%_": ["jose", "jose\u0301", "0%_", "%", "_", "bucher.ex", "b\u00fbcher", "E 5"],
        "\u0141\u00f3d\u017a": ["lodz", "\u0142\u00d3dz\u0301", "LODZ"],
        "Stra\u00dfe \u00c6\u00d8\u0110": [
            "strasse",
            "STRASSE AEOD",
            "stra\u1e9ee",
            "\u00e6\u00f8\u0111",
            "\u017ftra\u00df",
        ],
        "I\u015f\u0131k": ["isik", "I\u015eIK", "i\u015fik", "\u0130\u015eIK"],
        "\u039f\u0394\u039f\u03a3": ["\u03bf\u03b4\u03bf\u03c2", "\u1f41\u03b4\u03cc\u03c3"],
        "\u30d1\u30f3\u5c4b": ["\u30cf\u309a\u30f3", "\uff8a\uff9f\uff9d"],
    }
    # Neither accents alone nor patterns find all users.
    nothing = ["\u0301", "\u0308\u0301", "k%n", "k_ln", "\\", "/", "kolln"]
    wrong = {}
    for name, queries in {**expected, None: nothing}.items():
        for query in queries:
            answer = client.get("/auth/users", query_string={"q": query}, headers=admin)
            found = [user["username"] for user in answer.json["data"]]
            if found != [name] * (name is not None):
                wrong[query] = found
    assert wrong == {}


def test_a_user_is_found_by_id(client, admin, join):
    eve, _ = join()
    assert [user["id"] for user in client.get(f"/auth/users?q={eve}", headers=admin).json["data"]] == [eve]


def test_a_query_that_fails_validation_is_refused(client, admin):
    queries = [
        *("role=service", "disabled=perhaps", "q=", "q=a%00b"),
        *("limit=0", "limit=101", "cursor=x", "sort=name"),
    ]
    answers = {query: client.get(f"/auth/users?{query}", headers=admin) for query in queries}
    assert {
        query: (answer.status_code, answer.json.get("code")) for query, answer in answers.items()
    } == dict.fromkeys(queries, (422, "validation_failed"))


def test_a_new_role_takes_effect_at_once_and_ends_all_sessions(client, admin, join):
    eve, signed_in = join()
    answer = client.patch(f"/auth/users/{eve}", json=give_role("admin"), headers=admin)
    assert answer.status_code == 200
    assert answer.json["role"] == "admin"
    assert client.post("/auth/refresh", json={"refresh_token": signed_in["refresh_token"]}).status_code == 401
    again = client.post("/auth", json={"username": "eve", "password": EVE["password"]}).json
    assert claims_of(again["access_token"])["role"] == "admin"
    assert client.get("/auth/users", headers=bearer(again["access_token"])).status_code == 200


def test_a_disabled_account_is_refused_by_all_replicas_until_it_is_enabled(client, admin, join, make_replica):
    eve, signed_in = join()
    other = make_replica().test_client()
    assert other.get("/auth/me", headers=bearer(signed_in["access_token"])).status_code == 200
    assert client.patch(f"/auth/users/{eve}", json={"disabled": True}, headers=admin).json["disabled"] is True
    # A new replica has no copy of the sign-offs yet and reads them.
    third = make_replica().test_client()
    assert third.get("/auth/me", headers=bearer(signed_in["access_token"])).status_code == 401
    assert other.post("/auth/refresh", json={"refresh_token": signed_in["refresh_token"]}).status_code == 401
    assert other.post("/auth", json=EVE).status_code == 401
    client.patch(f"/auth/users/{eve}", json={"disabled": False}, headers=admin)
    assert other.post("/auth", json=EVE).status_code == 200
    assert third.get("/auth/me", headers=bearer(signed_in["access_token"])).status_code == 401


def test_a_change_without_effect_ends_no_session(client, admin, join, caplog):
    eve, signed_in = join()
    answer = client.patch(
        f"/auth/users/{eve}", json=give_role("customer") | {"disabled": False}, headers=admin
    )
    assert answer.status_code == 200
    assert client.post("/auth/refresh", json={"refresh_token": signed_in["refresh_token"]}).status_code == 200
    assert not [record for record in caplog.records if "role_changed" in str(vars(record))]


def test_a_change_that_fails_validation_is_refused(client, admin, join):
    eve, _ = join()
    changes = [
        *({}, give_role("guest"), give_role("service"), give_role("owner"), {"disabled": "true"}),
        *(
            {"username": "x"},
            {"role": None},
            [],
            {"current_password": "admin"},
            give_role("clerk", ["admin"]),
        ),
    ]
    accepted = [
        change
        for change in changes
        if client.patch(f"/auth/users/{eve}", json=change, headers=admin).status_code != 422
    ]
    assert accepted == []


@pytest.mark.parametrize("role", ["customer", "clerk", "editor", "admin"])
def test_a_guest_must_register_before_getting_a_role(client, admin, role):
    guest = claims_of(client.post("/auth/guest").json["access_token"])["sub"]
    answer = client.patch(f"/auth/users/{guest}", json=give_role(role), headers=admin)
    assert answer.status_code == 409
    assert answer.json["code"] == "not_registered"
    assert client.patch(f"/auth/users/{guest}", json={"disabled": True}, headers=admin).status_code == 200


@pytest.mark.parametrize("change", [give_role("customer"), give_role("clerk"), {"disabled": True}])
def test_the_last_admin_cannot_be_removed(client, admin, join, change):
    me = find_id(client, admin, "admin")
    answer = client.patch(f"/auth/users/{me}", json=change, headers=admin)
    assert answer.status_code == 409
    assert answer.json["code"] == "last_admin"
    assert client.get("/auth/users", headers=admin).status_code == 200
    # A disabled admin does not count.
    eve, _ = join()
    promote(client, admin, eve)
    client.patch(f"/auth/users/{eve}", json={"disabled": True}, headers=admin)
    assert client.patch(f"/auth/users/{me}", json=change, headers=admin).status_code == 409
    client.patch(f"/auth/users/{eve}", json={"disabled": False}, headers=admin)
    assert client.patch(f"/auth/users/{me}", json=change, headers=admin).status_code == 200


@pytest.mark.parametrize("change", [{"role": "customer"}, {"disabled": True}])
def test_of_two_admins_who_remove_each_other_concurrently_one_stays(
    database, passwords, client, admin, join, run_sql, change
):
    me = UUID(find_id(client, admin, "admin"))
    both = [UUID(join()[0]), me]
    caller = Caller(str(me), "admin", "shop", "", None, 0, "")

    def make_change(user_id):
        change_user(
            database, passwords, user_id, change, "admin", caller=caller, visitor=Visitor("192.0.2.1")
        )

    for _ in range(10):
        run_sql("UPDATE users SET role = 'admin', disabled = false")
        with ThreadPoolExecutor(2) as pool:
            tries = [pool.submit(make_change, user_id) for user_id in both]
        refused = [each.exception() for each in tries if each.exception()]
        assert [type(refusal) for refusal in refused] == [LastAdmin]
        assert len(list_users(database, role="admin", disabled=False, limit=3, before=None)[0]) == 1


def test_an_admin_lists_and_ends_the_sessions_of_a_user(client, admin, join, app):
    eve, first = join()
    browser = app.test_client().post("/auth", json=EVE, headers={"User-Agent": "Browser/1"})
    path = f"/auth/users/{eve}/sessions"
    listed = client.get(path, headers=admin).json["data"]
    assert [each["id"] for each in listed] == [
        claims_of(browser.json["access_token"])["sid"],
        claims_of(first["access_token"])["sid"],
    ]
    assert listed[0].keys() == {"id", "created_at", "last_used_at", "expires_at", "address", "user_agent"}
    assert listed[0]["user_agent"] == "Browser/1"
    assert listed[0]["address"] == "127.0.0.1"
    assert client.delete(f"{path}/{listed[0]['id']}", headers=admin).status_code == 204
    refused = client.post("/auth/refresh", json={"refresh_token": browser.json["refresh_token"]})
    assert refused.status_code == 401
    assert client.post("/auth/refresh", json={"refresh_token": first["refresh_token"]}).status_code == 200
    assert [each["id"] for each in client.get(path, headers=admin).json["data"]] == [listed[1]["id"]]
    assert client.delete(f"{path}/{listed[0]['id']}", headers=admin).status_code == 404


def test_an_admin_signs_a_user_out_everywhere(client, admin, join, app, make_replica):
    eve, first = join()
    second = app.test_client().post("/auth", json=EVE).json
    path = f"/auth/users/{eve}/sessions"
    assert client.delete(path, headers=admin).status_code == 204
    assert client.get(path, headers=admin).json == {"data": [], "next": None}
    replica = make_replica().test_client()
    for signed_in in (first, second):
        assert replica.get("/auth/me", headers=bearer(signed_in["access_token"])).status_code == 401
        again = replica.post("/auth/refresh", json={"refresh_token": signed_in["refresh_token"]})
        assert again.status_code == 401
    assert client.delete(path, headers=admin).status_code == 204
    assert replica.post("/auth", json=EVE).status_code == 200


def test_a_session_can_be_ended_only_under_its_own_user(client, admin, join):
    eve, signed_in = join()
    bob, _ = join(BOB)
    session = claims_of(signed_in["access_token"])["sid"]
    assert client.delete(f"/auth/users/{bob}/sessions/{session}", headers=admin).status_code == 404
    assert len(client.get(f"/auth/users/{eve}/sessions", headers=admin).json["data"]) == 1


def test_an_unknown_user_is_not_found(client, admin):
    for path in (f"/auth/users/{new_id()}", "/auth/users/x"):
        assert client.get(path, headers=admin).status_code == 404
        assert client.patch(path, json=give_role("admin"), headers=admin).status_code == 404
        assert client.get(f"{path}/sessions", headers=admin).status_code == 404
        assert client.delete(f"{path}/sessions", headers=admin).status_code == 404
        assert client.delete(f"{path}/sessions/{new_id()}", headers=admin).status_code == 404


def test_the_audit_trail_records_each_change(client, admin, join, caplog):
    eve, signed_in = join()
    session = claims_of(signed_in["access_token"])["sid"]
    client.delete(f"/auth/users/{eve}/sessions/{session}", headers=admin)
    for change in (give_role("admin"), {"disabled": True}, {"disabled": False}):
        client.patch(f"/auth/users/{eve}", json=change, headers=admin)
    me = find_id(client, admin, "admin")
    trail = [vars(record) for record in caplog.records if record.name == "shopfleet.audit"]
    done = [entry for entry in trail if entry.get("user.id") == me and entry.get("audit.target") == eve]
    assert [entry["event.name"] for entry in done] == [
        "auth.session.ended",
        "auth.user.role_changed",
        "auth.user.disabled",
        "auth.user.enabled",
    ]
    assert done[0]["audit.sessions"] == [session]
    assert (done[1]["audit.old"], done[1]["audit.new"]) == ("customer", "admin")


def read_trail(caplog, event):
    return [
        vars(record)
        for record in caplog.records
        if record.name == "shopfleet.audit" and vars(record)["event.name"] == event
    ]


def test_an_admin_gives_each_role_to_a_user_who_then_has_it(client, admin, join, caplog):
    assert set(get_args(AccountRole)) == REGISTERED
    eve, _ = join()
    for role in ("clerk", "editor", "admin", "customer"):
        answer = client.patch(f"/auth/users/{eve}", json=give_role(role), headers=admin)
        assert (answer.status_code, answer.json["role"]) == (200, role)
        [found] = client.get(f"/auth/users?role={role}&q=eve", headers=admin).json["data"]
        assert found["id"] == eve
        token = client.post("/auth", json=EVE).json["access_token"]
        assert claims_of(token)["role"] == role
        assert client.get("/auth/me", headers=bearer(token)).json["role"] == role
    trail = read_trail(caplog, "auth.user.role_changed")
    assert [(entry["audit.old"], entry["audit.new"]) for entry in trail] == [
        ("customer", "clerk"),
        ("clerk", "editor"),
        ("editor", "admin"),
        ("admin", "customer"),
    ]


def test_a_clerk_reads_users_and_neither_changes_them_nor_sees_their_sessions(client, admin, join):
    eve, _ = join()
    bob, _ = join(BOB)
    client.patch(f"/auth/users/{eve}", json=give_role("clerk"), headers=admin)
    clerk = bearer(client.post("/auth", json=EVE).json["access_token"])
    assert client.get(f"/auth/users/{bob}", headers=clerk).json["email"] == BOB["email"]
    assert [user["username"] for user in client.get("/auth/users?q=bob", headers=clerk).json["data"]] == [
        "bob"
    ]
    # The clerk knows the password of the own account, and gets no more from it.
    change = give_role("admin", EVE["password"])
    for user_id in (eve, bob):
        path = f"/auth/users/{user_id}"
        assert client.patch(path, json=change, headers=clerk).status_code == 403
        assert client.patch(path, json={"disabled": True}, headers=clerk).status_code == 403
        assert client.get(f"{path}/sessions", headers=clerk).status_code == 403
        assert client.delete(f"{path}/sessions", headers=clerk).status_code == 403
    assert client.get(f"/auth/users/{eve}", headers=admin).json["role"] == "clerk"


def test_a_new_role_needs_the_password_of_the_admin(client, admin, join, caplog):
    eve, signed_in = join()
    path = f"/auth/users/{eve}"
    answer = client.patch(path, json={"role": "admin"}, headers=admin)
    assert (answer.status_code, answer.json["code"]) == (422, "validation_failed")
    assert answer.json["errors"] == [
        {"location": "json", "field": "current_password", "detail": "is required to change a role"}
    ]
    # Another user's password is as wrong as any.
    for password in ("", "Admin", "admin ", EVE["password"]):
        answer = client.patch(path, json=give_role("admin", password), headers=admin)
        assert answer.status_code == 422, password
        assert [entry["field"] for entry in answer.json["errors"]] == ["current_password"]
    assert answer.json["code"] == "wrong_password"
    # A wrong password also keeps the rest of the change from happening.
    answer = client.patch(path, json=give_role("admin", "wrong") | {"disabled": True}, headers=admin)
    assert answer.json["code"] == "wrong_password"
    user = client.get(path, headers=admin).json
    assert (user["role"], user["disabled"]) == ("customer", False)
    assert client.get("/auth/me", headers=bearer(signed_in["access_token"])).status_code == 200
    me = find_id(client, admin, "admin")
    refused = read_trail(caplog, "auth.login.failed")
    assert {(entry["user.id"], entry["audit.reason"]) for entry in refused} == {
        (me, "wrong current password")
    }
    assert not read_trail(caplog, "auth.user.role_changed")


def test_disabling_an_account_needs_no_password(client, admin, join):
    eve, _ = join()
    for disabled in (True, False):
        answer = client.patch(f"/auth/users/{eve}", json={"disabled": disabled}, headers=admin)
        assert (answer.status_code, answer.json["disabled"]) == (200, disabled)


def test_guesses_of_the_admins_password_are_slowed_down(client, admin, join):
    """Otherwise a stolen session could guess it. The tries count together with those at `/auth/password`."""
    eve, _ = join()
    path = f"/auth/users/{eve}"
    guess = {"current_password": "wrong", "new_password": "another horse entirely"}
    statuses = [
        client.patch(path, json=give_role("clerk", "wrong"), headers=admin).status_code
        if turn % 2
        else client.post("/auth/password", json=guess, headers=admin).status_code
        for turn in range(11)
    ]
    assert statuses == [422] * 10 + [429]
    # The right password must wait, too, and other work of the admin goes on.
    answer = client.patch(path, json=give_role("clerk"), headers=admin)
    assert (answer.status_code, answer.json["code"]) == (429, "too_many_attempts")
    assert int(answer.headers["Retry-After"]) > 0
    assert client.patch(path, json={"disabled": True}, headers=admin).status_code == 200
    assert client.get(path, headers=admin).json["role"] == "customer"


def test_a_right_password_clears_earlier_tries(client, admin, join):
    eve, _ = join()
    path = f"/auth/users/{eve}"
    for _ in range(2):
        for _ in range(9):
            assert client.patch(path, json=give_role("clerk", "wrong"), headers=admin).status_code == 422
        assert client.patch(path, json=give_role("clerk"), headers=admin).status_code == 200
