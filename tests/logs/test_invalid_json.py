"""In JSON, an invalid record is repaired or rejected, and the other records of its export are stored."""

import json
from typing import Any

from logs.otlp.reading import DEEPEST
from tests.logs.conftest import NOW, Sender, make_export, make_record, read_partial

TIME = "2023-11-14T22:13:20Z"
FIVE = "\N{FULLWIDTH DIGIT FIVE}"
INVALID = "invalid"  # The message by which a test finds an invalid record.
TOO_DEEP = f"A record was rejected: it is nested more than {DEEPEST} levels deep."
NO_OBJECT = "A record was rejected: part of it is not an object."
NO_LIST = "A record was rejected: its attributes or values are not a list."
NO_VALUE = "A record was rejected: it has a list or an object where a scalar is expected."


def nest(levels: int, kind: str = "kvlistValue") -> dict[str, Any]:
    """Return a value in OTLP's JSON that is nested in `levels` objects or lists."""
    value: dict[str, Any] = {"stringValue": "core"}
    for _ in range(levels):
        inner = {"key": "k", "value": value} if kind == "kvlistValue" else value
        value = {kind: {"values": [inner]}}
    return value


def write_nested(levels: int) -> str:
    """Return JSON of a value nested in `levels` lists; json.dumps has a limit."""
    return '{"arrayValue":{"values":[' * levels + "{}" + "]}}" * levels


def with_value(value: Any) -> dict[str, Any]:
    """Return record members with this value as an attribute."""
    return {"attributes": [{"key": "it", "value": value}]}


