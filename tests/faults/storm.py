"""A storm: customers buy while a fault hits a part every two seconds. Every response must hold true."""

import random
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event
from typing import Any

import requests

from tests.faults.customers import FINAL_WITHIN, PAUSE, Customer, order_of_items, read_code
from tests.faults.witness import Witness
from tests.stacks import Shopper, Stack
from tests.variants import Shirt, add_shirt

CLIENTS = 8
EVERY = 2.0  # Seconds between two faults.
IMPATIENCE = 0.3  # Seconds after which some customers stop waiting and retry.
AT_ONCE = 20  # Concurrent calls of customers that click repeatedly.
PRODUCTS = 20
# The units of each variant of the shirts; some sell out during the storm.
SHIRTS = 2
UNITS = {"S / Blue": 1000, "M / Blue": 1000, "S / Red": 8, "M / Red": 3}
CARDS = {
    "pm_card_visa": 50,
    "pm_card_chargeDeclined": 10,
    "pm_card_authenticationRequired": 15,
    "pm_fault_late": 4,
    "pm_fault_never": 2,
    "pm_fault_error500": 4,
    "pm_fault_chargedThenDropped": 5,
    "pm_fault_webhookTwice": 3,
    "pm_fault_webhookBeforeAnswer": 3,
    "pm_fault_webhookOutOfOrder": 3,
    "pm_fault_captureRefused": 3,
}
METHOD = {"code": "storm", "title": "Parcel", "price": 490, "free_from": 20_000}
TAX = {"country": "US", "title": "Sales tax", "rate": 825}
# Some are used up during the storm, and given back by cancelled orders.
COUPONS: list[dict[str, Any]] = [
    {"code": "STORM", "percent": 10},
    {"code": "STORM-FEW", "amount": 500, "limit": 5},
    {"code": "STORM-ONCE", "percent": 100, "limit_per_customer": 1},
    {"code": "STORM-SHIP", "free_shipping": True},
]
ALIVE = frozenset({"confirmed", "paid", "shipped", "delivered", "refunded"})


