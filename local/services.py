"""A service's processes: their commands, sockets and environment."""

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
# Variables of `make run` that the services inherit. A stray DATABASE_URL or PYTHONPATH of the user's shell
# must not reach them.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LOG_LEVEL", *TELEMETRY)
MAIL = ("SMTP_URL", "SMTP_PASSWORD", "SMTP_PASSWORD_FILE", "MAIL_FROM", "MAIL_TEMPLATES", "MAILS_PER_MINUTE")
PASSED_ON_TO = {
    "auth-service": ("ADMIN_PASSWORD_FILE", "CORS_ORIGINS", *MAIL),
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
        "PRICES_INCLUDE_TAX",
        "SHOP_COUNTRY",
        "WEBHOOK_PRIVATE",
        *MAIL,
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
    """One process of a service, and its listening socket, which outlives the process."""

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
    """A service: its replicas, and a socket that all of them share for calls from other services."""

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
    def has_drawings(self) -> bool:
        return (self.folder / self.package / "commands" / "draw.py").is_file()

    @property
    def has_seed(self) -> bool:
        return (self.folder / self.package / "commands" / "seed.py").is_file()

    def upstream_servers(self, role: str = "") -> str:
        """Return the `server` lines of the gateway's upstream; `role` may be `backup`."""
        options = f"max_fails=0 {role}".rstrip()
        return " ".join(f"server {ADDRESS}:{replica.port} {options};" for replica in self.replicas)

    def programs(self, given: Mapping[str, str]) -> list[Program]:
        """Describe the replicas for the supervisor."""
        return [self._program(replica, given) for replica in self.replicas]

    def _program(self, replica: Replica, given: Mapping[str, str]) -> Program:
        sockets = [replica.socket.fileno(), self.shared_socket.fileno()]
        binds = [option for number in sockets for option in ("--bind", f"fd://{number}")]
        return Program(
            name=replica.instance,
            command=[sys.executable, "-m", "gunicorn", "-c", "python:shared.gunicorn_conf", *binds],
            environment={**given, "INSTANCE": replica.instance, "PORT": str(replica.port)},
            ready=lambda _pid: answers(ADDRESS, replica.port, "/healthz"),
            inherits=sockets,
        )

    def migration(self, given: Mapping[str, str]) -> Program:
        """Describe the one-shot that migrates the service's database."""
        return python_job(f"{self.name}-migrate", "shared.migrate", environment=given)

    def drawing(self, given: Mapping[str, str]) -> Program:
        """Describe the one-shot that draws the service's images, unless they are there."""
        return python_job(f"{self.name}-draw", f"{self.package}.commands.draw", environment=given)

    def seed(self, given: Mapping[str, str]) -> Program:
        """Describe the one-shot that seeds a new database."""
        return python_job(f"{self.name}-seed", f"{self.package}.commands.seed", environment=given)

    def environment(
        self, settings: Settings, secrets: Path, database_port: int, urls: Mapping[str, str]
    ) -> dict[str, str]:
        """Return the environment of the service's processes; each replica gets its own INSTANCE and PORT."""
        passed_on = (*PASSED_ON, *PASSED_ON_TO.get(self.name, ()))
        given = {
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
        given |= {f"{package_of(name).upper()}_URL": url for name, url in urls.items() if name != self.name}
        if self.name == "auth-service":
            return given | {
                "SERVICE_CLIENTS_FILE": str(secrets / self.name / "clients.json"),
                "DEMO_USERS": settings.demo_users,
            }
        return given | {"CLIENT_SECRET_FILE": str(secrets / self.name / "client-secret")}


def python_job(name: str, module: str, *arguments: str, environment: Mapping[str, str]) -> Program:
    """Describe a one-shot `python -m MODULE`."""
    return Program(name=name, command=[sys.executable, "-m", module, *arguments], environment=environment)
