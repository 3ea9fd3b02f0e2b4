"""An odd record is repaired, or counted as rejected, and its neighbours in the export are kept."""

import json
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from logs.otlp.reading import DEEPEST
from shared.ids import new_id
from tests.logs.conftest import NOW, Sender, make_export, make_record

PROTOBUF = "application/x-protobuf"
TIME = "2023-11-14T22:13:20Z"
FIVE = "\N{FULLWIDTH DIGIT FIVE}"
ODD = "it is odd"  # The message by which a test finds an odd record again.
TOO_DEEP = f"A record was rejected: it is nested more than {DEEPEST} levels deep."
NO_OBJECT = "A record was rejected: a part of it is not an object."
NO_LIST = "A record was rejected: attributes or values of it are not in a list."
NO_VALUE = "A record was rejected: a list or an object stands in it where a value of another kind belongs."


def nest(levels: int, kind: str = "kvlistValue") -> dict[str, Any]:
    """Return a value in OTLP's JSON that lies within so many objects, or lists."""
    value: dict[str, Any] = {"stringValue": "core"}
    for _ in range(levels):
        inner = {"key": "k", "value": value} if kind == "kvlistValue" else value
        value = {kind: {"values": [inner]}}
    return value


def write_nested(levels: int) -> str:
    """Return the JSON of such a value, however deep; json.dumps would give up."""
    return '{"arrayValue":{"values":[' * levels + "{}" + "]}}" * levels


def with_value(value: Any) -> dict[str, Any]:
    """Return a record with that value as an attribute."""
    return {"attributes": [{"key": "it", "value": value}]}


