"""Read an export in JSON (protobuf's JSON mapping, with ids in hexadecimal).

A value of the wrong type is kept as sent, such as a string instead of a number, or a number outside an
AnyValue.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from logs.domain.log_records import INT64, SentRecord
from logs.domain.severity import read_level
from logs.errors import ExportTooLarge, MalformedExport, RecordRejected
from logs.otlp.reading import DEEPEST, LARGEST_MESSAGE, Budget, attempt, check_depth, plain_float

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
MOST_DIGITS = 300  # Of a number; Python refuses to convert a few thousand.
INTEGER = re.compile(rf"[+-]?[0-9]{{1,{MOST_DIGITS}}}")
UINT64 = range(2**64)

# A value is enclosed in ten brackets, and each level of it adds up to four.
MOST_BRACKETS = 10 + 4 * (DEEPEST + 2)
# A string, even an unterminated one, or a comma or a bracket.
TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[,\[\]{}]', re.DOTALL)
# Members and items in an export; an attribute has four. Python needs up to 200 bytes for each.
MOST_MEMBERS = 100_000


def read_json(body: bytes) -> Iterator[SentRecord | RecordRejected]:
    """Yield each record, or the reason for its rejection.

    Raises MalformedExport if the body is not a JSON object, and ExportTooLarge if it has too many records, or
    too many members and items.
    """
    try:
        export = _load(body)
    except ValueError as error:
        raise MalformedExport("The body is not valid JSON.") from error
    if not isinstance(export, dict):
        raise MalformedExport
    budget = Budget()
    for sender in _items(export, "resourceLogs"):
        resource = attempt(_read_resource, sender)
        size, values = _measure(resource), 0 if isinstance(resource, RecordRejected) else len(resource)
        for group in _items(sender, "scopeLogs"):
            for record in _items(group, "logRecords"):
                read = attempt(_read_record, record, group, resource)
                of_record = 0 if isinstance(read, RecordRejected) else _measure([read.body, read.attributes])
                budget.take_record(size=of_record + size, values=values)
                yield RecordRejected("it is too large") if of_record > LARGEST_MESSAGE else read


def _measure(value: Any) -> int:
    """Return the number of characters in a value's strings and names."""
    match value:
        case str():
            return len(value)
        case list():
            return sum(map(_measure, value))
        case dict():
            return sum(map(len, value)) + sum(map(_measure, value.values()))
    return 0


def _load(body: bytes) -> Any:
    """Parse JSON, except for values that are nested too deeply; raise ValueError or ExportTooLarge."""
    text = body.decode("utf-8-sig", "replace")
    # An upper bound, because it counts commas in strings, too. Few exports need the exact count.
    if body.count(b",") + body.count(b"[") + body.count(b"{") > MOST_MEMBERS:
        text = _cut(text)
    try:
        return json.loads(text, parse_int=_read_digits)
    except RecursionError:
        return json.loads(_cut(text), parse_int=_read_digits)


def _read_digits(digits: str) -> int | str:
    return int(digits) if len(digits) <= MOST_DIGITS else digits


def _cut(text: str) -> str:
    """Return JSON without the contents of values that are nested too deeply, at which Python's parser fails.

    Raises ExportTooLarge if too many members and items remain: the parser would create them all before they
    could be counted.
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
    """Return a list member of an object. A wrong type counts as one invalid item."""
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
        raise RecordRejected("part of it is not an object")
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
        raise RecordRejected("part of it is not an object")
    return value or {}


def _list(value: Any) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise RecordRejected("its attributes or values are not a list")
    return value or []


def _read_attributes(attributes: Any, depth: int = 0) -> dict[str, Any]:
    pairs = map(_object, _list(attributes))
    return {_read_text(pair.get("key")): _read_value(pair.get("value"), depth) for pair in pairs}


def _read_value(value: Any, depth: int = 0) -> Any:  # noqa: PLR0911  # One return for each type.
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
        raise RecordRejected("it has a list or an object where a scalar is expected")
    if isinstance(value, float):
        return plain_float(value)
    if isinstance(value, int):
        return value if value in INT64 else str(value)
    return _read_text(value) if isinstance(value, str) else value


def _read_text(value: Any) -> str:
    """Return a string with lone surrogates replaced; a number becomes a string."""
    if isinstance(value, str):
        return value if value.isascii() else LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)
    scalar = "" if value is None else _read_scalar(value)
    return scalar if isinstance(scalar, str) else json.dumps(scalar)


def _read_integer(value: Any) -> int | None:
    """Return an integer, also from a string of digits or a float without a fraction; otherwise None."""
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
    """Return nanoseconds since 1970; 0, which means unknown, for an invalid value."""
    nanoseconds = _read_integer(value)
    return nanoseconds if nanoseconds is not None and nanoseconds in UINT64 else 0


def _read_severity(value: Any) -> int:
    """Return a severity by its number or enum name; 0, which means unspecified, for an invalid value."""
    number = _read_integer(value)
    if number is None:
        return read_level(value) if isinstance(value, str) else 0
    return number
