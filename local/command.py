"""Run a service's command in the shop of `make run`, as `docker compose exec` does in Docker.

    python -m local.command auth-service auth.commands.signing_keys list

The command gets the environment of the service's first replica. STATE names the shop.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from local.errors import CannotStart
from local.stack import description_in, is_running


def find_environment(state: Path, service: str) -> dict[str, str]:
    """Return the environment of a running service; raise CannotStart if there is none."""
    if not (is_running(state) and description_in(state).exists()):
        raise CannotStart(f"No shop runs with its state in {state}. Start one with `make run`.")
    description = json.loads(description_in(state).read_text(encoding="utf-8"))
    replicas = description["services"].get(service, {}).get("replicas", [])
    pids = [replica["pid"] for replica in replicas if replica["pid"]]
    if not pids:
        raise CannotStart(f"{service} is not running.")
    try:
        entries = Path(f"/proc/{pids[0]}/environ").read_bytes().split(b"\0")
    except OSError as error:
        raise CannotStart(f"The environment of {service} cannot be read: {error.strerror}.") from None
    return dict(os.fsdecode(entry).split("=", 1) for entry in entries if b"=" in entry)


def run(environment: Mapping[str, str], words: list[str]) -> None:
    """Replace this process with the command."""
    service, module, *rest = words
    state = Path(environment.get("STATE") or ".local").expanduser().absolute()
    os.execve(sys.executable, [sys.executable, "-m", module, *rest], find_environment(state, service))  # noqa: S606


def main() -> None:
    """Read the command line."""
    if len(sys.argv) < 3:
        sys.exit("usage: python -m local.command SERVICE MODULE [WORD …]")
    try:
        run(os.environ, sys.argv[1:])
    except CannotStart as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
