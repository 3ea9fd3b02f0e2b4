"""payments-service on a real database, with auth in memory and a provider that a test can interrupt."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row
from werkzeug.test import TestResponse

from payments.app import create_app
from payments.clients import Provider, SimulatedProvider
from payments.config import Settings
from payments.domain import Charge, Payment
from shared.app import ServiceFlask
from shared.database import connect
from shared.ids import new_id
from shared.testing import FakeAuth

StartPayments = Callable[..., ServiceFlask]

REQUEST = {"customer": "ada", "amount": 1299, "currency": "USD", "payment_method": "pm_card_visa"}


class InterruptedProvider:
    """The simulated provider with a test's own steps before and after a call; a step may raise."""

    name = "simulated"

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.calls: list[str] = []
        self.steps: dict[str, Callable[[], object]] = {}

    def interrupt(self, when: str, step: Callable[[], object]) -> None:
        """Take a step once at the next `before authorize`, `after capture` and so on."""
        self.steps[when] = step

    def accepts(self, payment_method: str) -> bool:
        return self.provider.accepts(payment_method)

    def authorize(self, payment: Payment) -> Charge:
        return self._call("authorize", self.provider.authorize, payment)

    def capture(self, payment: Payment) -> Charge:
        return self._call("capture", self.provider.capture, payment)

    def release(self, payment: Payment) -> Charge:
        return self._call("release", self.provider.release, payment)

    def _call(self, name: str, call: Callable[[Payment], Charge], payment: Payment) -> Charge:
        self.calls.append(name)
        self.steps.pop(f"before {name}", lambda: None)()
        charge = call(payment)
        self.steps.pop(f"after {name}", lambda: None)()
        return charge


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

    def cancel(self, order_id: UUID) -> TestResponse:
        """Ask for the money to be given back."""
        return self._post(order_id, "cancel")

    def _post(self, order_id: UUID, step: str) -> TestResponse:
        return self.app.test_client().post(f"/internal/payments/{order_id}/{step}", headers=self.headers)


class Books:
    """What stands in the database, read past the service."""

    def __init__(self, url: str) -> None:
        self.url = url

    def read(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Return the rows of a query."""
        with psycopg.connect(self.url, row_factory=dict_row) as connection:
            return connection.execute(query, values).fetchall()

    def charges(self) -> list[dict[str, Any]]:
        """Return the provider's book."""
        return self.read("SELECT * FROM simulated_charges ORDER BY created_at")

    def movements(self) -> list[str]:
        """Return what was booked, in order."""
        return [row["movement"] for row in self.read("SELECT movement FROM ledger_entries ORDER BY id")]

    def balances(self) -> dict[str, int]:
        """Return the sum of each account of the ledger."""
        rows = self.read("SELECT account, sum(amount)::bigint AS sum FROM ledger_lines GROUP BY account")
        return {row["account"]: row["sum"] for row in rows}


@pytest.fixture
def database_url(make_database) -> str:
    """A migrated database of payments-service."""
    return make_database("payments-service")


@pytest.fixture
def books(database_url: str) -> Books:
    """The provider's book and our ledger."""
    return Books(database_url)


@pytest.fixture
def settings(database_url: str) -> Settings:
    """Settings for a test."""
    return Settings(
        service="payments-service",
        database_url=database_url,
        auth_url="http://127.0.0.1:9",
        client_secret="secret",
    )


@pytest.fixture
def provider(settings: Settings) -> Iterator[InterruptedProvider]:
    """A provider that a test can interrupt."""
    database = connect(settings)
    yield InterruptedProvider(SimulatedProvider(database))
    database.close()


@pytest.fixture
def start_payments(settings: Settings, auth: FakeAuth) -> Iterator[StartPayments]:
    """Start payments-service; all started are closed at the end."""
    with ExitStack() as started:

        def start(provider: Provider | None = None) -> ServiceFlask:
            app = create_app(settings, auth, provider)
            started.callback(app.close)
            return app

        yield start


@pytest.fixture
def orders(start_payments: StartPayments, provider: InterruptedProvider, auth: FakeAuth) -> Orders:
    """orders-service, calling a payments-service with a provider that a test can interrupt."""
    return Orders(start_payments(provider), auth)


@pytest.fixture
def order_id() -> UUID:
    """An order that payments has not heard of."""
    return new_id()
