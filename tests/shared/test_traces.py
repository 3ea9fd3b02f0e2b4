"""Spans are sent as OTLP if there is a collector; otherwise the SDK is not loaded."""

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from apiflask import APIBlueprint
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from sqlalchemy import text

from shared import context, traces
from shared.access import PUBLIC
from shared.app import build_app, mount
from shared.database import connect
from shared.errors import ServiceUnreachable
from shared.http import HttpClient
from shared.settings import ServiceSettings
from tests.conftest import send_json
from tests.shared.conftest import list_routes
from tests.waiting import wait_for

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


class FakeCollector:
    """A fake OpenTelemetry Collector that stores spans, and is also another server to call."""

    def __init__(self, server):
        self.url = server.url
        self.spans: list[Span] = []
        self.resources = []
        self.called_with: list[str] = []
        server.answer = self._answer

    def _answer(self, handler, body):
        if handler.path == "/v1/traces":
            assert handler.headers["Content-Type"] == "application/x-protobuf"
            for sender in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resources.append(read_attributes(sender.resource))
                self.spans += [span for scope in sender.scope_spans for span in scope.spans]
            send_json(handler, b"")
        else:
            self.called_with.append(handler.headers.get("traceparent", ""))
            send_json(handler, b"{}", status=404 if handler.path.startswith("/missing") else 200)

    def find(self, name: str) -> Span:
        """Return the only span with a name, once it has arrived."""
        [span] = wait_for(lambda: [span for span in self.spans if span.name == name])
        return span


class Onward(HttpClient):
    """A client that propagates the trace, as those of the services do."""

    def onward_headers(self):
        work = context.current()
        return {"traceparent": work.trace.traceparent} if work else {}


def read_attributes(holder) -> dict:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in holder.attributes}


def work_routes(database, client: HttpClient) -> APIBlueprint:
    routes = APIBlueprint("work", __name__)

    @routes.get("/jobs/<int:number>")
    def work(number: int):
        context.bind({"order.id": "an-order"})
        client.request("GET", "/things?secret=1")
        with database.transaction() as connection:
            connection.execute(text("SELECT CAST(:number AS int)"), {"number": number})
        return {}

    @routes.get("/trouble")
    def trouble():
        client.request("GET", "/missing")
        with suppress(ServiceUnreachable):
            HttpClient("http://127.0.0.1:9").request("GET", "/gone")
        with database.transaction() as connection:
            connection.execute(text("SELECT pg_sleep(0.01), nothing"))
        return {}

    return routes


@pytest.fixture
def collector(fake_server):
    return FakeCollector(fake_server)


