"""Log records as plain Python: what a sender says, and what is kept of it."""

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from logs.errors import RecordRejected

# Names under which no other program writes.
OWN_SERVICES = frozenset(
    {"auth-service", "catalog-service", "orders-service", "payments-service", "logs-service", "gateway"}
)
AUDITOR, AUDIT_SCOPE = "auth-service", "shopfleet.audit"  # What they write is the audit trail.
UNKNOWN_SERVICE = "unknown_service"  # OpenTelemetry's word for a sender that does not say.
LONGEST_NAME = 255  # Characters of a service's or an instance's name.
LONGEST_REQUEST_ID = 128
LONGEST_RECORD = 128 * 1024  # Characters of a record's message and attributes, as JSON.
UID = "log.record.uid"
CLIENT_ID = "client.id"
INT64 = range(-(2**63), 2**63)
MIB = 1024 * 1024
PARTS = 8  # The largest part of what may be kept that is dropped at once.
# Clocks differ; but what claims to be from the future would stand above everything that follows.
LONGEST_AHEAD = timedelta(days=1)

LEVELS = {"TRACE": 1, "DEBUG": 5, "INFO": 9, "WARNING": 13, "ERROR": 17, "CRITICAL": 21}
LEVELS_ASCENDING = tuple(LEVELS)
WARNING = LEVELS["WARNING"]
# Names of syslog, Java, .NET, Go and JavaScript, and short ones (OpenTelemetry, logs data model, appendix B).
SYNONYMS = {
    **dict.fromkeys(["VERBOSE", "FINEST", "SILLY", "TRC"], "TRACE"),
    **dict.fromkeys(["DBG", "FINER", "FINE", "CONFIG"], "DEBUG"),
    **dict.fromkeys(["INFORMATION", "INFORMATIONAL", "NOTICE", "LOG", "INF"], "INFO"),
    **dict.fromkeys(["WARN", "WRN"], "WARNING"),
    **dict.fromkeys(["ERR", "SEVERE"], "ERROR"),
    **dict.fromkeys(["FATAL", "CRIT", "ALERT", "EMERG", "EMERGENCY", "PANIC", "FTL"], "CRITICAL"),
}
# Also OpenTelemetry's own names, such as WARN2, with or without what its enum puts before them.
LEVEL_NAME = re.compile(r"(?:SEVERITY_NUMBER_)?([A-Z]+)([1-4]?)")

# Seconds of a bar that people read easily.
STEPS = (1, 2, 5, 10, 30, 60, 300, 900, 1800, 3600, 10_800, 21_600, 43_200, 86_400)

TRACE_ID = re.compile(r"[0-9a-f]{32}")
SPAN_ID = re.compile(r"[0-9a-f]{16}")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# No record is from outside these. A bar that begins before the year 1, or ends after 9999, has no datetime.
FIRST_COUNTED, LAST_COUNTED = EPOCH, datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class SentRecord:
    """A record in the sender's words, whichever encoding it came in; times are nanoseconds, 0 for unknown."""

    time_ns: int
    observed_ns: int
    severity_number: int
    severity_text: str
    body: Any
    attributes: dict[str, Any]
    trace_id: str
    span_id: str
    event_name: str
    scope: str
    resource: Mapping[str, Any]


@dataclass(frozen=True)
class LogRecord:
    """A record as it is kept."""

    id: UUID
    time: datetime
    observed_time: datetime
    service: str
    instance: str | None
    severity_number: int
    message: str
    trace_id: str | None
    span_id: str | None
    request_id: str | None
    order_id: UUID | None
    attributes: dict[str, Any]

    @property
    def level(self) -> str:
        """Return the severity in one word."""
        return name_level(self.severity_number)

    @property
    def is_audit(self) -> bool:
        """Tell whether the record belongs to the audit trail."""
        return self.service == AUDITOR and self.attributes.get("otel.scope.name") == AUDIT_SCOPE

    @property
    def position(self) -> "Position":
        """Return the record's place in the order of all."""
        return Position(self.time, self.id)


@dataclass(frozen=True)
class Search:
    """What is looked for: all of what is given must fit."""

    service: str | None = None
    instance: str | None = None
    severity_number: int | None = None  # The least that fits.
    text: str | None = None  # Each word of it begins a word of the message, in upper or lower case.
    trace_id: str | None = None
    request_id: str | None = None
    order_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None  # The first moment that does not fit.


@dataclass(frozen=True)
class Position:
    """A place in the order of records: by time, and among records of one moment by id."""

    time: datetime
    id: UUID


@dataclass(frozen=True)
class Arrival:
    """A place in the order in which records came in: by transaction, and in each by id."""

    transaction: int
    id: UUID


@dataclass(frozen=True)
class Bar:
    """So many records of one severity from a moment on, until the next bar begins."""

    time: datetime
    severity_number: int
    count: int


@dataclass(frozen=True)
class Span:
    """A stretch of time, and the length of the bars that it is shown in."""

    since: datetime
    until: datetime
    step: timedelta
    is_by_minutes: bool


@dataclass(frozen=True)
class Chart:
    """How many records there were in each bar; if not complete, only the newest were counted."""

    span: Span
    bars: list[Bar]
    is_complete: bool


@dataclass(frozen=True)
class Retention:
    """How long records are kept, and how many MiB they may take with their indexes.

    The audit trail is kept by its age alone, however much room it takes.
    """

    days: int
    mib: int
    audit_days: int

    def find_oldest(self, now: datetime, *, of_audit: bool = False) -> datetime:
        """Return the time of the oldest record that is kept."""
        return now - timedelta(days=self.audit_days if of_audit else self.days)