# What a record of an export in JSON has, and what is kept of it.
REPAIRED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # A text with half of a pair, as JavaScript cuts an emoji.
    "half of a pair": (with_value({"stringValue": "cut \ud83d"}), {"attributes": {"it": "cut \ufffd"}}),
    "the other half": (with_value({"stringValue": "\ude00 cut"}), {"attributes": {"it": "\ufffd cut"}}),
    "a whole pair": (with_value({"stringValue": "\ud83d\ude00"}), {"attributes": {"it": "\U0001f600"}}),
    "a half in a name": (
        {"attributes": [{"key": "it\ud83d", "value": {"boolValue": True}}]},
        {"attributes": {"it\ufffd": True}},
    ),
    "a half deep inside": (
        with_value({"arrayValue": {"values": [{"stringValue": "\ud83d"}]}}),
        {"attributes": {"it": ["\ufffd"]}},
    ),
    "a half in an id": ({"traceId": "\ud83d" * 32, "spanId": "\ud83d"}, {"trace_id": None, "span_id": None}),
    # A level by name.
    "an enum's name": ({"severityNumber": "SEVERITY_NUMBER_WARN"}, {"level": "WARNING"}),
    "an enum's name with a number": ({"severityNumber": "SEVERITY_NUMBER_ERROR4"}, {"level": "ERROR"}),
    "an enum's number as text": ({"severityNumber": "17"}, {"level": "ERROR"}),
    "an enum's number as float": ({"severityNumber": 17.0}, {"level": "ERROR"}),
    "an enum that is not there": ({"severityNumber": "LOUD", "severityText": "warn"}, {"level": "WARNING"}),
    "a level that is a number": ({"severityNumber": 0, "severityText": 5}, {"level": "INFO"}),
    "a level beyond 32 bits": ({"severityNumber": 2**40}, {"level": "CRITICAL"}),
    "a level that is a list": ({"severityNumber": [17]}, {"level": "INFO"}),
    # A text where a number stands, and the reverse.
    "a number as text": (with_value({"stringValue": 5}), {"attributes": {"it": "5"}}),
    "a boolean as text": (with_value({"stringValue": True}), {"attributes": {"it": "true"}}),
    "a text as integer": (with_value({"intValue": "five"}), {"attributes": {"it": "five"}}),
    "a float as integer": (with_value({"intValue": 1.5}), {"attributes": {"it": 1.5}}),
    "a whole float as integer": (with_value({"intValue": 5.0}), {"attributes": {"it": 5}}),
    "a boolean as integer": (with_value({"intValue": True}), {"attributes": {"it": True}}),
    "other digits": (with_value({"intValue": FIVE}), {"attributes": {"it": FIVE}}),
    "a double as integer": (with_value({"intValue": 1e300}), {"attributes": {"it": 1e300}}),
    "a large double": (with_value({"doubleValue": -1e300}), {"attributes": {"it": -1e300}}),
    "beyond 64 bits, without its kind": (with_value(2**70), {"attributes": {"it": str(2**70)}}),
    "beyond 64 bits": (with_value({"intValue": 2**70}), {"attributes": {"it": str(2**70)}}),
    "beyond all bits": (with_value({"intValue": "9" * 5000}), {"attributes": {"it": "9" * 5000}}),
    "a text as double": (with_value({"doubleValue": "1.5"}), {"attributes": {"it": 1.5}}),
    "a word as double": (with_value({"doubleValue": "much"}), {"attributes": {"it": "much"}}),
    "an infinite double": (with_value({"doubleValue": "-Infinity"}), {"attributes": {"it": "-Infinity"}}),
    "a text as boolean": (with_value({"boolValue": "true"}), {"attributes": {"it": True}}),
    "a word as boolean": (with_value({"boolValue": "yes"}), {"attributes": {"it": "yes"}}),
    "a number as boolean": (with_value({"boolValue": 0}), {"attributes": {"it": 0}}),
    "a number as bytes": (with_value({"bytesValue": 5}), {"attributes": {"it": "5"}}),
    "a number as a name": (
        {"attributes": [{"key": 5, "value": {"intValue": 1}}]},
        {"attributes": {"5": 1}},
    ),
    "a value without its kind": (with_value("plain"), {"attributes": {"it": "plain"}}),
    "a kind that is not known": (with_value({"newValue": 1}), {"attributes": {"it": None}}),
    "no value": ({"attributes": [{"key": "it"}]}, {"attributes": {"it": None}}),
    "a number as an event's name": ({"eventName": 5}, {"attributes": {"event.name": "5"}}),
    "an id that is a number": ({"traceId": 5, "spanId": 1.5}, {"trace_id": None, "span_id": None}),
    # A time that is none is passed over, and the record has the one at which it was observed.
    "a negative time": ({"timeUnixNano": "-1"}, {"time": TIME}),
    "a time beyond 64 bits": ({"timeUnixNano": 2**64}, {"time": TIME}),
    "a time that is a word": ({"timeUnixNano": "noon"}, {"time": TIME}),
    "a time that is a list": ({"timeUnixNano": [1, 2]}, {"time": TIME}),
    "a time that is a float": ({"timeUnixNano": float(NOW)}, {"time": TIME}),
    "an observed time that is none": ({"observedTimeUnixNano": -(10**30)}, {"time": TIME}),
    "as deep as can be": (with_value(nest(DEEPEST)), {}),
    "a list as deep as can be": (with_value(nest(DEEPEST, "arrayValue")), {}),
}
REJECTED: dict[str, tuple[Any, str]] = {
    "too deep": (with_value(nest(DEEPEST + 1)), TOO_DEEP),
    "a list too deep": (with_value(nest(DEEPEST + 1, "arrayValue")), TOO_DEEP),
    "a body too deep": ({"body": nest(DEEPEST + 1)}, TOO_DEEP),
    "no record": ("record", NO_OBJECT),
    "nothing": (None, NO_OBJECT),
    "a list": ([{}], NO_OBJECT),
    "attributes that are an object": ({"attributes": {"it": "plain"}}, NO_LIST),
    "attributes that are a text": ({"attributes": "it=plain"}, NO_LIST),
    "an attribute that is a text": ({"attributes": ["it=plain"]}, NO_OBJECT),
    "a value that is a list": (with_value([1]), NO_VALUE),
    "a text that is a list": (with_value({"stringValue": ["a"]}), NO_VALUE),
    "a number that is an object": (with_value({"intValue": {"a": 1}}), NO_VALUE),
    "a list that is a text": (with_value({"arrayValue": "a"}), NO_OBJECT),
    "an object that is a list": (with_value({"kvlistValue": ["a"]}), NO_OBJECT),
    "a body that is a list": ({"body": ["a"]}, NO_VALUE),
    "a trace that is a list": ({"traceId": ["a"]}, NO_VALUE),
}


