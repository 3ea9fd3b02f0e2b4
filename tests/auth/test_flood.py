"""Floods of registrations and of unknown names do not block log-ins to accounts."""

import threading
from contextlib import closing

from auth.app import create_app
from auth.passwords import Passwords, Rank
from tests.auth.conftest import ADMIN, EVE
from tests.waiting import wait_for

PLACES = 13


def test_log_ins_to_accounts_succeed_while_registrations_and_unknown_names_fill_their_shares(
    settings, make_replica, children
):
    make_replica()
    passwords = Passwords(memory_kib=8, passes=1, at_once=1, waiting=PLACES - 1, patience=60)
    passwords.hash("x")
    (process,) = children()
    answers = {"register": [], "unknown": [], "known": []}

    with closing(create_app(settings, passwords)) as app:

        def call(kind, number):
            address = {"X-Forwarded-For": f"203.0.{len(kind)}.{number}"}
            calls = {
                "register": ("/auth/register", {**EVE, "username": f"customer {number}"}),
                "unknown": ("/auth", {"username": f"unknown {number}", "password": "x"}),
                "known": ("/auth", ADMIN),
            }
            path, body = calls[kind]
            answers[kind].append(app.test_client().post(path, json=body, headers=address))

        def start(kind, count):
            started = [threading.Thread(target=call, args=[kind, number]) for number in range(count)]
            for thread in started:
                thread.start()
            return started

        # While the process is suspended, each accepted call waits.
        process.suspend()
        threads = start("register", 20)
        wait_for(lambda: len(answers["register"]) == 16)
        threads += start("unknown", 20)
        wait_for(lambda: len(answers["unknown"]) == 16)
        threads += start("known", 5)
        wait_for(lambda: passwords._waiting[Rank.KNOWN] == 5)
        # The queue is also bounded for log-ins to accounts.
        call("known", 5)
        assert [answer.json["code"] for answer in answers["known"]] == ["hashing_busy"]
        process.resume()
        for thread in threads:
            thread.join()
        # After the flood its places are free.
        call("register", 20)

    statuses = {kind: sorted(answer.status_code for answer in each) for kind, each in answers.items()}
    assert statuses == {
        "register": [201] * 5 + [503] * 16,
        "unknown": [401] * 4 + [503] * 16,
        "known": [200] * 5 + [503],
    }
    refused = [answer for each in answers.values() for answer in each if answer.status_code == 503]
    assert {(answer.json["code"], answer.headers["Retry-After"]) for answer in refused} == {
        ("hashing_busy", "1")
    }


def test_an_address_that_logs_in_to_its_own_accounts_leaves_room_for_other_addresses(
    settings, make_replica, children
):
    make_replica()
    passwords = Passwords(memory_kib=8, passes=1, at_once=1, waiting=PLACES - 1, patience=60)
    passwords.hash("x")
    (process,) = children()
    crowd, admin = [], []
    with closing(create_app(settings, passwords)) as app:
        for number in range(20):
            body = {**EVE, "username": f"customer {number}"}
            assert app.test_client().post("/auth/register", json=body).status_code == 201

        def log_in(answers, address, body):
            headers = {"X-Forwarded-For": address}
            answers.append(app.test_client().post("/auth", json=body, headers=headers).status_code)

        process.suspend()
        accounts = [{**EVE, "username": f"customer {number}"} for number in range(20)]
        # All addresses of an IPv6 network count as one.
        tries = [(crowd, f"2001:db8:1:2::{number}", each) for number, each in enumerate(accounts)]
        tries += [(crowd, "203.0.113.9", each) for each in accounts]
        threads = [threading.Thread(target=log_in, args=each) for each in tries]
        for thread in threads:
            thread.start()
        # Each log-in was refused or has a place; at least one place is free.
        wait_for(lambda: len(crowd) + sum(passwords._inside.values()) == 40)
        assert len(crowd) >= 40 - (PLACES - 1)
        threads.append(threading.Thread(target=log_in, args=(admin, "198.51.100.7", ADMIN)))
        threads[-1].start()
        wait_for(lambda: passwords._by_place["198.51.100.7"] == 1)
        process.resume()
        for thread in threads:
            thread.join()
    assert admin == [200]
    assert set(crowd) == {200, 503}
    # Each address got at least its third.
    assert 8 <= crowd.count(200) <= PLACES - 1


def test_a_log_in_that_is_refused_because_of_the_queue_does_not_count_as_a_try(
    settings, make_replica, run_sql
):
    make_replica()
    passwords = Passwords(memory_kib=8, passes=1, at_once=1, waiting=1, patience=60)
    passwords._inside[Rank.UNKNOWN] = 1
    with closing(create_app(settings, passwords)) as app:
        for _ in range(30):
            answer = app.test_client().post("/auth", json={"username": "unknown", "password": "x"})
            assert answer.json["code"] == "hashing_busy"
        assert app.test_client().post("/auth", json=ADMIN).status_code == 200
    assert run_sql("SELECT count(*) FROM login_attempts WHERE level > 0") == [(0,)]
