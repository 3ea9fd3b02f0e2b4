"""Log records are shipped, stored and found, on both stacks."""

import gzip
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any

import pytest
import requests
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

from tests.stack.conftest import on_breakable_stacks
from tests.stack.test_purchase import place, wait_until_paid
from tests.stacks import Shopper, Stack
from tests.waiting import wait_for

pytestmark = [pytest.mark.shop, pytest.mark.timeout(900)]

many = pytest.mark.parametrize("count", [2000, pytest.param(10_000, marks=pytest.mark.long)])
PROTOBUF = "application/x-protobuf"


@pytest.fixture
def admin(stack: Stack) -> Iterator[Shopper]:
    """The shop's admin, with the token in the header, as programs send it."""
    with Shopper(stack.url) as admin:
        admin.headers["Authorization"] = f"Bearer {admin.log_in()}"
        admin.cookies.clear()
        yield admin


@pytest.fixture
def guest(stack: Stack) -> Iterator[Shopper]:
    """A new guest."""
    with Shopper(stack.url) as guest:
        assert guest.post("/auth/guest").status_code == 201
        yield guest


@pytest.fixture
def word() -> str:
    """A word that no other record has."""
    return f"w{uuid.uuid4().hex}"


def count_records(admin: Shopper, word: str) -> int:
    """Return the number of records with the word."""
    answer = admin.get(f"/logs/histogram?q={word}").json()
    assert answer["complete"]
    return sum(bar["total"] for bar in answer["data"])


def make_batch(word: str, count: int, *, first: int = 0) -> ExportLogsServiceRequest:
    """Return records as a Collector sends them: without an id."""
    batch = ExportLogsServiceRequest()
    sender = batch.resource_logs.add()
    sender.resource.attributes.add(key="service.name").value.string_value = "a-collector"
    group = sender.scope_logs.add()
    now = time.time_ns()
    for number in range(first, first + count):
        record = group.log_records.add(time_unix_nano=now, observed_time_unix_nano=now, severity_number=9)
        record.body.string_value = f"{word} {number}"
        record.attributes.add(key="thing.id").value.string_value = uuid.uuid4().hex
    return batch


def export(admin: Shopper, body: bytes, media_type: str = PROTOBUF, **headers: str) -> requests.Response:
    """Send a body unchanged."""
    return admin.post("/v1/logs", data=body, headers={"Content-Type": media_type, **headers})


@many
def test_opentelemetrys_sdk_ships_here_unchanged(stack, admin, word, count):
    exporter = OTLPLogExporter(
        endpoint=f"{stack.url}/v1/logs",
        headers={"Authorization": admin.headers["Authorization"]},
        compression=Compression.Gzip,
    )
    provider = LoggerProvider(Resource.create({"service.name": "sdk-service"}))
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter, max_queue_size=count))
    logger = provider.get_logger("tests")
    for number in range(count):
        logger.emit(
            LogRecord(
                timestamp=time.time_ns(),
                severity_number=SeverityNumber.WARN,
                body=f"{word} {number}",
                attributes={"number": number, "large": 2**60, "request.id": "sdk-1"},
            )
        )
    provider.shutdown()
    assert count_records(admin, word) == count
    [record] = admin.get("/logs", params={"q": f"{word} {count - 1}", "limit": 100}).json()["data"]
    assert (record["service"], record["level"], record["request_id"]) == ("sdk-service", "WARNING", "sdk-1")
    assert (record["attributes"]["number"], record["attributes"]["large"]) == (count - 1, str(2**60))


@many
def test_a_repeated_large_export_of_a_collector_stores_its_records_once(admin, word, count):
    body = gzip.compress(make_batch(word, count).SerializeToString())
    for _ in range(2):
        answer = export(admin, body, **{"Content-Encoding": "gzip"})
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, PROTOBUF)
        assert ExportLogsServiceResponse.FromString(answer.content) == ExportLogsServiceResponse()
    assert count_records(admin, word) == count


@pytest.mark.parametrize("media_type", [PROTOBUF, "application/json"])
def test_a_bad_export_gets_a_permanent_error_in_its_own_encoding(stack, admin, media_type):
    def check(answer: requests.Response, status: int) -> None:
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, media_type)
        assert media_type == PROTOBUF or answer.json()["message"]

    check(export(admin, b"\xffno", media_type), 400)
    check(export(admin, b"no gzip", media_type, **{"Content-Encoding": "gzip"}), 400)
    check(export(admin, b" " * (8 * 1024 * 1024 + 1), media_type), 413)
    bomb = gzip.compress(b" " * 100_000_000)
    check(export(admin, bomb, media_type, **{"Content-Encoding": "gzip"}), 413)
    with Shopper(stack.url) as stranger:
        check(export(stranger, b"", media_type), 401)


