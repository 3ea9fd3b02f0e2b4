"""A shop to measure: the stack of `make run` with a port and a state of its own, both gone afterwards."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import requests

from bench.cpu import measure_cpu
from bench.memory import Memory, add_up, measure_memory
from local.audit import find_databases
from local.processes import has_ended, reap, spawn, wait_until
from local.settings import ROOT
from local.sockets import answers, port_of, reserve
from local.stack import description_in

START_SECONDS = 120.0
STOP_SECONDS = 60.0
RELOAD_SECONDS = 20.0
SETTLE_SECONDS = 120.0
# SCALE, so that replicas can be measured, too.
PASSED_ON = ("PATH", "HOME", "LANG", "SCALE", "LOG_LEVEL")

# The source would take back the units that a measurement adds, what is much would be dropped, and the limits
# would be what is measured.
TOLD = {"CATALOG_SYNC_SECONDS": "86400", "LOG_RETENTION_MIB": "1000000", "RATE_LIMITS": "off"}


class CannotMeasure(Exception):
    """Say in one sentence why there are no numbers."""


class Shop:
    """A running shop."""

    def __init__(self, url: str, state: Path) -> None:
        self.url = url
        self._state = state

    def run_sql(self, database: str, statement: str, **values: Any) -> Any:
        """Run a statement in a service's database; return the first value of its answer, if it has one."""
        url = find_databases({"STATE": str(self._state)})[database]
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None

    def measure_cpu(self) -> dict[str, float]:
        """Return the seconds of one core that each part has used so far, all its replicas together."""
        description = self._describe()
        used = {part: measure_cpu(description[part]["pid"]) for part in ("gateway", "postgres")}
        for name, service in description["services"].items():
            used[name] = sum(measure_cpu(replica["pid"]) for replica in service["replicas"])
        return used

    def measure_memory(self) -> dict[str, Memory]:
        """Return what each service takes, all its replicas together, and what the other parts take."""
        description = self._describe()
        supervisor = measure_memory(description["supervisor"]["pid"], with_children=False)
        memory = {"supervisor": supervisor}
        for part in ("gateway", "postgres"):
            memory[part] = measure_memory(description[part]["pid"])
        for name, service in description["services"].items():
            memory[name] = add_up([measure_memory(replica["pid"]) for replica in service["replicas"]])
        return memory

    def address_of(self, service: str) -> str:
        """Return the address of a service itself, behind the gateway."""
        return str(self._describe()["services"][service]["url"])

    def ports_of(self, service: str) -> list[int]:
        """Return the port of each replica."""
        return [replica["port"] for replica in self._describe()["services"][service]["replicas"]]

    def pids_of(self, service: str) -> list[int]:
        """Return the process of each replica."""
        return [replica["pid"] for replica in self._describe()["services"][service]["replicas"]]

    def enter(self) -> dict[str, str]:
        """Return the headers of a new guest."""
        answer = requests.post(f"{self.url}/auth/guest", timeout=20)
        answer.raise_for_status()
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def serve_file(self, name: str, content: bytes) -> str:
        """Let the gateway's nginx serve a file; return its path."""
        folder, path = self._state / "gateway", f"/bench/{name}"
        (folder / name).write_bytes(content)
        # What has been told to nginx beside its templates, and to this shop alone.
        with (folder / "settings" / "server.conf").open("a", encoding="utf-8") as settings:
            settings.write(f'location = {path} {{ alias "{folder / name}"; }}\n')
        os.kill(self._describe()["gateway"]["pid"], signal.SIGHUP)
        port = self._describe()["gateway"]["port"]
        if not wait_until(lambda: answers("127.0.0.1", port, path), RELOAD_SECONDS):
            raise CannotMeasure("The gateway does not serve the file.")
        return path

    def settle(self) -> float:
        """Wait until no order has anything left to do; return the seconds that took."""
        began = time.monotonic()
        # In the words that every release has.
        unfinished = "SELECT count(*) FROM orders WHERE status IN ('pending', 'confirmed')"
        while self.run_sql("orders", unfinished):
            if time.monotonic() - began > SETTLE_SECONDS:
                raise CannotMeasure(f"The orders are not finished after {SETTLE_SECONDS:.0f} s.")
            time.sleep(0.05)
        return round(time.monotonic() - began, 2)

    def _describe(self) -> dict[str, Any]:
        description: dict[str, Any] = json.loads(description_in(self._state).read_text(encoding="utf-8"))
        return description


def say(text: str) -> None:
    """Tell how far it is, beside the result."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def fresh_folder() -> Iterator[Path]:
    """Make a folder on the disk where `make run` has its state, and remove it with all that is in it."""
    folder = Path(tempfile.mkdtemp(prefix=".local-bench-", dir=ROOT))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def checked_out(folder: Path, commit: str) -> Iterator[Path]:
    """Have the code of another commit below the folder; raises CannotMeasure if there is no such commit."""
    home = folder / "control"
    command = ["git", "-C", str(ROOT), "worktree"]
    made = subprocess.run(
        [*command, "add", "--detach", str(home), commit], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        raise CannotMeasure(f"CONTROL is {commit!r}: {made.stderr.strip()}")
    try:
        yield home
    finally:
        subprocess.run([*command, "remove", "--force", str(home)], check=False)


@contextmanager
def running_shop(
    folder: Path, settings: Mapping[str, str] | None = None, *, home: Path = ROOT
) -> Iterator[Shop]:
    """Start a shop with its state below the folder and stop it at the end; raises CannotMeasure.

    `home` is where its code is: here, or what another commit had.
    """
    with closing(reserve()) as holder:
        port = port_of(holder)
    state, output = folder / "state", folder / "output"
    told = {name: os.environ[name] for name in PASSED_ON if os.environ.get(name)}
    with output.open("wb") as log:
        process = spawn(
            [sys.executable, "-m", "local"],
            environment={**told, **TOLD, **(settings or {}), "PORT": str(port), "STATE": str(state)},
            home=home,
            log=log.fileno(),
            stop_signal=signal.SIGTERM,
        )
    try:
        wait_until(lambda: _is_ready(state) or has_ended(process.pid), START_SECONDS)
        if not _is_ready(state):
            raise CannotMeasure(f"The shop did not start:\n{output.read_text(errors='replace')}")
        yield Shop(f"http://127.0.0.1:{port}", state)
    finally:
        os.kill(process.pid, signal.SIGTERM)
        wait_until(lambda: has_ended(process.pid), STOP_SECONDS)
        reap(process)


def _is_ready(state: Path) -> bool:
    try:
        return bool(json.loads(description_in(state).read_text(encoding="utf-8"))["ready"])
    except OSError:
        return False
