"""The stack: secrets, PostgreSQL, databases, migrations, services and gateway, started in this order."""

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local import gateway, postgres
from local.errors import CannotStart, StopRequested
from local.postgres import ADDRESS
from local.processes import write_private
from local.services import PASSED_ON, Service, python_job
from local.settings import ROOT, SERVICES, Settings
from local.sockets import make_way, port_of, reserve, reserve_public
from local.supervisor import Program, Supervisor


def run() -> int:
    """Run the stack until a stop signal arrives; return the exit code."""
    try:
        settings = Settings.from_environment(os.environ)
        postgres.find("postgres")
        nginx = gateway.find_nginx()
        with own_state(settings.state), Supervisor(settings.state, say) as supervisor:
            try:
                Stack(settings, nginx, supervisor).start()
                supervisor.watch()
            except StopRequested:
                say("Stopping (press Ctrl-C again to stop at once).")
            except CannotStart as error:
                # Print this first: stopping the started parts may take some seconds.
                say(f"Cannot start: {error}")
                return 1
    except CannotStart as error:
        say(f"Cannot start: {error}")
        return 1
    say("Stopped.")
    return 0


class Stack:
    """One start of the stack: its ports and its parts, in order."""

    def __init__(self, settings: Settings, nginx: str, supervisor: Supervisor) -> None:
        self._began = time.monotonic()
        self._settings = settings
        self._nginx = nginx
        self._supervisor = supervisor
        self._state = settings.state
        self._secrets = settings.state / "secrets"
        self._public_port = reserve_public(settings.bind, settings.port)
        self._database_port = reserve()
        self._services = [Service(name, settings.replicas.get(name, 1)) for name in SERVICES]
        self._ready = False
        supervisor.changed = self._describe

    def start(self) -> None:
        """Start each part once the parts that it needs are ready."""
        self._make_secrets()
        self._start_postgres()
        self._set_up_databases()
        self._start_services()
        self._start_gateway()
        self._ready = True
        self._describe()
        self._greet()

    def _make_secrets(self) -> None:
        job = python_job(
            "secrets", "shared.setup_secrets", str(self._secrets), *SERVICES, environment=self._environment()
        )
        self._supervisor.run(job)

    def _start_postgres(self) -> None:
        data = self._state / "postgres"

        def run_initdb(command: list[str]) -> None:
            self._supervisor.run(Program("initdb", command, postgres.environment()))

        postgres.initialise(data, self._secrets / "postgres" / "superuser-password", run_initdb)
        self._supervisor.start(postgres.program(data, port_of(self._database_port)))

    def _set_up_databases(self) -> None:
        job = python_job(
            "database",
            "shared.setup_database",
            *SERVICES,
            environment=self._environment()
            | {
                "SERVER_URL": f"postgresql://postgres@{ADDRESS}:{port_of(self._database_port)}/postgres",
                "SECRETS": str(self._secrets / "database"),
            },
        )
        self._supervisor.run(job)
        migrations = [each.migration(self._given(each)) for each in self._services if each.has_migrations]
        # Meanwhile the images are drawn, which takes a while on the first start.
        drawings = [each.drawing(self._given(each)) for each in self._services if each.has_drawings]
        self._supervisor.run(*migrations, *drawings)
        seeds = [each.seed(self._given(each)) for each in self._services if each.has_seed]
        for output in self._supervisor.run(*seeds):
            for line in output.splitlines():
                if line.startswith("admin password"):
                    say(line)
        say("PostgreSQL is ready and the databases are up to date.")

    def _start_services(self) -> None:
        programs = [program for each in self._services for program in each.programs(self._given(each))]
        self._supervisor.start(*programs)
        say(f"{len(self._services)} services are healthy, in {len(programs)} processes.")

    def _start_gateway(self) -> None:
        folder = self._state / "gateway"
        folder.mkdir(exist_ok=True)
        listen = f"{_in_url(self._settings.bind)}:{self._settings.port}"
        self._supervisor.logs.records.mkdir(exist_ok=True)
        variables = {
            "GATEWAY_RESOLVER": "127.0.0.1",
            "GATEWAY_HOME": str(ROOT / "gateway"),
            "GATEWAY_STATE": str(folder),
            "GATEWAY_RECORDS": str(self._supervisor.logs.records),
            **{f"GATEWAY_{each.package.upper()}_SERVERS": each.upstream_servers() for each in self._services},
            "GATEWAY_VERDICT_SERVERS": self._verdict_servers(),
        }
        gateway.render(ROOT / "gateway" / "templates", folder, variables)
        self._supervisor.run(gateway.settings(ROOT / "gateway", folder, listen, self._settings.environment))
        make_way(self._public_port)
        self._supervisor.run(gateway.check(self._nginx, folder))
        self._supervisor.start(
            gateway.program(self._nginx, folder, _reachable(self._settings.bind), self._settings.port)
        )

    def _verdict_servers(self) -> str:
        services = {each.package: each for each in self._services}
        return f"{services['catalog'].upstream_servers()} {services['auth'].upstream_servers('backup')}"

    def _given(self, service: Service) -> dict[str, str]:
        urls = {each.name: each.url for each in self._services}
        given = service.environment(self._settings, self._secrets, port_of(self._database_port), urls)
        if service.name == "logs-service":
            given["RECORDS_FROM_GATEWAY"] = str(self._supervisor.logs.records)
        return given

    def _environment(self) -> dict[str, str]:
        environment = self._settings.environment
        passed_on = {name: environment[name] for name in PASSED_ON if environment.get(name)}
        return passed_on | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}

    def _describe(self) -> None:
        """Write run/stack.json, in which tests and `make audit` find every part, also after restarts."""
        write_private(description_in(self._state), json.dumps(self._description(), indent=1))

    def _description(self) -> dict[str, Any]:
        pid, log = self._supervisor.pid, self._supervisor.logs.file
        return {
            "ready": self._ready,
            "supervisor": {"pid": os.getpid()},
            "gateway": {
                "url": f"http://{_in_url(_reachable(self._settings.bind))}:{self._settings.port}",
                "public_url": self._settings.public_url,
                "port": self._settings.port,
                "pid": pid("gateway"),
            },
            "postgres": {
                "host": ADDRESS,
                "port": port_of(self._database_port),
                "pid": pid("postgres"),
                "superuser_password_file": str(self._secrets / "postgres" / "superuser-password"),
            },
            "services": {
                service.name: {
                    "url": service.url,
                    "replicas": [
                        {
                            "instance": replica.instance,
                            "port": replica.port,
                            "pid": pid(replica.instance),
                            "log": str(log(replica.instance)),
                        }
                        for replica in service.replicas
                    ],
                }
                for service in self._services
            },
        }

    def _greet(self) -> None:
        seconds = time.monotonic() - self._began
        say(f"\nShopfleet answers at {self._settings.public_url} (after {seconds:.1f} s).")
        if self._settings.has_demo_users:
            say("  sign in    admin / admin")
        say(f"  logs       {_shorten(self._state / 'log')}/")
        say("  Ctrl-C stops it.\n")


