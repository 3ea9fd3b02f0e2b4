"""The networks of docker-compose.yml, and the files of its users."""

from pathlib import Path
from typing import Any

import pytest

from tests.deploy.manifests import resolve_compose
from tests.stacks import ROOT

pytestmark = pytest.mark.shop

MASQUERADING = "com.docker.network.bridge.enable_ip_masquerade"
MAILING = ("auth-service", "orders-service")
# The files of the audit, which are needed for nothing else.
PROFILES = ("--profile=monitoring", "--profile=audit")


def is_closed(network: dict[str, Any]) -> bool:
    """Return whether the containers of a network cannot call other machines by it."""
    return network.get("internal") is True or network.get("driver_opts", {}).get(MASQUERADING) == "false"


def test_only_the_services_that_call_servers_of_others_are_in_a_network_with_a_way_out() -> None:
    resolved = resolve_compose(*PROFILES)
    open_networks = {name for name, network in resolved["networks"].items() if not is_closed(network)}
    open_parts = {
        part
        for part, service in resolved["services"].items()
        if service.get("network_mode") != "none" and service["networks"].keys() & open_networks
    }
    assert open_parts == {"auth-service", "catalog-service", "orders-service", "payments-service"}


def test_a_part_with_a_published_port_is_in_a_network_that_can_publish_it() -> None:
    resolved = resolve_compose(*PROFILES)
    internal = {name for name, network in resolved["networks"].items() if network.get("internal")}
    published = {part: each["networks"] for part, each in resolved["services"].items() if "ports" in each}
    assert published.keys() == {"gateway", "prometheus"}
    for part, networks in published.items():
        assert networks.keys() - internal, part


def test_a_part_without_a_name_server_outside_does_not_wait_for_one() -> None:
    resolved = resolve_compose(*PROFILES)
    for part in ("gateway", "prometheus", "logs-service"):
        service = resolved["services"][part]
        assert (service["dns_opt"], service["dns_search"]) == (["ndots:1"], ["."]), part


@pytest.mark.parametrize(
    ("given", "folder"),
    [("mails", ROOT / "mails"), ("../a b", ROOT.parent / "a b"), ("/srv/mails", Path("/srv/mails"))],
)
def test_the_folder_of_templates_may_be_relative_or_absolute(given: str, folder: Path) -> None:
    services = resolve_compose(MAIL_TEMPLATES=given)["services"]
    for service in MAILING:
        [mount] = [
            each
            for each in services[service]["volumes"]
            if each["target"] == services[service]["environment"]["MAIL_TEMPLATES"]
        ]
        assert mount["source"] == str(folder)
        assert mount["read_only"] is True
        # A folder that is missing is an error, and not created.
        assert mount["bind"].get("create_host_path") is not True


def test_without_a_folder_of_templates_no_template_is_overridden() -> None:
    for unset in ({}, {"MAIL_TEMPLATES": "", "SMTP_PASSWORD_FILE": ""}):
        services = resolve_compose(**unset)["services"]
        for service in MAILING:
            settings = services[service]["environment"]
            assert (settings["MAIL_TEMPLATES"], settings["SMTP_PASSWORD_FILE"]) == ("", "")


@pytest.mark.parametrize(
    ("given", "file"), [("password", ROOT / "password"), ("/srv/password", Path("/srv/password"))]
)
def test_the_password_of_the_mail_server_is_a_secret_of_the_services_that_send_mails(
    given: str, file: Path
) -> None:
    resolved = resolve_compose(SMTP_PASSWORD_FILE=given)
    assert resolved["secrets"]["smtp-password"]["file"] == str(file)
    holders = {
        part
        for part, service in resolved["services"].items()
        if "smtp-password" in {each["source"] for each in service.get("secrets", [])}
    }
    assert holders == set(MAILING)
    for service in MAILING:
        settings = resolved["services"][service]["environment"]
        assert settings["SMTP_PASSWORD_FILE"] == "/run/secrets/smtp-password"
