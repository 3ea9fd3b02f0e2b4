"""logs-service receives records over OTLP/HTTP, and a successful response means that they are stored."""

import base64
import gzip
import io
import json
import logging
import threading
import tracemalloc
from uuid import UUID

import psycopg
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs, SeverityNumber
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from logs import otlp
from logs.otlp import JSON, PROTOBUF
from logs.repository.log_records import BATCH
from logs.routes import ingest as routes
from shared.database import connect
from shared.log import JsonFormatter
from tests.logs.conftest import NOW, make_attributes, make_export, make_record

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
ORDER = "018f0000-0000-7000-8000-000000000001"


def make_message(**changes) -> ExportLogsServiceRequest:
    """Return an export like those of an OpenTelemetry SDK."""
    fields = {
        "time_unix_nano": NOW,
        "severity_number": SeverityNumber.SEVERITY_NUMBER_ERROR2,
        "severity_text": "error",
        "body": AnyValue(string_value="From an SDK"),
        "trace_id": bytes.fromhex(TRACE),
        "span_id": bytes.fromhex(SPAN),
        "attributes": [
            KeyValue(key="order.id", value=AnyValue(string_value=ORDER)),
            KeyValue(key="request.id", value=AnyValue(string_value="r-1")),
            KeyValue(key="count", value=AnyValue(int_value=2**62)),
            KeyValue(key="share", value=AnyValue(double_value=0.5)),
            KeyValue(key="not_a_number", value=AnyValue(double_value=float("nan"))),
            KeyValue(key="done", value=AnyValue(bool_value=False)),
            KeyValue(key="raw", value=AnyValue(bytes_value=b"\x00\xff")),
            KeyValue(key="none", value=AnyValue()),
            KeyValue(
                key="list", value=AnyValue(array_value=ArrayValue(values=[AnyValue(string_value="a")] * 2))
            ),
            KeyValue(
                key="map",
                value=AnyValue(
                    kvlist_value=KeyValueList(values=[KeyValue(key="k", value=AnyValue(int_value=1))])
                ),
            ),
        ],
        **changes,
    }
    resource = Resource(
        attributes=[KeyValue(key="service.name", value=AnyValue(string_value="their-service"))]
    )
    scope_logs = ScopeLogs(log_records=[LogRecord(**fields)])
    scope_logs.scope.name = "their.logger"
    return ExportLogsServiceRequest(resource_logs=[ResourceLogs(resource=resource, scope_logs=[scope_logs])])


PLAIN_ATTRIBUTES = {
    "count": str(2**62),
    "share": 0.5,
    "not_a_number": "NaN",
    "done": False,
    "raw": base64.b64encode(b"\x00\xff").decode(),
    "none": None,
    "list": ["a", "a"],
    "map": {"k": 1},
    "otel.scope.name": "their.logger",
}


def read_status(body: bytes) -> tuple[int, str]:
    """Parse a google.rpc.Status according to its published definition."""
    file = descriptor_pb2.FileDescriptorProto(name="status.proto", package="google.rpc", syntax="proto3")
    message = file.message_type.add(name="Status")
    message.field.add(name="code", number=1, type=5, label=1)
    message.field.add(name="message", number=2, type=9, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    status = message_factory.GetMessageClass(pool.FindMessageTypeByName("google.rpc.Status")).FromString(body)
    return status.code, status.message


def test_a_protobuf_export_of_an_sdk_is_stored_with_all_its_fields(sender):
    answer = sender.post(make_message().SerializeToString(), PROTOBUF)
    assert (answer.status_code, answer.content_type, answer.data) == (200, PROTOBUF, b"")
    [record] = sender.find()
    assert UUID(record.pop("id")).version == 7
    assert record == {
        "time": "2023-11-14T22:13:20Z",
        "service": "their-service",
        "instance": None,
        "level": "ERROR",
        "message": "From an SDK",
        "trace_id": TRACE,
        "span_id": SPAN,
        "request_id": "r-1",
        "order_id": ORDER,
        "attributes": PLAIN_ATTRIBUTES,
    }


def test_the_same_export_in_json_is_stored_as_the_same_record(sender):
    values = [
        {"key": "order.id", "value": {"stringValue": ORDER}},
        {"key": "request.id", "value": {"stringValue": "r-1"}},
        {"key": "count", "value": {"intValue": str(2**62)}},
        {"key": "share", "value": {"doubleValue": 0.5}},
        {"key": "not_a_number", "value": {"doubleValue": "NaN"}},
        {"key": "done", "value": {"boolValue": False}},
        {"key": "raw", "value": {"bytesValue": base64.b64encode(b"\x00\xff").decode()}},
        {"key": "none", "value": {}},
        {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"stringValue": "a"}]}}},
        {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"intValue": 1}}]}}},
    ]
    record = {
        "timeUnixNano": str(NOW),
        "severityNumber": 18,
        "severityText": "error",
        "body": {"stringValue": "From an SDK"},
        "traceId": TRACE.upper(),
        "spanId": SPAN,
        "attributes": values,
        "someNewField": {"unknown": [1]},
    }
    export = {
        "resourceLogs": [
            {
                "resource": {"attributes": make_attributes({"service.name": "their-service"})},
                "scopeLogs": [{"scope": {"name": "their.logger"}, "logRecords": [record]}],
                "schemaUrl": "https://opentelemetry.io/schemas/1.40.0",
            }
        ]
    }
    answer = sender.post(json.dumps(export).encode())
    assert (answer.status_code, answer.content_type, answer.json) == (200, JSON, {})
    sender.post(make_message().SerializeToString(), PROTOBUF)
    [stored] = sender.find()
    assert stored["attributes"] == PLAIN_ATTRIBUTES


