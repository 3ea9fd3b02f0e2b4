"""A service's processes: what they are started with, and what they are told."""

import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.postgres import ADDRESS
from local.settings import ROOT, Settings
from local.sockets import answers, listen, port_of
from local.supervisor import Program
from shared.service import package_of

TELEMETRY = ("SPOOL_MIB", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS")
# What is handed on from the environment of `make run`. Nothing else is: a stray DATABASE_URL or PYTHONPATH of
# somebody's shell would otherwise reach the services.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LOG_LEVEL", *TELEMETRY)
PASSED_ON_TO = {
    "auth-service": ("ADMIN_PASSWORD_FILE", "CORS_ORIGINS"),
    "catalog-service": (
        "CATALOG_UPSTREAM_URL",
        "CATALOG_UPSTREAM_TOKEN_FILE",
        "CATALOG_SYNC_SECONDS",
        "CURRENCY",
    ),
    "logs-service": ("LOG_RETENTION_DAYS", "LOG_RETENTION_MIB", "AUDIT_RETENTION_DAYS"),
    "orders-service": (
        "RATE_LIMITS",
        "WAITING_ORDERS_PER_CUSTOMER",
        "WAITING_UNITS_PER_CUSTOMER",
        "WAITING_ORDERS_PER_ADDRESS",
        "WAITING_UNITS_PER_ADDRESS",
    ),
    "payments-service": (
        "PAYMENT_PROVIDER",
        "STRIPE_API_BASE",
        "STRIPE_SECRET_KEY",
        "STRIPE_SECRET_KEY_FILE",
        "STRIPE_WEBHOOK_SECRET",
        "STRIPE_WEBHOOK_SECRET_FILE",
    ),
}


@dataclass(frozen=True)
class Replica:
    """One process of a service, and the socket it listens on, which outlives the process."""

    service: str
    number: int
    socket: socket.socket

    @property
    def instance(self) -> str:
        return f"{self.service}-{self.number}"

    @property
    def port(self) -> int:
        return port_of(self.socket)


class Service:
    """A service: its replicas, and a socket that all of them accept from, for calls from other services."""

    def __init__(self, name: str, replicas: int) -> None:
        self.name = name
        self.package = package_of(name)
        self.folder = ROOT / name
        self.shared_socket = listen()
        self.replicas = [Replica(name, number, listen()) for number in range(1, replicas + 1)]

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{port_of(self.shared_socket)}"

    @property
    def has_migrations(self) -> bool:
        return (self.folder / "migrations").is_dir()

    @property
    def has_seed(self) -> bool:
        return (self.folder / self.package / "seed.py").is_file()

    def upstream_servers(self, role: str = "") -> str:
        """Return the `server` lines of the gateway's upstream; in the `role` of a backup, say."""
        options = f"max_fails=0 {role}".rstrip()
        return " ".join(f"server {ADDRESS}:{replica.port} {options};" for replica in self.replicas)

    def programs(self, told: Mapping[str, str]) -> list[Program]:
        """Describe the replicas for the supervisor."""
        return [self._program(replica, told) for replica in self.replicas]

    def _program(self, replica: Replica, told: Mapping[str, str]) -> Program:
        sockets = [replica.socket.fileno(), self.shared_socket.fileno()]
        binds = [option for number in sockets for option in ("--bind", f"fd://{number}")]
        return Program(
            name=replica.instance,
            command=[sys.executable, "-m", "gunicorn", "-c", "python:shared.gunicorn_conf", *binds],
            environment={**told, "INSTANCE": replica.instance, "PORT": str(replica.port)},
            ready=lambda _pid: answers(ADDRESS, replica.port, "/healthz"),
            inherits=sockets,
        )

    def migration(self, told: Mapping[str, str]) -> Program:
        """Describe the one-shot that brings the service's database up to date."""
        return python_job(f"{self.name}-migrate", "shared.migrate", environment=told)

    def seed(self, told: Mapping[str, str]) -> Program:
        """Describe the one-shot that makes the first records of a new database."""
        return python_job(f"{self.name}-seed", f"{self.package}.seed", environment=told)

    def environment(
        self, settings: Settings, secrets: Path, database_port: int, urls: Mapping[str, str]
    ) -> dict[str, str]:
        """Return what every process of the service is told; a replica gets its own INSTANCE and PORT."""
        passed_on = (*PASSED_ON, *PASSED_ON_TO.get(self.name, ()))
        told = {
            **{name: settings.environment[name] for name in passed_on if settings.environment.get(name)},
            "PYTHONPATH": f"{ROOT}:{self.folder}",
            "PYTHONUNBUFFERED": "1",
            "SERVICE": self.name,
            "INSTANCE": self.name,
            "PORT": str(self.replicas[0].port),
            "SHOPFLEET_ENV": settings.shopfleet_env,
            "PUBLIC_URL": settings.public_url,
            "BIND": settings.bind,
            "SPOOL": str(settings.state / "spool" / self.name),
            "DATABASE_URL": f"postgresql://{self.package}@{ADDRESS}:{database_port}/{self.package}",
            "DATABASE_PASSWORD_FILE": str(secrets / self.name / "database-password"),
        }
        told |= {f"{package_of(name).upper()}_URL": url for name, url in urls.items() if name != self.name}
        if self.name == "auth-service":
            return told | {
                "SERVICE_CLIENTS_FILE": str(secrets / self.name / "clients.json"),
                "DEMO_USERS": settings.demo_users,
            }
        return told | {"CLIENT_SECRET_FILE": str(secrets / self.name / "client-secret")}


def python_job(name: str, module: str, *arguments: str, environment: Mapping[str, str]) -> Program:
    """Describe a one-shot `python -m MODULE`."""
    return Program(name=name, command=[sys.executable, "-m", module, *arguments], environment=environment)
