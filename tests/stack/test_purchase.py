"""A guest buys a product, and an admin reads the order in the logs, on both stacks."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.stacks import ROOT, Shopper, Stack
from tests.waiting import wait_for

pytestmark = [pytest.mark.shop, pytest.mark.timeout(900)]

ADDRESS = {
    "name": "Ada Buyer",
    "line1": "1 Long Lane",
    "city": "Springfield",
    "region": "IL",
    "postal_code": "62701",
    "country": "US",
}


@pytest.fixture
def guest(stack: Stack) -> Iterator[Shopper]:
    """A new guest."""
    with Shopper(stack.url) as guest:
        assert guest.post("/auth/guest").status_code == 201
        yield guest


@pytest.fixture
def admin(stack: Stack) -> Iterator[Shopper]:
    """The shop's admin."""
    with Shopper(stack.url) as admin:
        admin.log_in()
        yield admin


def place(shopper: Shopper, key: str, card: str = "pm_card_visa", **body):
    """Place an order of these items, or of the cart."""
    order = {"payment_method": card, "shipping_address": ADDRESS, "email": "ada@example.com", **body}
    return shopper.post("/orders", json=order, headers={"Idempotency-Key": key})


def read_stock(shopper: Shopper, product: int) -> int:
    return shopper.get(f"/products/{product}").json()["stock"]


def expect_stock(shopper: Shopper, product: int, stock: int) -> None:
    """Wait for the expected stock; the gateway's answer may be two seconds old."""
    wait_for(lambda: read_stock(shopper, product) == stock, seconds=5)


def find_entries(admin: Shopper, payment_id: str) -> list[dict]:
    """Return a payment's ledger entries, among newer entries of other payments."""
    query = {"limit": 100}
    while True:
        page = admin.get("/payments/ledger", params=query).json()
        found = [entry for entry in page["data"] if entry["payment_id"] == payment_id]
        if found or page["next"] is None:
            return found
        query["cursor"] = page["next"]


def wait_until_paid(shopper: Shopper, order_id: str) -> dict:
    def ask():
        order = shopper.get(f"/orders/{order_id}").json()
        return order["status"] == "paid" and order

    return wait_for(ask)


def test_a_guest_buys_the_cart_and_money_and_stock_move(guest, admin, product):
    before = read_stock(guest, product)
    price = guest.get(f"/products/{product}").json()["unit_amount"]
    cart = guest.put(f"/cart/items/{product}", json={"quantity": 2}).json()
    assert cart["amount"] == 2 * price
    answer = place(guest, uuid.uuid4().hex)
    assert answer.status_code == 201, answer.text
    order = answer.json()
    assert answer.headers["Location"] == f"/orders/{order['id']}"
    assert order["amount"] == 2 * price
    assert guest.get("/cart").json()["items"] == []

    paid = wait_until_paid(guest, order["id"])
    expect_stock(guest, product, before - 2)
    payment = guest.get(f"/payments/{paid['payment']['id']}").json()
    assert payment["status"] == "succeeded"
    assert payment["amount_captured"] == payment["amount"] == order["amount"]
    moved = find_entries(admin, payment["id"])
    assert moved
    assert all(sum(line["amount"] for line in entry["lines"]) == 0 for entry in moved)


def test_a_declined_card_gets_402_and_the_stock_is_released(guest, product):
    before = read_stock(guest, product)
    answer = place(
        guest, uuid.uuid4().hex, "pm_card_chargeDeclined", items=[{"product_id": product, "quantity": 3}]
    )
    assert answer.status_code == 402, answer.text
    order = guest.get(f"/orders/{answer.json()['order_id']}").json()
    assert (order["status"], order["reason"]) == ("cancelled", "payment_declined")
    expect_stock(guest, product, before)


def test_an_order_for_more_than_the_stock_is_409_with_the_line(guest, product):
    answer = place(guest, uuid.uuid4().hex, items=[{"product_id": product, "quantity": 11}])
    assert answer.status_code == 409
    assert answer.json()["code"] == "out_of_stock"
    assert answer.json()["lines"][0]["product_id"] == product


def test_a_repeated_key_gets_the_same_answer_and_buys_nothing(guest, product):
    before, key = read_stock(guest, product), uuid.uuid4().hex
    first = place(guest, key, items=[{"product_id": product, "quantity": 1}])
    again = place(guest, key, items=[{"product_id": product, "quantity": 1}])
    assert first.status_code == again.status_code == 201
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    expect_stock(guest, product, before - 1)


def test_another_guest_does_not_see_the_order_or_the_payment(stack, guest):
    order = place(guest, uuid.uuid4().hex, items=[{"product_id": 5, "quantity": 1}]).json()
    with Shopper(stack.url) as other:
        other.post("/auth/guest")
        assert other.get(f"/orders/{order['id']}").status_code == 404
        assert other.get(f"/orders/{order['id']}/events").status_code == 404
        assert other.get(f"/payments/{order['payment']['id']}").status_code == 404


def test_a_guest_may_not_read_the_logs_or_the_ledger(guest):
    for path in ("/logs", "/payments/ledger"):
        assert guest.get(path).status_code == 403


def test_a_guests_cart_survives_registration_and_merges_at_log_in(stack):
    account = {"username": f"ada-{uuid.uuid4().hex[:12]}", "password": "correct horse battery"}

    def read_cart(shopper):
        return {item["product_id"]: item["quantity"] for item in shopper.get("/cart").json()["items"]}

    with Shopper(stack.url) as first, Shopper(stack.url) as again:
        for shopper, product in ((first, 3), (again, 4)):
            assert shopper.post("/auth/guest").status_code == 201
            assert shopper.put(f"/cart/items/{product}", json={"quantity": 2}).status_code == 200
        assert first.post("/auth/register", json=account).status_code == 201
        assert read_cart(first) == {3: 2}
        assert again.post("/auth", json=account).status_code == 200
        assert read_cart(again) == {3: 2, 4: 2}


def test_the_logs_have_an_order_under_one_request_id_and_trace(guest, admin):
    placed = place(guest, uuid.uuid4().hex, items=[{"product_id": 6, "quantity": 1}])
    order = placed.json()
    wait_until_paid(guest, order["id"])

    def read_story():
        records = admin.get(f"/logs?order_id={order['id']}&limit=100").json()["data"]
        # Each later read of the order is a separate call, which the gateway logs.
        story = [record for record in records if record["request_id"] == placed.headers["X-Request-ID"]]
        assert {record["service"] for record in records if record not in story} <= {"gateway"}
        services = {record["service"] for record in story}
        return services == {"gateway", "orders-service", "catalog-service", "payments-service"} and story

    story = wait_for(read_story)
    assert len({record["trace_id"] for record in story}) == 1
    times = [datetime.fromisoformat(record["time"]) for record in story]
    assert times == sorted(times, reverse=True)


def test_the_books_of_the_shop_agree(processes):
    with Shopper(processes.url) as guest:
        guest.post("/auth/guest")
        bought = place(guest, uuid.uuid4().hex, items=[{"product_id": 7, "quantity": 2}]).json()
        declined = place(
            guest, uuid.uuid4().hex, "pm_card_chargeDeclined", items=[{"product_id": 8, "quantity": 1}]
        )
        assert declined.status_code == 402
        wait_until_paid(guest, bought["id"])
    audit = subprocess.run(
        [sys.executable, "-m", "tools.books"],
        cwd=ROOT,
        env={"STATE": str(processes.state), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert audit.returncode == 0, audit.stdout + audit.stderr
