"""A shop filled by the first release upgrades to this one without loss."""

import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from psycopg import sql

from bench.shop import checked_out
from tests.stack.test_purchase import ADDRESS
from tests.stacks import ROOT, ProcessStack, Shopper
from tests.waiting import wait_for
from tools.books import find_databases

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

FIRST = "6a6afed"  # The commit of the first release.
ORDER = {
    "items": [{"product_id": 1, "quantity": 1}],
    "payment_method": "pm_card_visa",
    "shipping_address": ADDRESS,
    "email": "ada@example.com",
}
FINAL = {"paid", "shipped", "refunded", "cancelled", "awaiting_payment"}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[ProcessStack]:
    """A shop that runs the first release."""
    with checked_out(tmp_path, FIRST) as home:
        stack = ProcessStack(tmp_path / "state", home=home, RATE_LIMITS="off")
        stack.start()
        yield stack
        stack.stop()


def wait_until_books_agree(stack: ProcessStack) -> None:
    """Wait until the books break no rule and only orders that await their customer are in progress."""

    def do_books_agree() -> bool:
        done = stack.audit()
        return done.returncode == 0 and "0 broken; 1 orders are in progress" in done.stdout

    wait_for(do_books_agree)


def order(guest: Shopper, *, product: int = 1, card: str = "pm_card_visa") -> dict[str, Any]:
    """Order one unit; return the answer of any status."""
    answer = guest.post(
        "/orders",
        headers={"Idempotency-Key": secrets.token_hex()},
        json={**ORDER, "items": [{"product_id": product, "quantity": 1}], "payment_method": card},
    )
    assert answer.status_code in {201, 202, 402}, answer.text
    body: dict[str, Any] = answer.json()
    return body


def read_all(shopper: Shopper, path: str) -> list[dict[str, Any]]:
    """Return the rows of every page."""
    rows, cursor = [], ""
    while cursor is not None:
        page = shopper.get(path, params={"limit": 100, "cursor": cursor} if cursor else {"limit": 100}).json()
        rows += page["data"]
        cursor = page["next"]
    return rows


def fill(guest: Shopper, admin: Shopper) -> None:
    """Leave orders in every state, the last of them in progress."""
    paid = [order(guest, product=number)["id"] for number in range(1, 6)]
    order(guest, card="pm_card_chargeDeclined")
    order(guest, card="pm_card_authenticationRequired")
    wait_for(lambda: all(guest.get(f"/orders/{each}").json()["status"] == "paid" for each in paid))
    key = {"Idempotency-Key": secrets.token_hex()}
    for path, body in (
        (f"/orders/{paid[0]}/ship", None),
        (f"/orders/{paid[1]}/refund", {"amount": 100}),
        (f"/orders/{paid[2]}/refund", {"restock": True}),
        (f"/orders/{paid[3]}/cancel", None),
    ):
        answer = admin.post(path, json=body, headers=key)
        assert answer.status_code in {200, 201}, (path, answer.text)


def migrate(stack: ProcessStack, service: str) -> None:
    """Migrate a service's database while its replica of the first release runs."""
    process = psutil.Process(stack.find_pid(service))
    environment = {**process.environ(), "PYTHONPATH": f"{ROOT}:{ROOT / service}"}
    subprocess.run([sys.executable, "-m", "shared.migrate"], cwd=ROOT, env=environment, check=True)


def count_rows(stack: ProcessStack) -> dict[str, int]:
    """Return the number of rows in each table that a purchase writes."""
    urls = find_databases({"STATE": str(stack.state)})
    tables = {
        "orders": ["orders", "order_lines", "order_events", "idempotency_keys"],
        "payments": ["payments"],
    }
    counts = {}
    for name, written in tables.items():
        with psycopg.connect(urls[name]) as connection:
            for table in written:
                query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
                counts[table] = connection.execute(query).fetchall()[0][0]
    return counts


def test_leftover_replicas_of_the_first_release_fail_and_write_nothing(
    stack: ProcessStack,
) -> None:
    with Shopper(stack.url) as guest:
        assert guest.post("/auth/guest").status_code == 201
        paid = order(guest)["id"]
        wait_for(lambda: guest.get(f"/orders/{paid}").json()["status"] == "paid")
        for service in ("payments-service", "orders-service"):
            migrate(stack, service)
        before = count_rows(stack)
        for attempt in range(3):
            answer = guest.post("/orders", headers={"Idempotency-Key": f"attempt {attempt}"}, json=ORDER)
            assert answer.status_code == 500, answer.text
        assert guest.post(f"/orders/{paid}/cancel").status_code == 500
        assert count_rows(stack) == before
        stack.stop()
        stack.home = ROOT
        stack.start()
        assert guest.post(f"/orders/{paid}/cancel").json()["status"] == "cancelled"
        answer = guest.post("/orders", headers={"Idempotency-Key": "attempt 0"}, json=ORDER)
        assert answer.status_code == 201, answer.text
        wait_for(lambda: stack.audit().returncode == 0)


def test_a_shop_of_the_first_release_upgrades_and_its_books_agree(stack: ProcessStack) -> None:
    with Shopper(stack.url) as guest, Shopper(stack.url) as admin:
        assert guest.post("/auth/guest").status_code == 201
        admin.log_in()
        fill(guest, admin)
        wait_until_books_agree(stack)
        orders, ledger = read_all(admin, "/orders"), read_all(admin, "/payments/ledger")
        assert len(ledger) >= 8
        for _ in range(5):
            order(guest)
        # The last orders are not settled yet.
        stack.stop()
        stack.home = ROOT
        stack.start()
        admin.log_in()
        kept = {each["id"]: each for each in read_all(admin, "/orders")}
        for each in kept.values():
            # The first release knew none of these.
            unknown = ("number", "billing_address", "note", "shipping_method", "coupon")
            assert [each.pop(name) for name in unknown] == [None] * len(unknown)
            assert each.pop("tax_amount") == (None if each["items_amount"] is None else 0)
            assert each["shipping_address"].pop("phone") is None
        for item in (item for each in kept.values() for item in each["items"]):
            # The first release sold products, each of which is its own first variant now.
            assert item.pop("variant_id") == item["product_id"]
            parts = ("discount_amount", "tax_rate", "tax_amount")
            assert [item.pop(name) for name in parts] == [0, None, 0]
        assert {each["id"]: kept[each["id"]] for each in orders} == {each["id"]: each for each in orders}
        assert len(kept) == len(orders) + 5
        assert read_all(admin, "/payments/ledger")[-len(ledger) :] == ledger
        wait_for(lambda: {each["status"] for each in read_all(admin, "/orders")} <= FINAL)
        wait_until_books_agree(stack)
        # Its customers keep their accounts and can buy.
        assert order(guest)["status"] == "confirmed"
        wait_until_books_agree(stack)
