"""Ship log records: from a spool on disk, by one thread, as OTLP.

What was logged is on disk before the call returns, and stays there until somebody has stored it. What finds
no room there, or is refused for good, is counted and told; standard output has it all the same.
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

BATCH = 512  # Records of one export.
BATCH_BYTES = 512 * 1024  # At which an export is full, whatever its number; the server takes 1 MiB.
EVERY = 0.5  # Seconds that a record waits for others.
ADOPT_EVERY = 5.0  # Seconds between two looks at what processes that died have left.
FLUSH = 2.0  # Seconds for what is left when the service ends.
LAST_ATTEMPT = 1.0  # Seconds more for the last attempt.
FIRST_BACK_OFF = 0.25
LONGEST_BACK_OFF = 10.0

REFUSED = frozenset({400, 413})  # It would be refused again; whatever else goes wrong may pass by itself.
RESOURCE_LOGS = b"\x0a"  # The field of an ExportLogsServiceRequest, as protobuf writes its tag.


class _Refused(Exception):
    """An export would be refused again."""


class _EndCame(Exception):
    """The service ends before an export was taken."""


class Shipper(logging.Handler):
    """A handler that appends to a spool on disk, and a thread that hands on what is there."""

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
        """Begin to ship."""
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Append the record to the spool, or count it as lost; never raise, whatever the disk does."""
        # This module's own few records always find room, since they tell what did not. What a library says
        # about the sending would have to be sent in its turn, without end.
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
            # Somebody's attribute does not let itself be written.
            self._count_lost("unwritable", 1)
        else:
            self._appended_since += 1
            if self._appended_since >= BATCH:
                self._appended_since = 0
                self._wake.set()

    def stop(self) -> None:
        """Take no more records, and ship what is left, for up to two seconds; the rest stays on disk."""
        logging.getLogger().removeHandler(self)
        self._deadline = time.monotonic() + FLUSH
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            # With some patience for the attempt that it is in: it may have the database's connection.
            self._thread.join(FLUSH + LAST_ATTEMPT)
        left = self._spool.waiting_records
        if left and self._temporary:
            log.warning("%d log records were not shipped before the end, and are lost", left)
        elif left:
            log.warning("%d log records wait on disk for the next process", left)
        self._spool.close()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._adopt()
                self._ship()
            except OSError as error:
                # A disk that cannot be read just now may be read later; the thread must live to see it.
                self._note(failing=True, reason=repr(error))
            self._wake.wait(EVERY)
            self._wake.clear()
        with suppress(OSError):
            self._ship()

    def _adopt(self) -> None:
        """Now and then look for files that nobody holds."""
        if time.monotonic() >= self._adopt_at:
            self._adopt_at = time.monotonic() + ADOPT_EVERY
            self._spool.adopt()

    def _ship(self) -> None:
        """Ship what waits; what comes meanwhile waits for others again, else each would be an export."""
        left, most = self._spool.waiting_records, BATCH
        while left > 0 and not self._is_over():
            batch = self._spool.take(most_records=most, most_bytes=BATCH_BYTES)
            if batch is None:
                return
            try:
                rejected, reason = self._deliver(frame(RESOURCE_LOGS, batch.resource_logs)), "rejected"
            except _EndCame:
                return
            except _Refused:
                if batch.count > 1:
                    # One bad record must not take the others along; it is in the first half, or after.
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
                self._tell_lost()

    def _deliver(self, export: bytes) -> int:
        """Hand an export over until it is taken; return how many of its records were rejected.

        Raises _Refused if it never will be, and _EndCame.
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
                # Whatever it is, the thread must live to see its end.
                reason = repr(error)
            self._note(failing=True, reason=reason)
            if self._is_over():
                raise _EndCame
            if self._stopping.is_set():
                time.sleep(0.1)
            else:
                self._stopping.wait(max(back_off, wait))
                self._adopt()
            back_off = min(back_off * 2, LONGEST_BACK_OFF)

    def _note(self, *, failing: bool, reason: str = "") -> None:
        """Say when shipping begins to fail and when it works again, and nothing in between."""
        if failing and not self._failing:
            log.warning("Log records do not reach logs-service: %s", reason)
        elif self._failing and not failing:
            log.info("Log records reach logs-service again")
        self._failing = failing

    def _count_lost(self, reason: str, count: int) -> None:
        self._lost_total.labels(reason).inc(count)
        with self._lost_lock:
            self._lost[reason] += count

    def _tell_lost(self) -> None:
        """Say what was lost: after a success, for only then somebody listens."""
        with self._lost_lock:
            lost, self._lost = self._lost, Counter()
        if lost:
            reasons = {f"log_records.lost.{reason}": count for reason, count in lost.items()}
            log.warning("%d log records were lost on the way to logs-service", lost.total(), extra=reasons)

    def _is_over(self) -> bool:
        return time.monotonic() > self._deadline

    def _count_in(self, registry: prometheus_client.CollectorRegistry, settings: ServiceSettings) -> None:
        self._shipped_total = prometheus_client.Counter(
            "log_records_shipped", "Log records that logs-service took.", registry=registry
        )
        self._lost_total = prometheus_client.Counter(
            "log_records_lost", "Log records that were not shipped.", ["reason"], registry=registry
        )
        for reason in ("spool_full", "too_large", "unwritable", "refused", "rejected"):
            self._lost_total.labels(reason)
        for name, says, read in (
            ("log_records_waiting", "Log records in the spool.", lambda: self._spool.waiting_records),
            ("log_spool_bytes", "Bytes of the spool that wait.", lambda: self._spool.waiting_bytes),
            ("log_spool_limit_bytes", "Bytes that it may have.", lambda: settings.spool_mib * 1024 * 1024),
        ):
            prometheus_client.Gauge(name, says, registry=registry).set_function(read)


def create_shipper(
    settings: ServiceSettings,
    token: Token | None,
    registry: prometheus_client.CollectorRegistry,
    sink: Sink | None = None,
) -> Shipper | None:
    """Return a shipper if there is a `sink`, or if the settings name a logs-service.

    Without a `token` of the service's own making, the service gets one with its credentials.
    """
    if sink is None and settings.logs_url is not None:
        sink = _create_sink(settings, settings.logs_url, token)
    return Shipper(settings, sink, registry) if sink else None


def _create_sink(settings: ServiceSettings, logs_url: str, token: Token | None) -> Sink:
    if token is not None:
        return LogsServiceSink(logs_url, token)
    if not isinstance(settings, CallerSettings):
        raise TypeError("A service without a credential needs a token of its own making.")
    secret = settings.client_secret.get_secret_value()
    tokens = ServiceTokens(settings.auth_url, settings.service, secret)
    return LogsServiceSink(logs_url, tokens.current, tokens.forget)


def _read_retry_after(problem: Problem) -> float:
    """Return the seconds that the server asks for, within reason."""
    asked = problem.headers.get("Retry-After", "")
    return min(float(asked), LONGEST_BACK_OFF) if asked.isdecimal() else 0.0
