"""What it costs to know who calls: hashing passwords, verifying tokens, and what is left for the others.

Somebody's flood of log-ins comes from one address and through the gateway. That of a botnet goes past it,
each from another address: neither the gateway's limits nor the throttling of an address or an account stop
it, but only the bound on hashes.
"""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import psutil
import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.utils import base64url_decode, raw_to_der_signature

from bench.callers import Errand
from bench.calling import Calling, calling
from bench.memory import measure_memory
from bench.shop import CannotMeasure, Shop
from bench.statistics import quantile
from shared.testing import ISSUER, FakeAuth
from shared.tokens import Auth, TokenVerifier

CALLS = 100  # Of a round, where single calls are timed.
CLIENTS = 32  # They log in, all at once.
TRIES = 64.0  # A second, in a flood: more than a core can hash.
ROUNDS = 3  # All of them in turn, so that what else the machine does falls on each.
PACE = 0.1  # Seconds between two calls of one of the others.
VISITORS = 4  # They log in beside a busy shop, each once a second.
RISE = 1.0  # Seconds that a flood has to begin: processes that start and connections that open are none.
# Of the gateway's limits only the one on log-ins counts. It believes what a flood says of its address.
SETTINGS = {
    "RATE_LIMITS": "on",
    "TRUSTED_PROXIES": "127.0.0.1/32",
    **{f"RATE_LIMIT_{name}": "99999" for name in ("SESSIONS", "WRITES", "TOKEN", "ANONYMOUS", "ADDRESS")},
}
OTHERS = {"GET /products?limit=30": 4, "GET /cart": 2, "GET /auth/me": 2}  # Clients for each.
PASSWORD = "correct horse battery"  # noqa: S105  # It opens accounts of a shop that is thrown away.


@dataclass(frozen=True)
class Flood:
    """How all try to log in: seconds from one try of each to its next, where, and where they say to be."""

    title: str
    pace: float
    through_gateway: bool
    address: str


# Without a pause it is a flood of requests rather than of passwords, which the gateway's limits would stop.
FLOODS = {
    "quiet": None,
    "somebody": Flood("flood of somebody", CLIENTS / TRIES, through_gateway=True, address="198.51.100.7"),
    "botnet": Flood("of a botnet", CLIENTS / TRIES, through_gateway=False, address="{address}"),
    "torrent": Flood("of one without a pause", 0.0, through_gateway=False, address="{address}"),
}


def measure(shop: Shop, seconds: float) -> dict[str, Any]:
    """Return all numbers: microseconds, milliseconds, MiB, and things a second."""
    verification = measure_verification()
    return {
        "verification": verification,
        "products": measure_share(shop, seconds, verification["again"]),
        "logins": measure_logins(shop, seconds),
        "visitors": measure_visitors(shop, seconds),
        "others": measure_others(shop, seconds),
    }


def measure_verification(rounds: int = 50) -> dict[str, float]:
    """Return the microseconds that a token costs, when it comes again, and those of its signature alone."""
    auth = FakeAuth()
    auth.sign_offs.ids = {f"session-{number}" for number in range(1000)}
    verifier, token = TokenVerifier(Auth(auth, auth.sign_offs), ISSUER), auth.token()
    others = iter([auth.token() for _ in range(rounds * CALLS)])
    signed, _, signature = token.rpartition(".")
    der = raw_to_der_signature(base64url_decode(signature), ec.SECP256R1())
    key, algorithm = auth.private_key.public_key(), ec.ECDSA(hashes.SHA256())
    return {
        "verify": _time(lambda: verifier.verify(next(others)), rounds),
        "again": _time(lambda: verifier.verify(token), rounds),
        "signature": _time(lambda: key.verify(der, signed.encode(), algorithm), rounds),
    }


