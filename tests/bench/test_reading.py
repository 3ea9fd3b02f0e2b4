"""What the bench asks of a catalogue of its own."""

from contextlib import closing
from itertools import islice

import psycopg
import pytest

from bench.catalog import Catalog
from bench.reading import SCENARIOS, ask, fill
from catalog.app import create_app
from catalog.config import Settings
from shared.testing import FakeAuth
from tests.waiting import wait_for

SIZE = 200


@pytest.fixture
def client(make_database, auth: FakeAuth):
    """A catalogue on the bundled sample, and the address of its database."""
    url = make_database("catalog-service")
    settings = Settings(
        service="catalog-service", database_url=url, auth_url="http://127.0.0.1:9", client_secret="secret"
    )
    with closing(create_app(settings, auth)) as app:
        client = app.test_client()
        wait_for(lambda: client.get("/products", headers=auth.bearer()).status_code == 200)
        client.database_url = url
        yield client


def test_everything_that_is_asked_has_an_answer_with_something_in_it(client, auth):
    with psycopg.connect(client.database_url) as connection:
        connection.execute("INSERT INTO catalogue_changes DEFAULT VALUES")
    fill(Catalog(0, 0, 0, client.database_url, {}), SIZE)
    for name in SCENARIOS:
        found = 0
        for method, path, body in islice(ask(name, SIZE, 0), 30):
            assert (method, body) == ("GET", None)
            answer = client.get(path, headers=auth.bearer())
            assert answer.status_code == 200, path
            found += len(answer.json.get("data", [answer.json]))
        # Of so few products hardly any are of two categories and a brand.
        assert found or "brand" in name, name


def test_every_run_asks_the_same():
    for name in SCENARIOS:
        assert list(islice(ask(name, SIZE, 3), 20)) == list(islice(ask(name, SIZE, 3), 20))
