"""The wiring of catalog-service."""

from dataclasses import replace
from functools import partial

from catalog.clients import ImageClient, OrdersClient, UpstreamClient
from catalog.config import Settings
from catalog.encoder import Encoder
from catalog.event_channel import CHANNEL as EVENT
from catalog.event_channel import EventChannel
from catalog.routes.admin import admin_routes
from catalog.routes.categories import category_admin_routes, category_routes
from catalog.routes.images import image_routes
from catalog.routes.imports import import_routes
from catalog.routes.low_stock import low_stock_routes
from catalog.routes.metadata_keys import metadata_key_routes
from catalog.routes.pages import page_routes
from catalog.routes.products import product_routes
from catalog.routes.reservations import reservation_routes
from catalog.routes.sales import sale_routes
from catalog.routes.uploads import upload_routes
from catalog.routes.variants import variant_routes
from catalog.sources import SampleSource, Source, UpstreamSource
from catalog.use_cases.events import sweep_events
from catalog.use_cases.fetches import Fetcher
from catalog.use_cases.figures import read_figures
from catalog.use_cases.images import sweep_images
from catalog.use_cases.products import recount
from catalog.use_cases.reservations import lapse_reservations
from catalog.use_cases.sales import prune_prices, write_due_prices
from catalog.use_cases.source import copy_source
from catalog.use_cases.sync import describe_copy
from shared.access import EDITOR, PUBLIC, SIGNED_IN, services
from shared.app import ServiceFlask, build_app, mount
from shared.auth_client import reach_auth
from shared.courier import Courier
from shared.database import connect
from shared.service_calls import ServiceTokens
from shared.settings import read_settings
from shared.tokens import Auth
from shared.verdict import verdict_routes

# Users with these roles, and integrators whose token has the scope.
PRODUCT_READERS = replace(SIGNED_IN, name="product readers", scope="products:read")
PRODUCT_WRITERS = replace(EDITOR, name="product writers", scope="products:write")
COPY_INTERVAL = 1.0  # Seconds between two checks whether a copy of the source is due.
RECOUNT_INTERVAL = 1.0  # Seconds between two checks whether products have changed.
FETCH_INTERVAL = 5.0  # Seconds between two checks whether images of other hosts are due.
SWEEP_INTERVAL = 600.0  # Seconds between two searches for unused images.
LAPSE_INTERVAL = 5.0  # Seconds between two checks for overdue reservations.
SALE_INTERVAL = 0.5  # Seconds between two checks for sales that start or end.
CALL_TIMEOUT = (0.5, 2.0)  # Seconds to connect to orders-service and to read; a failed report is repeated.
EVENT_INTERVAL = 3600.0  # Seconds between two searches for old events.
PRUNE_INTERVAL = 6 * 3600.0  # Seconds between two checks for old prices.


def create_app(settings: Settings | None = None, auth: Auth | None = None) -> ServiceFlask:
    """Return the application; read settings and auth from the environment unless the caller passes them."""
    settings = settings or read_settings(Settings)
    database = connect(settings)
    source = create_source(settings)
    app = build_app(
        settings,
        title="Shopfleet catalog",
        database=database,
        auth=auth or reach_auth(settings),
        checks={"source": partial(describe_copy, database, source)},
    )
    app.metrics.ask(partial(read_figures, database, source))
    mount(app, product_routes(database, source, settings.currency), access=PRODUCT_READERS)
    mount(app, category_routes(database, source), access=PRODUCT_READERS)
    mount(app, category_admin_routes(database), access=PRODUCT_WRITERS)
    mount(app, page_routes(database, source, settings.currency, settings.public_url), access=PUBLIC)
    mount(app, verdict_routes(), access=PRODUCT_READERS, recorded=False)
    mount(app, image_routes(database), access=PUBLIC)
    mount(app, admin_routes(database, settings.currency, app.background.nudge), access=PRODUCT_WRITERS)
    mount(app, variant_routes(database, settings.currency), access=PRODUCT_WRITERS)
    mount(app, low_stock_routes(database), access=PRODUCT_WRITERS)
    mount(app, import_routes(database, settings.currency), access=PRODUCT_WRITERS)
    mount(app, sale_routes(database, settings.currency), access=PRODUCT_WRITERS)
    mount(app, metadata_key_routes(database), access=PRODUCT_WRITERS)
    mount(app, reservation_routes(database, source, settings.currency), access=services("orders-service"))
    encoder = Encoder()
    mount(app, upload_routes(database, encoder), access=PRODUCT_WRITERS)
    app.background.repeat(partial(sweep_images, database), every=SWEEP_INTERVAL, name="sweep-images")
    images = ImageClient(settings.catalog_upstream_url)
    fetcher = Fetcher(database, images, encoder, app.background.stopping.is_set)
    app.background.repeat(fetcher.fetch_images, every=FETCH_INTERVAL, name="fetch-images")
    copy = partial(copy_source, database, source, settings.currency)
    app.background.repeat(copy, every=COPY_INTERVAL, name="copy-source")
    lapse = partial(lapse_reservations, database)
    app.background.repeat(lapse, every=LAPSE_INTERVAL, name="lapse-reservations")
    app.background.repeat(partial(recount, database), every=RECOUNT_INTERVAL, name="recount")
    app.background.repeat(partial(write_due_prices, database), every=SALE_INTERVAL, name="write-sale-prices")
    app.background.repeat(partial(prune_prices, database), every=PRUNE_INTERVAL, name="prune-prices")
    app.background.repeat(partial(sweep_events, database), every=EVENT_INTERVAL, name="sweep-events")
    if settings.orders_url is not None:
        secret = settings.client_secret.get_secret_value()
        tokens = ServiceTokens(settings.auth_url, settings.service, secret)
        orders = OrdersClient(settings.orders_url, tokens, timeout=CALL_TIMEOUT)
        Courier(app, database, {EVENT: EventChannel(orders)})
    return app


def create_source(settings: Settings) -> Source:
    """Return the configured upstream, or the bundled sample."""
    if settings.catalog_upstream_url is None:
        return SampleSource(settings.currency)
    token = settings.catalog_upstream_token
    client = UpstreamClient(settings.catalog_upstream_url, token.get_secret_value() if token else None)
    return UpstreamSource(client, settings.currency, settings.catalog_sync_seconds)
