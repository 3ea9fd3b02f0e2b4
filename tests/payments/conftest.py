"""payments-service on a real database, with auth in memory and a provider that a test can interrupt."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import DictRow
from werkzeug.test import TestResponse

from payments.app import create_app
from payments.clients import Provider, Remember
from payments.clients.orders import OrdersClient
from payments.clients.simulated import SimulatedProvider
from payments.config import Settings
from payments.domain import Change, Charge, Outcome, Payment, Refund
from shared.app import ServiceFlask
from shared.database import Database, connect
from shared.ids import new_id
from shared.log import configure_logging
from shared.testing import FakeAuth
from tests.databases import MakeDatabase, Standing

T = TypeVar("T")

StartPayments = Callable[..., ServiceFlask]

REQUEST = {"customer": "ada", "amount": 1299, "currency": "USD", "payment_method": "pm_card_visa"}


class InterruptedProvider:
    """The simulated provider with a test's own steps before and after a call; a step may raise."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.calls: list[str] = []
        self.steps: dict[str, Callable[[], object]] = {}

    @property
    def name(self) -> str:
        return self.provider.name

    def interrupt(self, when: str, step: Callable[[], object]) -> None:
        """Take a step once at the next `before authorize`, `after capture` and so on."""
        self.steps[when] = step

    def accepts(self, payment_method: str) -> bool:
        return self.provider.accepts(payment_method)

    def authorize(self, payment: Payment, remember: Remember) -> Charge:
        return self._call("authorize", lambda: self.provider.authorize(payment, remember))

    def confirm(self, payment: Payment, outcome: Outcome) -> Charge:
        return self._call("confirm", lambda: self.provider.confirm(payment, outcome))

    def capture(self, payment: Payment) -> Charge:
        return self._call("capture", lambda: self.provider.capture(payment))

    def capture_together(self, payments: Iterable[Payment]) -> Mapping[UUID, Charge]:
        return self._call("capture together", lambda: self.provider.capture_together(payments))

    def release(self, payment: Payment) -> Charge:
        return self._call("release", lambda: self.provider.release(payment))

    def refund(self, payment: Payment, refund: Refund) -> None:
        self._call("refund", lambda: self.provider.refund(payment, refund))

    def find(self, payment: Payment) -> Charge | None:
        return self.provider.find(payment)

    def read_changes(self, since: datetime, until: datetime) -> Iterator[Change]:
        return self.provider.read_changes(since, until)

    def _call(self, name: str, call: Callable[[], T]) -> T:
        self.calls.append(name)
        self.steps.pop(f"before {name}", lambda: None)()
        answer = call()
        self.steps.pop(f"after {name}", lambda: None)()
        return answer


class Orders:
    """orders-service, as it calls payments-service. Threads may share it: each call has its own client."""

    def __init__(self, app: ServiceFlask, auth: FakeAuth) -> None:
        self.app = app
        self.headers = auth.service_bearer("orders-service")

    def authorize(self, order_id: UUID, **changes: Any) -> TestResponse:
        """Ask for the money to be held."""
        path, body = f"/internal/payments/{order_id}", {**REQUEST, **changes}
        return self.app.test_client().put(path, json=body, headers=self.headers)

    def capture(self, order_id: UUID) -> TestResponse:
        """Ask for the money to be taken."""
        return self._post(order_id, "capture")

    def capture_together(self, *order_ids: UUID) -> dict[UUID, tuple[str, str | None]]:
        """Ask for the money of several orders; return each one's outcome and code."""
        body = {"orders": [str(order_id) for order_id in order_ids]}
        client = self.app.test_client()
        answer = client.post("/internal/payments/capture", json=body, headers=self.headers)
        assert answer.status_code == 200, answer.json
        return {UUID(each["order_id"]): (each["outcome"], each["code"]) for each in answer.json["orders"]}

    def cancel(self, order_id: UUID) -> TestResponse:
        """Ask for the money to be given back."""
        return self._post(order_id, "cancel")

    def refund(self, order_id: UUID, amount: int, refund_id: UUID | None = None) -> TestResponse:
        """Ask for a part of the money to be given back."""
        body = {"refund_id": str(refund_id or new_id()), "amount": amount}
        return self._post(order_id, "refunds", json=body)

    def find(self, order_id: UUID) -> TestResponse:
        """Ask how the payment stands."""
        return self.app.test_client().get(f"/internal/payments/{order_id}", headers=self.headers)

    def _post(self, order_id: UUID, step: str, **options: Any) -> TestResponse:
        path = f"/internal/payments/{order_id}/{step}"
        return self.app.test_client().post(path, headers=self.headers, **options)


class SleepyOrders(OrdersClient):
    """orders-service, as payments-service wakes it: it remembers which orders it was woken for."""

    def __init__(self) -> None:
        self.woken: list[UUID] = []

    def wake(self, order_id: UUID) -> None:
        self.woken.append(order_id)

    def deliver(self) -> None:
        """Have nothing to deliver."""


