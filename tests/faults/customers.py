"""Customers who do not give up: they repeat a call, under the same key, until the shop has answered it."""

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
PATIENCE = 90.0  # Seconds of trying until the shop is taken to be broken.
PAUSE = 0.2
# What is refused for now only: the shop works on this call, or on another that has to end first.
IN_PROGRESS = frozenset({"idempotency_in_progress", "refund_in_progress"})
# The deadline of a pending order in seconds, and half a minute. Most take some ten, until a dead process's
# lease has ended; but while an order waits for that, other things die.
FINAL_WITHIN = 150.0


class Customer(Shopper):
    """A guest whose calls carry a request id of their own, by which their work is known everywhere."""

    def __init__(self, url: str, request_id: str | None = None) -> None:
        super().__init__(url)
        if request_id:
            self.headers["X-Request-ID"] = request_id
        self.hiccups = 0  # Calls that got no answer, or one that says "try again".

    def insist(self, method: str, path: str, **options: Any) -> requests.Response:
        """Repeat a call until it is answered for good, which is neither 5xx nor 429 nor "in progress"."""
        deadline = time.monotonic() + PATIENCE
        while True:
            answer, trouble = self._try(method, path, options)
            if answer is not None:
                return answer
            assert time.monotonic() < deadline, (
                f"{method} {path} was not answered in {PATIENCE:.0f} s: {trouble}"
            )
            self.hiccups += 1
            time.sleep(PAUSE)

    def _try(self, method: str, path: str, options: dict[str, Any]) -> tuple[requests.Response | None, str]:
        try:
            answer = self.request(method, path, **options)
        except requests.RequestException as error:
            return None, repr(error)
        # The shop answers 500 to an error that its code does not foresee. There must be none.
        assert answer.status_code != 500, f"{method} {path}: {answer.text}"
        again = answer.status_code >= 500 or answer.status_code == 429 or read_code(answer) in IN_PROGRESS
        return (None if again else answer), f"{answer.status_code} {answer.text[:300]}"

    def come_in(self) -> "Customer":
        """Become a guest."""
        answer = self.insist("POST", "/auth/guest")
        assert answer.status_code == 201, answer.text
        self.cookies.clear()
        self.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return self

    def come_in_as_admin(self) -> "Customer":
        """Become the demo admin."""
        answer = self.insist("POST", "/auth", json={"username": "admin", "password": "admin"})
        assert answer.status_code == 200, answer.text
        self.cookies.clear()
        self.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return self

    def order(self, key: str, card: str, *, product: int = 1, quantity: int = 1) -> requests.Response:
        """Order so many of a product, under this key."""
        return self.insist(
            "POST", "/orders", json=order_of(card, product, quantity), headers={"Idempotency-Key": key}
        )

    def confirm(self, key: str, payment: str, outcome: str = "approved") -> requests.Response:
        """Tell the bank that it was the customer, or that it was not."""
        return self.insist(
            "POST",
            f"/payments/{payment}/confirm",
            json={"outcome": outcome},
            headers={"Idempotency-Key": key},
        )

    def refund(self, key: str, order_id: str, **body: Any) -> requests.Response:
        """Give money back, as the admin."""
        return self.insist("POST", f"/orders/{order_id}/refund", json=body, headers={"Idempotency-Key": key})

    def read_order(self, order_id: str) -> dict[str, Any]:
        """Return the order as it stands."""
        answer = self.insist("GET", f"/orders/{order_id}")
        assert answer.status_code == 200, answer.text
        order: dict[str, Any] = answer.json()
        return order

    def wait_for_order(
        self, order_id: str, is_there: Callable[[dict[str, Any]], bool], *, seconds: float
    ) -> dict[str, Any]:
        """Return the order once it is as described."""

        def ask() -> dict[str, Any] | None:
            order = self.read_order(order_id)
            if is_there(order):
                return order
            time.sleep(0.2)
            return None

        found = wait_for(ask, seconds=seconds)
        assert found is not None
        return found


def order_of(card: str, product: int = 1, quantity: int = 1) -> dict[str, Any]:
    """Return the body of an order."""
    return {
        "items": [{"product_id": product, "quantity": quantity}],
        "payment_method": card,
        "shipping_address": ADDRESS,
    }


def read_code(answer: requests.Response) -> str:
    """Return the stable word of an error."""
    try:
        return str(answer.json().get("code"))
    except ValueError:
        return ""
