"""catalog-service on a real database, with auth in memory and a real HTTP server as its upstream."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from sqlalchemy import text

from catalog.app import create_app
from catalog.clients import UpstreamClient
from catalog.config import Settings
from catalog.domain import SyncReport
from catalog.sources import UpstreamSource
from catalog.use_cases.source import copy_source
from catalog.use_cases.sync import read_last_sync
from shared.app import ServiceFlask
from shared.database import Database, connect
from shared.testing import FakeAuth
from tests.catalog.upstreams import CachingUpstream, FakeUpstream, make_due
from tests.conftest import FakeServer

StartCatalog = Callable[..., ServiceFlask]


@pytest.fixture
def upstream(fake_server: FakeServer) -> FakeUpstream:
    """An upstream with nothing for sale yet."""
    return FakeUpstream(fake_server)


@pytest.fixture
def database_url(reuse_database) -> str:
    """A migrated database of catalog-service."""
    return reuse_database("catalog-service")


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


@pytest.fixture
def caching(fake_server: FakeServer) -> CachingUpstream:
    """An upstream of three pages, which says of each whether it has changed."""
    return CachingUpstream(fake_server)


@pytest.fixture
def source(fake_server: FakeServer) -> UpstreamSource:
    """The fake server as a source."""
    return UpstreamSource(UpstreamClient(fake_server.url, None), "USD", 60)


@pytest.fixture
def copy(database: Database, source: UpstreamSource) -> Callable[[], SyncReport]:
    """Copy the source now, whenever it would be due; return the report."""

    def copy() -> SyncReport:
        make_due(database)
        assert copy_source(database, source, "USD")
        return read_last_sync(database)

    return copy


@pytest.fixture
def titles(database: Database) -> Callable[[], list[str]]:
    """Return the titles of what is for sale, by id."""

    def titles() -> list[str]:
        with database.transaction() as connection:
            query = text("SELECT title FROM products WHERE removed_at IS NULL ORDER BY id")
            return list(connection.execute(query).scalars())

    return titles
