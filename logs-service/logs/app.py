"""logs-service, wired."""

from logs.config import Settings
from logs.routes import ingest_routes, search_routes
from shared.access import ADMIN, Access
from shared.app import ServiceFlask, build_app, mount
from shared.database import connect
from shared.jwks import JwksClient
from shared.settings import read_settings
from shared.tokens import KeySource

# Our services, admins, and integrators with that scope.
WRITERS = Access("log writers", roles=frozenset({"service", "admin"}), scope="logs:write")


def create_app(settings: Settings | None = None, keys: KeySource | None = None) -> ServiceFlask:
    """Return the application, with the environment's settings and auth's keys unless they are handed in."""
    settings = settings or read_settings(Settings)
    database = connect(settings)
    app = build_app(
        settings, title="Shopfleet logs", database=database, keys=keys or JwksClient(settings.auth_url)
    )
    # A record of each export would be exported in its turn.
    mount(app, ingest_routes(database), access=WRITERS, recorded=False)
    mount(app, search_routes(database), access=ADMIN)
    return app
