"""catalog-service on a real database, with auth in memory and a real HTTP server as its upstream."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from catalog.app import create_app
from catalog.config import Settings
from shared.app import ServiceFlask
from shared.database import Database, connect
from shared.testing import FakeAuth
from tests.conftest import FakeServer, send_json

StartCatalog = Callable[..., ServiceFlask]


class FakeUpstream:
    """A product source in the tutorial's shape, holding the products that a test gives it."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.url = server.url
        self.products: list[Any] = []
        self.failure: tuple[int, bytes] | None = None
        server.answer = self._answer

    def _answer(self, handler: BaseHTTPRequestHandler, _body: bytes) -> None:
        if self.failure:
            send_json(handler, self.failure[1], status=self.failure[0])
            return
        query = {name: int(values[0]) for name, values in parse_qs(urlsplit(handler.path).query).items()}
        page = self.products[query["skip"] : query["skip"] + query["limit"]]
        send_json(handler, json.dumps({"products": page, "total": len(self.products)}).encode())


@pytest.fixture
def upstream(fake_server: FakeServer) -> FakeUpstream:
    """An upstream with nothing for sale yet."""
    return FakeUpstream(fake_server)


@pytest.fixture
def database_url(make_database) -> str:
    """A migrated database of catalog-service."""
    return make_database("catalog-service")


@pytest.fixture
def settings(database_url: str) -> Settings:
    """Settings of a catalogue that reaches its database and nothing else."""
    return Settings(
        service="catalog-service",
        database_url=database_url,
        auth_url="http://127.0.0.1:9",
        client_secret="secret",
    )


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """The database, without a running service."""
    with closing(connect(settings)) as database:
        yield database


@pytest.fixture
def start_catalog(settings: Settings, auth: FakeAuth) -> Iterator[StartCatalog]:
    """Start catalog-service, its copying thread included; all started are closed at the end."""
    with ExitStack() as started:

        def start(**changes: Any) -> ServiceFlask:
            app = create_app(Settings(**{**settings.model_dump(), **changes}), auth)
            started.callback(app.close)
            return app

        yield start
