"""The product list, requested in five ways: how close the gateway comes to the limit of nginx.

The limit is a static file of the same bytes from the same nginx. Browsers ask for gzip. Without the gateway's
cache, the service answers. The tutorial's application gets the products from that nginx, too. Each round asks
all ways in turn, so that a disturbance of the machine falls on each; the report has medians of the rounds.
"""

import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import requests

from bench.errors import CannotMeasure
from bench.load import Call, plan_calls, run_load
from bench.report import table
from bench.shop import Shop, fresh_folder, running_process, running_shop, say
from bench.statistics import quantile
from bench.tutorial import make_cookie
from bench.usage import measure_cpu, subtract
from local.processes import wait_until
from local.settings import ROOT
from local.sockets import answers, port_of, reserve

PATH = "/products?limit=30"
STATIC, CACHED, UNCACHED, TUTORIAL = "static file", "gateway", "gateway, cache off", "tutorial"
COMPRESSED = "gateway, gzip"
GZIP = {"Accept-Encoding": "gzip"}
CLIENTS = (1, 8, 32)
ROUNDS = 5
HEAD = "a second | lowest | highest | p50 ms | p99 ms | errors | nginx | behind | asking | cores"
START_SECONDS = 20.0
AIMS = {STATIC: 0.5, TUTORIAL: 20.0}  # The gateway's rate as a multiple of each control's.


@dataclass(frozen=True)
class Way:
    """A way to the page: its URL, the headers to send, and the processor time of the parts that answer."""

    url: str
    path: str
    headers: Callable[[], Mapping[str, str]]
    measure_cpu: Callable[[], Mapping[str, float]]


def measure(shop: Shop, seconds: float) -> dict[str, Any]:
    """Return a row for each way and number of clients, and how the gateway compares; raises CannotMeasure."""
    with fresh_folder() as folder, running_shop(folder, {"PRODUCT_CACHE": "off"}) as uncached:
        page = _read_page(shop)
        products = json.dumps({"products": json.loads(page)["data"]}).encode()
        static, upstream = shop.serve_file("page.json", page), shop.serve_file("upstream.json", products)
        with running_tutorial(folder, shop.url + upstream) as tutorial:
            ways = {
                STATIC: Way(shop.url, static, shop.enter, shop.measure_cpu),
                CACHED: Way(shop.url, PATH, shop.enter, shop.measure_cpu),
                COMPRESSED: Way(shop.url, PATH, lambda: {**shop.enter(), **GZIP}, shop.measure_cpu),
                UNCACHED: Way(uncached.url, PATH, uncached.enter, uncached.measure_cpu),
                TUTORIAL: tutorial,
            }
            return {"bytes": len(page), **sum_up(_measure_rounds(ways, seconds / 4))}


def _measure_rounds(ways: Mapping[str, Way], seconds: float) -> list[dict[str, Any]]:
    """Return the numbers of every flood."""
    floods = []
    for turn in range(ROUNDS):
        # New tokens for each round, because a token lives for a quarter of an hour.
        calls = {name: Call("GET", way.path, headers=way.headers()) for name, way in ways.items()}
        for clients in CLIENTS:
            say(f"{PATH}, round {turn + 1} of {ROUNDS}, {clients} client{'s' if clients > 1 else ''} …")
            for name, way in ways.items():
                if turn == 0:
                    # The first calls fill the caches.
                    run_flood(way.url, calls[name], clients, seconds / 4)
                before = way.measure_cpu()
                found = run_flood(way.url, calls[name], clients, seconds)
                spent = subtract(way.measure_cpu(), before)
                floods.append({"way": name, "round": turn, "clients": clients, **found, "part_cpu": spent})
    return floods


