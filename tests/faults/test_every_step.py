"""Parts are killed at every step of a checkout; orders still end correctly, and the books stay correct.

The steps are not listed here. An undisturbed order shows all the points that its work passes. Then the test
places an order for each point, and kills a part while the order is there. `make test` kills once for each
state of the system between two commits, `make test-all` at every point.
"""

import os
import re
import signal
import sys
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle
from typing import Any, NamedTuple

import pytest

from tests.faults.customers import FINAL_WITHIN, Customer
from tests.faults.points import AT_ONCE, Point, Points, State, find_states
from tests.stacks import ProcessStack
from tests.waiting import wait_for
from tools import books

pytestmark = [pytest.mark.shop, pytest.mark.timeout(1800), pytest.mark.xdist_group("faults")]

PARTS = ("orders-service", "payments-service", "catalog-service")
ATTEMPTS = 3  # To reach a point; a race between threads may decide whether an order passes it.
# Concurrent orders are for different products, because a stopped order may lock its own. All have ample
# stock.
PRODUCTS = range(17, 28)
Journey = Callable[[Customer, Customer, int], str]


def buy(customer: Customer, _admin: Customer, product: int) -> str:
    """Buy a product."""
    answer = customer.order(uuid.uuid4().hex, "pm_card_visa", product=product)
    assert answer.status_code in {201, 202}, answer.text
    order: str = answer.json()["id"]
    expect(customer, order, "paid")
    return order


def be_declined(customer: Customer, _admin: Customer, product: int) -> str:
    """Try to buy with a card that the bank declines."""
    answer = customer.order(uuid.uuid4().hex, "pm_card_chargeDeclined", product=product)
    assert answer.status_code in {202, 402}, answer.text
    order: str = answer.json()["id" if answer.status_code == 202 else "order_id"]
    assert expect(customer, order, "cancelled")["reason"] == "payment_declined"
    return order


def buy_with_authentication(customer: Customer, _admin: Customer, product: int) -> str:
    """Buy with a card that requires authentication, which the customer completes."""
    answer = customer.order(uuid.uuid4().hex, "pm_card_authenticationRequired", product=product)
    assert answer.status_code in {201, 202}, answer.text
    order: str = answer.json()["id"]
    payment = expect(customer, order, "awaiting_payment")["payment"]["id"]
    answer = customer.confirm(uuid.uuid4().hex, payment)
    assert answer.status_code == 200, answer.text
    expect(customer, order, "paid")
    return order


def cancel(customer: Customer, admin: Customer, product: int) -> str:
    """Buy a product and cancel the order."""
    order = buy(customer, admin, product)
    answer = customer.call_until_answered("POST", f"/orders/{order}/cancel")
    assert answer.status_code in {200, 202}, answer.text
    cancelled = expect(customer, order, "cancelled")
    assert cancelled["reason"] == "cancelled_by_customer"
    assert cancelled["amount_refunded"] == cancelled["amount"]
    return order


def get_refunds(customer: Customer, admin: Customer, product: int) -> str:
    """Buy a product and get two refunds, the second with a return to stock."""
    order = buy(customer, admin, product)
    for part in ({"amount": 1}, {"restock": True}):
        answer = admin.refund(uuid.uuid4().hex, order, **part)
        assert answer.status_code in {200, 201, 202}, answer.text
    refunded = expect(customer, order, "refunded")
    assert refunded["amount_refunded"] == refunded["amount"]
    return order


def expect(customer: Customer, order_id: str, status: str) -> dict[str, Any]:
    """Wait until the order has this status."""
    return customer.wait_for_order(order_id, lambda order: order["status"] == status, seconds=FINAL_WITHIN)


JOURNEYS: dict[str, Journey] = {
    "bought": buy,
    "declined": be_declined,
    "approved by the bank": buy_with_authentication,
    "cancelled": cancel,
    "refunded": get_refunds,
}


class Stop(NamedTuple):
    """The point of a journey at which a part is killed."""

    journey: str
    point: Point

    def __str__(self) -> str:
        """Return its description for reports."""
        return f"{self.journey}, {self.point.name}"


class Walk(NamedTuple):
    """A journey in progress."""

    stop: Stop
    request_id: str
    order: Future[str]


class Stuck(Exception):
    """Some orders neither stopped nor ended, or a killed part did not restart."""


