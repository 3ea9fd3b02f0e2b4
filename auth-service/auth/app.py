"""The wiring of auth-service."""

from dataclasses import replace
from functools import partial

from auth.account_mails import MAIL_RESET, MAIL_VERIFICATION, TEMPLATES, MailDescriber
from auth.clients import OrdersClient, OwnTokens
from auth.config import Settings, read_service_clients
from auth.issuer import TokenIssuer
from auth.passwords import Passwords
from auth.routes.accounts import account_routes, login_routes, password_routes
from auth.routes.admin import client_routes, directory_routes, user_routes
from auth.routes.docs import docs_routes
from auth.routes.email import address_routes, link_routes, verified_email_routes
from auth.routes.internal import sign_off_routes
from auth.routes.oauth import metadata_routes, oauth_routes
from auth.routes.sessions import session_routes
from auth.routes.signing_keys import signing_key_routes
from auth.routes.totp import totp_routes
from auth.routes.visitors import Pages
from auth.sign_offs import StoredSignOffs
from auth.signing_keys import SigningKeys
from auth.use_cases import email
from auth.use_cases.guests import EVERY as DELETE_GUESTS_EVERY
from auth.use_cases.guests import delete_idle_guests
from auth.use_cases.oauth import Clients, issue_own_token
from auth.use_cases.sweep import EVERY as SWEEP_EVERY
from auth.use_cases.sweep import sweep
from shared.access import ADMIN, CLERK, PUBLIC, REGISTERED, SIGNED_IN, services
from shared.app import ServiceFlask, build_app, mount
from shared.courier import Courier
from shared.database import Database, connect
from shared.mail import CHANNEL as MAIL
from shared.mail import MailChannel, read_letters
from shared.mailbox import Mailbox, mailbox_routes
from shared.outbox_tasks import CHANNEL as TASK
from shared.outbox_tasks import TaskChannel
from shared.settings import read_settings
from shared.tokens import Auth
from shared.verdict import verdict_routes

CLIENTS = ("catalog-service", "orders-service", "payments-service", "logs-service")

PREPARE_EVERY = 60.0  # Seconds between two checks that the hashing process is running.

# The same rule as in catalog-service: the gateway asks auth-service while catalog-service is down.
PRODUCT_READERS = replace(SIGNED_IN, name="product readers", scope="products:read")


def create_app(
    settings: Settings | None = None, passwords: Passwords | None = None, orders: OrdersClient | None = None
) -> ServiceFlask:
    """Return the application; settings come from the environment, and tests may pass the parts themselves."""
    settings = settings or read_settings(Settings)
    passwords = passwords or Passwords()
    database = connect(settings)
    keys = SigningKeys(database)
    issuer = TokenIssuer(
        keys,
        settings.public_url,
        settings.token_seconds,
        staff_needs_totp=settings.require_staff_totp == "yes",
    )
    own_token = partial(issue_own_token, issuer, settings.service)
    app = build_app(
        settings,
        title="Shopfleet auth",
        database=database,
        auth=Auth(keys, StoredSignOffs(database)),
        shipping_token=own_token,
    )
    pages = Pages(settings.public_url, settings.origins)
    mount(app, login_routes(app, pages, database, passwords, issuer), access=PUBLIC)
    mount(app, account_routes(app, pages, database, issuer), access=SIGNED_IN)
    mount(app, password_routes(app, pages, database, passwords, issuer), access=REGISTERED)
    mount(app, session_routes(database), access=REGISTERED)
    mount(app, totp_routes(database, passwords, issuer, settings.host), access=REGISTERED)
    # Each service polls every two seconds; access records of that would only be noise.
    mount(app, sign_off_routes(database), access=services(*CLIENTS), recorded=False)
    mount(app, verdict_routes(), access=PRODUCT_READERS, recorded=False)
    # The caller authenticates as a client, or presents the token that it revokes.
    clients = Clients(database, read_service_clients(settings))
    mount(app, oauth_routes(database, clients, issuer, app.verifier), access=PUBLIC)
    mount(app, metadata_routes(settings.public_url), access=PUBLIC)
    mount(app, signing_key_routes(keys), access=PUBLIC, recorded=False)
    mount(app, docs_routes(), access=PUBLIC)
    mount(app, address_routes(pages, database), access=REGISTERED)
    mount(app, link_routes(pages, database, passwords), access=PUBLIC)
    mount(app, verified_email_routes(database), access=services("orders-service"))
    mount(app, directory_routes(database), access=CLERK)
    mount(app, user_routes(database, passwords), access=ADMIN)
    mount(app, client_routes(database, settings.token_seconds), access=ADMIN)
    _add_mails(app, settings, database)
    app.background.repeat(partial(sweep, database), every=SWEEP_EVERY, name="sweep")
    app.background.repeat(passwords.prepare, every=PREPARE_EVERY, name="prepare-hashing", nudged=False)
    if orders is None and settings.orders_url:
        orders = OrdersClient(settings.orders_url, OwnTokens(own_token))
    if orders:
        delete_guests = partial(delete_idle_guests, database, orders)
        app.background.repeat(delete_guests, every=DELETE_GUESTS_EVERY, name="forget-guests")
    return app


def _add_mails(app: ServiceFlask, settings: Settings, database: Database) -> None:
    """Add the mailbox, and send the mails of accounts."""
    letters = read_letters(settings, TEMPLATES, settings.public_url)
    describe = MailDescriber(settings.public_url).describe
    mails = MailChannel(settings, letters, describe, production=settings.production)
    tasks = TaskChannel(
        database,
        {MAIL_VERIFICATION: email.run_mail_verification, MAIL_RESET: email.run_mail_reset},
    )
    Courier(app, database, {MAIL: mails, TASK: tasks})
    mailbox = Mailbox(database, mails, shows_links=not settings.production, renew=email.renew_mail)
    mount(app, mailbox_routes("/auth", mailbox), access=ADMIN)