def make_odd(changes: dict[str, Any]) -> dict[str, Any]:
    """Return a record with a few members of its own, and nothing else that is odd."""
    return {
        "timeUnixNano": str(NOW),
        "observedTimeUnixNano": str(NOW),
        "body": {"stringValue": ODD},
        **changes,
    }


def read_partial(answer: Any) -> tuple[int, str]:
    """Return how many records an answer rejects, and its message."""
    assert answer.status_code == 200, answer.data
    if answer.content_type == PROTOBUF:
        partial = ExportLogsServiceResponse.FromString(answer.data).partial_success
        return partial.rejected_log_records, partial.error_message
    partial = answer.json.get("partialSuccess", {})
    return int(partial.get("rejectedLogRecords", 0)), partial.get("errorMessage", "")


def test_an_odd_record_in_json_is_repaired_between_its_neighbours(sender: Sender) -> None:
    wrong = {}
    for case, (changes, kept) in REPAIRED.items():
        service = f"service of {case}"
        neighbours = make_record("before", second=-1), make_record("after", second=1)
        told = read_partial(sender.export(neighbours[0], make_odd(changes), neighbours[1], service=service))
        found = sender.find(f"service={service}")
        odd = [record for record in found if record["message"] == ODD]
        kept_of_it = {name: odd[0][name] for name in kept} if odd else None
        if told != (0, "") or len(found) != 3 or kept_of_it != kept:
            wrong[case] = (told, found)
    assert wrong == {}


def test_a_record_in_json_that_cannot_be_repaired_is_counted_and_its_neighbours_are_kept(
    sender: Sender,
) -> None:
    wrong = {}
    for case, (odd, reason) in REJECTED.items():
        service = f"service of {case}"
        record = make_odd(odd) if isinstance(odd, dict) else odd
        told = read_partial(
            sender.export(make_record("before"), record, make_record("after"), service=service)
        )
        found = sorted(sender.find_messages(f"service={service}"))
        if told != (1, reason) or found != ["after", "before"]:
            wrong[case] = (told, found)
    assert wrong == {}


def test_no_depth_of_json_is_too_deep_for_the_neighbours(sender: Sender) -> None:
    wrong = {}
    for levels in (DEEPEST + 1, 60, 200, 1000, 100_000):
        record = make_record("too deep", body={"stringValue": "PLACE"})
        body = json.dumps(make_export(make_record(f"beside {levels}"), record))
        body = body.replace('{"stringValue": "PLACE"}', write_nested(levels))
        told = read_partial(sender.post(body.encode()))
        if told != (1, TOO_DEEP) or sender.find_messages(f"q={levels}") != [f"beside {levels}"]:
            wrong[levels] = told
    assert wrong == {}
    # Where nothing is read, nothing is too deep; and a bracket in a text is none.
    text = r"[{\"" * 300
    body = (
        b'{"new": '
        + b"[" * 5000
        + b"]" * 5000
        + b", "
        + json.dumps(make_export(make_record(text)))[1:].encode()
    )
    assert read_partial(sender.post(body)) == (0, "")
    assert text in sender.find_messages()


