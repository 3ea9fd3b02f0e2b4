"""Create a role with a password and a database for each service; safe to run at every start.

    SERVER_URL=postgresql://postgres@localhost/postgres SECRETS=FOLDER \\
        python -m shared.setup_database auth-service catalog-service …

FOLDER contains `superuser-password` and a `SERVICE-password` for each service.
"""

import os
import sys
import time
from pathlib import Path

import psycopg
from psycopg import sql

from shared.service import package_of

PATIENCE = 60.0  # Seconds to wait for a starting server.
# A statement times out before its caller does, and an abandoned transaction releases its locks.
LIMITS = {"statement_timeout": "15s", "lock_timeout": "10s", "idle_in_transaction_session_timeout": "30s"}


def setup_database(server_url: str, secrets: Path, services: list[str]) -> None:
    """Set up the server so that each service can connect to its own database only."""
    with _connect(server_url, _read(secrets / "superuser-password")) as server:
        # Two stacks may share the server and run this at the same time.
        server.execute("SELECT pg_advisory_lock(5714000)")
        server.execute("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
        for service in services:
            _setup_service(server, package_of(service), _read(secrets / f"{service}-password"))


def _setup_service(server: psycopg.Connection[tuple[object, ...]], name: str, password: str) -> None:
    role = sql.Identifier(name)
    if not server.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone():
        server.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
    server.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, sql.Literal(password)))
    for setting, value in LIMITS.items():
        server.execute(
            sql.SQL("ALTER ROLE {} SET {} = {}").format(role, sql.Identifier(setting), sql.Literal(value))
        )
    if not server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
        # Sorting and cursors depend on a collation that is the same on every machine.
        server.execute(
            sql.SQL(
                "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER builtin"
                " BUILTIN_LOCALE 'C.UTF-8' LC_COLLATE 'C' LC_CTYPE 'C'"
            ).format(role, role)
        )
    server.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(role))


def _connect(server_url: str, password: str) -> psycopg.Connection[tuple[object, ...]]:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return psycopg.connect(server_url, password=password, autocommit=True, connect_timeout=5)
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                sys.exit("The superuser's password does not match the database; only one was deleted.")
            if time.monotonic() > deadline:
                sys.exit(f"The database server did not respond within {PATIENCE:.0f} s: {error}")
            time.sleep(0.2)


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8").strip()


def main() -> None:
    """Take the server and the secrets from the environment, the services from the command line."""
    missing = [name for name in ("SERVER_URL", "SECRETS") if not os.environ.get(name)]
    if missing or len(sys.argv) < 2:
        sys.exit(
            f"usage: SERVER_URL=… SECRETS=FOLDER python -m shared.setup_database SERVICE … {missing or ''}"
        )
    setup_database(os.environ["SERVER_URL"], Path(os.environ["SECRETS"]), sys.argv[1:])


if __name__ == "__main__":
    main()
