"""Decode the gateway's log files: lines of JSON in the format of gateway/snippets/logging.conf."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from logs.domain.log_records import EPOCH, SentRecord
from shared.redaction import redact_text

LONGEST_PATH = 256  # Characters of a path or another attribute that the client chose.

# One line of the format `hit`: "GET 200 3".
HIT = re.compile(rb"([A-Z]+) ([1-5][0-9]{2}) ([0-9]+)\n")


@dataclass(frozen=True)
class Hit:
    """A response from the gateway's cache, which is counted but not stored."""

    method: str
    status: int
    milliseconds: int


def decode_lines(lines: Iterable[bytes]) -> Iterator[SentRecord | Hit | None]:
    """Yield each line's record or hit; None for an invalid line, such as one cut short by a full disk."""
    for line in lines:
        if hit := HIT.fullmatch(line):
            yield Hit(hit[1].decode(), int(hit[2]), int(hit[3]))
            continue
        try:
            # A client may send bytes that are not UTF-8, and nginx writes them unchanged.
            written = json.loads(line.decode("utf-8", "replace"))
            yield _read(written)
        except (ValueError, KeyError, TypeError, AttributeError):
            yield None


def _read(written: dict[str, Any]) -> SentRecord:
    attributes = {name: _cut(value) for name, value in written["attributes"].items() if value != ""}
    traceparent = attributes.pop("traceparent", "")
    method, status = attributes.get("http.request.method", ""), attributes["http.response.status_code"]
    # Redact before cutting: without its end, a secret would not be recognized.
    path = redact_text(written["attributes"]["url.path"][: 2 * LONGEST_PATH])[:LONGEST_PATH]
    attributes["url.path"] = path
    attributes["request.id"] = written["request_id"]
    attributes["order.id"] = written["order_id"]
    return SentRecord(
        time_ns=_to_nanoseconds(datetime.fromisoformat(written["time"]).astimezone(UTC)),
        observed_ns=0,
        severity_number=0,
        severity_text=written["level"],
        body=f"{method} {path} {status}",
        attributes={name: value for name, value in attributes.items() if value != ""},
        trace_id=written["trace_id"],
        span_id=traceparent[36:52],
        event_name="",
        scope="",
        resource={"service.name": written["service"], "service.instance.id": written["instance"]},
    )


def _cut(value: Any) -> Any:
    return value[:LONGEST_PATH] if isinstance(value, str) else value


def _to_nanoseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000