def description_in(state: Path) -> Path:
    """Return the file that describes a running stack."""
    return state / "run" / "stack.json"


def is_running(state: Path) -> bool:
    """Return whether a stack holds the lock of the state folder; a description may outlive its stack."""
    try:
        with (state / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextmanager
def own_state(state: Path) -> Iterator[None]:
    """Make the state folder, readable by its owner only, and lock it against other runs."""
    try:
        state.mkdir(parents=True, exist_ok=True)
        if state.stat().st_uid != os.geteuid():
            raise CannotStart(f"{_shorten(state)} belongs to another user. Choose another STATE.")
        if not (state / "lock").exists() and any(state.iterdir()):
            raise CannotStart(f"{_shorten(state)} has other files in it. Choose a new folder as STATE.")
        state.chmod(0o700)
        lock = (state / "lock").open("a+")
        (state / "run").mkdir(exist_ok=True)
    except OSError as error:
        raise CannotStart(f"{_shorten(state)} cannot be used as STATE: {error.strerror}.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise CannotStart(
                f"{_shorten(state)} is in use by process {lock.read().strip()}. Choose another STATE."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        try:
            yield
        finally:
            description_in(state).unlink(missing_ok=True)


def say(text: str) -> None:
    """Write to the terminal; a closed terminal is not an error."""
    try:
        print(text, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _reachable(address: str) -> str:
    """Return the address to connect to, as 0.0.0.0 and :: are only for listening."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104


def _in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _shorten(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
