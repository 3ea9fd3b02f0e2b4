"""orders-service on a real database, with a catalogue and payments in memory."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import pytest

from orders.app import create_app
from orders.clients import Reservation
from orders.config import Settings
from orders.domain import Line, Offer, Order
from orders.errors import CheckoutRefused
from shared.app import ServiceFlask
from shared.errors import ServiceUnreachable
from shared.ids import new_id
from shared.testing import FakeAuth

ADDRESS = {
    "name": "Ada Buyer",
    "line1": "1 Long Lane",
    "city": "Springfield",
    "postal_code": "12345",
    "country": "US",
}


class FakeService:
    """What both fakes do: remember their calls, and be away when a test wants it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.is_away: set[str] = set()
        self.before: Callable[[str], None] = lambda _name: None

    def _called(self, name: str) -> None:
        self.calls.append(name)
        self.before(name)
        if name in self.is_away:
            raise ServiceUnreachable


class FakeCatalog(FakeService):
    """Products 1 to 9 cost 10.00 each; `stock` counts units."""

    def __init__(self) -> None:
        super().__init__()
        self.stock = dict.fromkeys(range(1, 10), 100)
        self.holds: dict[UUID, tuple[str, tuple[Line, ...]]] = {}
        self.lapse_next_commit = False

    def reserve(self, order: Order) -> Reservation:
        self._called("reserve")
        if order.id not in self.holds or self.holds[order.id][0] == "lapsed":
            short = [line for line in order.lines if self.stock.get(line.product_id, 0) < line.quantity]
            if short:
                lines = [{"product_id": line.product_id, "requested": line.quantity} for line in short]
                raise CheckoutRefused(
                    "out_of_stock", 409, "out_of_stock", "Not enough in stock.", lines=lines
                )
            for line in order.lines:
                self.stock[line.product_id] -= line.quantity
        self.holds[order.id] = ("held", order.lines)
        priced = [Line(each.product_id, each.quantity, "SKU", "Thing", 1000) for each in order.lines]
        return Reservation(tuple(priced), "USD")

    def commit(self, order_id: UUID) -> None:
        self._called("commit")
        if self.lapse_next_commit:
            self.lapse_next_commit = False
            self._give_back(order_id, "lapsed")
            raise CheckoutRefused("stock_lost", 409, "stock_lost", "The hold has lapsed.")
        self.holds[order_id] = ("committed", self.holds[order_id][1])

    def release(self, order_id: UUID) -> None:
        self._called("release")
        self._give_back(order_id, "released")

    def read_offers(self, product_ids) -> tuple[dict[int, Offer], str]:
        self._called("read_offers")
        return {
            number: Offer(number, "Thing", 1000, self.stock[number])
            for number in product_ids
            if number in self.stock
        }, "USD"

    def _give_back(self, order_id: UUID, state: str) -> None:
        before, lines = self.holds.get(order_id, ("none", ()))
        if before in {"held", "committed"}:
            for line in lines:
                self.stock[line.product_id] += line.quantity
        self.holds[order_id] = (state, lines)


class FakePayments(FakeService):
    """Takes pm_card_visa and declines the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.payments: dict[UUID, dict[str, Any]] = {}

    def authorize(self, order: Order) -> tuple[UUID, str]:
        self._called("authorize")
        if order.payment_method != "pm_card_visa":
            raise CheckoutRefused(
                "payment_declined",
                402,
                "card_declined",
                "The card was declined.",
                decline_code="generic_decline",
            )
        payment = self.payments.setdefault(
            order.id, {"id": new_id(), "status": "requires_capture", "amount": order.items_amount}
        )
        return payment["id"], payment["status"]

    def capture(self, order_id: UUID) -> str:
        self._called("capture")
        self.payments[order_id]["status"] = "succeeded"
        return "succeeded"

    def cancel(self, order_id: UUID) -> str:
        self._called("cancel")
        self.payments.setdefault(order_id, {"id": new_id(), "amount": 0})["status"] = "canceled"
        return "canceled"


@pytest.fixture
def catalog() -> FakeCatalog:
    """A catalogue in memory."""
    return FakeCatalog()


@pytest.fixture
def payments() -> FakePayments:
    """Payments in memory."""
    return FakePayments()


@pytest.fixture
def settings(make_database) -> Settings:
    """Settings with a database of the test's own."""
    nowhere = "http://127.0.0.1:9"
    return Settings(
        service="orders-service",
        database_url=make_database("orders-service"),
        auth_url=nowhere,
        catalog_url=nowhere,
        payments_url=nowhere,
        client_secret="secret",
    )


@pytest.fixture
def start_orders(settings, auth: FakeAuth, catalog, payments) -> Iterator[Callable[[], ServiceFlask]]:
    """Start a replica, its finishing threads included; all started are closed at the end."""
    with ExitStack() as started:

        def start() -> ServiceFlask:
            app = create_app(settings, auth, catalog, payments)
            started.callback(app.close)
            return app

        yield start


class Buyer:
    """Somebody who orders."""

    def __init__(self, app: ServiceFlask, auth: FakeAuth, sub: str, role: str = "customer") -> None:
        self._client = app.test_client()
        self._headers = auth.bearer(sub=sub, role=role)

    def call(self, method: str, path: str, *, key: str | None = None, **options: Any) -> Any:
        headers = {**self._headers, **({"Idempotency-Key": key} if key else {})}
        return self._client.open(path, method=method, headers=headers, **options)

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def order(self, key: str = "a key", *, items: Any = ((1, 2),), card: str = "pm_card_visa") -> Any:
        body: dict[str, Any] = {
            "payment_method": card,
            "shipping_address": ADDRESS,
            "email": "ada@example.com",
        }
        if items is not None:
            body["items"] = [{"product_id": product, "quantity": quantity} for product, quantity in items]
        return self.call("POST", "/orders", key=key, json=body)


@pytest.fixture
def app(start_orders) -> ServiceFlask:
    """One replica."""
    return start_orders()


@pytest.fixture
def buyer(app, auth) -> Buyer:
    """A customer."""
    return Buyer(app, auth, "ada")
