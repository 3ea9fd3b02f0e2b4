"""Idempotency keys and the responses stored under them."""

from datetime import timedelta
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    Row,
    and_,
    delete,
    func,
    literal,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from payments.tables import idempotency_keys as keys
from shared.idempotency import Answer, KeyedCall

CLAIM_TIMEOUT = timedelta(seconds=10)


def claim_idempotency_key(connection: Connection, call: KeyedCall) -> bool | None:
    """Claim the key of a call.

    Returns True for a new key, False for a key whose claim expired without a response, and None if the key is
    claimed or answered. A concurrent claim of the same key is waited for.
    """
    claim = {"claimed_until": func.now() + CLAIM_TIMEOUT}
    is_expired = and_(
        keys.c.status.is_(None),
        keys.c.claimed_until <= func.now(),
        keys.c.fingerprint == call.fingerprint,
    )
    row = connection.execute(
        insert(keys)
        .values(**vars(call), **claim)
        .on_conflict_do_update(index_elements=["principal", "route", "key"], set_=claim, where=is_expired)
        # xmax is 0 for a row that was inserted, not updated.
        .returning(literal_column("xmax = 0", Boolean))
    ).first()
    return row[0] if row else None


def copy_idempotency_keys(connection: Connection, guest: str, customer: str) -> None:
    """Copy a guest's keys to the customer, so that a call that the guest sent can be retried after login."""
    columns = [column.name for column in keys.c if column.name != "principal"]
    copied = select(literal(customer), *(keys.c[name] for name in columns)).where(keys.c.principal == guest)
    copy = insert(keys).from_select(["principal", *columns], copied)
    connection.execute(copy.on_conflict_do_nothing())


def find_idempotency_key(connection: Connection, call: KeyedCall) -> Row[Any] | None:
    """Return the stored row of a call's key, or None."""
    return connection.execute(select(keys).where(_same_key(call))).first()


def store_answer(connection: Connection, call: KeyedCall, answer: Answer) -> None:
    """Store the response to a call, for its retries."""
    connection.execute(update(keys).where(_same_key(call)).values(vars(answer)))


def release_idempotency_key(connection: Connection, call: KeyedCall) -> None:
    """End the claim of a key, so that a retry can proceed immediately."""
    connection.execute(update(keys).where(_same_key(call)).values(claimed_until=func.now()))


def delete_idempotency_keys(connection: Connection, older_than: timedelta) -> int:
    """Delete the keys older than this; return their number."""
    return connection.execute(delete(keys).where(keys.c.created_at < func.now() - older_than)).rowcount


def _same_key(call: KeyedCall) -> ColumnElement[bool]:
    return and_(keys.c.principal == call.principal, keys.c.route == call.route, keys.c.key == call.key)
