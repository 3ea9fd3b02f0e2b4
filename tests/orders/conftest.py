"""orders-service on a real database, with fakes of catalog-service and payments-service."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from sqlalchemy import text

from orders.app import create_app
from orders.clients import Reservation
from orders.config import Settings
from orders.domain import Line, Offer, Order, Payment, Refund
from orders.errors import CheckoutRefused
from orders.use_cases.sweep import sweep_leftovers
from shared.app import ServiceFlask
from shared.background import Background
from shared.batches import OrderOutcome, Outcome
from shared.database import Database
from shared.errors import ServiceUnreachable
from shared.ids import new_id
from shared.log import configure_logging
from tests.databases import MakeDatabase, Standing
from tests.fakes import FakeAuth
from tests.waiting import wait_for

ADDRESS = {
    "name": "Ada Buyer",
    "line1": "1 Long Lane",
    "city": "Springfield",
    "region": "IL",
    "postal_code": "62701",
    "country": "US",
}


def make_outcomes(codes: Mapping[UUID, str | None]) -> dict[UUID, OrderOutcome]:
    """Return the outcomes of a batch, from the error code of each order or None."""
    outcomes = {None: Outcome.DONE, "provider_unavailable": Outcome.PENDING}
    return {
        order_id: OrderOutcome(order_id=order_id, outcome=outcomes.get(code, Outcome.REFUSED), code=code)
        for order_id, code in codes.items()
    }


class FakeService:
    """Records its calls; those in `is_away` fail before their work, those in `loses_answer` after it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.is_away: set[str] = set()
        self.before: Callable[[str], None] = lambda _name: None
        self.loses_answer: set[str] = set()

    def _called(self, name: str) -> None:
        self.calls.append(name)
        self.before(name)
        if name in self.is_away:
            raise ServiceUnreachable

    def _after(self, name: str) -> None:
        if name in self.loses_answer:
            raise ServiceUnreachable


