"""The application of payments-service."""

from functools import partial
from uuid import UUID

from payments.clients import EventReader, Provider
from payments.clients.orders import OrdersClient
from payments.clients.simulated import SimulatedProvider
from payments.config import Settings, choose_provider
from payments.routes.internal import batch_routes, internal_routes
from payments.routes.people import ledger_routes, payment_routes
from payments.routes.webhooks import webhook_routes
from payments.use_cases import sweep
from payments.use_cases.batch_captures import BatchCaptures
from payments.use_cases.figures import read_figures
from shared.access import ADMIN, PUBLIC, SIGNED_IN, services
from shared.app import ServiceFlask, build_app, mount
from shared.auth_client import reach_auth
from shared.background import Background
from shared.database import Database, connect
from shared.service_calls import ServiceTokens
from shared.settings import read_settings
from shared.tokens import Auth

CHECK_EVERY = 1.0  # Seconds.
JOBS_EVERY = 15.0  # Seconds; each job also has its own interval in the database.


def create_app(
    settings: Settings | None = None,
    auth: Auth | None = None,
    provider: Provider | None = None,
    orders: OrdersClient | None = None,
) -> ServiceFlask:
    """Return the application; arguments override the settings of the environment."""
    settings = settings or read_settings(Settings)
    database = connect(settings)
    app = build_app(
        settings, title="Shopfleet payments", database=database, auth=auth or reach_auth(settings)
    )
    app.metrics.ask(partial(read_figures, database))
    provider = provider or create_provider(settings, database, app.background)
    orders = orders or create_orders(settings)

    def wake(order_id: UUID) -> None:
        if orders:
            orders.wake(order_id)
            app.background.nudge()

    mount(app, payment_routes(database, provider, wake), access=SIGNED_IN)
    mount(app, ledger_routes(database), access=ADMIN)
    mount(app, internal_routes(database, provider), access=services("orders-service"))
    mount(app, batch_routes(database, BatchCaptures(database, provider)), access=services("orders-service"))
    mount(app, webhook_routes(database, app.background, create_events(settings)), access=PUBLIC)

    repeat = app.background.repeat
    repeat(partial(sweep.check_due_payments, database, provider, wake), every=CHECK_EVERY, name="look-after")
    repeat(partial(sweep.reconcile, database, provider), every=JOBS_EVERY, name="reconcile")
    repeat(partial(sweep.delete_old_rows, database), every=JOBS_EVERY, name="forget")
    if orders:
        repeat(orders.deliver, every=CHECK_EVERY, name="wake-orders")
    return app


def create_provider(settings: Settings, database: Database, background: Background) -> Provider:
    """Return the configured provider."""
    name = choose_provider(settings)
    if name == "stripe" and settings.stripe_secret_key:
        # The import takes half a second and 20 MB, which a shop without Stripe does not need.
        from payments.clients.stripe import StripeProvider  # noqa: PLC0415

        return StripeProvider(settings.stripe_secret_key.get_secret_value(), settings.stripe_api_base)

    def notify(event_id: str, payment_id: UUID) -> None:
        sweep.handle_event(database, event_id, payment_id=payment_id)
        background.nudge()

    return SimulatedProvider(database, notify)


def create_events(settings: Settings) -> EventReader | None:
    """Return the reader of Stripe's events; None without Stripe or without a signing secret."""
    if settings.payment_provider != "stripe" or settings.stripe_webhook_secret is None:
        return None
    from payments.clients.stripe_events import StripeEvents  # noqa: PLC0415

    return StripeEvents(settings.stripe_webhook_secret.get_secret_value().split())


def create_orders(settings: Settings) -> OrdersClient | None:
    """Return the client of orders-service; None without its URL."""
    if settings.orders_url is None:
        return None
    tokens = ServiceTokens(settings.auth_url, settings.service, settings.client_secret.get_secret_value())
    return OrdersClient(settings.orders_url, tokens)
