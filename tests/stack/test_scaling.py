"""Scaling and replacing under load: nobody who reads or buys notices."""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.customers import Customer
from tests.stacks import SERVICES, ComposeStack, ProcessStack, Shopper, Stack, docker, docker_or_skip
from tests.steady import Load, steady_load
from tests.waiting import wait_for

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

BEFORE, AFTER = 1.0, 3.0  # Seconds of load around what is done.
BUYERS = 3  # Each with one call on its way.
PRODUCT = 30


@pytest.fixture(scope="module")
def fleet_of_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessStack]:
    """A process stack with two replicas of each service."""
    scale = ",".join(f"{service}=2" for service in SERVICES)
    stack = ProcessStack(tmp_path_factory.mktemp("fleet") / "state", SCALE=scale)
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture(scope="module")
def fleet_of_containers() -> Iterator[ComposeStack]:
    """The same with Docker."""
    docker_or_skip()
    stack = ComposeStack()
    try:
        stack.start()
        scale(stack)
        yield stack
    finally:
        stack.stop()


@pytest.fixture(
    params=[
        pytest.param("fleet_of_processes", marks=pytest.mark.xdist_group("fleet")),
        pytest.param("fleet_of_containers", marks=pytest.mark.xdist_group("compose")),
    ]
)
def fleet(request: pytest.FixtureRequest) -> Stack:
    """Each of them in turn."""
    stack: Stack = request.getfixturevalue(request.param)
    return stack


def scale(stack: ComposeStack, **replicas: int) -> None:
    """Have two replicas of each service, or as many as are named."""
    wanted = {service: replicas.get(service.partition("-")[0], 2) for service in SERVICES}
    words = [word for service, number in wanted.items() for word in ("--scale", f"{service}={number}")]
    stack.up("--no-recreate", *words)


def check(load: Load) -> None:
    """Look whether there was any load, and whether every call was answered as it should."""
    assert load.failures == []
    assert load.answered > 100


@pytest.mark.parametrize("service", SERVICES)
def test_replacing_a_services_replicas_loses_no_request(fleet: Stack, service: str) -> None:
    with steady_load(fleet.url) as load:
        time.sleep(BEFORE)
        fleet.roll(service)
        time.sleep(AFTER)
    check(load)


def test_reloading_the_gateway_and_a_new_signing_key_lose_no_request(fleet: Stack) -> None:
    with steady_load(fleet.url) as load:
        time.sleep(BEFORE)
        fleet.reload_gateway()
        fleet.command("auth-service", "auth.keys", "rotate")
        time.sleep(AFTER)
    check(load)


@pytest.mark.xdist_group("compose")
def test_scaling_up_and_down_one_at_a_time_loses_no_request(fleet_of_containers: ComposeStack) -> None:
    with steady_load(fleet_of_containers.url) as load:
        time.sleep(BEFORE)
        for replicas in ({"orders": 3}, {"orders": 3, "catalog": 3}, {"catalog": 3}, {}):
            scale(fleet_of_containers, **replicas)
        time.sleep(AFTER)
    check(load)


@pytest.mark.xdist_group("compose")
def test_replacing_containers_leaves_as_many_new_ones(fleet_of_containers: ComposeStack) -> None:
    scale(fleet_of_containers)
    before = set(fleet_of_containers.containers("payments-service"))
    fleet_of_containers.roll("payments-service")
    after = set(fleet_of_containers.containers("payments-service"))
    assert len(after) == 2
    assert not before & after


@pytest.mark.xdist_group("compose")
def test_replicas_share_the_load_and_a_new_one_has_its_part_within_seconds(
    fleet_of_containers: ComposeStack,
) -> None:
    scale(fleet_of_containers, catalog=3)
    seen: Counter[str] = Counter()
    with Shopper(fleet_of_containers.url) as shopper:

        def ask() -> str:
            return str(shopper.get("/healthz/catalog-service").json()["instance"])

        wait_for(lambda: len({ask() for _ in range(9)}) == 3, seconds=5)
        seen.update(ask() for _ in range(300))
    scale(fleet_of_containers)
    assert len(seen) == 3
    assert max(seen.values()) <= 1.2 * min(seen.values()), seen


@pytest.mark.xdist_group("compose")
def test_when_a_replica_is_killed_no_read_fails(fleet_of_containers: ComposeStack) -> None:
    victim, _other = fleet_of_containers.containers("catalog-service")
    try:
        with steady_load(fleet_of_containers.url, buyers=0) as load:
            time.sleep(BEFORE)
            docker("kill", victim)
            time.sleep(AFTER)
    finally:
        docker("start", victim)
    check(load)


@pytest.mark.xdist_group("compose")
def test_when_a_replica_is_killed_only_answers_on_their_way_are_lost_and_the_key_finds_them(
    fleet_of_containers: ComposeStack,
) -> None:
    url, is_over = fleet_of_containers.url, threading.Event()
    victim, _other = fleet_of_containers.containers("orders-service")
    with Customer(url) as admin:
        admin.come_in_as_admin()
        assert admin.put(f"/products/{PRODUCT}/stock", json={"on_hand": 10_000}).status_code == 200

    def buy(_number: int) -> tuple[int, set[str], set[str]]:
        """Return how many keys had to be shown again, the orders that were answered, and those there are."""
        lost, told = 0, set()
        with Customer(url) as customer:
            customer.come_in()
            while not is_over.is_set():
                before = customer.hiccups
                answer = customer.order(uuid.uuid4().hex, "pm_card_visa", product=PRODUCT)
                assert answer.status_code in {201, 202}, answer.text
                lost += customer.hiccups > before
                told.add(answer.json()["id"])
            return lost, told, read_orders(customer)

    try:
        with ThreadPoolExecutor(BUYERS) as buyers:
            buying = [buyers.submit(buy, number) for number in range(BUYERS)]
            time.sleep(BEFORE)
            docker("kill", victim)
            time.sleep(AFTER)
            is_over.set()
            bought = [each.result() for each in buying]
    finally:
        is_over.set()
        docker("start", victim)
    assert sum(lost for lost, _told, _found in bought) <= BUYERS
    for _lost, told, found in bought:
        assert told == found
        assert told


def read_orders(customer: Customer) -> set[str]:
    """Return the id of each order of a customer."""
    found, cursor = set(), ""
    while True:
        page = customer.insist("GET", f"/orders?limit=100{cursor}").json()
        found |= {order["id"] for order in page["data"]}
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"
