"""Idempotency keys, and the answers that were given under them."""

from dataclasses import asdict
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
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from payments.domain import Answer
from payments.tables import idempotency_keys

CLAIM = timedelta(seconds=10)


def claim_key(connection: Connection, principal: str, route: str, key: str, fingerprint: str) -> bool | None:
    """Take a key to work on its answer: True for a new one, False for one that was left, None if it is taken.

    Whoever takes the same one at the same moment is waited for.
    """
    values = {
        "principal": principal,
        "route": route,
        "key": key,
        "fingerprint": fingerprint,
        "claimed_until": func.now() + CLAIM,
    }
    was_left = and_(
        idempotency_keys.c.status.is_(None),
        idempotency_keys.c.claimed_until <= func.now(),
        idempotency_keys.c.fingerprint == fingerprint,
    )
    row = connection.execute(
        insert(idempotency_keys)
        .values(values)
        .on_conflict_do_update(
            index_elements=["principal", "route", "key"],
            set_={"claimed_until": values["claimed_until"]},
            where=was_left,
        )
        # PostgreSQL's own sign of a row that was inserted and not updated.
        .returning(literal_column("xmax = 0", Boolean))
    ).first()
    return row[0] if row else None


def find_key(connection: Connection, principal: str, route: str, key: str) -> Row[Any] | None:
    """Return what is known of a key."""
    return connection.execute(select(idempotency_keys).where(_is(principal, route, key))).first()


def store_answer(connection: Connection, principal: str, route: str, key: str, answer: Answer) -> None:
    """Keep the answer, to be given again."""
    connection.execute(update(idempotency_keys).where(_is(principal, route, key)).values(asdict(answer)))


def give_key_back(connection: Connection, principal: str, route: str, key: str) -> None:
    """Let the next call with this key go on at once."""
    connection.execute(
        update(idempotency_keys).where(_is(principal, route, key)).values(claimed_until=func.now())
    )


def forget_keys(connection: Connection, older_than: timedelta) -> int:
    """Delete the keys from before; return how many they were."""
    return connection.execute(
        delete(idempotency_keys).where(idempotency_keys.c.created_at < func.now() - older_than)
    ).rowcount


def _is(principal: str, route: str, key: str) -> ColumnElement[bool]:
    keys = idempotency_keys.c
    return and_(keys.principal == principal, keys.route == route, keys.key == key)
