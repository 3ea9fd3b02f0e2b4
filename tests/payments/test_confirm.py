"""Confirmation: only the customer confirms, once per key, and the order is woken."""

import pytest

from payments.use_cases import sweep
from tests.payments.conftest import Orders, run_concurrently

METHOD = {"payment_method": "pm_card_authenticationRequired"}


@pytest.fixture
def waiting(orders, order_id):
    """The id of a payment that awaits its customer."""
    return orders.authorize(order_id, **METHOD).json["id"]


@pytest.fixture
def confirm(orders, auth, waiting):
    def confirm(
        body=None, *, key="a key", sub="ada", role="customer", payment_id=waiting, app=orders.app, **options
    ):
        headers = auth.bearer(sub=sub, role=role)
        if key is not None:
            headers["Idempotency-Key"] = key
        options = {"json": body if body is not None else {}} | options
        return app.test_client().post(f"/payments/{payment_id}/confirm", headers=headers, **options)

    return confirm


def test_only_the_order_and_the_customer_see_that_the_bank_requires_authentication(orders, auth, order_id):
    answer = orders.authorize(order_id, **METHOD)
    assert answer.status_code == 200
    assert answer.json["status"] == "requires_action"
    path = f"/payments/{answer.json['id']}"
    assert answer.json["next_action"] == {"type": "confirm", "path": f"{path}/confirm"}
    assert orders.find(order_id).json == answer.json
    client = orders.app.test_client()
    assert client.get(path, headers=auth.bearer(sub="ada")).json == answer.json
    assert client.get(path, headers=auth.bearer(sub="root", role="admin")).json["next_action"] is None
    listed = client.get("/payments", headers=auth.bearer(sub="root", role="admin")).json["data"]
    assert [payment["next_action"] for payment in listed] == [None]
    assert client.get(path, headers=auth.bearer(sub="bob")).status_code == 404


def test_a_payment_that_awaits_its_customer_cannot_be_captured(orders, waiting, order_id):
    answer = orders.capture(order_id)
    assert (answer.status_code, answer.json["code"]) == (409, "payment_unexpected_state")


@pytest.mark.parametrize("body", [{}, {"outcome": "approved"}])
def test_an_approval_holds_the_money_and_wakes_the_order(
    orders, tables, fake_orders, order_id, confirm, body
):
    answer = confirm(body)
    assert answer.status_code == 200
    assert (answer.json["status"], answer.json["next_action"]) == ("requires_capture", None)
    assert fake_orders.woken == [order_id]
    assert orders.authorize(order_id, **METHOD).json == answer.json
    assert orders.capture(order_id).json["status"] == "succeeded"
    assert [charge["awaits_customer"] for charge in tables.charges()] == [False]


def test_a_failed_authentication_declines_the_card_and_wakes_the_order(
    orders, tables, fake_orders, order_id, waiting, confirm
):
    answer = confirm({"outcome": "declined"})
    assert (answer.status_code, answer.json["code"]) == (402, "card_declined")
    assert answer.content_type == "application/problem+json"
    assert (answer.json["decline_code"], answer.json["payment"]) == ("authentication_failed", waiting)
    assert fake_orders.woken == [order_id]
    assert orders.find(order_id).json["status"] == "requires_payment_method"
    assert orders.authorize(order_id, **METHOD).json["decline_code"] == "authentication_failed"
    assert orders.cancel(order_id).json["status"] == "canceled"
    assert tables.movements() == []


@pytest.mark.parametrize("body", [{}, {"outcome": "declined"}])
def test_a_retry_with_the_same_key_gets_the_same_bytes(orders, fake_orders, order_id, confirm, body):
    first = confirm(body)
    assert "Idempotent-Replayed" not in first.headers
    orders.cancel(order_id)
    again = confirm(body)
    assert (again.status_code, again.data, again.content_type) == (
        first.status_code,
        first.data,
        first.content_type,
    )
    assert again.headers["Idempotent-Replayed"] == "true"
    assert fake_orders.woken == [order_id]


def test_the_same_key_with_a_different_body_is_refused(confirm, fake_orders):
    confirm({"outcome": "approved"})
    answer = confirm({"outcome": "declined"})
    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")
    assert len(fake_orders.woken) == 1


def test_a_different_key_cannot_confirm_a_confirmed_payment(confirm):
    confirm()
    for _ in range(2):
        answer = confirm(key="another key")
        assert (answer.status_code, answer.json["code"]) == (409, "payment_unexpected_state")


