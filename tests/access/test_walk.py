"""Every operation of every service, called by each caller and with every kind of invalid token: see
table.txt.
"""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from tests.access.conftest import INTEGRATORS, PASSWORD, House
from tests.access.table import INSIDE, OUTSIDE, SERVICES, Row
from tests.broken_tokens import break_token

COOKIE = "token"
FOREIGN = {"Sec-Fetch-Site": "cross-site", "Origin": "http://other.example"}
NUMBERS = count(1)


def make_body(house: House, row: Row) -> Any:
    """Return a body with which a harmless call succeeds; otherwise an empty body."""
    customer = house.subs["customer"]
    bodies = {
        "POST /auth": {"username": "ada", "password": PASSWORD},
        "POST /auth/register": {"username": f"visitor {next(NUMBERS)}", "password": PASSWORD},
        "DELETE /auth/totp": {},
        "POST /auth/token": "grant_type=client_credentials",
        "POST /auth/introspect": "token=unknown",
        "POST /auth/revoke": "token=unknown",
        "PUT /cart/items/{variant_id}": {"quantity": 1},
        "POST /orders/quote": {"items": [{"product_id": 1, "quantity": 1}]},
        "POST /v1/logs": {},
        "PUT /internal/reservations/{order_id}": {
            "customer": customer,
            "items": [{"product_id": 1, "quantity": 1}],
        },
        "PUT /internal/payments/{order_id}": {
            "customer": customer,
            "amount": 1000,
            "currency": "USD",
            "payment_method": "pm_card_visa",
        },
    }
    is_read = row.operation.startswith(("GET", "DELETE"))
    return bodies.get(row.operation, None if is_read else {})


def call(house: House, row: Row, headers: dict[str, str] | None = None) -> int:
    """Make the row's call once; return the status."""
    return house.call(row.service, row.operation, headers or {}, make_body(house, row))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def by_cookie(token: str) -> dict[str, str]:
    return {"Cookie": f"{COOKIE}={token}"}


def as_service(token: str) -> dict[str, str]:
    return {"X-Service-Authorization": f"Bearer {token}"}


def break_tokens(house: House, service: str, who: str) -> dict[str, str]:
    """Return a caller's token broken in every way, and signed off by session and by token."""
    if (service, who) not in house.broken:
        ended = {
            f"signed off ({claim})": house.sign_off(service, house.token(service, who), claim)
            for claim in ("sid", "jti")
        }
        house.broken[service, who] = break_token(house.auths[service], **house.claims_of(who)) | ended
    return house.broken[service, who]


def call_with_each(
    house: House, row: Row, tokens: dict[str, str], carry: Callable[[str], dict[str, str]]
) -> int | dict[str, int]:
    """Return the common status of these tokens, or the status of each if they differ."""
    answers = {how: call(house, row, carry(token)) for how, token in tokens.items()}
    statuses = set(answers.values())
    return statuses.pop() if len(statuses) == 1 else answers


@pytest.mark.parametrize("row", OUTSIDE, ids=str)
def test_public_operations_answer_callers_as_the_table_says(house: House, row: Row) -> None:
    """Compare each caller's status with the table."""
    answers: dict[str, Any] = {"none": call(house, row)}
    for who in (*house.subs, "service", *INTEGRATORS):
        token = house.token(row.service, "orders" if who == "service" else who)
        answers[who] = call(house, row, bearer(token))
    # Break the token of a caller who has access.
    let_in = next((who for who in ("customer", "admin") if answers[who] not in {401, 403}), "customer")
    # Each operation refuses every broken token. One half of them is in the header and the other half in the
    # cookie; the next operation exchanges the halves.
    broken = list(break_tokens(house, row.service, let_in).items())
    turn = OUTSIDE.index(row) % 2
    answers["forged"] = call_with_each(house, row, dict(broken[turn::2]), bearer)
    answers["forged-cookie"] = call_with_each(house, row, dict(broken[1 - turn :: 2]), by_cookie)
    good = by_cookie(house.token(row.service, let_in))
    answers["cookie"] = call(house, row, good)
    answers["foreign"] = call(house, row, good | FOREIGN)
    assert answers == row.expected


@pytest.mark.parametrize("row", INSIDE, ids=str)
def test_internal_operations_answer_callers_as_the_table_says(house: House, row: Row) -> None:
    """Compare the status of services, and of callers that pose as one, with the table."""
    answers: dict[str, Any] = {"none": call(house, row)}
    admin = house.token(row.service, "admin")
    answers["admin"] = call(house, row, bearer(admin) | by_cookie(admin))
    answers["posing"] = call(house, row, as_service(admin))
    for who in (*SERVICES, "scoped"):
        answers[who] = call(house, row, as_service(house.token(row.service, who)))
    let_in = next(who for who in SERVICES if answers[who] not in {401, 403})
    broken = break_tokens(house, row.service, let_in)
    answers["forged"] = call_with_each(house, row, broken, as_service)
    proof = as_service(house.token(row.service, let_in))
    for who in ("customer", "other"):
        forwarded = bearer(house.token(row.service, who))
        answers[f"+{who}"] = call(house, row, proof | forwarded)
    theirs = break_tokens(house, row.service, "customer")
    answers["+forged"] = call_with_each(house, row, theirs, lambda token: proof | bearer(token))
    assert answers == row.expected


@pytest.mark.parametrize("service", SERVICES)
def test_the_table_has_exactly_the_existing_operations(house: House, service: str) -> None:
    """Compare the table with the service's OpenAPI document, and with what the document hides."""
    rows = {row.operation for row in (*OUTSIDE, *INSIDE) if row.service == service}
    assert rows == house.find_operations(service)


@pytest.mark.parametrize("service", SERVICES)
def test_the_documents_agree_with_the_table(house: House, service: str) -> None:
    """Compare `security` with the callers that the table admits."""
    document = house.client(service).get("/openapi.json").json
    rows = {row.operation: row for row in (*OUTSIDE, *INSIDE) if row.service == service}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            row = rows[f"{method.upper()} {path}"]
            schemes = {name for scheme in operation["security"] for name in scheme}
            opened_by = {"service"} if row in INSIDE else {"bearer", "cookie"}
            assert schemes - {"client"} == (set() if row.is_public else opened_by), row
