"""Accept the records of a sender: normalize their fields, choose their ids and reject invalid records."""

import hashlib
import json
import re
from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from logs.domain.log_records import EPOCH, OWN_SERVICES, LogRecord, SentRecord
from logs.domain.retention import Retention
from logs.domain.severity import choose_severity
from logs.errors import RecordRejected

UNKNOWN_SERVICE = "unknown_service"  # OpenTelemetry's default for a sender without a name.
LONGEST_NAME = 255  # Characters of a service's or an instance's name.
LONGEST_REQUEST_ID = 128
LONGEST_RECORD = 128 * 1024  # Characters of a record's message and attributes, as JSON.
# Clocks differ, but a record from the distant future would stay at the top of every list.
LONGEST_AHEAD = timedelta(days=1)
UID = "log.record.uid"
CLIENT_ID = "client.id"
TRACE_ID = re.compile(r"[0-9a-f]{32}")
SPAN_ID = re.compile(r"[0-9a-f]{16}")


def accept_log_record(
    sent: SentRecord, writer: str, received_ns: int, retention: Retention, known: Counter[UUID]
) -> LogRecord:
    """Return the record to store; raise RecordRejected with a reason.

    `writer` is the client id of the sender, and `received_ns` is the time of arrival. `known` counts equal
    records of the export by the id of the first. A record beyond the retention period is rejected, because it
    would be deleted at once.

    Invalid fields are ignored, as OTLP requires of receivers: an invalid trace id is dropped, and a record
    without a time gets the time of its observation or arrival.
    """
    time_ns = sent.time_ns or sent.observed_ns or received_ns
    if time_ns - received_ns > LONGEST_AHEAD // timedelta(microseconds=1) * 1000:
        raise RecordRejected("its time is more than a day in the future")
    attributes = {**sent.resource, **sent.attributes}
    service = _pop_name(attributes, "service.name") or UNKNOWN_SERVICE
    if service != writer and service.strip().casefold() in OWN_SERVICES:
        raise RecordRejected("its service.name belongs to a service of the shop")
    if writer not in OWN_SERVICES:
        attributes[CLIENT_ID] = writer
    instance = _pop_name(attributes, "service.instance.id")
    if sent.scope:
        attributes.setdefault("otel.scope.name", sent.scope)
    if sent.event_name:
        attributes.setdefault("event.name", sent.event_name)
    number = choose_severity(sent.severity_number, sent.severity_text)
    message = sent.body if isinstance(sent.body, str) else _write_body(sent.body)
    trace_id = _find_id(TRACE_ID, sent.trace_id)
    span_id = _find_id(SPAN_ID, sent.span_id)
    uid = _pop_uid(attributes)
    content = json.dumps([service, instance, sent.time_ns, number, message, trace_id, span_id, attributes])
    if len(content) > LONGEST_RECORD:
        raise RecordRejected("it is too large")
    record = LogRecord(
        id=uid or _choose_id(time_ns, content, known, may_repeat=UID not in attributes),
        time=_to_datetime(time_ns),
        observed_time=_to_datetime(sent.observed_ns or received_ns),
        service=service,
        instance=instance,
        severity_number=number,
        message=message,
        trace_id=trace_id,
        span_id=span_id,
        request_id=_pop_request_id(attributes),
        order_id=_pop_order_id(attributes),
        attributes=attributes,
    )
    if record.time < retention.find_oldest(_to_datetime(received_ns), of_audit=record.is_audit):
        raise RecordRejected("it is older than the retention period")
    return record


def _write_body(body: Any) -> str:
    return "" if body is None else json.dumps(body, ensure_ascii=False)


def _to_datetime(nanoseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=nanoseconds // 1000)


def _find_id(pattern: re.Pattern[str], text: str) -> str | None:
    lowered = text.lower()
    return lowered if pattern.fullmatch(lowered) and set(lowered) != {"0"} else None


def _find_uuid(value: Any, version: int | None = None) -> UUID | None:
    try:
        found = UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found and version in {None, found.version} else None


def _choose_id(time_ns: int, content: str, known: Counter[UUID], *, may_repeat: bool) -> UUID:
    """Return an id for a record without a uid; equal records of one export get different ids.

    A retry of the export has the same number of equal records, so it gets the same ids.
    """
    first = _make_id(time_ns, content)
    known[first] += may_repeat
    return _make_id(time_ns, f"{content} {known[first]}") if known[first] > 1 else first


def _make_id(time_ns: int, content: str) -> UUID:
    """Return a UUIDv7 whose random part is a hash of the content, so that a retry gets the same id."""
    digest = int.from_bytes(hashlib.sha256(content.encode()).digest()[:10], "big")
    high = (time_ns // 1_000_000 & 0xFFFFFFFFFFFF) << 16 | 0x7000 | digest >> 68
    low = 0x8000000000000000 | digest & 0x3FFFFFFFFFFFFFFF
    return UUID(int=high << 64 | low)


def _pop_uid(attributes: dict[str, Any]) -> UUID | None:
    """Return the sender's id for the record; a value that is not a UUIDv7 remains an attribute."""
    uid = _find_uuid(attributes.get(UID), version=7)
    if uid:
        del attributes[UID]
    return uid


def _pop_name(attributes: dict[str, Any], key: str) -> str | None:
    value = attributes.pop(key, None)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > LONGEST_NAME:
        raise RecordRejected(f"its {key} is not a string of up to {LONGEST_NAME} characters")
    return value


def _pop_request_id(attributes: dict[str, Any]) -> str | None:
    value = attributes.get("request.id")
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_REQUEST_ID:
        return None
    del attributes["request.id"]
    return value


def _pop_order_id(attributes: dict[str, Any]) -> UUID | None:
    """Return the order's id; a value that is not a UUID remains an attribute."""
    order_id = _find_uuid(attributes.get("order.id"))
    if order_id:
        del attributes["order.id"]
    return order_id
