"""The entry point of Alembic; see `shared.migrate`."""

from shared.migrate import run_migrations

run_migrations()
