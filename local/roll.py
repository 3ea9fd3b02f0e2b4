"""Replace a service's replicas one after the other, while the shop goes on.

    python -m local.roll orders-service

The shop is the one of `make run` if one runs with its state in STATE, and otherwise that of `docker compose`.
There each new container is made of the newest image, so this is also how an upgrade is brought in.
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

READY_SECONDS = 90.0  # Until a new replica must answer.


def roll_processes(state: Path, service: str, say: Callable[[str], None]) -> None:
    """Stop each process of a service in turn and wait for the next; whoever calls it meanwhile waits, too."""
    for replica in _describe(state, service):
        name, pid = replica["instance"], replica["pid"]
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
        _wait_for_another(state, service, name, pid)
        say(f"{name} was replaced.")


def roll_containers(service: str, say: Callable[[str], None]) -> None:
    """Put a new container beside each old one, and stop the old one once the new one is healthy."""
    old = _docker("compose", "ps", "--quiet", service).split()
    if not old:
        raise CannotStart(f"{service} does not run just now; `docker compose up` starts it.")
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


def _wait_for_another(state: Path, service: str, name: str, old: int | None) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        [replica] = [each for each in _describe(state, service) if each["instance"] == name]
        if replica["pid"] not in {None, old} and answers(ADDRESS, replica["port"], "/healthz"):
            return
        time.sleep(0.1)
    raise CannotStart(f"{name} is not back after {READY_SECONDS:.0f} s; what comes after it is as it was.")


def _docker(*words: str) -> str:
    try:
        done = subprocess.run(["docker", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise CannotStart("No shop runs with its state in STATE, and there is no Docker here.") from None
    if done.returncode != 0:
        raise CannotStart(f"docker {' '.join(words)} failed:\n{done.stderr.strip()}")
    return done.stdout


def roll(environment: Mapping[str, str], service: str, say: Callable[[str], None] = print) -> None:
    """Replace every replica of a service; raise CannotStart where that cannot be done."""
    if service not in SERVICES:
        raise CannotStart(f"There is no service {service!r}; there are {', '.join(SERVICES)}.")
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
