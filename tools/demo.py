"""Run the tutorial's calls against a running shop and print each call with its answer: `make demo`.

URL is the shop's address. DEMO_USER and DEMO_PASSWORD name an admin where the demo users do not exist.
The exit code is 1 if an answer is not the expected one.
"""

import json
import os
import shlex
import sys
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import requests

WIDTH = 110
SHOWN_PRODUCTS = 2
ADDRESS = {
    "name": "Ada Buyer",
    "line1": "1 Long Lane",
    "city": "Springfield",
    "region": "IL",
    "postal_code": "62701",
    "country": "US",
}
ABROAD = {
    "name": "Ada Buyer",
    "line1": "Landstrasse 1",
    "city": "Vaduz",
    "postal_code": "9490",
    "country": "LI",
}


@dataclass
class Demo:
    """One run; `failures` counts the unexpected answers."""

    url: str
    session: requests.Session = field(default_factory=requests.Session)
    steps: int = 0
    failures: int = 0

    def step(self, title: str, method: str, path: str, *, expect: int, **options: Any) -> requests.Response:
        """Make a call, print it as a curl command with its answer, and check the status."""
        self.steps += 1
        print(f"\n{self.steps}. {title}")
        print(f"   $ {self._as_curl(method, path, options)}")
        answer = self.session.request(method, self.url + path, timeout=20, **options)
        print(f"   {answer.status_code} {answer.reason}")
        for line in _show_body(answer):
            print(f"   {line}")
        if answer.status_code != expect:
            self.failures += 1
            print(f"   ✗ expected {expect}")
        return answer

    def wait_until_paid(self, path: str, headers: dict[str, str]) -> None:
        """Wait until the shop has captured the payment, which it does after its answer."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if self.session.get(self.url + path, headers=headers, timeout=20).json().get("status") == "paid":
                return
            time.sleep(0.1)

    def _as_curl(self, method: str, path: str, options: dict[str, Any]) -> str:
        words = ["curl", "-i"]
        if method != "GET":
            words += ["-X", method]
        for name, value in options.get("headers", {}).items():
            words += ["-H", f"{name}: {_shorten(value, 60)}"]
        if "json" in options:
            words += ["-H", "Content-Type: application/json", "-d", json.dumps(options["json"])]
        for name, value in options.get("data", {}).items():
            words += ["-d", f"{name}={value}"]
        if self.session.cookies.get("token"):
            words += ["-b", "token=…"]
        return shlex.join([*words, self.url + path])


def walk(demo: Demo, user: str, password: str) -> None:
    """Make the tutorial's calls, including those that the shop refuses."""
    pair = {"username": user, "password": password}
    demo.step("Log in with a form: only JSON is accepted", "POST", "/auth", data=pair, expect=415)
    wrong = {**pair, "password": "wrong"}
    demo.step("Log in with a wrong password", "POST", "/auth", json=wrong, expect=401)
    demo.step("List products without a token", "GET", "/products", expect=401)
    login = demo.step("Log in: a token in the answer and a cookie", "POST", "/auth", json=pair, expect=200)
    if login.status_code != 200:
        return
    token = login.json()["access_token"]
    demo.step("List products with the cookie", "GET", "/products?limit=3", expect=200)
    demo.session.cookies.clear()
    bearer = {"Authorization": f"Bearer {token}"}
    page = demo.step("List products with the token", "GET", "/products?limit=3", headers=bearer, expect=200)
    if page.status_code == 200:
        following = f"/products?limit=3&cursor={page.json()['next']}"
        demo.step("Fetch the next page", "GET", following, headers=bearer, expect=200)
        first = page.json()["data"][0]["id"]
        demo.step("Read one product", "GET", f"/products/{first}", headers=bearer, expect=200)
    tampered = {"Authorization": f"Bearer {token[:-8]}tampered"}
    demo.step("Send a forged token", "GET", "/products", headers=tampered, expect=401)
    demo.step("Read the user of the token", "GET", "/auth/me", headers=bearer, expect=200)
    for name in ("auth", "catalog", "orders", "payments", "logs"):
        demo.step(f"Check the health of {name}-service", "GET", f"/healthz/{name}-service", expect=200)
    buy(demo, bearer)


