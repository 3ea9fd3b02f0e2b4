"""Encode log records as OTLP messages (opentelemetry-proto, logs/v1)."""

import logging
import math
import re
from collections.abc import Mapping
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from shared import __version__
from shared.ids import new_id
from shared.log import Entry
from shared.settings import ServiceSettings

SEVERITIES = {10: 5, 20: 9, 30: 13, 40: 17, 50: 21}  # OTLP's number for each of Python's levels.
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
LONGEST_TEXT = 16_000  # Characters of one string; longer ones are truncated.
INT64 = range(-(2**63), 2**63)


def encode_resource(settings: ServiceSettings) -> bytes:
    """Return a Resource, which identifies the process that writes the records."""
    resource = Resource()
    fill_attributes(resource.attributes, describe_resource(settings))
    return bytes(resource.SerializeToString())


def describe_resource(settings: ServiceSettings) -> dict[str, str]:
    """Return the resource attributes of this process, named by OpenTelemetry's conventions."""
    return {
        "service.name": settings.service,
        "service.instance.id": settings.instance,
        "service.version": __version__,
    }


def encode_record(record: logging.LogRecord, entry: Entry) -> bytes:
    """Return a ScopeLogs of one record, with a unique id by which logs-service detects duplicates."""
    scope_logs = ScopeLogs()
    scope_logs.scope.name = _clean(record.name)
    nanoseconds = int(record.created * 1_000_000) * 1000
    written = scope_logs.log_records.add(
        time_unix_nano=nanoseconds,
        observed_time_unix_nano=nanoseconds,
        severity_number=SEVERITIES.get(record.levelno // 10 * 10, 9),
        severity_text=record.levelname,
    )
    written.body.string_value = _clean(entry.message)
    fill_attributes(written.attributes, entry.attributes)
    written.attributes.add(key="log.record.uid").value.string_value = str(new_id())
    if entry.work:
        written.attributes.add(key="request.id").value.string_value = entry.work.request_id
        written.trace_id = bytes.fromhex(entry.work.trace.trace_id)
        written.span_id = bytes.fromhex(entry.work.trace.span_id)
    return bytes(scope_logs.SerializeToString())


def fill_attributes(written: Any, attributes: Mapping[Any, Any]) -> None:
    """Add KeyValues to a repeated field, except those whose value is None."""
    for key, value in attributes.items():
        if value is not None:
            _fill(written.add(key=_clean(str(key))).value, value)


def _fill(written: AnyValue, value: Any) -> None:
    """Fill an AnyValue; a value of a type that OTLP does not have becomes a string."""
    match value:
        case str():
            written.string_value = _clean(value)
        case bool():
            written.bool_value = value
        case int() if value in INT64:
            written.int_value = value
        case float() if math.isfinite(value):
            written.double_value = value
        case Mapping():
            written.kvlist_value.SetInParent()
            fill_attributes(written.kvlist_value.values, value)
        case list() | tuple() | set() | frozenset():
            written.array_value.SetInParent()
            for item in value:
                _fill(written.array_value.values.add(), item)
        case _:
            written.string_value = _clean(str(value))


def _clean(text: str) -> str:
    """Return the text, truncated; an unpaired surrogate, which UTF-8 cannot encode, becomes U+FFFD."""
    if len(text) > LONGEST_TEXT:
        text = f"{text[:LONGEST_TEXT]}… ({len(text)} characters)"
    return text if text.isascii() else LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
