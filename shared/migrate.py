"""Migrate a service's database: `SERVICE=catalog-service python -m shared.migrate`."""

import time
from collections.abc import Mapping
from pathlib import Path

from alembic import command, context, op
from alembic.config import Config
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import OperationalError

from shared.database import Database, connect
from shared.errors import DatabaseUnavailable
from shared.service import migrations_of
from shared.settings import ServiceSettings, read_settings

ADVISORY_LOCK = 5_714_001  # The same in every database: it allows one migration at a time.
PATIENCE = 60.0  # Seconds to wait for a starting server, and to retry a migration whose table is in use.
LONGEST_RUN = 600.0  # Seconds to wait for another run.
LOCK_TIMEOUT = 2.0  # Seconds that a migration may wait for a table's lock, because callers wait behind it.
LOCK_NOT_AVAILABLE = "55P03"
TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:lock)")


def wait_until_reached(database: Database, seconds: float = PATIENCE) -> None:
    """Retry to connect to the database; raise DatabaseUnavailable if it does not respond in time."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with database.transaction():
                return
        except DatabaseUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def upgrade(database: Database, migrations: Path) -> None:
    """Apply missing migrations, each in a transaction of its own, under a lock against concurrent runs.

    Raises DatabaseUnavailable if another run holds the lock for too long, and OperationalError if callers do
    not release a table.
    """
    config = Config()
    # Alembic reads its options through configparser, which treats a percent sign specially.
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    deadline = time.monotonic() + LONGEST_RUN
    while True:
        with database.transaction() as guard:
            if guard.execute(TRY_LOCK, {"lock": ADVISORY_LOCK}).scalar():
                # The guard stays open but idle while the migrations run. This statement also ends the
                # snapshot of the previous one, for which concurrent index builds would wait.
                guard.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
                _apply(database, config)
                return
        # A statement that waits inside PostgreSQL would also keep a snapshot.
        if time.monotonic() > deadline:
            raise DatabaseUnavailable
        time.sleep(0.2)


def _apply(database: Database, config: Config) -> None:
    """Apply missing migrations; retry those that wait too long for a table."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with database.engine.connect() as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE or time.monotonic() > deadline:
                raise
        else:
            return


def run_migrations() -> None:
    """Run inside Alembic; every service's `migrations/env.py` calls this."""
    connection: Connection = context.config.attributes["connection"]
    event.listen(connection, "begin", _set_limits)
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


def create_indexes(statements: Mapping[str, str]) -> None:
    """Create indexes without blocking writers; the statements are `ON table (…)` by the index's name.

    A name may begin with `UNIQUE `. The migration's transaction ends first, so the function that calls this
    must succeed when it runs again.
    """
    with op.get_context().autocommit_block():
        op.execute("SET statement_timeout = 0")
        for name, definition in statements.items():
            kind, _, index = name.rpartition(" ")
            # An interrupted build leaves an invalid index.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index}")
            op.execute(f"CREATE {kind} INDEX CONCURRENTLY {index} {definition}")
        op.execute("RESET statement_timeout")


def _set_limits(connection: Connection) -> None:
    # The role's time limits are for requests; a migration may take longer. But while it waits for a table's
    # lock, callers wait behind it.
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}s'")


def main() -> None:
    """Migrate the database of the service that SERVICE names."""
    settings = read_settings(ServiceSettings)
    database = connect(settings)
    wait_until_reached(database)
    upgrade(database, migrations_of(settings.service))


if __name__ == "__main__":
    main()
