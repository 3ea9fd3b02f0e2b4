"""The cost of authentication: password hashes, token verification, and latencies of other calls meanwhile.

A flood of log-ins from one address passes the gateway. The one of a botnet goes to auth-service itself, with
another address for each try: neither the gateway's limits nor the throttling of an address or an account stop
it, but only the limit on concurrent hashes.
"""

import statistics
import time
import timeit
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.utils import base64url_decode, raw_to_der_signature

from bench.errors import CannotMeasure
from bench.load import Answer, Call, Plan, plan_calls, run_load, running_load
from bench.shop import Shop
from bench.statistics import quantile
from bench.usage import add_up, measure_memory
from shared.testing import ISSUER, FakeAuth
from shared.tokens import Auth, TokenVerifier

CALLS = 100  # Of a round, where single calls are timed.
CLIENTS = 32  # Clients that log in at once.
TRIES = 64.0  # Tries a second in a flood: more than a core can hash.
ROUNDS = 3  # Each round has every flood in turn, so that a disturbance of the machine falls on each of them.
PACE = 0.1  # Seconds between two of the other calls of a client.
VISITORS = 4  # Clients that log in once a second beside a busy shop.
RISE = 1.0  # Seconds until a flood has started its process and opened its connections.
# Only the gateway's limit on log-ins shall count. It believes the address that a flood claims to have.
SETTINGS = {
    "RATE_LIMITS": "on",
    "TRUSTED_PROXIES": "127.0.0.1/32",
    **{f"RATE_LIMIT_{name}": "99999" for name in ("SESSIONS", "WRITES", "TOKEN", "ANONYMOUS", "ADDRESS")},
}
DURATIONS = "http_server_request_duration_seconds_count"
OTHERS = {"GET /products?limit=30": 4, "GET /cart": 2, "GET /auth/me": 2}  # Clients for each.
PASSWORD = "correct horse battery"  # noqa: S105  # Of accounts in a shop that is removed afterwards.


@dataclass(frozen=True)
class Flood:
    """A flood of log-ins: the seconds between two tries of a client, its way, and its address if fixed."""

    title: str
    pace: float
    through_gateway: bool
    address: str = ""


@dataclass(frozen=True)
class Tries:
    """A client's endless tries to log in, each with another name and, without `address`, from another."""

    client: int
    address: str = ""

    def __iter__(self) -> Iterator[Call]:
        for turn in count():
            address = self.address or f"10.{self.client % 250}.{turn // 250 % 250}.{turn % 250 + 1}"
            body = {"username": f"nobody-{self.client}-{turn}", "password": PASSWORD}
            yield Call("POST", "/auth", body, {"X-Forwarded-For": address}, "flood")


