"""logs-service, wired."""

from functools import partial

from logs.config import Settings
from logs.otlp import PROTOBUF, decode_export
from logs.routes.ingest import ingest_routes
from logs.routes.search import search_routes
from logs.routes.stream import stream_routes
from logs.use_cases.gateway import GatewayFigures, collect_records
from logs.use_cases.records import store_records
from logs.use_cases.retention import keep_days, move_old_records
from shared.access import Access
from shared.app import ServiceFlask, build_app, mount
from shared.auth_client import reach_auth
from shared.database import connect
from shared.settings import read_settings
from shared.tokens import Auth

# Our services, admins, and integrators with the scope.
WRITERS = Access("log writers", roles=frozenset({"service", "admin"}), scope="logs:write")
READERS = Access("log readers", roles=frozenset({"admin"}), scope="logs:read")
LOOK_AT_DAYS_EVERY = 60.0  # Seconds.
LOOK_AT_GATEWAY_EVERY = 1.0


def create_app(settings: Settings | None = None, auth: Auth | None = None) -> ServiceFlask:
    """Return the application, with the environment's settings and auth unless they are handed in."""
    settings = settings or read_settings(Settings)
    database = connect(settings)
    days_kept = settings.log_retention_days

    def store_own(export: bytes) -> int:
        # What this service says of itself needs no way over HTTP.
        sent = decode_export(export, PROTOBUF, "")
        rejected, _why = store_records(database, sent, days_kept=days_kept)
        return rejected

    app = build_app(
        settings,
        title="Shopfleet logs",
        database=database,
        auth=auth or reach_auth(settings),
        log_sink=store_own,
    )
    # A record of each export would be exported in its turn.
    mount(app, ingest_routes(database, days_kept=days_kept), access=WRITERS, recorded=False)
    mount(app, search_routes(database), access=READERS)
    mount(app, stream_routes(database, app.verifier.verify, app.background.stopping), access=READERS)
    keep = partial(keep_days, database, days_kept=days_kept, mib_kept=settings.log_retention_mib)
    app.background.repeat(keep, every=LOOK_AT_DAYS_EVERY, name="keep-days")
    move = partial(move_old_records, database, days_kept=days_kept)
    app.background.repeat(move, every=LOOK_AT_DAYS_EVERY, name="move-old-records")
    if settings.records_from_gateway:
        note = GatewayFigures(app.metrics.registry).note
        collect = partial(
            collect_records, database, settings.records_from_gateway, days_kept=days_kept, note=note
        )
        app.background.repeat(collect, every=LOOK_AT_GATEWAY_EVERY, name="collect-records", nudged=False)
    return app
