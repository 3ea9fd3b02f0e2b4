"""Connections: reused without a ping while they are busy, and pinged after they were idle."""

import os
import socket
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from shared import database as module
from shared.database import Database, connect
from shared.errors import DatabaseUnavailable
from shared.settings import ServiceSettings
from tests.waiting import wait_for


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


def wait_in_transaction(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = '10ms'"))
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        wait_for(lambda: not is_alive(database, pid))
        connection.execute(text("SELECT 1"))


def exceed_transaction_timeout(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(text("SET LOCAL transaction_timeout = '10ms'"))
        connection.execute(text("SELECT pg_sleep(10)"))


def lose_prepared_statements(database: Database) -> None:
    """Run a statement until it is prepared, and then in a session that does not know it."""
    with database.autocommit() as connection:
        for _ in range(10):
            connection.execute(text("SELECT 1"))
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.pgconn.exec_(b"DEALLOCATE ALL")
        connection.execute(text("SELECT 1"))


def is_alive(database: Database, pid: int) -> bool:
    with database.autocommit() as connection:
        found = connection.execute(text("SELECT pid FROM pg_stat_activity WHERE pid = :pid"), {"pid": pid})
        return found.first() is not None


@pytest.mark.parametrize("lose", [wait_in_transaction, exceed_transaction_timeout, lose_prepared_statements])
def test_a_lost_session_is_an_outage_for_one_call_and_not_used_again(database: Database, lose) -> None:
    with pytest.raises(DatabaseUnavailable):
        lose(database)
    for _ in range(10):
        with database.transaction() as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1


def test_a_faulty_statement_is_no_outage(database: Database) -> None:
    with pytest.raises(ProgrammingError), database.transaction() as connection:
        connection.execute(text("SELECT FROM no_such_table"))
