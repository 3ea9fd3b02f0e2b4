"""Two replicas on one database, and concurrent calls."""

import hashlib
import threading
from contextlib import closing

import pytest

from auth.app import create_app
from auth.domain.accounts import Visitor
from auth.passwords import Passwords
from auth.repository import sessions as repository
from auth.repository import users
from auth.use_cases import sessions
from shared.database import connect
from tests.auth.conftest import ADMIN, EVE, bearer, claims_of

AT_ONCE = 20


@pytest.fixture
def replicas(app, make_replica):
    return [app, make_replica()]


def run_at_once(work):
    """Run `work` with each number, all at the same time; return the results."""
    ready, results = threading.Barrier(AT_ONCE), [None] * AT_ONCE

    def run(number):
        ready.wait()
        results[number] = work(number)

    threads = [threading.Thread(target=run, args=[number]) for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def refresh(app, token):
    return app.test_client().post("/auth/refresh", json={"refresh_token": token})


def test_concurrent_refreshes_of_one_token_create_exactly_one_successor(replicas, run_sql):
    token = replicas[0].test_client().post("/auth", json=ADMIN).json["refresh_token"]
    answers = run_at_once(lambda number: refresh(replicas[number % 2], token))
    assert {answer.status_code for answer in answers} == {200}
    successors = {answer.json["refresh_token"] for answer in answers}
    assert len(successors) == 1
    assert run_sql("SELECT count(*), count(used_at) FROM refresh_tokens") == [(2, 1)]
    client = replicas[1].test_client()
    for answer in answers:
        assert client.get("/auth/me", headers=bearer(answer.json["access_token"])).status_code == 200
    assert refresh(replicas[1], successors.pop()).status_code == 200


def test_reuse_of_a_token_at_another_replica_ends_the_session_at_both(replicas):
    first, second = replicas
    signed_in = first.test_client().post("/auth", json=ADMIN).json
    next_token = refresh(first, signed_in["refresh_token"]).json["refresh_token"]
    last = refresh(second, next_token).json
    assert refresh(second, signed_in["refresh_token"]).status_code == 401
    assert refresh(first, last["refresh_token"]).status_code == 401
    for app in replicas:
        me = app.test_client().get("/auth/me", headers=bearer(last["access_token"]))
        assert me.status_code == 401


def test_a_log_out_at_one_replica_takes_effect_at_the_other(replicas):
    first, second = replicas
    signed_in = first.test_client().post("/auth", json=ADMIN).json
    headers = bearer(signed_in["access_token"])
    assert second.test_client().get("/auth/me", headers=headers).status_code == 200
    assert first.test_client().post("/auth/logout", headers=headers).status_code == 204
    assert second.test_client().get("/auth/me", headers=headers).status_code == 401
    assert refresh(second, signed_in["refresh_token"]).status_code == 401


def test_a_log_out_wins_over_concurrent_refreshes(replicas, run_sql):
    signed_in = replicas[0].test_client().post("/auth", json=ADMIN).json

    def work(number):
        client = replicas[number % 2].test_client()
        if number == AT_ONCE // 2:
            return client.post("/auth/logout", headers=bearer(signed_in["access_token"]))
        return client.post("/auth/refresh", json={"refresh_token": signed_in["refresh_token"]})

    answers = run_at_once(work)
    assert {answer.status_code for answer in answers} <= {200, 204, 401}
    client = replicas[0].test_client()
    for answer in answers:
        if answer.status_code == 200:
            assert client.get("/auth/me", headers=bearer(answer.json["access_token"])).status_code == 401
    assert run_sql("SELECT count(*) FROM sessions WHERE ended_at IS NULL") == [(0,)]


def test_of_concurrent_registrations_with_one_name_one_succeeds(replicas):
    answers = run_at_once(lambda number: replicas[number % 2].test_client().post("/auth/register", json=EVE))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * (AT_ONCE - 1)


def test_a_guest_who_registers_concurrently_becomes_one_customer(replicas):
    guest = replicas[0].test_client().post("/auth/guest").json

    def work(number):
        person = {**EVE, "username": f"eve{number}"}
        headers = bearer(guest["access_token"])
        return replicas[number % 2].test_client().post("/auth/register", json=person, headers=headers)

    answers = run_at_once(work)
    # Late calls find an existing account or an invalid token.
    assert sorted(answer.status_code for answer in answers)[0] == 201
    assert {answer.status_code for answer in answers} <= {201, 401, 409}
    (winner,) = [answer.json for answer in answers if answer.status_code == 201]
    assert claims_of(winner["access_token"])["sub"] == claims_of(guest["access_token"])["sub"]
    me = replicas[1].test_client().get("/auth/me", headers=bearer(winner["access_token"]))
    assert me.json["role"] == "customer"


def test_of_concurrent_password_changes_one_succeeds(replicas):
    first = replicas[0].test_client().post("/auth/register", json=EVE).json

    def work(number):
        body = {"current_password": EVE["password"], "new_password": f"another horse {number}"}
        headers = bearer(first["access_token"])
        return replicas[number % 2].test_client().post("/auth/password", json=body, headers=headers)

    answers = run_at_once(work)
    assert [answer.status_code for answer in answers].count(200) == 1
    assert {answer.status_code for answer in answers} <= {200, 401, 422, 429}


def test_a_log_in_to_an_account_that_is_disabled_meanwhile_starts_no_session(settings, make_replica, run_sql):
    """The account is disabled between the check of the password and the start of the session."""

    class Interrupted(Passwords):
        """A hasher that disables the account during a check."""

        def check(self, password_hash, password, *, place=""):
            checked = super().check(password_hash, password, place=place)
            run_sql("UPDATE users SET disabled = true")
            return checked

    make_replica()
    with closing(create_app(settings, Interrupted(memory_kib=8, passes=1))) as app:
        assert app.test_client().post("/auth", json=ADMIN).status_code == 401
    assert run_sql("SELECT count(*) FROM sessions") == [(0,)]


def test_the_end_of_a_session_waits_for_a_running_refresh(settings, make_replica):
    """The sign-off must also cover the access token of the refresh."""
    app = make_replica()
    signed_in = app.test_client().post("/auth", json=ADMIN).json

    def log_out():
        app.test_client().post("/auth/logout", headers=bearer(signed_in["access_token"]))

    thread = threading.Thread(target=log_out)
    with closing(connect(settings)) as database:
        with database.transaction() as connection:
            refreshed = hashlib.sha256(signed_in["refresh_token"].encode()).digest()
            assert repository.lock_session_of(connection, refreshed)
            thread.start()
            thread.join(0.3)
            assert thread.is_alive()
        thread.join()


def test_disabling_an_account_waits_for_a_session_that_is_starting(settings, make_replica):
    """Otherwise the new session would survive."""
    make_replica()
    started, ended = threading.Event(), []
    with closing(connect(settings)) as database:
        with database.transaction() as connection:
            admin = users.find_user_by_name(connection, "admin")

        def disable():
            started.wait()
            with database.transaction() as connection:
                users.lock_user(connection, admin.id)
                ended.extend(sessions.end_sessions_of(connection, admin.id))

        thread = threading.Thread(target=disable)
        thread.start()
        with database.transaction() as connection:
            session = sessions.start_session(connection, admin, Visitor("here"), token_seconds=900)
            started.set()
            thread.join(0.2)
            assert thread.is_alive()
        thread.join()
    assert ended == [session.id]
