"""logs-service stores its own records, and storing one causes no other."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logs.app import create_app
from logs.config import Settings
from shared import shipping
from shared.app import ServiceFlask
from shared.database import connect
from tests.fakes import FakeAuth
from tests.logs.conftest import Sender, make_record
from tests.waiting import wait_for


@pytest.fixture
def speaking(
    make_database: Callable[[str], str], tmp_path: Path, auth: FakeAuth, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ServiceFlask]:
    """A separate logs-service with a spool that exports its own records at once."""
    monkeypatch.setattr(shipping, "EVERY", 0.05)
    monkeypatch.setattr(shipping, "FIRST_BACK_OFF", 0.05)
    settings = Settings(
        service="logs-service",
        database_url=make_database("logs-service"),
        auth_url="http://127.0.0.1:9",
        client_secret="secret",
        spool=tmp_path / "spool",
    )
    app = create_app(settings, auth)
    yield app
    app.close()


def find(app: ServiceFlask) -> list[str]:
    """Return its own messages, newest first, without an HTTP request, which would be recorded."""
    with app.database.transaction() as connection:
        rows = connection.exec_driver_sql(
            "SELECT message FROM records WHERE service = 'logs-service' ORDER BY time DESC, id DESC"
        )
        return list(rows.scalars())


def test_a_search_is_recorded_with_its_ids_but_an_export_is_not(speaking, auth):
    sender = Sender(speaking, auth)
    sender.export(make_record("of another service"))
    sender.post(b"no")
    sender.client.get("/logs?limit=1", headers={**sender.admin, "X-Request-ID": "own-1"})
    wait_for(lambda: find(speaking) == ["GET /logs 200"])
    with speaking.database.transaction() as connection:
        [row] = connection.exec_driver_sql("SELECT request_id FROM records WHERE service = 'logs-service'")
    assert row.request_id == "own-1"


def test_a_path_without_a_route_is_not_recorded(speaking):
    speaking.test_client().get("/" + "word/" * 1600)
    wait_for(lambda: find(speaking) == ["GET unrouted 404"])
    with speaking.database.transaction() as connection:
        [row] = connection.exec_driver_sql("SELECT attributes FROM records WHERE service = 'logs-service'")
    assert "word" not in str(row.attributes)


def test_storing_its_own_records_causes_no_others(speaking):
    logging.getLogger("logs.test").warning("once")
    wait_for(lambda: find(speaking) == ["once"])
    # Otherwise each shipment from the spool would add a record.
    logging.getLogger("logs.test").warning("twice")
    wait_for(lambda: len(find(speaking)) >= 2)
    assert find(speaking) == ["twice", "once"]


def test_records_written_during_a_database_outage_are_stored_later(speaking, monkeypatch):
    nowhere = speaking.settings.model_copy(update={"database_url": "postgresql://x@127.0.0.1:9/x"})
    with monkeypatch.context() as outage:
        outage.setattr(speaking.database, "engine", connect(nowhere).engine)
        logging.getLogger("logs.test").warning("during the outage")
        wait_for(lambda: speaking.shipper._failing)
    wait_for(lambda: "during the outage" in find(speaking))
