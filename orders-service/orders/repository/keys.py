"""Idempotency keys: what was asked for under each, and what was answered."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert

from orders.tables import idempotency_keys as keys
from shared.idempotency import Answer, KeyedCall

INSERT_KEY = insert(keys).on_conflict_do_nothing().returning(keys.c.order_id)
STORE_ANSWER = update(keys).where(keys.c.order_id == bindparam("order"), keys.c.status.is_(None))


@dataclass(frozen=True)
class KnownCall:
    """A call whose key was seen before."""

    fingerprint: str
    order_id: UUID
    is_accepted: bool
    answer: Answer | None


def insert_key(connection: Connection, call: KeyedCall, order_id: UUID) -> bool:
    """Take a call's key for an order; tell whether it was free.

    Whoever is inserting the same one is waited for.
    """
    return connection.execute(INSERT_KEY, {**vars(call), "order_id": order_id}).first() is not None


def copy_keys(connection: Connection, guest: str, customer: str) -> None:
    """Let the calls of a guest be known as the customer's, too, who was that guest."""
    columns = [column.name for column in keys.c if column.name != "principal"]
    copied = select(literal(customer), *(keys.c[name] for name in columns)).where(keys.c.principal == guest)
    copy = insert(keys).from_select(["principal", *columns], copied)
    connection.execute(copy.on_conflict_do_nothing())


def find_key(connection: Connection, call: KeyedCall) -> KnownCall | None:
    """Return what is known of a call's key."""
    row = connection.execute(select(keys).where(_same_key(call))).first()
    if row is None:
        return None
    answer = None if row.status is None else Answer(row.status, row.content_type, row.body)
    return KnownCall(row.fingerprint, row.order_id, row.is_accepted, answer)


def store_answer(connection: Connection, order_id: UUID, answer: Answer) -> None:
    """Keep the answer of the call that is being worked on, to be given again.

    An order is placed by one call, and refunded by one call at a time, so that at most one has none yet.
    """
    connection.execute(STORE_ANSWER, {"order": order_id, **vars(answer)})


def mark_accepted(connection: Connection, call: KeyedCall) -> None:
    """Remember that the caller was told 202."""
    connection.execute(update(keys).where(_same_key(call)).values(is_accepted=True))


def delete_old_keys(connection: Connection, *, age: timedelta, limit: int) -> int:
    """Forget answered calls that are older than this; return how many there were."""
    old = (
        select(keys.c.principal, keys.c.route, keys.c.key)
        .where(keys.c.created_at < func.now() - age, keys.c.status.is_not(None))
        .limit(limit)
        .cte("old")
    )
    statement = delete(keys).where(
        keys.c.principal == old.c.principal, keys.c.route == old.c.route, keys.c.key == old.c.key
    )
    return connection.execute(statement).rowcount


def _same_key(call: KeyedCall) -> ColumnElement[bool]:
    return and_(keys.c.principal == call.principal, keys.c.route == call.route, keys.c.key == call.key)
