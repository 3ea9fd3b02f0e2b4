"""Manage the keys that sign tokens, while the shop runs.

    list              show the keys
    rotate            publish a new key, which starts to sign 90 seconds later
    rotate --after 5  publish a new key, which starts to sign 5 seconds later
    rotate --now      publish a new key, which signs at once; for emergencies, as calls can fail
    retire KEY        delete a key at once, which invalidates all its tokens

With Docker: docker compose exec auth-service python -m auth.commands.signing_keys list
"""

import argparse
import sys
from contextlib import suppress
from datetime import UTC, datetime

from auth.commands import open_command
from auth.config import Settings
from auth.use_cases.signing_keys import PUBLISHED_FOR, list_keys, retire_key, rotate_keys
from shared.database import Database
from shared.errors import Problem
from shared.settings import read_settings

LONGEST_WAIT = 86_400.0  # Seconds.


def run(database: Database, settings: Settings, words: list[str]) -> list[str]:
    """Run a command and return the lines to print; raise a Problem on failure."""
    arguments = _parser().parse_args(words)
    if arguments.command == "rotate":
        key = rotate_keys(database, token_seconds=settings.token_seconds, published_for=arguments.after)
        return [
            f"{key.kid} signs from {_write(key.signs_from)}.",
            "The older keys verify until their last token has expired, and are then deleted.",
        ]
    if arguments.command == "retire":
        retire_key(database, arguments.key)
        return [
            f"{arguments.key} is retired. Its tokens are refused at once here, elsewhere within 30 seconds.",
            "Clients get a new token with the refresh token or by logging in again.",
        ]
    return _show(database)


def _show(database: Database) -> list[str]:
    columns = "{:<18} {:<10} {:<21} {:<21} {}"
    lines = [columns.format("KEY", "STATE", "CREATED", "SIGNS FROM", "VERIFIES UNTIL")]
    for key, state in list_keys(database):
        times = [
            _write(time) if time else "-" for time in (key.created_at, key.signs_from, key.verifies_until)
        ]
        lines.append(columns.format(key.kid, state, *times))
    return lines


def _write(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (seconds := float(text)) <= LONGEST_WAIT:
            return seconds
    raise argparse.ArgumentTypeError(f"give 0 to {LONGEST_WAIT:.0f} seconds, not {text!r}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m auth.commands.signing_keys", description="Manage the keys that sign tokens."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="show the keys")
    rotate = commands.add_parser("rotate", help="publish a new key, which starts to sign later")
    start = rotate.add_mutually_exclusive_group()
    start.add_argument("--after", type=_seconds, default=PUBLISHED_FOR, help="seconds until it signs")
    start.add_argument(
        "--now", dest="after", action="store_const", const=0.0, help="sign at once, for emergencies only"
    )
    retire = commands.add_parser("retire", help="delete a key at once, which invalidates all its tokens")
    retire.add_argument("key", help="the id of the key, as `list` shows it")
    return parser


def main() -> None:
    """Run the command line on the database in the settings."""
    settings = read_settings(Settings)
    words = sys.argv[1:]
    _parser().parse_args(words)  # Report mistakes before connecting.
    try:
        with open_command(settings) as database:
            lines = run(database, settings, words)
    except Problem as problem:
        sys.exit(problem.detail)
    print("\n".join(lines), flush=True)  # noqa: T201  # This is the result of the command.


if __name__ == "__main__":
    main()