def test_an_empty_export_is_accepted(sender):
    for media_type in (JSON, PROTOBUF, "application/json; charset=utf-8"):
        answer = sender.post(b"" if media_type == PROTOBUF else b"{}", media_type)
        expected = 200, media_type.partition(";")[0]
        assert (answer.status_code, answer.content_type) == expected, media_type


def test_gzip_is_supported_in_both_encodings(sender):
    of_json = make_export(make_record("JSON"))
    of_protobuf = make_message(body=AnyValue(string_value="Protobuf"))
    for body, media_type in (
        (json.dumps(of_json).encode(), JSON),
        (of_protobuf.SerializeToString(), PROTOBUF),
    ):
        assert sender.export_gzip(body, media_type=media_type).status_code == 200, media_type
    assert sorted(sender.find_messages()) == ["JSON", "Protobuf"]


def test_a_gzip_bomb_is_refused_and_never_decompressed_whole(sender):
    bomb = gzip.compress(b" " * (8 * otlp.LARGEST))
    assert len(bomb) < 1024 * 1024
    for media_type in (JSON, PROTOBUF):
        tracemalloc.start()
        answer = sender.post(bomb, media_type, **{"Content-Encoding": "gzip"})
        _now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (answer.status_code, answer.content_type) == (413, media_type)
        assert peak < 4 * otlp.LARGEST, media_type


@pytest.mark.parametrize(("size", "status"), [(otlp.LARGEST, 200), (otlp.LARGEST + 1, 413)])
def test_the_size_limit_applies_to_the_decompressed_body(sender, size, status):
    body = b"{}".ljust(size)
    # A gzip file may have several members (RFC 1952), and all of them count.
    compressed = gzip.compress(body[:1000]) + gzip.compress(body[1000:])
    assert sender.post(compressed, **{"Content-Encoding": "gzip"}).status_code == status


def test_the_response_to_a_body_that_is_too_large_is_a_status(sender):
    answer = sender.post(b" " * (otlp.LARGEST + 1))
    assert answer.status_code == 413
    assert answer.json == {"code": 8, "message": otlp.ExportTooLarge.detail}


def test_malformed_json_is_refused_with_a_final_status_that_does_not_quote_it(sender):
    bodies = [
        b"",
        b"[]",
        b"no",
        b"5",
        b'{"resourceLogs": [',
        b'"secret"',
        b'{"resourceLogs": ["secret"}',
        b'{"a": 1} secret',
        b'{"a":' * 5000 + b"1" + b"}" * 4999,
        b'{"a":' * 5000,
        b'{"a":"' + rb"\"" * 100_000,
    ]
    wrong = []
    for body in bodies:
        answer = sender.post(body)
        refusal = answer.status_code, answer.content_type, answer.json.get("code")
        if refusal != (400, JSON, 3) or "secret" in answer.text:
            wrong.append((body[:80], refusal, answer.text))
    assert wrong == []
    assert sender.find() == []


def test_malformed_protobuf_is_refused_in_protobuf(sender):
    for body in (b"{}", b"\xff" * 20, make_message().SerializeToString()[:-3]):
        answer = sender.post(body, PROTOBUF)
        assert (answer.status_code, answer.content_type) == (400, PROTOBUF), body
        assert read_status(answer.data) == (3, "The body is not a valid ExportLogsServiceRequest."), body


def test_a_body_that_is_declared_as_gzip_but_is_not_is_malformed(sender):
    bodies = [b"no gzip", gzip.compress(b"{}")[:-4], gzip.compress(b"{}") + b"tail"]
    answers = [(body, sender.post(body, **{"Content-Encoding": "gzip"}).status_code) for body in bodies]
    assert [answer for answer in answers if answer[1] != 400] == []


def test_an_unsupported_content_type_or_encoding_is_refused(sender):
    cases = [("text/plain", "identity"), ("application/grpc", "identity"), ("", "identity"), (JSON, "br")]
    wrong = []
    for media_type, encoding in cases:
        answer = sender.post(b"{}", media_type, **{"Content-Encoding": encoding})
        refusal = answer.status_code, answer.content_type, answer.json.get("code")
        if refusal != (415, JSON, 3):
            wrong.append((media_type, encoding, refusal))
    assert wrong == []


