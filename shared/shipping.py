"""Ship log records to logs-service (OTLP/HTTP): from a queue in memory, by one thread.

What finds no room in the queue or is refused there is counted and told; standard output has it all the same.
"""

import logging
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from copy import copy
from typing import NamedTuple

import prometheus_client
import requests

from shared import __version__, context, otlp
from shared.errors import Problem
from shared.http import HttpClient
from shared.log import read_exception
from shared.service_calls import ServiceTokens
from shared.settings import CallerSettings, ServiceSettings

log = logging.getLogger(__name__)

CAPACITY = 10_000  # Records that wait; some 20 MB.
BATCH = 512  # Records of one export.
BATCH_BYTES = 512 * 1024  # At which an export is full, whatever its number; the server takes 1 MiB.
EVERY = 0.5  # Seconds that a record waits for others.
FLUSH = 2.0  # Seconds for what is left when the service ends.
FIRST_BACK_OFF = 0.25
LONGEST_BACK_OFF = 10.0

# OTLP's own, and 401: the token is asked for at each attempt, and the next one may be good.
RETRIED = frozenset({401, 429, 502, 503, 504})

Token = Callable[[], str]


class _Captured(NamedTuple):
    record: logging.LogRecord
    work: context.Context | None
    message: str


class Shipper(logging.Handler):
    """A handler that costs the caller some microseconds, and a thread that does the rest.

    `token` returns the access token to present; the thread calls it, and it may raise a Problem. `forget` is
    told of one that was refused, so that the next is another.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        logs_url: str,
        token: Token,
        registry: prometheus_client.CollectorRegistry,
        forget: Callable[[str], None] = lambda _token: None,
    ) -> None:
        super().__init__()
        self._http = HttpClient(logs_url, timeout=(1.0, 5.0), pool=1, retries=0)
        self._token = token
        self._forget = forget
        about = {
            "service.name": settings.service,
            "service.instance.id": settings.instance,
            "service.version": __version__,
        }
        self._resource = otlp.write({"attributes": otlp.encode_attributes(about)})
        self._queue: deque[_Captured] = deque()
        self._in_flight = 0
        self._failing = False
        self._lost: Counter[str] = Counter()
        self._lost_lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._deadline = math.inf
        self._thread = threading.Thread(target=self._run, name="ship-logs", daemon=True)
        self._shipped_total = prometheus_client.Counter(
            "log_records_shipped", "Log records that logs-service took.", registry=registry
        )
        self._lost_total = prometheus_client.Counter(
            "log_records_lost", "Log records that were not shipped.", ["reason"], registry=registry
        )
        waiting = prometheus_client.Gauge(
            "log_records_waiting", "Log records not shipped yet.", registry=registry
        )
        waiting.set_function(self._count_waiting)

    def start(self) -> None:
        """Begin to ship."""
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Put the record into the queue, or count it if the queue is full."""
        # This module's own few records always find room, since they tell what did not. What a library says
        # about the sending would have to be sent in its turn, without end.
        if record.name != __name__:
            if threading.get_ident() == self._thread.ident:
                return
            if len(self._queue) >= CAPACITY:
                self._count_lost("queue_full", 1)
                return
        try:
            self._queue.append(_capture(record))
        except Exception:
            self.handleError(record)
        if len(self._queue) >= BATCH:
            self._wake.set()

    def stop(self) -> None:
        """Take no more records, and ship those that are left, for up to two seconds."""
        logging.getLogger().removeHandler(self)
        self._deadline = time.monotonic() + FLUSH
        self._stopping.set()
        self._wake.set()
        self._thread.join(FLUSH)
        left = self._count_waiting()
        if left:
            log.warning("%d log records were not shipped before the end", left)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(EVERY)
            self._wake.clear()
            # What comes meanwhile waits for others again, else there would be an export for each record.
            self._ship(len(self._queue))
        while self._queue and not self._is_over():
            self._ship(len(self._queue))

    def _ship(self, count: int) -> None:
        """Ship the oldest records, in exports of a size that the server takes."""
        while count > 0 and not self._is_over():
            taken, records = self._take(min(count, BATCH))
            count -= taken
            if records:
                self._in_flight = len(records)
                self._deliver(otlp.encode_export(self._resource, records), len(records))

    def _take(self, most: int) -> tuple[int, list[tuple[str, bytes]]]:
        """Return how many records left the queue, and those that could be written, with their loggers."""
        taken, size, records = 0, 0, []
        while taken < most and size < BATCH_BYTES:
            record, work, message = self._queue.popleft()
            taken += 1
            try:
                written = otlp.encode_record(record, work, message)
            except Exception:
                # Somebody's attribute does not let itself be written; the others must not suffer for it.
                self._count_lost("unwritable", 1)
                continue
            records.append((record.name, written))
            size += len(written)
        return taken, records

    def _deliver(self, body: bytes, count: int) -> None:
        """Send an export until it is taken, refused for good, or the end is there."""
        back_off = FIRST_BACK_OFF
        while True:
            status, reason, answer = self._send(body)
            if status not in RETRIED:
                break
            self._note(failing=True, reason=reason)
            if self._is_over():
                return
            if self._stopping.is_set():
                time.sleep(0.1)
            else:
                self._stopping.wait(max(back_off, _read_retry_after(answer)))
            back_off = min(back_off * 2, LONGEST_BACK_OFF)
        self._in_flight = 0
        if status != 200:
            self._count_lost("refused", count)
            self._note(failing=True, reason=reason)
            return
        rejected = min(_read_rejected(answer), count)
        if rejected:
            self._count_lost("rejected", rejected)
        self._shipped_total.inc(count - rejected)
        self._note(failing=False)
        self._tell_lost()

    def _send(self, body: bytes) -> tuple[int, str, requests.Response | None]:
        """Return the status, a reason in words, and the answer; 503 and None if there is none."""
        try:
            token = self._token()
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            answer = self._http.request("POST", "/v1/logs", data=body, headers=headers)
            if answer.status_code == 401:
                # It ended before its time, as when its key is retired.
                self._forget(token)
        except Problem as problem:
            return 503, problem.detail, None
        except Exception as error:
            # Whatever it is, the thread must live to see its end.
            return 503, repr(error), None
        return answer.status_code, f"it answered {answer.status_code}", answer

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

    def _count_waiting(self) -> int:
        return len(self._queue) + self._in_flight

    def _is_over(self) -> bool:
        return time.monotonic() > self._deadline


