"""Customers that repeat a call with the same idempotency key until they get a final response."""

import time
from collections.abc import Callable
from typing import Any

import requests

from tests.stacks import Shopper
from tests.waiting import wait_for

ADDRESS = {
    "name": "Ada Buyer",
    "line1": "1 Long Lane",
    "city": "Springfield",
    "region": "IL",
    "postal_code": "62701",
    "country": "US",
}
PATIENCE = 90.0  # Seconds of retries until the shop counts as broken.
PAUSE = 0.2
# Temporary errors: this call is still in progress, or another call has to end first.
IN_PROGRESS = frozenset({"idempotency_in_progress", "refund_in_progress"})
# The deadline of a pending order in seconds, plus half a minute. Most orders take about ten seconds, until
# the lease of a dead process expires, but more parts may fail in the meantime.
FINAL_WITHIN = 150.0


class Customer(Shopper):
    """A guest whose calls have a fixed request id, by which every service recognizes their work."""

    def __init__(self, url: str, request_id: str | None = None) -> None:
        super().__init__(url)
        if request_id:
            self.headers["X-Request-ID"] = request_id
        self.hiccups = 0  # Calls without a response, or with a temporary error.

    def call_until_answered(self, method: str, path: str, **options: Any) -> requests.Response:
        """Repeat a call until the response is final: not 5xx, not 429 and not "in progress"."""
        deadline = time.monotonic() + PATIENCE
        while True:
            answer, problem = self._try(method, path, options)
            if answer is not None:
                return answer
            assert time.monotonic() < deadline, (
                f"{method} {path} got no final response in {PATIENCE:.0f} s: {problem}"
            )
            self.hiccups += 1
            time.sleep(PAUSE)

    def _try(self, method: str, path: str, options: dict[str, Any]) -> tuple[requests.Response | None, str]:
        try:
            answer = self.request(method, path, **options)
        except requests.RequestException as error:
            return None, repr(error)
        # 500 means an unexpected error, and there must be none.
        assert answer.status_code != 500, f"{method} {path}: {answer.text}"
        is_temporary = (
            answer.status_code >= 500 or answer.status_code == 429 or read_code(answer) in IN_PROGRESS
        )
        return (None if is_temporary else answer), f"{answer.status_code} {answer.text[:300]}"

    def start_guest_session(self) -> "Customer":
        """Start a guest session."""
        answer = self.call_until_answered("POST", "/auth/guest")
        assert answer.status_code == 201, answer.text
        self.cookies.clear()
        self.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return self

    def log_in_as_admin(self) -> "Customer":
        """Log in as the demo admin."""
        answer = self.call_until_answered("POST", "/auth", json={"username": "admin", "password": "admin"})
        assert answer.status_code == 200, answer.text
        self.cookies.clear()
        self.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return self

    def order(self, key: str, card: str, *, product: int = 1, quantity: int = 1) -> requests.Response:
        """Order a quantity of a product with this idempotency key."""
        return self.call_until_answered(
            "POST", "/orders", json=order_of(card, product, quantity), headers={"Idempotency-Key": key}
        )

    def confirm(self, key: str, payment: str, outcome: str = "approved") -> requests.Response:
        """Complete the bank's authentication with this outcome."""
        return self.call_until_answered(
            "POST",
            f"/payments/{payment}/confirm",
            json={"outcome": outcome},
            headers={"Idempotency-Key": key},
        )

    def refund(self, key: str, order_id: str, **body: Any) -> requests.Response:
        """Refund an order, as the admin."""
        return self.call_until_answered(
            "POST", f"/orders/{order_id}/refund", json=body, headers={"Idempotency-Key": key}
        )

    def read_order(self, order_id: str) -> dict[str, Any]:
        """Return the order."""
        answer = self.call_until_answered("GET", f"/orders/{order_id}")
        assert answer.status_code == 200, answer.text
        order: dict[str, Any] = answer.json()
        return order

    def wait_for_order(
        self, order_id: str, is_expected: Callable[[dict[str, Any]], bool], *, seconds: float
    ) -> dict[str, Any]:
        """Return the order once it meets the condition."""

        def read() -> dict[str, Any] | None:
            order = self.read_order(order_id)
            if is_expected(order):
                return order
            time.sleep(0.2)
            return None

        found = wait_for(read, seconds=seconds)
        assert found is not None
        return found


def order_of(card: str, product: int = 1, quantity: int = 1) -> dict[str, Any]:
    """Return the body of an order of a product."""
    return order_of_items(card, [{"product_id": product, "quantity": quantity}])


def order_of_items(card: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the body of an order of items."""
    return {"items": items, "payment_method": card, "shipping_address": ADDRESS, "email": "ada@example.com"}


def read_code(answer: requests.Response) -> str:
    """Return the code of an error."""
    try:
        return str(answer.json().get("code"))
    except ValueError:
        return ""
