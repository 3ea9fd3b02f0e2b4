"""Ship log records as OTLP, from a spool on disk, in one background thread.

A record is on disk before the logging call returns, and stays there until logs-service has stored it. Records
that do not fit into the spool, or that are refused permanently, are counted and reported; they are still on
standard output.
"""

import logging
import math
import shutil
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import prometheus_client

from shared import otlp
from shared.errors import Problem
from shared.log import read_entry
from shared.service_calls import ServiceTokens
from shared.settings import CallerSettings, ServiceSettings
from shared.sinks import LogsServiceSink, Sink, Token
from shared.spool import RecordTooLarge, Spool, SpoolFull, frame

log = logging.getLogger(__name__)

BATCH = 512  # Records in one export.
BATCH_BYTES = 512 * 1024  # Size limit of one export; the server accepts 1 MiB.
EVERY = 0.5  # Seconds that a record waits for others.
ADOPT_EVERY = 5.0  # Seconds between two searches for the files of dead processes.
FLUSH = 2.0  # Seconds to ship the remaining records at shutdown.
LAST_ATTEMPT = 1.0  # Additional seconds for the last attempt.
FIRST_BACK_OFF = 0.25
LONGEST_BACK_OFF = 10.0

REFUSED = frozenset({400, 413})  # Permanent refusals. All other errors may be temporary.
RESOURCE_LOGS = b"\x0a"  # The protobuf tag of this field of an ExportLogsServiceRequest.


class _Refused(Exception):
    """An export was refused permanently."""


class _OutOfTime(Exception):
    """The service stopped before an export was accepted."""


