"""What the tiers of tests stand on.

PostgreSQL 18 with a fresh, migrated database for each test, a fake server, and two running stacks: processes
always, Compose wherever an engine answers.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

import psycopg
import pytest
from psycopg import sql

from local.postgres import Server, running
from shared.database import connect
from shared.migrate import upgrade
from shared.service import migrations_of
from shared.settings import ServiceSettings
from shared.testing import FakeAuth
from tests.stacks import ComposeStack, ProcessStack, Shopper, Stack, docker_or_skip

MakeDatabase = Callable[[str], str]


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A PostgreSQL server for the whole run."""
    with running(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def make_empty_database(postgres: Server) -> Callable[..., str]:
    """Make databases, each a copy of another; return the URL."""
    numbers = count(1)

    def make(template: str = "template0") -> str:
        name = f"test_{next(numbers)}"
        with psycopg.connect(postgres.url(), autocommit=True) as server:
            statement = "CREATE DATABASE {} TEMPLATE {}"
            server.execute(sql.SQL(statement).format(sql.Identifier(name), sql.Identifier(template)))
        return postgres.url(database=name)

    return make


@pytest.fixture(scope="session")
def make_database(make_empty_database: Callable[..., str]) -> MakeDatabase:
    """Make databases with a service's schema: migrated once, and then copied."""
    templates: dict[str, str] = {}

    def make(service: str) -> str:
        if service not in templates:
            url = make_empty_database()
            with closing(connect(ServiceSettings(service=service, database_url=url))) as database:
                upgrade(database, migrations_of(service))
            templates[service] = url.rpartition("/")[2]
        return make_empty_database(templates[service])

    return make


@pytest.fixture
def auth() -> FakeAuth:
    """An auth-service in memory."""
    return FakeAuth()


class FakeServer:
    """A real HTTP server that answers what a test tells it to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answer: Callable[[BaseHTTPRequestHandler, bytes], None] = lambda handler, _body: (
            handler.send_error(404)
        )
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                fake.requests.append((self.command, self.path, dict(self.headers.items()), body))
                fake.answer(self, body)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815  # The names are http.server's.

            def log_message(self, *_args: Any) -> None:
                """Keep the tests' output clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self.thread.start()

    def close(self) -> None:
        """Stop listening; what is asked from now on is refused."""
        self.server.shutdown()
        self.server.server_close()


def send_json(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200) -> None:
    """Answer with a body that is JSON already."""
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def fake_server() -> Iterator[FakeServer]:
    """A fake server for the length of a test."""
    server = FakeServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessStack]:
    """The process stack, with two replicas of the catalogue, in a path with a space."""
    stack = ProcessStack(tmp_path_factory.mktemp("a state") / "local", SCALE="catalog-service=2")
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture(scope="session")
def compose() -> Iterator[ComposeStack]:
    """The Compose stack."""
    docker_or_skip()
    stack = ComposeStack()
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


@pytest.fixture(params=["processes", "compose"])
def stack(request: pytest.FixtureRequest) -> Stack:
    """Each of the two in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def shopper(stack: Stack) -> Iterator[Shopper]:
    """Somebody without a token."""
    with Shopper(stack.url) as shopper:
        yield shopper
