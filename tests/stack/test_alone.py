"""Each service alone with one PostgreSQL, in a container or with the Procfile, as in the tutorial."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.setup_secrets import hash_secret
from tests.stacks import ROOT, SERVICES, Shopper, docker, find_free_port, reserve_port
from tests.waiting import wait_for

pytestmark = [pytest.mark.shop, pytest.mark.timeout(900)]

ADMIN = {"username": "admin", "password": "admin"}
# The setting with the credentials of the other services.
CLIENTS = json.dumps({service: hash_secret("alone") for service in SERVICES if service != "auth-service"})


def is_healthy(shopper: Shopper) -> bool:
    try:
        return shopper.get("/healthz").status_code == 200
    except OSError:
        return False


class Engine:
    """A network with one PostgreSQL and single service containers."""

    def __init__(self, name: str) -> None:
        self.name = name
        docker("network", "create", name)

    def start_postgres(self) -> None:
        """Start the server and make a database for each service."""
        password = ["--env", "POSTGRES_PASSWORD=alone", "--env", "PGPASSWORD=alone"]
        docker("run", "--detach", "--name", f"{self.name}-db", *password, *self._alias("db"), "postgres:18")
        psql = ["exec", f"{self.name}-db", "psql", "--host=127.0.0.1", "--username=postgres", "--command"]
        wait_for(lambda: self._succeeds(*psql, "SELECT 1"))
        for service in SERVICES:
            docker(*psql, f"CREATE DATABASE {service.removesuffix('-service')}")

    def run(self, service: str, *command: str) -> None:
        """Run a command in a service's image and wait for its end."""
        docker("run", "--rm", *self._alias("job"), *self._told(service), f"shopfleet/{service}", *command)

    def serve(self, service: str) -> Shopper:
        """Run a service on its own port; return a client."""
        port = find_free_port()
        published = ["--publish", f"127.0.0.1:{port}:5000"]
        docker(
            "run", "--detach", *published, *self._alias(service), *self._told(service), f"shopfleet/{service}"
        )
        shopper = Shopper(f"http://127.0.0.1:{port}")
        wait_for(lambda: is_healthy(shopper))
        return shopper

    def remove(self) -> None:
        """Remove every container, and the network."""
        containers = docker("ps", "--all", "--quiet", "--filter", f"network={self.name}").split()
        if containers:
            docker("rm", "--force", "--volumes", *containers)
        docker("network", "rm", self.name)

    def _alias(self, alias: str) -> list[str]:
        return ["--network", self.name, "--network-alias", alias]

    def _told(self, service: str) -> list[str]:
        url = f"DATABASE_URL=postgresql://postgres:alone@db/{service.removesuffix('-service')}"
        others = [
            f"{name.upper()}_URL=http://{name}-service:5000" for name in ("auth", "catalog", "payments")
        ]
        known = f"SERVICE_CLIENTS={CLIENTS}"
        return [word for told in (url, *others, "CLIENT_SECRET=alone", known) for word in ("--env", told)]

    def _succeeds(self, *arguments: str) -> bool:
        return subprocess.run(["docker", *arguments], capture_output=True, check=False).returncode == 0


@pytest.fixture
def engine(compose) -> Iterator[Engine]:
    """The containers use the images of the Compose stack."""
    engine = Engine(f"{compose.project}-alone")
    try:
        engine.start_postgres()
        yield engine
    finally:
        engine.remove()


@pytest.mark.long
@pytest.mark.xdist_group("compose")
def test_docker_run_serves_each_service_with_one_postgresql(engine):
    engine.run("auth-service", "sh", "-c", "python -m shared.migrate && python -m auth.commands.seed")
    with engine.serve("auth-service") as auth:
        token = auth.post("/auth", json=ADMIN).json()["access_token"]
    for service in ("catalog-service", "orders-service", "payments-service", "logs-service"):
        engine.run(service, "python", "-m", "shared.migrate")
    with engine.serve("catalog-service") as catalog:
        catalog.headers["Authorization"] = f"Bearer {token}"
        wait_for(lambda: catalog.get("/products").status_code == 200)
    for service in ("orders-service", "payments-service", "logs-service"):
        with engine.serve(service) as client:
            assert client.get("/").json()["service"] == service


@pytest.fixture
def web(tmp_path: Path) -> Iterator:
    """Start a service with the Procfile's command, and stop it at the end of the test."""
    started = []
    [line] = [line for line in (ROOT / "Procfile").read_text().splitlines() if line.startswith("web:")]

    def start(service: str, **environment: str) -> Shopper:
        port = reserve_port()
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        told = {"PATH": path, "SERVICE": service, "PORT": str(port), **environment}
        with (tmp_path / f"{service}.log").open("wb") as log:
            command = ["sh", "-c", line.removeprefix("web:").strip()]
            started.append(subprocess.Popen(command, cwd=ROOT, env=told, stdout=log, stderr=log))
        shopper = Shopper(f"http://127.0.0.1:{port}")
        wait_for(lambda: is_healthy(shopper) or started[-1].poll() is not None)
        assert started[-1].poll() is None, (tmp_path / f"{service}.log").read_text()
        return shopper

    yield start
    for process in started:
        process.terminate()
    for process in started:
        process.wait()


def test_the_procfile_serves_the_tutorials_two_services(web, make_database):
    auth = web("auth-service", DATABASE_URL=make_database("auth-service"), SERVICE_CLIENTS=CLIENTS)
    assert auth.post("/auth", json=ADMIN).status_code == 401
    catalog = web(
        "catalog-service",
        DATABASE_URL=make_database("catalog-service"),
        AUTH_URL=auth.url,
        CLIENT_SECRET="alone",
    )
    assert catalog.get("/products").json()["error"] == "Authorization token is missing"


def test_a_service_without_its_settings_names_the_missing_ones_and_exits():
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", "-c", "python:shared.gunicorn_conf"],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT}:{ROOT}/orders-service",
            "SERVICE": "orders-service",
            "PORT": "0",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 3
    assert "DATABASE_URL is missing" in done.stderr
    assert "AUTH_URL is missing" in done.stderr
    assert "CLIENT_SECRET is missing" in done.stderr