# Members of a sent record, and the resulting members of the stored one.
REPAIRED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # A string with a lone surrogate, such as an emoji that JavaScript has cut.
    "a high surrogate": (with_value({"stringValue": "cut \ud83d"}), {"attributes": {"it": "cut \ufffd"}}),
    "a low surrogate": (with_value({"stringValue": "\ude00 cut"}), {"attributes": {"it": "\ufffd cut"}}),
    "a surrogate pair": (with_value({"stringValue": "\ud83d\ude00"}), {"attributes": {"it": "\U0001f600"}}),
    "a surrogate in a name": (
        {"attributes": [{"key": "it\ud83d", "value": {"boolValue": True}}]},
        {"attributes": {"it\ufffd": True}},
    ),
    "a surrogate in a list": (
        with_value({"arrayValue": {"values": [{"stringValue": "\ud83d"}]}}),
        {"attributes": {"it": ["\ufffd"]}},
    ),
    "a surrogate in an id": (
        {"traceId": "\ud83d" * 32, "spanId": "\ud83d"},
        {"trace_id": None, "span_id": None},
    ),
    # A level as a name.
    "an enum's name": ({"severityNumber": "SEVERITY_NUMBER_WARN"}, {"level": "WARNING"}),
    "an enum's name with a number": ({"severityNumber": "SEVERITY_NUMBER_ERROR4"}, {"level": "ERROR"}),
    "an enum's number as a string": ({"severityNumber": "17"}, {"level": "ERROR"}),
    "an enum's number as a float": ({"severityNumber": 17.0}, {"level": "ERROR"}),
    "an unknown enum": ({"severityNumber": "LOUD", "severityText": "warn"}, {"level": "WARNING"}),
    "a level that is a number": ({"severityNumber": 0, "severityText": 5}, {"level": "INFO"}),
    "a level beyond 32 bits": ({"severityNumber": 2**40}, {"level": "CRITICAL"}),
    "a level that is a list": ({"severityNumber": [17]}, {"level": "INFO"}),
    # A string instead of a number, and the reverse.
    "a number as a string": (with_value({"stringValue": 5}), {"attributes": {"it": "5"}}),
    "a boolean as a string": (with_value({"stringValue": True}), {"attributes": {"it": "true"}}),
    "a word as an integer": (with_value({"intValue": "five"}), {"attributes": {"it": "five"}}),
    "a float as an integer": (with_value({"intValue": 1.5}), {"attributes": {"it": 1.5}}),
    "a whole float as an integer": (with_value({"intValue": 5.0}), {"attributes": {"it": 5}}),
    "a boolean as an integer": (with_value({"intValue": True}), {"attributes": {"it": True}}),
    "non-ASCII digits": (with_value({"intValue": FIVE}), {"attributes": {"it": FIVE}}),
    "a double as an integer": (with_value({"intValue": 1e300}), {"attributes": {"it": 1e300}}),
    "a large double": (with_value({"doubleValue": -1e300}), {"attributes": {"it": -1e300}}),
    "beyond 64 bits, without its type": (with_value(2**70), {"attributes": {"it": str(2**70)}}),
    "beyond 64 bits": (with_value({"intValue": 2**70}), {"attributes": {"it": str(2**70)}}),
    "far beyond 64 bits": (with_value({"intValue": "9" * 5000}), {"attributes": {"it": "9" * 5000}}),
    "a string as a double": (with_value({"doubleValue": "1.5"}), {"attributes": {"it": 1.5}}),
    "a word as a double": (with_value({"doubleValue": "much"}), {"attributes": {"it": "much"}}),
    "an infinite double": (with_value({"doubleValue": "-Infinity"}), {"attributes": {"it": "-Infinity"}}),
    "a string as a boolean": (with_value({"boolValue": "true"}), {"attributes": {"it": True}}),
    "a word as a boolean": (with_value({"boolValue": "yes"}), {"attributes": {"it": "yes"}}),
    "a number as a boolean": (with_value({"boolValue": 0}), {"attributes": {"it": 0}}),
    "a number as bytes": (with_value({"bytesValue": 5}), {"attributes": {"it": "5"}}),
    "a number as a name": (
        {"attributes": [{"key": 5, "value": {"intValue": 1}}]},
        {"attributes": {"5": 1}},
    ),
    "a value without its type": (with_value("plain"), {"attributes": {"it": "plain"}}),
    "an unknown type": (with_value({"newValue": 1}), {"attributes": {"it": None}}),
    "no value": ({"attributes": [{"key": "it"}]}, {"attributes": {"it": None}}),
    "a number as an event's name": ({"eventName": 5}, {"attributes": {"event.name": "5"}}),
    "an id that is a number": ({"traceId": 5, "spanId": 1.5}, {"trace_id": None, "span_id": None}),
    # An invalid or absent time is replaced by the time of observation.
    "no time": ({"timeUnixNano": "0"}, {"time": TIME}),
    "a negative time": ({"timeUnixNano": "-1"}, {"time": TIME}),
    "a time beyond 64 bits": ({"timeUnixNano": 2**64}, {"time": TIME}),
    "a time that is a word": ({"timeUnixNano": "noon"}, {"time": TIME}),
    "a time that is a list": ({"timeUnixNano": [1, 2]}, {"time": TIME}),
    "a time that is a float": ({"timeUnixNano": float(NOW)}, {"time": TIME}),
    "an invalid time of observation": ({"observedTimeUnixNano": -(10**30)}, {"time": TIME}),
    "the deepest object": (with_value(nest(DEEPEST)), {}),
    "the deepest list": (with_value(nest(DEEPEST, "arrayValue")), {}),
}


REJECTED: dict[str, tuple[Any, str]] = {
    "too deep": (with_value(nest(DEEPEST + 1)), TOO_DEEP),
    "a list too deep": (with_value(nest(DEEPEST + 1, "arrayValue")), TOO_DEEP),
    "a body too deep": ({"body": nest(DEEPEST + 1)}, TOO_DEEP),
    "a string": ("record", NO_OBJECT),
    "null": (None, NO_OBJECT),
    "a list": ([{}], NO_OBJECT),
    "attributes that are an object": ({"attributes": {"it": "plain"}}, NO_LIST),
    "attributes that are a string": ({"attributes": "it=plain"}, NO_LIST),
    "an attribute that is a string": ({"attributes": ["it=plain"]}, NO_OBJECT),
    "a value that is a list": (with_value([1]), NO_VALUE),
    "a string that is a list": (with_value({"stringValue": ["a"]}), NO_VALUE),
    "a number that is an object": (with_value({"intValue": {"a": 1}}), NO_VALUE),
    "a list that is a string": (with_value({"arrayValue": "a"}), NO_OBJECT),
    "an object that is a list": (with_value({"kvlistValue": ["a"]}), NO_OBJECT),
    "a body that is a list": ({"body": ["a"]}, NO_VALUE),
    "a trace that is a list": ({"traceId": ["a"]}, NO_VALUE),
}


