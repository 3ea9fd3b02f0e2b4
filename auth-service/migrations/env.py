"""The entry point of Alembic; `shared.migrate` runs the migrations."""

from shared.migrate import run_migrations

run_migrations()
