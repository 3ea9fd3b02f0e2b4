"""Each log record reaches logs-service once; lost records are counted and reported."""

import json
import logging
import math
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from prometheus_client import CollectorRegistry
from werkzeug.serving import make_server

from auth.app import create_app as create_auth
from auth.config import Settings as AuthSettings
from logs.app import create_app as create_logs
from logs.config import Settings as LogsSettings
from logs.otlp import PROTOBUF, decode_export
from shared import context, otlp, shipping
from shared.access import PUBLIC
from shared.app import build_app, mount
from shared.database import connect
from shared.errors import Problem, ServiceUnreachable
from shared.http import HttpClient
from shared.ids import new_id
from shared.log import read_entry
from shared.redaction import redact_text
from shared.settings import CallerSettings, ServiceSettings
from shared.shipping import Shipper
from shared.sinks import LogsServiceSink
from shared.spool import Spool
from shared.tokens import TokenVerifier
from tests.conftest import send_json
from tests.fakes import ISSUER
from tests.shared.conftest import list_routes
from tests.waiting import wait_for

log = logging.getLogger("tests.shipping")
ORDER = "018f0000-0000-7000-8000-000000000001"


@pytest.fixture(autouse=True)
def clean():
    yield
    context.leave()


class FakeLogs:
    """A fake logs-service with configurable responses, which stores the records that it answers with 200."""

    def __init__(self, server):
        self.server = server
        self.url = server.url
        self.status = 200
        self.answer = b""
        self.drop_answers = False
        self.bad_status = 400
        self.refused = set()
        self.bad = set()
        self.requests = []
        self.stored = []
        server.answer = self._answer

    def _answer(self, handler, body):
        if handler.path == "/auth/token":
            send_json(handler, json.dumps({"access_token": "own-token", "expires_in": 900}).encode())
            return
        assert handler.path == "/v1/logs"
        self.requests.append((dict(handler.headers.items()), body))
        status, answer = self.status, self.answer
        if handler.headers["Authorization"] in self.refused:
            status = 401
        assert handler.headers["Content-Type"] == PROTOBUF
        records = decode_export(body, PROTOBUF, "")
        if self.bad.intersection(record.body for record in records):
            status = self.bad_status
        if status == 200:
            self.stored += records
        if self.drop_answers:
            handler.close_connection = True
            return
        send_json(handler, answer, status=status)

    @property
    def messages(self):
        return [record.body for record in self.stored]


@pytest.fixture
def logs(fake_server):
    return FakeLogs(fake_server)


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def settings(tmp_path):
    return ServiceSettings(
        service="orders-service",
        instance="orders-1",
        database_url="postgresql://x/x",
        spool=tmp_path / "spool",
    )


@pytest.fixture
def ship(logs, registry, settings, monkeypatch):
    """Start a shipper with short retries on the root logger."""
    monkeypatch.setattr(shipping, "EVERY", 0.02)
    monkeypatch.setattr(shipping, "FIRST_BACK_OFF", 0.02)
    monkeypatch.setattr(shipping, "LONGEST_BACK_OFF", 0.1)
    with ExitStack() as started:

        def start(url=logs.url, token=lambda: "a-token", sink=None, **options):
            sink = sink or LogsServiceSink(url, token, **options)
            shipper = Shipper(settings, sink, registry)
            logging.getLogger().addHandler(shipper)
            logging.getLogger().setLevel("INFO")
            started.callback(shipper.stop)
            shipper.start()
            return shipper

        yield start


def lost(registry, reason):
    return registry.get_sample_value("log_records_lost_total", {"reason": reason})


def shipped(registry):
    return registry.get_sample_value("log_records_shipped_total")


