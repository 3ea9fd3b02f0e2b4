"""Insert, find and delete log records."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Interval,
    Row,
    Select,
    Text,
    Uuid,
    bindparam,
    cast,
    column,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.exc import IntegrityError

from logs.domain.histogram import Span
from logs.domain.log_records import LogRecord
from logs.domain.search import Arrival, Position, Search
from logs.domain.severity import WARNING
from logs.errors import DayMissing
from logs.tables import MOMENT, audit_records, record_counts, records, unpartitioned_records

BATCH = 1000  # Rows of one INSERT.
BATCH_CHARACTERS = 1024 * 1024  # Of one INSERT; a connection retains the memory of its longest statement.
NO_PARTITION = "no partition of relation"

# What searches see: the audit trail together with the other records. The planner uses the indexes of both.
everything = union_all(select(records), select(audit_records)).subquery("everything")
FIELDS = [each for each in everything.c if each.name != "received"]

# The rows of an INSERT are one JSON parameter, which the server expands. With a parameter for each field, a
# statement of a thousand rows would take longer to build than to run.
_ROWS = (
    func.json_to_recordset(cast(bindparam("rows", type_=Text), JSON))
    .table_valued(*(column(each.name, each.type) for each in FIELDS), name="rows")
    .render_derived(with_types=True)
)
_NAMES = [each.name for each in FIELDS]
_ADDED = (
    pg_insert(records)
    .from_select(_NAMES, select(_ROWS), include_defaults=False)
    .on_conflict_do_nothing()
    .returning(
        func.date_trunc("minute", records.c.time, "UTC").label("minute"),
        records.c.service,
        records.c.severity_number,
    )
    .cte("added")
)
_INSERT = insert(record_counts).from_select(
    ["minute", "service", "severity_number", "count"],
    select(_ADDED.c.minute, _ADDED.c.service, _ADDED.c.severity_number, func.count()).group_by(
        _ADDED.c.minute, _ADDED.c.service, _ADDED.c.severity_number
    ),
)
_INSERT_AUDIT = (
    pg_insert(audit_records)
    .from_select(_NAMES, select(_ROWS), include_defaults=False)
    .on_conflict_do_nothing()
)


def insert_log_records(connection: Connection, added: Iterable[LogRecord]) -> None:
    """Insert and count records, the audit trail into its own table; skip those already stored.

    Raises DayMissing if one of their days has no partition.
    """
    # Sort by id, so that two transactions with the same records do not deadlock.
    rows = sorted(added, key=lambda record: record.id)
    audit = [record for record in rows if record.is_audit]
    others = [record for record in rows if not record.is_audit]
    try:
        for statement, inserted in ((_INSERT, others), (_INSERT_AUDIT, audit)):
            for batch in _write_batches(inserted):
                connection.execute(statement, {"rows": batch})
    except IntegrityError as error:
        if NO_PARTITION in str(error.orig):
            raise DayMissing({record.time.date() for record in others}) from error
        raise


def delete_old_audit_records(connection: Connection, oldest: datetime) -> None:
    """Delete the records of the audit trail that are older than this time."""
    connection.execute(delete(audit_records).where(audit_records.c.time < oldest))


def find_log_records(
    connection: Connection, search: Search, *, before: Position | None, limit: int
) -> list[LogRecord]:
    """Return up to `limit` matching records before the position, newest first."""
    query = newest_first(select(*FIELDS).where(*matches(search), *is_before(before))).limit(limit)
    return [to_log_record(row) for row in connection.execute(query)]


def find_log_record(connection: Connection, record_id: UUID) -> LogRecord | None:
    """Return the record with this id, or None."""
    row = connection.execute(select(*FIELDS).where(everything.c.id == record_id).limit(1)).first()
    return to_log_record(row) if row else None


def find_neighbours(
    connection: Connection, position: Position, search: Search, *, before: int, after: int
) -> tuple[list[LogRecord], list[LogRecord]]:
    """Return the matching records nearest to a position, before it and after it, oldest first."""
    around = select(*FIELDS).where(*matches(search))
    earlier = newest_first(around.where(_position() < _literal(position))).limit(before)
    later = (
        around.where(_position() > _literal(position))
        .order_by(everything.c.time, everything.c.id)
        .limit(after)
    )
    return (
        [to_log_record(row) for row in connection.execute(earlier)][::-1],
        [to_log_record(row) for row in connection.execute(later)],
    )


def find_arrivals(
    connection: Connection, search: Search, *, after: Arrival, before: Arrival, limit: int
) -> list[tuple[Arrival, LogRecord]]:
    """Return up to `limit` matching records that arrived between these, in order of arrival."""
    place = tuple_(everything.c.received, everything.c.id)
    query = (
        select(everything)
        .where(
            *matches(search),
            everything.c.received >= after.transaction,
            everything.c.received < before.transaction,
            place > tuple_(literal(after.transaction, BigInteger), literal(after.id, Uuid)),
        )
        .order_by(everything.c.received, everything.c.id)
        .limit(limit)
    )
    return [(Arrival(row.received, row.id), to_log_record(row)) for row in connection.execute(query)]


def read_current_arrival(connection: Connection) -> Arrival:
    """Return the current end of the order of arrival: all older transactions have ended."""
    oldest_open = cast(cast(func.pg_snapshot_xmin(func.pg_current_snapshot()), Text), BigInteger)
    return Arrival(connection.execute(select(oldest_open)).scalar_one(), UUID(int=0))


def take_unpartitioned_records(connection: Connection, *, most: int) -> list[LogRecord]:
    """Delete up to `most` records from the table of older releases, and return them."""
    table = unpartitioned_records
    ids = select(table.c.id).limit(most).with_for_update(skip_locked=True)
    taken = delete(table).where(table.c.id.in_(ids)).returning(*table.c)
    return [to_log_record(row) for row in connection.execute(taken)]


def matches(search: Search) -> list[ColumnElement[bool]]:
    """Return the conditions of a search."""
    conditions = [
        everything.c[name] == wanted
        for name in ("service", "instance", "request_id", "order_id")
        if (wanted := getattr(search, name)) is not None
    ]
    if search.trace_id is not None:
        conditions.append(everything.c.trace_id == UUID(search.trace_id))
    if search.severity_number is not None:
        conditions.append(everything.c.severity_number >= search.severity_number)
        if search.severity_number >= WARNING:
            # A literal lets the planner see that the index of warnings applies.
            conditions.append(everything.c.severity_number >= text(str(WARNING)))
    if search.text is not None:
        conditions.append(matches_words(everything.c.message, search))
    if search.since is not None:
        conditions.append(everything.c.time >= search.since)
    if search.until is not None:
        conditions.append(everything.c.time < search.until)
    return conditions


def matches_words(message: ColumnElement[str], search: Search) -> ColumnElement[bool]:
    """Return the condition that a message has the words of a search."""
    return func.words_of(message).bool_op("@@")(func.words_asked(search.text))


def is_before(position: Position | None) -> list[ColumnElement[bool]]:
    """Return the condition that a record is before the position, or none without a position."""
    return [] if position is None else [_position() < _literal(position)]


def newest_first(query: Select[Any], of: FromClause = everything) -> Select[Any]:
    """Sort a query from the newest record to the oldest."""
    return query.order_by(of.c.time.desc(), of.c.id.desc())


def make_bucket(moment: ColumnElement[datetime], span: Span) -> ColumnElement[datetime]:
    """Return the start of the bar to which a moment belongs."""
    step = cast(bindparam(None, span.step), Interval)
    return func.date_bin(step, moment, literal(span.since, MOMENT))


def _position() -> Any:
    return tuple_(everything.c.time, everything.c.id)


def _literal(position: Position) -> Any:
    return tuple_(literal(position.time, MOMENT), literal(position.id, Uuid))


def _write_batches(rows: Iterable[LogRecord]) -> Iterator[str]:
    """Yield the rows of each INSERT as JSON."""
    batch: list[str] = []
    size = 0
    for record in rows:
        row = _write_row(record)
        if batch and (len(batch) == BATCH or size + len(row) > BATCH_CHARACTERS):
            yield f"[{','.join(batch)}]"
            batch, size = [], 0
        batch.append(row)
        size += len(row)
    if batch:
        yield f"[{','.join(batch)}]"


def _write_row(record: LogRecord) -> str:
    written = {
        "time": record.time.isoformat(),
        "id": str(record.id),
        "observed_time": record.observed_time.isoformat(),
        "service": record.service,
        "instance": record.instance,
        "severity_number": record.severity_number,
        "message": record.message,
        "trace_id": record.trace_id,
        "span_id": record.span_id,
        "request_id": record.request_id,
        "order_id": record.order_id and str(record.order_id),
        "attributes": record.attributes,
    }
    text = json.dumps(written)
    # PostgreSQL's text type allows every character except NUL.
    return json.dumps(_replace_nul(written)) if "\\u0000" in text else text


def _replace_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, list):
        return [_replace_nul(item) for item in value]
    if isinstance(value, dict):
        return {_replace_nul(name): _replace_nul(item) for name, item in value.items()}
    return value


def to_log_record(row: Row[Any]) -> LogRecord:
    """Return a row as a record."""
    values = {name: value for name, value in row._mapping.items() if name not in {"received", "level"}}
    values["time"] = values["time"].astimezone(UTC)
    values["observed_time"] = values["observed_time"].astimezone(UTC)
    if isinstance(values["trace_id"], UUID):
        values["trace_id"] = values["trace_id"].hex
    return LogRecord(**values)
