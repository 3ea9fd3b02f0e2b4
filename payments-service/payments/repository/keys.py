"""Idempotency keys, and the answers that were given under them."""

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

CLAIM = timedelta(seconds=10)


def claim_key(connection: Connection, call: KeyedCall) -> bool | None:
    """Take a key to work on the answer: True for a new one, False for one that was left, None if it is taken.

    Whoever takes the same one at the same moment is waited for.
    """
    claim = {"claimed_until": func.now() + CLAIM}
    was_left = and_(
        keys.c.status.is_(None),
        keys.c.claimed_until <= func.now(),
        keys.c.fingerprint == call.fingerprint,
    )
    row = connection.execute(
        insert(keys)
        .values(**vars(call), **claim)
        .on_conflict_do_update(index_elements=["principal", "route", "key"], set_=claim, where=was_left)
        # PostgreSQL's own sign of a row that was inserted and not updated.
        .returning(literal_column("xmax = 0", Boolean))
    ).first()
    return row[0] if row else None


def copy_keys(connection: Connection, guest: str, customer: str) -> None:
    """Let the calls of a guest be known as the customer's, too, who was that guest."""
    columns = [column.name for column in keys.c if column.name != "principal"]
    copied = select(literal(customer), *(keys.c[name] for name in columns)).where(keys.c.principal == guest)
    copy = insert(keys).from_select(["principal", *columns], copied)
    connection.execute(copy.on_conflict_do_nothing())


def find_key(connection: Connection, call: KeyedCall) -> Row[Any] | None:
    """Return what is known of a call's key."""
    return connection.execute(select(keys).where(_same_key(call))).first()


def store_answer(connection: Connection, call: KeyedCall, answer: Answer) -> None:
    """Keep a call's answer, to be given again."""
    connection.execute(update(keys).where(_same_key(call)).values(vars(answer)))


def give_key_back(connection: Connection, call: KeyedCall) -> None:
    """Let the next call with this key go on at once."""
    connection.execute(update(keys).where(_same_key(call)).values(claimed_until=func.now()))


def forget_keys(connection: Connection, older_than: timedelta) -> int:
    """Delete the keys from before; return how many they were."""
    return connection.execute(delete(keys).where(keys.c.created_at < func.now() - older_than)).rowcount


def _same_key(call: KeyedCall) -> ColumnElement[bool]:
    return and_(keys.c.principal == call.principal, keys.c.route == call.route, keys.c.key == call.key)