def test_a_record_arrives_with_its_ids_and_its_attributes(ship, logs, registry):
    ship()
    work = context.Context()
    context.enter(work)
    context.bind({"order.id": ORDER})
    log.warning("Order %s", 5, extra={"count": 3, "share": 0.5, "left.out": None, "tags": ["a", {"b": True}]})
    context.leave()
    wait_for(lambda: logs.stored)
    [record] = logs.stored
    assert (record.body, record.severity_number, record.severity_text) == ("Order 5", 13, "WARNING")
    assert (record.trace_id, record.span_id) == (work.trace.trace_id, work.trace.span_id)
    assert record.scope == "tests.shipping"
    assert UUID(record.attributes.pop("log.record.uid")).version == 7
    assert record.attributes == {
        "request.id": work.request_id,
        "order.id": ORDER,
        "count": 3,
        "share": 0.5,
        "tags": ["a", {"b": True}],
    }
    assert record.resource["service.name"] == "orders-service"
    assert record.resource["service.instance.id"] == "orders-1"
    assert abs(record.time_ns - time.time_ns()) < 60e9
    headers, _body = logs.requests[0]
    assert headers["Authorization"] == "Bearer a-token"
    wait_for(lambda: shipped(registry) == 1)


def test_while_the_server_answers_503_no_record_is_lost_or_duplicated(ship, logs, registry):
    logs.status = 503
    ship()
    for number in range(700):
        log.info("%d", number)
    wait_for(lambda: len(logs.requests) >= 3)
    bodies = [body for _headers, body in logs.requests]
    assert bodies[0] == bodies[1] == bodies[2]
    logs.status = 200
    wait_for(lambda: "699" in logs.messages)
    assert [message for message in logs.messages if message.isdigit()] == [str(n) for n in range(700)]
    wait_for(lambda: "Log records reach logs-service again" in logs.messages)
    assert len({record.attributes["log.record.uid"] for record in logs.stored}) == len(logs.stored)
    assert logs.messages.count("Log records do not reach logs-service: it answered 503") == 1


@pytest.mark.parametrize("status", [401, 429, 502, 504])
def test_temporary_errors_are_retried(ship, logs, status):
    logs.status = status
    ship()
    log.info("late")
    wait_for(lambda: len(logs.requests) >= 2)
    logs.status = 200
    wait_for(lambda: "late" in logs.messages)


def test_a_refused_token_is_not_sent_again(ship, logs):
    tokens = iter(["first", "second"])
    current = [next(tokens)]

    def forget(token):
        if token == current[0]:
            current[0] = next(tokens)

    logs.refused = {"Bearer first"}
    ship(token=lambda: current[0], forget=forget)
    log.info("after a key was retired")
    wait_for(lambda: "after a key was retired" in logs.messages)
    assert [headers["Authorization"] for headers, _body in logs.requests[:2]] == [
        "Bearer first",
        "Bearer second",
    ]


@pytest.mark.parametrize("error", [ServiceUnreachable("auth is away"), RuntimeError("auth is away")])
def test_shipping_waits_for_an_unavailable_token(ship, logs, error):
    asked = threading.Semaphore(0)
    there = threading.Event()

    def token():
        asked.release()
        if not there.is_set():
            raise error
        return "late-token"

    ship(token=token)
    log.info("late")
    for _ in range(3):
        assert asked.acquire(timeout=20)
    assert logs.requests == []
    there.set()
    wait_for(lambda: "late" in logs.messages)
    assert logs.requests[0][0]["Authorization"] == "Bearer late-token"
    wait_for(lambda: any("auth is away" in message for message in logs.messages))


def test_shipping_waits_for_a_server_that_has_not_started(ship, logs):
    shipper = ship("http://127.0.0.1:9")
    log.info("early")
    wait_for(lambda: shipper._failing)
    shipper._sink._http = HttpClient(logs.url)
    wait_for(lambda: "early" in logs.messages)


def test_a_lost_response_leads_to_a_retry_with_the_same_ids(ship, logs):
    logs.drop_answers = True
    ship()
    log.info("once")
    wait_for(lambda: logs.messages.count("once") >= 2)
    logs.drop_answers = False
    assert len({record.attributes["log.record.uid"] for record in logs.stored if record.body == "once"}) == 1


