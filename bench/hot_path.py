"""Measure the product list five ways in turn: how close the gateway comes to the limit of nginx.

A file of the same bytes from the same nginx is the limit. Browsers ask for gzip. Without the gateway's cache,
the answer is the service's own. The tutorial's file has the products from that nginx, too. Each is asked in
every round, so that what else the machine does falls on each; medians of the rounds are told.
"""

import json
import os
import signal
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

import requests

from bench.cpu import measure_cpu, subtract
from bench.flood import Flood
from bench.floods import run_flood
from bench.report import number, table
from bench.shop import CannotMeasure, Shop, fresh_folder, running_shop, say
from bench.tutorial import make_cookie
from local.processes import has_ended, reap, spawn, wait_until
from local.settings import ROOT
from local.sockets import answers, port_of, reserve

PATH = "/products?limit=30"
STATIC, CACHED, UNCACHED, TUTORIAL = "static file", "gateway", "gateway, cache off", "tutorial"
COMPRESSED = "gateway, gzip"
CLIENTS = (1, 8, 32)
ROUNDS = 5
START_SECONDS = 20.0
HEAD = ["way", "clients", "a second", "lowest", "highest", "p50 ms", "p99 ms", "errors"]
HEAD_OF_CPU = ["nginx", "behind", "asking", "cores"]
AIMS = {STATIC: 0.5, TUTORIAL: 20.0}  # How many times as fast as these the gateway should be.


@dataclass(frozen=True)
class Way:
    """One way to the page: its address, what is sent along, and whose processor time it takes."""

    port: int
    path: str
    headers: Callable[[], Mapping[str, str]]
    measure_cpu: Callable[[], Mapping[str, float]]


def measure(shop: Shop, seconds: float) -> dict[str, Any]:
    """Return a row for each way and number of clients, and how the gateway compares; raises CannotMeasure."""
    with fresh_folder() as folder, running_shop(folder, {"PRODUCT_CACHE": "off"}) as uncached:
        page = _read_page(shop)
        static = shop.serve_file("page.json", page)
        upstream = shop.serve_file(
            "upstream.json", json.dumps({"products": json.loads(page)["data"]}).encode()
        )
        with running_tutorial(folder, shop.url + upstream) as tutorial:
            port = _port_of(shop.url)
            ways = {
                STATIC: Way(port, static, shop.enter, shop.measure_cpu),
                CACHED: Way(port, PATH, shop.enter, shop.measure_cpu),
                COMPRESSED: Way(
                    port, PATH, lambda: {**shop.enter(), "Accept-Encoding": "gzip"}, shop.measure_cpu
                ),
                UNCACHED: Way(_port_of(uncached.url), PATH, uncached.enter, uncached.measure_cpu),
                TUTORIAL: tutorial,
            }
            rounds = _go_round(ways, seconds / 4)
    return {"bytes": len(page), **sum_up(rounds)}


def _go_round(ways: Mapping[str, Way], seconds: float) -> list[dict[str, Any]]:
    """Return the numbers of every flood."""
    floods = []
    for turn in range(ROUNDS):
        # Tokens of a round, since one lives for a quarter of an hour.
        headers = {name: way.headers() for name, way in ways.items()}
        for clients in CLIENTS:
            say(f"{PATH}, round {turn + 1} of {ROUNDS}, {clients} client{'s' if clients > 1 else ''} …")
            for name, way in ways.items():
                flood = Flood(way.port, way.path, headers[name], clients, seconds)
                if turn == 0:
                    # What is new to the caches is not measured.
                    run_flood(Flood(way.port, way.path, headers[name], clients, seconds / 4))
                before = way.measure_cpu()
                found = run_flood(flood)
                spent = subtract(way.measure_cpu(), before)
                floods.append({"way": name, "round": turn, "clients": clients, **found, "part_cpu": spent})
    return floods


