"""A steady load of customers who browse and buy. They never retry, so every call must succeed."""

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle

import requests

from tests.faults.customers import order_of
from tests.stacks import Shopper

PLENTY = 30  # Units in stock of a product that customers buy.
PAUSE = 0.02  # Seconds between two rounds of one customer, so that the machine is not saturated.


@dataclass
class Load:
    """The calls so far. `during` describes the current disturbance of the shop, for failure messages."""

    answered: int = 0
    during: str = ""
    failures: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def call(
        self, shopper: Shopper, method: str, path: str, expected: tuple[int, ...] = (200,), **options: object
    ) -> None:
        """Make a call, and record a failure."""
        began, during = time.monotonic(), self.during
        try:
            answer = shopper.request(method, path, **options)
            trouble = "" if answer.status_code in expected else f"{answer.status_code} {answer.text[:300]}"
        except requests.RequestException as error:
            trouble = repr(error)
        took = time.monotonic() - began
        with self._lock:
            self.answered += 1
            if trouble:
                self.failures.append(
                    f"{time.strftime('%H:%M:%S')} {method} {path} after {took:.1f} s {during}: {trouble}"
                )

    def read(self, url: str, is_over: threading.Event) -> None:
        """Browse products and orders."""
        with Shopper(url) as shopper:
            shopper.post("/auth/guest")
            while not is_over.wait(PAUSE):
                self.call(shopper, "GET", "/products?limit=5")
                self.call(shopper, "GET", "/products/1")
                self.call(shopper, "GET", "/orders")

    def buy(self, url: str, is_over: threading.Event) -> None:
        """Start a guest session, fill a cart and order it; repeat with the next product."""
        with Shopper(url) as shopper:
            shopper.post("/auth/guest")
            products = shopper.get("/products?limit=100").json()["data"]
        for product in cycle(product["id"] for product in products if product["stock"] > PLENTY):
            if is_over.wait(PAUSE):
                return
            with Shopper(url) as shopper:
                self.call(shopper, "POST", "/auth/guest", (201,))
                self.call(shopper, "PUT", f"/cart/items/{product}", json={"quantity": 1})
                body = {name: value for name, value in order_of("pm_card_visa").items() if name != "items"}
                key = {"Idempotency-Key": uuid.uuid4().hex}
                self.call(shopper, "POST", "/orders", (201, 202), json=body, headers=key)
                self.call(shopper, "GET", "/orders")


@contextmanager
def steady_load(url: str, *, readers: int = 3, buyers: int = 2) -> Iterator[Load]:
    """Run the load for the duration of the block."""
    load, is_over = Load(), threading.Event()
    threads = [threading.Thread(target=load.read, args=[url, is_over]) for _ in range(readers)]
    threads += [threading.Thread(target=load.buy, args=[url, is_over]) for _ in range(buyers)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
