"""Card numbers and CVVs are refused, and neither stored nor logged."""

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
    """The lines that the service logs."""
    (handler,) = [each for each in logging.getLogger().handlers if hasattr(each.formatter, "service")]
    lines = []
    monkeypatch.setattr(handler, "emit", lambda record: lines.append(handler.format(record)))
    return lines


@pytest.fixture
def assert_nowhere(orders, tables, lines):
    def check(answer=None):
        if answer:
            assert NUMBER not in answer.text
        names = [
            row["table_name"]
            for row in tables.read(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
            )
        ]
        assert len(names) > 8
        stored = json.dumps([tables.read(f"SELECT * FROM {name}") for name in names], default=str)
        for secret in (NUMBER, f'"{CVC}"'):
            assert secret not in stored
            assert not any(secret in line for line in lines)

    return check


@pytest.mark.parametrize("body", BODIES)
def test_no_field_of_a_payment_request_accepts_a_card_number(orders, order_id, assert_nowhere, body):
    answer = orders.app.test_client().put(f"/internal/payments/{order_id}", json=body, headers=orders.headers)
    assert answer.status_code == 422
    assert_nowhere(answer)


@pytest.mark.parametrize(
    "body", [{"number": NUMBER}, {"outcome": NUMBER}, {"refund_id": NUMBER, "amount": 1}]
)
@pytest.mark.parametrize("step", ["confirm", "refunds"])
def test_no_other_body_accepts_a_card_number(orders, auth, order_id, assert_nowhere, step, body):
    payment_id = orders.authorize(order_id, payment_method="pm_card_authenticationRequired").json["id"]
    headers = {**auth.bearer(sub="ada"), "Idempotency-Key": NUMBER}
    path = f"/payments/{payment_id}/confirm"
    if step == "refunds":
        path, headers = f"/internal/payments/{order_id}/refunds", orders.headers
    answer = orders.app.test_client().post(path, json=body, headers=headers)
    assert answer.status_code == 422
    assert_nowhere(answer)


def test_an_idempotency_key_that_is_a_card_number_is_accepted_but_not_stored(
    orders, auth, order_id, assert_nowhere
):
    payment_id = orders.authorize(order_id, payment_method="pm_card_authenticationRequired").json["id"]
    headers = {**auth.bearer(sub="ada"), "Idempotency-Key": NUMBER}
    answer = orders.app.test_client().post(f"/payments/{payment_id}/confirm", json={}, headers=headers)
    assert answer.status_code == 200
    assert_nowhere(answer)


def test_a_card_number_in_a_path_or_a_field_name_is_not_logged(orders, auth, order_id, assert_nowhere):
    client = orders.app.test_client()
    for path in (f"/payments?cursor={NUMBER}", f"/payments?{NUMBER}=1", f"/payments/{NUMBER}"):
        client.get(path, headers=auth.bearer(sub="ada"))
    body = {**REQUEST, NUMBER: CVC}
    client.put(f"/internal/payments/{order_id}", json=body, headers=orders.headers)
    assert_nowhere()
