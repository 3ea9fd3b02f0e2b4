"""Connections: reused without a ping while they are busy, and pinged after they were idle."""

import os
import socket
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
from sqlalchemy import text

from shared import database as module
from shared.database import Database, connect
from shared.settings import ServiceSettings


@pytest.fixture
def database(make_empty_database) -> Iterator[Database]:
    """An empty database."""
    settings = ServiceSettings(service="orders-service", database_url=make_empty_database())
    with closing(connect(settings)) as database:
        yield database


def end_connections_behind_its_back(database: Database) -> None:
    """Terminate all other connections, as a restart of the server does."""
    other = connect(
        ServiceSettings(service="orders-service", database_url=database.engine.url.render_as_string(False))
    )
    with closing(other), other.transaction() as connection:
        connection.execute(
            text(
                """
                SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()
                """
            )
        )


def read_pid(database: Database) -> int:
    with database.transaction() as connection:
        return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


def test_a_connection_that_ended_while_idle_is_replaced(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE", 0.0)
    before = read_pid(database)
    end_connections_behind_its_back(database)
    assert read_pid(database) != before


def test_all_ended_connections_are_replaced_once_one_is_detected(database: Database) -> None:
    with database.transaction() as one, database.transaction() as two:
        for connection in (one, two):
            connection.execute(text("SELECT 1"))
    end_connections_behind_its_back(database)
    with pytest.raises(module.DatabaseUnavailable):
        read_pid(database)
    with database.transaction() as one, database.transaction() as two:
        for connection in (one, two):
            assert connection.execute(text("SELECT 1")).scalar() == 1


def test_a_busy_connection_is_not_pinged(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    before = read_pid(database)
    asked: list[object] = []
    monkeypatch.setattr(database.engine.dialect, "do_ping", asked.append)
    assert read_pid(database) == before
    assert asked == []
    monkeypatch.setattr(module, "IDLE", 0.0)
    assert read_pid(database) == before
    assert len(asked) == 1


def test_autocommit_commits_each_statement_and_does_not_affect_the_next_transaction(database):
    with database.autocommit() as connection:
        connection.execute(text("CREATE TABLE things (id int)"))
    with database.autocommit() as connection:
        connection.execute(text("INSERT INTO things VALUES (1)"))
    with suppress(RuntimeError), database.transaction() as connection:
        connection.execute(text("INSERT INTO things VALUES (2)"))
        raise RuntimeError
    with database.transaction() as connection:
        assert connection.execute(text("SELECT id FROM things")).scalars().all() == [1]


def test_both_sides_soon_drop_a_connection_when_the_network_goes_silent(database: Database) -> None:
    with database.transaction() as connection:
        [row] = connection.execute(
            text("SELECT current_setting('tcp_user_timeout'), current_setting('tcp_keepalives_idle')")
        )
        descriptor = connection.connection.dbapi_connection.pgconn.socket
        with socket.socket(fileno=os.dup(descriptor)) as line:
            assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
            assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 5
    assert tuple(row) == ("10000", "5")
