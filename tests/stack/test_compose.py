"""The Compose stack: networks, images and secrets."""

from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

import pytest

from tests.stacks import SERVICES, Shopper, docker
from tests.waiting import wait_for

pytestmark = [pytest.mark.long, pytest.mark.timeout(900), pytest.mark.xdist_group("compose")]


def test_a_service_recovers_under_another_address_after_a_network_cut_to_its_database(compose):
    replicas = [name for name in compose.list_replicas() if "orders" in name or "logs" in name]

    def read_addresses():
        networks = [compose.inspect(replica)["NetworkSettings"]["Networks"] for replica in replicas]
        return [ip_address(each[f"{compose.project}_back"]["IPAddress"]) for each in networks]

    before = read_addresses()
    with Shopper(compose.url) as shopper:
        shopper.log_in()
        assert shopper.get("/orders").status_code == 200
        for replica in replicas:
            compose.strike(replica, "disconnect")
        # More calls than the pool has connections, so that each connection waits for an answer that never
        # arrives.
        with ThreadPoolExecutor(12) as pool:
            statuses = set(pool.map(lambda _: shopper.get("/orders").status_code, range(12)))
        assert statuses <= {503, 504}
        # The engine assigns the lowest free address, so the higher of the two is released first.
        for _address, replica in sorted(zip(before, replicas, strict=True), reverse=True):
            compose.heal(replica)
        assert read_addresses() == before[::-1]
        wait_for(lambda: {shopper.get("/orders").status_code for _ in range(5)} == {200}, seconds=40)


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_has_only_its_own_service_and_shared_inside(compose, service):
    listed = docker("run", "--rm", "--entrypoint", "ls", f"shopfleet/{service}", "/app").split()
    package = service.removesuffix("-service")
    known = {"shared", package, "migrations", "requirements.txt", "users.json"}
    # The storefront's page, which catalog-service completes.
    known |= {"gateway"} if service == "catalog-service" else set()
    assert {"shared", package} <= set(listed) <= known


def test_a_service_sees_its_own_secrets_only(compose):
    listed = compose.compose(
        "exec", "--no-TTY", "catalog-service", "find", "/run/secrets", "-type", "f"
    ).stdout.split()
    names = {path.rpartition("/")[2] for path in listed if "upstream" not in path}
    assert names == {"database-password", "client-secret"}


def test_no_environment_has_a_secret(compose):
    for part in [*SERVICES, "postgres"]:
        [container] = compose.containers(part)
        for variable in compose.inspect(container)["Config"]["Env"]:
            name, _, value = variable.partition("=")
            assert "PASSWORD" not in name or name.endswith("_FILE"), name
            assert "SECRET" not in name or name.endswith("_FILE"), name
            assert "://" not in value or "@" not in value or ":" not in value.split("://")[1].split("@")[0]
