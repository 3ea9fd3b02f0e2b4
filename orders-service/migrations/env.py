"""Alembic's entrance; how it is run stands in `shared.migrate`."""

from shared.migrate import run_migrations

run_migrations()
