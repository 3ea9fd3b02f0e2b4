"""All five services in one process, a caller of every kind, and one of each resource of a customer."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from auth.app import create_app as create_auth
from auth.commands.seed import seed_users
from auth.config import Settings as AuthSettings
from auth.passwords import Passwords
from auth.repository.sessions import insert_sign_off
from auth.signing_keys import SigningKeys
from catalog.app import create_app as create_catalog
from catalog.config import Settings as CatalogSettings
from logs.app import create_app as create_logs
from logs.config import Settings as LogsSettings
from orders.app import create_app as create_orders
from orders.config import Settings as OrdersSettings
from payments.app import create_app as create_payments
from payments.config import Settings as PaymentsSettings
from shared.app import ServiceFlask
from shared.database import connect
from tests.access.table import SERVICES
from tests.fakes import FakeAuth
from tests.orders.conftest import ADDRESS, FakeAccounts, FakeCatalog, FakePayments
from tests.waiting import wait_for

SCOPES = {
    "reader": "orders:read",
    "fulfiller": "orders:fulfil",
    "viewer": "products:read",
    "writer": "products:write",
    "searcher": "logs:read",
    "shipper": "logs:write",
    "checker": "tokens:introspect",
}
# The scopes of each integrator.
INTEGRATORS = {"app": "", "scoped": " ".join(SCOPES.values()), **SCOPES}
PASSWORD = "correct horse battery"
PARAMETER = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")


def write_parameter(found: re.Match[str]) -> str:
    """Return a path parameter in OpenAPI's notation."""
    return f"{{{found[1]}}}"


@dataclass
class House:
    """The five services; `subs` has the subject of each user, `things` an id for each path parameter.

    `broken` has the tokens that no service takes, by the service and the caller.
    """

    apps: dict[str, ServiceFlask]
    auths: dict[str, FakeAuth]
    subs: dict[str, str] = field(default_factory=dict)
    things: dict[str, str] = field(default_factory=dict)
    broken: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)

    def client(self, service: str) -> FlaskClient:
        """Return a client without cookies."""
        return self.apps[service].test_client(use_cookies=False)

    def claims_of(self, who: str) -> dict[str, str]:
        """Return the claims of a user, a service or an integrator."""
        if who in self.subs:
            role = "customer" if who == "other" else who
            return {"sub": self.subs[who], "role": role}
        client_id = "app-1" if who in INTEGRATORS else f"{who}-service"
        scope = INTEGRATORS.get(who, "")
        return {"sub": client_id, "role": "service", "client_id": client_id, "scope": scope}

    def token(self, service: str, who: str) -> str:
        """Return a caller's valid token for this service."""
        return self.auths[service].token(**self.claims_of(who))

    def sign_off(self, service: str, token: str, claim: str) -> str:
        """End the session of a token, or the token alone; return the token."""
        self.auths[service].sign_off(token, claim=claim)
        if service == "auth":
            with self.apps["auth"].database.transaction() as connection:
                for ended in self.auths["auth"].sign_offs.ids:
                    insert_sign_off(connection, ended, datetime.now(UTC) + timedelta(hours=1))
        return token

    def find_operations(self, service: str) -> set[str]:
        """Return the documented and the hidden operations of a service."""
        document = self.client(service).get("/openapi.json").json
        named = {
            f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods
        }
        routed = {
            f"{method} {PARAMETER.sub(write_parameter, rule.rule)}"
            for rule in self.apps[service].url_map.iter_rules()
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        }
        return named | routed

    def call(self, service: str, operation: str, headers: dict[str, str], body: Any) -> int:
        """Make one call; return the status. A text body is a form.

        Internal calls name a new order each time, and deletions name missing resources, so that no call
        changes the result of another.
        """
        method, _, path = operation.partition(" ")
        fresh = {"order_id": str(uuid4())} if path.startswith("/internal/") else {}
        if operation == "DELETE /products/{product_id}":
            fresh = {"product_id": "999999"}
        if operation == "DELETE /webhooks/{webhook_id}":
            fresh = {"webhook_id": str(uuid4())}
        path = re.sub(r"\{(\w+)\}", lambda found: (self.things | fresh)[found[1]], path)
        sent: dict[str, Any] = {"json": body} if isinstance(body, dict) else {}
        if isinstance(body, str):
            sent = {"data": body, "content_type": "application/x-www-form-urlencoded"}
        headers = {"Idempotency-Key": str(uuid4()), **headers}
        answer = self.client(service).open(path, method=method, headers=headers, **sent)
        # An open stream would occupy a slot until its reader closes it.
        answer.close()
        return answer.status_code


