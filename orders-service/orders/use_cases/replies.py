"""Answers of calls with an Idempotency-Key: whoever repeats such a call gets the same one again."""

import time
from dataclasses import dataclass
from uuid import UUID

from orders.errors import OrderNotFound
from orders.repository import keys, orders
from orders.schemas.orders import render_order
from shared.database import Connection, Database
from shared.idempotency import Answer, IdempotencyInProgress, IdempotencyKeyReused, KeyedCall

GLANCE = 0.05  # Seconds between two looks at what another thread is at.


@dataclass(frozen=True)
class Reply:
    """The answer to a call about an order, and whether it was given before."""

    order_id: UUID
    answer: Answer
    is_replayed: bool = False


def answer_again(database: Database, call: KeyedCall) -> Reply:
    """Answer a call whose key was taken before; raise IdempotencyKeyReused or IdempotencyInProgress."""
    with database.transaction() as connection:
        known = keys.find_key(connection, call)
        if known is None:
            # The first call, which had taken the key, was refused just now.
            raise IdempotencyInProgress
        if known.fingerprint != call.fingerprint:
            raise IdempotencyKeyReused
        if known.answer is not None:
            return Reply(known.order_id, known.answer, is_replayed=True)
        if not known.is_accepted:
            raise IdempotencyInProgress
        return Reply(known.order_id, _render_accepted(connection, known.order_id))


def answer_first(database: Database, call: KeyedCall, *, patience: float = 0.0) -> Reply:
    """Answer a call that was worked on: as was recorded within `patience` seconds, or with 202."""
    give_up = time.monotonic() + patience
    while True:
        with database.transaction() as connection:
            known = keys.find_key(connection, call)
            if known is None:
                raise OrderNotFound
            if known.answer is not None:
                return Reply(known.order_id, known.answer)
            if time.monotonic() >= give_up:
                keys.mark_accepted(connection, call)
                return Reply(known.order_id, _render_accepted(connection, known.order_id))
        time.sleep(GLANCE)


def _render_accepted(connection: Connection, order_id: UUID) -> Answer:
    order = orders.find_order(connection, order_id)
    if order is None:
        raise OrderNotFound
    return render_order(order, 202)
