"""Alembic's entry point; see `shared.migrate`."""

from shared.migrate import run_migrations

run_migrations()
