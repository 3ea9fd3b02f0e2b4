"""PostgreSQL for tests: one server per worker, with one database per service that is reset between tests."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import DictRow, dict_row

from local.postgres import Server, running
from shared.database import Database, connect
from shared.migrate import upgrade
from shared.service import migrations_of
from shared.settings import ServiceSettings

MakeDatabase = Callable[[str], str]
MakeOldDatabase = Callable[..., Database]

ROOM = 4 * 1024**3  # Bytes; the servers of all workers need a tenth of it.

# The schema and settings of a database, to detect tests that change them.
_READ_SHAPE = """
    SELECT (SELECT array_agg((oid, relname) ORDER BY oid) FROM pg_class
            WHERE relnamespace = 'public'::regnamespace) AS relations,
        (SELECT array_agg((attrelid, attnum, attname, attnotnull) ORDER BY attrelid, attnum) FROM pg_attribute
            WHERE attnum > 0 AND attrelid IN
            (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)) AS columns,
        (SELECT array_agg((oid, convalidated) ORDER BY oid) FROM pg_constraint
            WHERE connamespace = 'public'::regnamespace) AS constraints,
        (SELECT array_agg((oid, tgenabled) ORDER BY oid) FROM pg_trigger) AS triggers,
        (SELECT array_agg((oid, prosrc) ORDER BY oid) FROM pg_proc
            WHERE pronamespace = 'public'::regnamespace) AS functions,
        (SELECT array_agg(setconfig) FROM pg_db_role_setting
            JOIN pg_database ON pg_database.oid = setdatabase WHERE datname = current_database()) AS settings
"""
_READ_TABLES = """
    SELECT format('%I', tablename) AS name, (
        SELECT string_agg(format('%I', attname), ', ' ORDER BY attnum) FROM pg_attribute
        WHERE attrelid = format('public.%I', tablename)::regclass
        AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
    ) AS columns
    FROM pg_tables WHERE schemaname = 'public'
"""
_READ_SEQUENCES = """
    SELECT format(
        'PERFORM setval(%L, %s, %L);',
        format('%I.%I', schemaname, sequencename),
        coalesce(last_value, start_value),
        last_value IS NOT NULL
    ) AS reset
    FROM pg_sequences WHERE schemaname = 'public'
"""
# If the previous test left a lock, the next test fails instead of waiting forever.
PATIENCE = "20s"


class Standing:
    """A database that tests use one after the other, and whose rows are restored between them.

    Applications may stay connected to it. Changed rows are deleted and inserted again. Truncating takes
    twenty times as long: each table gets new files, and each connection plans its statements again. A table
    is compared only if one of its rows has another place or another writer than after the last restoration.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.connection: psycopg.Connection[DictRow] = psycopg.connect(
            url, autocommit=True, row_factory=dict_row, options=f"-c lock_timeout={PATIENCE}"
        )
        self.connection.execute("CREATE SCHEMA standing")
        # In the replica role, triggers and foreign keys are not enforced, so the order does not matter.
        self.connection.execute(
            "CREATE FUNCTION standing.restore() RETURNS void LANGUAGE plpgsql"
            f" SET session_replication_role = replica AS $$ BEGIN {self._keep_rows()} END $$"
        )

    def restore(self) -> None:
        """Restore the original rows and sequences."""
        self.connection.execute("SELECT standing.restore()")

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def _keep_rows(self) -> str:
        """Save all rows; return the statements that restore changed ones."""
        self.connection.execute("CREATE TABLE standing.places (name text PRIMARY KEY, rows text)")
        restored = []
        for row in self.connection.execute(_READ_TABLES).fetchall():
            name, columns = row["name"], row["columns"]
            table, kept = f"public.{name}", f"standing.{name}"
            if not self.connection.execute(f"CREATE TABLE {kept} AS TABLE {table}").rowcount:
                restored.append(f"DELETE FROM {table};")
                continue
            places = f"(SELECT string_agg(ctid || '/' || xmin, ' ' ORDER BY ctid) FROM {table})"
            self.connection.execute(f"INSERT INTO standing.places SELECT '{name}', {places}")
            restored.append(
                f"IF {places} IS DISTINCT FROM (SELECT rows FROM standing.places WHERE name = '{name}') THEN"
                f" DELETE FROM {table} AS now WHERE ROW({columns})::text NOT IN"
                f" (SELECT ROW({columns})::text FROM {kept});"
                f" INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {kept}"
                f" WHERE ROW({columns})::text NOT IN (SELECT ROW({columns})::text FROM {table});"
                f" UPDATE standing.places SET rows = {places} WHERE name = '{name}';"
                " END IF;"
            )
        reset = [row["reset"] for row in self.connection.execute(_READ_SEQUENCES)]
        return " ".join([*restored, *reset])