# Through the gateway only with a pause: its limits on requests would stop the flood otherwise.
FLOODS = {
    "quiet": None,
    "somebody": Flood("flood of somebody", CLIENTS / TRIES, through_gateway=True, address="198.51.100.7"),
    "botnet": Flood("of a botnet", CLIENTS / TRIES, through_gateway=False),
    "torrent": Flood("of one without a pause", 0.0, through_gateway=False),
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
    """Return the microseconds to verify a new token, a known token, and a signature alone."""
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
    """Return catalog-service's processor time for a page of products, and the share of verifying in it."""
    page = Call("GET", "/products?limit=30", headers=shop.enter())
    before, cpu = _count_pages(shop), shop.measure_cpu()["catalog-service"]
    run_load(plan_calls(shop.url, [page] * 8, seconds))
    pages = _count_pages(shop) - before
    if not pages:
        raise CannotMeasure("No page of products reached catalog-service.")
    each = (shop.measure_cpu()["catalog-service"] - cpu) / pages * 1e6
    return {"requests": pages, "cpu": round(each, 1), "share": round(verify / each, 4)}


def measure_logins(shop: Shop, seconds: float) -> dict[str, Any]:
    """Return the log-ins a second at the limit on hashes, and auth-service's memory meanwhile."""
    url = shop.services["auth-service"]["url"]
    at_rest = _measure_memory(shop)
    peaks = [at_rest]
    logins = [_log_in(url, number) for number in range(CLIENTS)]
    with running_load(plan_calls(url, logins, seconds)) as [load]:
        while not load.done():
            peaks.append(_measure_memory(shop))
            time.sleep(0.2)
    statuses = _count(load.result().answers)
    rate = round(statuses["200"] / seconds, 1)
    return {"a_second": rate, "statuses": dict(statuses), "at_rest_mib": at_rest, "peak_mib": max(peaks)}


def measure_visitors(shop: Shop, seconds: float) -> dict[str, Any]:
    """Return the latency of a log-in beside clients that never wait and use the whole machine."""
    url = shop.services["auth-service"]["url"]
    names = list(OTHERS)
    busy = [_read(names[number % len(names)], shop) for number in range(CLIENTS)]
    visitors = [_log_in(url, CLIENTS + number) for number in range(VISITORS)]
    with running_load(plan_calls(shop.url, busy, seconds + 2 * RISE)):
        time.sleep(RISE)
        [found] = run_load(plan_calls(url, visitors, seconds, pace=1.0))
    times = [answer.milliseconds for answer in found.answers]
    return {"statuses": dict(_count(found.answers)), "p50": quantile(times, 0.5), "longest": max(times)}


def measure_others(shop: Shop, seconds: float) -> dict[str, Any]:
    """Return the latencies of other calls without log-ins, and beside each flood."""
    reads = [_read(name, shop) for name, clients in OTHERS.items() for _ in range(clients)]
    times: dict[tuple[str, str], list[float]] = {(name, when): [] for name in OTHERS for when in FLOODS}
    tries: dict[str, Counter[str]] = {when: Counter() for when in FLOODS}
    errors = 0
    for _ in range(ROUNDS):
        for when, flood in FLOODS.items():
            plans = [_plan_flood(shop, flood, seconds + 2 * RISE)] if flood else []
            with running_load(*plans) as flooding:
                time.sleep(RISE)
                [found] = run_load(plan_calls(shop.url, reads, seconds, pace=PACE))
            for answer in found.answers:
                times[answer.name, when].append(answer.milliseconds)
                errors += answer.status != 200
            for load in flooding:
                tries[when] += _count(load.result().answers)
    calls: dict[str, dict[str, float | None]] = {name: {} for name in OTHERS}
    for (name, when), found_times in times.items():
        calls[name] |= {f"{when}_{share}": quantile(found_times, share / 100) for share in (50, 99)}
    return {"calls": calls, "errors": errors, "tries": {when: dict(each) for when, each in tries.items()}}


def render(results: Mapping[str, Any]) -> list[str]:
    """Return the numbers as Markdown."""
    verification, products = results["verification"], results["products"]
    logins, visitors, others = results["logins"], results["visitors"], results["others"]
    floods = {when: flood.title for when, flood in FLOODS.items() if flood}
    tries = [f"{title} {_write(others['tries'][when])}" for when, title in floods.items()]
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
            + "; ".join(f"{title} {_write_times(times, when)}" for when, title in floods.items())
            for name, times in others["calls"].items()
        ],
        f"- What became of their tries: {'; '.join(tries)}.",
    ]


def _read(name: str, shop: Shop) -> Call:
    """Return the call of a new guest."""
    return Call("GET", name.removeprefix("GET "), headers=shop.enter(), name=name)


def _log_in(url: str, number: int) -> Call:
    """Create an account; return the call that logs in to it, from an address of its own."""
    credentials = {"username": f"bench-{number}-{time.time_ns()}", "password": PASSWORD}
    headers = {"X-Forwarded-For": f"192.0.2.{number + 1}"}
    requests.post(f"{url}/auth/register", json=credentials, headers=headers, timeout=20).raise_for_status()
    return Call("POST", "/auth", credentials, headers)


def _plan_flood(shop: Shop, flood: Flood, seconds: float) -> Plan:
    url = shop.url if flood.through_gateway else shop.services["auth-service"]["url"]
    tries = [Tries(client, flood.address) for client in range(CLIENTS)]
    return plan_calls(url, tries, seconds, pace=flood.pace)


def _count(answers: Iterable[Answer]) -> Counter[str]:
    return Counter(str(answer.status) for answer in answers)


def _count_pages(shop: Shop) -> float:
    """Return the number of product pages that catalog-service has answered, all replicas together."""
    ports = [replica["port"] for replica in shop.services["catalog-service"]["replicas"]]
    texts = [requests.get(f"http://127.0.0.1:{port}/metrics", timeout=20).text for port in ports]
    lines = [line for text in texts for line in text.splitlines()]
    pages = [line for line in lines if line.startswith(DURATIONS) and 'http_route="/products"' in line]
    return sum(float(line.rpartition(" ")[2]) for line in pages)


def _measure_memory(shop: Shop) -> float:
    return add_up([*map(measure_memory, shop.pids["auth-service"])]).pss_mib


def _time(work: Callable[[], object], rounds: int) -> float:
    """Return the microseconds of processor time in the median round."""
    spent = timeit.repeat(work, timer=time.process_time, repeat=rounds, number=CALLS)
    return round(statistics.median(spent) / CALLS * 1e6, 1)


def _write_times(times: dict[str, float], when: str) -> str:
    times_quiet = f", x {times[f'{when}_99'] / times['quiet_99']:.2f}" if when != "quiet" else ""
    return f"{times[f'{when}_99']:.1f} ({times[f'{when}_50']:.1f}){times_quiet}"


def _write(statuses: dict[str, int]) -> str:
    return ", ".join(f"{number} x {status}" for status, number in sorted(statuses.items())) or "none"
