"""Every statement that touches orders-service's tables."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Row, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from orders.domain import Answer, Event, Line, Order, Refusal, Status, Step
from orders.errors import LeaseLost
from orders.tables import cart_items, idempotency_keys, order_events, order_lines, orders

LEASE = timedelta(seconds=10)


def insert_order(connection: Connection, order: Order, lease: UUID) -> None:
    """Add an order, with its lines, its first event, and its lease in the hands of whoever places it."""
    row = {**asdict(order), "lease_token": lease, "lease_until": func.now() + LEASE}
    lines = row.pop("lines")
    connection.execute(insert(orders).values(row))
    connection.execute(insert(order_lines), [{**line, "order_id": order.id} for line in lines])
    insert_event(connection, order.id, "placed", to_status=order.status, actor=order.customer)


def insert_event(
    connection: Connection,
    order_id: UUID,
    kind: str,
    *,
    actor: str,
    from_status: str | None = None,
    to_status: str | None = None,
    detail: str | None = None,
) -> None:
    """Append to the order's story."""
    values = {
        "kind": kind,
        "from_status": from_status,
        "to_status": to_status,
        "actor": actor,
        "detail": detail,
    }
    connection.execute(insert(order_events).values(order_id=order_id, **values))


def find_order(connection: Connection, order_id: UUID) -> Order | None:
    """Return the order of that id."""
    row = connection.execute(select(orders).where(orders.c.id == order_id)).first()
    return _with_lines(connection, [row])[0] if row else None


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
    """Return orders newest first: those of one customer, or of all for None."""
    query = select(orders).order_by(orders.c.id.desc()).limit(limit)
    if customer is not None:
        query = query.where(orders.c.customer == customer)
    if status is not None:
        query = query.where(orders.c.status == status)
    if since is not None:
        query = query.where(orders.c.created_at >= since)
    if until is not None:
        query = query.where(orders.c.created_at < until)
    if before is not None:
        query = query.where(orders.c.id < before)
    return _with_lines(connection, connection.execute(query).all())


def read_events(connection: Connection, order_id: UUID) -> list[Event]:
    """Return the order's story in the order in which it happened."""
    columns = [column for column in order_events.c if column.name != "order_id"]
    query = select(*columns).where(order_events.c.order_id == order_id).order_by(order_events.c.id)
    return [Event(**row._mapping) for row in connection.execute(query)]


