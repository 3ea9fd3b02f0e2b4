"""Create the first users: `python -m auth.commands.seed`, after the migration.

In development these are the users of `users.json`, as in the tutorial. In production, and if other machines
can reach the shop, it is one admin. The password comes from ADMIN_PASSWORD_FILE; without that file, this
command generates one and prints it once.
"""

import secrets

from auth.config import Settings, read_demo_users
from auth.domain.credentials import GUESSABLE, find_weakness, list_own_words
from auth.errors import UsernameTaken
from auth.passwords import COMMAND_PATIENCE, Passwords
from auth.repository import users
from auth.use_cases.names import claim_older_names
from auth.use_cases.sessions import end_sessions_of
from shared.database import Connection, Database, connect
from shared.settings import read_settings, stop_start

FIRST_ADMIN = "admin"


def seed_users(database: Database, settings: Settings, passwords: Passwords | None = None) -> str | None:
    """Add the missing users; return the admin's password if it was generated."""
    passwords = passwords or Passwords(patience=COMMAND_PATIENCE)
    claim_older_names(database)
    with database.transaction() as connection:
        users.lock_users(connection)
        if settings.loads_demo_users:
            for name, demo in read_demo_users().items():
                if users.find_user_by_name(connection, name) is None:
                    _insert_user(connection, name, demo.role, passwords.hash(demo.password))
            return None
        _disable_demo_accounts(connection, passwords)
        if users.has_admin(connection):
            return None
        generated = None if settings.admin_password else secrets.token_urlsafe(12)
        password_hash = passwords.hash(generated) if generated else _hash_admin_password(settings, passwords)
        found = users.find_user_by_name(connection, FIRST_ADMIN)
        if found:
            users.enable_as_admin(connection, found, password_hash)
            end_sessions_of(connection, found.id)
        else:
            _insert_user(connection, FIRST_ADMIN, "admin", password_hash)
        return generated


def _insert_user(connection: Connection, name: str, role: str, password_hash: str) -> None:
    try:
        users.insert_user(connection, name, role, password_hash)
    except UsernameTaken:
        stop_start(f"The user {name} cannot be created, because the name of another user looks like it.")


def _disable_demo_accounts(connection: Connection, passwords: Passwords) -> None:
    """Disable demo users who still have the published password, after a database was used in development."""
    for name, demo in read_demo_users().items():
        user = users.find_user_by_name(connection, name)
        if user and passwords.matches(user.password_hash, demo.password):
            users.disable_account(connection, user, passwords.hash(secrets.token_urlsafe(32)))
            end_sessions_of(connection, user.id)


def _hash_admin_password(settings: Settings, passwords: Passwords) -> str:
    password = settings.admin_password.get_secret_value() if settings.admin_password else ""
    weakness = find_weakness(password, FIRST_ADMIN)
    chosen = None if weakness else passwords.choose(password, list_own_words(FIRST_ADMIN))
    if chosen is None:
        stop_start(f"ADMIN_PASSWORD {weakness or GUESSABLE}.")
    return chosen


def main() -> None:
    """Seed the database that the settings name."""
    settings = read_settings(Settings)
    password = seed_users(connect(settings), settings)
    if password:
        print(f"admin password (shown once): {password}", flush=True)  # noqa: T201  # This is the result of the command.


if __name__ == "__main__":
    main()
