"""auth-service on a real database."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from flask.testing import FlaskClient

from auth.app import create_app
from auth.config import Settings
from auth.seed import seed_users
from shared.app import ServiceFlask
from shared.database import connect
from shared.setup_secrets import hash_secret


@pytest.fixture
def settings(make_database) -> Settings:
    """Settings of a development stack with one service client."""
    return Settings(
        service="auth-service",
        database_url=make_database("auth-service"),
        service_clients=f'{{"orders-service": "{hash_secret("orders secret")}"}}',
    )


@pytest.fixture
def app(settings: Settings) -> Iterator[ServiceFlask]:
    """auth-service with the demo users."""
    with closing(connect(settings)) as database:
        seed_users(database, settings)
    app = create_app(settings)
    yield app
    app.close()


@pytest.fixture
def client(app: ServiceFlask) -> FlaskClient:
    """A client of it."""
    return app.test_client()