@pytest.fixture
def client(collector, make_database, auth, monkeypatch):
    """A service that sends its spans to the collector."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    settings = ServiceSettings(
        service="orders-service",
        instance="orders-1",
        database_url=make_database("orders-service"),
        otel_exporter_otlp_endpoint=f"{collector.url}/",
    )
    database = connect(settings)
    app = build_app(settings, title="Test", database=database, auth=auth)
    mount(app, work_routes(database, Onward(collector.url, retries=0)), access=PUBLIC)
    mount(app, list_routes("polled", path="/polled"), access=PUBLIC, recorded=False)
    yield app.test_client()
    app.close()


def test_a_request_its_call_and_its_statement_are_spans_of_the_callers_trace(client, collector):
    answer = client.get("/jobs/77", headers={**SAMPLED, "X-Request-ID": "r-1"})
    assert answer.status_code == 200
    server, call, statement = (collector.find(name) for name in ("GET /jobs/<int:number>", "GET", "SELECT"))
    assert {span.trace_id.hex() for span in (server, call, statement)} == {TRACE}
    assert server.parent_span_id.hex() == PARENT
    assert call.parent_span_id == statement.parent_span_id == server.span_id
    assert server.kind == Span.SPAN_KIND_SERVER
    assert call.kind == statement.kind == Span.SPAN_KIND_CLIENT
    # The other server gets the id of the call's span, so that its own span becomes a child.
    assert collector.called_with == [f"00-{TRACE}-{call.span_id.hex()}-01"]
    assert server.start_time_unix_nano <= call.start_time_unix_nano < call.end_time_unix_nano
    assert call.end_time_unix_nano <= statement.start_time_unix_nano < server.end_time_unix_nano
    assert collector.resources[0]["service.name"] == "orders-service"
    assert collector.resources[0]["service.instance.id"] == "orders-1"


def test_spans_have_the_conventions_attributes_and_nothing_secret(client, collector):
    client.get("/jobs/77", headers={"X-Request-ID": "r-1"})
    server, call, statement = (
        read_attributes(collector.find(name)) for name in ("GET /jobs/<int:number>", "GET", "SELECT")
    )
    assert server["http.route"] == "/jobs/<int:number>"
    assert server["http.response.status_code"] == 200
    assert (server["request.id"], server["order.id"]) == ("r-1", "an-order")
    assert call["url.full"] == f"{collector.url}/things"
    assert call["server.address"] == "127.0.0.1"
    assert call["http.response.status_code"] == 200
    assert statement["db.system.name"] == "postgresql"
    assert statement["db.query.text"] == "SELECT CAST(%(number)s AS int)"


def test_failures_are_marked(client, collector):
    assert client.get("/trouble").status_code == 500
    server = collector.find("GET /trouble")
    wait_for(lambda: len(collector.spans) == 4)
    calls = {
        read_attributes(span)["url.full"].rpartition("/")[2]: span
        for span in collector.spans
        if span.name == "GET"
    }
    assert read_attributes(calls["missing"])["http.response.status_code"] == 404
    assert read_attributes(calls["gone"])["error.type"] == "ServiceUnreachable"
    assert read_attributes(collector.find("SELECT"))["error.type"] == "UndefinedColumn"
    assert {span.status.code for span in collector.spans} == {Status.STATUS_CODE_ERROR}
    assert server.status.code == Status.STATUS_CODE_ERROR


def test_polls_and_unsampled_traces_have_no_spans(client, collector):
    client.get("/polled")
    client.get("/healthz")
    client.get("/jobs/1", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
    client.get("/jobs/2", headers={"X-Request-ID": "last"})
    assert read_attributes(collector.find("GET /jobs/<int:number>"))["request.id"] == "last"
    assert len(collector.spans) == 3


def test_resumed_work_is_a_span_below_the_request_that_caused_it(client, collector):
    context.enter(context.continue_from("r-1", SAMPLED["traceparent"]))
    try:
        with traces.resumed_work("finish order"):
            context.bind({"order.id": "an-order"})
            HttpClient(collector.url).request("GET", "/things")
    finally:
        context.leave()
    resumed, call = collector.find("finish order"), collector.find("GET")
    assert resumed.parent_span_id.hex() == PARENT
    assert call.parent_span_id == resumed.span_id
    assert read_attributes(resumed)["order.id"] == "an-order"


def test_a_batch_has_a_trace_of_its_own_with_a_link_to_each_request(client, collector):
    requests = [context.continue_from(name, f"00-{name * 32}-{name * 16}-01") for name in ("a", "b")]
    context.enter(context.Context())
    try:
        with traces.resumed_work("settle orders", links=[request.trace for request in requests]):
            pass
    finally:
        context.leave()
    batch = collector.find("settle orders")
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in batch.links] == [
        ("a" * 32, "a" * 16),
        ("b" * 32, "b" * 16),
    ]
    assert batch.trace_id.hex() not in {"a" * 32, "b" * 32}


def test_remaining_spans_are_sent_at_shutdown(client, collector):
    client.get("/jobs/1")
    traces.stop_traces()
    wait_for(lambda: len(collector.spans) == 3)
    client.get("/jobs/2")
    assert len(collector.spans) == 3


def test_shutdown_does_not_wait_long_for_a_collector_that_is_down(client, fake_server, monkeypatch):
    monkeypatch.setattr(traces, "FLUSH", 0.2)
    fake_server.answer = lambda handler, _body: handler.send_error(503)
    client.get("/jobs/1")
    wait_for(lambda: any(path == "/v1/traces" for _method, path, _headers, _body in fake_server.requests))
    began = time.monotonic()
    traces.stop_traces()
    assert 0.15 < time.monotonic() - began < 2


def test_without_a_collector_the_sdk_is_not_loaded():
    code = (
        "import sys, shared.app, shared.traces\n"
        "unwanted = ('opentelemetry.sdk', 'opentelemetry.exporter')\n"
        "print([name for name in sys.modules if name.startswith(unwanted)])"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_without_a_collector_a_call_propagates_the_span_of_the_request(collector):
    work = context.Context()
    context.enter(work)
    try:
        Onward(collector.url).request("GET", "/things")
        assert context.current() is work
    finally:
        context.leave()
    assert collector.called_with == [work.trace.traceparent]
