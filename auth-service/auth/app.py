"""auth-service, wired."""

from functools import partial

from auth import use_cases
from auth.config import Settings, read_service_clients
from auth.issuer import TokenIssuer
from auth.keys import SigningKeys
from auth.passwords import Passwords
from auth.routes import account_routes, key_routes, login_routes, oauth_routes
from shared.access import PUBLIC, SIGNED_IN
from shared.app import ServiceFlask, build_app, mount
from shared.database import connect
from shared.settings import read_settings


def create_app(settings: Settings | None = None) -> ServiceFlask:
    """Return the application, with settings from the environment unless they are handed in."""
    settings = settings or read_settings(Settings)
    database = connect(settings)
    keys = SigningKeys(database)
    issuer = TokenIssuer(keys, settings.public_url, settings.token_seconds)
    app = build_app(
        settings,
        title="Shopfleet auth",
        database=database,
        keys=keys,
        shipping_token=partial(use_cases.issue_own_token, issuer, settings.service),
    )
    mount(app, login_routes(database, Passwords(), issuer, production=settings.production), access=PUBLIC)
    mount(app, account_routes(database), access=SIGNED_IN)
    mount(app, oauth_routes(read_service_clients(settings), issuer), access=PUBLIC)
    mount(app, key_routes(keys), access=PUBLIC)
    return app
