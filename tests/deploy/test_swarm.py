"""The shop on a real Swarm: deploy it, buy in it, upgrade it under load, and remove it again.

An engine that joins or leaves a Swarm may lose the DNS names of running containers. So these tests run only
if the engine belongs to no Swarm and runs no container. With `SWARM=yes` they also run next to other
containers, and fail if the engine already belongs to a Swarm. A run of all tests starts with them, in the
group `compose` (see conftest.py), before any other container of the run.
"""

import subprocess
import time
import uuid
from collections.abc import Iterator

import pytest

from tests.deploy.swarm_stack import SwarmStack, is_open, swarm_of_one
from tests.faults.customers import Customer
from tests.stacks import SERVICES, Shopper, docker
from tests.steady import steady_load
from tests.waiting import wait_for

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200), pytest.mark.xdist_group("compose")]

BEFORE, AFTER = 1.0, 3.0  # Seconds of load before and after a change.
BROKEN = 'FROM {image}\nCMD ["python", "-c", "raise SystemExit(1)"]\n'


@pytest.fixture(scope="module")
def swarm() -> Iterator[SwarmStack]:
    """The first version of the shop."""
    with swarm_of_one() as stack:
        stack.build("1")
        done = stack.deploy("1")
        assert done.returncode == 0, done.stdout + done.stderr
        wait_for(lambda: is_open(stack), seconds=30)
        yield stack


def test_a_guest_places_an_order_and_it_is_paid(swarm: SwarmStack) -> None:
    with Customer(swarm.url) as customer:
        customer.start_guest_session()
        answer = customer.order(uuid.uuid4().hex, "pm_card_visa")
        assert answer.status_code == 201, answer.text
        order_id = answer.json()["id"]
        customer.wait_for_order(order_id, lambda order: order["status"] == "paid", seconds=30)


def test_the_gateways_records_are_found_in_the_logs(swarm: SwarmStack) -> None:
    with Shopper(swarm.url) as admin:
        admin.log_in()
        request_id = admin.get("/orders").headers["X-Request-ID"]

        def read_services() -> set[str]:
            found = admin.get(f"/logs?request_id={request_id}").json()["data"]
            return {record["service"] for record in found}

        wait_for(lambda: read_services() == {"gateway", "orders-service"}, seconds=30)


def test_each_service_has_its_own_secrets_and_configs_of_the_swarm(swarm: SwarmStack) -> None:
    def list_secrets(service: str) -> set[str]:
        template = "{{range .Spec.TaskTemplate.ContainerSpec.Secrets}}{{.SecretName}} {{end}}"
        return set(docker("service", "inspect", f"--format={template}", f"{swarm.name}_{service}").split())

    own = {
        service: {f"{swarm.name}_{service}_database-password", f"{swarm.name}_{service}_client-secret"}
        for service in SERVICES[1:]
    }
    assert {service: list_secrets(service) for service in own} == own
    template = "{{range .Spec.TaskTemplate.ContainerSpec.Configs}}{{.File.Name}} {{end}}"
    configs = docker("service", "inspect", f"--format={template}", f"{swarm.name}_gateway").split()
    assert "/gateway/templates/nginx.conf.template" in configs


def test_a_new_version_of_every_service_loses_no_request(swarm: SwarmStack) -> None:
    swarm.build("2")
    gateway = swarm.containers("gateway")
    with steady_load(swarm.url) as load:
        time.sleep(BEFORE)
        done = swarm.deploy("2")
        time.sleep(AFTER)
    assert done.returncode == 0, done.stdout + done.stderr
    assert load.failures == []
    assert load.answered > 100
    assert swarm.containers("gateway") == gateway
    assert {service: swarm.versions(service) for service in SERVICES} == {
        service: {"2"} for service in SERVICES
    }


def test_a_version_that_fails_to_start_is_rolled_back_without_a_failed_request(swarm: SwarmStack) -> None:
    for service in SERVICES:
        docker("tag", f"shopfleet/{service}:{swarm.tag('1')}", f"shopfleet/{service}:{swarm.tag('broken')}")
    # The first service to be replaced; its failure stops the deployment.
    image = f"shopfleet/auth-service:{swarm.tag('broken')}"
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", image, "-"],
        input=BROKEN.format(image=image),
        text=True,
        capture_output=True,
        check=True,
    )
    before = {service: swarm.versions(service) for service in SERVICES}
    with steady_load(swarm.url, readers=1, buyers=1) as load:
        done = swarm.deploy("broken")
        wait_for(lambda: {service: swarm.versions(service) for service in SERVICES} == before, seconds=60)
        time.sleep(AFTER)
    assert done.returncode == 1
    assert f"{swarm.name}_auth-service failed to start" in done.stderr
    assert load.failures == []
    assert len(swarm.containers("auth-service")) == 2
    repaired = swarm.deploy(before["auth-service"].pop())
    assert repaired.returncode == 0, repaired.stdout + repaired.stderr


def test_a_killed_replica_is_replaced_and_no_read_fails(swarm: SwarmStack) -> None:
    victim, survivor = swarm.containers("catalog-service")
    with steady_load(swarm.url, buyers=0) as load:
        time.sleep(BEFORE)
        docker("kill", victim)
        wait_for(lambda: len(swarm.containers("catalog-service") - {victim, survivor}) == 1, seconds=60)
        time.sleep(AFTER)
    assert load.failures == []


def test_removing_the_stack_leaves_only_its_data_and_secrets(swarm: SwarmStack) -> None:
    docker("stack", "rm", swarm.name)
    wait_for(lambda: not swarm.running(), seconds=90)
    kept = docker("secret", "ls", "--quiet", "--filter", f"label=shopfleet.stack={swarm.name}").split()
    assert kept
    docker("secret", "rm", *kept)
    assert f"{swarm.name}_postgres-data" in swarm.volumes()
