"""Migrate a service's database: `SERVICE=catalog-service python -m shared.migrate`."""

import time
from pathlib import Path

from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, text

from shared.database import Database, connect
from shared.errors import DatabaseUnavailable
from shared.service import migrations_of
from shared.settings import ServiceSettings, read_settings

ADVISORY_LOCK = 5_714_001  # The same in every database: it allows one migration at a time.
PATIENCE = 60.0  # Seconds to wait for a starting server.


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
    """Apply missing migrations in one transaction, under a lock against concurrent runs."""
    config = Config()
    # Alembic reads its options through configparser, which treats a percent sign specially.
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    with database.transaction() as connection:
        # The role's time limits are for requests; a migration may take longer.
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL lock_timeout = '60s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ADVISORY_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def run_migrations() -> None:
    """Run inside Alembic; every service's `migrations/env.py` calls this."""
    connection: Connection = context.config.attributes["connection"]
    context.configure(connection=connection)
    context.run_migrations()


def main() -> None:
    """Migrate the database of the service that SERVICE names."""
    settings = read_settings(ServiceSettings)
    database = connect(settings)
    wait_until_reached(database)
    upgrade(database, migrations_of(settings.service))


if __name__ == "__main__":
    main()
