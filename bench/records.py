"""What a log record costs the request that leaves it: until it is written out, and on disk for shipping."""

import io
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry

from bench.report import number, table
from bench.shop import Shop, fresh_folder, say
from bench.statistics import quantile
from shared import context
from shared.log import JsonFormatter
from shared.settings import ServiceSettings
from shared.shipping import Shipper

ROUND = 1000  # Records.
TARGET = 50.0  # Microseconds that the spool may cost.
ACCESS = {
    "http.request.method": "GET",
    "http.route": "/orders/<uuid:order_id>",
    "http.response.status_code": 200,
    "http.request.body.size": 0,
    "http.response.body.size": 1234,
    "duration_ms": 4.25,
    "user.id": "0190a4b0-7c1e-7f3a-9b2d-4c5e6f7a8192",
    "user.role": "customer",
    "client.id": "shop",
}


def measure(_shop: Shop, seconds: float) -> dict[str, Any]:
    """Return microseconds of the calling thread for an access record."""
    say("log records …")
    output = logging.StreamHandler(io.StringIO())
    output.setFormatter(JsonFormatter("orders-service", "bench"))
    with fresh_folder() as folder:
        settings = ServiceSettings(
            service="orders-service", instance="bench", database_url="postgresql://x/x", spool=folder
        )
        shipper = Shipper(settings, lambda _export: 0, CollectorRegistry())
        shipper.start()
        ways: dict[str, list[logging.Handler]] = {
            "nothing": [logging.NullHandler()],
            "standard output": [output],
            "spool": [shipper],
            "both": [output, shipper],
        }
        results = {name: _measure_way(handlers, seconds / len(ways)) for name, handlers in ways.items()}
        shipper.stop()
    return {"microseconds": results, "target": TARGET}


def render(results: Mapping[str, Any]) -> list[str]:
    """Return the table."""
    rows = [[way, number(each["p50"]), number(each["p95"])] for way, each in results["microseconds"].items()]
    return [
        f"Microseconds of CPU time for an access record. The spool may cost {results['target']:g}, "
        "what it shares with standard output included.",
        "",
        *table(["where to", "median", "p95"], rows),
    ]


def _measure_way(handlers: list[logging.Handler], seconds: float) -> dict[str, float | None]:
    log = logging.Logger("bench.records", logging.INFO)
    for handler in handlers:
        log.addHandler(handler)
    context.enter(context.Context())
    context.bind({"order.id": "0190a4b0-7c1e-7f3a-9b2d-4c5e6f7a8193"})
    try:
        rounds = _repeat(
            lambda: log.info("%s %s %s", "GET", ACCESS["http.route"], 200, extra=ACCESS), seconds
        )
    finally:
        context.leave()
    return {"p50": quantile(rounds, 0.5), "p95": quantile(rounds, 0.95)}


def _repeat(call: Callable[[], None], seconds: float) -> list[float]:
    """Return the microseconds of a call, of each round."""
    rounds: list[float] = []
    deadline = time.monotonic() + seconds
    while not rounds or time.monotonic() < deadline:
        began = time.thread_time_ns()
        for _ in range(ROUND):
            call()
        rounds.append((time.thread_time_ns() - began) / ROUND / 1000)
    return rounds
