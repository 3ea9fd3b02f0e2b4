"""A storm: customers buy, and a part is struck every two seconds. The shop keeps to what it told them."""

import random
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Lock
from typing import Any

import requests

from tests.faults.customers import FINAL_WITHIN, PAUSE, Customer, order_of, read_code
from tests.stacks import Stack

CLIENTS = 8
EVERY = 2.0  # Seconds between two strikes.
IMPATIENCE = 0.3  # Seconds after which some do not wait for the answer, and ask again.
AT_ONCE = 20  # Calls of those who cannot click only once.
PRODUCTS = 20
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
ALIVE = frozenset({"confirmed", "paid", "shipped", "delivered", "refunded"})


@dataclass(frozen=True)
class Claim:
    """What a customer was told about an order, and whether the order at the end agrees with it."""

    order_id: str
    told: str
    is_true: Callable[[dict[str, Any]], bool]


class Witness:
    """What all customers were told."""

    def __init__(self) -> None:
        self.claims: list[Claim] = []
        self.troubles: list[str] = []
        self.counted: Counter[str] = Counter()
        self._lock = Lock()

    def note(self, order_id: str, told: str, is_true: Callable[[dict[str, Any]], bool]) -> None:
        """Keep a claim."""
        with self._lock:
            self.counted[told.partition(":")[0]] += 1
            self.claims.append(Claim(order_id, told, is_true))

    def complain(self, trouble: str) -> None:
        """Keep what must not happen, whichever part is struck."""
        with self._lock:
            self.troubles.append(trouble)


class Buyer:
    """A customer who comes in as a new guest each time, buys, and may change their mind."""

    def __init__(self, stack: Stack, witness: Witness, seed: str) -> None:
        self._stack = stack
        self._witness = witness
        self._choose = random.Random(seed)  # noqa: S311

    def buy_until(self, is_over: Event) -> None:
        """Buy one thing after the other."""
        while not is_over.is_set():
            with Customer(self._stack.url) as customer, Customer(self._stack.url) as admin:
                try:
                    customer.come_in()
                    admin.come_in_as_admin()
                    self._visit(customer, admin)
                except Exception as error:
                    self._witness.complain(repr(error))

    def _visit(self, customer: Customer, admin: Customer) -> None:
        [card] = self._choose.choices(list(CARDS), list(CARDS.values()))
        product, quantity = self._choose.randint(1, PRODUCTS), self._choose.randint(1, 2)
        is_cart = self._choose.random() < 0.3
        if is_cart:
            customer.insist("PUT", f"/cart/items/{product}", json={"quantity": quantity})
            body = {name: value for name, value in order_of(card).items() if name != "items"}
        else:
            body = order_of(card, product, quantity)
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
            self._answer_bank(customer, order)
        [then] = self._choose.choices([self._leave, self._cancel, self._refund, self._ship], [60, 15, 15, 10])
        then(customer, admin, order_id)
        self._check_orders(customer, orders)

    def _order_again(self, customer: Customer, body: dict[str, Any], order_id: str) -> set[str]:
        """Order the same cart under another key; return the order if the first one has failed."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        answer = customer.insist("POST", "/orders", json=body, headers=headers)
        code, told = read_code(answer), answer.json()
        if (answer.status_code, code) == (409, "cart_empty"):
            return set()
        if (answer.status_code, code) == (409, "cart_already_ordered"):
            if told["order_id"] != order_id:
                self._witness.complain(f"The cart of {order_id} was ordered by {told['order_id']}")
            return set()
        self._witness.note(order_id, "ordered again", lambda order: order["status"] == "cancelled")
        self._note_answer(answer)
        return {told.get("id") or told["order_id"]}

    def _place(self, customer: Customer, body: dict[str, Any]) -> str | None:
        """Place an order in one of the ways of customers; return its id if there is one."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}

        def ask(client: Customer = customer) -> requests.Response:
            return client.insist("POST", "/orders", json=body, headers=headers)

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
                    for done in [pool.submit(self._ask_alone, customer, ask) for _ in range(AT_ONCE)]
                ]
        else:
            answers = [ask()]
        if how == "twice":
            answers.append(ask())
        if how == "altered":
            other = customer.insist("POST", "/orders", json={**body, "email": "a@b.example"}, headers=headers)
            # A refusal of before there was an order is not kept, and the key is free.
            if (other.status_code, read_code(other)) != (422, "idempotency_key_reused"):
                self._witness.complain(f"Another body under the same key: {other.status_code} {other.text}")
        return self._note_placed(answers)

    def _ask_alone(
        self, customer: Customer, ask: Callable[[Customer], requests.Response]
    ) -> requests.Response:
        with Customer(self._stack.url) as other:
            other.headers["Authorization"] = customer.headers["Authorization"]
            return ask(other)

    def _note_placed(self, answers: list[requests.Response]) -> str | None:
        ids = {body.get("id") or body.get("order_id") for body in (answer.json() for answer in answers)}
        final = {(answer.status_code, answer.content) for answer in answers if answer.status_code != 202}
        if len(ids) != 1 or len(final) > 1:
            self._witness.complain(f"One key, and more than one answer: {ids} {final}")
        for answer in answers:
            self._note_answer(answer)
        return next(iter(ids))

    def _note_answer(self, answer: requests.Response) -> None:
        body = answer.json()
        told = f"placed {answer.status_code}: {answer.text[:200]}"
        match answer.status_code:
            case 201 if body["status"] == "awaiting_payment":
                self._witness.note(body["id"], told, lambda order: order["payment"] is not None)
            case 201:
                late = {"stock_lost", "capture_failed", "cancelled_by_customer", "cancelled_by_admin"}
                self._witness.note(
                    body["id"], told, lambda order: order["status"] in ALIVE or order["reason"] in late
                )
            case 202:
                self._witness.note(body["id"], told, lambda _order: True)
            case 402 | 409 if "order_id" in body:
                self._witness.note(body["order_id"], told, lambda order: order["status"] == "cancelled")
            case _:
                self._witness.complain(told)

    def _answer_bank(self, customer: Customer, order: dict[str, Any]) -> None:
        outcome = "approved" if self._choose.random() < 0.8 else "declined"
        answer = customer.confirm(uuid.uuid4().hex, order["payment"]["id"], outcome)
        told = f"confirmed {answer.status_code}: {outcome} {answer.text[:200]}"
        if answer.status_code == 200:
            self._witness.note(order["id"], told, lambda order: order["status"] in ALIVE | {"cancelled"})
        elif answer.status_code == 402:
            self._witness.note(order["id"], told, lambda order: order["status"] == "cancelled")
        else:
            self._witness.complain(told)

    def _leave(self, _customer: Customer, _admin: Customer, _order_id: str) -> None:
        pass

    def _cancel(self, customer: Customer, _admin: Customer, order_id: str) -> None:
        answer = customer.insist("POST", f"/orders/{order_id}/cancel")
        told = f"cancelled {answer.status_code}: {answer.text[:200]}"
        match answer.status_code:
            case 200:
                self._witness.note(order_id, told, lambda order: order["status"] == "cancelled")
            case 202:
                self._witness.note(order_id, told, lambda _order: True)
            case _:
                self._witness.complain(told)

    def _refund(self, customer: Customer, admin: Customer, order_id: str) -> None:
        if self._wait_until_paid(customer, order_id) != "paid":
            return
        part = self._choose.random() < 0.5
        body: dict[str, Any] = {"amount": 1} if part else {"restock": True}
        answer = admin.refund(uuid.uuid4().hex, order_id, **body)
        told = f"refunded {answer.status_code}: {answer.text[:200]}"
        if answer.status_code not in {200, 201, 202}:
            self._witness.complain(told)
        elif part:
            self._witness.note(order_id, told, lambda order: order["amount_refunded"] == 1)
        else:
            self._witness.note(order_id, told, lambda order: order["status"] == "refunded")

    def _ship(self, customer: Customer, admin: Customer, order_id: str) -> None:
        if self._wait_until_paid(customer, order_id) != "paid":
            return
        for step, status in (("ship", "shipped"), ("deliver", "delivered")):
            answer = admin.insist("POST", f"/orders/{order_id}/{step}")
            told = f"{status} {answer.status_code}: {answer.text[:200]}"
            if answer.status_code != 200:
                self._witness.complain(told)
        self._witness.note(order_id, "delivered", lambda order: order["status"] == "delivered")

    def _wait_until_paid(self, customer: Customer, order_id: str) -> str:
        """Return how the order stands once it is paid or cancelled, or after a while as it is."""
        for _ in range(100):
            status = str(customer.read_order(order_id)["status"])
            if status in {"paid", "cancelled"}:
                break
            time.sleep(PAUSE)
        return status

    def _check_orders(self, customer: Customer, orders: set[str]) -> None:
        """Look whether each key has made one order, and that one only."""
        mine = [order["id"] for order in customer.insist("GET", "/orders").json()["data"]]
        if sorted(mine) != sorted(orders):
            self._witness.complain(f"A customer ordered {orders} and has {mine}")


