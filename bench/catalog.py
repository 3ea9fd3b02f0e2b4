"""One process of catalog-service to measure directly: no gateway, no cache, an auth-service in memory."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg

from bench.shop import CannotMeasure
from bench.statistics import quantile
from local.postgres import Server, running
from local.processes import has_ended, reap, spawn, wait_until
from local.settings import ROOT
from local.sockets import answers, port_of, reserve
from shared.testing import FakeAuth

SERVICE = "catalog-service"
START_SECONDS = 60.0

# A method, a path and a body, if there is one.
Call = tuple[str, str, dict[str, Any] | None]


@dataclass(frozen=True)
class Catalog:
    """A running process of the service, and whoever may call it."""

    port: int
    pid: int
    postgres_pid: int
    database_url: str
    headers: dict[str, str]

    def connect(self) -> HTTPConnection:
        """Return a connection to the process."""
        return HTTPConnection("127.0.0.1", self.port, timeout=600)

    def execute(self, statement: str) -> None:
        """Run a statement on its database."""
        with psycopg.connect(self.database_url) as connection:
            connection.execute(statement.encode())

    def measure(
        self, make_calls: Sequence[Iterator[Call]], seconds: float, expected: frozenset[int]
    ) -> dict[str, Any]:
        """Let each client make its calls, one after the other, and return rate, latencies and statuses."""
        begin = threading.Barrier(len(make_calls))

        def run(calls: Iterator[Call]) -> list[tuple[int, float]]:
            done = []
            with closing(self.connect()) as connection:
                connection.connect()
                begin.wait()
                end = time.perf_counter() + seconds
                for method, path, body in calls:
                    began = time.perf_counter()
                    if began > end:
                        break
                    payload = None if body is None else json.dumps(body)
                    connection.request(method, path, payload, self.headers)
                    answer = connection.getresponse()
                    answer.read()
                    done.append((answer.status, (time.perf_counter() - began) * 1000))
            return done

        with ThreadPoolExecutor(len(make_calls)) as pool:
            answered = [each for some in pool.map(run, make_calls) for each in some]
        good = [milliseconds for status, milliseconds in answered if status in expected]
        return {
            "clients": len(make_calls),
            "rate": round(len(good) / seconds, 1),
            "p50": quantile(good, 0.50),
            "p99": quantile(good, 0.99),
            "errors": len(answered) - len(good),
        }


@contextmanager
def running_catalog(folder: Path) -> Iterator[Catalog]:
    """Start PostgreSQL and one process of the service on the bundled sample; raises CannotMeasure."""
    auth = FakeAuth()
    with running(folder / "postgres", durable=True) as postgres, serving(auth) as auth_url:
        url = make_database(postgres)
        with closing(reserve()) as holder:
            port = port_of(holder)
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT}:{ROOT / SERVICE}",
            "SERVICE": SERVICE,
            "PORT": str(port),
            "DATABASE_URL": url,
            "AUTH_URL": auth_url,
            "CLIENT_SECRET": "secret",
        }
        migrate(environment, folder)
        output = folder / "catalog.log"
        with output.open("ab") as log:
            process = spawn(
                [sys.executable, "-m", "gunicorn", "-c", "python:shared.gunicorn_conf"],
                environment=environment,
                home=folder,
                log=log.fileno(),
                stop_signal=signal.SIGTERM,
            )
        try:
            is_up = partial(answers, "127.0.0.1", port, "/healthz")
            wait_until(lambda: is_up() or has_ended(process.pid), START_SECONDS)
            if not is_up():
                raise CannotMeasure(f"The service did not start:\n{output.read_text(errors='replace')}")
            catalog = Catalog(port, process.pid, postgres.pid, url, make_headers(auth))
            wait_until(lambda: _is_loaded(catalog), START_SECONDS)
            yield catalog
        finally:
            os.kill(process.pid, signal.SIGTERM)
            wait_until(lambda: has_ended(process.pid), START_SECONDS)
            reap(process)


def make_database(postgres: Server) -> str:
    """Make the service's database, and return its URL."""
    with psycopg.connect(postgres.url(), autocommit=True) as server:
        server.execute(
            "CREATE DATABASE catalog TEMPLATE template0 LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"
        )
    return postgres.url(database="catalog")


def migrate(environment: dict[str, str], folder: Path) -> None:
    """Make the service's tables; raise CannotMeasure."""
    command = [sys.executable, "-m", "shared.migrate"]
    done = subprocess.run(
        command,
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=START_SECONDS,
    )
    if done.returncode != 0:
        raise CannotMeasure(f"The database was not migrated:\n{done.stderr}")


def make_headers(auth: FakeAuth) -> dict[str, str]:
    """Return the headers of an admin, and of orders-service for the internal routes."""
    person = auth.bearer(role="admin", sub="bench", exp=int(time.time()) + 24 * 3600)
    service = auth.token(
        role="service", sub="orders-service", client_id="orders-service", exp=int(time.time()) + 24 * 3600
    )
    return {**person, "X-Service-Authorization": f"Bearer {service}", "Content-Type": "application/json"}


@contextmanager
def serving(auth: FakeAuth) -> Iterator[str]:
    """Serve what a service asks auth for: keys, the signed-off list, a token of its own; yield the URL."""
    answers = {
        "/.well-known/jwks.json": auth.key_set(),
        "/internal/signed-off": {"ids": []},
        "/auth/token": {"access_token": "unused", "expires_in": 24 * 3600},
    }

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = json.dumps(answers[self.path]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815  # The names are http.server's.

        def log_message(self, *_args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _is_loaded(catalog: Catalog) -> bool:
    with closing(catalog.connect()) as connection:
        connection.request("GET", "/products?limit=1", headers=catalog.headers)
        return connection.getresponse().status == 200
