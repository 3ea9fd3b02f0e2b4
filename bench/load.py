"""Put a shop under load and write what came of it to stdout: `python -m bench.load '{"scenario": …}'`.

A process of its own, because Locust patches the standard library for gevent. The loop is closed: each client
makes its next call when it has the answer to the last, and waits no time in between.
"""

import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

# gevent comes with locust, and has no types.
import gevent  # type: ignore[import-untyped]
from gevent.event import Event  # type: ignore[import-untyped]
from gevent.lock import Semaphore  # type: ignore[import-untyped]
from locust import FastHttpUser, constant, task
from locust.env import Environment
from locust.exception import StopUser

from bench.plan import Plan
from bench.scenarios import SCENARIOS, Call, Product, Scenario, Visit
from bench.statistics import quantile

TIMEOUT = 20.0  # Seconds for an answer; none at all is counted as status 0.
PAGE = 100


class Records:
    """The answers that came while `is_on`."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self.is_on = False
        self.milliseconds: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.steps: dict[str, list[float]] = {}

    def add(self, *, name: str, response_time: float, response: Any, **_rest: Any) -> None:
        """Take down an answer; Locust calls this for each."""
        if not self.is_on:
            return
        if name != self._scenario.name:
            self.steps.setdefault(name, []).append(response_time)
            return
        status = read_status(response)
        self.statuses[status] += 1
        if status in self._scenario.expected:
            self.milliseconds.append(response_time)


def run(plan: Plan) -> dict[str, Any]:
    """Warm up, measure, and return the numbers; times are in milliseconds and rates in calls a second."""
    scenario = next(each for each in SCENARIOS if each.name == plan.scenario)
    records, shop = Records(scenario), Shop(scenario)
    environment = Environment(user_classes=[make_user_class(shop)], host=plan.url)
    # Neither have locust's events.
    environment.events.request.add_listener(records.add)  # type: ignore[no-untyped-call]
    runner = environment.create_local_runner()
    runner.start(plan.clients, spawn_rate=plan.clients)
    try:
        shop.wait_for_clients(plan.clients)
        shop.is_open.set()
        if plan.warm_up:
            shop.has_ended.wait(plan.warm_up)
        records.is_on, began, cpu = True, time.perf_counter(), _cpu_seconds()
        shop.has_ended.wait(plan.seconds)
        records.is_on, seconds, cpu = False, time.perf_counter() - began, _cpu_seconds() - cpu
    finally:
        runner.quit()
    counted = records.statuses
    good = sum(number for status, number in counted.items() if status in scenario.expected)
    refused = sum(number for status, number in counted.items() if status in scenario.refusals)
    return asdict(plan) | {
        "seconds": round(seconds, 3),
        "ended_early": shop.has_ended.is_set(),
        "rate": round(good / seconds, 1),
        "p50": quantile(records.milliseconds, 0.50),
        "p99": quantile(records.milliseconds, 0.99),
        "good": good,
        "refused": refused,
        "errors": counted.total() - good - refused,
        "statuses": dict(sorted(counted.items())),
        "bad_statuses": sorted(counted.keys() - scenario.expected - scenario.refusals),
        # Of one core; near 1 the load is what is slow, and not the shop.
        "load_cpu": round(cpu / seconds, 2),
        # The calls that a visit is made of.
        "steps": {
            name: {"p50": quantile(times, 0.50), "p99": quantile(times, 0.99)}
            for name, times in records.steps.items()
        },
    }


class Shop:
    """What the clients share: the calls still to be made, when to begin, and whether all have ended."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.is_open = Event()
        self.has_ended = Event()
        self._has_looked = False
        self._calls: Iterator[Call | Visit] = iter(())
        self._first: Iterator[Call] = iter(())
        self._looking = Semaphore()
        self._clients = 0
        self._failure: str | None = None

    def enter(self, client: FastHttpUser) -> tuple[str, str]:
        """Make a client a guest and let it do what comes first, wait for the others; return token and id.

        The first one also looks what there is to buy.
        """
        try:
            answer = client.client.post("/auth/guest")
            token = str((answer.json() or {})["access_token"])
            with self._looking:
                if not self._has_looked:
                    self._make_all_calls(_read_products(client, token))
            made = self._make_first(client, token)
        except Exception as error:
            self._failure = f"A client could not come in: {error!r}"
            raise
        self._clients += 1
        self.is_open.wait()
        return token, made

    def _make_all_calls(self, products: Sequence[Product]) -> None:
        self._has_looked = True
        self._calls = self.scenario.make_calls(products)
        if self.scenario.make_first:
            self._first = self.scenario.make_first(products)

    def _make_first(self, client: FastHttpUser, token: str) -> str:
        call = next(self._first, None)
        if call is None:
            return ""
        headers = {**call.headers, "Authorization": f"Bearer {token}"}
        answer = client.client.request(call.method, call.path, name="first", json=call.json, headers=headers)
        return str((answer.json() or {})["id"])

    def wait_for_clients(self, number: int) -> None:
        """Wait until all are in; raise SystemExit if one cannot."""
        with gevent.Timeout(60, SystemExit("The clients did not come in within 60 s.")):
            while self._clients < number:
                if self._failure:
                    raise SystemExit(self._failure)
                gevent.sleep(0.02)

    def next_call(self) -> Call | Visit:
        """Return the next call, or end the client if there is none."""
        call = next(self._calls, None)
        if call is None:
            self._clients -= 1
            if not self._clients:
                self.has_ended.set()
            raise StopUser
        return call


def make_user_class(shop: Shop) -> type[FastHttpUser]:
    """Return the kind of client that Locust is to run."""

    class Client(FastHttpUser):
        wait_time = constant(0)
        network_timeout = connection_timeout = TIMEOUT

        def on_start(self) -> None:
            self.token, self.made = shop.enter(self)

        @task
        def call(self) -> None:
            match shop.next_call():
                case Call() as call:
                    self._make(call, self.token, shop.scenario.name)
                case Visit() as visit:
                    self._visit(visit)

        def _visit(self, visit: Visit) -> None:
            """Make the calls of a visit; Locust is told of each, and of all of them together."""
            self.client.cookiejar.clear()
            began = time.perf_counter()
            answer = self.client.post("/auth/guest", name="POST /auth/guest")
            token = str(answer.json()["access_token"]) if answer.status_code == 201 else ""
            for call in visit.calls if token else ():
                answer = self._make(call, token, f"{call.method} {call.route or call.path}")
                if read_status(answer) not in {200, 201}:
                    break
            self.environment.events.request.fire(
                request_type="visit",
                name=shop.scenario.name,
                response_time=(time.perf_counter() - began) * 1000,
                response_length=0,
                response=answer,
                exception=None,
                context={},
            )

        def _make(self, call: Call, token: str, name: str) -> Any:
            headers = {**call.headers, "Authorization": f"Bearer {token}"}
            path = call.path.replace("{id}", self.made)
            return self.client.request(call.method, path, name=name, json=call.json, headers=headers)

    return Client


def read_status(response: Any) -> int:
    """Return the answer's status; 0 stands for none at all."""
    return getattr(response, "status_code", 0) or 0


def _read_products(client: FastHttpUser, token: str) -> list[Product]:
    products: list[Product] = []
    path: str | None = f"/products?limit={PAGE}"
    while path:
        page = client.client.get(path, headers={"Authorization": f"Bearer {token}"}, name="products").json()
        products += page["data"]
        path = f"/products?limit={PAGE}&cursor={page['next']}" if page["next"] else None
    return products


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    print(json.dumps(run(Plan(**json.loads(sys.argv[1])))))
