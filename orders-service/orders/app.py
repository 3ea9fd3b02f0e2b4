"""The wiring of orders-service."""

from dataclasses import replace
from functools import partial

from orders.checkout import Checkout
from orders.clients import AccountsClient, CatalogClient, PaymentsClient, WebhookClient
from orders.config import Settings
from orders.order_mails import TEMPLATES, describe_mail
from orders.routes import (
    address_routes,
    cart_routes,
    claim_routes,
    coupon_routes,
    customer_routes,
    event_routes,
    fulfilment_routes,
    lookup_routes,
    order_mail_routes,
    order_routes,
    quote_routes,
    reading_routes,
    refund_routes,
    rule_routes,
    wake_routes,
    webhook_routes,
)
from orders.rule_book import RuleBook
from orders.settlement import MOST, Settlement
from orders.use_cases import lookups
from orders.use_cases.carts import CartDesk
from orders.use_cases.figures import read_figures
from orders.use_cases.sweep import sweep_leftovers
from orders.use_cases.webhooks import WebhookDesk
from orders.webhook_channel import WebhookChannel
from orders.webhooks import CHANNEL as WEBHOOK
from shared.access import ADMIN, CLERK, EDITOR, PUBLIC, REGISTERED, SIGNED_IN, services
from shared.app import ServiceFlask, build_app, mount
from shared.auth_client import reach_auth
from shared.courier import TASK as SEND_OUTBOX
from shared.courier import Courier
from shared.database import connect
from shared.letters import read_address
from shared.mail import CHANNEL as MAIL
from shared.mail import MailChannel, read_letters
from shared.mailbox import Mailbox, mailbox_routes
from shared.outbox_tasks import CHANNEL as TASK
from shared.outbox_tasks import TaskChannel
from shared.service_calls import ServiceTokens
from shared.settings import read_settings
from shared.tokens import Auth

# Users with these roles, and integrators whose token has the scope.
ORDER_READERS = replace(SIGNED_IN, name="order readers", scope="orders:read")
FULFILLERS = replace(CLERK, name="fulfillers", scope="orders:fulfil")
CALL_TIMEOUT = (0.5, 2.0)  # Seconds to connect and to read; a step that takes longer is retried later.
RESUMERS = 2  # Threads that continue orders that a request or another replica left unfinished.
SETTLERS = 1  # Threads that settle; more threads would only make smaller batches.
LOOK_EVERY = 0.5  # Seconds between two polls for due orders.
RESUME, SETTLE = "resume-orders", "settle-orders"
SWEEP_EVERY = 60.0  # Seconds between two checks whether the sweep is due.


def create_app(
    settings: Settings | None = None,
    auth: Auth | None = None,
    catalog: CatalogClient | None = None,
    payments: PaymentsClient | None = None,
    accounts: AccountsClient | None = None,
) -> ServiceFlask:
    """Return the application; settings come from the environment and clients are real unless passed in."""
    settings = settings or read_settings(Settings)
    database = connect(settings)
    tokens = ServiceTokens(settings.auth_url, settings.service, settings.client_secret.get_secret_value())
    catalog = catalog or CatalogClient(settings.catalog_url, tokens, timeout=CALL_TIMEOUT)
    payments = payments or PaymentsClient(settings.payments_url, tokens, timeout=CALL_TIMEOUT)
    accounts = accounts or AccountsClient(settings.auth_url, tokens, timeout=CALL_TIMEOUT)
    app = build_app(settings, title="Shopfleet orders", database=database, auth=auth or reach_auth(settings))
    wake_settlement = partial(app.background.nudge, SETTLE)
    wake_resumers = partial(app.background.nudge, RESUME)
    rule_book = RuleBook(
        database,
        prices_include_tax=settings.prices_include_tax == "yes",
        shop_country=settings.shop_country,
    )
    checkout = Checkout(
        database,
        catalog,
        payments,
        rule_book=rule_book,
        wake_settlement=wake_settlement,
        wake_resumers=wake_resumers,
        waiting_limits=settings.waiting_limits,
    )
    settlement = Settlement(
        database,
        catalog,
        payments,
        wake_resumers=wake_resumers,
        pause=app.background.stopping.wait,
        most=MOST,
    )
    app.metrics.ask(partial(read_figures, database))
    desk = CartDesk(database, catalog, rule_book)
    letters = read_letters(settings, TEMPLATES, settings.public_url)
    describe = partial(describe_mail, public_url=settings.public_url)
    mails = MailChannel(settings, letters, describe, production=settings.production)
    tasks = TaskChannel(database, {lookups.MAIL_LOOKUP: lookups.run_mail_lookup})
    webhook_client = WebhookClient(
        allows_private=settings.webhook_private == "yes", requires_https=settings.production
    )
    owner = letters.shop.reply_to or str(letters.choose_sender(settings.mail_from))
    webhook_channel = WebhookChannel(database, webhook_client, read_address(owner).addr_spec)
    Courier(app, database, {MAIL: mails, TASK: tasks, WEBHOOK: webhook_channel})
    webhook_desk = WebhookDesk(database, webhook_client, partial(app.background.nudge, SEND_OUTBOX))
    mailbox = Mailbox(database, mails, shows_links=not settings.production, renew=lookups.renew_mail)
    mount(app, cart_routes(desk, payments), access=SIGNED_IN)
    mount(app, quote_routes(desk), access=SIGNED_IN)
    mount(app, rule_routes(database), access=ADMIN)
    mount(app, coupon_routes(database), access=EDITOR)
    mount(app, address_routes(database), access=REGISTERED)
    mount(app, lookup_routes(database), access=PUBLIC)
    mount(app, claim_routes(database, accounts, payments), access=REGISTERED)
    mount(app, order_routes(desk, checkout, payments), access=SIGNED_IN)
    mount(app, reading_routes(database, payments), access=ORDER_READERS)
    mount(app, fulfilment_routes(database), access=FULFILLERS)
    mount(app, refund_routes(database, checkout), access=CLERK)
    mount(app, order_mail_routes(database, mailbox), access=CLERK)
    mount(app, mailbox_routes("/orders", mailbox), access=CLERK)
    mount(app, webhook_routes(webhook_desk), access=ADMIN)
    mount(app, event_routes(webhook_desk), access=services("catalog-service"))
    mount(app, wake_routes(database, wake_resumers), access=services("payments-service"))
    mount(app, customer_routes(database), access=services("auth-service"))
    for _ in range(RESUMERS):
        app.background.repeat(checkout.finish_due_orders, every=LOOK_EVERY, name=RESUME)
    for _ in range(SETTLERS):
        # Orders that are confirmed during shutdown are settled before the process exits.
        app.background.repeat(settlement.settle_due_orders, every=LOOK_EVERY, name=SETTLE, until_end=True)
    app.background.repeat(partial(sweep_leftovers, database), every=SWEEP_EVERY, name="sweep")
    return app