def measure_share(shop: Shop, seconds: float, verify: float) -> dict[str, float]:
    """Return the processor time of catalog-service for a page of products, and verifying's share of it."""
    errand = Errand("products", "GET", "/products?limit=30", shop.enter())
    before, cpu = _count_requests(shop), _cpu_seconds(shop, "catalog-service")
    with calling(shop.url, [errand] * 8, 0.0, seconds):
        pass
    requests_made = _count_requests(shop) - before
    if not requests_made:
        raise CannotMeasure("No page of products reached catalog-service.")
    each = (_cpu_seconds(shop, "catalog-service") - cpu) / requests_made * 1e6
    return {"requests": requests_made, "cpu": round(each, 1), "share": round(verify / each, 4)}


def measure_logins(shop: Shop, seconds: float) -> dict[str, Any]:
    """Return how many log-ins a second there are at the bound, and the memory of auth-service meanwhile."""
    url = shop.address_of("auth-service")
    at_rest = _pss(shop)
    peaks = [at_rest]
    with calling(url, [_log_in(url, number) for number in range(CLIENTS)], 0.0, seconds) as callers:
        while callers.is_alive():
            peaks.append(_pss(shop))
            time.sleep(0.2)
    statuses = Counter(callers.results["log in"]["statuses"])
    return {
        "a_second": round(statuses["200"] / seconds, 1),
        "statuses": dict(statuses),
        "at_rest_mib": at_rest,
        "peak_mib": max(peaks),
    }


def measure_visitors(shop: Shop, seconds: float) -> dict[str, Any]:
    """Return how long a log-in takes beside clients without a pause, who use all that the machine has."""
    url = shop.address_of("auth-service")
    names = list(OTHERS)
    busy = [
        Errand(name, "GET", name.removeprefix("GET "), shop.enter())
        for name in (names[number % len(names)] for number in range(CLIENTS))
    ]
    visitors = [_log_in(url, CLIENTS + number) for number in range(VISITORS)]
    with calling(shop.url, busy, 0.0, seconds + 2 * RISE):
        time.sleep(RISE)
        with calling(url, visitors, 1.0, seconds) as callers:
            pass
    logins = callers.results["log in"]
    times = logins["milliseconds"]
    return {"statuses": logins["statuses"], "p50": quantile(times, 0.5), "longest": max(times)}


def measure_others(shop: Shop, seconds: float) -> dict[str, Any]:
    """Return how long other calls take while it is quiet, and while others try to log in."""
    errands = [
        Errand(name, "GET", name.removeprefix("GET "), shop.enter())
        for name, clients in OTHERS.items()
        for _ in range(clients)
    ]
    times: dict[str, dict[str, list[float]]] = {name: {when: [] for when in FLOODS} for name in OTHERS}
    tries: dict[str, Counter[str]] = {when: Counter() for when in FLOODS}
    errors = 0
    for _ in range(ROUNDS):
        for when, flood in FLOODS.items():
            with _flooding(shop, flood, seconds + 2 * RISE) as flooding:
                time.sleep(RISE)
                with calling(shop.url, errands, PACE, seconds) as callers:
                    pass
            for name in OTHERS:
                times[name][when] += callers.results[name]["milliseconds"]
                errors += sum(callers.results[name]["statuses"].values())
                errors -= callers.results[name]["statuses"].get("200", 0)
            tries[when].update(flooding.results.get("flood", {}).get("statuses", {}))
    calls = {
        name: {
            f"{when}_{share}": quantile(found[when], float(f"0.{share}"))
            for when in FLOODS
            for share in ("50", "99")
        }
        for name, found in times.items()
    }
    return {"calls": calls, "errors": errors, "tries": {when: dict(each) for when, each in tries.items()}}