def create_shipper(
    settings: ServiceSettings, token: Token | None, registry: prometheus_client.CollectorRegistry
) -> Shipper | None:
    """Return a shipper if the settings name a logs-service.

    Without a `token` of the service's own making, the service gets one with its credentials.
    """
    if settings.logs_url is None:
        return None
    if token is not None:
        return Shipper(settings, settings.logs_url, token, registry)
    if not isinstance(settings, CallerSettings):
        raise TypeError("A service without a credential needs a token of its own making.")
    secret = settings.client_secret.get_secret_value()
    tokens = ServiceTokens(settings.auth_url, settings.service, secret)
    return Shipper(settings, settings.logs_url, tokens.current, registry, tokens.forget)


def _capture(record: logging.LogRecord) -> _Captured:
    """Return what the thread needs; nothing of it is encoded here."""
    if record.exc_info:
        # The trace back would keep every variable of the failed call alive.
        read_exception(record)
        record = copy(record)
        record.exc_info = None
    return _Captured(record, context.current(), record.getMessage())


def _read_rejected(answer: requests.Response | None) -> int:
    """Return how many records a partial success left out."""
    try:
        return int(answer.json()["partialSuccess"]["rejectedLogRecords"]) if answer is not None else 0
    except (ValueError, KeyError, TypeError):
        return 0


def _read_retry_after(answer: requests.Response | None) -> float:
    """Return the seconds that the server asks for, within reason."""
    asked = answer.headers.get("Retry-After", "") if answer is not None else ""
    return min(float(asked), LONGEST_BACK_OFF) if asked.isdecimal() else 0.0
