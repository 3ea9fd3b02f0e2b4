"""Run the stack of `make run` with separate database servers: `python -m tests.deploy.launch`.

Catalog, orders and payments each have their own PostgreSQL, behind one PgBouncer in transaction mode.
"""

import shutil
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from local import postgres, stack
from local.errors import CannotStart
from local.postgres import ADDRESS
from local.processes import unprivileged
from local.services import Service, python_job
from local.settings import ROOT, Settings
from local.sockets import port_of, reserve
from local.stack import Stack
from local.supervisor import Program

SEPARATE = ("catalog-service", "orders-service", "payments-service")
CONFIGURATION = """
[databases]
{databases}
[pgbouncer]
listen_addr = {address}
listen_port = {port}
unix_socket_dir =
auth_file = {users}
%include {shared}
"""


class PooledService(Service):
    """A service that reaches its database through the PgBouncer, if it has a separate server."""

    def environment(
        self, settings: Settings, secrets: Path, database_port: int, urls: Mapping[str, str]
    ) -> dict[str, str]:
        """Return the environment of the service's processes."""
        if self.name not in SEPARATE:
            return super().environment(settings, secrets, database_port, urls)
        environment = super().environment(settings, secrets, SpreadStack.pooler_port, urls)
        return environment | {"PREPARED_STATEMENTS": "off"}


class SpreadStack(Stack):
    """A stack with four PostgreSQL servers and a PgBouncer."""

    pooler_port = 0

    def _start_postgres(self) -> None:
        super()._start_postgres()
        self._pooler = reserve()
        SpreadStack.pooler_port = port_of(self._pooler)
        self._servers = {service: reserve() for service in SEPARATE}
        for service, port in self._servers.items():
            name = f"postgres-{service}"
            data = self._state / name

            def run_initdb(command: list[str]) -> None:
                self._supervisor.run(Program("initdb", command, postgres.environment()))

            postgres.initialise(data, self._secrets / "postgres" / "superuser-password", run_initdb)
            self._supervisor.start(replace(postgres.program(data, port_of(port)), name=name))

    def _set_up_databases(self) -> None:
        for service, port in self._servers.items():
            environment = {
                "SERVER_URL": f"postgresql://postgres@{ADDRESS}:{port_of(port)}/postgres",
                "SECRETS": str(self._secrets / "database"),
            }
            job = python_job(
                f"database-{service}",
                "shared.setup_database",
                service,
                environment=self._environment() | environment,
            )
            self._supervisor.run(job)
        self._start_pooler()
        super()._set_up_databases()

    def _start_pooler(self) -> None:
        program = shutil.which("pgbouncer", path="/usr/bin:/usr/sbin:/usr/local/bin")
        if program is None:
            raise CannotStart("pgbouncer is not installed.")
        folder = self._state / "pgbouncer"
        folder.mkdir(exist_ok=True)
        names = {service: service.removesuffix("-service") for service in SEPARATE}
        users = [
            f'"{name}" "{(self._secrets / service / "database-password").read_text().strip()}"'
            for service, name in names.items()
        ]
        (folder / "users.txt").write_text("\n".join(users) + "\n")
        databases = [
            f"{name} = host={ADDRESS} port={port_of(self._servers[service])} dbname={name}"
            for service, name in names.items()
        ]
        port = port_of(self._pooler)
        (folder / "pgbouncer.ini").write_text(
            CONFIGURATION.format(
                databases="\n".join(databases),
                address=ADDRESS,
                port=port,
                users=folder / "users.txt",
                shared=ROOT / "deploy" / "pgbouncer.ini",
            )
        )
        command = unprivileged([program, str(folder / "pgbouncer.ini")], signal.SIGINT)
        self._supervisor.start(
            Program(
                "pgbouncer",
                command,
                postgres.environment(),
                ready=lambda _pid: _accepts(port),
                stop_signal=signal.SIGINT,
            )
        )

    def _description(self) -> dict[str, Any]:
        parts = ["pgbouncer", *(f"postgres-{service}" for service in SEPARATE)]
        ports = {
            f"postgres-{service}": port_of(port) for service, port in getattr(self, "_servers", {}).items()
        }
        added = {part: {"pid": self._supervisor.pid(part), "port": ports.get(part)} for part in parts}
        return super()._description() | added


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((ADDRESS, port), timeout=1).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    stack.Service = PooledService  # type: ignore[misc]
    stack.Stack = SpreadStack  # type: ignore[misc]
    sys.exit(stack.run())