@dataclass(frozen=True)
class Part:
    """A partition: the records of a day, or of some hours of it, and the bytes that they take on disk."""

    name: str
    begin: datetime
    end: datetime
    bytes: int

    @property
    def day(self) -> date:
        """Return the day that it belongs to."""
        return self.begin.date()


def accept_record(
    sent: SentRecord, writer: str, received_ns: int, retention: Retention, known: Counter[UUID]
) -> LogRecord:
    """Return what is kept of a record that arrived at `received_ns`; raise RecordRejected with a reason.

    `writer` is the client id of the program that sent it. `known` counts the records of the export that were
    equal, by their first one's id. What is too old would be forgotten at once, and is refused instead.

    What cannot be understood is passed over rather than refused, as OTLP asks of receivers: an odd trace id
    means no trace, and a record without a time has the time at which it was observed, or received.
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
    number = _find_severity(sent.severity_number, sent.severity_text)
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
        raise RecordRejected("it is older than records are kept")
    return record


def choose_span(search: Search, most_bars: int, now: datetime) -> Span:
    """Return the stretch of time of a search, the last hour if it names none, in at most so many bars.

    A search by service and level alone is answered from the counts by minute.
    """
    is_by_minutes = search == Search(
        service=search.service,
        severity_number=search.severity_number,
        since=search.since,
        until=search.until,
    )
    first, last = _clamp(search.since), _clamp(search.until)
    until = last or max(now, (first or now) + timedelta(minutes=1))
    since = first or until - timedelta(hours=1)
    until = max(until, since + timedelta(minutes=1))
    least = math.ceil((until - since).total_seconds() / most_bars)
    day = STEPS[-1]
    fitting = (step for step in STEPS if step >= max(least, 60 if is_by_minutes else 1))
    step = timedelta(seconds=next(fitting, math.ceil(least / day) * day))
    return Span(since - (since - EPOCH) % step, until, step, is_by_minutes)


def _clamp(time: datetime | None) -> datetime | None:
    return time and min(max(time, FIRST_COUNTED), LAST_COUNTED)


def choose_what_to_drop(parts: Iterable[Part], now: datetime, retention: Retention) -> list[Part]:
    """Return the parts that are too old, and the oldest ones that are too much, oldest first.

    Today's records from now on stay, however much they are.
    """
    ordered = sorted(parts, key=lambda part: part.begin)
    total = sum(part.bytes for part in ordered)
    # A record is taken as long as it is younger than the days kept, so its whole day has to be there.
    oldest = retention.find_oldest(now).date()
    dropped = []
    for part in ordered:
        if part.day >= oldest and total <= retention.mib * MIB:
            break
        if part.day == now.date() and part.end > now:
            continue
        dropped.append(part)
        total -= part.bytes
    return dropped


def choose_cut(parts: Iterable[Part], now: datetime, retention: Retention) -> tuple[Part, datetime] | None:
    """Return the part of today that has grown too large to be dropped at once, and where to end it.

    It ends a minute ahead, so that there are few records from later on, which have to be moved.
    """
    cut = now.replace(second=0, microsecond=0) + timedelta(minutes=2)
    for part in parts:
        if part.begin <= now < part.end and part.end == end_of(part.day) and cut < part.end:
            return (part, cut) if part.bytes > retention.mib * MIB / PARTS else None
    return None


def begin_of(day: date) -> datetime:
    """Return the first moment of a day."""
    return datetime.combine(day, time(), UTC)


def end_of(day: date) -> datetime:
    """Return the first moment after a day."""
    return begin_of(day) + timedelta(days=1)


def make_id(time_ns: int, content: str) -> UUID:
    """Return an id that the same record has whenever it is sent: a UUIDv7 whose random part is a hash."""
    digest = int.from_bytes(hashlib.sha256(content.encode()).digest()[:10], "big")
    high = (time_ns // 1_000_000 & 0xFFFFFFFFFFFF) << 16 | 0x7000 | digest >> 68
    low = 0x8000000000000000 | digest & 0x3FFFFFFFFFFFFFFF
    return UUID(int=high << 64 | low)


def name_level(number: int) -> str:
    """Return the word for a severity from 1 to 24."""
    return LEVELS_ASCENDING[(number - 1) // 4]


def read_level(name: str) -> int:
    """Return the severity of a level's usual name, in upper or lower case; 0 for what is none."""
    found = LEVEL_NAME.fullmatch(name.strip().upper())
    least = LEVELS.get(SYNONYMS.get(found[1], found[1])) if found else None
    return least + int(found[2] or 1) - 1 if found and least else 0


def _find_severity(number: int, text: str) -> int:
    """Return 1 to 24; a record that does not say counts as INFO (OpenTelemetry, logs data model)."""
    return min(number, 24) if number > 0 else read_level(text) or LEVELS["INFO"]


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


def _pop_uid(attributes: dict[str, Any]) -> UUID | None:
    """Return the id that the sender gave the record; one that is no UUIDv7 stays an attribute like others."""
    uid = _find_uuid(attributes.get(UID), version=7)
    if uid:
        del attributes[UID]
    return uid


def _choose_id(time_ns: int, content: str, known: Counter[UUID], *, may_repeat: bool) -> UUID:
    """Return the id of a record that came without one; equal records of one export have different ids.

    An export that is sent again has as many equal records, and so the same ids.
    """
    first = make_id(time_ns, content)
    known[first] += may_repeat
    return make_id(time_ns, f"{content} {known[first]}") if known[first] > 1 else first


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
    """Return the order's id; one that is no UUID stays an attribute like others."""
    order_id = _find_uuid(attributes.get("order.id"))
    if order_id:
        del attributes["order.id"]
    return order_id
