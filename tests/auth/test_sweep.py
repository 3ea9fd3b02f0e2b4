"""The sweep deletes expired rows and no others."""

import threading

import pytest

from auth.use_cases.sweep import sweep
from tests.auth.conftest import ADMIN, bearer
from tests.waiting import wait_for


def count(run_sql, table):
    return run_sql(f"SELECT count(*) FROM {table}")[0][0]


@pytest.fixture
def used(client):
    """A database with rows in every table."""
    client.post("/auth/guest")
    client.post("/auth", json={**ADMIN, "password": "wrong"})
    token = client.post("/auth", json=ADMIN).json["access_token"]
    client.post("/auth", json={**ADMIN, "password": "wrong"})
    client.post("/auth/logout", headers=bearer(token))
    client.post("/auth/guest")


TABLES = ["refresh_tokens", "sessions", "sign_offs", "login_attempts", "known_places", "users"]


def test_live_rows_stay(used, database, run_sql):
    before = {table: count(run_sql, table) for table in TABLES}
    assert all(before.values()), before
    sweep(database)
    assert {table: count(run_sql, table) for table in TABLES} == before


@pytest.mark.parametrize(
    ("table", "expired"),
    [
        ("refresh_tokens", "expires_at = now() - interval '1 s'"),
        ("sessions", "expires_at = now() - interval '1 s'"),
        ("sign_offs", "until = now() - interval '1 s'"),
        (
            "login_attempts",
            "last_at = now() - level * interval '15 minutes 1 second', forgiven_at = now() - interval '1 s'",
        ),
        # A replica of an earlier release does not set `forgiven_at`.
        (
            "login_attempts",
            "last_at = now() - level * interval '15 minutes 1 second', forgiven_at = NULL",
        ),
        ("known_places", "last_seen = now() - interval '91 days'"),
    ],
)
def test_expired_rows_are_deleted(used, database, run_sql, table, expired):
    run_sql(f"UPDATE {table} SET {expired}")
    sweep(database)
    assert count(run_sql, table) == 0
    assert count(run_sql, "users") == 3


def test_only_guests_who_cannot_return_are_deleted(used, database, run_sql):
    run_sql("UPDATE users SET created_at = now() - interval '91 days'")
    sweep(database)
    # Their sessions are still live.
    assert count(run_sql, "users") == 3
    run_sql("UPDATE sessions SET expires_at = now() - interval '61 days'")
    sweep(database)
    assert run_sql("SELECT username FROM users") == [("admin",)]


def test_concurrent_replicas_delete_many_rows_in_batches(app, database, run_sql):
    run_sql("INSERT INTO sign_offs SELECT n::text, now() - interval '1 s' FROM generate_series(1, 100) AS n")
    run_sql("INSERT INTO sign_offs VALUES ('live', now() + interval '1 h')")
    threads = [threading.Thread(target=sweep, args=[database], kwargs={"batch": 7}) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sweep(database, batch=7)
    assert run_sql("SELECT id FROM sign_offs") == [("live",)]


def test_the_service_sweeps_regularly(make_replica, run_sql):
    make_replica()
    run_sql("INSERT INTO sign_offs VALUES ('expired', now() - interval '1 s')")
    make_replica()
    wait_for(lambda: count(run_sql, "sign_offs") == 0)
