"""The records themselves."""

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
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.exc import IntegrityError

from logs.domain import WARNING, Arrival, LogRecord, Position, Search, Span
from logs.errors import DayMissing
from logs.tables import MOMENT, audit_records, log_records, record_counts, records

BATCH = 1000  # Rows of one INSERT.
BATCH_CHARACTERS = 1024 * 1024  # At which it is full; a connection keeps the memory of its longest statement.
NO_PARTITION = "no partition of relation"

# What readers find: the audit trail among the other records. The planner looks into both by their indexes.
everything = union_all(select(records), select(audit_records)).subquery("everything")
FIELDS = [each for each in everything.c if each.name != "received"]

# The rows of an INSERT come as one parameter, which the server takes apart: a statement of a thousand rows
# with a parameter for each field would cost more to put together than to run.
_ROWS = (
    func.json_to_recordset(cast(bindparam("rows", type_=Text), JSON))
    .table_valued(*(column(each.name, each.type) for each in FIELDS), name="rows")
    .render_derived(with_types=True)
)
_NAMES = [each.name for each in FIELDS]
_ADDED = (
    insert_or(records)
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
    insert_or(audit_records)
    .from_select(_NAMES, select(_ROWS), include_defaults=False)
    .on_conflict_do_nothing()
)


def insert_records(connection: Connection, added: Iterable[LogRecord]) -> None:
    """Add the records and count them, the audit trail in its own table; one that is there is passed over.

    Raises DayMissing if there is no partition for one of their days.
    """
    # In the order of their ids, so that two who bring the same records do not wait for each other.
    rows = sorted(added, key=lambda record: record.id)
    audit = [record for record in rows if record.is_audit]
    others = [record for record in rows if not record.is_audit]
    try:
        for statement, some in ((_INSERT, others), (_INSERT_AUDIT, audit)):
            for batch in _write_batches(some):
                connection.execute(statement, {"rows": batch})
    except IntegrityError as error:
        if NO_PARTITION in str(error.orig):
            raise DayMissing({record.time.date() for record in others}) from error
        raise


def drop_audit_records(connection: Connection, oldest: datetime) -> None:
    """Forget the part of the audit trail that is older than it is kept."""
    connection.execute(delete(audit_records).where(audit_records.c.time < oldest))


def find_records(
    connection: Connection, search: Search, *, before: Position | None, limit: int
) -> list[LogRecord]:
    """Return up to `limit` records that fit, newest first, from after the position on."""
    query = newest_first(select(*FIELDS).where(*fits(search), *is_before(before))).limit(limit)
    return [read_record(row) for row in connection.execute(query)]


def find_record(connection: Connection, record_id: UUID) -> LogRecord | None:
    """Return the record of that id."""
    row = connection.execute(select(*FIELDS).where(everything.c.id == record_id).limit(1)).first()
    return read_record(row) if row else None


def find_neighbours(
    connection: Connection, position: Position, search: Search, *, before: int, after: int
) -> tuple[list[LogRecord], list[LogRecord]]:
    """Return those that fit and stand next to a position, before it and after it, oldest first."""
    around = select(*FIELDS).where(*fits(search))
    earlier = newest_first(around.where(_place() < _literal(position))).limit(before)
    later = (
        around.where(_place() > _literal(position)).order_by(everything.c.time, everything.c.id).limit(after)
    )
    return (
        [read_record(row) for row in connection.execute(earlier)][::-1],
        [read_record(row) for row in connection.execute(later)],
    )


def find_arrivals(
    connection: Connection, search: Search, *, after: Arrival, before: Arrival, limit: int
) -> list[tuple[Arrival, LogRecord]]:
    """Return up to `limit` records that fit and came in between these, in the order in which they came."""
    place = tuple_(everything.c.received, everything.c.id)
    query = (
        select(everything)
        .where(
            *fits(search),
            everything.c.received >= after.transaction,
            everything.c.received < before.transaction,
            place > tuple_(literal(after.transaction, BigInteger), literal(after.id, Uuid)),
        )
        .order_by(everything.c.received, everything.c.id)
        .limit(limit)
    )
    return [(Arrival(row.received, row.id), read_record(row)) for row in connection.execute(query)]


def read_now(connection: Connection) -> Arrival:
    """Return the arrival after which everything is still to come: what is of older transactions is there."""
    oldest_open = cast(cast(func.pg_snapshot_xmin(func.pg_current_snapshot()), Text), BigInteger)
    return Arrival(connection.execute(select(oldest_open)).scalar_one(), UUID(int=0))


def take_old_records(connection: Connection, *, most: int) -> list[LogRecord]:
    """Take records out of the table that older code writes to."""
    some = select(log_records.c.id).limit(most).with_for_update(skip_locked=True)
    taken = delete(log_records).where(log_records.c.id.in_(some)).returning(*log_records.c)
    return [_old_record(row) for row in connection.execute(taken)]


def fits(search: Search) -> list[ColumnElement[bool]]:
    """Return what a record must be like to be found."""
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
            # So that the planner sees that the index of warnings serves.
            conditions.append(everything.c.severity_number >= text(str(WARNING)))
    if search.text is not None:
        conditions.append(words_fit(everything.c.message, search))
    if search.since is not None:
        conditions.append(everything.c.time >= search.since)
    if search.until is not None:
        conditions.append(everything.c.time < search.until)
    return conditions


def words_fit(message: ColumnElement[str], search: Search) -> ColumnElement[bool]:
    """Return that a message has the words that are looked for."""
    return func.words_of(message).bool_op("@@")(func.words_asked(search.text))


def is_before(position: Position | None) -> list[ColumnElement[bool]]:
    """Return that a record stands before that one, if there is one."""
    return [] if position is None else [_place() < _literal(position)]


def newest_first(query: Select[Any], of: FromClause = everything) -> Select[Any]:
    """Return the query in the order in which records are shown."""
    return query.order_by(of.c.time.desc(), of.c.id.desc())


def make_bucket(moment: ColumnElement[datetime], span: Span) -> ColumnElement[datetime]:
    """Return the beginning of the bar that a moment belongs to."""
    step = cast(bindparam(None, span.step), Interval)
    return func.date_bin(step, moment, literal(span.since, MOMENT))


def _place() -> Any:
    return tuple_(everything.c.time, everything.c.id)


def _literal(position: Position) -> Any:
    return tuple_(literal(position.time, MOMENT), literal(position.id, Uuid))


def _write_batches(rows: Iterable[LogRecord]) -> Iterator[str]:
    """Yield the rows of one statement after the other, as JSON."""
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
    # PostgreSQL's text has every character but NUL.
    return json.dumps(_replace_nul(written)) if "\\u0000" in text else text


def _replace_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, list):
        return [_replace_nul(item) for item in value]
    if isinstance(value, dict):
        return {_replace_nul(name): _replace_nul(item) for name, item in value.items()}
    return value


def _old_record(row: Row[Any]) -> LogRecord:
    values = {name: value for name, value in row._mapping.items() if name != "level"}
    values["time"] = values["time"].astimezone(UTC)
    values["observed_time"] = values["observed_time"].astimezone(UTC)
    return LogRecord(**values)


def read_record(row: Row[Any]) -> LogRecord:
    """Return a row as a record."""
    values = {**row._mapping}
    values.pop("received", None)
    values["time"] = values["time"].astimezone(UTC)
    values["observed_time"] = values["observed_time"].astimezone(UTC)
    values["trace_id"] = values["trace_id"] and values["trace_id"].hex
    return LogRecord(**values)
