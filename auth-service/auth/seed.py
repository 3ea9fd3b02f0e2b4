"""Make the first users: `python -m auth.seed`, after the migration.

In development they are those of `users.json`, as in the tutorial. Where other machines can reach the shop,
and in production, there is one admin with a password made here and printed once.
"""

import secrets

from auth import repository
from auth.config import Settings, read_demo_users
from auth.passwords import Passwords
from shared.database import Connection, Database, connect
from shared.settings import read_settings


def seed_users(database: Database, settings: Settings) -> str | None:
    """Add what is missing; return the admin's password if it was made just now."""
    passwords = Passwords()
    with database.transaction() as connection:
        repository.lock_users(connection)
        if settings.loads_demo_users:
            for name, demo in read_demo_users().items():
                if repository.find_user_by_name(connection, name) is None:
                    repository.insert_user(connection, name, demo.role, passwords.hash(demo.password))
            return None
        _close_demo_accounts(connection, passwords)
        if repository.has_admin(connection):
            return None
        password = secrets.token_urlsafe(12)
        if repository.find_user_by_name(connection, "admin"):
            repository.replace_password(connection, "admin", passwords.hash(password), disabled=False)
        else:
            repository.insert_user(connection, "admin", "admin", passwords.hash(password))
        return password


def _close_demo_accounts(connection: Connection, passwords: Passwords) -> None:
    """Shut whoever still has the password that everybody knows; this database was used in development."""
    for name, demo in read_demo_users().items():
        user = repository.find_user_by_name(connection, name)
        if user and passwords.matches(user.password_hash, demo.password):
            nobodys = passwords.hash(secrets.token_urlsafe(32))
            repository.replace_password(connection, name, nobodys, disabled=True)


def main() -> None:
    """Seed the database that the settings name."""
    settings = read_settings(Settings)
    password = seed_users(connect(settings), settings)
    if password:
        print(f"admin password (shown once): {password}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
