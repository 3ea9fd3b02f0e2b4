"""The gateway's records: lines of JSON as gateway/snippets/logging.conf has nginx write them."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from logs.domain import EPOCH, SentRecord
from shared.redaction import redact_text

LONGEST_PATH = 256  # Characters of a call's path, or of another text that its caller chose.

# One line of the format `hit`: "GET 200 3".
HIT = re.compile(rb"([A-Z]+) ([1-5][0-9]{2}) ([0-9]+)\n")


@dataclass(frozen=True)
class Hit:
    """An answer from the gateway's cache, which is only counted."""

    method: str
    status: int
    milliseconds: int


def decode_lines(lines: Iterable[bytes]) -> Iterator[SentRecord | Hit | None]:
    """Yield each line's record or hit; None for neither, such as half of one before the disk was full."""
    for line in lines:
        if hit := HIT.fullmatch(line):
            yield Hit(hit[1].decode(), int(hit[2]), int(hit[3]))
            continue
        try:
            # What a caller sent may be no text, and nginx writes such bytes as they are.
            written = json.loads(line.decode("utf-8", "replace"))
            yield _read(written)
        except (ValueError, KeyError, TypeError, AttributeError):
            yield None


def _read(written: dict[str, Any]) -> SentRecord:
    attributes = {name: _cut(value) for name, value in written["attributes"].items() if value != ""}
    traceparent = attributes.pop("traceparent", "")
    method, status = attributes.get("http.request.method", ""), attributes["http.response.status_code"]
    # What is cut off may be the end of a secret, by which it is known.
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
