"""Spans of requests, calls and statements, sent as OTLP to OTEL_EXPORTER_OTLP_ENDPOINT.

Ids come from `shared.context`, which always propagates W3C trace contexts. The SDK queues, batches and sends
the spans. Without the setting, the SDK is not imported and a hook costs one comparison.
"""

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sqlalchemy import Engine, event

from shared import context, otlp
from shared.context import Trace
from shared.settings import ServiceSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

FLUSH = 1.5  # Seconds to send the remaining spans at shutdown.
LONGEST_STATEMENT = 4000  # Characters.
SCOPE = "shopfleet"


class Tracer:
    """Makes spans and passes them to the SDK."""

    def __init__(self, settings: ServiceSettings, endpoint: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        # The exporter would log an error for each failed export while the collector is down.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._resource = Resource.create({**otlp.describe_resource(settings)})
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        self.processor: SpanProcessor = BatchSpanProcessor(exporter)

    def record(
        self,
        name: str,
        kind: str,
        trace: Trace,
        began: int,
        attributes: Mapping[str, Any],
        *,
        failed: bool,
        links: Iterable[Trace] = (),
    ) -> None:
        """Record a span that ends now; `began` is nanoseconds since 1970, `kind` names a SpanKind."""
        from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415
        from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags  # noqa: PLC0415
        from opentelemetry.trace.status import Status, StatusCode  # noqa: PLC0415

        def place(span_id: str, trace_id: str = trace.trace_id) -> SpanContext:
            flags = TraceFlags(TraceFlags.SAMPLED)
            return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=flags)

        span = ReadableSpan(
            name,
            context=place(trace.span_id),
            parent=place(trace.parent_id) if trace.parent_id else None,
            resource=self._resource,
            attributes={key: value for key, value in attributes.items() if value is not None},
            links=[Link(place(other.parent_id, other.trace_id)) for other in links if other.parent_id],
            kind=SpanKind[kind],
            status=Status(StatusCode.ERROR if failed else StatusCode.UNSET),
            start_time=began,
            end_time=time.time_ns(),
            instrumentation_scope=InstrumentationScope(SCOPE),
        )
        self.processor.on_end(span)


_tracer: Tracer | None = None


def start_traces(settings: ServiceSettings, engine: Engine) -> None:
    """Start to send spans, including those of `engine`'s statements, if the settings have an endpoint."""
    global _tracer  # noqa: PLW0603  # One for the process, as with logging.
    if settings.otel_exporter_otlp_endpoint:
        _tracer = Tracer(settings, settings.otel_exporter_otlp_endpoint)
        _watch(engine)


def stop_traces() -> None:
    """Send the remaining spans for up to 1.5 seconds, then stop."""
    global _tracer
    tracer, _tracer = _tracer, None
    if tracer:
        # If the collector is down, the SDK would wait longer than a service may take to stop.
        flush = threading.Thread(target=tracer.processor.shutdown, name="flush-traces", daemon=True)
        flush.start()
        flush.join(FLUSH)


def record_request(name: str, began: int, attributes: Mapping[str, Any]) -> None:
    """Record the span of the current request, with the ids of its context."""
    work = context.current()
    if _tracer and work and work.trace.is_sampled:
        status = attributes["http.response.status_code"]
        more = {"request.id": work.request_id, **work.attributes}
        _tracer.record(name, "SERVER", work.trace, began, {**attributes, **more}, failed=status >= 500)


@contextmanager
def resumed_work(name: str, links: Iterable[Trace] = ()) -> Iterator[None]:
    """Record a span of background work, in the trace of the request that caused it.

    Work for several requests has `links` to their traces (OpenTelemetry, conventions for batches).
    """
    work, began = context.current(), time.time_ns()
    failed = True
    try:
        yield
        failed = False
    finally:
        if _tracer and work and work.trace.is_sampled:
            now = context.current() or work
            more = {"request.id": work.request_id, **now.attributes}
            _tracer.record(name, "CONSUMER", work.trace, began, more, failed=failed, links=links)


@contextmanager
def call(method: str, url: str) -> Iterator[dict[str, Any]]:
    """Record a span of a call to another server, as a child of the current span.

    The caller may add attributes to the yielded dict. During the call this is the current span, so that the
    server's span becomes its child.
    """
    tracer, work = _tracer, context.current()
    noted: dict[str, Any] = {}
    if tracer is None or work is None or not work.trace.is_sampled:
        yield noted
        return
    began, trace = time.time_ns(), work.trace.begin_child()
    context.enter(replace(work, trace=trace))
    try:
        yield noted
    except Exception as error:
        noted["error.type"] = error.__class__.__qualname__
        raise
    finally:
        context.enter(work)
        parts = urlsplit(url)
        about = {
            "http.request.method": method,
            "server.address": parts.hostname,
            "server.port": parts.port,
            # Without the query, as in log records.
            "url.full": parts._replace(query="", fragment="").geturl(),
        }
        failed = "error.type" in noted or noted.get("http.response.status_code", 0) >= 400
        tracer.record(method, "CLIENT", trace, began, {**about, **noted}, failed=failed)


def _watch(engine: Engine) -> None:
    """Record a span of each statement that has a context, without the statement's values."""

    @event.listens_for(engine, "before_cursor_execute")
    def begin(_connection: Any, _cursor: Any, _sql: str, _values: Any, execution: Any, _many: bool) -> None:
        execution.span_began = time.time_ns()

    @event.listens_for(engine, "after_cursor_execute")
    def end(_connection: Any, _cursor: Any, sql: str, _values: Any, execution: Any, _many: bool) -> None:
        _record_statement(engine, sql, execution.span_began, None)

    @event.listens_for(engine, "handle_error")
    def fail(failure: Any) -> None:
        began = getattr(failure.execution_context, "span_began", None)
        if began is not None:
            error = failure.original_exception.__class__.__qualname__
            _record_statement(engine, failure.statement or "", began, error)


def _record_statement(engine: Engine, sql: str, began: int, error: str | None) -> None:
    work = context.current()
    if _tracer is None or work is None or not work.trace.is_sampled:
        return
    operation = sql.split(maxsplit=1)[0].upper() if sql.strip() else "SQL"
    about = {
        "db.system.name": "postgresql",
        "db.namespace": engine.url.database,
        "db.operation.name": operation,
        "db.query.text": sql[:LONGEST_STATEMENT],
        "error.type": error,
    }
    _tracer.record(operation, "CLIENT", work.trace.begin_child(), began, about, failed=error is not None)
