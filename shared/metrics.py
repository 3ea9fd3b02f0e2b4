"""Prometheus metrics, named after OpenTelemetry's conventions."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Histogram, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

log = logging.getLogger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ASKED_EVERY = 10.0  # Seconds for which figures that cost a question are good.

# Anybody may send a method of their own making; all of those are one (OpenTelemetry, HTTP metrics).
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})


@dataclass(frozen=True)
class Figure:
    """A gauge as it stands: its name, what it says, its labels, and a value for each of their values."""

    name: str
    says: str
    labels: tuple[str, ...]
    values: Mapping[tuple[str, ...], float]


Read = Callable[[], Iterable[Figure]]


class Metrics:
    """What one process counts; an application has its own, so that two in a test stay apart."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = Histogram(
            "http_server_request_duration_seconds",
            "Duration of HTTP requests, by method, route template and status.",
            ["http_request_method", "http_route", "http_response_status_code"],
            buckets=BUCKETS,
            registry=self.registry,
        )

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        known = method if method in METHODS else "_OTHER"
        self.requests.labels(known, route, status).observe(seconds)

    def ask(self, read: Read, *, every: float = ASKED_EVERY) -> None:
        """Show what `read` says at each scrape, asking it again only after so many seconds.

        What raises an error is left out of the scrape.
        """
        self.registry.register(_Asked(read, every))

    def render(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self.registry)


class _Asked(Collector):
    def __init__(self, read: Read, every: float) -> None:
        self._read = read
        self._every = every
        self._lock = threading.Lock()
        self._good_until = 0.0
        self._figures: list[Figure] = []

    def describe(self) -> Iterable[Metric]:
        """Ask nothing while being registered."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Return the figures as gauges."""
        for figure in self._ask():
            gauge = GaugeMetricFamily(figure.name, figure.says, labels=figure.labels)
            for labels, value in figure.values.items():
                gauge.add_metric(labels, value)
            yield gauge

    def _ask(self) -> list[Figure]:
        # Two scrapes at once are one question.
        with self._lock:
            if time.monotonic() >= self._good_until:
                try:
                    self._figures = list(self._read())
                except Exception as error:
                    # Whatever it is, the other metrics are wanted all the more.
                    self._figures = []
                    log.warning("Some metrics could not be read: %r", error)
                self._good_until = time.monotonic() + self._every
            return self._figures
