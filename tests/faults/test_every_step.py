"""Whatever dies at whatever step of a checkout: the order gets where it was going, and the books are right.

The steps are not listed here. An order to which nothing happens shows all the points that its work passes;
then an order is placed for each point, and something is killed just when it is there.
"""

import os
import signal
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from local import audit
from tests.faults.customers import FINAL_WITHIN, Customer
from tests.faults.points import FOLDER, Points
from tests.stacks import ProcessStack

pytestmark = [pytest.mark.shop, pytest.mark.timeout(1800)]

ATTEMPTS = 3  # To come to a point; whether an order passes one may depend on who is faster.
Journey = Callable[[Customer, Customer], str]


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Points:
    """The fault points of the stack."""
    return Points(tmp_path_factory.mktemp("points") / "points")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, points: Points) -> Iterator[ProcessStack]:
    """A stack with fault points."""
    stack = ProcessStack(
        tmp_path_factory.mktemp("faults") / "state",
        module="tests.faults.launch",
        **{FOLDER: str(points.folder)},
    )
    stack.start()
    yield stack
    stack.stop()


def buy(customer: Customer, _admin: Customer) -> str:
    """Buy something."""
    answer = customer.order(uuid.uuid4().hex, "pm_card_visa")
    assert answer.status_code in {201, 202}, answer.text
    order: str = answer.json()["id"]
    expect(customer, order, "paid")
    return order


def be_declined(customer: Customer, _admin: Customer) -> str:
    """Try to buy something with a card that the bank declines."""
    answer = customer.order(uuid.uuid4().hex, "pm_card_chargeDeclined")
    assert answer.status_code in {202, 402}, answer.text
    order: str = answer.json()["id" if answer.status_code == 202 else "order_id"]
    assert expect(customer, order, "cancelled")["reason"] == "payment_declined"
    return order


def be_asked_by_the_bank(customer: Customer, _admin: Customer) -> str:
    """Buy something with a card whose bank asks the customer, who approves."""
    answer = customer.order(uuid.uuid4().hex, "pm_card_authenticationRequired")
    assert answer.status_code in {201, 202}, answer.text
    order: str = answer.json()["id"]
    payment = expect(customer, order, "awaiting_payment")["payment"]["id"]
    answer = customer.confirm(uuid.uuid4().hex, payment)
    assert answer.status_code == 200, answer.text
    expect(customer, order, "paid")
    return order


def cancel(customer: Customer, admin: Customer) -> str:
    """Buy something, and think better of it."""
    order = buy(customer, admin)
    answer = customer.insist("POST", f"/orders/{order}/cancel")
    assert answer.status_code in {200, 202}, answer.text
    cancelled = expect(customer, order, "cancelled")
    assert cancelled["reason"] == "cancelled_by_customer"
    assert cancelled["amount_refunded"] == cancelled["amount"]
    return order


def have_refunded(customer: Customer, admin: Customer) -> str:
    """Buy something, and get the money back in two parts, and the units into stock with the second."""
    order = buy(customer, admin)
    for part in ({"amount": 1}, {"restock": True}):
        answer = admin.refund(uuid.uuid4().hex, order, **part)
        assert answer.status_code in {200, 201, 202}, answer.text
    refunded = expect(customer, order, "refunded")
    assert refunded["amount_refunded"] == refunded["amount"]
    return order


def expect(customer: Customer, order_id: str, status: str) -> dict[str, Any]:
    """Wait until the order has got there."""
    return customer.wait_for_order(order_id, lambda order: order["status"] == status, seconds=FINAL_WITHIN)


JOURNEYS: dict[str, Journey] = {
    "bought": buy,
    "declined": be_declined,
    "approved by the bank": be_asked_by_the_bank,
    "cancelled": cancel,
    "refunded": have_refunded,
}


class Trouble:
    """A shop, in which something is killed while somebody is at a point."""

    def __init__(self, shop: ProcessStack, points: Points) -> None:
        self.shop = shop
        self.points = points

    def walk(self, journey: Journey, request_id: str) -> str:
        """Make the journey, under this request id."""
        with Customer(self.shop.url, request_id) as customer, Customer(self.shop.url, request_id) as admin:
            customer.come_in()
            admin.come_in_as_admin()
            return journey(customer, admin)

    def find_points(self, journey: Journey, service: str) -> list[str]:
        """Return the points of a service that a journey passes to which nothing happens.

        Those that not each journey passes, such as the fifth look for an answer, are left out.
        """
        walks = []
        for _ in range(2):
            request_id = uuid.uuid4().hex
            self.walk(journey, request_id)
            walks.append(self.points.read_names(request_id))
        return [name for name in walks[0] if name in walks[1] and name.startswith(service)]

    def kill_at_each(self, journey: Journey, names: list[str], kill: Callable[[int], None]) -> list[str]:
        """Make the journey once for each point and kill something there; return what went wrong.

        Where an order's work was cut off it is gone on with by itself, while the next is on its way.
        """
        wrong: list[str] = []
        with ThreadPoolExecutor(ATTEMPTS * len(names)) as pool:
            walks: list[tuple[str, Future[str]]] = []

            def kill_at(name: str) -> bool:
                request_id = uuid.uuid4().hex
                self.points.arm(request_id, name)
                walk = pool.submit(self.walk, journey, request_id)
                walks.append((name, walk))
                pid = self.points.wait_until_reached(request_id, unless=walk.done)
                if pid:
                    kill(pid)
                self.points.go_on(request_id)
                return pid is not None

            for name in names:
                if not any(kill_at(name) for _ in range(ATTEMPTS)):
                    wrong.append(f"{name}: was never reached")
        return wrong + [f"{name}: {walk.exception()!r}" for name, walk in walks if walk.exception()]

    def audit(self) -> list[str]:
        """Return what is wrong with the books, or still under way."""
        findings, moving = audit.audit(audit.find_databases({"STATE": str(self.shop.state)}))
        broken = [f"{finding.rule}: {finding.examples}" for finding in findings if finding.broken]
        return broken + ([f"{moving} orders are in progress"] if moving else [])


@pytest.fixture
def trouble(shop: ProcessStack, points: Points) -> Trouble:
    """The shop and its points."""
    return Trouble(shop, points)


def kill_group(pid: int) -> None:
    """End a process and all of its replica."""
    os.killpg(os.getpgid(pid), signal.SIGKILL)


@pytest.mark.parametrize("service", ["orders-service", "payments-service", "catalog-service"])
@pytest.mark.parametrize("journey", JOURNEYS)
def test_a_service_is_killed_at_each_of_its_points(trouble: Trouble, journey: str, service: str) -> None:
    names = trouble.find_points(JOURNEYS[journey], service)
    if JOURNEYS[journey] in {cancel, have_refunded}:
        # They begin with what is bought, whose points have been seen to.
        bought = trouble.find_points(buy, service)
        names = [name for name in names if name not in bought]
    assert names
    assert trouble.kill_at_each(JOURNEYS[journey], names, kill_group) == []
    assert trouble.audit() == []


@pytest.mark.parametrize("victim", ["payments-service", "catalog-service", "gateway", "postgres"])
def test_another_part_is_killed_at_each_point_of_orders(trouble: Trouble, victim: str) -> None:
    names = trouble.find_points(buy, "orders-service")
    assert trouble.kill_at_each(buy, names, lambda _pid: trouble.shop.kill(victim)) == []
    assert trouble.audit() == []