def sum_up(floods: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a row for each way and number of clients, and the gateway's rate beside the others'."""
    found: dict[tuple[int, str], list[Mapping[str, Any]]] = {}
    for flood in floods:
        found.setdefault((flood["clients"], flood["way"]), []).append(flood)
    rows = [{"way": way, "clients": clients, **_sum_up_way(each)} for (clients, way), each in found.items()]
    ratios = [
        {"clients": clients, "way": way, "ratio": _compare(found[clients, CACHED], each)}
        for (clients, way), each in found.items()
        if way != CACHED
    ]
    return {"rows": rows, "ratios": ratios}


def _compare(ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the median of the rounds' ratios; None if there is none."""
    pairs = zip(ours, theirs, strict=True)
    ratios = [one["rate"] / other["rate"] for one, other in pairs if other["rate"]]
    return round(statistics.median(ratios), 3) if ratios else None


def _sum_up_way(floods: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    spent = Counter[str]()
    for flood in floods:
        spent.update(flood["part_cpu"])
    cpu = {"nginx": spent.pop("gateway", 0.0), "behind": spent.total()}
    cpu["asking"] = sum(flood["load_cpu"] for flood in floods)
    good = sum(flood["good"] for flood in floods)
    rates = [flood["rate"] for flood in floods]
    return {
        "rate": statistics.median(rates),
        "lowest": min(rates),
        "highest": max(rates),
        **{name: _median(flood[name] for flood in floods) for name in ("p50", "p99")},
        "errors": sum(flood["errors"] for flood in floods),
        # Microseconds of a core for an answer.
        "cpu_us": {name: round(each / max(good, 1) * 1e6, 1) for name, each in cpu.items()},
        "cores": round(sum(cpu.values()) / sum(flood["seconds"] for flood in floods), 2),
    }


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(statistics.median(known), 2) if known else None


def render(results: Mapping[str, Any]) -> list[str]:
    """Return the tables."""
    ratios = {(each["way"], each["clients"]): each["ratio"] for each in results["ratios"]}
    aims = ", ".join(f"x {aim:g} of the {way}" for way, aim in AIMS.items())
    return [
        f"`GET {PATH}` with a token, {results['bytes']} bytes, medians of {ROUNDS} rounds. "
        f"The gateway's rate as a multiple of the others' (the aims are {aims}):",
        "",
        *table(
            ["beside", *(f"{clients} clients" for clients in CLIENTS)],
            [
                [way, *(_write_ratio(ratios.get((way, clients))) for clients in CLIENTS)]
                for way in (STATIC, COMPRESSED, UNCACHED, TUTORIAL)
            ],
        ),
        "",
        "Of each call, the microseconds of processor time of nginx, of all that is behind it, and of asking. "
        "Asking takes its share of the same cores, which makes ratios milder than they are; nginx's own time "
        "tells what it does for a call, whatever else goes on. Little time behind nginx means that the page "
        "came from the cache.",
        "",
        *table(
            [*HEAD, *HEAD_OF_CPU],
            [_write_row(row) for row in results["rows"]],
        ),
    ]


def _write_ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"x {ratio:.2f}"


def _write_row(row: Mapping[str, Any]) -> list[str]:
    return [
        row["way"],
        str(row["clients"]),
        *(f"{row[name]:.0f}" for name in ("rate", "lowest", "highest")),
        *("" if row[name] is None else f"{row[name]:.2f}" for name in ("p50", "p99")),
        str(row["errors"]),
        *(number(row["cpu_us"][name]) for name in ("nginx", "behind", "asking")),
        f"{row['cores']:.2f}",
    ]


@contextmanager
def running_tutorial(folder: Path, upstream: str) -> Iterator[Way]:
    """Start the tutorial's file in front of a server that has the products; raises CannotMeasure."""
    secret = token_hex(32)
    with closing(reserve()) as holder:
        port = port_of(holder)
    with (folder / "tutorial.log").open("wb") as log:
        process = spawn(
            [sys.executable, "-m", "bench.tutorial", str(port), upstream, secret],
            environment={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
            home=folder,
            log=log.fileno(),
            stop_signal=signal.SIGTERM,
        )
    try:
        wait_until(lambda: answers("127.0.0.1", port, "/products", below=500), START_SECONDS)
        headers = {"Cookie": make_cookie(secret, time.time())}
        yield Way(port, "/products", lambda: headers, lambda: {"tutorial": measure_cpu(process.pid)})
    finally:
        os.kill(process.pid, signal.SIGTERM)
        wait_until(lambda: has_ended(process.pid), START_SECONDS)
        reap(process)


def _read_page(shop: Shop) -> bytes:
    answer = requests.get(shop.url + PATH, headers=shop.enter(), timeout=20)
    if answer.status_code != 200:
        raise CannotMeasure(f"There is no page of products: {answer.status_code} {answer.text[:200]}")
    return answer.content


def _port_of(url: str) -> int:
    return urlsplit(url).port or 80
