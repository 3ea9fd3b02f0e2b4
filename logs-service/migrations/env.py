"""Alembic's entry point; `shared.migrate` runs it."""

from shared.migrate import run_migrations

run_migrations()