def buy(demo: Demo, admin: dict[str, str]) -> None:
    """Buy a product as a guest, and read the order as the admin."""
    guest = demo.step("Start a guest session", "POST", "/auth/guest", expect=201)
    if guest.status_code != 201:
        return
    demo.session.cookies.clear()
    bearer = {"Authorization": f"Bearer {guest.json()['access_token']}"}
    demo.step(
        "Add two units of a product to the cart",
        "PUT",
        "/cart/items/1",
        json={"quantity": 2},
        headers=bearer,
        expect=200,
    )
    order = {
        "payment_method": "pm_card_chargeDeclined",
        "shipping_address": ADDRESS,
        "email": "ada@example.com",
    }
    keyed = {**bearer, "Idempotency-Key": uuid.uuid4().hex}
    demo.step(
        "Order the cart with a declined card",
        "POST",
        "/orders",
        json=order,
        headers=keyed,
        expect=402,
    )
    order["payment_method"] = "pm_card_visa"
    keyed["Idempotency-Key"] = uuid.uuid4().hex
    placed = demo.step("Order it with a valid card", "POST", "/orders", json=order, headers=keyed, expect=201)
    if placed.status_code != 201:
        return
    demo.step(
        "Retry the call: the answer is the same", "POST", "/orders", json=order, headers=keyed, expect=201
    )
    path, payment = placed.headers["Location"], placed.json()["payment"]["id"]
    demo.wait_until_paid(path, bearer)
    demo.step("Read the order", "GET", path, headers=bearer, expect=200)
    demo.step("Read the payment", "GET", f"/payments/{payment}", headers=bearer, expect=200)
    demo.step("Read the timeline of the order", "GET", f"{path}/events", headers=bearer, expect=200)
    demo.step("Read the ledger as the admin", "GET", "/payments/ledger?limit=2", headers=admin, expect=200)
    logs = f"/logs?order_id={placed.json()['id']}"
    demo.step("Read the log records of the order as the admin", "GET", logs, headers=admin, expect=200)
    buy_abroad(demo, admin, bearer)


def buy_abroad(demo: Demo, admin: dict[str, str], guest: dict[str, str]) -> None:
    """Set up shipping, a tax and a coupon for a small country, order there, and switch them off again."""
    name = f"demo-{uuid.uuid4().hex[:6]}"
    method = {"code": name, "title": "Parcel", "countries": ["LI"], "price": 990, "free_from": 50_000}
    rate = {"country": "LI", "title": "MWST 8.1 %", "rate": 810}
    rules = [
        ("Add a shipping method as the admin", "/shipping-methods", method),
        ("Add a tax rate as the admin", "/tax-rates", rate),
        ("Add a coupon as the admin", "/coupons", {"code": name, "percent": 10, "limit": 1}),
    ]
    added = []
    try:
        for title, path, body in rules:
            answer = demo.step(title, "POST", path, json=body, headers=admin, expect=201)
            if answer.status_code == 201:
                added.append(f"{path}/{answer.json().get('code') or answer.json()['id']}")
        if len(added) == len(rules):
            order_abroad(demo, guest, name)
    finally:
        for path in added:
            demo.step("Switch it off again", "DELETE", path, headers=admin, expect=204)


def order_abroad(demo: Demo, guest: dict[str, str], name: str) -> None:
    """Ask what an order costs, and place it for that amount."""
    order = {
        "items": [{"product_id": 1, "quantity": 1}],
        "shipping_address": ABROAD,
        "shipping_method": name,
        "coupon": name,
        "email": "ada@example.com",
    }
    quote = demo.step(
        "Ask what an order costs", "POST", "/orders/quote", json=order, headers=guest, expect=200
    )
    if quote.status_code != 200:
        return
    payable = {**order, "payment_method": "pm_card_visa", "expected_amount": quote.json()["amount"]}
    keyed = {**guest, "Idempotency-Key": uuid.uuid4().hex}
    placed = demo.step(
        "Order it for exactly that", "POST", "/orders", json=payable, headers=keyed, expect=201
    )
    if placed.status_code == 201 and placed.json()["adjustments"] != quote.json()["adjustments"]:
        demo.failures += 1
        print("   ✗ the order costs something else than the quote")


def _show_body(answer: requests.Response) -> list[str]:
    if not answer.content:
        return []
    try:
        body = answer.json()
    except ValueError:
        return [_shorten(answer.text, WIDTH)]
    if "request_id" in body:
        body = {name: body[name] for name in ("error", "code", "request_id")}
    if isinstance(body.get("data"), list):
        lines = [_as_json(product) for product in body["data"]]
        more = len(lines) - SHOWN_PRODUCTS
        return lines[:SHOWN_PRODUCTS] + ([f"… {more} more, and next: {body['next']}"] if more > 0 else [])
    if len(json.dumps(body)) <= WIDTH:
        return [_as_json(body)]
    return [f"{name}: {_as_json(value)}" for name, value in body.items()]


def _as_json(value: Any) -> str:
    return _shorten(json.dumps(value, ensure_ascii=False), WIDTH)


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def main() -> int:
    """Run the demo and print a summary."""
    port = os.environ.get("PORT") or "8080"
    demo = Demo((os.environ.get("URL") or f"http://localhost:{port}").rstrip("/"))
    try:
        walk(demo, os.environ.get("DEMO_USER") or "admin", os.environ.get("DEMO_PASSWORD") or "admin")
    except requests.ConnectionError:
        print(f"\nNo shop answers at {demo.url}. Start one with `docker compose up` or `make run`.")
        return 1
    print(f"\n{demo.steps} calls, {demo.failures} unexpected answers.")
    return 1 if demo.failures else 0


if __name__ == "__main__":
    sys.exit(main())
