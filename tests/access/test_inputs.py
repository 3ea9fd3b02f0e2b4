"""Every public operation refuses unknown members and answers any query without a 500.

The operations are those of the OpenAPI documents, so new ones are covered automatically.
"""

import base64
import copy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from werkzeug.test import TestResponse

from shared.pages import encode_cursor
from tests.access.conftest import House
from tests.access.table import SERVICES

UNKNOWN = "unknown_member"
# These ignore unknown members or take foreign formats (DESIGN.md, section 3).
IGNORING = {
    "POST /auth/token": "RFC 6749, section 3.2: the server ignores unrecognized parameters of the form",
    "POST /auth/introspect": "RFC 7662, section 2.1: a form of OAuth",
    "POST /auth/revoke": "RFC 7009, section 2.1: a form of OAuth",
    "POST /products/import": "a file, each line of which tests/catalog/test_import.py checks by itself",
    "POST /products/{product_id}/images": "a file, or a form with one",
    "POST /payments/webhooks/stripe": "the events of a provider, which adds members as it likes",
    "POST /v1/logs": "OTLP: receivers ignore unknown fields, so that senders may be newer",
}
# The queries of the catalogue and of the logs are in tests/catalog and tests/logs.
QUERIED = ("auth", "orders", "payments")
# Percent-encoded, as in a query.
HOSTILE = [
    *("", "%20", "%09%0A", "x" * 10_000, "%F0%9F%90%A7" * 60, "1" * 400),
    *("%ED%A0%80", "%ED%A0%80%ED%B0%80", "%FF%FE", "%C3", "%00", "a%00b", "%E2%80%AE", "%0D%0AX:y"),
    *("-1", "0", "-0", "101", "2147483648", "9223372036854775808", "-9223372036854775809", "1" + "0" * 4300),
    *("1e3", "1.5", "1.0", "1e400", "NaN", "Infinity", "0x10", "1_0", "%2B1", "%EF%BC%91", "%D9%A1", "true"),
    *("2026", "2026-01-01", "2026-01-01T00:00:00", "1767225600", "2026-13-01T00:00:00Z"),
    *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00%2B14:00", "0001-01-01T00:00:00-14:00"),
    *("9999-12-31T23:59:59Z", "9999-12-31T23:59:59%2B14:00", "9999-12-31T23:59:59-14:00"),
    *("0000-00-00T00:00:00Z", "2026-01-01T24:00:00Z", "2016-12-31T23:59:60Z", "2026-01-01T00:00:00%2B99:99"),
    *("2026-01-01T00:00:00." + "9" * 40 + "Z", "%EF%BC%92026-01-01T00:00:00Z"),
    *("null", "[]", "%7B%7D", "%25", "_", "'", "%22", "%5C", ";--", "$1", "%25s", "{0}"),
]
ID = "018f5c3e-7a10-7c44-9d21-4b8f6a2e1c01"
MOMENT = "2026-01-01T00:00:00+00:00"
# Cursors of other lists, and invalid ones.
POSITIONS: list[Any] = [
    *(None, True, 0, 1, -1, 2**63, 10**400, 1.5, float("inf"), float("nan"), "", "x", "x" * 300, "\0"),
    *(ID, ID.replace("-", ""), f"urn:uuid:{ID}", f"app-{ID}", "app-unknown", MOMENT, "kitchen/knives"),
    *([], [[]], [1], [1, 1], [ID], [ID, ID], [MOMENT, ID], [ID, MOMENT], [1, ID], [None, None], [MOMENT]),
    *(["0001-01-01T00:00:00+14:00", ID], ["9999-12-31T23:59:59-14:00", ID], [MOMENT[:-6], ID]),
    *(
        [2**63, ID],
        [1.5, 1],
        ["\0", ID],
        [[1], [2]],
        json.loads("[" * 99 + "]" * 99),
        {},
        {"id": ID},
        {"id": 1},
        [{"a": 1}],
    ),
]
SURROGATE = base64.urlsafe_b64encode(rb'"\ud800"').decode().rstrip("=")


@dataclass(frozen=True)
class Operation:
    """A public operation of a service's OpenAPI document."""

    service: str
    method: str
    path: str
    parameters: list[str]  # Of the query.
    example: Any  # The JSON body's example; empty if there is no body.
    objects: dict[str, Any]  # The schemas of all objects in the body.

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def call(self, house: House, **sent: Any) -> TestResponse:
        """Make a call as the admin with existing resources."""
        path = re.sub(r"\{(\w+)\}", lambda found: house.things[found[1]], self.path)
        token = house.token(self.service, "admin")
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "hostile"}
        return house.client(self.service).open(path, method=self.method, headers=headers, **sent)


