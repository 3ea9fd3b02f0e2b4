"""Shared by the tests of the back office: admin sessions, products and orders."""

import base64
import json
import secrets
from collections.abc import Sequence
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.storefront import open_blank
from tests.stacks import Shopper
from tests.waiting import wait_for

LOG_IN = """([name, password]) =>
    import("/assets/lib/session.js").then(({session}) => session.logIn(name, password))"""
ADDRESS = {
    "name": "Ada Buyer",
    "line1": "1 Long Lane",
    "city": "Springfield",
    "region": "IL",
    "postal_code": "62701",
    "country": "US",
}


def log_in(page: Page, username: str, password: str) -> None:
    """Sign in with the session of the open page, which renders for the user at once."""
    page.evaluate(LOG_IN, [username, password])


def enter(page: Page, username: str = "admin", password: str = "admin") -> None:
    """Start a user's session through the API, with the note that the shop's page keeps of it."""
    open_blank(page)
    answer = page.request.post("/auth", data={"username": username, "password": password})
    assert answer.status == 200, answer.text()
    body = answer.json()
    payload = body["access_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    now = page.evaluate("Date.now()")
    note = {
        "id": claims["sub"],
        "username": username,
        "role": claims["role"],
        "expires_at": now + body["expires_in"] * 1000,
        "noted_at": now,
    }
    page.evaluate("(note) => localStorage.setItem('shopfleet.session', note)", json.dumps(note))


def open_back_office(page: Page, path: str = "") -> None:
    """Open a page of the back office, `orders?status=paid`, as the demo admin."""
    enter(page)
    page.goto("/#/admin" + (f"/{path}" if path else ""))
    expect(page.get_by_role("navigation", name="Back office")).to_be_visible()


def wait_for_content(page: Page) -> None:
    """Wait until a page of the back office shows all of its data.

    The navigation proves that its code is loaded; before that, nothing is busy.
    """
    expect(page.get_by_role("navigation", name="Back office")).to_be_visible()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)


def open_user(page: Page, name: str) -> None:
    """Find a user by name in the back office."""
    open_back_office(page, "users")
    page.get_by_label("Username, email or ID").fill(name)
    page.get_by_role("button", name="Apply", exact=True).click()
    page.get_by_role("table").get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()


def confirm(page: Page, action: str) -> None:
    """Press the dialog's button for the action and wait until the dialog closes."""
    page.get_by_role("dialog").get_by_role("button", name=action, exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def leave_out(complaints: Sequence[str], *statuses: int) -> list[str]:
    """Return the complaints without those about error statuses that the test causes."""
    wanted = [f"status of {status} " for status in statuses]
    return [each for each in complaints if not any(words in each for words in wanted)]


def place_order(shopper: Shopper, product_id: int, *, card: str = "pm_card_visa", quantity: int = 1) -> str:
    """Place an order; return its id once it is paid or waits for the customer."""
    [order_id] = place_orders(shopper, product_id, 1, card=card, quantity=quantity)
    return order_id


def place_orders(
    shopper: Shopper, product_id: int, count: int, *, card: str = "pm_card_visa", quantity: int = 1
) -> list[str]:
    """Place equal orders; return their ids once all are paid or wait for the customer."""
    orders = [_send_order(shopper, product_id, card, quantity) for _ in range(count)]
    settled = {"paid", "awaiting_payment"}
    for order_id in orders:
        wait_for(lambda order_id=order_id: read_order(shopper, order_id)["status"] in settled)
    return orders


def _send_order(shopper: Shopper, product_id: int, card: str, quantity: int) -> str:
    answer = shopper.post(
        "/orders",
        headers={"Idempotency-Key": secrets.token_hex()},
        json={
            "items": [{"product_id": product_id, "quantity": quantity}],
            "payment_method": card,
            "shipping_address": ADDRESS,
            "email": "ada@example.com",
        },
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def read_order(shopper: Shopper, order_id: str) -> dict[str, Any]:
    """Return an order from the API."""
    answer = shopper.get(f"/orders/{order_id}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def add_product(admin: Shopper, **fields: Any) -> dict[str, Any]:
    """Add a product that no other test changes."""
    body = {"title": f"Test kettle {secrets.token_hex(4)}", "price": 40, "on_hand": 10, **fields}
    answer = admin.post("/products", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def register(shopper: Shopper) -> str:
    """Register as a customer with the password `correct horse battery`; return the name."""
    name = f"customer-{secrets.token_hex(4)}"
    answer = shopper.post("/auth/register", json={"username": name, "password": "correct horse battery"})
    assert answer.status_code == 201, answer.text
    return name