def test_an_odd_resource_or_scope_in_json_is_repaired_or_its_records_are_counted(sender: Sender) -> None:
    def send(resource: Any, scope: Any) -> tuple[int, str, list[dict[str, Any]]]:
        beside = make_export(make_record("beside"), service="beside")["resourceLogs"][0]
        groups = [{"scope": scope, "logRecords": [make_odd({}), make_odd({"severityNumber": 17})]}]
        odd = {"resource": resource, "scopeLogs": groups}
        count, message = read_partial(sender.post(json.dumps({"resourceLogs": [odd, beside]}).encode()))
        found = sender.find()
        with sender.client.application.database.transaction() as connection:
            connection.exec_driver_sql("DELETE FROM records")
        assert [record["service"] for record in found].count("beside") == 1
        return count, message, [record for record in found if record["service"] != "beside"]

    named = {"key": "service.name", "value": {"stringValue": "cut \ud83d"}}
    count, message, found = send({"attributes": [named]}, {"name": "scope \ud83d", "attributes": 5})
    assert (count, message, len(found)) == (0, "", 2)
    assert {record["service"] for record in found} == {"cut \ufffd"}
    assert found[0]["attributes"] == {"otel.scope.name": "scope \ufffd"}
    number = {"key": "service.name", "value": {"stringValue": 5}}
    assert [record["service"] for record in send({"attributes": [number]}, None)[2]] == ["5", "5"]
    wrong = [
        case
        for case in [
            ({"attributes": [{"key": "it", "value": nest(DEEPEST + 1)}]}, {}, TOO_DEEP),
            ({"attributes": {"service.name": "it"}}, {}, NO_LIST),
            ("it", {}, NO_OBJECT),
            ({}, "it", NO_OBJECT),
            ({}, {"name": ["it"]}, NO_VALUE),
        ]
        if send(*case[:2]) != (2, case[2], [])
    ]
    assert wrong == []


def test_what_is_no_sender_nor_group_of_records_counts_as_one(sender: Sender) -> None:
    beside = make_export(make_record())["resourceLogs"][0]
    odd: list[Any] = [5, {"scopeLogs": 5}, {"scopeLogs": [5]}, {"scopeLogs": [{"logRecords": 5}]}, [beside]]
    count, message = read_partial(sender.post(json.dumps({"resourceLogs": [*odd, beside]}).encode()))
    assert (count, message) == (5, NO_OBJECT)
    assert len(sender.find()) == 1


def test_bytes_that_are_no_utf_8_in_json_become_a_replacement_character(sender: Sender) -> None:
    body = json.dumps(make_export(make_record("cut PLACE"), make_record("beside"))).encode()
    assert read_partial(sender.post(b"\xef\xbb\xbf" + body.replace(b"PLACE", b"\xf0\x9f"))) == (0, "")
    assert sorted(sender.find_messages()) == ["beside", "cut \ufffd"]


# In protobuf.


def write_field(number: int, content: bytes) -> bytes:
    """Return a field of a message that has a length, as protobuf writes it."""
    length, written = len(content), bytearray([number << 3 | 2])
    while length > 0x7F:
        written.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([*written, length]) + content


def nest_protobuf(levels: int) -> bytes:
    """Return an AnyValue that lies within so many objects, however deep."""
    value = AnyValue(string_value="core").SerializeToString()
    for _ in range(levels):
        value = write_field(6, write_field(1, write_field(1, b"k") + write_field(2, value)))
    return value


def make_protobuf(*records: bytes, resource: bytes = b"", scope: bytes = b"") -> bytes:
    """Return an export that has records, and others beside them, as bytes."""
    beside = ExportLogsServiceRequest()
    neighbours = beside.resource_logs.add().scope_logs.add().log_records
    neighbours.add(time_unix_nano=NOW).body.string_value = "beside"
    group = b"".join([write_field(1, scope), *(write_field(2, record) for record in records)])
    return beside.SerializeToString() + write_field(1, write_field(1, resource) + write_field(2, group))


def make_protobuf_record(body: bytes = b"it is odd", *attributes: bytes) -> bytes:
    """Return a LogRecord whose body and attributes are these bytes."""
    time = b"\x09" + NOW.to_bytes(8, "little")
    return time + write_field(5, write_field(1, body)) + b"".join(write_field(6, each) for each in attributes)


def make_attribute(key: bytes, value: bytes) -> bytes:
    """Return a KeyValue of a text."""
    return write_field(1, key) + write_field(2, write_field(1, value))


