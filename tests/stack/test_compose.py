"""What is special about the Compose stack: scaling, hardening, and each service on its own."""

from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

import pytest

from tests.stacks import SERVICES, Shopper, docker, read_instances
from tests.waiting import wait_for

pytestmark = [pytest.mark.shop, pytest.mark.timeout(900)]


def test_coming_up_a_second_time_changes_nothing_and_succeeds(compose):
    before = {service: compose.containers(service) for service in SERVICES}
    compose.up()
    assert {service: compose.containers(service) for service in SERVICES} == before


def test_a_service_scales_up_and_down_and_the_gateway_follows_by_itself(compose):
    gateway = compose.containers("gateway")
    with Shopper(compose.url) as shopper:
        compose.up("--scale", "catalog-service=3")
        wait_for(lambda: len(read_instances(shopper, "catalog-service", seconds=1)) == 3, seconds=10)
        compose.up("--scale", "catalog-service=1")
        wait_for(lambda: len(read_instances(shopper, "catalog-service", seconds=2)) == 1, seconds=15)
        shopper.log_in()
        assert shopper.get("/products").status_code == 200
    assert compose.containers("gateway") == gateway


def test_a_service_that_was_cut_off_from_its_database_is_back_by_itself_at_another_address(compose):
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
        # More than the pool has connections: each is asked for an answer that never comes.
        with ThreadPoolExecutor(12) as pool:
            statuses = set(pool.map(lambda _: shopper.get("/orders").status_code, range(12)))
        assert statuses <= {503, 504}
        # The engine gives the lowest address that is free, so the higher of the two goes first.
        for _address, replica in sorted(zip(before, replicas, strict=True), reverse=True):
            compose.heal(replica)
        assert read_addresses() == before[::-1]
        wait_for(lambda: {shopper.get("/orders").status_code for _ in range(5)} == {200}, seconds=40)


@pytest.mark.parametrize("part", [*SERVICES, "gateway", "postgres"])
def test_a_container_may_do_no_more_than_it_needs(compose, part):
    [container] = compose.containers(part)
    shown = compose.inspect(container)
    host = shown["HostConfig"]
    assert shown["Config"]["User"] not in {"", "0", "root", "0:0"}
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Memory"] > 0
    assert host["Init"]
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert shown["State"]["Health"]["Status"] == "healthy"
    published = [bindings for bindings in shown["NetworkSettings"]["Ports"].values() if bindings]
    if part == "gateway":
        assert [binding["HostIp"] for bindings in published for binding in bindings] == ["127.0.0.1"]
    else:
        assert published == []


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_has_only_its_own_service_and_shared_inside(compose, service):
    listed = docker("run", "--rm", "--entrypoint", "ls", f"shopfleet/{service}", "/app").split()
    package = service.removesuffix("-service")
    known = {"shared", package, "migrations", "requirements.txt", "users.json"}
    assert {"shared", package} <= set(listed) <= known


def test_no_service_sees_anothers_secrets(compose):
    listed = compose.compose(
        "exec", "--no-TTY", "catalog-service", "find", "/run/secrets", "-type", "f"
    ).stdout.split()
    names = {path.rpartition("/")[2] for path in listed if "upstream" not in path}
    assert names == {"database-password", "client-secret"}


def test_no_secret_stands_in_an_environment(compose):
    for part in [*SERVICES, "postgres"]:
        [container] = compose.containers(part)
        for variable in compose.inspect(container)["Config"]["Env"]:
            name, _, value = variable.partition("=")
            assert "PASSWORD" not in name or name.endswith("_FILE"), name
            assert "SECRET" not in name or name.endswith("_FILE"), name
            assert "://" not in value or "@" not in value or ":" not in value.split("://")[1].split("@")[0]
