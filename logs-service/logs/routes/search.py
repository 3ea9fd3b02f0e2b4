"""Search the log records."""

from datetime import datetime
from uuid import UUID

from apiflask import APIBlueprint

from logs.domain.search import Position
from logs.errors import RecordNotFound
from logs.schemas import (
    ContextQuery,
    Histogram,
    HistogramQuery,
    LogContext,
    LogPage,
    LogQuery,
    LogRecordOut,
)
from logs.use_cases import log_records
from shared.database import Database
from shared.openapi import document_errors
from shared.pages import bad_cursor, decode_cursor, encode_cursor


def search_routes(database: Database) -> APIBlueprint:
    """Return the routes that search log records."""
    routes = APIBlueprint("search", __name__)

    @routes.get("/logs")
    @routes.input(LogQuery, location="query")
    @routes.output(LogPage)
    def list_log_records(query_data: LogQuery) -> LogPage:
        """Find log records, newest first."""
        page, following = log_records.find_log_records(
            database,
            query_data.to_search(),
            before=_read_cursor(query_data.cursor),
            limit=query_data.limit,
        )
        return LogPage(
            data=[LogRecordOut.of(record) for record in page],
            next=following and encode_cursor([following.time.isoformat(), str(following.id)]),
        )

    @routes.get("/logs/<uuid:record_id>/context")
    @routes.input(ContextQuery, location="query")
    @routes.output(LogContext)
    @routes.doc(responses=document_errors(RecordNotFound))
    def show_context(record_id: UUID, query_data: ContextQuery) -> LogContext:
        """Show a log record with those that its replica, or the whole shop, wrote before and after it.

        These are at most an hour earlier or later.
        """
        found = log_records.find_context(
            database,
            record_id,
            whole_shop=query_data.of == "shop",
            before=query_data.before,
            after=query_data.after,
        )
        return LogContext(data=[LogRecordOut.of(record) for record in found])

    @routes.get("/logs/histogram")
    @routes.input(HistogramQuery, location="query")
    @routes.output(Histogram)
    def show_histogram(query_data: HistogramQuery) -> Histogram:
        """Count log records over time, by level. The default period is the last hour.

        A search by service and level alone counts all records. With any other filter only about the newest
        50 000 matching records are counted, and `complete` is true if these are all.
        """
        return Histogram.of(
            log_records.count_log_records(database, query_data.to_search(), most_bars=query_data.bars)
        )

    return routes


def _read_cursor(cursor: str | None) -> Position | None:
    if cursor is None:
        return None
    try:
        moment, record_id = decode_cursor(cursor)
        position = Position(datetime.fromisoformat(moment), UUID(record_id))
    except (ValueError, TypeError, AttributeError) as error:
        raise bad_cursor() from error
    if position.time.tzinfo is None:
        raise bad_cursor()
    return position
