"""A service of the shop writes only under its own name, and an integrator's records carry its client id."""

import json
from typing import Any

import pytest

from logs.domain.log_records import OWN_SERVICES
from tests.logs.conftest import Sender, make_export, make_record

INTEGRATOR = {"role": "service", "client_id": "app-till", "sub": "app-till", "scope": "logs:write"}
REFUSED = "A record was rejected: its service.name belongs to a service of the shop."


def send(sender: Sender, claims: dict[str, str], *names: str, **changes: Any) -> tuple[int, str]:
    """Export a record under each of these names; return the number of rejections and the reason."""
    exports = [make_export(make_record(name, **changes), service=name)["resourceLogs"][0] for name in names]
    answer = sender.post(json.dumps({"resourceLogs": exports}).encode(), **sender.auth.bearer(**claims))
    assert answer.status_code == 200
    partial = answer.json.get("partialSuccess", {})
    return int(partial.get("rejectedLogRecords", 0)), partial.get("errorMessage", "")


@pytest.mark.parametrize(
    "claims",
    [
        INTEGRATOR,
        {"role": "customer", "scope": "logs:write"},
        {"role": "admin"},
        {"role": "service", "client_id": "orders-service"},
    ],
)
def test_no_other_client_writes_under_the_name_of_a_service(sender: Sender, claims: dict[str, str]) -> None:
    taken = sorted(OWN_SERVICES - {claims.get("client_id")})
    spelt = [*taken, *(name.upper() for name in taken), *(f" {name}\t" for name in taken)]
    assert send(sender, claims, *spelt, "till") == (len(spelt), REFUSED)
    assert sender.find_messages() == ["till"]


def test_a_record_cannot_be_renamed_by_its_own_attributes(sender: Sender) -> None:
    renamed = {"service.name": "auth-service", "otel.scope.name": "shopfleet.audit"}
    assert send(sender, INTEGRATOR, "till", attributes=renamed) == (1, REFUSED)
    assert sender.find_messages() == []


def test_each_service_writes_under_its_own_name(sender: Sender) -> None:
    for name in sorted(OWN_SERVICES):
        assert send(sender, {"role": "service", "client_id": name}, name) == (0, ""), name
    assert sorted(record["service"] for record in sender.find()) == sorted(OWN_SERVICES)
    assert not any("client.id" in record["attributes"] for record in sender.find())


def test_an_integrator_cannot_forge_the_client_id_of_its_records(sender: Sender) -> None:
    wrong = []
    for claims in (INTEGRATOR, {"role": "admin"}):
        for attributes in ({}, {"client.id": "app-other"}):
            send(sender, claims, "till", attributes=attributes)
            export = make_export(make_record("by resource"), service="till")
            export["resourceLogs"][0]["resource"]["attributes"] += [
                {"key": "client.id", "value": {"stringValue": "app-other"}}
            ]
            sender.post(json.dumps(export).encode(), **sender.auth.bearer(**claims))
        wrong += [
            record
            for record in sender.find("since=2023-01-01T00:00:00Z")
            if record["attributes"].get("client.id") not in ("app-till", "shop")
        ]
    assert wrong == []
    assert len(sender.find()) == 8


def test_a_service_may_record_the_client_id_of_its_caller(sender: Sender) -> None:
    sender.export(make_record(attributes={"client.id": "app-till"}))
    assert sender.find()[0]["attributes"]["client.id"] == "app-till"


def test_equal_records_of_two_integrators_are_stored_separately(sender: Sender) -> None:
    for client_id in ("app-till", "app-other"):
        send(sender, {**INTEGRATOR, "client_id": client_id}, "till", attributes={"log.record.uid": None})
    assert len(sender.find()) == 2
