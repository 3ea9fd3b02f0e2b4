"""The entry point of Alembic; `shared.migrate` runs it."""

from shared.migrate import run_migrations

run_migrations()
