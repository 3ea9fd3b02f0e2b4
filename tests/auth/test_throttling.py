"""Password guessing is slowed down, and the owner is not locked out."""

import threading
import time
from contextlib import closing

import pytest
from sqlalchemy import text

from auth.app import create_app
from auth.domain.throttling import PER_ACCOUNT, PER_ADDRESS
from auth.errors import HashingBusy
from auth.passwords import Passwords
from auth.repository.throttle import find_wait, take_tries
from tests.auth.conftest import EVE, read_seconds

OWNER, ATTACKER = "198.51.100.7", "203.0.113.9"


def log_in(client, password="wrong", username="admin", address=ATTACKER):
    pair = {"username": username, "password": password}
    return client.post("/auth", json=pair, headers={"X-Forwarded-For": address})


@pytest.fixture
def let_pass(run_sql):
    def let(seconds):
        run_sql(
            "UPDATE login_attempts SET last_at = last_at - :s * interval '1 s',"
            " free_at = free_at - :s * interval '1 s'",
            s=seconds,
        )

    return let


@pytest.mark.parametrize("username", ["admin", "unknown"])
def test_five_tries_are_free_and_then_each_wait_is_twice_the_last(client, let_pass, username):
    assert [log_in(client, username=username).status_code for _ in range(5)] == [401] * 5
    for wait in (1, 2, 4, 8, 16):
        answer = log_in(client, username=username)
        assert answer.status_code == 429
        assert answer.json["code"] == "too_many_attempts"
        assert int(answer.headers["Retry-After"]) == pytest.approx(wait, rel=0.1)
        let_pass(wait)
        assert log_in(client, username=username).status_code == 401


def test_waits_are_at_most_fifteen_minutes(client, let_pass):
    waits = []
    for number in range(40):
        answer = log_in(client, address=f"203.0.113.{number}")
        waits.append(int(answer.headers.get("Retry-After", 0)))
        let_pass(waits[-1])
    assert max(waits) <= 900
    assert waits[-2:] != [0, 0]


def test_the_right_password_must_wait_too_and_refused_tries_do_not_count(client, let_pass):
    for _ in range(5):
        log_in(client)
    for _ in range(10):
        assert log_in(client, "admin").status_code == 429
    let_pass(1)
    assert log_in(client, "admin").status_code == 200


def test_a_success_clears_the_earlier_tries(client):
    for _ in range(3):
        for _ in range(4):
            assert log_in(client).status_code == 401
        assert log_in(client, "admin").status_code == 200


def test_all_spellings_of_a_name_are_counted_together(client):
    for name in ("admin", "ADMIN", "adm\u0130n", "\uff41dmin", "admin"):
        assert log_in(client, username=name).status_code == 401
    assert log_in(client, username="aDMIN").status_code == 429


def test_an_address_that_tries_many_accounts_is_slowed_down_and_recovers(client, let_pass):
    for number in range(20):
        assert log_in(client, username=f"user{number}").status_code == 401
    answer = log_in(client, username="another")
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "1"
    assert log_in(client, username="another", address="203.0.113.10").status_code == 401
    let_pass(60)
    # Ten tries are forgiven in a minute.
    for number in range(9):
        assert log_in(client, username=f"more{number}").status_code == 401


def test_many_users_behind_one_address_are_not_slowed_down(app):
    client = app.test_client(use_cookies=False)
    for number in range(25):
        name = f"customer{number}"
        client.post("/auth/register", json={**EVE, "username": name})
        assert log_in(client, EVE["password"], name).status_code == 200


def test_logging_in_to_an_own_account_earns_no_tries_on_other_accounts(client, run_sql):
    client.post("/auth/register", json=EVE)
    for number in range(19):
        assert log_in(client, username=f"user{number}").status_code == 401
    for _ in range(3):
        run_sql("DELETE FROM known_places")
        assert log_in(client, EVE["password"], "eve").status_code == 200
    assert log_in(client, username="victim1").status_code == 401
    assert log_in(client, username="victim2").status_code == 429


def test_an_attacker_cannot_lock_the_owner_out(client):
    assert log_in(client, "admin", address=OWNER).status_code == 200
    for _ in range(8):
        log_in(client)
    assert log_in(client).status_code == 429
    assert log_in(client, "admin").status_code == 429
    assert log_in(client, "admin", address=OWNER).status_code == 200


def test_an_attacker_at_the_owners_address_is_slowed_down_too(client):
    assert log_in(client, "admin", address=OWNER).status_code == 200
    assert [log_in(client, address=OWNER).status_code for _ in range(11)] == [401] * 10 + [429]


def test_a_place_is_known_for_ninety_days(client, run_sql):
    assert log_in(client, "admin", address=OWNER).status_code == 200
    run_sql("UPDATE known_places SET last_seen = now() - interval '91 days'")
    for _ in range(5):
        log_in(client)
    assert log_in(client, "admin", address=OWNER).status_code == 429