def claim_due_order(connection: Connection) -> tuple[Order, UUID] | None:
    """Take an order whose turn it is and that nobody works on; return it with the lease."""
    due = (
        select(orders.c.id)
        .where(
            orders.c.next_step.is_not(None),
            orders.c.next_attempt_at <= func.now(),
            or_(orders.c.lease_until.is_(None), orders.c.lease_until < func.now()),
        )
        .order_by(orders.c.next_attempt_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    order_id = connection.execute(due).scalar()
    if order_id is None:
        return None
    lease = uuid4()
    values = {"lease_token": lease, "lease_until": func.now() + LEASE}
    row = connection.execute(
        update(orders).where(orders.c.id == order_id).values(values).returning(orders)
    ).one()
    return _with_lines(connection, [row])[0], lease


def update_leased(connection: Connection, order_id: UUID, lease: UUID, **changes: Any) -> Order:
    """Change an order that this lease is for, and renew the lease; raise LeaseLost if it is not any more."""
    values = {"lease_until": func.now() + LEASE, "updated_at": func.now(), **changes}
    row = connection.execute(
        update(orders)
        .where(orders.c.id == order_id, orders.c.lease_token == lease)
        .values(values)
        .returning(orders)
    ).first()
    if row is None:
        raise LeaseLost
    return _with_lines(connection, [row])[0]


def give_lease_back(connection: Connection, order_id: UUID, lease: UUID, *, wait: timedelta) -> None:
    """Let anybody take the order on, after `wait`."""
    connection.execute(
        update(orders)
        .where(orders.c.id == order_id, orders.c.lease_token == lease)
        .values(
            lease_until=None,
            lease_token=None,
            next_attempt_at=func.now() + wait,
            attempts=orders.c.attempts + 1 if wait else orders.c.attempts,
        )
    )


def update_lines(connection: Connection, order_id: UUID, lines: Iterable[Line]) -> None:
    """Write down what the lines are and cost."""
    for line in lines:
        connection.execute(
            update(order_lines)
            .where(order_lines.c.order_id == order_id, order_lines.c.product_id == line.product_id)
            .values(sku=line.sku, title=line.title, unit_amount=line.unit_amount)
        )


def insert_key(
    connection: Connection, principal: str, route: str, key: str, fingerprint: str, order_id: UUID
) -> bool:
    """Take a key for an order; tell whether it was free. Whoever inserts the same one first is waited for."""
    done = connection.execute(
        insert(idempotency_keys)
        .values(principal=principal, route=route, key=key, fingerprint=fingerprint, order_id=order_id)
        .on_conflict_do_nothing()
        .returning(idempotency_keys.c.order_id)
    )
    return done.first() is not None


def find_key(connection: Connection, principal: str, route: str, key: str) -> Row[Any] | None:
    """Return what is known of a key."""
    return connection.execute(
        select(idempotency_keys).where(
            idempotency_keys.c.principal == principal,
            idempotency_keys.c.route == route,
            idempotency_keys.c.key == key,
        )
    ).first()


def store_answer(connection: Connection, order_id: UUID, answer: Answer) -> None:
    """Keep the answer of the call that placed the order, to be given again."""
    connection.execute(
        update(idempotency_keys).where(idempotency_keys.c.order_id == order_id).values(asdict(answer))
    )


def find_answer(connection: Connection, order_id: UUID) -> Answer | None:
    """Return the answer of the call that placed the order, if it has one."""
    columns = idempotency_keys.c.status, idempotency_keys.c.content_type, idempotency_keys.c.body
    row = connection.execute(select(*columns).where(idempotency_keys.c.order_id == order_id)).first()
    return Answer(**row._mapping) if row and row.status is not None else None


def mark_accepted(connection: Connection, order_id: UUID) -> None:
    """Remember that the caller was told 202."""
    connection.execute(
        update(idempotency_keys).where(idempotency_keys.c.order_id == order_id).values(is_accepted=True)
    )


def read_cart(connection: Connection, owner: str) -> tuple[Line, ...]:
    """Return what is in a cart, in the order in which it was put there."""
    query = (
        select(cart_items.c.product_id, cart_items.c.quantity)
        .where(cart_items.c.owner == owner)
        .order_by(cart_items.c.added_at, cart_items.c.product_id)
    )
    return tuple(Line(row.product_id, row.quantity) for row in connection.execute(query))


def put_cart_item(connection: Connection, owner: str, line: Line) -> None:
    """Set a product's quantity in a cart."""
    values = {"owner": owner, "product_id": line.product_id, "quantity": line.quantity}
    connection.execute(
        insert(cart_items)
        .values(values)
        .on_conflict_do_update(index_elements=["owner", "product_id"], set_={"quantity": line.quantity})
    )


def remove_cart_items(connection: Connection, owner: str, product_ids: Iterable[int]) -> None:
    """Take products out of a cart."""
    ids = list(product_ids)
    connection.execute(
        delete(cart_items).where(cart_items.c.owner == owner, cart_items.c.product_id.in_(ids))
    )


def _with_lines(connection: Connection, rows: Iterable[Row[Any]]) -> list[Order]:
    rows = list(rows)
    query = (
        select(order_lines)
        .where(order_lines.c.order_id.in_([row.id for row in rows]))
        .order_by(order_lines.c.product_id)
    )
    lines: dict[UUID, list[Line]] = {}
    for found in connection.execute(query) if rows else ():
        values = {**found._mapping}
        lines.setdefault(values.pop("order_id"), []).append(Line(**values))
    return [_order(row, tuple(lines.get(row.id, ()))) for row in rows]


def _order(row: Row[Any], lines: tuple[Line, ...]) -> Order:
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
