"""The database: connections, transactions, and the schema's revision."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from psycopg import errors
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from shared.errors import DatabaseUnavailable
from shared.metrics import Figure
from shared.settings import ServiceSettings

# Use cases import Connection from here, so that they do not depend on SQLAlchemy.
__all__ = ["Connection", "Database", "Schema", "connect", "read_head"]

POOL_SIZE = 8  # Connections of a process, for its 16 threads.
IDLE = 1.0  # Seconds without use after which a connection is pinged before reuse.
# If the network goes silent, both sides drop the connection within about ten seconds: this one by libpq's
# connection parameters, the server by its own, because it would keep the locks otherwise. If a process hangs
# inside a transaction, the server ends it after a minute.
PATIENCE = {
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "options": "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
    " -c tcp_user_timeout=10000 -c idle_in_transaction_session_timeout=60000"
    # What a shop reads is in memory, where a page out of order costs no more than the next one.
    " -c random_page_cost=1.1",
}


_FIGURES = text("""
    WITH backends AS (
        SELECT coalesce(state, 'unknown') AS state, count(*) AS count,
            max(extract(epoch FROM clock_timestamp() - xact_start))
                FILTER (WHERE pid <> pg_backend_pid()) AS oldest
        FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend'
        GROUP BY 1
    )
    SELECT pg_database_size(current_database()) AS size,
        coalesce(jsonb_object_agg(state, count), '{}') AS backends,
        coalesce(max(oldest), 0)::float AS oldest
    FROM backends
""")


# After these errors a session is of no more use: the server has ended it, or it lacks statements that this
# client prepared, because a pooler such as PgBouncer gave them to another one. SQLAlchemy knows none of them.
SESSION_LOST = (
    errors.IdleInTransactionSessionTimeout,
    errors.TransactionTimeout,
    errors.InvalidSqlStatementName,
    errors.DuplicatePreparedStatement,
)


class Database:
    """A service's database, and the pool of connections to it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._is_closed = False

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Run a block in a transaction, which is rolled back if the block raises.

        Raises DatabaseUnavailable if the server does not respond or has ended the session, or a lock or a
        statement timed out.
        """
        self._require_open()
        with _as_unavailable(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def autocommit(self) -> Iterator[Connection]:
        """Run a block in which each statement is its own transaction, without extra round trips."""
        self._require_open()
        with _as_unavailable(), self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Run a block of reads that all see the same snapshot of the database."""
        self._require_open()
        with _as_unavailable(), self.engine.connect() as connection:
            frozen = connection.execution_options(isolation_level="REPEATABLE READ")
            with frozen.begin():
                yield frozen

    def read_pool(self) -> list[Figure]:
        """Return the state of this process's connection pool, named by OpenTelemetry's conventions."""
        pool = cast(QueuePool, self.engine.pool)
        counts: dict[tuple[str, ...], float] = {("used",): pool.checkedout(), ("idle",): pool.checkedin()}
        return [
            Figure("db_client_connection_count", "Connections in the pool, by state.", ("state",), counts),
            Figure("db_client_connection_max", "Maximum connections in the pool.", (), {(): POOL_SIZE}),
        ]

    def read_figures(self) -> list[Figure]:
        """Return the server's statistics of this database; raise DatabaseUnavailable."""
        with self.transaction() as connection:
            row = connection.execute(_FIGURES).one()
        states: dict[tuple[str, ...], float] = {(state,): count for state, count in row.backends.items()}
        return [
            Figure("postgresql_backends", "Connections of all replicas, by state.", ("state",), states),
            Figure("postgresql_db_size_bytes", "Size of the database in bytes.", (), {(): row.size}),
            Figure(
                "postgresql_oldest_transaction_seconds",
                "Age of the oldest open transaction in seconds.",
                (),
                {(): row.oldest},
            ),
        ]

    def close(self) -> None:
        """Close all connections. A thread that is still running gets no new one."""
        self._is_closed = True
        self.engine.dispose()

    def _require_open(self) -> None:
        if self._is_closed:
            raise DatabaseUnavailable("The service is stopping.")


def connect(settings: ServiceSettings) -> Database:
    """Return the database of the settings, without connecting yet."""
    url = make_url(settings.database_url).set(drivername="postgresql+psycopg")
    if settings.database_password:
        url = url.set(password=settings.database_password.get_secret_value())
    prepared = {} if settings.prepared_statements == "on" else {"prepare_threshold": None}
    engine = create_engine(
        url,
        # Error messages are logged, and must not contain personal data.
        hide_parameters=True,
        pool_size=POOL_SIZE,
        max_overflow=0,
        pool_timeout=5,
        # The connection used last has its plans ready; if they took turns, each would make them again.
        pool_use_lifo=True,
        pool_recycle=1800,
        connect_args={"application_name": settings.instance, **PATIENCE, **prepared},
    )
    _test_idle_connections(engine)
    _close_lost_sessions(engine)
    return Database(engine)


@contextmanager
def _as_unavailable() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise DatabaseUnavailable from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise DatabaseUnavailable from error
        raise


def _close_lost_sessions(engine: Engine) -> None:
    """Close a connection whose session is lost, so that the next call gets another one."""

    @event.listens_for(engine, "handle_error")
    def close(context: ExceptionContext) -> None:
        if isinstance(context.original_exception, SESSION_LOST):
            context.is_disconnect = True
            context.invalidate_pool_on_disconnect = False


def _test_idle_connections(engine: Engine) -> None:
    """Ping a connection before use if it has been idle.

    SQLAlchemy's `pool_pre_ping` would ping every time, which costs a round trip per transaction.
    """

    @event.listens_for(engine, "checkin")
    def note(_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info["used_at"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def test(connection: Any, record: ConnectionPoolEntry, _fairy: Any) -> None:
        if time.monotonic() - record.info.get("used_at", time.monotonic()) < IDLE:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error


class Schema:
    """The schema revision that the code expects, compared with that of the database."""

    def __init__(self, database: Database, migrations: Path) -> None:
        self._database = database
        self.expected = read_head(migrations)

    def check(self) -> None:
        """Raise DatabaseUnavailable unless the database responds and its schema is this revision or newer.

        Revisions are numbered, and migrations only expand, so a newer schema serves older code.
        """
        found = self._read_revision()
        if found < self.expected:
            raise DatabaseUnavailable(
                f"The schema is at revision {found or 'none'}; this release needs {self.expected}."
            )

    def _read_revision(self) -> str:
        with self._database.transaction() as connection:
            if not self.expected or not inspect(connection).has_table("alembic_version"):
                connection.execute(text("SELECT 1"))
                return ""
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""


def read_head(migrations: Path) -> str:
    """Return the newest revision in the folder, or "" if the service has no schema.

    Revisions are numbered (`0001_users.py`), so a running service does not need Alembic to find it.
    """
    return max((file.name.partition("_")[0] for file in migrations.glob("versions/[0-9]*.py")), default="")
