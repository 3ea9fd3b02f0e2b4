"""A login assigns the payments of a guest's orders to the account."""

import pytest

from shared.ids import new_id

METHOD = {"payment_method": "pm_card_authenticationRequired", "customer": "a guest"}


@pytest.fixture
def client(orders):
    return orders.app.test_client()


def reassign(orders, customer, *order_ids, **headers):
    body = {"orders": [str(order_id) for order_id in order_ids], "customer": customer}
    client = orders.app.test_client()
    return client.post("/internal/payments/reassign", json=body, headers={**orders.headers, **headers})


def test_a_reassignment_changes_only_the_customer_of_the_payments(orders, client, auth, tables):
    moved, stays, closed = new_id(), new_id(), new_id()
    for order_id in (moved, stays):
        orders.authorize(order_id, customer="a guest")
    orders.cancel(closed)
    before = {row["order_id"]: row for row in tables.read("SELECT * FROM payments")}
    for _ in range(2):
        answer = reassign(orders, "ada", moved, closed, new_id())
        assert (answer.status_code, answer.json) == (200, {"payments": 1})
    after = {row["order_id"]: row for row in tables.read("SELECT * FROM payments")}
    assert after == {**before, moved: {**before[moved], "customer": "ada"}}
    listed = client.get("/payments", headers=auth.bearer(sub="ada")).json["data"]
    assert [payment["order_id"] for payment in listed] == [str(moved)]
    assert orders.capture(moved).json["status"] == "succeeded"


def test_a_call_with_a_different_customers_token_is_refused(orders, auth):
    order_id = new_id()
    orders.authorize(order_id, customer="a guest")
    assert reassign(orders, "ada", order_id, **auth.bearer(sub="bob")).status_code == 403
    assert reassign(orders, "ada", order_id, **auth.bearer(sub="ada")).status_code == 200


def test_the_account_sees_and_confirms_the_guests_payment_before_its_reassignment(orders, client, auth):
    payment = orders.authorize(new_id(), **METHOD).json["id"]
    member = auth.bearer(sub="ada", guest_sub="a guest")
    assert client.get(f"/payments/{payment}", headers=member).json["next_action"]
    assert [each["id"] for each in client.get("/payments", headers=member).json["data"]] == [payment]
    confirm = f"/payments/{payment}/confirm"
    assert client.get(f"/payments/{payment}", headers=auth.bearer(sub="ada")).status_code == 404
    answer = client.post(confirm, json={}, headers={**member, "Idempotency-Key": "a key"})
    assert (answer.status_code, answer.json["status"]) == (200, "requires_capture")


def test_a_retry_by_the_account_replays_the_response_to_the_guest(orders, client, auth):
    payment = orders.authorize(new_id(), **METHOD).json["id"]
    confirm = f"/payments/{payment}/confirm"
    guest, member = auth.bearer(sub="a guest", role="guest"), auth.bearer(sub="ada", guest_sub="a guest")
    first = client.post(confirm, json={}, headers={**guest, "Idempotency-Key": "a key"})
    again = client.post(confirm, json={}, headers={**member, "Idempotency-Key": "a key"})
    assert (again.status_code, again.data) == (200, first.data)
    assert again.headers["Idempotent-Replayed"] == "true"