def test_an_ipv6_network_is_one_place(client):
    assert log_in(client, "admin", address="2001:db8:1:2::1").status_code == 200
    for number in range(5):
        assert log_in(client, address=f"2001:db8:9:9::{number}").status_code == 401
    assert log_in(client, address="2001:db8:9:9::77").status_code == 429
    assert log_in(client, "admin", address="2001:db8:1:2:ffff::1").status_code == 200


@pytest.mark.parametrize("address", ["", "nonsense", "x" * 5000, "1.2.3.4, ", "\x07bell", "::ffff:1.2.3.4"])
def test_a_log_in_with_a_malformed_address_works(client, address):
    assert log_in(client, "admin", address=address).status_code == 200


def test_only_the_address_that_the_gateway_adds_counts(client):
    for number in range(20):
        forged = f"198.51.100.{number}, {ATTACKER}"
        log_in(client, username=f"user{number}", address=forged)
    assert log_in(client, username="another", address=f"192.0.2.1, {ATTACKER}").status_code == 429


def test_of_twenty_concurrent_tries_only_five_are_checked(client, make_replica):
    replicas = [client.application, make_replica()]
    ready, statuses = threading.Barrier(20), []

    def guess(number):
        ready.wait()
        statuses.append(log_in(replicas[number % 2].test_client()).status_code)

    threads = [threading.Thread(target=guess, args=[number]) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [401] * 5 + [429] * 15


def test_the_transaction_that_started_first_may_count_its_try_second(database):
    with database.transaction() as first:
        first.execute(text("SELECT 1"))
        with database.transaction() as second:
            assert take_tries(second, [(b"key", PER_ACCOUNT)]) == 0
        assert take_tries(first, [(b"key", PER_ACCOUNT)]) == 0


def test_a_try_that_one_of_two_keys_refuses_counts_under_neither(database):
    address, account = (b"address", PER_ADDRESS), (b"account", PER_ACCOUNT)
    with database.autocommit() as connection:
        for _ in range(5):
            assert take_tries(connection, [account]) == 0
        assert 0 < take_tries(connection, [address, account]) <= 1
        assert 0 < find_wait(connection, [b"address", b"account"]) <= 1
        assert find_wait(connection, [b"address"]) == 0
        levels = {
            bytes(key): level
            for key, level in connection.execute(text("SELECT key, level FROM login_attempts"))
        }
    assert levels == {b"address": 0, b"account": pytest.approx(5, abs=0.1)}


def test_replicas_count_together(make_replica):
    replicas = [make_replica().test_client() for _ in range(2)]
    statuses = [log_in(replicas[number % 2]).status_code for number in range(6)]
    assert statuses == [401] * 5 + [429]


def test_a_try_without_a_password_check_does_not_count(settings, make_replica):
    class Busy:
        """A hasher that is always busy."""

        def prepare(self):
            """Do nothing."""

        def require_room(self, rank, place):
            """Accept each request."""

        def check(self, *_arguments, **_options):
            raise HashingBusy

    with closing(create_app(settings, Busy())) as app:
        make_replica()
        for _ in range(30):
            answer = log_in(app.test_client())
            assert answer.json["code"] == "hashing_busy"
            assert answer.headers["Retry-After"]


def test_names_are_not_stored_in_plain(client, run_sql):
    log_in(client, username="my-Passw0rd-by-mistake")
    stored = b"".join(key for (key,) in run_sql("SELECT key FROM login_attempts"))
    assert b"my-passw0rd" not in stored.lower()


def test_the_audit_trail_records_a_refusal_without_the_name(client, caplog):
    for _ in range(6):
        log_in(client, username="my-Passw0rd-by-mistake")
    records = [vars(each) for each in caplog.records if each.name == "shopfleet.audit"]
    reasons = [each["audit.reason"] for each in records]
    assert reasons == ["wrong credentials"] * 5 + ["too many attempts"]
    assert {each["audit.address"] for each in records} == {ATTACKER}
    assert "Passw0rd" not in repr(records)


def test_an_unknown_user_takes_as_long_as_a_known_one(settings, make_replica, children):
    make_replica()
    with closing(create_app(settings, Passwords(memory_kib=8 * 1024, passes=4, patience=60))) as app:
        client = app.test_client(use_cookies=False)
        for number in range(10):
            known = {**EVE, "username": f"known{number}"}
            assert client.post("/auth/register", json=known).status_code == 201
        (hashing,) = children()

        def work(name):
            # The processor time of both processes does not depend on the load of the machine.
            before = time.process_time() + read_seconds(hashing)
            for number in range(10):
                answer = log_in(client, username=f"{name}{number}", address=f"203.0.113.{number}")
                assert answer.status_code == 401
            return time.process_time() + read_seconds(hashing) - before

        assert work("unknown") == pytest.approx(work("known"), rel=0.5)
