"""The application factory of logs-service."""

from ctypes import CDLL
from functools import partial

from logs.config import Settings
from logs.domain.retention import Retention
from logs.otlp import PROTOBUF, decode_export
from logs.routes.ingest import ingest_routes
from logs.routes.search import search_routes
from logs.routes.stream import stream_routes
from logs.use_cases.gateway import GatewayMetrics, collect_log_records
from logs.use_cases.log_records import store_log_records
from logs.use_cases.retention import RetentionMetrics, apply_retention, move_unpartitioned_records
from shared.access import Access
from shared.app import ServiceFlask, build_app, mount
from shared.auth_client import reach_auth
from shared.database import connect
from shared.settings import read_settings
from shared.tokens import Auth

# The shop's own services, admins, and integrators with the scope.
WRITERS = Access("log writers", roles=frozenset({"service", "admin"}), scope="logs:write")
READERS = Access("log readers", roles=frozenset({"admin"}), scope="logs:read")
CHECK_DAYS_EVERY = 60.0  # Seconds.
CHECK_GATEWAY_EVERY = 1.0

# Parameters of glibc's allocator (mallopt(3)): the size in bytes from which a freed block is returned to the
# system, and the number of arenas. By default each thread retains up to 64 MiB after a large export.
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
MMAP_THRESHOLD, ARENAS = 256 * 1024, 2


def create_app(settings: Settings | None = None, auth: Auth | None = None) -> ServiceFlask:
    """Return the application. Settings and auth default to those of the environment."""
    settings = settings or read_settings(Settings)
    _limit_retained_memory()
    database = connect(settings)
    retention = Retention(
        days=settings.log_retention_days,
        mib=settings.log_retention_mib,
        audit_days=settings.audit_retention_days,
    )

    def store_own(export: bytes) -> int:
        # This service stores its own records without an HTTP request.
        sent = decode_export(export, PROTOBUF, "")
        rejected, _why = store_log_records(database, sent, writer=settings.service, retention=retention)
        return rejected

    app = build_app(
        settings,
        title="Shopfleet logs",
        database=database,
        auth=auth or reach_auth(settings),
        log_sink=store_own,
    )
    # Access records of exports would be exported in turn, endlessly.
    mount(app, ingest_routes(database, retention), access=WRITERS, recorded=False)
    mount(app, search_routes(database), access=READERS)
    mount(app, stream_routes(database, app.verifier.verify, app.background.stopping), access=READERS)
    metrics = RetentionMetrics(app.metrics.registry, retention)

    def retain() -> None:
        metrics.count_dropped(apply_retention(database, retention))

    app.background.repeat(retain, every=CHECK_DAYS_EVERY, name="keep-days")
    move = partial(move_unpartitioned_records, database, retention)
    app.background.repeat(move, every=CHECK_DAYS_EVERY, name="move-old-records")
    if settings.records_from_gateway:
        gateway_metrics = GatewayMetrics(app.metrics.registry)
        collect = partial(
            collect_log_records,
            database,
            settings.records_from_gateway,
            retention=retention,
            count=gateway_metrics.count_requests,
        )
        app.background.repeat(collect, every=CHECK_GATEWAY_EVERY, name="collect-records", nudged=False)
    return app


def _limit_retained_memory() -> None:
    """Make glibc return the memory of a large export to the system; do nothing on other C libraries."""
    mallopt = getattr(CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD)
        mallopt(M_ARENA_MAX, ARENAS)
