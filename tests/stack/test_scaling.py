"""Scaling and replacing under load: nobody who reads or buys notices."""

import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.stacks import SERVICES, ComposeStack, ProcessStack, Shopper, Stack, docker, docker_or_skip
from tests.steady import Load, steady_load
from tests.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

BEFORE, AFTER = 1.0, 3.0  # Seconds of load around what is done.


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


@pytest.fixture(params=["fleet_of_processes", "fleet_of_containers"])
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


def test_scaling_up_and_down_one_at_a_time_loses_no_request(fleet_of_containers: ComposeStack) -> None:
    with steady_load(fleet_of_containers.url) as load:
        time.sleep(BEFORE)
        for replicas in ({"orders": 3}, {"orders": 3, "catalog": 3}, {"catalog": 3}, {}):
            scale(fleet_of_containers, **replicas)
        time.sleep(AFTER)
    check(load)


def test_replacing_containers_leaves_as_many_new_ones(fleet_of_containers: ComposeStack) -> None:
    scale(fleet_of_containers)
    before = set(fleet_of_containers.containers("payments-service"))
    fleet_of_containers.roll("payments-service")
    after = set(fleet_of_containers.containers("payments-service"))
    assert len(after) == 2
    assert not before & after


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
