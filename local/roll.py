"""Replace a service's replicas one at a time, while the shop stays up.

    python -m local.roll orders-service

The shop is that of `make run` if one runs with its state in STATE, and otherwise that of `docker compose`.
There each new container uses the newest image, so this also rolls out an upgrade.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from local.errors import CannotStart
from local.postgres import ADDRESS
from local.settings import ROOT, SERVICES
from local.sockets import answers
from local.stack import description_in, is_running

READY_SECONDS = 90.0  # A new replica must answer within this time.


def roll_processes(state: Path, service: str, say: Callable[[str], None]) -> None:
    """Stop each process of a service in turn and wait for its successor; requests wait in its socket."""
    for replica in _describe(state, service):
        name, pid = replica["instance"], replica["pid"]
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
        _wait_for_successor(state, service, name, pid)
        say(f"{name} was replaced.")


def roll_containers(service: str, say: Callable[[str], None]) -> None:
    """Start a new container for each old one, and stop the old one once the new one is healthy."""
    old = _docker("compose", "ps", "--quiet", service).split()
    if not old:
        raise CannotStart(f"{service} is not running. Start it with `docker compose up`.")
    scale = f"{service}={len(old) + 1}"
    for container in old:
        one_more = ("--no-deps", "--no-build", "--no-recreate", "--scale", scale, service)
        _docker("compose", "up", "--detach", "--wait", *one_more)
        _docker("stop", container)
        _docker("rm", container)
        say(f"{container[:12]} was replaced.")


def _describe(state: Path, service: str) -> list[dict[str, Any]]:
    description = json.loads(description_in(state).read_text(encoding="utf-8"))
    replicas: list[dict[str, Any]] = description["services"][service]["replicas"]
    return replicas


def _wait_for_successor(state: Path, service: str, name: str, old: int | None) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        [replica] = [each for each in _describe(state, service) if each["instance"] == name]
        if replica["pid"] not in {None, old} and answers(ADDRESS, replica["port"], "/healthz"):
            return
        time.sleep(0.1)
    raise CannotStart(
        f"{name} is not ready after {READY_SECONDS:.0f} s. The remaining replicas were not replaced."
    )


def _docker(*words: str) -> str:
    try:
        done = subprocess.run(["docker", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise CannotStart("No shop runs with its state in STATE, and Docker is not installed.") from None
    if done.returncode != 0:
        raise CannotStart(f"docker {' '.join(words)} failed:\n{done.stderr.strip()}")
    return done.stdout


def roll(environment: Mapping[str, str], service: str, say: Callable[[str], None] = print) -> None:
    """Replace every replica of a service; raise CannotStart if that fails."""
    if service not in SERVICES:
        raise CannotStart(f"There is no service {service!r}. The services are {', '.join(SERVICES)}.")
    state = Path(environment.get("STATE") or ".local").expanduser().absolute()
    if is_running(state) and description_in(state).exists():
        roll_processes(state, service, say)
    else:
        roll_containers(service, say)


def main() -> None:
    """Read the command line."""
    if len(sys.argv) != 2:
        sys.exit("usage: make roll SERVICE=NAME")
    try:
        roll(os.environ, sys.argv[1])
    except CannotStart as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
