"""Create an admin, or turn off the two-factor authentication of a user who has lost everything.

    python -m auth.commands.users create-admin NAME
    python -m auth.commands.users turn-off-totp NAME

The admin's password comes from ADMIN_PASSWORD_FILE or the first line of standard input. With neither, the
command generates a password and prints it once. With Docker:

    docker compose exec auth-service python -m auth.commands.users create-admin NAME
"""

import argparse
import getpass
import secrets
import sys

from auth.commands import open_command
from auth.config import Settings
from auth.domain.credentials import choose_name
from auth.passwords import COMMAND_PATIENCE, Passwords
from auth.use_cases.accounts import create_admin
from auth.use_cases.totp import turn_off_by_command
from shared.database import Database
from shared.errors import Problem
from shared.settings import read_settings


def run(database: Database, name: str, password: str, passwords: Passwords | None = None) -> list[str]:
    """Create an admin and return the lines to print; raise a Problem on failure.

    If the password is empty, a password is generated.
    """
    generated = "" if password else secrets.token_urlsafe(12)
    user = create_admin(
        database, passwords or Passwords(patience=COMMAND_PATIENCE), name, password or generated
    )
    lines = [f"{user.username} is an admin."]
    return [*lines, f"{user.username} password (shown once): {generated}"] if generated else lines


def turn_off_totp(database: Database, name: str) -> list[str]:
    """Turn off two-factor authentication and return the lines to print; raise a Problem on failure."""
    user = turn_off_by_command(database, name)
    return [f"{user.username} logs in with the password alone. All sessions of {user.username} have ended."]


def _read_password(settings: Settings) -> str:
    if settings.admin_password:
        return settings.admin_password.get_secret_value()
    if sys.stdin.isatty():
        password = getpass.getpass("Password (leave empty to generate one): ")
        if password and getpass.getpass("Repeat the password: ") != password:
            sys.exit("The passwords do not match.")
        return password
    return sys.stdin.readline().rstrip("\r\n")


def _read_name(text: str) -> str:
    try:
        return choose_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"it {error}") from error


def main() -> None:
    """Run the command line on the database in the settings."""
    parser = argparse.ArgumentParser(prog="python -m auth.commands.users", description="Manage accounts.")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create-admin", help="create an admin; the password is read or generated")
    create.add_argument("name", type=_read_name)
    turn_off = commands.add_parser("turn-off-totp", help="turn off a user's two-factor authentication")
    turn_off.add_argument("name")
    arguments = parser.parse_args()
    settings = read_settings(Settings)
    creates = arguments.command == "create-admin"
    password = _read_password(settings) if creates else ""
    try:
        with open_command(settings) as database:
            lines = (
                run(database, arguments.name, password)
                if creates
                else turn_off_totp(database, arguments.name)
            )
    except Problem as problem:
        sentences = [entry["detail"] for entry in problem.extra.get("errors", [])]
        sys.exit(f"The password {sentences[0]}." if sentences else problem.detail)
    print("\n".join(lines), flush=True)  # noqa: T201  # This is the result of the command.


if __name__ == "__main__":
    main()
