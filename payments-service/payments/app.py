"""payments-service, wired."""

from payments.clients import Provider, SimulatedProvider
from payments.config import Settings, choose_provider
from payments.routes import internal_routes, ledger_routes, payment_routes
from shared.access import ADMIN, SIGNED_IN, services
from shared.app import ServiceFlask, build_app, mount
from shared.auth_client import reach_auth
from shared.database import Database, connect
from shared.settings import read_settings
from shared.tokens import Auth


def create_app(
    settings: Settings | None = None, auth: Auth | None = None, provider: Provider | None = None
) -> ServiceFlask:
    """Return the application, with what the environment's settings name unless it is handed in."""
    settings = settings or read_settings(Settings)
    database = connect(settings)
    provider = provider or create_provider(settings, database)
    app = build_app(
        settings, title="Shopfleet payments", database=database, auth=auth or reach_auth(settings)
    )
    mount(app, payment_routes(database), access=SIGNED_IN)
    mount(app, ledger_routes(database), access=ADMIN)
    mount(app, internal_routes(database, provider), access=services("orders-service"))
    return app


def create_provider(settings: Settings, database: Database) -> Provider:
    """Return the provider that the settings name."""
    return {"simulated": SimulatedProvider}[choose_provider(settings)](database)