@pytest.fixture(scope="session")
def house(make_database: Callable[[str], str]) -> Iterator[House]:
    """Set everything up once; each allowed call is repeatable."""
    with ExitStack() as opened:
        auth = FakeAuth()
        apps = {
            "auth": create_auth(_settings(AuthSettings, "auth", make_database), _cheap_passwords()),
            "catalog": create_catalog(_settings(CatalogSettings, "catalog", make_database), auth),
            "orders": create_orders(
                _settings(OrdersSettings, "orders", make_database),
                auth,
                FakeCatalog(),
                FakePayments(),
                FakeAccounts(),
            ),
            "payments": create_payments(_settings(PaymentsSettings, "payments", make_database), auth),
            "logs": create_logs(_settings(LogsSettings, "logs", make_database), auth),
        }
        for app in apps.values():
            opened.callback(app.close)
        # auth-service trusts only its own keys, so these tokens are signed with them.
        key = SigningKeys(apps["auth"].database).signing_key()
        auths = {**dict.fromkeys(SERVICES, auth), "auth": FakeAuth(key.kid, key.private_key)}
        house = House(apps, auths)
        _bring_people(house)
        _make_things(house)
        yield house


def _settings(model: type, name: str, make_database: Callable[[str], str]) -> Any:
    nowhere = dict.fromkeys(("auth_url", "catalog_url", "payments_url"), "http://127.0.0.1:9")
    values = {
        "service": f"{name}-service",
        "database_url": make_database(f"{name}-service"),
        "client_secret": "secret",
        "log_level": "ERROR",  # Thousands of access records would hide a failure.
        **nowhere,
    }
    return model(**{name: value for name, value in values.items() if name in model.model_fields})


def _cheap_passwords() -> Passwords:
    return Passwords(memory_kib=8, passes=1, at_once=4, waiting=100, patience=60)


def _bring_people(house: House) -> None:
    app = house.apps["auth"]
    with closing(connect(app.settings)) as database:
        seed_users(database, app.settings, _cheap_passwords())
    client = house.client("auth")

    def find_sub(path: str, body: dict[str, str] | None) -> str:
        token = client.post(path, json=body).json["access_token"]
        return client.get("/auth/me", headers={"Authorization": f"Bearer {token}"}).json["id"]

    def register(username: str) -> str:
        return find_sub("/auth/register", {"username": username, "password": PASSWORD})

    # The tokens of the walk name their roles.
    house.subs = {
        "guest": find_sub("/auth/guest", None),
        "customer": register("ada"),
        "other": register("bob"),
        "clerk": register("clara"),
        "editor": register("edgar"),
        "admin": find_sub("/auth", {"username": "admin", "password": "admin"}),
    }


def _make_things(house: House) -> None:
    """Make an order and a payment of the customer, and wait for the products."""
    reader = {"Authorization": f"Bearer {house.token('catalog', 'guest')}"}
    wait_for(lambda: house.client("catalog").get("/products", headers=reader).status_code == 200)
    buyer = {"Authorization": f"Bearer {house.token('orders', 'customer')}", "Idempotency-Key": "one"}
    items = [{"product_id": 1, "quantity": 1}]
    order = {"items": items, "payment_method": "pm_card_visa", "shipping_address": ADDRESS}
    shop = house.client("orders")
    order_id = shop.post("/orders", json=order, headers=buyer).json["id"]
    # A cancelled order stays as it is after any further call.
    wait_for(lambda: shop.post(f"/orders/{order_id}/cancel", headers=buyer).status_code == 200)
    service = {"X-Service-Authorization": f"Bearer {house.token('payments', 'orders')}"}
    asked = {
        "customer": house.subs["customer"],
        "amount": 1000,
        "currency": "USD",
        "payment_method": "pm_card_visa",
    }
    payment = house.client("payments").put(f"/internal/payments/{order_id}", json=asked, headers=service)
    owner = {"Authorization": f"Bearer {house.token('orders', 'admin')}"}
    # Its host never has an address, so that nothing is sent.
    listener = {"url": "https://shop.invalid/", "events": ["ping"]}
    webhook = shop.post("/webhooks", json=listener, headers=owner)
    house.things = {
        "address_id": str(uuid4()),
        "order_id": order_id,
        "payment_id": payment.json["id"],
        "product_id": "1",
        "variant_id": "1",
        "slug": "no-such-product",
        "category_path": "no/such/category",
        "number": "0",
        "name": "kit-0001",
        "digest": "0" * 32,
        "size": "480",
        "image_id": "999999",
        "asset": "swagger-ui.css",
        "user_id": house.subs["other"],
        "session_id": str(uuid4()),
        "client_id": "app-unknown",
        "record_id": str(uuid4()),
        "code": "unknown",
        "rate_id": str(uuid4()),
        "mail_id": str(uuid4()),
        "webhook_id": webhook.json["id"],
        "delivery_id": str(uuid4()),
    }