class FakeCatalog(FakeService):
    """Products 1 to 9 cost 10.00 each; `stock` counts units, and what is not in it is not sold.

    `parents` has the product of each further variant, and `traits` what else prices a variant: its
    `tax_class`, `weight_grams` and `category`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stock = dict.fromkeys(range(1, 10), 100)
        self.prices = dict.fromkeys(range(1, 10), 1000)
        self.parents: dict[int, int] = {}
        self.traits: dict[int, dict[str, Any]] = {}
        self.holds: dict[UUID, tuple[str, tuple[Line, ...]]] = {}
        self.batches: list[list[UUID]] = []
        self.lapse_next_commit = False
        self.currency = "USD"

    def add_variant(self, number: int, *, parent: int, stock: int = 100, price: int = 1000) -> None:
        """Add a further variant to a product."""
        self.parents[number], self.stock[number], self.prices[number] = parent, stock, price

    def reserve(self, order: Order) -> Reservation:
        self._called("reserve")
        if order.id not in self.holds or self.holds[order.id][0] == "lapsed":
            self._check_units(order)
            for line in order.lines:
                self.stock[line.product_id] -= line.quantity
        self.holds[order.id] = ("held", order.lines)
        priced = [
            Line(
                each.product_id,
                each.quantity,
                "SKU",
                "Thing",
                self.prices[each.product_id],
                self.parents.get(each.product_id, each.product_id),
            )
            for each in order.lines
        ]
        items = [self._offer(line.product_id).to_item(line.quantity) for line in priced]
        return Reservation(tuple(priced), self.currency, tuple(items))

    def _check_units(self, order: Order) -> None:
        asked = [line.product_id for line in order.lines if line.must_be_only_variant]
        if several := [number for number in asked if number in self.parents.values()]:
            lines = [{"product_id": number} for number in several]
            raise CheckoutRefused("variant_required", "variant_required", "Name a variant.", lines=lines)
        left = {line.product_id: self.stock.get(line.product_id) for line in order.lines}
        for code, is_refused in (
            ("product_unavailable", lambda line: left[line.product_id] is None),
            ("out_of_stock", lambda line: left[line.product_id] < line.quantity),
        ):
            if refused := [line for line in order.lines if is_refused(line)]:
                lines = [{"product_id": line.product_id, "requested": line.quantity} for line in refused]
                raise CheckoutRefused(code, code, "Not for sale in this quantity.", lines=lines)

    def commit_reservations(self, order_ids: Iterable[UUID]) -> dict[UUID, OrderOutcome]:
        wanted = list(order_ids)
        self.batches.append(wanted)
        outcomes = {order_id: self._commit(order_id) for order_id in wanted}
        self._after("commit")
        return make_outcomes(outcomes)

    def _commit(self, order_id: UUID) -> str | None:
        self._called("commit")
        if self.lapse_next_commit:
            self.lapse_next_commit = False
            self._give_back(order_id, "lapsed")
        state, lines = self.holds.get(order_id, ("none", ()))
        if state not in {"held", "committed"}:
            return "reservation_lapsed"
        self.holds[order_id] = ("committed", lines)
        return None

    def release(self, order_id: UUID) -> None:
        self._called("release")
        self._give_back(order_id, "released")

    def read_offers(self, product_ids) -> tuple[dict[int, Offer], str]:
        self._called("read_offers")
        return {number: self._offer(number) for number in product_ids if number in self.stock}, self.currency

    def _offer(self, number: int) -> Offer:
        parent = self.parents.get(number, number)
        left = self.stock.get(number, 0)
        is_only = parent == number and number not in self.parents.values()
        traits = {**self.traits.get(number, {}), "is_only_variant": is_only}
        return Offer(number, "Thing", self.prices[number], left, parent, **traits)

    def _give_back(self, order_id: UUID, state: str) -> None:
        before, lines = self.holds.get(order_id, ("none", ()))
        if before in {"held", "committed"}:
            for line in lines:
                self.stock[line.product_id] += line.quantity
        self.holds[order_id] = (state, lines)


class FakePayments(FakeService):
    """Accepts pm_card_visa, and pm_card_authenticationRequired once confirmed; declines the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.payments: dict[UUID, dict[str, Any]] = {}
        self.refunds: dict[UUID, Refund] = {}
        self.refuse: dict[str, CheckoutRefused] = {}
        self.silent: set[UUID] = set()
        self.captured: list[UUID] = []
        self.batches: list[list[UUID]] = []
        self.customers: dict[UUID, str] = {}

    def _called(self, name: str) -> None:
        super()._called(name)
        if name in self.refuse:
            raise self.refuse[name]

    def authorize(self, order: Order) -> Payment:
        self._called("authorize")
        if self.payments.get(order.id, {}).get("status") == "canceled":
            raise CheckoutRefused("payment_closed", "payment_closed", "The payment was closed.")
        statuses = {
            "pm_card_visa": "requires_capture",
            "pm_card_authenticationRequired": "requires_action",
        }
        if order.payment_method not in statuses:
            raise CheckoutRefused(
                "payment_declined",
                "card_declined",
                "The card was declined.",
                decline_code="generic_decline",
            )
        new = {
            "id": new_id(),
            "status": statuses[order.payment_method],
            "amount": order.amount,
            "captured": 0,
            "refunded": 0,
        }
        if self.payments.setdefault(order.id, new)["amount"] != order.amount:
            raise CheckoutRefused("amount_changed", "amount_changed", "The total has changed.")
        payment = self._show(self.payments[order.id])
        self.customers[order.id] = order.customer
        self._after("authorize")
        return payment

    def read(self, order_id: UUID) -> Payment:
        self._called("read")
        return self._show(self.payments[order_id])

    def confirm(self, order_id: UUID, status: str = "requires_capture") -> None:
        """Set the status, as the bank does when the customer has authenticated."""
        self.payments[order_id]["status"] = status

    def capture_payments(self, order_ids: Iterable[UUID]) -> dict[UUID, OrderOutcome]:
        wanted = list(order_ids)
        self.batches.append(wanted)
        outcomes = {order_id: self._capture(order_id) for order_id in wanted}
        self._after("capture")
        return make_outcomes(outcomes)

    def _capture(self, order_id: UUID) -> str | None:
        try:
            self._called("capture")
        except CheckoutRefused as refused:
            return refused.code
        if order_id in self.silent:
            return "provider_unavailable"
        payment = self.payments.get(order_id)
        if payment is None:
            return "payment_not_found"
        if payment["status"] == "canceled":
            return "capture_failed"
        if payment["status"] != "succeeded":
            payment.update(status="succeeded", captured=payment["amount"])
            self.captured.append(order_id)
        return None

    def reassign(self, order_ids: Iterable[UUID], customer: str) -> None:
        self._called("reassign")
        self.customers.update(dict.fromkeys(order_ids, customer))

    def cancel(self, order_id: UUID) -> Payment:
        self._called("cancel")
        payment = self.payments.setdefault(order_id, {"id": new_id(), "captured": 0, "refunded": 0})
        payment.update(status="canceled", refunded=payment["captured"])
        return self._show(payment)

    def refund(self, refund: Refund) -> None:
        self._called("refund")
        if refund.id not in self.refunds:
            self.refunds[refund.id] = refund
            payment = self.payments[refund.order_id]
            payment["refunded"] += refund.amount
            assert payment["refunded"] <= payment["captured"]
        self._after("refund")

    def _show(self, payment: dict[str, Any]) -> Payment:
        return Payment(payment["id"], payment["status"], payment["refunded"])


