"""PostgreSQL for tests: one server per worker, and on it one database per service, emptied between tests."""

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

ROOM = 4 * 1024**3  # Bytes; the servers of all workers take a tenth of it.

# What a migrated database looks like. A test that changes its schema or its settings leaves another shape.
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
# A lock that the test before still holds fails the next one, which would otherwise wait without end.
PATIENCE = "20s"


class Standing:
    """A database that one test after the other uses, and whose rows come back between them.

    Applications may keep their connections to it. Its rows are deleted and written anew. To truncate takes
    twenty times as long: each table gets new files, and each connection plans its statements again.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.connection: psycopg.Connection[DictRow] = psycopg.connect(
            url, autocommit=True, row_factory=dict_row, options=f"-c lock_timeout={PATIENCE}"
        )
        self.connection.execute("CREATE SCHEMA standing")
        # As a replica no trigger refuses, and no foreign key asks for an order.
        self.connection.execute(
            "CREATE FUNCTION standing.restore() RETURNS void LANGUAGE plpgsql"
            f" SET session_replication_role = replica AS $$ BEGIN {self._keep_rows()} END $$"
        )

    def restore(self) -> None:
        """Bring the rows and the sequences back to what they were when this began."""
        self.connection.execute("SELECT standing.restore()")

    def close(self) -> None:
        """Give the connection back."""
        self.connection.close()

    def _keep_rows(self) -> str:
        """Keep the rows that there are; return the statements that bring the changed ones back."""
        deleted, written = [], []
        for row in self.connection.execute(_READ_TABLES).fetchall():
            table, kept, columns = f"public.{row['name']}", f"standing.{row['name']}", row["columns"]
            if not self.connection.execute(f"CREATE TABLE {kept} AS TABLE {table}").rowcount:
                deleted.append(f"DELETE FROM {table};")
                continue
            deleted.append(
                f"DELETE FROM {table} AS now WHERE now::text NOT IN (SELECT kept::text FROM {kept} AS kept);"
            )
            written.append(
                f"INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {kept} kept"
                f" WHERE kept::text NOT IN (SELECT now::text FROM {table} AS now);"
            )
        reset = [row["reset"] for row in self.connection.execute(_READ_SEQUENCES)]
        return " ".join([*deleted, *written, *reset])


class Reused(Standing):
    """A migrated database that no application of the test before uses any more."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._shape = self._read_shape()

    def empty(self) -> bool:
        """Bring the rows back to those of the migrations; return False where the schema has changed."""
        # A thread of the test before that is still at work would write into the next test's tables.
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
def make_old_database(databases: Databases, tmp_path: Path) -> Iterator[MakeOldDatabase]:
    """Make databases at the last revision before another; what a test upgrades them to is `migrations_of`."""
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
    """Return the worker's emptied database of a service, the same one however often a test asks."""
    urls: dict[str, str] = {}

    def reuse(service: str) -> str:
        if service not in urls:
            urls[service] = databases.reuse(service)
        return urls[service]

    return reuse