class Buyer:
    """A customer that starts a guest session, buys and may cancel, again and again."""

    def __init__(self, stack: Stack, witness: Witness, shirts: list[Shirt], seed: str) -> None:
        self._stack = stack
        self._witness = witness
        self._shirts = shirts
        self._choose = random.Random(seed)  # noqa: S311

    def buy_until(self, is_over: Event) -> None:
        """Buy until the storm is over."""
        while not is_over.is_set():
            with Customer(self._stack.url) as customer, Customer(self._stack.url) as admin:
                try:
                    customer.start_guest_session()
                    admin.log_in_as_admin()
                    self._visit(customer, admin)
                except Exception as error:
                    self._witness.complain(repr(error))

    def _visit(self, customer: Customer, admin: Customer) -> None:
        [card] = self._choose.choices(list(CARDS), list(CARDS.values()))
        items = self._choose_items()
        body = {**order_of_items(card, items), "shipping_method": METHOD["code"]}
        if self._choose.random() < 0.5:
            body["coupon"] = self._choose.choice(COUPONS)["code"]
        is_cart = self._choose.random() < 0.3
        if is_cart:
            for item in items:
                number = item.get("variant_id") or item["product_id"]
                quantity = {"quantity": item["quantity"]}
                customer.call_until_answered("PUT", f"/cart/items/{number}", json=quantity)
            del body["items"]
        order_id = self._place(customer, body)
        if order_id is None:
            return
        orders = {order_id}
        if is_cart and self._choose.random() < 0.5:
            orders |= self._order_again(customer, body, order_id)
        order = customer.wait_for_order(
            order_id, lambda order: order["status"] != "pending", seconds=FINAL_WITHIN
        )
        if order["status"] == "awaiting_payment":
            self._authenticate(customer, order)
        [follow_up] = self._choose.choices(
            [self._leave, self._cancel, self._refund, self._ship], [60, 15, 15, 10]
        )
        follow_up(customer, admin, order_id)
        self._check_orders(customer, orders)

    def _choose_items(self) -> list[dict[str, Any]]:
        """Return items of an order: a product, or one or two variants of a shirt.

        Some customers forget to choose the variant.
        """
        quantity = self._choose.randint(1, 2)
        [what] = self._choose.choices(["product", "variants", "forgotten"], [50, 45, 5])
        if what == "product":
            return [{"product_id": self._choose.randint(1, PRODUCTS), "quantity": quantity}]
        shirt = self._choose.choice(self._shirts)
        if what == "forgotten":
            return [{"product_id": shirt.id, "quantity": quantity}]
        titles = self._choose.sample(list(UNITS), self._choose.randint(1, 2))
        return [{"variant_id": shirt.id_of(title), "quantity": quantity} for title in titles]

    def _order_again(self, customer: Customer, body: dict[str, Any], order_id: str) -> set[str]:
        """Order the same cart with a new key; return the new order if the first one has failed."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        answer = customer.call_until_answered("POST", "/orders", json=body, headers=headers)
        code, content = read_code(answer), answer.json()
        if answer.status_code == 409 and code in {"cart_empty", "coupon_not_usable"}:
            return set()
        if (answer.status_code, code) == (409, "cart_already_ordered"):
            if content["order_id"] != order_id:
                self._witness.complain(f"The cart of {order_id} was ordered by {content['order_id']}")
            return set()
        self._witness.note(order_id, "ordered again", lambda order: order["status"] == "cancelled")
        self._note_answer(answer)
        return {content.get("id") or content["order_id"]}

    def _place(self, customer: Customer, body: dict[str, Any]) -> str | None:
        """Place an order in a random way; return its id if there is one."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}

        def place(client: Customer = customer) -> requests.Response:
            return client.call_until_answered("POST", "/orders", json=body, headers=headers)

        [how] = self._choose.choices(
            ["once", "impatient", "at once", "twice", "altered"], [60, 15, 5, 10, 10]
        )
        if how == "impatient":
            with suppress(requests.RequestException):
                customer.post("/orders", json=body, headers=headers, timeout=IMPATIENCE)
        if how == "at once":
            with ThreadPoolExecutor(AT_ONCE) as pool:
                answers = [
                    done.result()
                    for done in [pool.submit(self._place_alone, customer, place) for _ in range(AT_ONCE)]
                ]
        else:
            answers = [place()]
        if how == "twice":
            answers.append(place())
        if how == "altered":
            other = customer.call_until_answered(
                "POST", "/orders", json={**body, "email": "a@b.example"}, headers=headers
            )
            if read_code(answers[0]) == "coupon_not_usable":
                # The key was free.
                answers = [other]
            elif (other.status_code, read_code(other)) != (422, "idempotency_key_reused"):
                self._witness.complain(f"Another body under the same key: {other.status_code} {other.text}")
        return self._note_placed(answers)

    def _place_alone(
        self, customer: Customer, place: Callable[[Customer], requests.Response]
    ) -> requests.Response:
        with Customer(self._stack.url) as other:
            other.headers["Authorization"] = customer.headers["Authorization"]
            return place(other)

    def _note_placed(self, answers: list[requests.Response]) -> str | None:
        # A coupon without a use left places no order and leaves the key free, until a use is given back.
        answers = [answer for answer in answers if read_code(answer) != "coupon_not_usable"]
        if not answers:
            return None
        ids = {body.get("id") or body.get("order_id") for body in (answer.json() for answer in answers)}
        final = {(answer.status_code, answer.content) for answer in answers if answer.status_code != 202}
        if len(ids) != 1 or len(final) > 1:
            self._witness.complain(f"One key has several responses: {ids} {final}")
        for answer in answers:
            self._note_answer(answer)
        return next(iter(ids))

    def _note_answer(self, answer: requests.Response) -> None:
        body = answer.json()
        response = f"placed {answer.status_code}: {answer.text[:200]}"
        match answer.status_code:
            case 201 if body["status"] == "awaiting_payment":
                self._witness.note(body["id"], response, lambda order: order["payment"] is not None)
            case 201:
                late = {"stock_lost", "capture_failed", "cancelled_by_customer", "cancelled_by_admin"}
                self._witness.note(
                    body["id"], response, lambda order: order["status"] in ALIVE or order["reason"] in late
                )
            case 202:
                self._witness.note(body["id"], response, lambda _order: True)
            case 402 | 409 | 422 if "order_id" in body:
                self._witness.note(body["order_id"], response, lambda order: order["status"] == "cancelled")
            case _:
                self._witness.complain(response)

    def _authenticate(self, customer: Customer, order: dict[str, Any]) -> None:
        outcome = "approved" if self._choose.random() < 0.8 else "declined"
        answer = customer.confirm(uuid.uuid4().hex, order["payment"]["id"], outcome)
        response = f"confirmed {answer.status_code}: {outcome} {answer.text[:200]}"
        if answer.status_code == 200:
            self._witness.note(order["id"], response, lambda order: order["status"] in ALIVE | {"cancelled"})
        elif answer.status_code == 402:
            self._witness.note(order["id"], response, lambda order: order["status"] == "cancelled")
        else:
            self._witness.complain(response)

    def _leave(self, _customer: Customer, _admin: Customer, _order_id: str) -> None:
        pass

    def _cancel(self, customer: Customer, _admin: Customer, order_id: str) -> None:
        answer = customer.call_until_answered("POST", f"/orders/{order_id}/cancel")
        response = f"cancelled {answer.status_code}: {answer.text[:200]}"
        match answer.status_code:
            case 200:
                self._witness.note(order_id, response, lambda order: order["status"] == "cancelled")
            case 202:
                self._witness.note(order_id, response, lambda _order: True)
            case _:
                self._witness.complain(response)

    def _refund(self, customer: Customer, admin: Customer, order_id: str) -> None:
        if self._wait_until_paid(customer, order_id) != "paid":
            return
        part = self._choose.random() < 0.5
        body: dict[str, Any] = {"amount": 1} if part else {"restock": True}
        answer = admin.refund(uuid.uuid4().hex, order_id, **body)
        response = f"refunded {answer.status_code}: {answer.text[:200]}"
        if answer.status_code not in {200, 201, 202}:
            self._witness.complain(response)
        elif part:
            self._witness.note(order_id, response, lambda order: order["amount_refunded"] == 1)
        else:
            self._witness.note(order_id, response, lambda order: order["status"] == "refunded")

    def _ship(self, customer: Customer, admin: Customer, order_id: str) -> None:
        if self._wait_until_paid(customer, order_id) != "paid":
            return
        for step, status in (("ship", "shipped"), ("deliver", "delivered")):
            answer = admin.call_until_answered("POST", f"/orders/{order_id}/{step}")
            response = f"{status} {answer.status_code}: {answer.text[:200]}"
            if answer.status_code != 200:
                self._witness.complain(response)
        self._witness.note(order_id, "delivered", lambda order: order["status"] == "delivered")

    def _wait_until_paid(self, customer: Customer, order_id: str) -> str:
        """Wait until the order is paid or cancelled; return its status, also after a time-out."""
        for _ in range(100):
            status = str(customer.read_order(order_id)["status"])
            if status in {"paid", "cancelled"}:
                break
            time.sleep(PAUSE)
        return status

    def _check_orders(self, customer: Customer, orders: set[str]) -> None:
        """Check that each key created exactly one order."""
        stored = [order["id"] for order in customer.call_until_answered("GET", "/orders").json()["data"]]
        if sorted(stored) != sorted(orders):
            self._witness.complain(f"A customer ordered {orders} and has {stored}")