class FakeAccounts:
    """Knows verified addresses by customer, and which customers have an account."""

    def __init__(self) -> None:
        self.emails: dict[str, str] = {}
        self.accounts: set[str] = set()

    def find_verified_email(self, customer: str) -> str | None:
        return self.emails.get(customer)

    def find_guests(self, customers: Iterable[str]) -> frozenset[str]:
        return frozenset(customers) - self.accounts


def create_quick_app(settings: Settings, *others: Any) -> ServiceFlask:
    """Return an application that polls for due orders and messages often, and stops at once."""
    with patch("orders.app.LOOK_EVERY", 0.05), patch("shared.courier.LOOK_EVERY", 0.1):
        return create_app(settings, *others)


class StandingOrders:
    """An application that all tests of a worker share, with its fakes and its database.

    Its background threads run only during a test that uses it, so that none runs while the database is reset.
    """

    def __init__(self, standing: Standing) -> None:
        nowhere = "http://127.0.0.1:9"
        self.standing = standing
        self.settings = Settings(
            service="orders-service",
            database_url=standing.url,
            auth_url=nowhere,
            catalog_url=nowhere,
            payments_url=nowhere,
            client_secret="secret",
            # The tests' receivers have private addresses.
            webhook_private="yes",
        )
        self.auth, self.catalog, self.payments = FakeAuth(), FakeCatalog(), FakePayments()
        self.accounts = FakeAccounts()
        self._tasks: list[Callable[[Background], None]] = []

        def keep(_background: Background, task: Callable[[], object], **options: Any) -> None:
            self._tasks.append(lambda background: background.repeat(task, **options))

        with patch.object(Background, "repeat", keep):
            self.app = create_quick_app(self.settings, self.auth, self.catalog, self.payments, self.accounts)

    def restore(self) -> None:
        """Reset the database and the fakes."""
        self.standing.restore()
        for fake in (self.catalog, self.payments, self.accounts):
            # Tests also replace methods.
            vars(fake).clear()
            fake.__init__()  # type: ignore[misc]

    @contextmanager
    def run(self) -> Iterator[ServiceFlask]:
        """Run the background tasks during a test."""
        # Creating an application configures the log, so the last one created has it.
        configure_logging(self.settings)
        background = self.app.background
        background.stopping.clear()
        for repeat in self._tasks:
            repeat(background)
        try:
            yield self.app
        finally:
            background.stop()
            assert not any(thread.is_alive() for thread in background._threads)
            background._threads.clear()

    def close(self) -> None:
        """Close the connections."""
        self.app.close()


@pytest.fixture(scope="session")
def standing_orders(make_database: MakeDatabase) -> Iterator[StandingOrders]:
    """The application of this worker."""
    with (
        closing(Standing(make_database("orders-service"))) as standing,
        closing(StandingOrders(standing)) as orders,
    ):
        yield orders


