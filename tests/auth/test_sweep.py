"""What is over is removed, and nothing else."""

import threading

import pytest

from auth.use_cases.sweep import sweep
from tests.auth.conftest import ADMIN, bearer
from tests.waiting import wait_for


def count(run_sql, table):
    return run_sql(f"SELECT count(*) FROM {table}")[0][0]


@pytest.fixture
def lived_in(client):
    """A database with something in every table."""
    client.post("/auth/guest")
    client.post("/auth", json={**ADMIN, "password": "wrong"})
    token = client.post("/auth", json=ADMIN).json["access_token"]
    client.post("/auth", json={**ADMIN, "password": "wrong"})
    client.post("/auth/logout", headers=bearer(token))
    client.post("/auth/guest")


TABLES = ["refresh_tokens", "sessions", "sign_offs", "login_attempts", "known_places", "users"]


def test_what_lives_stays(lived_in, database, run_sql):
    before = {table: count(run_sql, table) for table in TABLES}
    assert all(before.values()), before
    sweep(database)
    assert {table: count(run_sql, table) for table in TABLES} == before


@pytest.mark.parametrize(
    ("table", "ended"),
    [
        ("refresh_tokens", "expires_at = now() - interval '1 s'"),
        ("sessions", "expires_at = now() - interval '1 s'"),
        ("sign_offs", "until = now() - interval '1 s'"),
        ("login_attempts", "last_at = now() - level * interval '15 minutes 1 second'"),
        ("known_places", "last_seen = now() - interval '91 days'"),
    ],
)
def test_what_is_over_is_removed(lived_in, database, run_sql, table, ended):
    run_sql(f"UPDATE {table} SET {ended}")
    sweep(database)
    assert count(run_sql, table) == 0
    assert count(run_sql, "users") == 3


def test_guests_are_forgotten_once_they_cannot_come_back_and_nobody_else_is(lived_in, database, run_sql):
    run_sql("UPDATE users SET created_at = now() - interval '91 days'")
    sweep(database)
    # Their sessions still live.
    assert count(run_sql, "users") == 3
    run_sql("UPDATE sessions SET expires_at = now() - interval '61 days'")
    sweep(database)
    assert run_sql("SELECT username FROM users") == [("admin",)]


def test_much_is_removed_in_portions_by_replicas_side_by_side(app, database, run_sql):
    run_sql("INSERT INTO sign_offs SELECT n::text, now() - interval '1 s' FROM generate_series(1, 100) AS n")
    run_sql("INSERT INTO sign_offs VALUES ('lives', now() + interval '1 h')")
    threads = [threading.Thread(target=sweep, args=[database], kwargs={"batch": 7}) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sweep(database, batch=7)
    assert run_sql("SELECT id FROM sign_offs") == [("lives",)]


def test_the_service_sweeps_by_itself(make_replica, run_sql):
    make_replica()
    run_sql("INSERT INTO sign_offs VALUES ('over', now() - interval '1 s')")
    make_replica()
    wait_for(lambda: count(run_sql, "sign_offs") == 0)
