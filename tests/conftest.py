"""Fixtures for all tests: a fake auth, a fake server, and the running stacks.

There are two stacks: one of processes and, if there is a Docker engine, one of containers.
"""

import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import FakeAuth
from tests.groups import until_group_ends
from tests.stacks import (
    ComposeStack,
    ProcessStack,
    Shopper,
    Stack,
    docker_or_skip,
    share_stack,
    stop_and_leave_no_process,
    stop_shared_stack,
)

pytest_plugins = ["tests.tiers", "tests.databases"]

SHARED = Path("a state", "local")


@pytest.fixture
def auth() -> FakeAuth:
    """An auth-service in memory."""
    return FakeAuth()


class FakeServer:
    """A real HTTP server that answers as a test specifies and records its requests."""

    def __init__(self) -> None:
        self.answer: Callable[[BaseHTTPRequestHandler, bytes], None] = lambda handler, _body: (
            handler.send_error(404)
        )
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # A body would wait 40 ms until its headers are acknowledged.

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                fake.requests.append((self.command, self.path, dict(self.headers.items()), body))
                fake.answer(self, body)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815  # The names are http.server's.

            def log_message(self, *_args: Any) -> None:
                """Do not log."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self.thread.start()

    def close(self) -> None:
        """Stop listening; later connections are refused."""
        self.server.shutdown()
        self.server.server_close()


def send_json(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200) -> None:
    """Answer with a body of encoded JSON."""
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def fake_server() -> Iterator[FakeServer]:
    """A fake server for one test."""
    server = FakeServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def processes(tmp_path_factory: pytest.TempPathFactory) -> ProcessStack:
    """The process stack that all workers share, with two replicas of catalog-service, in a path with a space.

    Tests must not disturb its parts, and create their own users, products and keys. The main test process
    stops it.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    return share_stack(folder / SHARED)


@pytest.fixture(scope="session")
def breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessStack]:
    """A process stack for the group `breakable`, whose tests pause and kill parts or replace keys."""
    stack = ProcessStack(tmp_path_factory.mktemp("breakable") / "state", RATE_LIMITS="off")
    stack.start()
    with until_group_ends(lambda: stop_and_leave_no_process(stack)):
        yield stack


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the shared stack."""
    factory: pytest.TempPathFactory | None = getattr(config, "_tmp_path_factory", None)
    if not hasattr(config, "workerinput") and factory and factory._basetemp:
        stop_shared_stack(factory._basetemp / SHARED)


@pytest.fixture(scope="session")
def compose() -> Iterator[ComposeStack]:
    """The Compose stack."""
    docker_or_skip()
    stack = ComposeStack()
    with until_group_ends(stack.stop):
        stack.start()
        yield stack


COMPOSE = pytest.param("compose", marks=[pytest.mark.long, pytest.mark.xdist_group("compose")])


@pytest.fixture(params=["processes", COMPOSE])
def stack(request: pytest.FixtureRequest) -> Stack:
    """Each of the two stacks in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def shopper(stack: Stack) -> Iterator[Shopper]:
    """A client without a token."""
    with Shopper(stack.url) as shopper:
        yield shopper