def render(results: Mapping[str, Any]) -> list[str]:
    """Return the numbers as Markdown."""
    verification, products = results["verification"], results["products"]
    logins, visitors, others = results["logins"], results["visitors"], results["others"]
    return [
        f"- Verifying a token takes {verification['verify']:g} µs, of which the signature "
        f"{verification['signature']:g} µs, and {verification['again']:g} µs when it comes again; that is "
        f"{products['share']:.1%} of the {products['cpu']:g} µs of catalog-service's processor time for "
        "`GET /products?limit=30`.",
        f"- {logins['a_second']:g} log-ins a second with {CLIENTS} clients ({_write(logins['statuses'])}); "
        f"auth-service takes {logins['at_rest_mib']:g} MiB at rest and up to "
        f"{logins['peak_mib']:g} MiB then.",
        f"- Beside {CLIENTS} clients who ask for other things without a pause, a log-in takes "
        f"{visitors['p50']:.0f} ms (p50), and {visitors['longest']:.0f} at most "
        f"({_write(visitors['statuses'])}).",
        f"- Other calls beside {CLIENTS} clients who try to log in, {TRIES:g} times a second; "
        f"{others['errors']} were not answered with 200. p99 in ms, in brackets p50:",
        *[
            f"  - `{name}`: quiet {_write_times(times, 'quiet')}; "
            + "; ".join(
                f"{flood.title} {_write_times(times, when)}" for when, flood in FLOODS.items() if flood
            )
            for name, times in others["calls"].items()
        ],
        "- What became of their tries: "
        + "; ".join(
            f"{flood.title} {_write(others['tries'][when])}" for when, flood in FLOODS.items() if flood
        )
        + ".",
    ]


def _log_in(url: str, number: int) -> Errand:
    """Make an account; return the errand that logs in to it, from an address of its own."""
    credentials = {"username": f"bench-{number}-{time.time_ns()}", "password": PASSWORD}
    headers = {"X-Forwarded-For": f"192.0.2.{number + 1}"}
    requests.post(f"{url}/auth/register", json=credentials, headers=headers, timeout=20).raise_for_status()
    return Errand("log in", "POST", "/auth", headers, credentials)


def _flooding(shop: Shop, flood: Flood | None, seconds: float) -> AbstractContextManager[Calling]:
    """Let everybody of a flood try to log in, each time with another name, beside a block."""
    if flood is None:
        return calling(shop.url, [], 0.0, seconds)
    errands = [
        Errand(
            "flood",
            "POST",
            "/auth",
            {"X-Forwarded-For": flood.address},
            {"username": f"nobody-{number}-{{turn}}", "password": PASSWORD},
        )
        for number in range(CLIENTS)
    ]
    url = shop.url if flood.through_gateway else shop.address_of("auth-service")
    return calling(url, errands, flood.pace, seconds)


def _count_requests(shop: Shop) -> int:
    """Return how many pages of products catalog-service has answered, all replicas together."""
    count = 0.0
    for port in shop.ports_of("catalog-service"):
        text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=20).text
        for line in text.splitlines():
            if (
                line.startswith("http_server_request_duration_seconds_count")
                and 'http_route="/products"' in line
            ):
                count += float(line.rpartition(" ")[2])
    return int(count)


def _cpu_seconds(shop: Shop, service: str) -> float:
    processes = [
        process
        for pid in shop.pids_of(service)
        for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))
    ]
    return sum(process.cpu_times().user + process.cpu_times().system for process in processes)


def _pss(shop: Shop) -> float:
    return round(sum(measure_memory(pid).pss_mib for pid in shop.pids_of("auth-service")), 1)


def _time(work: Callable[[], object], rounds: int, *, calls: int = CALLS) -> float:
    """Return the microseconds of processor time in the median round; the services' are counted likewise."""
    spent = []
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(calls):
            work()
        spent.append((time.process_time() - began) / calls)
    return round(statistics.median(spent) * 1e6, 1)


def _write_times(times: dict[str, float], when: str) -> str:
    times_quiet = f", x {times[f'{when}_99'] / times['quiet_99']:.2f}" if when != "quiet" else ""
    return f"{times[f'{when}_99']:.1f} ({times[f'{when}_50']:.1f}){times_quiet}"


def _write(statuses: dict[str, int]) -> str:
    return ", ".join(f"{number} x {status}" for status, number in sorted(statuses.items())) or "none"
