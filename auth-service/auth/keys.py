"""See to the keys that sign tokens, while the shop runs.

    python -m auth.keys list              what there is
    python -m auth.keys rotate            publish a new key, which signs 90 seconds later
    python -m auth.keys rotate --after 5  let it sign so many seconds later
    python -m auth.keys rotate --now      let it sign at once: for an emergency, as calls may fail for seconds
    python -m auth.keys retire KEY        remove a key at once, with every token that it signed

With Docker: docker compose exec auth-service python -m auth.keys list
"""

import argparse
import sys
from contextlib import suppress
from datetime import UTC, datetime

from auth.commands import open_command
from auth.config import Settings
from auth.use_cases.keys import PUBLISHED_FOR, list_keys, retire_key, rotate_keys
from shared.database import Database
from shared.errors import Problem
from shared.settings import read_settings

LONGEST_WAIT = 86_400.0  # Seconds.


def run(database: Database, settings: Settings, words: list[str]) -> list[str]:
    """Carry out a command, and return the lines that tell of it; raise a Problem if it cannot be done."""
    asked = _parser().parse_args(words)
    if asked.command == "rotate":
        key = rotate_keys(database, token_seconds=settings.token_seconds, published_for=asked.after)
        return [
            f"{key.kid} signs from {_write(key.signs_from)} on.",
            "The keys before it go on verifying until their last token has died, and are then removed.",
        ]
    if asked.command == "retire":
        retire_key(database, asked.key)
        return [
            f"{asked.key} is removed. Its tokens are refused at once here, and everywhere within 30 seconds.",
            "Whoever has one gets another with the refresh token, or by logging in again.",
        ]
    return _show(database)


def _show(database: Database) -> list[str]:
    columns = "{:<18} {:<10} {:<21} {:<21} {}"
    lines = [columns.format("KEY", "STATE", "MADE", "SIGNS FROM", "VERIFIES UNTIL")]
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
        prog="python -m auth.keys", description="See to the keys that sign tokens."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="show the keys")
    rotate = commands.add_parser("rotate", help="publish a new key, which will sign in its turn")
    moment = rotate.add_mutually_exclusive_group()
    moment.add_argument("--after", type=_seconds, default=PUBLISHED_FOR, help="seconds until it signs")
    moment.add_argument(
        "--now", dest="after", action="store_const", const=0.0, help="let it sign at once, for an emergency"
    )
    retire = commands.add_parser("retire", help="remove a key and every token that it signed, at once")
    retire.add_argument("key", help="its id, as `list` shows it")
    return parser


def main() -> None:
    """Do what the command line asks for, on the database that the settings name."""
    settings = read_settings(Settings)
    words = sys.argv[1:]
    _parser().parse_args(words)  # What is mistyped is said before anything is connected.
    try:
        with open_command(settings) as database:
            lines = run(database, settings, words)
    except Problem as problem:
        sys.exit(problem.detail)
    print("\n".join(lines), flush=True)  # noqa: T201  # A command speaks this way.


if __name__ == "__main__":
    main()
