"""logs-service, wired: it runs and is healthy, and has no business routes yet."""

from shared.app import ServiceFlask, build_app
from shared.database import connect
from shared.jwks import JwksClient
from shared.settings import CallerSettings, read_settings
from shared.tokens import KeySource


def create_app(settings: CallerSettings | None = None, keys: KeySource | None = None) -> ServiceFlask:
    """Return the application, with the environment's settings and auth's keys unless they are handed in."""
    settings = settings or read_settings(CallerSettings)
    return build_app(
        settings,
        title="Shopfleet logs",
        database=connect(settings),
        keys=keys or JwksClient(settings.auth_url),
    )
