"""Make an admin: `python -m auth.users create-admin NAME`.

The password is that of ADMIN_PASSWORD_FILE, or the first line of standard input; with neither one is made up
and printed once. With Docker: docker compose exec auth-service python -m auth.users create-admin NAME
"""

import argparse
import getpass
import secrets
import sys

from auth.commands import open_command
from auth.config import Settings
from auth.domain import choose_name
from auth.passwords import UNHURRIED, Passwords
from auth.use_cases.accounts import create_admin
from shared.database import Database
from shared.errors import Problem
from shared.settings import read_settings


def run(database: Database, name: str, password: str, passwords: Passwords | None = None) -> list[str]:
    """Make the admin, and return the lines that tell of it; raise a Problem if that cannot be done.

    An empty password has one made up.
    """
    made_up = "" if password else secrets.token_urlsafe(12)
    user = create_admin(database, passwords or Passwords(patience=UNHURRIED), name, password or made_up)
    lines = [f"{user.username} is an admin."]
    return [*lines, f"{user.username} password (shown once): {made_up}"] if made_up else lines


def _read_password(settings: Settings) -> str:
    if settings.admin_password:
        return settings.admin_password.get_secret_value()
    if sys.stdin.isatty():
        password = getpass.getpass("Password (leave it empty to have one made up): ")
        if password and getpass.getpass("Once more: ") != password:
            sys.exit("The two are not the same.")
        return password
    return sys.stdin.readline().rstrip("\r\n")


def _read_name(text: str) -> str:
    try:
        return choose_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"it {error}") from error


def main() -> None:
    """Do what the command line asks for, on the database that the settings name."""
    parser = argparse.ArgumentParser(prog="python -m auth.users", description="See to the accounts.")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create-admin", help="make an admin; the password is read, or made up")
    create.add_argument("name", type=_read_name)
    asked = parser.parse_args()
    settings = read_settings(Settings)
    password = _read_password(settings)
    try:
        with open_command(settings) as database:
            lines = run(database, asked.name, password)
    except Problem as problem:
        sentences = [entry["detail"] for entry in problem.extra.get("errors", [])]
        sys.exit(f"The password {sentences[0]}." if sentences else problem.detail)
    print("\n".join(lines), flush=True)  # noqa: T201  # A command speaks this way.


if __name__ == "__main__":
    main()
