"""How orders go on: whose turn it is, and each change together with what it adds to the order's story."""

from datetime import timedelta
from functools import cache
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Executable, Text, bindparam, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from orders.domain import Order, Step
from orders.errors import LeaseLost
from orders.repository.orders import LEASE, to_order, with_lines
from orders.tables import order_events, orders

# An order whose turn it is and that nobody works on; steps that only a newer release knows are left to that.
DUE = (
    select(orders.c.id)
    .where(
        orders.c.next_step.is_not(None),
        orders.c.next_step.in_(list(Step)),
        orders.c.next_attempt_at <= func.now(),
        or_(orders.c.lease_until.is_(None), orders.c.lease_until < func.now()),
    )
    .order_by(orders.c.next_attempt_at)
    .limit(1)
    .with_for_update(skip_locked=True)
)
CLAIM = (
    update(orders)
    .where(orders.c.id == DUE.scalar_subquery())
    .values(lease_token=bindparam("lease"), lease_until=func.now() + LEASE)
    .returning(orders)
)
STORY = ["order_id", "to_status", "kind", "from_status", "actor", "detail"]


def claim_due_order(connection: Connection) -> tuple[Order, UUID] | None:
    """Take an order whose turn it is; return it with the lease."""
    lease = uuid4()
    row = connection.execute(CLAIM, {"lease": lease}).first()
    return (with_lines(connection, [row])[0], lease) if row else None


def change_order(
    connection: Connection,
    order: Order,
    kind: str,
    *,
    actor: str,
    detail: str | None = None,
    lease: UUID | None = None,
    **changes: Any,
) -> Order:
    """Change an order and tell of it, in one statement; return it as it is then.

    With a `lease` it must still be for this order, and is renewed; raises LeaseLost if it is not. Without one
    the order was locked before, and a new `lease_token` takes it over. With nothing left to do it is free.
    """
    keeps_lease = changes.get("next_step") is not None
    statement = _make_change(frozenset(changes), keeps_lease=keeps_lease, fenced=lease is not None)
    told = {"kind": kind, "from_status": order.status, "actor": actor, "detail": detail}
    values = {f"new_{name}": value for name, value in changes.items()}
    row = connection.execute(statement, {"order": order.id, "lease": lease, **told, **values}).first()
    if row is None:
        raise LeaseLost
    return to_order(row, order.lines)


def give_lease_back(connection: Connection, order: Order, lease: UUID, *, wait: timedelta) -> None:
    """Let anybody take the order on, after `wait`."""
    connection.execute(
        update(orders)
        .where(orders.c.id == order.id, orders.c.lease_token == lease)
        .values(
            lease_token=None,
            lease_until=None,
            next_attempt_at=func.now() + wait,
            attempts=orders.c.attempts + 1 if wait else orders.c.attempts,
        )
    )


def wake_order(connection: Connection, order_id: UUID) -> bool:
    """Make it the order's turn, if it waits for one; tell whether there is such an order."""
    woken = connection.execute(
        update(orders)
        .where(orders.c.id == order_id)
        .values(next_attempt_at=func.now(), attempts=0)
        .returning(orders.c.id)
    )
    return woken.first() is not None


@cache
def _make_change(columns: frozenset[str], *, keeps_lease: bool, fenced: bool) -> Executable:
    """Return the statement that changes these columns; there are few kinds, and each is made once."""
    lease = {"lease_until": func.now() + LEASE} if keeps_lease else {"lease_token": None, "lease_until": None}
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in columns}
    change = update(orders).where(orders.c.id == bindparam("order"))
    if fenced:
        change = change.where(orders.c.lease_token == bindparam("lease"))
    changed = change.values({"updated_at": func.now(), **lease, **values}).returning(orders).cte("changed")
    told = [bindparam(name, type_=Text) for name in STORY[2:]]
    event = insert(order_events).from_select(STORY, select(changed.c.id, changed.c.status, *told))
    return select(changed).add_cte(event.cte("told"))