class Books:
    """What stands in the database, read past the service. Threads may share it."""

    def __init__(self, connection: psycopg.Connection[DictRow]) -> None:
        self.connection = connection

    def read(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Return the rows of a query."""
        return self.connection.execute(query, values).fetchall()

    def write(self, statement: str, *values: Any) -> None:
        """Change something."""
        self.connection.execute(statement, values)

    def payment(self) -> dict[str, Any]:
        """Return the only payment."""
        (row,) = self.read("SELECT * FROM payments")
        return row

    def charges(self) -> list[dict[str, Any]]:
        """Return the provider's book."""
        return self.read("SELECT * FROM simulated_charges ORDER BY created_at")

    def movements(self) -> list[str]:
        """Return what was booked, in order."""
        return [row["movement"] for row in self.read("SELECT movement FROM ledger_entries ORDER BY id")]

    def balances(self) -> dict[str, int]:
        """Return the sum of each account of the ledger."""
        rows = self.read(
            "SELECT account, sum(amount)::bigint AS sum"
            " FROM (SELECT debit AS account, amount FROM ledger_entries"
            " UNION ALL SELECT credit, -amount FROM ledger_entries) AS sides GROUP BY account"
        )
        return {row["account"]: row["sum"] for row in rows}


class StandingApps:
    """Applications without background threads, which all tests of a worker share by their settings.

    They have one auth, one provider and one orders-service, which `begin` brings back to how they were.
    """

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self.settings = Settings(
            service="payments-service",
            database_url=standing.url,
            auth_url="http://127.0.0.1:9",
            client_secret="secret",
        )
        self.database = connect(self.settings)
        self.auth = FakeAuth()
        self.provider = InterruptedProvider(SimulatedProvider(self.database))
        self.orders = SleepyOrders()
        self._apps: dict[str, ServiceFlask] = {}

    def begin(self) -> None:
        """Forget what the test before did."""
        self.standing.restore()
        self.provider.provider = SimulatedProvider(self.database)
        self.provider.calls.clear()
        self.provider.steps.clear()
        self.orders.woken.clear()

    def get(self, **changes: Any) -> ServiceFlask:
        """Return the application of these settings."""
        name = repr(sorted(changes.items()))
        if name not in self._apps:
            self._apps[name] = self.make(self.provider, **changes)
            self._apps[name].background.stop()
        # The application that was made last has the log to itself.
        configure_logging(self.settings)
        return self._apps[name]

    def make(self, provider: Provider | None = None, **changes: Any) -> ServiceFlask:
        """Make an application that nothing else uses; without a provider it makes its own."""
        told = Settings(**{**self.settings.model_dump(), **changes})
        return create_app(told, self.auth, provider, self.orders)

    def close(self) -> None:
        """Close them all."""
        for app in self._apps.values():
            app.close()
        self.database.close()


@pytest.fixture(scope="session")
def all_apps(make_database: MakeDatabase) -> Iterator[StandingApps]:
    """The applications of this worker."""
    with (
        closing(Standing(make_database("payments-service"))) as standing,
        closing(StandingApps(standing)) as apps,
    ):
        yield apps


@pytest.fixture
def apps(all_apps: StandingApps) -> StandingApps:
    """The same, with nothing of the test before."""
    all_apps.begin()
    return all_apps


@pytest.fixture
def auth(apps: StandingApps) -> FakeAuth:
    """An auth-service in memory."""
    return apps.auth


@pytest.fixture
def books(apps: StandingApps) -> Books:
    """The provider's book and our ledger."""
    return Books(apps.standing.connection)


@pytest.fixture
def settings(apps: StandingApps) -> Settings:
    """Settings for a test."""
    return apps.settings


@pytest.fixture
def provider(apps: StandingApps) -> InterruptedProvider:
    """A provider that a test can interrupt."""
    return apps.provider


@pytest.fixture
def sleepy_orders(apps: StandingApps) -> SleepyOrders:
    """Whom payments-service wakes."""
    return apps.orders


@pytest.fixture
def start_payments(apps: StandingApps) -> Iterator[StartPayments]:
    """Start a payments-service for one test. Most tests sweep themselves, when they want to."""
    with ExitStack() as started:

        def start(provider: Provider | None = None, *, sweeps: bool = False, **changes: Any) -> ServiceFlask:
            app = apps.make(provider, **changes)
            started.callback(app.close)
            if not sweeps:
                app.background.stop()
            return app

        yield start


@pytest.fixture
def orders(apps: StandingApps) -> Orders:
    """orders-service, calling a payments-service with a provider that a test can interrupt."""
    return Orders(apps.get(), apps.auth)


@pytest.fixture
def database(apps: StandingApps) -> Database:
    """The service's database, for what no request does."""
    return apps.database


@pytest.fixture
def order_id() -> UUID:
    """An order that payments has not heard of."""
    return new_id()