class Storm:
    """What is struck, when and how; the same seed strikes the same."""

    def __init__(self, stack: Stack, seed: str) -> None:
        self._stack = stack
        self._choose = random.Random(seed)  # noqa: S311
        self.struck: list[str] = []

    def rage(self, seconds: float) -> None:
        """Strike every two seconds; what does not come back by itself is healed after one to four."""
        replicas = self._stack.list_replicas()
        over = time.monotonic() + seconds
        hurt: dict[str, float] = {}
        # An engine may take its time, and the next strike comes all the same.
        with ThreadPoolExecutor() as pool:
            while time.monotonic() < over:
                replica = self._choose.choice(replicas)
                how, pain = self._choose.choice(self._stack.strikes), self._choose.uniform(1.0, 4.0)
                if replica not in hurt:
                    pool.submit(self._stack.strike, replica, how)
                    self.struck.append(f"{how} {replica}")
                    hurt[replica] = time.monotonic() + pain
                self._rest(EVERY, hurt)
        for replica in replicas:
            self._stack.heal(replica)

    def _rest(self, seconds: float, hurt: dict[str, float]) -> None:
        over = time.monotonic() + seconds
        while time.monotonic() < over:
            for replica in [each for each, until in hurt.items() if until < time.monotonic()]:
                self._stack.heal(replica)
                del hurt[replica]
            time.sleep(0.05)


def let_it_rage(stack: Stack, seed: str, seconds: float) -> tuple[Witness, Storm]:
    """Let customers buy in a storm; return what they were told, and what was struck."""
    witness, storm, is_over = Witness(), Storm(stack, seed), Event()
    with ThreadPoolExecutor(CLIENTS) as pool:
        for number in range(CLIENTS):
            pool.submit(Buyer(stack, witness, f"{seed} {number}").buy_until, is_over)
        try:
            storm.rage(seconds)
        finally:
            is_over.set()
    return witness, storm