def test_records_that_overflow_the_spool_are_counted_and_reported_later(ship, logs, registry, monkeypatch):
    logs.status = 503
    shipper = ship()
    log.info("first")
    wait_for(lambda: len(logs.requests) >= 2)
    monkeypatch.setattr(shipper._spool, "_most_bytes", shipper._spool.waiting_bytes + 3000)
    for number in range(80):
        log.info("%d", number)
    expected = lost(registry, "spool_full")
    assert 50 < expected < 79
    # The failure itself was reported in a record, too.
    assert registry.get_sample_value("log_records_waiting") == 2 + 80 - expected
    assert 3000 < registry.get_sample_value("log_spool_bytes") < 4000
    logs.status = 200
    wait_for(lambda: any("were lost" in message for message in logs.messages))
    [report] = [record for record in logs.stored if "were lost" in record.body]
    assert report.body == f"{expected:.0f} log records were lost on the way to logs-service"
    assert report.attributes["log_records.lost.spool_full"] == expected
    assert logs.messages.count("79") == 0
    assert logs.messages.count("0") == 1


@pytest.mark.parametrize("status", [400, 413])
def test_one_bad_record_does_not_cost_the_others(ship, logs, registry, status):
    logs.bad, logs.bad_status = {"77", "400"}, status
    logs.status = 503
    ship()
    for number in range(500):
        log.info("%d", number)
    logs.status = 200
    wait_for(lambda: sum(record.attributes.get("log_records.lost.refused", 0) for record in logs.stored) == 2)
    arrived = [message for message in logs.messages if message.isdigit()]
    assert arrived == [str(number) for number in range(500) if number not in {77, 400}]
    assert lost(registry, "refused") == 2
    assert len(logs.requests) < 60


def test_permanently_refused_records_are_counted_and_reported_without_a_loop(ship, logs, registry):
    logs.status = 400
    ship()
    log.info("bad")
    # The warning is refused, too, and does not cause another warning.
    wait_for(lambda: lost(registry, "refused") == 2)
    log.info("bad too")
    wait_for(lambda: lost(registry, "refused") == 3)
    logs.status = 200
    log.info("good")
    wait_for(lambda: any("3 log records were lost" in message for message in logs.messages))
    assert len(logs.requests) <= 6


def test_a_partial_success_is_counted(ship, logs, registry):
    answer = ExportLogsServiceResponse()
    answer.partial_success.rejected_log_records = 1
    logs.answer = answer.SerializeToString()
    ship()
    log.info("one")
    wait_for(lambda: lost(registry, "rejected"))
    logs.answer = b""
    wait_for(lambda: any("were lost" in message for message in logs.messages))


def test_a_200_with_an_unreadable_body_is_a_success(ship, logs, registry):
    logs.answer = b"{}"
    ship()
    log.info("one")
    wait_for(lambda: shipped(registry) == 1)


def test_an_export_stays_below_the_server_s_limit(ship, logs):
    logs.status = 503
    shipper = ship()
    for _ in range(100):
        log.info("ä" * 15_000)
    log.info("x" * 100_000)
    logs.status = 200
    wait_for(lambda: shipper._spool.waiting_records == 0)
    assert max(len(body) for _headers, body in logs.requests) < 1024 * 1024
    [cut] = [message for message in logs.messages if message.startswith("xx")]
    assert cut == "x" * 16_000 + "… (100000 characters)"


def test_512_records_are_shipped_without_waiting(ship, logs, monkeypatch):
    monkeypatch.setattr(shipping, "EVERY", 60.0)
    shipper = ship()
    for number in range(shipping.BATCH):
        log.info("%d", number)
    wait_for(lambda: len(logs.stored) == shipping.BATCH and shipper._spool.waiting_records == 0)