class Storm:
    """Random faults; the same seed produces the same ones."""

    def __init__(self, stack: Stack, seed: str) -> None:
        self._stack = stack
        self._choose = random.Random(seed)  # noqa: S311
        self.faults: list[str] = []

    def run(self, seconds: float) -> None:
        """Inject a fault every two seconds, and heal the replica after one to four seconds."""
        replicas = self._stack.list_replicas()
        over = time.monotonic() + seconds
        faulty: dict[str, float] = {}
        # Docker may be slow, which must not delay the next fault.
        with ThreadPoolExecutor() as pool:
            while time.monotonic() < over:
                replica = self._choose.choice(replicas)
                how, duration = self._choose.choice(self._stack.strikes), self._choose.uniform(1.0, 4.0)
                if replica not in faulty:
                    pool.submit(self._stack.strike, replica, how)
                    self.faults.append(f"{how} {replica}")
                    faulty[replica] = time.monotonic() + duration
                self._wait(EVERY, faulty)
        for replica in replicas:
            self._stack.heal(replica)

    def _wait(self, seconds: float, faulty: dict[str, float]) -> None:
        over = time.monotonic() + seconds
        while time.monotonic() < over:
            for replica in [each for each, until in faulty.items() if until < time.monotonic()]:
                self._stack.heal(replica)
                del faulty[replica]
            time.sleep(0.05)


def run_storm(stack: Stack, seed: str, seconds: float) -> tuple[Witness, Storm]:
    """Let customers buy during a storm; return the witness and the storm."""
    witness, storm, is_over = Witness(), Storm(stack, seed), Event()
    with Shopper(stack.url) as admin:
        admin.log_in()
        shirts = [add_shirt(admin, UNITS) for _number in range(SHIRTS)]
        rates = _add_rules(admin)
    with ThreadPoolExecutor(CLIENTS) as pool:
        for number in range(CLIENTS):
            pool.submit(Buyer(stack, witness, shirts, f"{seed} {number}").buy_until, is_over)
        try:
            storm.run(seconds)
        finally:
            is_over.set()
    with Customer(stack.url).log_in_as_admin() as admin:
        # Later customers order without them.
        for path in (f"/shipping-methods/{METHOD['code']}", f"/tax-rates/{rates}"):
            admin.call_until_answered("DELETE", path)
        for coupon in COUPONS:
            admin.call_until_answered("DELETE", f"/coupons/{coupon['code']}")
    return witness, storm


def _add_rules(admin: Shopper) -> str:
    """Add a shipping method, a tax rate and coupons; return the id of the rate."""
    rate = admin.post("/tax-rates", json=TAX)
    added = [rate, admin.post("/shipping-methods", json=METHOD)]
    added += [admin.post("/coupons", json=coupon) for coupon in COUPONS]
    assert [answer.status_code for answer in added] == [201] * len(added)
    return str(rate.json()["id"])
