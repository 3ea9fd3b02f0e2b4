"""catalog-service on a real database, with an in-memory auth and a real HTTP server as its upstream."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from threading import Barrier
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from catalog.app import create_app, create_source
from catalog.clients import UpstreamClient
from catalog.config import Settings
from catalog.domain import SyncReport
from catalog.sources import UpstreamSource
from catalog.use_cases.products import recount
from catalog.use_cases.source import copy_source
from catalog.use_cases.sync import read_last_sync
from shared.app import ServiceFlask
from shared.database import Database, connect
from shared.errors import DatabaseUnavailable
from shared.log import configure_logging
from tests.catalog.sale_steps import copy_price
from tests.catalog.upstreams import CachingUpstream, FakeUpstream, execute, make_due
from tests.conftest import FakeServer
from tests.databases import MakeDatabase, Standing
from tests.fakes import FakeAuth

StartCatalog = Callable[..., ServiceFlask]


def make_settings(database_url: str) -> Settings:
    """Return settings with which the service reaches its database and nothing else."""
    return Settings(
        service="catalog-service",
        database_url=database_url,
        auth_url="http://127.0.0.1:9",
        client_secret="secret",
    )


class Catalogue:
    """A database of this worker, and shared applications on it without background threads."""

    def __init__(self, url: str, auth: FakeAuth, *, with_sample: bool) -> None:
        self.settings = make_settings(url)
        self.database = connect(self.settings)
        if with_sample:
            assert copy_source(self.database, create_source(self.settings), self.settings.currency)
            assert recount(self.database)
            # The next recount is due at once, so that tests need not wait for it.
            execute(self.database, "UPDATE recount SET due_at = now()")
        self.standing = Standing(url)
        self._auth = auth
        self._apps: dict[str, ServiceFlask] = {}

    def get(self, **changes: Any) -> ServiceFlask:
        """Return the application with these settings, which all tests of the worker share."""
        name = repr(sorted(changes.items()))
        if name not in self._apps:
            self._apps[name] = self.make(**changes)
            self._apps[name].background.stop()
        # Creating another application has redirected the log.
        configure_logging(self.settings)
        return self._apps[name]

    def make(self, **changes: Any) -> ServiceFlask:
        """Create an application that no other test uses."""
        return create_app(Settings(**{**self.settings.model_dump(), **changes}), self._auth)

    def close(self) -> None:
        """Close all applications and connections."""
        for app in self._apps.values():
            app.close()
        self.database.close()
        self.standing.close()


@pytest.fixture(scope="session")
def auth() -> FakeAuth:
    """An in-memory auth-service, which no test of this folder changes."""
    return FakeAuth()


@pytest.fixture(scope="session")
def empty_catalogue(make_database: MakeDatabase, auth: FakeAuth) -> Iterator[Catalogue]:
    """A catalogue without a copy of any source."""
    with closing(Catalogue(make_database("catalog-service"), auth, with_sample=False)) as catalogue:
        yield catalogue


@pytest.fixture(scope="session")
def sample_catalogue(make_database: MakeDatabase, auth: FakeAuth) -> Iterator[Catalogue]:
    """A catalogue with the bundled sample."""
    with closing(Catalogue(make_database("catalog-service"), auth, with_sample=True)) as catalogue:
        yield catalogue


@pytest.fixture
def sample_app(sample_catalogue: Catalogue) -> ServiceFlask:
    """catalog-service with the bundled sample, reset for each test."""
    sample_catalogue.standing.restore()
    return sample_catalogue.get()


@pytest.fixture
def client(sample_app: ServiceFlask) -> FlaskClient:
    """A client of catalog-service with the bundled sample."""
    return sample_app.test_client()


@pytest.fixture
def catalogue(request: pytest.FixtureRequest) -> Catalogue:
    """The catalogue of a test: with the sample if the test uses `sample_app`, else empty."""
    if "sample_app" in request.fixturenames:
        request.getfixturevalue("sample_app")
        found: Catalogue = request.getfixturevalue("sample_catalogue")
    else:
        found = request.getfixturevalue("empty_catalogue")
        found.standing.restore()
    return found


@pytest.fixture
def reset_database(catalogue: Catalogue) -> Callable[[], None]:
    """Restore the rows from the start of the test."""
    return catalogue.standing.restore


@pytest.fixture
def settings(catalogue: Catalogue) -> Settings:
    """The settings of the catalogue."""
    return catalogue.settings


@pytest.fixture
def database(catalogue: Catalogue) -> Database:
    """The database of the catalogue."""
    return catalogue.database


@pytest.fixture
def start_catalog(catalogue: Catalogue) -> Iterator[StartCatalog]:
    """Start catalog-service with its background threads; the fixture closes every started application."""
    with ExitStack() as started:

        def start(**changes: Any) -> ServiceFlask:
            app = catalogue.make(**changes)
            started.callback(app.close)
            return app

        yield start


@pytest.fixture(scope="session")
def worker_server() -> Iterator[FakeServer]:
    """The fake server of this worker."""
    with closing(FakeServer()) as server:
        yield server


@pytest.fixture
def fake_server(worker_server: FakeServer) -> FakeServer:
    """The fake server of this worker, reset so that tests can share applications with this source."""
    worker_server.answer = lambda handler, _body: handler.send_error(404)
    worker_server.requests = []
    return worker_server


@pytest.fixture
def upstream(fake_server: FakeServer) -> FakeUpstream:
    """An upstream without products."""
    return FakeUpstream(fake_server)


@pytest.fixture
def caching(fake_server: FakeServer) -> CachingUpstream:
    """An upstream of three pages with validators."""
    return CachingUpstream(fake_server)


@pytest.fixture
def source(fake_server: FakeServer) -> UpstreamSource:
    """The fake server as a source."""
    return UpstreamSource(UpstreamClient(fake_server.url, None), "USD", 60)


@pytest.fixture
def copy(database: Database, source: UpstreamSource) -> Callable[[], SyncReport]:
    """Copy the source now, even if no copy is due; return the report."""

    def copy() -> SyncReport:
        make_due(database)
        assert copy_source(database, source, "USD")
        return read_last_sync(database)

    return copy


@pytest.fixture
def titles(database: Database) -> Callable[[], list[str]]:
    """Return the titles of the products for sale, by id."""

    def titles() -> list[str]:
        with database.transaction() as connection:
            query = text("SELECT title FROM products WHERE removed_at IS NULL ORDER BY id")
            return list(connection.execute(query).scalars())

    return titles


@pytest.fixture
def product(database: Database) -> int:
    """The number of a product of a source, at 500."""
    copy_price(database, 500)
    return 1


@pytest.fixture
def concurrently(settings):
    """Run tasks at the same time, each on its own connection; return the result or the refusal of each.

    Raises DatabaseUnavailable with its cause: a deadlock or a lost connection is no outcome of a race.
    """
    databases = []

    def run(*tasks):
        # One after the other: many logins at once take longer than `connect_timeout` on a busy machine.
        while len(databases) < len(tasks):
            databases.append(opened.enter_context(closing(connect(settings))))
        for database in databases:
            with database.transaction():
                pass
        begin = Barrier(len(tasks))

        def attempt(task, database):
            begin.wait()
            try:
                return task(database)
            except DatabaseUnavailable:
                raise
            except Exception as error:
                return error

        with ThreadPoolExecutor(len(tasks)) as pool:
            return list(pool.map(attempt, tasks, databases))

    with ExitStack() as opened:
        yield run