def test_invalid_utf_8_in_protobuf_becomes_a_replacement_character_wherever_it_stands(sender: Sender) -> None:
    record = make_protobuf_record(b"cut \xf0\x9f", make_attribute(b"key \xff", b"\xed\xa0\xbd cut"))
    record += write_field(3, b"war\xff") + write_field(12, b"event \xff")
    body = make_protobuf(
        record,
        resource=write_field(1, make_attribute(b"service.name", b"name \xff")),
        scope=write_field(1, b"scope \xff")
        + write_field(2, b"\xff")
        + write_field(3, make_attribute(b"\xff", b"\xff")),
    ) + write_field(9, b"new \xff")
    body += write_field(1, write_field(3, b"schema \xff"))
    assert read_partial(sender.post(body, PROTOBUF)) == (0, "")
    beside, odd = sorted(sender.find(), key=lambda record: record["message"])
    assert beside["message"] == "beside"
    assert (odd["message"], odd["service"], odd["level"]) == ("cut \ufffd", "name \ufffd", "INFO")
    assert odd["attributes"] == {
        "key \ufffd": "\ufffd\ufffd\ufffd cut",
        "otel.scope.name": "scope \ufffd",
        "event.name": "event \ufffd",
    }


def test_a_record_in_protobuf_that_cannot_be_repaired_is_counted_and_its_neighbours_are_kept(
    sender: Sender,
) -> None:
    broken = "A record was rejected: it is not valid protobuf, or nested too deep."
    deep = nest_protobuf(DEEPEST + 1)
    cases = {
        "too deep": (make_protobuf(make_protobuf_record(b"odd") + write_field(5, deep)), TOO_DEEP),
        "much too deep": (
            make_protobuf(make_protobuf_record(b"odd", write_field(2, nest_protobuf(1000)))),
            broken,
        ),
        "broken off": (make_protobuf(make_protobuf_record(b"odd")[:-1]), broken),
        "a resource that is too deep": (
            make_protobuf(make_protobuf_record(), resource=write_field(1, write_field(2, deep))),
            TOO_DEEP,
        ),
        "a resource that is broken": (make_protobuf(make_protobuf_record(), resource=b"\xff"), broken),
    }
    wrong = {}
    for case, (body, reason) in cases.items():
        told = read_partial(sender.post(body, PROTOBUF))
        if told != (1, reason) or sender.find_messages() != ["beside"]:
            wrong[case] = (told, sender.find_messages())
    assert wrong == {}


def test_as_deep_as_can_be_is_the_same_in_both_encodings(sender: Sender) -> None:
    deep = make_protobuf_record(b"odd", write_field(1, b"it") + write_field(2, nest_protobuf(DEEPEST)))
    # A scope's attributes are not kept, and may be as deep as they like.
    scope = write_field(3, write_field(2, nest_protobuf(1000)))
    assert read_partial(sender.post(make_protobuf(deep, scope=scope), PROTOBUF)) == (0, "")
    of_json = make_record("odd", attributes={"log.record.uid": None})
    of_json["attributes"] = [{"key": "it", "value": nest(DEEPEST)}]
    assert read_partial(sender.export(of_json)) == (0, "")
    values = [record["attributes"]["it"] for record in sender.find() if record["message"] == "odd"]
    assert len(values) == 2
    assert values[0] == values[1]


# Levels by name.


def test_a_level_is_understood_by_any_usual_name(sender: Sender) -> None:
    names = {
        "TRACE": ["trace", "verbose", "finest", "silly", "Trace3"],
        "DEBUG": ["debug", "dbg", "fine", "finer", "config", "DEBUG2"],
        "INFO": ["info", "information", "informational", "notice", "log", "Info4", "", "who knows"],
        "WARNING": ["warn", "warning", "WRN", " Warn ", "WARN4", "SEVERITY_NUMBER_WARN"],
        "ERROR": ["error", "err", "severe", "ERROR3", "severity_number_error2"],
        "CRITICAL": ["critical", "crit", "fatal", "alert", "emerg", "emergency", "panic", "FATAL4"],
    }
    cases = [(level, name) for level, some in names.items() for name in some]
    sender.export(
        *[
            make_record(f"{place}", severityNumber=None, severityText=name)
            for place, (_level, name) in enumerate(cases)
        ]
    )
    found = {record["message"]: record["level"] for record in sender.find()}
    assert [(found[str(place)], name) for place, (_level, name) in enumerate(cases)] == cases