def test_the_logs_show_an_order_from_the_gateway_to_the_bank_by_time(guest, admin, product):
    placed = place(guest, uuid.uuid4().hex, items=[{"product_id": product, "quantity": 1}])
    order_id = placed.json()["id"]
    wait_until_paid(guest, order_id)
    services = {"gateway", "orders-service", "catalog-service", "payments-service"}

    def read_story() -> list[dict[str, Any]] | None:
        found = admin.get(f"/logs?order_id={order_id}&limit=100").json()["data"]
        return found if {record["service"] for record in found} >= services else None

    story = wait_for(read_story)
    times = [datetime.fromisoformat(record["time"]) for record in story]
    assert times == sorted(times, reverse=True)
    [door] = [record for record in story if record["message"] == "POST /orders 201"][-1:]
    assert {record["order_id"] for record in story} == {order_id}
    traces = {
        record["trace_id"] for record in story if record["request_id"] == placed.headers["X-Request-ID"]
    }
    assert len(traces) == 1
    assert {
        record["service"] for record in story if record["request_id"] == placed.headers["X-Request-ID"]
    } >= services
    assert door["trace_id"] in traces


def test_a_call_that_the_gateway_refuses_is_logged(stack, admin, word):
    with Shopper(stack.url) as stranger:
        for path in ("/products", "/nowhere"):
            stranger.get(f"{path}?token=secret", headers={"X-Request-ID": word})

    def read_refusals() -> list[dict[str, Any]] | None:
        found = admin.get(f"/logs?request_id={word}&service=gateway").json()["data"]
        return found if len(found) == 2 else None

    refusals = wait_for(read_refusals)
    assert {record["message"] for record in refusals} == {"GET /products 401", "GET /nowhere 404"}
    assert "secret" not in str(refusals)


@on_breakable_stacks
def test_a_kill_within_a_batch_keeps_each_acknowledged_record_once(stack, admin, word):
    batches = [
        gzip.compress(make_batch(word, 200, first=200 * number).SerializeToString()) for number in range(25)
    ]
    killer = threading.Thread(target=stack.kill, args=["logs-service"])
    for number, body in enumerate(batches):
        if number == 5:
            killer.start()

        def is_taken(body: bytes = body) -> bool:
            with suppress(requests.RequestException):
                answer = export(admin, body, **{"Content-Encoding": "gzip"})
                assert answer.status_code in {200, 429, 502, 503, 504}
                return answer.status_code == 200
            return False

        wait_for(is_taken, seconds=60)
    killer.join()
    found: Counter[str] = Counter()
    query = {"q": word, "limit": 100}
    while True:
        # The kill may have happened after the last batch.
        page = wait_for(lambda: (got := admin.get("/logs", params=query)).status_code == 200 and got.json())
        found.update(record["message"] for record in page["data"])
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert found == Counter(f"{word} {number}" for number in range(5000))


class Tail:
    """A client that follows the stream."""

    def __init__(self, admin: Shopper, last: str = "", **filters: str) -> None:
        headers = {"Last-Event-ID": last} if last else {}
        self.answer = admin.get("/logs/stream", params=filters, headers=headers, stream=True)
        self.last = last
        self._lines = self.answer.iter_lines(chunk_size=1, decode_unicode=True)

    def read(self) -> tuple[str, dict[str, Any]]:
        """Return the next event."""
        event = ""
        for line in self._lines:
            name, _, value = line.partition(": ")
            if name == "id":
                self.last = value
            if name == "event":
                event = value
            if name == "data":
                return event, json.loads(value)
        raise AssertionError("The stream ended without a word.")

    def read_until(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first matching record."""
        while True:
            event, record = self.read()
            assert event == "record", record
            if fits(record):
                return record


def follow(admin: Shopper, last: str = "", **filters: str) -> Tail:
    """Open a stream as soon as one is free; the server notices a disconnected reader late."""

    def open_tail() -> Tail | None:
        tail = Tail(admin, last, **filters)
        return tail if tail.answer.status_code == 200 else None

    return wait_for(open_tail)


def test_the_stream_shows_an_order_live(guest, admin, word, product):
    # Filter one call, because other customers' records would arrive too.
    tail = follow(admin, request_id=word)
    guest.headers["X-Request-ID"] = word
    order_id = place(guest, uuid.uuid4().hex, items=[{"product_id": product, "quantity": 1}]).json()["id"]
    seen: set[str] = set()
    while not seen >= {"gateway", "orders-service", "payments-service"}:
        seen.add(tail.read_until(lambda record: record["order_id"] == order_id)["service"])
    tail.answer.close()


def test_a_reader_resumes_where_the_stream_broke_off(admin, word):
    tail = follow(admin, q=word)
    export(admin, make_batch(word, 3).SerializeToString())
    seen = [tail.read()[1]["message"] for _ in range(2)]
    tail.answer.close()
    export(admin, make_batch(word, 2, first=3).SerializeToString())
    again = follow(admin, last=tail.last, q=word)
    seen += [again.read()[1]["message"] for _ in range(3)]
    again.answer.close()
    assert sorted(seen) == [f"{word} {number}" for number in range(5)]


@on_breakable_stacks
def test_a_replica_serves_four_readers_and_notifies_them_when_it_stops(stack, admin, word):
    tails = [follow(admin, q=word) for _ in range(4)]
    fifth = Tail(admin)
    assert (fifth.answer.status_code, fifth.answer.json()["code"]) == (503, "streams_taken")
    assert fifth.answer.headers["Retry-After"]
    [replica] = [name for name in stack.list_replicas() if "logs-service" in name]
    began = time.monotonic()
    stack.strike(replica, "restart")
    for tail in tails:
        assert tail.read() == (
            "end",
            {"code": "stopping", "detail": "This replica is shutting down. Connect again."},
        )
    assert time.monotonic() - began < 10
    follow(admin, last=tails[0].last, q=word).answer.close()
