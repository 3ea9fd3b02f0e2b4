"""An export in JSON to records (protobuf's JSON mapping, with ids in hexadecimal).

What has another type than it should have is kept as what it is: a word where a number should stand, a number
without its kind.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from logs.domain import INT64, SentRecord, read_level
from logs.errors import ExportTooLarge, MalformedExport, RecordRejected
from logs.otlp.reading import DEEPEST, LARGEST_MESSAGE, Room, attempt, check_depth, plain_float

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
MOST_DIGITS = 300  # Of a number; Python refuses to read or write some thousand of them.
INTEGER = re.compile(rf"[+-]?[0-9]{{1,{MOST_DIGITS}}}")
UINT64 = range(2**64)

# Ten brackets stand around a record's value, and up to four around each level of one.
MOST_BRACKETS = 10 + 4 * (DEEPEST + 2)
# A text, with or without its end, a comma or a bracket.
TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[,\[\]{}]', re.DOTALL)
# Members and items of a whole export; an attribute has four. Python needs up to 200 bytes for one.
MOST_MEMBERS = 100_000


def read_json(body: bytes) -> Iterator[SentRecord | RecordRejected]:
    """Yield each record, or why it cannot be read.

    Raises MalformedExport if the body is no JSON object, and ExportTooLarge for more records, or members and
    items, than one export may have.
    """
    try:
        export = _load(body)
    except ValueError as error:
        raise MalformedExport("The body is not valid JSON.") from error
    if not isinstance(export, dict):
        raise MalformedExport
    room = Room()
    for sender in _items(export, "resourceLogs"):
        resource = attempt(_read_resource, sender)
        size, values = _measure(resource), 0 if isinstance(resource, RecordRejected) else len(resource)
        for group in _items(sender, "scopeLogs"):
            for record in _items(group, "logRecords"):
                read = attempt(_read_record, record, group, resource)
                of_record = 0 if isinstance(read, RecordRejected) else _measure([read.body, read.attributes])
                room.take_record(size=of_record + size, values=values)
                yield RecordRejected("it is too large") if of_record > LARGEST_MESSAGE else read


def _measure(value: Any) -> int:
    """Return the characters of a value's texts and names."""
    match value:
        case str():
            return len(value)
        case list():
            return sum(map(_measure, value))
        case dict():
            return sum(map(len, value)) + sum(map(_measure, value.values()))
    return 0


def _load(body: bytes) -> Any:
    """Return what the JSON says, without what lies too deep; raise ValueError or ExportTooLarge."""
    text = body.decode("utf-8-sig", "replace")
    # Those in texts count too, so that only a few exports are looked at more closely.
    if body.count(b",") + body.count(b"[") + body.count(b"{") > MOST_MEMBERS:
        text = _cut(text)
    try:
        return json.loads(text, parse_int=_read_digits)
    except RecursionError:
        return json.loads(_cut(text), parse_int=_read_digits)


def _read_digits(digits: str) -> int | str:
    return int(digits) if len(digits) <= MOST_DIGITS else digits


def _cut(text: str) -> str:
    """Return JSON without what lies deeper than in a record that is kept.

    Python's parser gives up on that. Raises ExportTooLarge for too many members and items in what is left, of
    which the parser would make objects before they can be counted.
    """
    kept, members, depth, begin = [], 0, 0, 0
    for token in TOKEN.finditer(text):
        mark = token[0]
        if mark in "[{":
            depth += 1
            if depth == MOST_BRACKETS:
                kept.append(text[begin : token.end()])
                begin = len(text)
        elif mark in "]}":
            if depth == MOST_BRACKETS:
                begin = token.start()
            depth -= 1
        elif mark != ",":
            continue
        members += depth <= MOST_BRACKETS and mark in "[{,"
        if members > MOST_MEMBERS:
            raise ExportTooLarge
    return "".join(kept) + text[begin:]


def _items(holder: Any, name: str) -> list[Any]:
    """Return what an object has in a list; what is no object counts as one odd item."""
    if not isinstance(holder, dict):
        return [holder]
    found = holder.get(name)
    if found is None:
        return []
    return found if isinstance(found, list) else [found]