class Reused(Standing):
    """A migrated database that is disconnected from the applications of the previous test."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._shape = self._read_shape()

    def empty(self) -> bool:
        """Restore the rows of the migrations; return False if the schema has changed."""
        # A thread of the previous test that is still running would write to the next test's tables.
        self.connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
        if self._read_shape() != self._shape:
            return False
        self.restore()
        return True

    def _read_shape(self) -> DictRow | None:
        return self.connection.execute(_READ_SHAPE).fetchone()


class Databases:
    """The databases of one PostgreSQL server, which belongs to one worker."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._control = psycopg.connect(server.url(), autocommit=True)
        self._numbers = count(1)
        self._templates: dict[str, str] = {}
        self._used: dict[str, Reused] = {}

    def copy(self, template: str = "template0") -> str:
        """Create a new database; return its URL."""
        name = f"test_{next(self._numbers)}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self._control.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return self.server.url(database=name)

    def make(self, service: str) -> str:
        """Create a database with a service's schema, copied from a migrated template; return its URL."""
        if service not in self._templates:
            url = self.copy()
            with closing(connect(ServiceSettings(service=service, database_url=url))) as database:
                upgrade(database, migrations_of(service))
            self._templates[service] = url.rpartition("/")[2]
        return self.copy(self._templates[service])

    def reuse(self, service: str) -> str:
        """Return the URL of this worker's database of a service, reset to its state after the migrations."""
        used = self._used.get(service)
        if used and used.empty():
            return used.url
        if used:
            used.close()
        self._used[service] = Reused(self.make(service))
        return self._used[service].url

    def close(self) -> None:
        """Close the connections."""
        for used in self._used.values():
            used.close()
        self._control.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A temporary PostgreSQL server for all tests of this worker."""
    with (
        TemporaryDirectory(prefix="shopfleet-tests-", dir=_find_memory()) as folder,
        running(Path(folder)) as server,
    ):
        yield server


def _find_memory() -> str | None:
    """Return a folder in memory if it has room, because a disk is slow."""
    folder = Path("/dev/shm")  # noqa: S108  # The folder inside it has a random name.
    has_room = os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > ROOM
    return str(folder) if has_room else None


@pytest.fixture(scope="session")
def databases(postgres: Server) -> Iterator[Databases]:
    """The databases of the worker's server."""
    with closing(Databases(postgres)) as databases:
        yield databases


@pytest.fixture(scope="session")
def make_empty_database(databases: Databases) -> Callable[..., str]:
    """Create databases without a schema, or as copies of another; return the URL."""
    return databases.copy


@pytest.fixture(scope="session")
def make_database(databases: Databases) -> MakeDatabase:
    """Create new databases with a service's schema; return the URL."""
    return databases.make


@pytest.fixture
def make_old_database(databases: Databases, tmp_path: Path) -> Iterator[MakeOldDatabase]:
    """Create databases at the revision before a given one; tests upgrade them to `migrations_of`."""
    with ExitStack() as opened:

        def make(service: str, *, before: str) -> Database:
            folder = tmp_path / "migrations"
            shutil.copytree(migrations_of(service), folder)
            for file in (folder / "versions").glob("[0-9]*.py"):
                if file.name >= before:
                    file.unlink()
            settings = ServiceSettings(service=service, database_url=databases.copy())
            database = opened.enter_context(closing(connect(settings)))
            upgrade(database, folder)
            return database

        yield make


@pytest.fixture
def reuse_database(databases: Databases) -> MakeDatabase:
    """Return the worker's reset database of a service, the same one throughout a test."""
    urls: dict[str, str] = {}

    def reuse(service: str) -> str:
        if service not in urls:
            urls[service] = databases.reuse(service)
        return urls[service]

    return reuse
