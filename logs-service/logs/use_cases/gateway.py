"""Store what the gateway did: nginx writes lines into files, and any replica reads them."""

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram

from logs.domain import LogRecord, Retention, SentRecord
from logs.nginx import Hit, decode_lines
from logs.repository import gateway_files, records
from logs.use_cases.records import accept_records, with_days
from shared.database import Connection, Database

log = logging.getLogger(__name__)

GATEWAY = "gateway"  # Whose name the records have.
PATTERN = "*.log"
CHUNK = 512 * 1024  # Bytes of one transaction, and what is left of its last line.
OVER = 120.0  # Seconds without a line after which a file's minute is certainly over.

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)

Note = Callable[[Iterable[LogRecord], Iterable[Hit]], None]


class GatewayFigures:
    """What the gateway's records add up to, for Prometheus: nginx itself has nothing to ask.

    Of each replica of logs-service, for what that one stored; the sum is what the gateway did.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "gateway_requests",
            "Requests that the gateway answered.",
            ["http_request_method", "http_response_status_code"],
            registry=registry,
        )
        self._seconds = Histogram(
            "gateway_request_duration_seconds",
            "Duration of requests at the gateway.",
            ["http_response_status_code"],
            buckets=BUCKETS,
            registry=registry,
        )

    def note(self, stored: Iterable[LogRecord], hits: Iterable[Hit]) -> None:
        """Count records, and answers from the cache."""
        for record in stored:
            self._count(
                record.attributes.get("http.request.method"),
                record.attributes.get("http.response.status_code"),
                record.attributes.get("duration_ms"),
            )
        for hit in hits:
            self._count(hit.method, hit.status, hit.milliseconds)

    def _count(self, method: object, status: object, milliseconds: object) -> None:
        # A client may send any method; OpenTelemetry calls an unknown one _OTHER.
        self._requests.labels(method if method in METHODS else "_OTHER", str(status)).inc()
        if isinstance(milliseconds, int):
            self._seconds.labels(str(status)).observe(milliseconds / 1000)


def collect_records(database: Database, folder: Path, *, retention: Retention, note: Note) -> None:
    """Store what is new in the folder's files, and remove those that are read and over.

    `note` gets what was stored. Replicas take turns at each file.
    """
    files = sorted(folder.glob(PATTERN))
    with database.transaction() as connection:
        positions = gateway_files.read_positions(connection)
    for file in files:
        # It is gone when another replica has removed it meanwhile.
        with suppress(FileNotFoundError):
            while file.stat().st_size != positions.get(file.name, 0):
                position = with_days(database, partial(_take, database, file, retention, note))
                if position is None:
                    break
                positions[file.name] = position
            else:
                _remove_if_over(file)
    gone = positions.keys() - {file.name for file in files}
    if gone:
        with database.transaction() as connection:
            gateway_files.forget_files(connection, gone)


def _take(database: Database, file: Path, retention: Retention, note: Note) -> int | None:
    """Store the next lines of a file; return the position after them, None if there is none to read now."""
    with database.transaction() as connection:
        position = gateway_files.lock_position(connection, file.name)
        if position is None:
            return None
        position, lines = _read_lines(file, position)
        if not lines:
            _remove_if_over(file)
            return None
        stored, hits = _store(connection, lines, retention)
        position += sum(map(len, lines))
        gateway_files.set_position(connection, file.name, position)
    note(stored, hits)
    return position


def _read_lines(file: Path, position: int) -> tuple[int, list[bytes]]:
    """Return whole lines from a position on, and where they really begin."""
    with file.open("rb") as stream:
        stream.seek(max(position - 1, 0))
        if position and stream.read(1) != b"\n":
            # It is another file with the same name; what was stored of it already is passed over.
            position = 0
            stream.seek(0)
        lines = stream.readlines(CHUNK)
    if lines and not lines[-1].endswith(b"\n"):
        # Its end is still to come.
        lines.pop()
    return position, lines


def _store(
    connection: Connection, lines: list[bytes], retention: Retention
) -> tuple[list[LogRecord], list[Hit]]:
    decoded = list(decode_lines(lines))
    sent = (line for line in decoded if isinstance(line, SentRecord))
    accepted, rejected = accept_records(sent, writer=GATEWAY, retention=retention)
    records.insert_records(connection, accepted)
    lost = len(rejected) + decoded.count(None)
    if lost:
        log.warning("%d of the gateway's records could not be read", lost)
    return accepted, [line for line in decoded if isinstance(line, Hit)]


def _remove_if_over(file: Path) -> None:
    if time.time() - file.stat().st_mtime > OVER:
        file.unlink()
