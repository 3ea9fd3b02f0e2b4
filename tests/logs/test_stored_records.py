"""What logs-service stores of a record: its id, level, time, text and attributes."""

import json

from logs.otlp import PROTOBUF
from shared.ids import new_id
from tests.logs.conftest import NOW, Sender, make_export, make_record, read_partial
from tests.logs.protobuf import make_protobuf, make_protobuf_record

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_uuidv7_of_the_sender_is_the_records_id(sender):
    uid = str(new_id())
    sender.export(make_record("first", attributes={"log.record.uid": uid}))
    sender.export(make_record("again", attributes={"log.record.uid": uid}))
    [record] = sender.find()
    assert (record["id"], record["message"]) == (uid, "first")
    assert "log.record.uid" not in record["attributes"]


def test_records_with_an_id_of_the_sender_are_equal_if_their_ids_are(sender: Sender) -> None:
    wrong = []
    # OpenTelemetry recommends ULIDs; the shop's services send UUIDs of version 7.
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


def test_records_that_differ_in_any_field_are_stored_separately(sender):
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


def test_equal_records_of_an_export_are_all_stored_and_a_retry_stores_none(
    sender: Sender,
) -> None:
    record = make_record("again", attributes={"log.record.uid": None})
    of_two = make_export(record, record, record)
    of_two["resourceLogs"] += make_export(record, record)["resourceLogs"]
    for body in (make_export(*[record] * 5), of_two):
        for _ in range(2):
            assert read_partial(sender.post(json.dumps(body).encode())) == (0, "")
            assert sender.find_messages() == ["again"] * 5
    # Only the sixth is new.
    sender.export(*[record] * 6)
    assert sender.find_messages() == ["again"] * 6


def test_equal_records_in_protobuf_are_all_stored_once(sender: Sender) -> None:
    body = make_protobuf(*[make_protobuf_record()] * 5)
    for _ in range(2):
        assert read_partial(sender.post(body, PROTOBUF)) == (0, "")
        assert sorted(sender.find_messages()) == [*["invalid"] * 5, "neighbour"]


def test_invalid_ids_are_ignored_and_the_record_is_stored(sender):
    sender.export(
        make_record(traceId="0" * 32, spanId="abc", attributes={"order.id": "none", "request.id": "r" * 200})
    )
    [record] = sender.find()
    assert [record[name] for name in ("trace_id", "span_id", "request_id", "order_id")] == [None] * 4
    assert record["attributes"] == {"order.id": "none", "request.id": "r" * 200}


def test_characters_that_postgresql_does_not_support_are_replaced(sender):
    answer = sender.export(
        make_record("a\0b \\u0000 \U0001f600", attributes={"k\0": "\0", "request.id": "\0"}), service="s\0"
    )
    assert answer.json == {}
    [record] = sender.find()
    assert record["message"] == "a\ufffdb \\u0000 \U0001f600"
    assert record["attributes"] == {"k\ufffd": "\ufffd"}


def test_every_severity_has_a_level(sender):
    cases = [
        (0, "", "INFO"),
        (0, "warn", "WARNING"),
        (0, "Fatal", "CRITICAL"),
        (1, "loud", "TRACE"),
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


def test_a_level_is_recognized_by_any_common_name(sender: Sender) -> None:
    names = {
        "TRACE": ["trace", "verbose", "finest", "silly", "Trace3"],
        "DEBUG": ["debug", "dbg", "fine", "finer", "config", "DEBUG2"],
        "INFO": ["info", "information", "informational", "notice", "log", "Info4", "", "unknown"],
        "WARNING": ["warn", "warning", "WRN", " Warn ", "WARN4", "SEVERITY_NUMBER_WARN"],
        "ERROR": ["error", "err", "severe", "ERROR3", "severity_number_error2"],
        "CRITICAL": ["critical", "crit", "fatal", "alert", "emerg", "emergency", "panic", "FATAL4"],
    }
    cases = [(level, name) for level, synonyms in names.items() for name in synonyms]
    sender.export(
        *[
            make_record(f"{place}", severityNumber=None, severityText=name)
            for place, (_level, name) in enumerate(cases)
        ]
    )
    found = {record["message"]: record["level"] for record in sender.find()}
    assert [(found[str(place)], name) for place, (_level, name) in enumerate(cases)] == cases


def test_a_structured_body_is_stored_as_json(sender):
    body = {"kvlistValue": {"values": [{"key": "a", "value": {"arrayValue": {"values": [{"intValue": 1}]}}}]}}
    sender.export(make_record(body=body))
    assert sender.find_messages() == ['{"a": [1]}']


def test_null_members_count_as_absent(sender):
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


def test_a_service_whose_name_is_too_long_for_an_index_is_rejected(sender):
    answer = sender.export(make_record(), service="s" * 300)
    assert answer.json["partialSuccess"]["rejectedLogRecords"] == "1"


def test_an_integer_that_javascript_would_round_is_returned_as_a_string_at_any_depth(sender: Sender) -> None:
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