class Shipper(logging.Handler):
    """A handler that appends records to a spool on disk, and a thread that ships them."""

    def __init__(
        self, settings: ServiceSettings, sink: Sink, registry: prometheus_client.CollectorRegistry
    ) -> None:
        super().__init__()
        self._sink = sink
        self._temporary = None if settings.spool else Path(tempfile.mkdtemp(prefix="shopfleet-spool-"))
        self._spool = Spool(
            settings.spool or self._temporary or Path(),
            otlp.encode_resource(settings),
            most_bytes=settings.spool_mib * 1024 * 1024,
        )
        self._failing = False
        self._lost: Counter[str] = Counter()
        self._lost_lock = threading.Lock()
        self._adopt_at = 0.0
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._deadline = math.inf
        self._thread = threading.Thread(target=self._run, name="ship-logs", daemon=True)
        self._appended_since = 0
        self._count_in(registry, settings)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Append the record to the spool, or count it as lost; never raise, even on disk errors."""
        # This module's own few records may exceed the limit, since they report the losses. Records that
        # libraries log while shipping are skipped, since shipping them would log more of them.
        own = record.name == __name__
        if threading.get_ident() == self._thread.ident and not own:
            return
        try:
            self._spool.append(otlp.encode_record(record, read_entry(record)), urgent=own)
        except SpoolFull:
            self._count_lost("spool_full", 1)
        except RecordTooLarge:
            self._count_lost("too_large", 1)
        except Exception:
            # An attribute cannot be encoded.
            self._count_lost("unwritable", 1)
        else:
            self._appended_since += 1
            if self._appended_since >= BATCH:
                self._appended_since = 0
                self._wake.set()

    def stop(self) -> None:
        """Accept no more records, and ship for up to two seconds; the remaining records stay on disk."""
        logging.getLogger().removeHandler(self)
        self._deadline = time.monotonic() + FLUSH
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            # The attempt in progress gets extra time: it may be using a database connection.
            self._thread.join(FLUSH + LAST_ATTEMPT)
        left = self._spool.waiting_records
        if left and self._temporary:
            log.warning("%d log records were not shipped before shutdown and are lost", left)
        elif left:
            log.warning("%d log records remain on disk for the next process", left)
        self._spool.close()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._adopt()
                self._ship()
            except OSError as error:
                # The disk error may be temporary, so the thread must survive it.
                self._note(failing=True, reason=repr(error))
            self._wake.wait(EVERY)
            self._wake.clear()
        with suppress(OSError):
            self._ship()

    def _adopt(self) -> None:
        """Take over files of dead processes, if it is time to search for them again."""
        if time.monotonic() >= self._adopt_at:
            self._adopt_at = time.monotonic() + ADOPT_EVERY
            self._spool.adopt()

    def _ship(self) -> None:
        """Ship the records that wait now. Later ones wait for the next call, so that they are batched."""
        left, most = self._spool.waiting_records, BATCH
        while left > 0 and not self._is_over():
            batch = self._spool.take(most_records=most, most_bytes=BATCH_BYTES)
            if batch is None:
                return
            try:
                rejected, reason = self._deliver(frame(RESOURCE_LOGS, batch.resource_logs)), "rejected"
            except _OutOfTime:
                return
            except _Refused:
                if batch.count > 1:
                    # One bad record must not cost the others: retry with half, until it is alone.
                    most = batch.count // 2
                    continue
                rejected, reason = 1, "refused"
            self._spool.done(batch)
            left -= batch.count
            most = min(most * 2, BATCH)
            rejected = min(rejected, batch.count)
            self._shipped_total.inc(batch.count - rejected)
            if rejected:
                self._count_lost(reason, rejected)
            if reason != "refused":
                self._note(failing=False)
                self._report_lost()

    def _deliver(self, export: bytes) -> int:
        """Send an export until it is accepted; return the number of rejected records.

        Raises _Refused or _OutOfTime.
        """
        back_off = FIRST_BACK_OFF
        while True:
            wait = 0.0
            try:
                return max(self._sink(export), 0)
            except Problem as problem:
                reason = problem.detail
                if problem.status in REFUSED:
                    self._note(failing=True, reason=reason)
                    raise _Refused from problem
                wait = _read_retry_after(problem)
            except Exception as error:
                # The sink's error may be temporary, so the thread must survive it.
                reason = repr(error)
            self._note(failing=True, reason=reason)
            if self._is_over():
                raise _OutOfTime
            if self._stopping.is_set():
                time.sleep(0.1)
            else:
                self._stopping.wait(max(back_off, wait))
                self._adopt()
            back_off = min(back_off * 2, LONGEST_BACK_OFF)

    def _note(self, *, failing: bool, reason: str = "") -> None:
        """Log the first failure, and the first success after failures."""
        if failing and not self._failing:
            log.warning("Log records do not reach logs-service: %s", reason)
        elif self._failing and not failing:
            log.info("Log records reach logs-service again")
        self._failing = failing

    def _count_lost(self, reason: str, count: int) -> None:
        self._lost_total.labels(reason).inc(count)
        with self._lost_lock:
            self._lost[reason] += count

    def _report_lost(self) -> None:
        """Log the losses. Call this after a success, when the report can be shipped."""
        with self._lost_lock:
            lost, self._lost = self._lost, Counter()
        if lost:
            reasons = {f"log_records.lost.{reason}": count for reason, count in lost.items()}
            log.warning("%d log records were lost on the way to logs-service", lost.total(), extra=reasons)

    def _is_over(self) -> bool:
        return time.monotonic() > self._deadline

    def _count_in(self, registry: prometheus_client.CollectorRegistry, settings: ServiceSettings) -> None:
        self._shipped_total = prometheus_client.Counter(
            "log_records_shipped", "Log records that logs-service stored.", registry=registry
        )
        self._lost_total = prometheus_client.Counter(
            "log_records_lost", "Log records that were not shipped.", ["reason"], registry=registry
        )
        for reason in ("spool_full", "too_large", "unwritable", "refused", "rejected"):
            self._lost_total.labels(reason)
        for name, text, read in (
            ("log_records_waiting", "Log records in the spool.", lambda: self._spool.waiting_records),
            ("log_spool_bytes", "Bytes of log records in the spool.", lambda: self._spool.waiting_bytes),
            ("log_spool_limit_bytes", "Limit of the spool.", lambda: settings.spool_mib * 1024 * 1024),
        ):
            prometheus_client.Gauge(name, text, registry=registry).set_function(read)


def create_shipper(
    settings: ServiceSettings,
    token: Token | None,
    registry: prometheus_client.CollectorRegistry,
    sink: Sink | None = None,
) -> Shipper | None:
    """Return a shipper if there is a `sink`, or if the settings have a `logs_url`.

    Without `token`, the service obtains its token with its credentials.
    """
    if sink is None and settings.logs_url is not None:
        sink = _create_sink(settings, settings.logs_url, token)
    return Shipper(settings, sink, registry) if sink else None


def _create_sink(settings: ServiceSettings, logs_url: str, token: Token | None) -> Sink:
    if token is not None:
        return LogsServiceSink(logs_url, token)
    if not isinstance(settings, CallerSettings):
        raise TypeError("A service without credentials needs `token`.")
    secret = settings.client_secret.get_secret_value()
    tokens = ServiceTokens(settings.auth_url, settings.service, secret)
    return LogsServiceSink(logs_url, tokens.current, tokens.forget)


def _read_retry_after(problem: Problem) -> float:
    """Return the seconds of Retry-After, at most LONGEST_BACK_OFF."""
    value = problem.headers.get("Retry-After", "")
    return min(float(value), LONGEST_BACK_OFF) if value.isdecimal() else 0.0
