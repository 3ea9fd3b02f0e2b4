"""Idempotency keys: the call that was made under each key, and its answer."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert

from orders.tables import idempotency_keys
from shared.idempotency import Answer, KeyedCall

INSERT = insert(idempotency_keys).on_conflict_do_nothing().returning(idempotency_keys.c.order_id)


@dataclass(frozen=True)
class KnownCall:
    """An earlier call with the same key."""

    fingerprint: str
    order_id: UUID
    is_accepted: bool
    answer: Answer | None


def insert_idempotency_key(connection: Connection, call: KeyedCall, order_id: UUID) -> bool:
    """Take a call's key for an order; return whether it was free.

    Waits for a concurrent transaction that inserts the same key.
    """
    return connection.execute(INSERT, {**vars(call), "order_id": order_id}).first() is not None


def copy_idempotency_keys(connection: Connection, guest: str, customer: str) -> None:
    """Copy a guest's keys to the customer who was that guest."""
    table = idempotency_keys.c
    columns = [column.name for column in table if column.name != "principal"]
    copied = select(literal(customer), *(table[name] for name in columns)).where(table.principal == guest)
    copy = insert(idempotency_keys).from_select(["principal", *columns], copied)
    connection.execute(copy.on_conflict_do_nothing())


def find_idempotency_key(connection: Connection, call: KeyedCall) -> KnownCall | None:
    """Return the earlier call with this call's key."""
    row = connection.execute(select(idempotency_keys).where(_is_key_of(call))).first()
    if row is None:
        return None
    answer = None if row.status is None else Answer(row.status, row.content_type, row.body)
    return KnownCall(row.fingerprint, row.order_id, row.is_accepted, answer)


def mark_accepted(connection: Connection, call: KeyedCall) -> None:
    """Record that the caller got 202."""
    connection.execute(update(idempotency_keys).where(_is_key_of(call)).values(is_accepted=True))


def delete_idempotency_keys(connection: Connection, *, age: timedelta, limit: int) -> int:
    """Delete up to `limit` keys of answered calls that are older than `age`; return how many."""
    table = idempotency_keys.c
    old = (
        select(table.principal, table.route, table.key)
        .where(table.created_at < func.now() - age, table.status.is_not(None))
        .limit(limit)
        .cte("old")
    )
    is_old = and_(table.principal == old.c.principal, table.route == old.c.route, table.key == old.c.key)
    return connection.execute(delete(idempotency_keys).where(is_old)).rowcount


def _is_key_of(call: KeyedCall) -> ColumnElement[bool]:
    table = idempotency_keys.c
    return and_(table.principal == call.principal, table.route == call.route, table.key == call.key)
