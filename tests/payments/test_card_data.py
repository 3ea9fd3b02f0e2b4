"""Card numbers and CVVs have no place here: they are refused, and neither stored nor logged."""

import json
import logging

import pytest

from tests.payments.conftest import REQUEST

NUMBER = "4242424242424242"
CVC = "987"

BODIES = [
    *[{**REQUEST, field: NUMBER} for field in ("payment_method", "currency")],
    {**REQUEST, "payment_method": f"pm_{NUMBER}"},
    {**REQUEST, "payment_method": {"card": {"number": NUMBER, "cvc": CVC}}},
    {**REQUEST, "card": {"number": NUMBER, "cvc": CVC}},
    {**REQUEST, "number": NUMBER, "cvc": CVC, "exp_month": 12},
]


@pytest.fixture
def lines(monkeypatch):
    """Every line that the service logs."""
    (handler,) = [each for each in logging.getLogger().handlers if hasattr(each.formatter, "service")]
    lines = []
    monkeypatch.setattr(handler, "emit", lambda record: lines.append(handler.format(record)))
    return lines


@pytest.fixture
def assert_nowhere(orders, books, lines):
    def check(answer=None):
        if answer:
            assert NUMBER not in answer.text
        tables = [
            row["table_name"]
            for row in books.read(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
            )
        ]
        assert len(tables) > 8
        stored = json.dumps([books.read(f"SELECT * FROM {table}") for table in tables], default=str)
        for secret in (NUMBER, f'"{CVC}"'):
            assert secret not in stored
            assert not any(secret in line for line in lines)

    return check


@pytest.mark.parametrize("body", BODIES)
def test_no_field_of_an_order_takes_a_card(orders, order_id, assert_nowhere, body):
    answer = orders.app.test_client().put(f"/internal/payments/{order_id}", json=body, headers=orders.headers)
    assert answer.status_code == 422
    assert_nowhere(answer)


@pytest.mark.parametrize(
    "body", [{"number": NUMBER}, {"outcome": NUMBER}, {"refund_id": NUMBER, "amount": 1}]
)
@pytest.mark.parametrize("step", ["confirm", "refunds"])
def test_no_other_body_takes_one(orders, auth, order_id, assert_nowhere, step, body):
    payment_id = orders.authorize(order_id, payment_method="pm_card_authenticationRequired").json["id"]
    headers = {**auth.bearer(sub="ada"), "Idempotency-Key": NUMBER}
    path = f"/payments/{payment_id}/confirm"
    if step == "refunds":
        path, headers = f"/internal/payments/{order_id}/refunds", orders.headers
    answer = orders.app.test_client().post(path, json=body, headers=headers)
    assert answer.status_code == 422
    assert_nowhere(answer)


def test_a_key_that_looks_like_one_is_used_but_not_kept(orders, auth, order_id, assert_nowhere):
    payment_id = orders.authorize(order_id, payment_method="pm_card_authenticationRequired").json["id"]
    headers = {**auth.bearer(sub="ada"), "Idempotency-Key": NUMBER}
    answer = orders.app.test_client().post(f"/payments/{payment_id}/confirm", json={}, headers=headers)
    assert answer.status_code == 200
    assert_nowhere(answer)


def test_neither_an_address_nor_a_fields_name_carries_one_into_the_log(
    orders, auth, order_id, assert_nowhere
):
    client = orders.app.test_client()
    for path in (f"/payments?cursor={NUMBER}", f"/payments?{NUMBER}=1", f"/payments/{NUMBER}"):
        client.get(path, headers=auth.bearer(sub="ada"))
    body = {**REQUEST, NUMBER: CVC}
    client.put(f"/internal/payments/{order_id}", json=body, headers=orders.headers)
    assert_nowhere()
