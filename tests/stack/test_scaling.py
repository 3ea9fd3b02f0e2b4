"""Scaling and rolling under load: no call of a reading or buying customer fails."""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest

from tests.faults.customers import Customer
from tests.stacks import SERVICES, ComposeStack, ProcessStack, Shopper, Stack, docker
from tests.steady import Load, steady_load
from tests.waiting import wait_for

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

ENOUGH = 100  # Calls before a change, and again after it.
AFTER = 3.0  # Seconds of load after a change; the gateway's list of addresses may be that old.
BUYERS = 3  # Each makes one call at a time.
PRODUCT = 30


@pytest.fixture(scope="module")
def fleet_of_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessStack]:
    """A process stack with two replicas of each service."""
    scale = ",".join(f"{service}=2" for service in SERVICES)
    stack = ProcessStack(tmp_path_factory.mktemp("fleet") / "state", SCALE=scale)
    stack.start()
    yield stack
    assert stack.stop() == 0


@pytest.fixture(scope="module")
def fleet_of_containers(compose: ComposeStack) -> Iterator[ComposeStack]:
    """The Compose stack with two replicas of each service during this file."""
    scale(compose)
    yield compose
    scale(compose, default=1)


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


def scale(stack: ComposeStack, *, default: int = 2, **replicas: int) -> None:
    """Scale the named services, and all others to two replicas."""
    wanted = {service: replicas.get(service.partition("-")[0], default) for service in SERVICES}
    words = [word for service, number in wanted.items() for word in ("--scale", f"{service}={number}")]
    stack.up("--no-recreate", *words)


def identify(stack: Stack, service: str) -> set[str]:
    """Return the processes or containers of a service's replicas."""
    if isinstance(stack, ComposeStack):
        return set(stack.containers(service))
    assert isinstance(stack, ProcessStack)
    return {str(replica["pid"]) for replica in stack.describe()["services"][service]["replicas"]}


def let_pass(load: Load, calls: int = ENOUGH) -> None:
    """Wait for that many more calls."""
    enough = load.answered + calls
    wait_for(lambda: load.answered > enough)


def finish(load: Load) -> None:
    """Keep calling while the gateway may remember a stopped replica."""
    load.during = "after all"
    time.sleep(AFTER)
    let_pass(load)


def test_replacing_the_replicas_of_every_service_loses_no_request_and_leaves_as_many_new_ones(
    fleet: Stack,
) -> None:
    replaced = {}
    with steady_load(fleet.url) as load:
        let_pass(load)
        for service in SERVICES:
            load.during = f"while {service} was replaced"
            before = identify(fleet, service)
            fleet.roll(service)
            after = identify(fleet, service)
            replaced[service] = (len(after), before & after)
            let_pass(load)
        finish(load)
    assert load.failures == []
    assert replaced == dict.fromkeys(SERVICES, (2, set()))


def test_reloading_the_gateway_and_a_new_signing_key_lose_no_request(fleet: Stack) -> None:
    def read_kid() -> str:
        with Shopper(fleet.url) as guest:
            answer = guest.post("/auth/guest")
        return str(jwt.get_unverified_header(answer.json()["access_token"])["kid"])

    with steady_load(fleet.url) as load:
        let_pass(load)
        load.during = "after a reload and a rotation"
        fleet.reload_gateway()
        new = fleet.command("auth-service", "auth.commands.signing_keys", "rotate", "--after", "5").split()[0]
        # Both replicas sign with it.
        wait_for(lambda: [read_kid() for _ in range(4)] == [new] * 4)
        finish(load)
    assert load.failures == []


@pytest.mark.xdist_group("compose")
def test_scaling_up_and_down_one_at_a_time_loses_no_request(fleet_of_containers: ComposeStack) -> None:
    with steady_load(fleet_of_containers.url) as load:
        let_pass(load)
        for replicas in ({"orders": 3}, {"orders": 3, "catalog": 3}, {"catalog": 3}, {}):
            load.during = f"on the way to {replicas}"
            scale(fleet_of_containers, **replicas)
        finish(load)
    assert load.failures == []


@pytest.mark.xdist_group("compose")
def test_replicas_share_the_load_and_a_new_one_joins_within_seconds(
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
            let_pass(load)
            docker("kill", victim)
            finish(load)
    finally:
        docker("start", victim)
    assert load.failures == []


@pytest.mark.xdist_group("compose")
def test_a_killed_replica_loses_only_answers_in_flight_and_the_key_finds_the_orders(
    fleet_of_containers: ComposeStack,
) -> None:
    url, is_over = fleet_of_containers.url, threading.Event()
    victim, _other = fleet_of_containers.containers("orders-service")
    with Customer(url) as admin:
        admin.log_in_as_admin()
        assert admin.put(f"/products/{PRODUCT}/stock", json={"on_hand": 10_000}).status_code == 200

    bought_by = [0] * BUYERS

    def buy(number: int) -> tuple[int, set[str], set[str]]:
        """Return the number of retried keys, the answered orders and the existing orders."""
        lost, answered = 0, set()
        with Customer(url) as customer:
            customer.start_guest_session()
            while not is_over.is_set():
                before = customer.hiccups
                answer = customer.order(uuid.uuid4().hex, "pm_card_visa", product=PRODUCT)
                assert answer.status_code in {201, 202}, answer.text
                lost += customer.hiccups > before
                answered.add(answer.json()["id"])
                bought_by[number] += 1
            return lost, answered, read_orders(customer)

    try:
        with ThreadPoolExecutor(BUYERS) as buyers:
            buying = [buyers.submit(buy, number) for number in range(BUYERS)]
            wait_for(lambda: min(bought_by) > 1 or any(each.done() for each in buying))
            docker("kill", victim)
            time.sleep(AFTER)
            is_over.set()
            bought = [each.result() for each in buying]
    finally:
        is_over.set()
        docker("start", victim)
    assert sum(lost for lost, _told, _found in bought) <= BUYERS
    for _lost, answered, found in bought:
        assert answered == found
        assert answered


def read_orders(customer: Customer) -> set[str]:
    """Return the id of each order of a customer."""
    found, cursor = set(), ""
    while True:
        page = customer.call_until_answered("GET", f"/orders?limit=100{cursor}").json()
        found |= {order["id"] for order in page["data"]}
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"