# Equal records.


def test_the_nth_equal_record_of_an_export_is_one_of_its_own_and_the_export_again_is_none(
    sender: Sender,
) -> None:
    record = make_record("again", attributes={"log.record.uid": None})
    of_two = make_export(record, record, record)
    of_two["resourceLogs"] += make_export(record, record)["resourceLogs"]
    for body in (make_export(*[record] * 5), of_two):
        for _ in range(2):
            assert read_partial(sender.post(json.dumps(body).encode())) == (0, "")
            assert sender.find_messages() == ["again"] * 5
    # One more is one more.
    sender.export(*[record] * 6)
    assert sender.find_messages() == ["again"] * 6


def test_equal_records_in_protobuf_are_as_many_as_there_are(sender: Sender) -> None:
    body = make_protobuf(*[make_protobuf_record()] * 5)
    for _ in range(2):
        assert read_partial(sender.post(body, PROTOBUF)) == (0, "")
        assert sorted(sender.find_messages()) == ["beside", *[ODD] * 5]


def test_records_with_an_id_of_the_senders_are_told_apart_by_it_alone(sender: Sender) -> None:
    wrong = []
    # OpenTelemetry recommends ULIDs; our own services send UUIDs of version 7.
    for one, other in [
        (str(new_id()), str(new_id())),
        ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "01BX5ZZKBKACTAV9WEVGEMMVRZ"),
        ("c232ab00-9414-41ec-b3c8-9e6bdeced846", "c232ab00-9414-41ec-b3c8-9e6bdeced847"),
    ]:
        records = [make_record(one, attributes={"log.record.uid": uid}) for uid in (one, one, other)]
        for _ in range(2):
            assert read_partial(sender.export(*records)) == (0, "")
        found = [record for record in sender.find() if record["message"] == one]
        if len(found) != 2:
            wrong.append((one, found))
    assert wrong == []


# Integers that JavaScript would round.


def test_an_integer_that_javascript_would_round_is_sent_as_text_wherever_it_stands(sender: Sender) -> None:
    limit = 2**53 - 1
    cases = {
        limit: limit,
        -limit: -limit,
        limit + 1: str(limit + 1),
        -limit - 1: str(-limit - 1),
        2**63 - 1: str(2**63 - 1),
        -(2**63): str(-(2**63)),
    }
    values = [{"intValue": str(number)} for number in cases]
    whole = {"arrayValue": {"values": values}}
    deep = {"kvlistValue": {"values": [{"key": "k", "value": whole}]}}
    record = make_record("numbers", attributes={"log.record.uid": None})
    record["attributes"] = [
        {"key": "deep", "value": {"arrayValue": {"values": [deep]}}},
        {"key": "one", "value": {"intValue": str(limit + 1)}},
        {"key": "yes", "value": {"boolValue": True}},
        {"key": "half", "value": {"doubleValue": 0.5}},
    ]
    sender.export(record)
    sent = list(cases.values())
    expected = {"deep": [{"k": sent}], "one": str(limit + 1), "yes": True, "half": 0.5}
    [found] = sender.find()
    assert found["attributes"] == expected
    around = sender.client.get(f"/logs/{found['id']}/context", headers=sender.admin)
    assert [each["attributes"] for each in around.json["data"]] == [expected]


@pytest.mark.parametrize("encoding", ["JSON", "protobuf"])
def test_an_export_that_is_none_at_all_is_refused_whole(sender: Sender, encoding: str) -> None:
    bodies = (
        [b"", b"no", b"[]", b"5", b'{"resourceLogs": [', b'{"a": 1} tail'] if encoding == "JSON" else [b"{}"]
    )
    media_type = "application/json" if encoding == "JSON" else PROTOBUF
    statuses = {body: sender.post(body, media_type).status_code for body in bodies}
    assert statuses == dict.fromkeys(bodies, 400)