def make_invalid(changes: dict[str, Any]) -> dict[str, Any]:
    """Return a record that is valid except for the given members."""
    return {
        "timeUnixNano": str(NOW),
        "observedTimeUnixNano": str(NOW),
        "body": {"stringValue": INVALID},
        **changes,
    }


def test_an_invalid_record_is_repaired_and_its_neighbours_are_stored(sender: Sender) -> None:
    wrong = {}
    for case, (changes, expected) in REPAIRED.items():
        service = f"service of {case}"
        neighbours = make_record("before", second=-1), make_record("after", second=1)
        rejection = read_partial(
            sender.export(neighbours[0], make_invalid(changes), neighbours[1], service=service)
        )
        found = sender.find(f"service={service}")
        repaired = [record for record in found if record["message"] == INVALID]
        stored = {name: repaired[0][name] for name in expected} if repaired else None
        if rejection != (0, "") or len(found) != 3 or stored != expected:
            wrong[case] = (rejection, found)
    assert wrong == {}


def test_an_unreadable_record_is_rejected_and_its_neighbours_are_stored(
    sender: Sender,
) -> None:
    wrong = {}
    for case, (invalid, reason) in REJECTED.items():
        service = f"service of {case}"
        record = make_invalid(invalid) if isinstance(invalid, dict) else invalid
        rejection = read_partial(
            sender.export(make_record("before"), record, make_record("after"), service=service)
        )
        found = sorted(sender.find_messages(f"service={service}"))
        if rejection != (1, reason) or found != ["after", "before"]:
            wrong[case] = (rejection, found)
    assert wrong == {}


def test_json_of_any_depth_leaves_the_neighbours_intact(sender: Sender) -> None:
    wrong = {}
    for levels in (DEEPEST + 1, 60, 200, 1000, 100_000):
        record = make_record("too deep", body={"stringValue": "PLACE"})
        body = json.dumps(make_export(make_record(f"neighbour {levels}"), record))
        body = body.replace('{"stringValue": "PLACE"}', write_nested(levels))
        rejection = read_partial(sender.post(body.encode()))
        if rejection != (1, TOO_DEEP) or sender.find_messages(f"q={levels}") != [f"neighbour {levels}"]:
            wrong[levels] = rejection
    assert wrong == {}
    # Unknown members may have any depth, and brackets in strings do not count.
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


def test_an_invalid_resource_or_scope_is_repaired_or_its_records_are_rejected(sender: Sender) -> None:
    def send(resource: Any, scope: Any) -> tuple[int, str, list[dict[str, Any]]]:
        neighbour = make_export(make_record("neighbour"), service="neighbour")["resourceLogs"][0]
        groups = [{"scope": scope, "logRecords": [make_invalid({}), make_invalid({"severityNumber": 17})]}]
        invalid = {"resource": resource, "scopeLogs": groups}
        count, message = read_partial(
            sender.post(json.dumps({"resourceLogs": [invalid, neighbour]}).encode())
        )
        found = sender.find()
        with sender.client.application.database.transaction() as connection:
            connection.exec_driver_sql("DELETE FROM records")
        assert [record["service"] for record in found].count("neighbour") == 1
        return count, message, [record for record in found if record["service"] != "neighbour"]

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


def test_an_invalid_resource_or_scope_group_counts_as_one_record(sender: Sender) -> None:
    neighbour = make_export(make_record())["resourceLogs"][0]
    invalid: list[Any] = [
        5,
        {"scopeLogs": 5},
        {"scopeLogs": [5]},
        {"scopeLogs": [{"logRecords": 5}]},
        [neighbour],
    ]
    count, message = read_partial(sender.post(json.dumps({"resourceLogs": [*invalid, neighbour]}).encode()))
    assert (count, message) == (5, NO_OBJECT)
    assert len(sender.find()) == 1


def test_invalid_utf_8_becomes_a_replacement_character(sender: Sender) -> None:
    body = json.dumps(make_export(make_record("cut PLACE"), make_record("neighbour"))).encode()
    assert read_partial(sender.post(b"\xef\xbb\xbf" + body.replace(b"PLACE", b"\xf0\x9f"))) == (0, "")
    assert sorted(sender.find_messages()) == ["cut \ufffd", "neighbour"]
