"""Admins see the context of a record."""

from uuid import uuid4

import pytest

from tests.logs.conftest import make_attributes, make_record


def read_context(sender, record_id: str, query: str = "") -> list[str]:
    answer = sender.client.get(f"/logs/{record_id}/context?{query}", headers=sender.admin)
    assert answer.status_code == 200, answer.json
    return [record["message"] for record in answer.json["data"]]


@pytest.fixture
def middle(sender) -> str:
    """The id of the fifth of nine records, with one of another service among them."""
    sender.export(*[make_record(str(number), second=number) for number in range(1, 10)])
    sender.export(make_record("elsewhere", second=5.5), service="payments-service")
    return next(record["id"] for record in sender.find() if record["message"] == "5")


def test_the_context_is_by_default_of_the_same_replica(sender, middle):
    assert read_context(sender, middle) == list("123456789")
    assert read_context(sender, middle, "before=2&after=1") == list("3456")
    assert read_context(sender, middle, "before=0&after=0") == ["5"]


def test_the_context_may_be_of_the_whole_shop(sender, middle):
    assert read_context(sender, middle, "of=shop&before=1&after=2") == ["4", "5", "elsewhere", "6"]


def test_the_context_excludes_other_replicas_of_the_service(sender, middle):
    export = {
        "resourceLogs": [
            {
                "resource": {
                    "attributes": make_attributes(
                        {"service.name": "orders-service", "service.instance.id": "two"}
                    )
                },
                "scopeLogs": [{"logRecords": [make_record("other", second=5.1)]}],
            }
        ]
    }
    sender.client.post("/v1/logs", json=export, headers=sender.writer)
    assert read_context(sender, middle, "before=0&after=1") == ["5", "6"]


def test_the_context_is_limited_to_an_hour_before_and_after(sender):
    sender.export(*[make_record(f"hour {hour}", second=hour * 3500) for hour in range(5)])
    middle = sender.find("q=2")[0]["id"]
    found = sender.client.get(f"/logs/{middle}/context", headers=sender.admin).json["data"]
    assert [record["message"] for record in found] == ["hour 1", "hour 2", "hour 3"]


def test_the_context_of_an_unknown_record_is_not_found(sender):
    answer = sender.client.get(f"/logs/{uuid4()}/context", headers=sender.admin)
    assert (answer.status_code, answer.json["code"]) == (404, "record_not_found")


def test_a_wrong_query_is_refused(sender, middle):
    accepted = []
    for query in ("before=-1", "after=101", "of=unknown", "limit=3"):
        answer = sender.client.get(f"/logs/{middle}/context?{query}", headers=sender.admin)
        if answer.status_code != 422:
            accepted.append((query, answer.status_code))
    assert accepted == []
