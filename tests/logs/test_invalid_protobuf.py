"""In protobuf, an invalid record is repaired or rejected, and the other records of its export are stored."""

from logs.otlp import PROTOBUF
from logs.otlp.reading import DEEPEST
from tests.logs.conftest import Sender, make_record, read_partial
from tests.logs.protobuf import (
    make_attribute,
    make_protobuf,
    make_protobuf_record,
    nest_protobuf,
    write_field,
)
from tests.logs.test_invalid_json import TOO_DEEP, nest


def test_invalid_utf_8_becomes_a_replacement_character_in_every_field(sender: Sender) -> None:
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
    repaired, neighbour = sorted(sender.find(), key=lambda record: record["message"])
    assert neighbour["message"] == "neighbour"
    assert (repaired["message"], repaired["service"], repaired["level"]) == (
        "cut \ufffd",
        "name \ufffd",
        "INFO",
    )
    assert repaired["attributes"] == {
        "key \ufffd": "\ufffd\ufffd\ufffd cut",
        "otel.scope.name": "scope \ufffd",
        "event.name": "event \ufffd",
    }


def test_an_unreadable_record_is_rejected_and_its_neighbours_are_stored(
    sender: Sender,
) -> None:
    broken = "A record was rejected: it is not valid protobuf, or it is nested too deeply."
    deep = nest_protobuf(DEEPEST + 1)
    cases = {
        "too deep": (make_protobuf(make_protobuf_record(b"invalid") + write_field(5, deep)), TOO_DEEP),
        "much too deep": (
            make_protobuf(make_protobuf_record(b"invalid", write_field(2, nest_protobuf(1000)))),
            broken,
        ),
        "truncated": (make_protobuf(make_protobuf_record(b"invalid")[:-1]), broken),
        "a resource that is too deep": (
            make_protobuf(make_protobuf_record(), resource=write_field(1, write_field(2, deep))),
            TOO_DEEP,
        ),
        "a resource that is broken": (make_protobuf(make_protobuf_record(), resource=b"\xff"), broken),
    }
    wrong = {}
    for case, (body, reason) in cases.items():
        rejection = read_partial(sender.post(body, PROTOBUF))
        if rejection != (1, reason) or sender.find_messages() != ["neighbour"]:
            wrong[case] = (rejection, sender.find_messages())
    assert wrong == {}


def test_the_deepest_value_is_the_same_in_both_encodings(sender: Sender) -> None:
    deep = make_protobuf_record(b"invalid", write_field(1, b"it") + write_field(2, nest_protobuf(DEEPEST)))
    # A scope's attributes are not stored, so their depth has no limit.
    scope = write_field(3, write_field(2, nest_protobuf(1000)))
    assert read_partial(sender.post(make_protobuf(deep, scope=scope), PROTOBUF)) == (0, "")
    of_json = make_record("invalid", attributes={"log.record.uid": None})
    of_json["attributes"] = [{"key": "it", "value": nest(DEEPEST)}]
    assert read_partial(sender.export(of_json)) == (0, "")
    values = [record["attributes"]["it"] for record in sender.find() if record["message"] == "invalid"]
    assert len(values) == 2
    assert values[0] == values[1]
