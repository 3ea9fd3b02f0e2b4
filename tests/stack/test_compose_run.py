"""One run of `docker compose up`: scale a service, run the tutorial, pay an order, reach a mail server."""

import json
import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Debugging

from tests.stack.test_purchase import place, wait_until_paid
from tests.stacks import ROOT, SERVICES, ComposeStack, Shopper, docker, find_free_port, read_instances
from tests.waiting import wait_for

pytestmark = [pytest.mark.shop, pytest.mark.timeout(1800), pytest.mark.xdist_group("compose")]

# Run in a container: greet a mail server; print what the settings of mail contain.
GREET = """
import sys
from shared.mail import MailServer
print(MailServer(sys.argv[1], None).connect(lambda smtp: None).noop()[0])
"""
READ_MAIL_SETTINGS = """
from pathlib import Path
from orders.config import Settings
from shared.mail import read_letters
from shared.settings import read_settings
settings = read_settings(Settings)
print(settings.smtp_password.get_secret_value(), read_letters(settings, Path("orders/mails"), "").shop.name)
"""
MASQUERADING = "com.docker.network.bridge.enable_ip_masquerade"


def test_a_second_up_scales_a_service_the_gateway_follows_and_nothing_else_changes(
    compose: ComposeStack,
) -> None:
    before = {part: identify(compose, part) for part in [*SERVICES, "gateway", "postgres"]}
    with Shopper(compose.url) as shopper:

        def sees(replicas: int) -> bool:
            return len(read_instances(shopper, "catalog-service", seconds=1)) == replicas

        compose.up("--scale", "catalog-service=2")
        after = {part: identify(compose, part) for part in before}
        [added] = after["catalog-service"].keys() - before["catalog-service"].keys()
        wait_for(lambda: sees(2))
        docker("rm", "--force", added)
        wait_for(lambda: sees(1))
        shopper.log_in()
        assert shopper.get("/products").status_code == 200
    del after["catalog-service"][added]
    assert after == before


def identify(compose: ComposeStack, part: str) -> dict[str, list[str]]:
    """Return the ids of a service's containers with the configuration hash that Compose compares."""
    shown = {container: compose.inspect(container) for container in compose.containers(part)}
    labels = ("com.docker.compose.config-hash", "com.docker.compose.image")
    return {
        container: [each["Created"], *(each["Config"]["Labels"].get(label, "") for label in labels)]
        for container, each in shown.items()
    }


def test_the_tutorial_works_an_order_is_paid_and_the_books_agree(compose: ComposeStack) -> None:
    with Shopper(compose.url) as admin:
        wrong = admin.post("/auth", json={"username": "admin", "password": "wrong"})
        assert (wrong.status_code, wrong.json()["error"]) == (401, "Invalid username or password")
        assert admin.get("/products").json()["error"] == "Authorization token is missing"
        admin.log_in()
        assert len(admin.get("/products").json()["data"]) == 30
    with Shopper(compose.url) as guest:
        assert guest.post("/auth/guest").status_code == 201
        assert guest.put("/cart/items/1", json={"quantity": 2}).status_code == 200
        placed = place(guest, uuid.uuid4().hex)
        # On a busy machine the order may be finished after its answer.
        assert placed.status_code in {201, 202}, placed.text
        wait_until_paid(guest, placed.json()["id"])
    audit = compose.audit()
    assert audit.returncode == 0, audit.stdout + audit.stderr


def test_containers_have_no_more_rights_than_they_need(compose: ComposeStack) -> None:
    parts = [*SERVICES, "gateway", "postgres"]
    found = {part: describe_limits(compose.inspect(compose.containers(part)[0])) for part in parts}
    expected = {
        "runs as root": False,
        "root is read-only": True,
        "capabilities": (["ALL"], None),
        "may gain privileges": False,
        "memory is limited": True,
        "has an init": True,
        "restarts": "unless-stopped",
        "health": "healthy",
    }
    outside = {"gateway": ["127.0.0.1"]}
    assert found == {part: {**expected, "published on": outside.get(part, [])} for part in parts}


def describe_limits(shown: dict[str, Any]) -> dict[str, Any]:
    """Return the rights and limits of a container."""
    host = shown["HostConfig"]
    published = [each for bindings in shown["NetworkSettings"]["Ports"].values() for each in bindings or []]
    return {
        "runs as root": shown["Config"]["User"] in {"", "0", "root", "0:0"},
        "root is read-only": host["ReadonlyRootfs"],
        "capabilities": (host["CapDrop"], host["CapAdd"] or None),
        "may gain privileges": "no-new-privileges:true" not in host["SecurityOpt"],
        "memory is limited": host["Memory"] > 0,
        "has an init": host["Init"],
        "restarts": host["RestartPolicy"]["Name"],
        "health": shown["State"]["Health"]["Status"],
        "published on": [binding["HostIp"] for binding in published],
    }


@pytest.fixture
def mail_server() -> Iterator[int]:
    """The port of a mail server on this machine."""
    # Containers reach this machine by an address of its own.
    server = Controller(Debugging(), hostname="0.0.0.0", port=find_free_port())
    server.start()
    yield server.port
    server.stop()


@pytest.mark.parametrize("service", ["auth-service", "orders-service"])
def test_a_service_that_sends_mails_reaches_a_mail_server_outside(
    compose: ComposeStack, mail_server: int, service: str
) -> None:
    url = f"smtp://host.docker.internal:{mail_server}"
    done = compose.compose("exec", "--no-TTY", service, "python", "-c", GREET, url, check=False)
    assert done.stdout.strip() == "250", done.stderr


def test_only_services_that_call_servers_of_others_have_a_way_out(compose: ComposeStack) -> None:
    def is_open(network: str) -> bool:
        shown = json.loads(docker("network", "inspect", network))[0]
        return not shown["Internal"] and shown["Options"].get(MASQUERADING) != "false"

    def list_networks(part: str) -> list[str]:
        return list(compose.inspect(compose.containers(part)[0])["NetworkSettings"]["Networks"])

    found = {part: list_networks(part) for part in (*SERVICES, "gateway", "postgres")}
    closed = {part for part, networks in found.items() if not any(map(is_open, networks))}
    assert closed == {"gateway", "logs-service", "postgres"}


def test_the_gateway_learns_at_once_that_a_service_has_no_replica(compose: ComposeStack) -> None:
    [gateway] = compose.containers("gateway")
    # A time-out would keep the addresses of replicas that are gone.
    started = time.monotonic()
    done = subprocess.run(
        ["docker", "exec", gateway, "getent", "hosts", "stopped-service"], capture_output=True, check=False
    )
    assert done.returncode == 2
    assert time.monotonic() - started < 4


def test_a_relative_folder_of_templates_and_a_password_file_reach_the_service(
    compose: ComposeStack, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "shop.toml").write_text('name = "Tea"')
    (tmp_path / "password").write_text("secret\n")
    folder = os.path.relpath(tmp_path, ROOT)
    done = compose.compose(
        *("run", "--rm", "--no-deps", "--no-TTY", "orders-service", "python", "-c", READ_MAIL_SETTINGS),
        MAIL_TEMPLATES=folder,
        SMTP_PASSWORD_FILE=f"{folder}/password",
        check=False,
    )
    assert done.stdout.strip() == "secret Tea", done.stderr
