"""Admins follow records as they arrive: none is missed, none is sent twice, and streams end."""

import json
import re
import threading
from collections.abc import Iterator

import psycopg
import pytest

from logs.domain.search import Search
from logs.routes import stream
from shared.database import connect
from shared.errors import TokenInvalid
from tests.logs.conftest import make_record
from tests.waiting import wait_for


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Poll often, so that the tests are quick."""
    monkeypatch.setattr(stream, "POLL_EVERY", 0.02)
    monkeypatch.setattr(stream, "HEARTBEAT", 0.05)


class Follower:
    """A client that reads a stream."""

    def __init__(self, sender, query: str = "", last: str | None = None) -> None:
        headers = {**sender.admin, **({"Last-Event-ID": last} if last else {})}
        self.answer = sender.client.get(f"/logs/stream?{query}", headers=headers)
        self._chunks: Iterator[bytes] = self.answer.iter_encoded()
        self.last = last
        if self.answer.status_code == 200:
            first, second, *_ = next(self._chunks).decode().splitlines()
            self.last = first.removeprefix("id: ")
            assert second == "retry: 1000"
        self._closed = False

    def read(self) -> tuple[str, dict]:
        """Return the next event, with its name and data."""
        for chunk in self._chunks:
            fields = dict(row.split(": ", 1) for row in chunk.decode().splitlines() if ": " in row)
            if "event" in fields:
                self.last = fields.get("id", self.last)
                return fields["event"], json.loads(fields["data"])
        raise AssertionError("The stream ended without an event.")

    def read_id(self) -> str:
        """Return the id of the next heartbeat."""
        for chunk in self._chunks:
            if "event: " not in chunk.decode():
                self.last = chunk.decode().strip().removeprefix("id: ")
                return self.last
        raise AssertionError("The stream ended without an event.")

    def read_messages(self, count: int) -> list[str]:
        """Return the messages of the next events."""
        return [self.read()[1]["message"] for _ in range(count)]

    def close(self) -> None:
        """Close the stream once."""
        if not self._closed:
            self.answer.close()
        self._closed = True


@pytest.fixture
def follow(sender, app):
    """Open streams, and close all of them after the test."""
    opened: list[Follower] = []

    def is_settled() -> bool:
        """Return whether all transactions up to that of the newest record have ended."""
        with app.database.transaction() as connection:
            return connection.exec_driver_sql(
                "SELECT coalesce(max(received), 0) < pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
                " FROM records"
            ).scalar_one()

    def open_stream(*arguments, **options) -> Follower:
        # A stream starts at the oldest open transaction, and PostgreSQL has some of its own.
        wait_for(is_settled)
        opened.append(Follower(sender, *arguments, **options))
        return opened[-1]

    yield open_stream
    for each in opened:
        each.close()


def test_a_stream_sends_new_records_but_no_earlier_ones(sender, follow):
    sender.export(make_record("before"))
    follower = follow()
    sender.export(make_record("one"), make_record("two"))
    sender.export(make_record("of an older time", second=-3600))
    assert sorted(follower.read_messages(2)) == ["one", "two"]
    assert follower.read_messages(1) == ["of an older time"]
    assert follower.answer.headers["Content-Type"] == "text/event-stream"
    assert follower.answer.headers["X-Accel-Buffering"] == "no"


def test_a_client_that_loses_a_stream_before_its_first_record_misses_nothing(sender, follow):
    lost = follow()
    lost.close()
    sender.export(make_record("meanwhile"))
    assert follow(last=lost.last).read_messages(1) == ["meanwhile"]


def test_a_stream_sends_only_matching_records(sender, follow):
    follower = follow("service=orders-service&level=WARNING&q=card")
    sender.export(make_record("The card was fine"), make_record("The sky fell", severityNumber=17))
    sender.export(make_record("A card failed", severityNumber=13), service="payments-service")
    sender.export(make_record("Cards failed", severityNumber=13))
    assert follower.read_messages(1) == ["Cards failed"]


def test_a_stream_sends_an_integer_that_javascript_would_round_as_a_string(sender, follow):
    follower = follow()
    record = make_record()
    record["attributes"] += [{"key": "id", "value": {"intValue": str(2**53)}}]
    sender.export(record)
    assert follower.read()[1]["attributes"]["id"] == str(2**53)


def test_a_client_that_resumes_from_the_last_id_gets_each_record_once(sender, follow):
    first = follow()
    sender.export(*[make_record(str(number)) for number in range(6)])
    seen = first.read_messages(4)
    first.close()
    sender.export(make_record("while disconnected"))
    second = follow(last=first.last)
    seen += second.read_messages(3)
    assert sorted(seen) == ["0", "1", "2", "3", "4", "5", "while disconnected"]


def test_a_stream_without_matches_sends_its_position(sender, follow, app):
    follower = follow("q=rare")
    sender.export(*[make_record("common") for _ in range(20)])
    position = int(follower.read_id().partition("-")[0])
    with app.database.transaction() as connection:
        last = connection.exec_driver_sql("SELECT max(received) FROM records").scalar_one()
    while position <= last:
        position = int(follower.read_id().partition("-")[0])
    sender.export(make_record("rare"))
    assert follow("q=rare", last=follower.last).read_messages(1) == ["rare"]


def test_an_id_of_another_database_restarts_from_now(sender, follow):
    sender.export(make_record("before"))
    follower = follow(last=f"{2**62}-{'0' * 32}")
    follower.read_id()
    sender.export(make_record("after"))
    assert follower.read_messages(1) == ["after"]


def test_a_late_commit_is_sent_before_records_of_later_transactions(sender, follow, app):
    sender.export(make_record("creates the partition"))
    follower = follow()
    with psycopg.connect(app.settings.database_url) as slow:
        slow.execute(
            "INSERT INTO records (id, time, observed_time, service, severity_number, message, attributes)"
            " VALUES (uuidv7(), now(), now(), 'slow-service', 9, 'began first', '{}')"
        )
        sender.export(make_record("began later and committed first"))
        slow.commit()
    assert follower.read_messages(2) == ["began first", "began later and committed first"]


def test_a_stream_ends_when_its_token_becomes_invalid(app):
    verdicts = iter([None, None, TokenInvalid])

    def check() -> None:
        verdict = next(verdicts)
        if verdict:
            raise verdict

    text = "".join(stream.follow(app.database, Search(), None, check, threading.Event()))
    assert text.endswith(
        'event: end\ndata: {"code":"token_invalid","detail":"Authorization token is invalid"}\n\n'
    )
    # One at the start, and one after each successful check of the token.
    assert len(re.findall(r"^id: [0-9]+-0{32}$", text, re.MULTILINE)) == 3


def test_a_stream_ends_when_the_service_stops(app):
    stopping = threading.Event()
    events = stream.follow(app.database, Search(), None, lambda: None, stopping)
    next(events)
    stopping.set()
    assert list(events) == [
        'event: end\ndata: {"code":"stopping","detail":"This replica is shutting down. Connect again."}\n\n'
    ]


def test_a_process_serves_a_limited_number_of_streams_and_frees_their_places(sender, follow):
    followers = [follow() for _ in range(stream.MOST_STREAMS)]
    refused = follow()
    assert (refused.answer.status_code, refused.answer.json["code"]) == (503, "streams_taken")
    assert refused.answer.headers["Retry-After"]
    followers[0].close()
    assert follow().answer.status_code == 200


def test_a_database_outage_ends_the_stream_with_a_reason(app, monkeypatch):
    nowhere = app.settings.model_copy(update={"database_url": "postgresql://x@127.0.0.1:9/x"})
    events = stream.follow(app.database, Search(), None, lambda: None, threading.Event())
    next(events)
    monkeypatch.setattr(app.database, "engine", connect(nowhere).engine)
    assert '"code":"database_unavailable"' in list(events)[-1]


def test_an_invalid_event_id_is_refused(sender):
    accepted = []
    for last in ("nonsense", "5", "99999999999999999999-" + "0" * 32, "1-xyz"):
        answer = sender.client.get("/logs/stream", headers={**sender.admin, "Last-Event-ID": last})
        if answer.status_code != 422:
            accepted.append((last, answer.status_code))
    assert accepted == []
