"""Records arrive by OTLP/HTTP, in both encodings, and an answer means that they are stored."""

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
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs, SeverityNumber
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from logs import otlp
from logs.repository.records import BATCH
from logs.routes import ingest as routes
from shared.database import connect
from shared.ids import new_id
from shared.log import JsonFormatter
from tests.logs.conftest import NOW, make_attributes, make_export, make_record

JSON = "application/json"
PROTOBUF = "application/x-protobuf"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
ORDER = "018f0000-0000-7000-8000-000000000001"


def make_message(**changes) -> ExportLogsServiceRequest:
    """Return an export as an OpenTelemetry SDK makes it."""
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
            KeyValue(key="odd", value=AnyValue(double_value=float("nan"))),
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
    "odd": "NaN",
    "done": False,
    "raw": base64.b64encode(b"\x00\xff").decode(),
    "none": None,
    "list": ["a", "a"],
    "map": {"k": 1},
    "otel.scope.name": "their.logger",
}


def read_status(body: bytes) -> tuple[int, str]:
    """Read a google.rpc.Status by its published definition."""
    file = descriptor_pb2.FileDescriptorProto(name="status.proto", package="google.rpc", syntax="proto3")
    message = file.message_type.add(name="Status")
    message.field.add(name="code", number=1, type=5, label=1)
    message.field.add(name="message", number=2, type=9, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    status = message_factory.GetMessageClass(pool.FindMessageTypeByName("google.rpc.Status")).FromString(body)
    return status.code, status.message


def test_an_sdks_protobuf_is_stored_with_all_that_it_says(sender):
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


def test_the_same_in_json_is_the_same_record(sender):
    values = [
        {"key": "order.id", "value": {"stringValue": ORDER}},
        {"key": "request.id", "value": {"stringValue": "r-1"}},
        {"key": "count", "value": {"intValue": str(2**62)}},
        {"key": "share", "value": {"doubleValue": 0.5}},
        {"key": "odd", "value": {"doubleValue": "NaN"}},
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


def test_nulls_stand_for_what_is_not_there(sender):
    record = {
        "timeUnixNano": NOW,
        "severityNumber": None,
        "body": None,
        "attributes": None,
        "traceId": None,
        "observedTimeUnixNano": None,
    }
    assert sender.export(record).status_code == 200
    [stored] = sender.find()
    assert (stored["message"], stored["level"], stored["attributes"]) == ("", "INFO", {})


def test_gzip_is_understood_in_both_encodings(sender):
    of_json = make_export(make_record("JSON"))
    of_protobuf = make_message(body=AnyValue(string_value="Protobuf"))
    for body, media_type in (
        (json.dumps(of_json).encode(), JSON),
        (of_protobuf.SerializeToString(), PROTOBUF),
    ):
        assert sender.export_gzip(body, media_type=media_type).status_code == 200, media_type
    assert sorted(sender.find_messages()) == ["JSON", "Protobuf"]


def test_a_bomb_is_too_large_and_is_never_unpacked_whole(sender):
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
def test_the_limit_counts_unpacked_bytes(sender, size, status):
    body = b"{}".ljust(size)
    # Two members are one file (RFC 1952), and both count.
    packed = gzip.compress(body[:1000]) + gzip.compress(body[1000:])
    assert sender.post(packed, **{"Content-Encoding": "gzip"}).status_code == status


def test_a_body_over_the_limit_is_too_large_with_a_status_too(sender):
    answer = sender.post(b" " * (otlp.LARGEST + 1))
    assert answer.status_code == 413
    assert answer.json == {"code": 8, "message": otlp.ExportTooLarge.detail}


def test_malformed_json_is_refused_for_good_with_a_status_and_without_its_contents(sender):
    bodies = [
        b"",
        b"[]",
        b"no",
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
        told = answer.status_code, answer.content_type, answer.json.get("code")
        if told != (400, JSON, 3) or "secret" in answer.text:
            wrong.append((body[:80], told, answer.text))
    assert wrong == []
    assert sender.find() == []


def test_malformed_protobuf_is_refused_in_protobuf(sender):
    for body in (b"{}", b"\xff" * 20, make_message().SerializeToString()[:-3]):
        answer = sender.post(body, PROTOBUF)
        assert (answer.status_code, answer.content_type) == (400, PROTOBUF), body
        assert read_status(answer.data) == (3, "The body is not a valid ExportLogsServiceRequest."), body


def test_a_body_that_is_declared_as_gzip_and_is_not_is_malformed(sender):
    bodies = [b"no gzip", gzip.compress(b"{}")[:-4], gzip.compress(b"{}") + b"tail"]
    answers = [(body, sender.post(body, **{"Content-Encoding": "gzip"}).status_code) for body in bodies]
    assert [answer for answer in answers if answer[1] != 400] == []


def test_another_type_or_coding_is_refused(sender):
    cases = [("text/plain", "identity"), ("application/grpc", "identity"), ("", "identity"), (JSON, "br")]
    wrong = []
    for media_type, encoding in cases:
        answer = sender.post(b"{}", media_type, **{"Content-Encoding": encoding})
        told = answer.status_code, answer.content_type, answer.json.get("code")
        if told != (415, JSON, 3):
            wrong.append((media_type, encoding, told))
    assert wrong == []


def test_a_long_refusal_in_protobuf_is_a_status_too():
    assert read_status(otlp.encode_status(PROTOBUF, 503, "x" * 300)) == (14, "x" * 300)


@pytest.mark.parametrize("media_type", [JSON, PROTOBUF])
def test_what_cannot_be_kept_is_told_and_the_rest_is_kept(sender, media_type):
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


def test_a_service_whose_name_is_too_long_for_an_index_is_rejected(sender):
    answer = sender.export(make_record(), service="s" * 300)
    assert answer.json["partialSuccess"]["rejectedLogRecords"] == "1"


@pytest.mark.parametrize("attributes", [{}, {"log.record.uid": None}, {"log.record.uid": "not a UUIDv7"}])
def test_an_export_that_comes_twice_is_kept_once(sender, attributes):
    record = make_record(attributes=attributes)
    for _ in range(2):
        assert sender.export(record).json == {}
    assert sender.export(make_record("Another")).json == {}
    assert len(sender.find()) == 2


def test_a_uuidv7_that_the_sender_gave_is_the_records_id(sender):
    uid = str(new_id())
    sender.export(make_record("first", attributes={"log.record.uid": uid}))
    sender.export(make_record("again", attributes={"log.record.uid": uid}))
    [record] = sender.find()
    assert (record["id"], record["message"]) == (uid, "first")
    assert "log.record.uid" not in record["attributes"]


def test_records_that_differ_in_anything_are_not_taken_for_one(sender):
    changes = [
        {"body": {"stringValue": "b"}},
        {"timeUnixNano": str(NOW + 1)},
        {"severityNumber": 17},
        {"traceId": TRACE},
        {"attributes": {"k": "v", "log.record.uid": None}},
    ]
    lost = []
    sender.export(make_record("a", attributes={"log.record.uid": None}))
    for count, change in enumerate(changes, 2):
        sender.export(make_record("a", **{"attributes": {"log.record.uid": None}, **change}))
        if len(sender.find()) + len(lost) != count:
            lost.append(change)
    assert lost == []


def test_ids_that_are_none_are_passed_over_and_the_record_is_kept(sender):
    sender.export(
        make_record(traceId="0" * 32, spanId="abc", attributes={"order.id": "none", "request.id": "r" * 200})
    )
    [record] = sender.find()
    assert [record[name] for name in ("trace_id", "span_id", "request_id", "order_id")] == [None] * 4
    assert record["attributes"] == {"order.id": "none", "request.id": "r" * 200}


def test_characters_that_postgresql_does_not_have_are_replaced(sender):
    answer = sender.export(
        make_record("a\0b \\u0000 \U0001f600", attributes={"k\0": "\0", "request.id": "\0"}), service="s\0"
    )
    assert answer.json == {}
    [record] = sender.find()
    assert record["message"] == "a\ufffdb \\u0000 \U0001f600"
    assert record["attributes"] == {"k\ufffd": "\ufffd"}


def test_a_record_without_a_time_has_the_one_at_which_it_was_observed(sender):
    sender.export(make_record(timeUnixNano="0", observedTimeUnixNano=str(NOW)))
    assert sender.find()[0]["time"] == "2023-11-14T22:13:20Z"


def test_every_severity_has_a_level(sender):
    cases = [
        (0, "", "INFO"),
        (0, "warn", "WARNING"),
        (0, "Fatal", "CRITICAL"),
        (1, "whatever", "TRACE"),
        (5, "", "DEBUG"),
        (16, "", "WARNING"),
        (24, "", "CRITICAL"),
        (99, "", "CRITICAL"),
        (-3, "", "INFO"),
    ]
    records = [
        make_record(second=second, severityNumber=number, severityText=text)
        for second, (number, text, _level) in enumerate(cases)
    ]
    assert sender.export(*records).json == {}
    levels = [record["level"] for record in reversed(sender.find())]
    assert [(*case[:2], level) for case, level in zip(cases, levels, strict=True)] == cases


def test_a_structured_body_is_kept_as_json(sender):
    body = {"kvlistValue": {"values": [{"key": "a", "value": {"arrayValue": {"values": [{"intValue": 1}]}}}]}}
    sender.export(make_record(body=body))
    assert sender.find_messages() == ['{"a": [1]}']


def test_an_answer_means_that_the_records_are_committed(sender, app):
    count = BATCH + 200
    assert sender.export(*[make_record(f"{number}") for number in range(count)]).json == {}
    url = app.settings.database_url
    with psycopg.connect(url) as other:
        assert other.execute("SELECT count(*) FROM records").fetchone() == (count,)


def test_a_database_that_is_away_means_try_again(sender, app, monkeypatch):
    nowhere = app.settings.model_copy(update={"database_url": "postgresql://x@127.0.0.1:9/x"})
    monkeypatch.setattr(app.database, "engine", connect(nowhere).engine)
    answer = sender.export(make_record())
    assert (answer.status_code, answer.json["code"]) == (503, 14)
    assert answer.headers["Retry-After"]


def test_more_exports_than_there_are_turns_are_asked_to_come_again(sender, monkeypatch):
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


def test_services_and_admins_may_write_and_others_with_the_scope(sender, auth):
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


def test_a_refused_caller_is_told_so_in_its_own_encoding(app):
    answer = app.test_client().post("/v1/logs", data=b"", headers={"Content-Type": PROTOBUF})
    assert (answer.status_code, answer.content_type) == (401, PROTOBUF)
    assert read_status(answer.data) == (16, "Authorization token is missing")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_an_export_leaves_no_access_record_and_a_search_does(sender):
    [handler] = [each for each in logging.getLogger().handlers if isinstance(each.formatter, JsonFormatter)]
    written = io.StringIO()
    handler.setStream(written)
    sender.export(make_record())
    sender.post(b"no")
    sender.client.post("/v1/logs", data=b"{}")
    sender.find()
    assert [json.loads(line)["message"] for line in written.getvalue().splitlines()] == ["GET /logs 200"]
    assert "/v1/logs" in sender.client.get("/metrics").text


def test_the_document_knows_both_encodings_and_every_answer(app):
    operation = app.test_client().get("/openapi.json").json["paths"]["/v1/logs"]["post"]
    assert set(operation["requestBody"]["content"]) == {JSON, PROTOBUF}
    for status in ("200", "400", "401", "403", "413", "415", "503"):
        assert set(operation["responses"][status]["content"]) == {JSON, PROTOBUF}


few_or_many = pytest.mark.parametrize("examples", [20, pytest.param(150, marks=pytest.mark.long)])


@few_or_many
def test_no_bytes_are_ever_an_internal_error(sender, examples):
    @settings(max_examples=examples)
    @given(
        body=st.one_of(
            st.binary(max_size=200),
            st.binary(max_size=200).map(gzip.compress),
            st.binary(max_size=50).map(lambda tail: make_message().SerializeToString() + tail),
        ),
        media_type=st.sampled_from([JSON, PROTOBUF, "text/plain"]),
        encoding=st.sampled_from(["", "gzip"]),
    )
    def check(body, media_type, encoding):
        answer = sender.post(body, media_type, **{"Content-Encoding": encoding})
        assert answer.status_code in {200, 400, 413, 415}
        assert answer.content_type == (PROTOBUF if media_type == PROTOBUF else JSON)

    check()


# With lone surrogates, with numbers of any size, and with what is none.
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
text = st.text(max_size=20)
kinds = ["stringValue", "intValue", "boolValue", "doubleValue", "bytesValue", "arrayValue", "kvlistValue"]
odd_value = st.dictionaries(st.sampled_from([*kinds, "values", "key", "value"]), anything, max_size=2)
names = st.sampled_from(
    ["timeUnixNano", "severityNumber", "severityText", "body", "attributes", "traceId", "eventName"]
)
value = st.recursive(
    st.one_of(
        st.builds(lambda it: {"stringValue": it}, text),
        st.builds(lambda it: {"intValue": it}, st.integers()),
        st.builds(lambda it: {"doubleValue": it}, st.floats()),
        st.builds(lambda it: {"boolValue": it}, st.booleans()),
        st.just({}),
    ),
    lambda inner: st.one_of(
        st.builds(lambda items: {"arrayValue": {"values": items}}, st.lists(inner, max_size=3)),
        st.builds(
            lambda items: {"kvlistValue": {"values": [{"key": k, "value": v} for k, v in items]}},
            st.lists(st.tuples(text, inner), max_size=3),
        ),
    ),
    max_leaves=5,
)
attributes = st.lists(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(
                ["order.id", "request.id", "log.record.uid", "service.name", "service.instance.id"]
            )
            | text,
            "value": value,
        }
    ),
    max_size=4,
)
valid_record = st.fixed_dictionaries(
    {},
    optional={
        "timeUnixNano": st.integers(),
        "observedTimeUnixNano": st.integers(0, 2**64 - 1).map(str),
        "severityNumber": st.integers() | text,
        "severityText": text,
        "body": value,
        "attributes": attributes,
        "traceId": text,
        "spanId": text,
        "eventName": text,
    },
)


@few_or_many
def test_every_valid_record_is_kept_or_rejected_and_can_be_read(sender, examples):
    @settings(max_examples=examples)
    @given(record=valid_record, resource=attributes)
    def check(record, resource):
        export = {
            "resourceLogs": [{"resource": {"attributes": resource}, "scopeLogs": [{"logRecords": [record]}]}]
        }
        answer = sender.post(json.dumps(export).encode())
        assert answer.status_code == 200, answer.data
        sender.find()

    check()


@few_or_many
def test_a_record_of_odd_types_is_kept_or_rejected_and_can_be_read(sender, examples):
    @settings(max_examples=examples)
    @given(record=anything | st.dictionaries(names, anything | odd_value), export=anything)
    def check(record, export):
        assert sender.export(record).status_code == 200
        sender.find()
        # Whatever stands in the place of the senders.
        assert sender.post(json.dumps({"resourceLogs": export}).encode()).status_code == 200

    check()
