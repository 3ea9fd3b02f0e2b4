"""Fixtures for auth-service on a real database."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass

import jwt
import psutil
import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.serving import make_server

from auth.app import create_app
from auth.commands.seed import seed_users
from auth.config import Settings
from auth.passwords import HASHING, Passwords
from auth.signing_keys import SigningKeys
from shared.app import ServiceFlask
from shared.database import Database, connect
from shared.log import configure_logging
from shared.setup_secrets import hash_secret
from tests.databases import MakeDatabase, Standing

ADMIN = {"username": "admin", "password": "admin"}
EVE = {"username": "eve", "password": "correct horse battery"}
PRODUCTION = {"shopfleet_env": "production", "public_url": "https://shop.example"}


@pytest.fixture(scope="session")
def passwords() -> Passwords:
    """A hasher with cheap hashes and a long queue."""
    return Passwords(memory_kib=8, passes=1, at_once=4, waiting=100, patience=60)


def make_settings(database_url: str) -> Settings:
    """Return development settings with one service client."""
    return Settings(
        service="auth-service",
        database_url=database_url,
        service_clients=f'{{"orders-service": "{hash_secret("orders secret")}"}}',
    )


@dataclass(frozen=True)
class StandingApp:
    """An application without background threads, shared by all tests of a worker, and its database."""

    standing: Standing
    database: Database
    app: ServiceFlask


@pytest.fixture(scope="session")
def standing_app(make_database: MakeDatabase, passwords: Passwords) -> Iterator[StandingApp]:
    """auth-service with the demo users."""
    settings = make_settings(make_database("auth-service"))
    with closing(connect(settings)) as database, closing(create_app(settings, passwords)) as app:
        app.background.stop()
        seed_users(database, settings, passwords)
        # The application keeps a copy of the signing key, so the key must exist before the snapshot.
        SigningKeys(database).signing_key()
        with closing(Standing(settings.database_url)) as standing:
            yield StandingApp(standing, database, app)


@pytest.fixture(scope="session")
def standing_start(make_database: MakeDatabase) -> Iterator[tuple[Standing, Database]]:
    """An empty database, as before the first start."""
    settings = make_settings(make_database("auth-service"))
    with closing(connect(settings)) as database, closing(Standing(settings.database_url)) as standing:
        yield standing, database


@pytest.fixture
def settings(standing_app: StandingApp) -> Settings:
    """Settings of the application, whose database is reset before each test."""
    standing_app.standing.restore()
    return make_settings(standing_app.standing.url)


@pytest.fixture
def database(standing_app: StandingApp, settings: Settings) -> Database:
    """A connection to the application's database."""
    return standing_app.database


@pytest.fixture
def make_replica(
    settings: Settings, database: Database, passwords: Passwords
) -> Iterator[Callable[..., ServiceFlask]]:
    """Make applications on the test's database with the demo users; settings can be overridden."""
    with ExitStack() as replicas:
        seed_users(database, settings, passwords)

        def make(**changes: object) -> ServiceFlask:
            app = create_app(Settings(**{**settings.model_dump(), **changes}), passwords)
            replicas.callback(app.close)
            return app

        yield make


@pytest.fixture
def app(standing_app: StandingApp, settings: Settings) -> ServiceFlask:
    """auth-service with the demo users."""
    configure_logging(settings)  # Each application configures the log; restore the configuration of this one.
    return standing_app.app


@pytest.fixture
def client(app: ServiceFlask) -> FlaskClient:
    """A client of auth-service."""
    return app.test_client()


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries a token."""
    return {"Authorization": f"Bearer {token}"}


def claims_of(token: str) -> dict[str, object]:
    """Return the claims of a token without a check of the signature."""
    return jwt.decode(token, options={"verify_signature": False})


@pytest.fixture
def admin(app: ServiceFlask) -> dict[str, str]:
    """The Authorization header of the demo admin; no other client has the cookies."""
    return bearer(app.test_client().post("/auth", json=ADMIN).json["access_token"])


@pytest.fixture
def make_client(client: FlaskClient, admin: dict[str, str]) -> Callable[..., tuple[str, str]]:
    """Make integrators' clients with scopes; return id and secret."""

    def make(*scopes: str) -> tuple[str, str]:
        answer = client.post("/auth/clients", json={"name": "A shop", "scopes": list(scopes)}, headers=admin)
        assert answer.status_code == 201, answer.text
        return answer.json["id"], answer.json["client_secret"]

    return make


@pytest.fixture
def run_sql(database: Database) -> Callable[..., list[tuple[object, ...]]]:
    """Run a statement on the database, to let time pass or to inspect the data."""

    def run(statement: str, **values: object) -> list[tuple[object, ...]]:
        with database.transaction() as connection:
            result = connection.execute(text(statement), values)
            return [tuple(row) for row in result] if result.returns_rows else []

    return run


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Serve applications over HTTP during a test; return the address."""
    with ExitStack() as servers:

        def start(app: ServiceFlask, port: int = 0) -> str:
            server = make_server("127.0.0.1", port, app, threaded=True)
            thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            thread.start()
            servers.callback(server.server_close)
            servers.callback(thread.join)
            servers.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}"

        yield start


@pytest.fixture
def children() -> Callable[[], list[psutil.Process]]:
    """Return a function that lists the hashing processes of this test."""

    def find() -> list[psutil.Process]:
        processes = psutil.Process().children()
        return [process for process in processes if str(HASHING) in process.cmdline()]

    others = find()
    return lambda: [process for process in find() if process not in others]


def read_seconds(process: psutil.Process) -> float:
    """Return the processor time of a process in seconds."""
    times = process.cpu_times()
    return times.user + times.system
