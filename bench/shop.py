"""A shop to measure: the stack of `make run` on a free port, with a state that is removed afterwards."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import requests

from bench.errors import CannotMeasure
from bench.usage import Memory, add_up, measure_cpu, measure_memory
from local.processes import has_ended, reap, spawn, wait_until
from local.settings import ROOT
from local.sockets import answers, port_of, reserve
from local.stack import description_in
from tools.books import find_databases

START_SECONDS = 120.0
STOP_SECONDS = 60.0
RELOAD_SECONDS = 20.0
SETTLE_SECONDS = 120.0
PASSED_ON = ("PATH", "HOME", "LANG", "SCALE", "LOG_LEVEL")  # SCALE, to measure several replicas.
# A sync would take back the units that a measurement adds, logs-service would drop its oldest records, and
# the gateway would refuse most calls.
SETTINGS = {"CATALOG_SYNC_SECONDS": "86400", "LOG_RETENTION_MIB": "1000000", "RATE_LIMITS": "off"}


class Shop:
    """A running shop."""

    def __init__(self, url: str, state: Path) -> None:
        self.url = url
        self._state = state

    def run_sql(self, database: str, statement: str, **values: Any) -> Any:
        """Run a statement in a service's database; return the first value of the result, if any."""
        url = find_databases({"STATE": str(self._state)})[database]
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None

    @property
    def services(self) -> dict[str, Any]:
        """Return the `url` of each service behind the gateway, and the `pid` and `port` of its `replicas`."""
        services: dict[str, Any] = self._describe()["services"]
        return services

    @property
    def pids(self) -> dict[str, list[int]]:
        """Return the processes of the gateway, of PostgreSQL, and of each service's replicas."""
        pids = {part: [self._describe()[part]["pid"]] for part in ("gateway", "postgres")}
        for name, service in self.services.items():
            pids[name] = [replica["pid"] for replica in service["replicas"]]
        return pids

    def measure_cpu(self) -> dict[str, float]:
        """Return the processor seconds that each part has used so far."""
        return {part: sum(map(measure_cpu, pids)) for part, pids in self.pids.items()}

    def measure_memory(self) -> dict[str, Memory]:
        """Return the memory of each part, and of the supervisor itself."""
        supervisor = measure_memory(self._describe()["supervisor"]["pid"], with_children=False)
        parts = {part: add_up([*map(measure_memory, pids)]) for part, pids in self.pids.items()}
        return {"supervisor": supervisor, **parts}

    def enter(self) -> dict[str, str]:
        """Return the headers of a new guest."""
        return enter(self.url)

    def serve_file(self, name: str, content: bytes) -> str:
        """Make the gateway's nginx serve a file; return the path of its URL."""
        folder, path, gateway = self._state / "gateway", f"/bench/{name}", self._describe()["gateway"]
        (folder / name).write_bytes(content)
        # Settings of this shop's nginx only, next to its templates.
        with (folder / "settings" / "server.conf").open("a", encoding="utf-8") as settings:
            settings.write(f'location = {path} {{ alias "{folder / name}"; }}\n')
        os.kill(gateway["pid"], signal.SIGHUP)
        if not wait_until(lambda: answers("127.0.0.1", gateway["port"], path), RELOAD_SECONDS):
            raise CannotMeasure("The gateway does not serve the file.")
        return path

    def settle(self) -> float:
        """Wait until all orders are finished; return the seconds."""
        began = time.monotonic()
        # Every release has these columns and statuses, and CONTROL may be any.
        unfinished = "SELECT count(*) FROM orders WHERE status IN ('pending', 'confirmed')"
        while self.run_sql("orders", unfinished):
            if time.monotonic() - began > SETTLE_SECONDS:
                raise CannotMeasure(f"The orders are not finished after {SETTLE_SECONDS:.0f} s.")
            time.sleep(0.05)
        return round(time.monotonic() - began, 2)

    def _describe(self) -> dict[str, Any]:
        description: dict[str, Any] = json.loads(description_in(self._state).read_text(encoding="utf-8"))
        return description


def enter(url: str) -> dict[str, str]:
    """Return the headers of a new guest of the shop at a URL."""
    answer = requests.post(f"{url}/auth/guest", timeout=20)
    answer.raise_for_status()
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def say(text: str) -> None:
    """Print the progress to stderr, as the report goes to stdout."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def fresh_folder() -> Iterator[Path]:
    """Make a folder on the disk of `make run`'s state, and remove it at the end."""
    folder = Path(tempfile.mkdtemp(prefix=".local-bench-", dir=ROOT))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def checked_out(folder: Path, commit: str) -> Iterator[Path]:
    """Check out another commit below the folder; raises CannotMeasure if there is no such commit."""
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

    `home` is the checkout that its code comes from.
    """
    with closing(reserve()) as holder:
        port = port_of(holder)
    state, output = folder / "state", folder / "output"
    passed_on = {name: os.environ[name] for name in PASSED_ON if os.environ.get(name)}
    environment = {**passed_on, **SETTINGS, **(settings or {}), "PORT": str(port), "STATE": str(state)}
    with running_process(["-m", "local"], environment, home, output) as pid:
        wait_until(lambda: _is_ready(state) or has_ended(pid), START_SECONDS)
        if not _is_ready(state):
            raise CannotMeasure(f"The shop did not start:\n{output.read_text(errors='replace')}")
        yield Shop(f"http://127.0.0.1:{port}", state)


@contextmanager
def running_commit(commit: str) -> Iterator[Shop]:
    """Start the shop of another commit and stop it at the end; raises CannotMeasure."""
    with (
        fresh_folder() as folder,
        checked_out(folder, commit) as home,
        running_shop(folder, home=home) as shop,
    ):
        yield shop


@contextmanager
def running_process(
    arguments: Sequence[str], environment: Mapping[str, str], home: Path, output: Path
) -> Iterator[int]:
    """Run Python with these arguments during a block; yield the process id."""
    command = [sys.executable, *arguments]
    stop = signal.SIGTERM
    with output.open("wb") as log:
        process = spawn(command, environment=environment, home=home, log=log.fileno(), stop_signal=stop)
    try:
        yield process.pid
    finally:
        os.kill(process.pid, stop)
        wait_until(lambda: has_ended(process.pid), STOP_SECONDS)
        reap(process)


def _is_ready(state: Path) -> bool:
    try:
        return bool(json.loads(description_in(state).read_text(encoding="utf-8"))["ready"])
    except OSError:
        return False
