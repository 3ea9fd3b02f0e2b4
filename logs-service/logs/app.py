"""logs-service, wired."""

from ctypes import CDLL
from functools import partial

from logs.config import Settings
from logs.domain import Retention
from logs.otlp import PROTOBUF, decode_export
from logs.routes.ingest import ingest_routes
from logs.routes.search import search_routes
from logs.routes.stream import stream_routes
from logs.use_cases.gateway import GatewayFigures, collect_records
from logs.use_cases.records import store_records
from logs.use_cases.retention import RetentionFigures, keep_days, move_old_records
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

# Of glibc (mallopt(3)): the bytes from which a piece of memory is returned as soon as it is free, and how
# many stocks of smaller pieces the threads share. By default each thread keeps up to 64 MiB of an export.
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
RETURNED_FROM, STOCKS = 256 * 1024, 2


def create_app(settings: Settings | None = None, auth: Auth | None = None) -> ServiceFlask:
    """Return the application, with the environment's settings and auth unless they are handed in."""
    settings = settings or read_settings(Settings)
    _return_memory()
    database = connect(settings)
    retention = Retention(
        days=settings.log_retention_days,
        mib=settings.log_retention_mib,
        audit_days=settings.audit_retention_days,
    )

    def store_own(export: bytes) -> int:
        # What this service says of itself needs no way over HTTP.
        sent = decode_export(export, PROTOBUF, "")
        rejected, _why = store_records(database, sent, writer=settings.service, retention=retention)
        return rejected

    app = build_app(
        settings,
        title="Shopfleet logs",
        database=database,
        auth=auth or reach_auth(settings),
        log_sink=store_own,
    )
    # A record of each export would be exported in its turn.
    mount(app, ingest_routes(database, retention), access=WRITERS, recorded=False)
    mount(app, search_routes(database), access=READERS)
    mount(app, stream_routes(database, app.verifier.verify, app.background.stopping), access=READERS)
    figures = RetentionFigures(app.metrics.registry, retention)

    def keep() -> None:
        figures.note(keep_days(database, retention))

    app.background.repeat(keep, every=LOOK_AT_DAYS_EVERY, name="keep-days")
    move = partial(move_old_records, database, retention)
    app.background.repeat(move, every=LOOK_AT_DAYS_EVERY, name="move-old-records")
    if settings.records_from_gateway:
        note = GatewayFigures(app.metrics.registry).note
        collect = partial(
            collect_records, database, settings.records_from_gateway, retention=retention, note=note
        )
        app.background.repeat(collect, every=LOOK_AT_GATEWAY_EVERY, name="collect-records", nudged=False)
    return app


def _return_memory() -> None:
    """Return the memory of a large export to the system once it was read, where the C library is glibc."""
    mallopt = getattr(CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(M_MMAP_THRESHOLD, RETURNED_FROM)
        mallopt(M_ARENA_MAX, STOCKS)