def test_a_key_belongs_to_one_payment(orders, confirm):
    other = orders.authorize("01a204a4-a1ea-7fbf-a31f-bad5a2b507ea", **METHOD).json["id"]
    assert confirm().json["id"] != other
    assert confirm(payment_id=other).json["id"] == other


@pytest.mark.parametrize("key", [None, "", "x" * 256])
def test_a_key_is_required(tables, confirm, key):
    answer = confirm(key=key)
    assert (answer.status_code, answer.json["code"]) == (400, "idempotency_key_missing")
    assert tables.payment()["status"] == "requires_action"


@pytest.mark.parametrize(("sub", "role"), [("bob", "customer"), ("clara", "clerk"), ("root", "admin")])
def test_only_the_customer_confirms_a_payment(tables, confirm, sub, role):
    answer = confirm(sub=sub, role=role)
    assert (answer.status_code, answer.json["code"]) == (404, "payment_not_found")
    assert tables.payment()["status"] == "requires_action"
    assert tables.read("SELECT FROM idempotency_keys") == []


def test_a_confirmation_requires_a_token(orders, waiting):
    answer = orders.app.test_client().post(f"/payments/{waiting}/confirm", json={})
    assert answer.status_code == 401


def test_a_canceled_payment_cannot_be_confirmed(orders, order_id, confirm):
    orders.cancel(order_id)
    assert confirm().json["code"] == "payment_closed"


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"json": {"outcome": "perhaps"}}, 422),
        ({"json": {"number": "4242424242424242"}}, 422),
        ({"json": []}, 422),
        ({"json": None, "data": "{", "content_type": "application/json"}, 400),
        ({"json": None, "data": "outcome=approved"}, 415),
    ],
)
def test_an_invalid_body_is_refused(tables, confirm, options, status):
    assert confirm(**options).status_code == status
    assert tables.payment()["status"] == "requires_action"


def test_a_concurrent_call_with_the_same_key_is_refused(start_payments, auth, provider, confirm):
    other = Orders(start_payments(), auth)
    seen = []
    provider.interrupt("before confirm", lambda: seen.append(confirm(app=other.app)))
    assert confirm().status_code == 200
    assert [(answer.status_code, answer.json["code"]) for answer in seen] == [
        (409, "idempotency_in_progress")
    ]
    assert seen[0].headers["Retry-After"] == "1"


def test_twenty_concurrent_calls_confirm_once(tables, provider, fake_orders, confirm):
    answers = run_concurrently(*[confirm] * 20)
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len({answer.data for answer in answers if answer.status_code == 200}) == 1
    assert provider.calls.count("confirm") == 1
    assert len(fake_orders.woken) == 1


@pytest.mark.parametrize("when", ["before confirm", "after confirm"])
def test_a_retry_completes_a_confirmation_whose_response_was_lost(provider, fake_orders, confirm, when):
    provider.lose_response(when)
    assert confirm().status_code == 503
    answer = confirm()
    assert (answer.status_code, answer.json["status"]) == (200, "requires_capture")
    assert len(fake_orders.woken) == 1


@pytest.mark.parametrize("when", ["before confirm", "after confirm"])
def test_a_retry_takes_over_a_crashed_call_after_its_claim_has_expired(tables, provider, confirm, when):
    provider.interrupt(when, lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        confirm()
    assert confirm().json["code"] == "idempotency_in_progress"
    tables.write("UPDATE idempotency_keys SET claimed_until = now() - interval '1 second'")
    answer = confirm()
    assert (answer.status_code, answer.json["status"]) == (200, "requires_capture")
    assert confirm().headers["Idempotent-Replayed"] == "true"


def test_the_sweep_completes_a_confirmation_that_crashed(
    tables, provider, database, fake_orders, order_id, confirm
):
    provider.lose_response("after confirm")
    confirm()
    assert tables.payment()["status"] == "requires_action"
    tables.write("UPDATE payments SET look_at = now()")
    sweep.check_due_payments(database, provider, fake_orders.wake)
    assert tables.payment()["status"] == "requires_capture"
    assert fake_orders.woken == [order_id]
    answer = confirm()
    assert (answer.status_code, answer.json["status"]) == (200, "requires_capture")


def test_only_a_hash_of_a_key_is_stored(tables, confirm):
    confirm(key="4242424242424242")
    (row,) = tables.read("SELECT * FROM idempotency_keys")
    assert "4242424242424242" not in str(row)


def test_a_cancel_during_a_confirmation_leaves_no_money_held(orders, tables, provider, order_id, confirm):
    provider.interrupt("after confirm", lambda: orders.cancel(order_id))
    confirm()
    assert tables.payment()["status"] == "canceled"
    assert [charge["released"] for charge in tables.charges()] == [True]