def _read_resource(sender: Any) -> dict[str, Any]:
    return _read_attributes(_object(_object(sender).get("resource")).get("attributes"))


def _read_record(record: Any, group: Any, resource: dict[str, Any] | RecordRejected) -> SentRecord:
    if isinstance(resource, RecordRejected):
        raise resource
    if not isinstance(record, dict):
        raise RecordRejected("a part of it is not an object")
    return SentRecord(
        time_ns=_read_time(record.get("timeUnixNano")),
        observed_ns=_read_time(record.get("observedTimeUnixNano")),
        severity_number=_read_severity(record.get("severityNumber")),
        severity_text=_read_text(record.get("severityText")),
        body=_read_value(record.get("body")),
        attributes=_read_attributes(record.get("attributes")),
        trace_id=_read_text(record.get("traceId")),
        span_id=_read_text(record.get("spanId")),
        event_name=_read_text(record.get("eventName")),
        scope=_read_text(_object(group.get("scope")).get("name")),
        resource=resource,
    )


def _object(value: Any) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise RecordRejected("a part of it is not an object")
    return value or {}


def _list(value: Any) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise RecordRejected("attributes or values of it are not in a list")
    return value or []


def _read_attributes(attributes: Any, depth: int = 0) -> dict[str, Any]:
    pairs = map(_object, _list(attributes))
    return {_read_text(pair.get("key")): _read_value(pair.get("value"), depth) for pair in pairs}


def _read_value(value: Any, depth: int = 0) -> Any:  # noqa: PLR0911  # One for each kind of value.
    check_depth(depth)
    if not isinstance(value, dict):
        return _read_scalar(value)
    match {kind: found for kind, found in value.items() if found is not None}:
        case {"stringValue": found} | {"bytesValue": found}:
            return _read_text(found)
        case {"intValue": found}:
            number = _read_integer(found)
            return _read_scalar(found if number is None or number not in INT64 else number)
        case {"boolValue": found}:
            return _read_scalar(found == "true" if found in ("true", "false") else found)
        case {"doubleValue": found}:
            return _read_double(found)
        case {"arrayValue": found}:
            return [_read_value(item, depth + 1) for item in _list(_object(found).get("values"))]
        case {"kvlistValue": found}:
            return _read_attributes(_object(found).get("values"), depth + 1)
    return None


def _read_scalar(value: Any) -> Any:
    if isinstance(value, list | dict):
        raise RecordRejected("a list or an object stands in it where a value of another kind belongs")
    if isinstance(value, float):
        return plain_float(value)
    if isinstance(value, int):
        return value if value in INT64 else str(value)
    return _read_text(value) if isinstance(value, str) else value


def _read_text(value: Any) -> str:
    """Return a text, in which half of a surrogate pair is replaced; a number becomes one."""
    if isinstance(value, str):
        return value if value.isascii() else LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)
    scalar = "" if value is None else _read_scalar(value)
    return scalar if isinstance(scalar, str) else json.dumps(scalar)


def _read_integer(value: Any) -> int | None:
    """Return a whole number, also one in a text or with a fraction of nothing; None for all else."""
    if isinstance(value, str) and INTEGER.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _read_double(value: Any) -> Any:
    if isinstance(value, str | int) and not isinstance(value, bool):
        try:
            return plain_float(float(value))
        except ValueError:
            return _read_text(value)
    return _read_scalar(value)


def _read_time(value: Any) -> int:
    """Return nanoseconds since 1970; 0, which is unknown, for what is no such number."""
    nanoseconds = _read_integer(value)
    return nanoseconds if nanoseconds is not None and nanoseconds in UINT64 else 0


def _read_severity(value: Any) -> int:
    """Return an enum's value by its number or by its name; 0, which is unspecified, for what is neither."""
    number = _read_integer(value)
    if number is None:
        return read_level(value) if isinstance(value, str) else 0
    return number