@pytest.fixture
def standing(standing_orders: StandingOrders) -> StandingOrders:
    """The worker's application, reset."""
    standing_orders.restore()
    return standing_orders


@pytest.fixture
def auth(standing: StandingOrders) -> FakeAuth:
    """A fake auth-service."""
    return standing.auth


@pytest.fixture
def catalog(standing: StandingOrders) -> FakeCatalog:
    """A fake catalog-service."""
    return standing.catalog


@pytest.fixture
def payments(standing: StandingOrders) -> FakePayments:
    """A fake payments-service."""
    return standing.payments


@pytest.fixture
def accounts(standing: StandingOrders) -> FakeAccounts:
    """A fake of auth-service's accounts."""
    return standing.accounts


@pytest.fixture
def database(standing: StandingOrders) -> Database:
    """The database, for statements that no request runs."""
    return standing.app.database


@pytest.fixture
def start_orders(standing, auth, catalog, payments) -> Iterator[Callable[[], ServiceFlask]]:
    """Start replicas; all are closed at the end of the test."""
    with ExitStack() as started:

        def start() -> ServiceFlask:
            app = create_quick_app(standing.settings, auth, catalog, payments)
            started.callback(app.close)
            return app

        yield start


class Buyer:
    """A user of the API."""

    def __init__(
        self, app: ServiceFlask, auth: FakeAuth, sub: str, role: str = "customer", **claims: Any
    ) -> None:
        self._client = app.test_client()
        self._headers = auth.bearer(sub=sub, role=role, **claims)

    def call(self, method: str, path: str, *, key: str | None = None, **options: Any) -> Any:
        headers = {**self._headers, **({"Idempotency-Key": key} if key else {})}
        return self._client.open(path, method=method, headers=headers, **options)

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def post(self, path: str) -> Any:
        return self.call("POST", path)

    def order(
        self, key: str = "a key", *, items: Any = ((1, 2),), card: str = "pm_card_visa", **others: Any
    ) -> Any:
        body: dict[str, Any] = {
            "payment_method": card,
            "shipping_address": ADDRESS,
            "email": "ada@example.com",
            **others,
        }
        if items is not None:
            body["items"] = [
                item if isinstance(item, dict) else {"product_id": item[0], "quantity": item[1]}
                for item in items
            ]
        return self.call("POST", "/orders", key=key, json=body)


@pytest.fixture
def app(standing) -> Iterator[ServiceFlask]:
    """One replica with running background threads."""
    with standing.run() as app:
        yield app


@pytest.fixture
def quick_retries(monkeypatch) -> None:
    """Shorten the wait before a step is retried."""
    monkeypatch.setattr("orders.domain.FIRST_WAIT", timedelta(seconds=0.02))


@pytest.fixture
def buyer(app, auth) -> Buyer:
    """A customer."""
    return Buyer(app, auth, "ada")


@pytest.fixture
def admin(app, auth) -> Buyer:
    """An administrator of the shop."""
    return Buyer(app, auth, "boss", role="admin")


@pytest.fixture
def paid(buyer) -> str:
    """The path of a paid order: two units of product 1, 20.00 in total."""
    location = buyer.order().headers["Location"]
    wait_for(lambda: read_status(buyer, location) == "paid")
    return location


def read_status(buyer: Buyer, location: str) -> str:
    """Return the status of an order."""
    return buyer.get(location).json["status"]


def read_kinds(buyer: Buyer, location: str) -> list[str]:
    """Return the kinds of an order's events, oldest first."""
    return [event["kind"] for event in buyer.get(f"{location}/events").json["data"]]


def sweep(database: Database) -> None:
    """Run a sweep, after the service's own first one."""
    wait_for(lambda: run_sql(database, "SELECT 1 FROM jobs WHERE due_at > now()"))
    run_sql(database, "UPDATE jobs SET due_at = now()")
    sweep_leftovers(database)


def run_sql(database: Database, statement: str, **values: Any) -> Any:
    """Run a statement on the database; return its rows, if it returns any."""
    with database.transaction() as connection:
        result = connection.execute(text(statement), values)
        return result.all() if result.returns_rows else None
