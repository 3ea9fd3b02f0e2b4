"""The Compose file is rendered for Swarm without any reference to this machine."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploy.swarm import read_compose, render_stack, split_stack
from tests.stacks import SERVICES, docker_or_skip

pytestmark = pytest.mark.shop

SECRETS = {
    "postgres": ["superuser-password"],
    "database": ["superuser-password", *(f"{service}-password" for service in SERVICES)],
    "auth-service": ["clients.json", "database-password"],
    **{service: ["client-secret", "database-password"] for service in SERVICES[1:]},
}


@pytest.fixture(scope="module", autouse=True)
def _docker() -> None:
    docker_or_skip()


def render(**environment: str) -> dict[str, Any]:
    """Return the stack `shop`, rendered with this environment."""
    base = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return render_stack(read_compose({**base, **environment}), "shop", SECRETS)


def test_no_files_of_this_machine_are_mounted_and_all_used_objects_exist() -> None:
    stack = render()
    for name, service in stack["services"].items():
        assert {each["type"] for each in service["volumes"]} <= {"volume", "tmpfs"}, name
        assert {each["source"] for each in service["volumes"] if "source" in each} <= stack["volumes"].keys()
        configs = [each["source"] for each in service.get("configs", [])]
        assert len(configs) == len(set(configs)), name
        for kind in ("secrets", "configs"):
            assert {each["source"] for each in service.get(kind, [])} <= stack[kind].keys(), name
        assert service["deploy"]["resources"]["limits"]["memory"], name


def test_each_service_gets_its_own_secrets_at_the_same_paths_as_with_compose() -> None:
    services = render()["services"]
    for service in SERVICES:
        targets = {each["source"]: each["target"] for each in services[service]["secrets"]}
        assert targets == {f"{service}_{name}": f"/run/secrets/shopfleet/{name}" for name in SECRETS[service]}


def test_a_secret_file_becomes_a_secret_that_is_replaced_when_it_changes(tmp_path: Path) -> None:
    key = tmp_path / "key"

    def find_keys() -> list[str]:
        service = render(STRIPE_SECRET_KEY_FILE=str(key))["services"]["payments-service"]
        return [
            each["source"]
            for each in service["secrets"]
            if each["target"] == service["environment"]["STRIPE_SECRET_KEY_FILE"]
        ]

    key.write_text("one")
    [first] = find_keys()
    key.write_text("another")
    [second] = find_keys()
    assert first != second
    without = render()["services"]["payments-service"]["secrets"]
    assert not [each for each in without if "stripe" in each["target"]]


def test_a_certificate_is_a_secret_and_not_a_config(tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text(name)
    gateway = render(TLS_CERTIFICATES=str(tmp_path))["services"]["gateway"]
    assert {each["target"] for each in gateway["secrets"]} == {"/run/tls/cert.pem", "/run/tls/key.pem"}
    assert not [each for each in gateway["configs"] if "tls/" in each["target"]]
    assert render()["services"]["gateway"]["secrets"] == []


def test_every_part_knows_that_the_gateway_listens_on_all_addresses() -> None:
    services = render(BIND="127.0.0.1")["services"]
    parts = (*SERVICES, "gateway")
    assert {services[part]["environment"]["BIND"] for part in parts} == {"0.0.0.0"}


def test_the_gateway_gets_the_hosts_and_the_environment_of_the_shop() -> None:
    given = {"PUBLIC_URL": "https://a.example", "ALLOWED_HOSTS": "b.example", "SHOPFLEET_ENV": "production"}
    gateway = render(**given)["services"]["gateway"]["environment"]
    assert {name: gateway[name] for name in given} == given
    assert render(PORT="81")["services"]["gateway"]["environment"]["PUBLIC_URL"] == "http://localhost:81"


def test_the_database_and_one_off_jobs_come_first_and_existing_services_are_updated_one_by_one() -> None:
    existing = {"postgres", "database", "auth-service", "orders-service"}
    first, new, *rest = [set(part["services"]) for part in split_stack(render(), existing)]
    assert first == {"postgres", "database", *(f"{each.split('-')[0]}-migration" for each in SERVICES)}
    assert new == {"gateway", "catalog-service", "payments-service", "logs-service"}
    assert rest == [{"auth-service"}, {"orders-service"}]


def test_the_templates_of_mails_are_configs_and_the_password_is_a_secret(tmp_path: Path) -> None:
    (tmp_path / "mails").mkdir()
    (tmp_path / "mails" / "shop.toml").write_text('name = "Tea"')
    (tmp_path / "password").write_text("secret")
    given = {"MAIL_TEMPLATES": str(tmp_path / "mails"), "SMTP_PASSWORD_FILE": str(tmp_path / "password")}
    services, without = render(**given)["services"], render()["services"]
    for name in ("auth-service", "orders-service"):
        settings = services[name]["environment"]
        assert [each["target"] for each in services[name]["configs"]] == [
            f"{settings['MAIL_TEMPLATES']}/shop.toml"
        ]
        assert settings["SMTP_PASSWORD_FILE"] in {each["target"] for each in services[name]["secrets"]}
        assert "configs" not in without[name]
        assert without[name]["environment"]["MAIL_TEMPLATES"] == ""


def test_only_the_gateway_and_postgres_cannot_call_a_database_or_a_server_outside() -> None:
    stack = render()
    assert {name: network["internal"] for name, network in stack["networks"].items()} == {
        "back": True,
        "entry": False,
        "inside": True,
        "outside": False,
    }
    closed = {name for name, service in stack["services"].items() if "outside" not in service["networks"]}
    assert closed == {"gateway", "postgres"}


def test_the_stack_has_no_key_that_swarm_does_not_support() -> None:
    done = subprocess.run(
        ["docker", "stack", "config", "--compose-file=-"],
        input=json.dumps(render()),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
