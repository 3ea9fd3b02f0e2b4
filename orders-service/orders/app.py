"""orders-service, wired."""

from orders.checkout import Checkout
from orders.clients import CatalogClient, PaymentsClient
from orders.config import Settings
from orders.routes import cart_routes, order_routes
from shared.access import SIGNED_IN
from shared.app import ServiceFlask, build_app, mount
from shared.auth_client import reach_auth
from shared.database import connect
from shared.service_calls import ServiceTokens
from shared.settings import read_settings
from shared.tokens import Auth

CALL_TIMEOUT = (0.5, 2.0)  # Seconds to connect and to read; a step that takes longer is taken again later.
FINISHERS = 2  # Threads that go on with orders after they were answered.
LOOK_EVERY = 0.5  # Seconds between two looks for orders whose turn it is.


def create_app(
    settings: Settings | None = None,
    auth: Auth | None = None,
    catalog: CatalogClient | None = None,
    payments: PaymentsClient | None = None,
) -> ServiceFlask:
    """Return the application, with the environment's settings and real clients unless they are handed in."""
    settings = settings or read_settings(Settings)
    database = connect(settings)
    tokens = ServiceTokens(settings.auth_url, settings.service, settings.client_secret.get_secret_value())
    catalog = catalog or CatalogClient(settings.catalog_url, tokens, timeout=CALL_TIMEOUT)
    payments = payments or PaymentsClient(settings.payments_url, tokens, timeout=CALL_TIMEOUT)
    checkout = Checkout(database, catalog, payments)
    app = build_app(settings, title="Shopfleet orders", database=database, auth=auth or reach_auth(settings))
    mount(app, cart_routes(database, catalog), access=SIGNED_IN)
    mount(app, order_routes(database, checkout, app.background), access=SIGNED_IN)
    for number in range(FINISHERS):
        app.background.repeat(checkout.run_due_orders, every=LOOK_EVERY, name=f"finish-orders-{number + 1}")
    return app
