"""Orders with their lines and events: written when they are placed, found, and listed."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Executable, Row, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert

from orders.domain import Event, Line, Order, Refusal, Status, Step
from orders.tables import order_events, order_lines, orders
from shared.ids import first_id

LEASE = timedelta(seconds=10)
# Replicas need not agree on the time to the minute.
SKEW = timedelta(minutes=1)

# What is run for every order is made once: to make a statement takes longer than to send it.
FIND_ORDER = select(orders).where(orders.c.id == bindparam("id"))
LOCK_ORDER = FIND_ORDER.with_for_update()
INSERT_ORDER = insert(orders).values(lease_until=func.now() + LEASE)
INSERT_LINES = insert(order_lines)
INSERT_EVENT = insert(order_events)
UPDATE_LINE = (
    update(order_lines)
    .where(order_lines.c.order_id == bindparam("order"), order_lines.c.product_id == bindparam("product"))
    .values({name: bindparam(f"new_{name}") for name in ("sku", "title", "unit_amount")})
)
FIND_LINES = (
    select(order_lines)
    .where(order_lines.c.order_id.in_(bindparam("ids", expanding=True)))
    .order_by(order_lines.c.product_id)
)


def insert_order(connection: Connection, order: Order, lease: UUID) -> None:
    """Add an order, with its lines, its first event, and its lease in the hands of whoever places it."""
    row = {**vars(order), "lease_token": lease}
    lines = row.pop("lines")
    event = {"kind": "placed", "to_status": order.status, "actor": order.customer}
    connection.execute(INSERT_ORDER, row)
    connection.execute(INSERT_LINES, [{**vars(line), "order_id": order.id} for line in lines])
    connection.execute(INSERT_EVENT, {"order_id": order.id, **event})


def update_lines(connection: Connection, order_id: UUID, lines: Iterable[Line]) -> None:
    """Write down what the lines are and cost."""
    connection.execute(
        UPDATE_LINE,
        [
            {
                "order": order_id,
                "product": line.product_id,
                "new_sku": line.sku,
                "new_title": line.title,
                "new_unit_amount": line.unit_amount,
            }
            for line in lines
        ],
    )


def find_order(connection: Connection, order_id: UUID) -> Order | None:
    """Return the order of that id."""
    return _find_one(connection, FIND_ORDER, order_id)


def lock_order(connection: Connection, order_id: UUID) -> Order | None:
    """Return the order of that id, which nobody else can change before the transaction ends."""
    return _find_one(connection, LOCK_ORDER, order_id)


def read_page(
    connection: Connection,
    *,
    customer: str | None,
    status: Status | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: UUID | None = None,
    limit: int,
) -> list[Order]:
    """Return orders newest first: those of one customer, or of all for None.

    An id begins with the time at which it was made, so that the index on ids finds times, too.
    """
    query = select(orders).order_by(orders.c.id.desc()).limit(limit)
    if customer is not None:
        query = query.where(orders.c.customer == customer)
    if status is not None:
        query = query.where(orders.c.status == status)
    if since is not None:
        query = query.where(orders.c.created_at >= since, orders.c.id >= first_id(since, -SKEW))
    if until is not None:
        query = query.where(orders.c.created_at < until, orders.c.id < first_id(until, SKEW))
    if before is not None:
        query = query.where(orders.c.id < before)
    return with_lines(connection, connection.execute(query).all())


def read_events(connection: Connection, order_id: UUID) -> list[Event]:
    """Return the order's story in the order in which it happened."""
    columns = [column for column in order_events.c if column.name != "order_id"]
    query = select(*columns).where(order_events.c.order_id == order_id).order_by(order_events.c.id)
    return [Event(**row._mapping) for row in connection.execute(query)]


def with_lines(connection: Connection, rows: Iterable[Row[Any]]) -> list[Order]:
    """Return orders with their lines, of their rows."""
    rows = list(rows)
    lines: dict[UUID, list[Line]] = {}
    for found in connection.execute(FIND_LINES, {"ids": [row.id for row in rows]}) if rows else ():
        values = {**found._mapping}
        lines.setdefault(values.pop("order_id"), []).append(Line(**values))
    return [to_order(row, tuple(lines.get(row.id, ()))) for row in rows]


def to_order(row: Row[Any], lines: tuple[Line, ...]) -> Order:
    """Return an order of its row and its lines."""
    values = {**row._mapping}
    for ours in ("lease_token", "lease_until", "next_attempt_at"):
        del values[ours]
    refusal = values.pop("refusal")
    return Order(
        **{
            **values,
            "status": Status(values["status"]),
            "next_step": Step(values["next_step"]) if values["next_step"] else None,
            "refusal": Refusal(**refusal) if refusal else None,
            "lines": lines,
        }
    )


def _find_one(connection: Connection, statement: Executable, order_id: UUID) -> Order | None:
    row = connection.execute(statement, {"id": order_id}).first()
    return with_lines(connection, [row])[0] if row else None
