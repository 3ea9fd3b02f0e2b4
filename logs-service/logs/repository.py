"""The table, and every statement that touches it."""

import json
from collections.abc import Sequence
from datetime import UTC
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Index,
    MetaData,
    Row,
    SmallInteger,
    Table,
    Text,
    Uuid,
    bindparam,
    cast,
    column,
    func,
    literal,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB, insert

from logs.domain import LogRecord, Position, Search

BATCH = 1000  # Rows of one INSERT.

metadata = MetaData()

log_records = Table(
    "log_records",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("time", DateTime(timezone=True), nullable=False),
    Column("observed_time", DateTime(timezone=True), nullable=False),
    Column("service", Text, nullable=False),
    Column("instance", Text),
    Column("level", Text, nullable=False),
    Column("severity_number", SmallInteger, nullable=False),
    Column("message", Text, nullable=False),
    Column("trace_id", Text),
    Column("span_id", Text),
    Column("request_id", Text),
    Column("order_id", Uuid),
    Column("attributes", JSONB, nullable=False),
)
Index("log_records_time", log_records.c.time, log_records.c.id)
Index("log_records_service", log_records.c.service, log_records.c.time, log_records.c.id)
Index("log_records_trace", log_records.c.trace_id, postgresql_where=log_records.c.trace_id.is_not(None))
Index("log_records_request", log_records.c.request_id, postgresql_where=log_records.c.request_id.is_not(None))
Index("log_records_order", log_records.c.order_id, postgresql_where=log_records.c.order_id.is_not(None))

# The rows of an INSERT come as one parameter, which the server takes apart: a statement of a thousand rows
# with a parameter for each field would cost more to put together than to run.
_ROWS = (
    func.json_to_recordset(cast(bindparam("rows", type_=Text), JSON))
    .table_valued(*(column(each.name, each.type) for each in log_records.c), name="rows")
    .render_derived(with_types=True)
)
_INSERT = (
    insert(log_records)
    .from_select([each.name for each in log_records.c], select(_ROWS))
    .on_conflict_do_nothing(index_elements=["id"])
)


def insert_records(connection: Connection, records: Sequence[LogRecord]) -> None:
    """Add the records; one whose id is there already is passed over."""
    for start in range(0, len(records), BATCH):
        connection.execute(_INSERT, {"rows": _write_rows(records[start : start + BATCH])})


def find_records(
    connection: Connection, search: Search, *, before: Position | None, limit: int
) -> list[LogRecord]:
    """Return up to `limit` records that fit, newest first, from after the position on."""
    query = select(log_records).order_by(log_records.c.time.desc(), log_records.c.id.desc()).limit(limit)
    for name in ("service", "trace_id", "request_id", "order_id"):
        wanted = getattr(search, name)
        if wanted is not None:
            query = query.where(log_records.c[name] == wanted)
    if search.severity_number is not None:
        query = query.where(log_records.c.severity_number >= search.severity_number)
    if search.text is not None:
        query = query.where(log_records.c.message.icontains(search.text, autoescape=True))
    if search.since is not None:
        query = query.where(log_records.c.time >= search.since)
    if search.until is not None:
        query = query.where(log_records.c.time < search.until)
    if before is not None:
        position = tuple_(literal(before.time, DateTime(timezone=True)), literal(before.id, Uuid))
        query = query.where(tuple_(log_records.c.time, log_records.c.id) < position)
    return [_record(row) for row in connection.execute(query)]


def _write_rows(records: Sequence[LogRecord]) -> str:
    rows = [
        {
            **vars(record),
            "id": str(record.id),
            "time": record.time.isoformat(),
            "observed_time": record.observed_time.isoformat(),
            "order_id": record.order_id and str(record.order_id),
        }
        for record in records
    ]
    written = json.dumps(rows)
    # PostgreSQL's text has every character but NUL.
    return json.dumps(_replace_nul(rows)) if "\\u0000" in written else written


def _replace_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, list):
        return [_replace_nul(item) for item in value]
    if isinstance(value, dict):
        return {_replace_nul(name): _replace_nul(item) for name, item in value.items()}
    return value


def _record(row: Row[Any]) -> LogRecord:
    values = {**row._mapping}
    values["time"] = values["time"].astimezone(UTC)
    values["observed_time"] = values["observed_time"].astimezone(UTC)
    return LogRecord(**values)
