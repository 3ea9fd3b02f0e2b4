"""payments-service on a real database, with a fake auth-service and a provider that a test can interrupt."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import DictRow
from werkzeug.test import TestResponse

from payments.app import create_app
from payments.clients import Provider, SaveReference
from payments.clients.orders import OrdersClient
from payments.clients.simulated import SimulatedProvider
from payments.config import Settings
from payments.domain.payments import Change, Charge, Outcome, Payment, Refund
from payments.errors import ProviderUnavailable
from payments.use_cases import sweep
from shared.app import ServiceFlask
from shared.database import Database, connect
from shared.ids import new_id
from shared.log import configure_logging
from tests.databases import MakeDatabase, Standing
from tests.fakes import FakeAuth

T = TypeVar("T")

StartPayments = Callable[..., ServiceFlask]

REQUEST = {"customer": "ada", "amount": 1299, "currency": "USD", "payment_method": "pm_card_visa"}


def raise_unavailable(*_arguments: object) -> None:
    """Fail like a provider that does not respond."""
    raise ProviderUnavailable


def run_concurrently(*calls: Callable[[], T]) -> list[T]:
    """Start the calls at the same moment, in a thread each; return their results."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def retry(call: Callable[[], TestResponse]) -> TestResponse:
    """Retry a call while the provider is unavailable; return the response."""
    for _attempt in range(3):
        answer = call()
        if answer.status_code != 503:
            return answer
    raise AssertionError("The provider stayed unavailable.")


class InterruptedProvider:
    """The simulated provider with hooks before and after its calls; a hook may raise."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.calls: list[str] = []
        self.hooks: dict[str, Callable[[], object]] = {}

    @property
    def name(self) -> str:
        return self.provider.name

    def interrupt(self, when: str, hook: Callable[[], object]) -> None:
        """Run a hook once, at the next `before authorize`, `after capture` and so on."""
        self.hooks[when] = hook

    def lose_response(self, when: str) -> None:
        """Raise ProviderUnavailable once, `before` or `after` a call takes effect."""
        self.interrupt(when, raise_unavailable)

    def accepts(self, payment_method: str) -> bool:
        return self.provider.accepts(payment_method)

    def authorize(self, payment: Payment, save_reference: SaveReference) -> Charge:
        return self._call("authorize", lambda: self.provider.authorize(payment, save_reference))

    def confirm(self, payment: Payment, outcome: Outcome) -> Charge:
        return self._call("confirm", lambda: self.provider.confirm(payment, outcome))

    def capture(self, payment: Payment) -> Charge:
        return self._call("capture", lambda: self.provider.capture(payment))

    def capture_batch(self, payments: Iterable[Payment]) -> Mapping[UUID, Charge]:
        return self._call("capture batch", lambda: self.provider.capture_batch(payments))

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
        self.hooks.pop(f"before {name}", lambda: None)()
        answer = call()
        self.hooks.pop(f"after {name}", lambda: None)()
        return answer


class Orders:
    """The calls of orders-service. Threads may share it, because each call has its own test client."""

    def __init__(self, app: ServiceFlask, auth: FakeAuth) -> None:
        self.app = app
        self.headers = auth.service_bearer("orders-service")

    def authorize(self, order_id: UUID, **changes: Any) -> TestResponse:
        """Authorize the payment of an order."""
        path, body = f"/internal/payments/{order_id}", {**REQUEST, **changes}
        return self.app.test_client().put(path, json=body, headers=self.headers)

    def capture(self, order_id: UUID) -> TestResponse:
        """Capture the payment of an order."""
        return self._post(order_id, "capture")

    def capture_batch(self, *order_ids: UUID) -> dict[UUID, tuple[str, str | None]]:
        """Capture the payments of several orders; return the outcome and code of each."""
        body = {"orders": [str(order_id) for order_id in order_ids]}
        client = self.app.test_client()
        answer = client.post("/internal/payments/capture", json=body, headers=self.headers)
        assert answer.status_code == 200, answer.json
        return {UUID(each["order_id"]): (each["outcome"], each["code"]) for each in answer.json["orders"]}

    def cancel(self, order_id: UUID) -> TestResponse:
        """Cancel the payment of an order."""
        return self._post(order_id, "cancel")

    def refund(self, order_id: UUID, amount: int, refund_id: UUID | None = None) -> TestResponse:
        """Refund part of the captured money."""
        body = {"refund_id": str(refund_id or new_id()), "amount": amount}
        return self._post(order_id, "refunds", json=body)

    def find(self, order_id: UUID) -> TestResponse:
        """Return the payment of an order."""
        return self.app.test_client().get(f"/internal/payments/{order_id}", headers=self.headers)

    def _post(self, order_id: UUID, step: str, **options: Any) -> TestResponse:
        path = f"/internal/payments/{order_id}/{step}"
        return self.app.test_client().post(path, headers=self.headers, **options)


class FakeOrders(OrdersClient):
    """A fake orders-service that records the orders it was woken for."""

    def __init__(self) -> None:
        self.woken: list[UUID] = []

    def wake(self, order_id: UUID) -> None:
        self.woken.append(order_id)

    def deliver(self) -> None:
        """Have nothing to deliver."""


class Tables:
    """Direct access to the tables of the database. Threads may share it."""

    def __init__(self, connection: psycopg.Connection[DictRow]) -> None:
        self.connection = connection

    def read(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Return the rows of a query."""
        return self.connection.execute(query, values).fetchall()

    def write(self, statement: str, *values: Any) -> None:
        """Execute a statement."""
        self.connection.execute(statement, values)

    def payment(self) -> dict[str, Any]:
        """Return the only payment."""
        (row,) = self.read("SELECT * FROM payments")
        return row

    def charges(self) -> list[dict[str, Any]]:
        """Return the charge records of the simulated provider."""
        return self.read("SELECT * FROM simulated_charges ORDER BY created_at")

    def movements(self) -> list[str]:
        """Return the names of the ledger entries, oldest first."""
        return [row["movement"] for row in self.read("SELECT movement FROM ledger_entries ORDER BY id")]

    def balances(self) -> dict[str, int]:
        """Return the balance of each account of the ledger."""
        rows = self.read(
            "SELECT account, sum(amount)::bigint AS sum"
            " FROM (SELECT debit AS account, amount FROM ledger_entries"
            " UNION ALL SELECT credit, -amount FROM ledger_entries) AS sides GROUP BY account"
        )
        return {row["account"]: row["sum"] for row in rows}


