"""Prometheus metrics, named by OpenTelemetry's conventions."""

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
ASKED_EVERY = 10.0  # Seconds for which expensive figures are cached.

# A client may invent methods. They are all counted as `_OTHER` (OpenTelemetry, HTTP metrics).
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})


@dataclass(frozen=True)
class Figure:
    """The current reading of a gauge: its name, help text, labels, and a value for each set of labels."""

    name: str
    help: str
    labels: tuple[str, ...]
    values: Mapping[tuple[str, ...], float]


Read = Callable[[], Iterable[Figure]]


class Metrics:
    """The metrics of one application; two applications in a process have separate registries."""

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
        """Add the figures of `read` to each scrape, calling it at most every `every` seconds.

        If it raises an error, the scrape omits its figures.
        """
        self.registry.register(_Asked(read, every))

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class _Asked(Collector):
    def __init__(self, read: Read, every: float) -> None:
        self._read = read
        self._every = every
        self._lock = threading.Lock()
        self._good_until = 0.0
        self._figures: list[Figure] = []

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering does not call `read`."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Return the figures as gauges."""
        for figure in self._ask():
            gauge = GaugeMetricFamily(figure.name, figure.help, labels=figure.labels)
            for labels, value in figure.values.items():
                gauge.add_metric(labels, value)
            yield gauge

    def _ask(self) -> list[Figure]:
        # Concurrent scrapes share one call.
        with self._lock:
            if time.monotonic() >= self._good_until:
                try:
                    self._figures = list(self._read())
                except Exception as error:
                    # The other metrics matter even more during a failure.
                    self._figures = []
                    log.warning("Some metrics could not be read: %r", error)
                self._good_until = time.monotonic() + self._every
            return self._figures