@pytest.fixture(scope="module")
def operations(house: House) -> list[Operation]:
    """The public operations of all services."""
    return [
        Operation(
            service,
            method.upper(),
            path,
            list_parameters(described),
            find_example(described, schemas),
            find_objects(described.get("requestBody"), schemas),
        )
        for service in SERVICES
        for document in [house.client(service).get("/openapi.json").json]
        for schemas in [document["components"]["schemas"]]
        for path, methods in document["paths"].items()
        for method, described in methods.items()
        if not described.get("x-internal")
    ]


def list_parameters(described: dict[str, Any]) -> list[str]:
    return [each["name"] for each in described.get("parameters", []) if each["in"] == "query"]


def find_example(described: dict[str, Any], schemas: Any) -> Any:
    content = described.get("requestBody", {}).get("content", {})
    name = content.get("application/json", {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
    return schemas[name]["examples"][0] if name else {}


def find_objects(described: Any, schemas: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(described)):
        if "properties" in schemas[name]:
            found |= {name: schemas[name], **find_objects(schemas[name], schemas)}
    return found


def spoil(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield copies of a body, each with an unknown member in one of its objects, and that member's name."""
    if isinstance(value, dict):
        yield ".".join([*place, UNKNOWN]), {**value, UNKNOWN: 1}
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        for name, spoiled in spoil(inner, (*place, str(key))):
            whole = copy.copy(value)
            whole[key] = spoiled
            yield name, whole


def list_fields(answer: TestResponse) -> list[str]:
    """Return the fields that the errors name."""
    return [entry["field"] for entry in answer.json.get("errors", [])]


def test_an_unknown_member_of_any_public_body_is_refused_by_name(
    house: House, operations: list[Operation]
) -> None:
    wrong, met = {}, set()
    for operation in operations:
        if operation.method not in {"POST", "PUT", "PATCH"} or str(operation) in IGNORING:
            continue
        for member, body in spoil(operation.example):
            answer = operation.call(house, json=body)
            met.add(operation.service)
            if answer.status_code != 422 or member not in list_fields(answer):
                wrong[str(operation), member] = answer.status_code, answer.text
    assert wrong == {}
    assert met == {"auth", "catalog", "orders", "payments"}


def test_each_object_in_a_public_body_is_documented_as_closed(
    operations: list[Operation],
) -> None:
    """An example may lack objects that a body can have."""
    wrong = {
        (str(operation), name)
        for operation in operations
        for name, schema in operation.objects.items()
        if str(operation) not in IGNORING and schema.get("additionalProperties") is not False
    }
    assert wrong == set()
    assert any(len(operation.objects) > 1 for operation in operations)


def test_each_listed_exception_exists(operations: list[Operation]) -> None:
    assert set(IGNORING) - {str(operation) for operation in operations} == set()


def find_cursors(house: House, operations: list[Operation]) -> list[str]:
    """Return the cursor of the second page of each list that has one."""
    lists = [operation for operation in operations if "cursor" in operation.parameters]
    pages = [each.call(house, query_string="limit=1") for each in lists]
    return [page.json["next"] for page in pages if page.status_code == 200 and page.json["next"]]


def list_values(parameter: str, cursors: list[str]) -> list[str]:
    """Return hostile values for a parameter, percent-encoded."""
    if parameter != "cursor":
        return HOSTILE
    truncated = [cursor[:length] for cursor in cursors for length in (1, len(cursor) // 2, len(cursor) - 1)]
    foreign = [encode_cursor(position) for position in POSITIONS]
    return [quote(each) for each in (*cursors, *truncated, *foreign, SURROGATE)] + HOSTILE


def test_any_value_of_any_parameter_is_accepted_or_refused_by_name(
    house: House, operations: list[Operation]
) -> None:
    cursors = find_cursors(house, operations)
    assert cursors
    wrong, met = {}, set()
    for operation in operations:
        if operation.service not in QUERIED:
            continue
        for name in operation.parameters:
            queries = [f"{name}={value}" for value in list_values(name, cursors)]
            queries += [name, f"{name}=1&{name}=2", f"{name}=&{name}=", f"{name}[]=1"]
            for query in queries:
                answer = operation.call(house, query_string=query)
                met.add(operation.service)
                is_refused = answer.status_code == 422 and any(
                    re.fullmatch(rf"{name}(\[\])?(\..+)?", field) for field in list_fields(answer)
                )
                if answer.status_code != 200 and not is_refused:
                    wrong[str(operation), query[:80]] = answer.status_code, answer.text
    assert wrong == {}
    assert met == set(QUERIED)
