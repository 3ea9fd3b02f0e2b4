"""Write log records as OTLP in JSON (opentelemetry-proto, logs/v1): 64-bit integers are strings."""

import json
import logging
import math
from collections.abc import Iterable, Mapping
from typing import Any

from shared.context import Context
from shared.ids import new_id
from shared.log import read_attributes

SEVERITIES = {10: 5, 20: 9, 30: 13, 40: 17, 50: 21}  # OTLP's number for each of Python's levels.
LONGEST_TEXT = 16_000  # Characters of one string; a longer one is cut.
INT64 = range(-(2**63), 2**63)


def encode_record(record: logging.LogRecord, work: Context | None, message: str) -> bytes:
    """Return a LogRecord with an id of its own, by which a copy of it will be known."""
    nanoseconds = str(int(record.created * 1_000_000) * 1000)
    attributes = read_attributes(record, work)
    attributes["log.record.uid"] = str(new_id())
    written: dict[str, Any] = {
        "timeUnixNano": nanoseconds,
        "observedTimeUnixNano": nanoseconds,
        "severityNumber": SEVERITIES.get(record.levelno // 10 * 10, 9),
        "severityText": record.levelname,
        "body": encode_value(message),
    }
    if work:
        attributes["request.id"] = work.request_id
        written["traceId"] = work.trace.trace_id
        written["spanId"] = work.trace.span_id
    written["attributes"] = encode_attributes(attributes)
    return write(written)


def encode_export(resource: bytes, records: Iterable[tuple[str, bytes]]) -> bytes:
    """Return an ExportLogsServiceRequest of one resource and encoded records, each with its scope's name."""
    scopes: dict[str, list[bytes]] = {}
    for scope, record in records:
        scopes.setdefault(scope, []).append(record)
    groups = [
        b'{"scope":%b,"logRecords":[%b]}' % (write({"name": scope}), b",".join(written))
        for scope, written in scopes.items()
    ]
    return b'{"resourceLogs":[{"resource":%b,"scopeLogs":[%b]}]}' % (resource, b",".join(groups))


def encode_attributes(attributes: Mapping[Any, Any]) -> list[dict[str, Any]]:
    """Return KeyValues; what is None is left out."""
    return [
        {"key": str(key), "value": encode_value(value)}
        for key, value in attributes.items()
        if value is not None
    ]


def encode_value(value: Any) -> dict[str, Any]:  # noqa: PLR0911  # One for each kind of value.
    """Return an AnyValue; what has no kind of its own in OTLP is written as text."""
    match value:
        case str():
            return {"stringValue": _cut(value)}
        case bool():
            return {"boolValue": value}
        case int() if value in INT64:
            return {"intValue": str(value)}
        case float() if math.isfinite(value):
            return {"doubleValue": value}
        case Mapping():
            return {"kvlistValue": {"values": encode_attributes(value)}}
        case list() | tuple() | set() | frozenset():
            return {"arrayValue": {"values": [encode_value(item) for item in value]}}
    return {"stringValue": _cut(str(value))}


def write(message: Any) -> bytes:
    """Return a message as JSON; half a surrogate pair, which no UTF-8 can say, becomes a question mark."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… ({len(text)} characters)"
