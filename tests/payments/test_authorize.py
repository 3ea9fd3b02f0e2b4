"""Authorization: an order has one payment, even after retries."""

import pytest

from tests.payments.conftest import REQUEST, Orders, run_concurrently

FIELDS = [
    "id",
    "order_id",
    "status",
    "amount",
    "amount_captured",
    "amount_refunded",
    "currency",
    "provider",
    "payment_method",
    "next_action",
    "created_at",
]


def test_an_authorized_payment_has_all_fields_and_requires_capture(orders, tables, order_id):
    answer = orders.authorize(order_id)
    assert answer.status_code == 200
    assert list(answer.json) == FIELDS
    assert answer.json | {"id": None, "created_at": None} == {
        "id": None,
        "order_id": str(order_id),
        "status": "requires_capture",
        "amount": 1299,
        "amount_captured": 0,
        "amount_refunded": 0,
        "currency": "USD",
        "provider": "simulated",
        "payment_method": "pm_card_visa",
        "next_action": None,
        "created_at": None,
    }
    assert answer.json["created_at"].endswith("Z")
    assert [charge["key"] for charge in tables.charges()] == [answer.json["id"]]
    assert tables.movements() == []


def test_a_repeated_request_returns_the_same_payment_without_a_second_call(orders, provider, order_id):
    first = orders.authorize(order_id).json
    assert orders.authorize(order_id).json == first
    assert provider.calls == ["authorize"]


def test_twenty_concurrent_identical_requests_make_one_charge(orders, tables, order_id):
    answers = run_concurrently(*[lambda: orders.authorize(order_id)] * 20)
    assert [answer.status_code for answer in answers] == [200] * 20
    assert len({answer.data for answer in answers}) == 1
    assert [charge["key"] for charge in tables.charges()] == [answers[0].json["id"]]
    assert len(tables.read("SELECT FROM payments")) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": 1300},
        {"currency": "EUR"},
        {"customer": "bob"},
        {"payment_method": "pm_card_chargeDeclined"},
    ],
)
def test_different_terms_for_the_same_order_are_a_conflict(orders, tables, order_id, changes):
    orders.authorize(order_id)
    answer = orders.authorize(order_id, **changes)
    assert answer.status_code == 409
    assert answer.json["code"] == "payment_conflict"
    assert [charge["amount"] for charge in tables.charges()] == [1299]


def test_a_declined_card_captures_nothing_and_its_payment_remains(orders, tables, provider, order_id):
    for _ in range(2):
        answer = orders.authorize(order_id, payment_method="pm_card_chargeDeclined")
        assert answer.status_code == 402
        assert answer.json["code"] == "card_declined"
        assert answer.json["decline_code"] == "generic_decline"
        (payment,) = tables.read("SELECT * FROM payments")
        assert answer.json["payment"] == str(payment["id"])
        assert payment["status"] == "requires_payment_method"
    assert provider.calls == ["authorize"]
    assert [charge["amount_captured"] for charge in tables.charges()] == [0]
    refused = orders.capture(order_id)
    assert refused.status_code == 409
    assert refused.json["code"] == "payment_unexpected_state"
    assert orders.cancel(order_id).json["status"] == "canceled"
    assert tables.movements() == []


@pytest.mark.parametrize("when", ["before authorize", "after authorize"])
def test_a_retry_completes_an_interrupted_authorization(orders, tables, provider, order_id, when):
    provider.lose_response(when)
    answer = orders.authorize(order_id)
    assert answer.status_code == 503
    assert answer.json["code"] == "provider_unavailable"
    assert [row["status"] for row in tables.read("SELECT status FROM payments")] == ["processing"]
    assert orders.authorize(order_id).json["status"] == "requires_capture"
    assert len(tables.charges()) == 1


def test_the_payment_is_stored_before_the_call_to_the_provider(orders, tables, provider, order_id):
    seen = []
    provider.interrupt("before authorize", lambda: seen.extend(tables.read("SELECT status FROM payments")))
    orders.authorize(order_id)
    assert seen == [{"status": "processing"}]


def test_two_replicas_share_one_payment(orders, start_payments, auth, tables, order_id):
    other = Orders(start_payments(), auth)
    assert orders.authorize(order_id).json == other.authorize(order_id).json
    assert len(tables.charges()) == 1


@pytest.mark.parametrize("name", ["before authorize", "before capture", "before release"])
def test_no_lock_is_held_during_a_call_to_the_provider(orders, tables, provider, order_id, name):
    seen = []

    def look():
        seen.extend(tables.read("SELECT id FROM payments FOR UPDATE NOWAIT"))
        seen.extend(
            tables.read(
                "SELECT state FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND xact_start IS NOT NULL AND backend_type = 'client backend'"
            )
        )

    provider.interrupt(name, look)
    payment = orders.authorize(order_id).json
    orders.capture(order_id)
    orders.cancel(order_id)
    assert [str(row.get("id")) for row in seen] == [payment["id"]]


@pytest.mark.parametrize("method", ["pm_unknown", "pm_card_visa_debit"])
def test_an_unsupported_payment_method_is_refused_and_nothing_is_stored(orders, tables, order_id, method):
    answer = orders.authorize(order_id, payment_method=method)
    assert answer.status_code == 422
    assert answer.json["code"] == "payment_method_unsupported"
    assert method not in answer.text
    assert tables.read("SELECT FROM payments") == tables.charges() == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"payment_method": "4242424242424242"}, "payment_method"),
        ({"payment_method": "pm_4242424242424242"}, "payment_method"),
        ({"payment_method": "pm_card_visa\n"}, "payment_method"),
        ({"payment_method": None}, "payment_method"),
        ({"card": {"number": "4242424242424242"}}, "card"),
        ({"cvc": "123"}, "cvc"),
        ({"amount": 0}, "amount"),
        ({"amount": -5}, "amount"),
        ({"amount": 12.99}, "amount"),
        ({"amount": "1299"}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": 10**30}, "amount"),
        ({"currency": "usd"}, "currency"),
        ({"customer": ""}, "customer"),
        ({"customer": "a\0"}, "customer"),
    ],
)
def test_an_invalid_field_is_named_and_its_value_is_not_echoed(orders, tables, order_id, change, field):
    answer = orders.authorize(order_id, **change)
    assert answer.status_code == 422
    assert [entry["field"] for entry in answer.json["errors"]] == [field]
    # A random request id may contain a few of the digits.
    assert "42424242" not in answer.text
    assert tables.read("SELECT FROM payments") == []


@pytest.mark.parametrize("body", ["[]", '"text"', "1", "null"])
def test_a_body_that_is_not_an_object_is_refused(orders, order_id, body):
    headers = {**orders.headers, "Content-Type": "application/json"}
    answer = orders.app.test_client().put(f"/internal/payments/{order_id}", data=body, headers=headers)
    assert answer.status_code == 422


def test_an_invalid_order_id_is_not_found(orders):
    answer = orders.app.test_client().put("/internal/payments/17", json=REQUEST, headers=orders.headers)
    assert answer.status_code == 404