class FaultRunner:
    """Kills parts of a shop while orders are at fault points."""

    def __init__(self, shop: ProcessStack, points: Points) -> None:
        self.shop = shop
        self.points = points
        self._products = cycle(PRODUCTS)
        with Customer(shop.url) as admin:
            self._admin = admin.log_in_as_admin().headers["Authorization"]

    def walk(self, journey: str, request_id: str) -> str:
        """Make the journey with this request id."""
        with Customer(self.shop.url, request_id) as customer, Customer(self.shop.url, request_id) as admin:
            customer.start_guest_session()
            admin.headers["Authorization"] = self._admin
            return JOURNEYS[journey](customer, admin, next(self._products))

    def read_trace(self, journey: str) -> list[Point]:
        """Return the points that an undisturbed journey passes.

        Points that only some journeys pass, such as a fifth poll for a result, are omitted.
        """
        walks = []
        for _ in range(2):
            request_id = uuid.uuid4().hex
            self.walk(journey, request_id)
            walks.append(self.points.read_trace(request_id))
        return [point for point in walks[0] if point in walks[1]]

    def find_points(self, journey: str, service: str) -> list[Point]:
        """Return the distinct points of a service that a journey passes."""
        passed = [point for point in self.read_trace(journey) if point.service == service]
        return list(dict.fromkeys(passed))

    def kill_at_each(self, stops: list[Stop], kill: Callable[[set[int]], None]) -> list[str]:
        """Make the journey of each stop and kill a part there; return all failures.

        An interrupted order resumes by itself while the next ones are in progress.
        """
        walks: list[Walk] = []
        wrong: list[str] = []
        with ThreadPoolExecutor(ATTEMPTS * len(stops)) as pool:
            missed = stops
            try:
                for _ in range(ATTEMPTS):
                    tried, missed = missed, []
                    for together in divide(tried):
                        begun = [self._begin(pool, stop) for stop in together]
                        walks += begun
                        missed += self._kill_when_stopped(begun, kill)
            except Stuck as stuck:
                # The shop is broken, and each further kill would run into the same time-out.
                wrong.append(str(stuck))
        wrong += [f"{stop}: was never reached" for stop in missed]
        return wrong + [
            f"{walk.stop}: {walk.order.exception()!r}" for walk in walks if walk.order.exception()
        ]

    def _begin(self, pool: ThreadPoolExecutor, stop: Stop) -> Walk:
        request_id = uuid.uuid4().hex
        self.points.arm(request_id, stop.point.name)
        return Walk(stop, request_id, pool.submit(self.walk, stop.journey, request_id))

    def _kill_when_stopped(self, walks: list[Walk], kill: Callable[[set[int]], None]) -> list[Stop]:
        """Kill once all orders have stopped or ended; return the stops that were not reached."""
        find = self.points.find_stopped
        try:
            wait_for(lambda: all(find(walk.request_id) or walk.order.done() for walk in walks))
            stopped = {walk: pid for walk in walks if (pid := find(walk.request_id))}
            if stopped:
                kill(set(stopped.values()))
        except AssertionError as error:
            raise Stuck(f"{[str(walk.stop) for walk in walks]}: {error}") from error
        finally:
            for walk in walks:
                self.points.resume(walk.request_id)
        return [walk.stop for walk in walks if walk not in stopped]

    def audit(self) -> list[str]:
        """Return the violations of the books, once nothing is in progress."""
        urls = books.find_databases({"STATE": str(self.shop.state)})
        findings = wait_for(lambda: None if (found := books.check_books(urls))[1] else found[0])
        return [f"{finding.rule}: {finding.examples}" for finding in findings if finding.broken]


def divide(stops: list[Stop]) -> list[list[Stop]]:
    """Return groups of stops for one kill each; a claim is separate, because it could be of any order."""
    groups = []
    for service in PARTS:
        of_service = [stop for stop in stops if stop.point.service == service and not stop.point.is_claim]
        groups += [of_service[first : first + AT_ONCE] for first in range(0, len(of_service), AT_ONCE)]
    return groups + [[stop] for stop in stops if stop.point.is_claim]


def find_new_states(trace: list[Point], service: str, bought: list[Point]) -> list[State]:
    """Return the states of a journey that buying does not pass, regardless of the numbers of points."""
    known = {_name(state) for state in find_states(bought, service)} if trace is not bought else set()
    return [state for state in find_states(trace, service) if _name(state) not in known]


def _name(state: State) -> str:
    return re.sub(r" \d+\b", "", str(state))


def kill_replicas(pids: set[int]) -> None:
    """Kill the replicas of these processes, each with all of its processes."""
    for group in {os.getpgid(pid) for pid in pids}:
        os.killpg(group, signal.SIGKILL)


@pytest.fixture(scope="session")
def runner(shop: ProcessStack, points: Points) -> FaultRunner:
    """A runner for the shop and its fault points."""
    return FaultRunner(shop, points)


def test_a_service_is_killed_once_in_each_state_of_a_checkout(
    runner: FaultRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    traces = {journey: runner.read_trace(journey) for journey in JOURNEYS}
    stops = [
        Stop(journey, Point(state.latest))
        for journey, trace in traces.items()
        for service in PARTS
        for state in find_new_states(trace, service, traces["bought"])
    ]
    counted = Counter((stop.journey, stop.point.service) for stop in stops)
    with capsys.disabled():
        sys.stdout.write(f"\n{len(stops)} states of a checkout in which a service is killed:\n")
        sys.stdout.writelines(f"  {number:3} {' '.join(where)}\n" for where, number in counted.items())
    assert {service for _journey, service in counted} == set(PARTS)
    assert runner.kill_at_each(stops, kill_replicas) == []
    assert runner.audit() == []


@pytest.mark.long
@pytest.mark.parametrize("service", PARTS)
@pytest.mark.parametrize("journey", JOURNEYS)
def test_a_service_is_killed_at_each_of_its_points(runner: FaultRunner, journey: str, service: str) -> None:
    points = runner.find_points(journey, service)
    if journey in {"cancelled", "refunded"}:
        # These journeys start with a purchase, whose points the journey `bought` covers.
        bought = runner.find_points("bought", service)
        points = [point for point in points if point not in bought]
    assert points
    assert runner.kill_at_each([Stop(journey, point) for point in points], kill_replicas) == []
    assert runner.audit() == []


@pytest.mark.long
@pytest.mark.parametrize("victim", ["payments-service", "catalog-service", "gateway", "postgres"])
def test_a_different_part_is_killed_at_each_point_of_orders(runner: FaultRunner, victim: str) -> None:
    stops = [Stop("bought", point) for point in runner.find_points("bought", "orders-service")]
    assert runner.kill_at_each(stops, lambda _pids: runner.shop.kill(victim)) == []
    assert runner.audit() == []
