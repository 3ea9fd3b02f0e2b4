"""PostgreSQL for tests: one server per worker, and on it one database per service, emptied between tests."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from psycopg import sql

from local.postgres import Server, running
from shared.database import connect
from shared.migrate import upgrade
from shared.service import migrations_of
from shared.settings import ServiceSettings

MakeDatabase = Callable[[str], str]

ROOM = 4 * 1024**3  # Bytes; the servers of all workers take a tenth of it.

# What a migrated database looks like. A test that changes its schema or its settings leaves another shape.
_READ_SHAPE = """
    SELECT (SELECT array_agg((oid, relname) ORDER BY oid) FROM pg_class
            WHERE relnamespace = 'public'::regnamespace),
        (SELECT array_agg((attrelid, attnum, attname, attnotnull) ORDER BY attrelid, attnum) FROM pg_attribute
            WHERE attnum > 0 AND attrelid IN
            (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)),
        (SELECT array_agg((oid, convalidated) ORDER BY oid) FROM pg_constraint
            WHERE connamespace = 'public'::regnamespace),
        (SELECT array_agg((oid, tgenabled) ORDER BY oid) FROM pg_trigger),
        (SELECT array_agg((oid, prosrc) ORDER BY oid) FROM pg_proc
            WHERE pronamespace = 'public'::regnamespace),
        (SELECT array_agg(setconfig) FROM pg_db_role_setting
            JOIN pg_database ON pg_database.oid = setdatabase WHERE datname = current_database())
"""
# Rows that a migration writes are kept aside, and come back.
_KEEP_ROWS = """
    CREATE SCHEMA kept;
    DO $$
    DECLARE name text; has_rows boolean;
    BEGIN
        FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
            EXECUTE format('SELECT EXISTS (SELECT 1 FROM public.%I)', name) INTO has_rows;
            IF has_rows THEN
                EXECUTE format('CREATE TABLE kept.%I AS TABLE public.%I', name, name);
            END IF;
        END LOOP;
    END $$;
    CREATE TABLE kept."sequences of before" AS
        SELECT sequencename AS name, last_value FROM pg_sequences WHERE schemaname = 'public';
    -- As a replica no trigger refuses, and no foreign key asks for an order.
    CREATE FUNCTION kept.empty() RETURNS void LANGUAGE plpgsql SET session_replication_role = replica AS $$
    DECLARE name text; has_rows boolean; used text[] = '{}'; stood record;
    BEGIN
        FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
            EXECUTE format('SELECT EXISTS (SELECT 1 FROM public.%I)', name) INTO has_rows;
            IF has_rows THEN used = used || format('public.%I', name); END IF;
        END LOOP;
        IF used <> '{}' THEN
            EXECUTE format('TRUNCATE %s CASCADE', array_to_string(used, ', '));
        END IF;
        FOR name IN SELECT tablename FROM pg_tables
            WHERE schemaname = 'kept' AND tablename <> 'sequences of before' LOOP
            EXECUTE format('INSERT INTO public.%I SELECT * FROM kept.%I', name, name);
        END LOOP;
        FOR stood IN SELECT before.* FROM kept."sequences of before" before
            JOIN pg_sequences now ON now.schemaname = 'public' AND now.sequencename = before.name
            WHERE now.last_value IS DISTINCT FROM before.last_value LOOP
            IF stood.last_value IS NULL THEN
                EXECUTE format('ALTER SEQUENCE public.%I RESTART', stood.name);
            ELSE
                PERFORM setval(format('public.%I', stood.name), stood.last_value);
            END IF;
        END LOOP;
    END $$;
"""


class Databases:
    """The databases of one PostgreSQL server. Only the tests of one worker use it, one after the other."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._control = psycopg.connect(server.url(), autocommit=True)
        self._numbers = count(1)
        self._templates: dict[str, str] = {}
        self._used: dict[str, Reused] = {}

    def copy(self, template: str = "template0") -> str:
        """Make a database that nothing else uses; return its URL."""
        name = f"test_{next(self._numbers)}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self._control.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return self.server.url(database=name)

    def make(self, service: str) -> str:
        """Make a database with a service's schema, which is migrated once and then copied; return its URL."""
        if service not in self._templates:
            url = self.copy()
            with closing(connect(ServiceSettings(service=service, database_url=url))) as database:
                upgrade(database, migrations_of(service))
            self._templates[service] = url.rpartition("/")[2]
        return self.copy(self._templates[service])

    def reuse(self, service: str) -> str:
        """Return the URL of this worker's database of a service, as it was after its migrations."""
        used = self._used.get(service)
        if used and used.empty():
            return used.url
        if used:
            used.close()
        self._used[service] = Reused(self.make(service))
        return self._used[service].url

    def close(self) -> None:
        """Give the connections back."""
        for used in self._used.values():
            used.close()
        self._control.close()


class Reused:
    """A migrated database that one test after the other uses."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute(_KEEP_ROWS)
        self._shape = self._connection.execute(_READ_SHAPE).fetchone()

    def empty(self) -> bool:
        """Bring the rows back to those of the migrations; return False where the schema has changed."""
        # A thread of the test before that is still at work would write into the next test's tables.
        self._connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
        if self._connection.execute(_READ_SHAPE).fetchone() != self._shape:
            return False
        self._connection.execute("SELECT kept.empty()")
        return True

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server for all tests of this worker, whose data are gone with it."""
    with (
        TemporaryDirectory(prefix="shopfleet-tests-", dir=_find_memory()) as folder,
        running(Path(folder)) as server,
    ):
        yield server


def _find_memory() -> str | None:
    """Return a folder in memory if it has room; a disk is slow at the files that an emptied table gets."""
    folder = Path("/dev/shm")  # noqa: S108  # It is asked for, not trusted.
    has_room = os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > ROOM
    return str(folder) if has_room else None


@pytest.fixture(scope="session")
def databases(postgres: Server) -> Iterator[Databases]:
    """Its databases."""
    with closing(Databases(postgres)) as databases:
        yield databases


@pytest.fixture(scope="session")
def make_empty_database(databases: Databases) -> Callable[..., str]:
    """Make databases without a schema, or as copies of another; return the URL."""
    return databases.copy


@pytest.fixture(scope="session")
def make_database(databases: Databases) -> MakeDatabase:
    """Make databases with a service's schema that nothing else uses; return the URL."""
    return databases.make


@pytest.fixture
def reuse_database(databases: Databases) -> MakeDatabase:
    """Return the worker's emptied database of a service, the same one however often a test asks."""
    urls: dict[str, str] = {}

    def reuse(service: str) -> str:
        if service not in urls:
            urls[service] = databases.reuse(service)
        return urls[service]

    return reuse
