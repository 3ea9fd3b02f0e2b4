"""Store the gateway's log records, which nginx writes into files. Any replica may read them."""

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram

from logs.domain.log_records import LogRecord, SentRecord
from logs.domain.retention import Retention
from logs.nginx import Hit, decode_lines
from logs.repository import gateway_files, log_records
from logs.use_cases.log_records import accept_log_records, with_days
from shared.database import Connection, Database

log = logging.getLogger(__name__)

GATEWAY = "gateway"  # The service name of the records.
PATTERN = "*.log"
CHUNK = 512 * 1024  # Bytes read in one transaction, plus the rest of the last line.
COMPLETE_AFTER = 120.0  # Seconds without a new line; nginx starts a new file each minute.

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)

CountRequests = Callable[[Iterable[LogRecord], Iterable[Hit]], None]


class GatewayMetrics:
    """Metrics of the gateway, derived from its log records because nginx has no such endpoint.

    Each replica of logs-service counts the records that it stored; their sum covers the whole gateway.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "gateway_requests",
            "Requests answered by the gateway.",
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

    def count_requests(self, stored: Iterable[LogRecord], hits: Iterable[Hit]) -> None:
        """Count requests from stored records and from cache hits."""
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


def collect_log_records(
    database: Database, folder: Path, *, retention: Retention, count: CountRequests
) -> None:
    """Store the new lines of the folder's files, and delete files that are complete and fully read.

    `count` is called with the stored records and the cache hits. A lock on each file lets one replica at a
    time read it.
    """
    files = sorted(folder.glob(PATTERN))
    with database.transaction() as connection:
        positions = gateway_files.read_positions(connection)
    for file in files:
        # Another replica may have deleted the file.
        with suppress(FileNotFoundError):
            while file.stat().st_size != positions.get(file.name, 0):
                position = with_days(database, partial(_store_next_lines, database, file, retention, count))
                if position is None:
                    break
                positions[file.name] = position
            else:
                _delete_if_complete(file)
    deleted = positions.keys() - {file.name for file in files}
    if deleted:
        with database.transaction() as connection:
            gateway_files.delete_files(connection, deleted)


def _store_next_lines(
    database: Database, file: Path, retention: Retention, count: CountRequests
) -> int | None:
    """Store the next lines of a file; return the position after them, or None if there is nothing to read."""
    with database.transaction() as connection:
        position = gateway_files.lock_position(connection, file.name)
        if position is None:
            return None
        position, lines = _read_lines(file, position)
        if not lines:
            _delete_if_complete(file)
            return None
        stored, hits = _store(connection, lines, retention)
        position += sum(map(len, lines))
        gateway_files.set_position(connection, file.name, position)
    count(stored, hits)
    return position


def _read_lines(file: Path, position: int) -> tuple[int, list[bytes]]:
    """Return the actual start, which is 0 for a new file of the same name, and the whole lines from there."""
    with file.open("rb") as stream:
        stream.seek(max(position - 1, 0))
        if position and stream.read(1) != b"\n":
            # This is a new file with the same name. The INSERT skips any record that is already stored.
            position = 0
            stream.seek(0)
        lines = stream.readlines(CHUNK)
    if lines and not lines[-1].endswith(b"\n"):
        # The gateway is still writing this line.
        lines.pop()
    return position, lines


def _store(
    connection: Connection, lines: list[bytes], retention: Retention
) -> tuple[list[LogRecord], list[Hit]]:
    decoded = list(decode_lines(lines))
    sent = (line for line in decoded if isinstance(line, SentRecord))
    accepted, rejected = accept_log_records(sent, writer=GATEWAY, retention=retention)
    log_records.insert_log_records(connection, accepted)
    unreadable = len(rejected) + decoded.count(None)
    if unreadable:
        log.warning("%d of the gateway's records could not be read", unreadable)
    return accepted, [line for line in decoded if isinstance(line, Hit)]


def _delete_if_complete(file: Path) -> None:
    if time.time() - file.stat().st_mtime > COMPLETE_AFTER:
        file.unlink()