def run_flood(url: str, call: Call, clients: int, seconds: float) -> dict[str, Any]:
    """Repeat a call as fast as it is answered, from one process per core.

    `good` counts all answers, and the rate those within the time. Raises CannotMeasure.
    """
    count = min(clients, len(os.sched_getaffinity(0)))
    shares = [[call] * len(range(place, clients, count)) for place in range(count)]
    found = run_load(*(plan_calls(url, share, seconds) for share in shares))
    replies = [answer for each in found for answer in each.answers]
    if not any(answer.status for answer in replies):
        raise CannotMeasure(f"There is no answer to {call.method} {call.path}.")
    good = [answer for answer in replies if answer.status == 200]
    times = [answer.milliseconds for answer in good]
    return {
        "rate": round(sum(answer.second <= seconds for answer in good) / seconds, 1),
        "good": len(good),
        "errors": len(replies) - len(good),
        "p50": quantile(times, 0.50),
        "p99": quantile(times, 0.99),
        "seconds": max(answer.second for answer in replies),
        "load_cpu": sum(each.cpu for each in found),
    }


def sum_up(floods: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a row for each way and number of clients, and the gateway's rate relative to the others'."""
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
    return _median((one["rate"] / other["rate"] for one, other in pairs if other["rate"]), 3)


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
        # Microseconds of one core per answer.
        "cpu_us": {name: round(each / max(good, 1) * 1e6, 1) for name, each in cpu.items()},
        "cores": round(sum(cpu.values()) / sum(flood["seconds"] for flood in floods), 2),
    }


def _median(values: Iterable[float | None], digits: int = 2) -> float | None:
    known = [value for value in values if value is not None]
    return round(statistics.median(known), digits) if known else None


def render(results: Mapping[str, Any]) -> list[str]:
    """Return the tables of the report."""
    ratios = {(each["way"], each["clients"]): each["ratio"] for each in results["ratios"]}
    aims = ", ".join(f"x {aim:g} of the {way}" for way, aim in AIMS.items())
    beside = [
        [way, *(_write(ratios.get((way, clients)), "x {:.2f}") for clients in CLIENTS)]
        for way in (STATIC, COMPRESSED, UNCACHED, TUTORIAL)
    ]
    rows = [
        [
            *(row["way"], row["clients"]),
            *(f"{row[name]:.0f}" for name in ("rate", "lowest", "highest")),
            *(_write(row[name], "{:.2f}") for name in ("p50", "p99")),
            *(row["errors"], *row["cpu_us"].values(), f"{row['cores']:.2f}"),
        ]
        for row in results["rows"]
    ]
    return [
        f"`GET {PATH}` with a token, {results['bytes']} bytes, medians of {ROUNDS} rounds. "
        f"The gateway's rate as a multiple of the others' (the aims are {aims}):",
        "",
        *table(" | ".join(["beside", *(f"{clients} clients" for clients in CLIENTS)]), beside),
        "",
        "For each call, the microseconds of processor time of nginx, of the parts behind it, and of asking. "
        "Asking uses the same cores, so a ratio is milder than on a machine of its own, while nginx's own "
        "time does not depend on that. Little time behind nginx means that the page came from the cache.",
        "",
        *table(f"way | clients | {HEAD}", rows),
    ]


def _write(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


@contextmanager
def running_tutorial(folder: Path, upstream: str) -> Iterator[Way]:
    """Start the tutorial's application in front of a server with the products."""
    secret = token_hex(32)
    with closing(reserve()) as holder:
        port = port_of(holder)
    arguments = ["-m", "bench.tutorial", str(port), upstream, secret]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    with running_process(arguments, environment, folder, folder / "tutorial.log") as pid:
        wait_until(lambda: answers("127.0.0.1", port, "/products", below=500), START_SECONDS)
        headers = {"Cookie": make_cookie(secret, time.time())}
        url = f"http://127.0.0.1:{port}"
        yield Way(url, "/products", lambda: headers, lambda: {"tutorial": measure_cpu(pid)})


def _read_page(shop: Shop) -> bytes:
    answer = requests.get(shop.url + PATH, headers=shop.enter(), timeout=20)
    if answer.status_code != 200:
        raise CannotMeasure(f"There is no page of products: {answer.status_code} {answer.text[:200]}")
    return answer.content
