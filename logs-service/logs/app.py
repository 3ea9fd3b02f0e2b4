"""logs-service, wired."""

from logs.config import Settings
from logs.routes import ingest_routes, search_routes
from shared.access import Access
from shared.app import ServiceFlask, build_app, mount
from shared.auth_client import reach_auth
from shared.database import connect
from shared.settings import read_settings
from shared.tokens import Auth

# Our services, admins, and integrators with the scope.
WRITERS = Access("log writers", roles=frozenset({"service", "admin"}), scope="logs:write")
READERS = Access("log readers", roles=frozenset({"admin"}), scope="logs:read")


def create_app(settings: Settings | None = None, auth: Auth | None = None) -> ServiceFlask:
    """Return the application, with the environment's settings and auth unless they are handed in."""
    settings = settings or read_settings(Settings)
    database = connect(settings)
    app = build_app(settings, title="Shopfleet logs", database=database, auth=auth or reach_auth(settings))
    # A record of each export would be exported in its turn.
    mount(app, ingest_routes(database), access=WRITERS, recorded=False)
    mount(app, search_routes(database), access=READERS)
    return app