class SharedApps:
    """Applications without background threads, which all tests of a worker share, one per settings.

    They share one auth-service, one provider and one orders-service, which `begin` resets.
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
        self.orders = FakeOrders()
        self._apps: dict[str, ServiceFlask] = {}

    def begin(self) -> None:
        """Reset the state after the previous test."""
        self.standing.restore()
        self.provider.provider = SimulatedProvider(self.database)
        self.provider.calls.clear()
        self.provider.hooks.clear()
        self.orders.woken.clear()

    def get(self, **changes: Any) -> ServiceFlask:
        """Return the shared application with these settings."""
        name = repr(sorted(changes.items()))
        if name not in self._apps:
            self._apps[name] = self.make(self.provider, **changes)
            self._apps[name].background.stop()
        # The newest application has reconfigured logging.
        configure_logging(self.settings)
        return self._apps[name]

    def make(self, provider: Provider | None = None, **changes: Any) -> ServiceFlask:
        """Create a separate application; without a provider it creates its own."""
        settings = Settings(**{**self.settings.model_dump(), **changes})
        return create_app(settings, self.auth, provider, self.orders)

    def close(self) -> None:
        """Close the applications and the database."""
        for app in self._apps.values():
            app.close()
        self.database.close()


@pytest.fixture(scope="session")
def all_apps(make_database: MakeDatabase) -> Iterator[SharedApps]:
    """The shared applications of this worker."""
    with (
        closing(Standing(make_database("payments-service"))) as standing,
        closing(SharedApps(standing)) as apps,
    ):
        yield apps


@pytest.fixture
def apps(all_apps: SharedApps) -> SharedApps:
    """The shared applications, reset for a test."""
    all_apps.begin()
    return all_apps


@pytest.fixture
def auth(apps: SharedApps) -> FakeAuth:
    """The fake auth-service."""
    return apps.auth


@pytest.fixture
def tables(apps: SharedApps) -> Tables:
    """The tables of the database."""
    return Tables(apps.standing.connection)


@pytest.fixture
def settings(apps: SharedApps) -> Settings:
    """The settings of the shared applications."""
    return apps.settings


@pytest.fixture
def provider(apps: SharedApps) -> InterruptedProvider:
    """The provider, which a test can interrupt."""
    return apps.provider


@pytest.fixture
def fake_orders(apps: SharedApps) -> FakeOrders:
    """The orders-service that payments-service wakes."""
    return apps.orders


@pytest.fixture
def start_payments(apps: SharedApps) -> Iterator[StartPayments]:
    """Start a payments-service for one test, by default without its background tasks."""
    with ExitStack() as started:

        def start(provider: Provider | None = None, *, sweeps: bool = False, **changes: Any) -> ServiceFlask:
            app = apps.make(provider, **changes)
            started.callback(app.close)
            if not sweeps:
                app.background.stop()
            return app

        yield start


@pytest.fixture
def orders(apps: SharedApps) -> Orders:
    """The calls of orders-service to the shared application."""
    return Orders(apps.get(), apps.auth)


@pytest.fixture
def database(apps: SharedApps) -> Database:
    """The database, for use cases that no route calls."""
    return apps.database


@pytest.fixture
def order_id() -> UUID:
    """An order without a payment."""
    return new_id()


@pytest.fixture
def check(
    tables: Tables, provider: InterruptedProvider, database: Database, fake_orders: FakeOrders
) -> Callable[[], None]:
    """Check every unfinished payment now."""

    def check() -> None:
        tables.write("UPDATE payments SET look_at = now() WHERE look_at IS NOT NULL")
        sweep.check_due_payments(database, provider, fake_orders.wake)

    return check


@pytest.fixture
def reconcile(
    tables: Tables, provider: InterruptedProvider, database: Database, fake_orders: FakeOrders
) -> Callable[[], None]:
    """Reconcile the last ten minutes, including recent payments, and check those that differ."""

    def reconcile() -> None:
        tables.write("UPDATE jobs SET next_at = now(), position = now() - interval '10 minutes'")
        tables.write("UPDATE payments SET updated_at = now() - interval '5 minutes'")
        sweep.reconcile(database, provider)
        sweep.check_due_payments(database, provider, fake_orders.wake)

    return reconcile