def test_remaining_records_are_shipped_at_shutdown(ship, logs, monkeypatch):
    monkeypatch.setattr(shipping, "EVERY", 60.0)
    shipper = ship()
    for number in range(200):
        log.info("%d", number)
    shipper.stop()
    assert logs.messages == [str(number) for number in range(200)]
    log.info("after")
    assert shipper not in logging.getLogger().handlers


def test_shutdown_waits_a_moment_and_leaves_the_rest_to_the_next_process(
    ship, logs, settings, caplog, monkeypatch
):
    monkeypatch.setattr(shipping, "FLUSH", 0.3)
    logs.status = 503
    shipper = ship()
    log.info("later")
    wait_for(lambda: logs.requests)
    began = time.monotonic()
    shipper.stop()
    assert 0.25 < time.monotonic() - began < 1.8
    assert "log records remain on disk for the next process" in caplog.text
    logs.status = 200
    heir = Shipper(settings, LogsServiceSink(logs.url, lambda: "a-token"), CollectorRegistry())
    heir.start()
    wait_for(lambda: "later" in logs.messages)
    heir.stop()
    assert list(settings.spool.iterdir()) == []


def test_without_a_folder_the_spool_is_a_temporary_one(registry, settings, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    sink = LogsServiceSink("http://127.0.0.1:9", str)
    shipper = Shipper(settings.model_copy(update={"spool": None}), sink, registry)
    shipper.emit(logging.makeLogRecord({"name": "any", "levelno": 20, "levelname": "INFO", "msg": "gone"}))
    assert len(list(tmp_path.glob("*/*.spool"))) == 1
    shipper.stop()
    assert "1 log records were not shipped before shutdown and are lost" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_disk_breaks_neither_the_start_nor_a_call(ship, logs, registry, settings):
    settings.spool.write_text("This file has the name of the folder.")
    ship()
    log.info("lost")
    assert lost(registry, "spool_full") == 1
    settings.spool.unlink()
    settings.spool.mkdir()
    log.info("there")
    wait_for(lambda: any("1 log records were lost" in message for message in logs.messages))
    assert "there" in logs.messages


def test_a_temporary_disk_error_is_retried(ship, logs, monkeypatch):
    refused = threading.Event()

    def refuse(*_, **_options):
        refused.set()
        raise OSError("the disk is gone")

    with monkeypatch.context() as patched:
        patched.setattr(Spool, "take", refuse)
        ship()
        log.info("late")
        assert refused.wait(20)
    wait_for(lambda: "late" in logs.messages)
    wait_for(lambda: any("the disk is gone" in message for message in logs.messages))


def test_a_custom_sink_gets_the_records(ship):
    taken = []
    refusals = [Problem("not now"), RuntimeError("not now")]

    def sink(export):
        if refusals:
            raise refusals.pop()
        logging.getLogger("sqlalchemy").warning("I insert")
        taken.extend(decode_export(export, PROTOBUF, ""))
        return 0

    ship(sink=sink)
    log.info("one")
    log.info("two")
    wait_for(lambda: any("again" in record.body for record in taken))
    assert [record.body for record in taken if record.scope == "tests.shipping"] == ["one", "two"]
    assert not any("insert" in record.body for record in taken)


SENDER = """
import logging, time
from prometheus_client import CollectorRegistry
from shared.settings import ServiceSettings
from shared.shipping import Shipper
from shared.sinks import LogsServiceSink
settings = ServiceSettings(
    service="orders-service", instance="dead", database_url="postgresql://x/x", spool={spool!r}
)
shipper = Shipper(settings, LogsServiceSink({url!r}, lambda: "a-token"), CollectorRegistry())
logging.basicConfig(level="INFO", handlers=[shipper])
shipper.start()
log = logging.getLogger("sender")
for number in range(100_000):
    log.info("%d", number)
    print(number, flush=True)
    time.sleep(0.0005)
"""


def test_the_records_of_a_killed_process_arrive_and_each_has_one_id(ship, logs, settings):
    root = str(Path(__file__).parents[2])
    code = SENDER.format(spool=str(settings.spool), url=logs.url)
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as sender:
        lines = [sender.stdout.readline() for _ in range(shipping.BATCH + 100)]
        wait_for(lambda: logs.stored)
        # From here on all records are stored, but the responses do not reach the sender.
        logs.drop_answers = True
        lines += [sender.stdout.readline() for _ in range(shipping.BATCH + 100)]
        sender.kill()
        lines += sender.stdout.readlines()
    logs.drop_answers = False
    written = [line.strip() for line in lines if line.endswith("\n")]
    ship()
    wait_for(lambda: set(written) <= set(logs.messages))
    ids = {}
    for record in logs.stored:
        ids.setdefault(record.body, set()).add(record.attributes["log.record.uid"])
    assert [message for message in written if len(ids[message]) > 1] == []
    last = [record for record in logs.stored if record.body == written[-1]][-1]
    assert last.resource["service.instance.id"] == "dead"


def test_an_attribute_that_cannot_be_encoded_affects_no_other_record(ship, logs, registry):
    class Broken:
        def __str__(self):
            raise RuntimeError

    ship()
    log.info("before")
    log.info("broken", extra={"thing": Broken()})
    log.info("after")
    wait_for(lambda: {"before", "after"} <= set(logs.messages))
    assert lost(registry, "unwritable") == 1


def test_an_exception_arrives_as_text(ship, logs):
    shipper = ship()
    try:
        raise ValueError("a reason")
    except ValueError:
        log.exception("It failed")
    shipper.stop()
    assert "ValueError: a reason" in logs.stored[0].attributes["exception"]


def test_records_that_libraries_log_while_shipping_are_not_shipped(ship, logs):
    def token():
        logging.getLogger("another.library").warning("I give a token")
        return "a-token"

    ship(token=token)
    log.info("one")
    wait_for(lambda: logs.stored)
    log.info("two")
    wait_for(lambda: "two" in logs.messages)
    assert logs.messages == ["one", "two"]


@pytest.fixture
def small_service(make_empty_database, auth, logs, monkeypatch):
    """A service that ships its records."""
    monkeypatch.setattr(shipping, "EVERY", 0.02)
    settings = CallerSettings(
        service="orders-service",
        database_url=make_empty_database(),
        auth_url=logs.url,
        client_secret="a secret",
        logs_url=logs.url,
    )
    app = build_app(settings, title="Test", database=connect(settings), auth=auth)
    mount(app, list_routes("open", path="/open"), access=PUBLIC)
    mount(app, list_routes("quiet", path="/quiet"), access=PUBLIC, recorded=False)
    yield app
    app.close()


def test_a_service_ships_its_access_records_with_its_own_token(small_service, logs):
    client = small_service.test_client()
    client.get("/quiet")
    answer = client.get("/open", headers={"X-Request-ID": "r-1"})
    wait_for(lambda: logs.stored)
    [record] = logs.stored
    assert record.body == "GET /open 200"
    assert record.attributes["request.id"] == "r-1"
    assert record.attributes["http.response.status_code"] == 200
    assert (record.trace_id, record.span_id) == (answer.json["trace_id"], answer.json["span_id"])
    assert logs.requests[0][0]["Authorization"] == "Bearer own-token"
    assert "log_records_shipped_total 1.0" in client.get("/metrics").text


def test_closing_a_service_ships_the_remaining_records(small_service, logs, monkeypatch):
    monkeypatch.setattr(shipping, "EVERY", 60.0)
    small_service.test_client().get("/open")
    small_service.close()
    assert "GET /open 200" in logs.messages


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_thousand_records_a_second_survive_a_minute_without_logs_service(ship, logs, settings, registry):
    logs.status = 503
    ship()
    began, number = time.monotonic(), 0
    while (since := time.monotonic() - began) < 60:
        while number < since * 1000:
            log.info("%d", number)
            number += 1
        time.sleep(0.005)
    logs.status = 200
    wait_for(lambda: str(number - 1) in logs.messages[-600:], seconds=120)
    assert [message for message in logs.messages if message.isdigit()] == [
        str(each) for each in range(number)
    ]
    assert sum(lost(registry, reason) for reason in ("spool_full", "refused", "rejected")) == 0
    wait_for(lambda: registry.get_sample_value("log_records_waiting") == 0)


def test_without_a_logs_url_nothing_is_shipped():
    settings = ServiceSettings(service="orders-service", database_url="postgresql://x/x")
    assert shipping.create_shipper(settings, None, CollectorRegistry()) is None


def test_auth_ships_with_a_token_that_it_issues_itself(make_database, logs, monkeypatch):
    monkeypatch.setattr(shipping, "EVERY", 0.02)
    settings = AuthSettings(
        service="auth-service", database_url=make_database("auth-service"), logs_url=logs.url
    )
    app = create_auth(settings)
    try:
        app.test_client().get("/auth/me")
        wait_for(lambda: "GET /auth/me 401" in logs.messages)
        token = logs.requests[0][0]["Authorization"].removeprefix("Bearer ")
        caller = TokenVerifier(app.verifier.auth, ISSUER).verify(token)
        assert (caller.role, caller.client_id) == ("service", "auth-service")
    finally:
        app.close()


def test_logs_service_stores_each_shipped_record_once(make_database, auth, ship, registry, monkeypatch):
    # The test's server logs each request.
    monkeypatch.setattr(logging.getLogger("werkzeug"), "disabled", True)
    settings = LogsSettings(
        service="logs-service",
        database_url=make_database("logs-service"),
        auth_url="http://127.0.0.1:9",
        client_secret="secret",
    )
    app = create_logs(settings, auth)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        token = auth.token(role="service", client_id="orders-service")
        shipper = ship(f"http://127.0.0.1:{server.server_port}", lambda: token)
        context.enter(context.Context(request_id="r-1"))
        context.bind({"order.id": ORDER})
        for number in range(600):
            log.info("%d", number, extra={"surrogate": "\ud800", "nul": "\0"})
        context.leave()
        shipper.stop()
        assert shipped(registry) == 600
        client = app.test_client()
        headers = auth.bearer(role="admin")
        page = client.get(f"/logs?service=orders-service&order_id={ORDER}&limit=100", headers=headers).json
        assert [record["message"] for record in page["data"]] == [str(n) for n in range(599, 499, -1)]
        assert page["data"][0]["service"] == "orders-service"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        app.close()


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3) | st.tuples(inner)
    ),
    max_leaves=6,
)


@given(message=st.text(), attributes=st.dictionaries(st.text(), anything, max_size=4))
def test_logs_service_accepts_exports_of_any_message_and_attributes(message, attributes):
    record = logging.makeLogRecord({"name": "any", "levelno": 20, "levelname": "INFO", "msg": message})
    record.extra = attributes
    export = ExportLogsServiceRequest()
    export.resource_logs.add().scope_logs.add().ParseFromString(
        otlp.encode_record(record, read_entry(record))
    )
    [sent] = decode_export(export.SerializeToString(), PROTOBUF, "")
    assert sent.body == redact_text(message).encode("utf-8", "replace").decode()


def test_numbers_that_otlp_does_not_have_become_text():
    values = {"nan": math.nan, "big": 2**70, "id": new_id(), "other": SimpleNamespace(a=1)}
    resource = Resource()
    otlp.fill_attributes(resource.attributes, values)
    written = {each.key: each.value.string_value for each in resource.attributes}
    assert written == {
        "nan": "nan",
        "big": str(2**70),
        "id": str(values["id"]),
        "other": "namespace(a=1)",
    }