def test_a_long_error_in_protobuf_is_a_valid_status():
    assert read_status(otlp.encode_status(PROTOBUF, 503, "x" * 300)) == (14, "x" * 300)


@pytest.mark.parametrize("media_type", [JSON, PROTOBUF])
def test_rejected_records_are_reported_and_the_rest_are_stored(sender, media_type):
    ahead = (2**63 - 1) // 2 * 2
    if media_type == JSON:
        answer = sender.export(
            make_record("good"),
            make_record("ahead", timeUnixNano=str(ahead)),
            make_record("x" * 200_000),
        )
        assert answer.json["partialSuccess"] == {
            "rejectedLogRecords": "2",
            "errorMessage": "A record was rejected: its time is more than a day in the future.",
        }
    else:
        message = make_message(body=AnyValue(string_value="good"))
        message.resource_logs[0].scope_logs[0].log_records.add(time_unix_nano=ahead)
        answer = sender.post(message.SerializeToString(), PROTOBUF)
        partial = ExportLogsServiceResponse.FromString(answer.data).partial_success
        assert (partial.rejected_log_records, partial.error_message[:22]) == (1, "A record was rejected:")
    assert answer.status_code == 200
    assert sender.find_messages() == ["good"]


def test_a_response_means_that_the_records_are_committed(sender, app):
    count = BATCH + 200
    assert sender.export(*[make_record(f"{number}") for number in range(count)]).json == {}
    url = app.settings.database_url
    with psycopg.connect(url) as other:
        assert other.execute("SELECT count(*) FROM records").fetchone() == (count,)


def test_an_unreachable_database_means_retry_later(sender, app, monkeypatch):
    nowhere = app.settings.model_copy(update={"database_url": "postgresql://x@127.0.0.1:9/x"})
    monkeypatch.setattr(app.database, "engine", connect(nowhere).engine)
    answer = sender.export(make_record())
    assert (answer.status_code, answer.json["code"]) == (503, 14)
    assert answer.headers["Retry-After"]


def test_exports_beyond_the_concurrency_limit_get_a_retryable_status(sender, monkeypatch):
    monkeypatch.setattr(routes, "PATIENCE", 0.05)
    entered, leave = threading.Semaphore(0), threading.Event()

    def decode(*_args):
        entered.release()
        leave.wait(20)
        return []

    monkeypatch.setattr(otlp, "decode_export", decode)
    threads = [threading.Thread(target=sender.post, args=[b"{}"]) for _ in range(routes.MOST_AT_ONCE)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert entered.acquire(timeout=20)
    answer = sender.post(b"{}")
    leave.set()
    for thread in threads:
        thread.join()
    assert (answer.status_code, answer.json["code"]) == (503, 14)
    assert sender.post(b"{}").status_code == 200


def test_services_admins_and_clients_with_the_scope_may_write(sender, auth):
    cases = [
        ({"role": "service", "client_id": "auth-service"}, 200),
        ({"role": "admin"}, 200),
        ({"role": "customer", "scope": "orders:read logs:write"}, 200),
        ({"role": "customer", "scope": "logs:write:more"}, 403),
        ({"role": "customer"}, 403),
        ({"role": "guest"}, 403),
        ({"role": "admin", "aud": "other"}, 401),
    ]
    wrong = []
    for claims, status in cases:
        answer = sender.post(b"{}", **auth.bearer(**claims))
        if answer.status_code != status or ("message" in answer.json) != (status != 200):
            wrong.append((claims, answer.status_code, answer.text))
    assert wrong == []


def test_a_refused_caller_gets_a_status_in_its_own_encoding(app):
    answer = app.test_client().post("/v1/logs", data=b"", headers={"Content-Type": PROTOBUF})
    assert (answer.status_code, answer.content_type) == (401, PROTOBUF)
    assert read_status(answer.data) == (16, "Authorization token is missing")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_search_leaves_an_access_record_but_an_export_does_not(sender):
    [handler] = [each for each in logging.getLogger().handlers if isinstance(each.formatter, JsonFormatter)]
    written = io.StringIO()
    handler.setStream(written)
    sender.export(make_record())
    sender.post(b"no")
    sender.client.post("/v1/logs", data=b"{}")
    sender.find()
    assert [json.loads(line)["message"] for line in written.getvalue().splitlines()] == ["GET /logs 200"]
    assert "/v1/logs" in sender.client.get("/metrics").text


def test_openapi_documents_both_encodings_and_every_response(app):
    operation = app.test_client().get("/openapi.json").json["paths"]["/v1/logs"]["post"]
    assert set(operation["requestBody"]["content"]) == {JSON, PROTOBUF}
    for status in ("200", "400", "401", "403", "413", "415", "503"):
        assert set(operation["responses"][status]["content"]) == {JSON, PROTOBUF}
