"""Answers to calls with an Idempotency-Key: a repeated call gets the first call's answer."""

import time
from dataclasses import dataclass
from uuid import UUID

from orders.errors import OrderNotFound
from orders.repository import idempotency_keys, orders
from orders.schemas.answers import render_order
from shared.database import Connection, Database
from shared.idempotency import Answer, IdempotencyInProgress, IdempotencyKeyReused, KeyedCall

POLL_EVERY = 0.05  # Seconds between two polls of an order that another thread works on.


@dataclass(frozen=True)
class Reply:
    """The answer to a call about an order; `is_replayed` if it was already given."""

    order_id: UUID
    answer: Answer
    is_replayed: bool = False


def replay_answer(database: Database, call: KeyedCall) -> Reply:
    """Answer a call whose key is taken; raise IdempotencyKeyReused or IdempotencyInProgress."""
    with database.transaction() as connection:
        known = idempotency_keys.find_idempotency_key(connection, call)
        if known is None:
            # The first call took the key, and its transaction was rolled back since.
            raise IdempotencyInProgress
        if known.fingerprint != call.fingerprint:
            raise IdempotencyKeyReused
        if known.answer is not None:
            return Reply(known.order_id, known.answer, is_replayed=True)
        if not known.is_accepted:
            raise IdempotencyInProgress
        return Reply(known.order_id, _render_accepted(connection, known.order_id))


def await_answer(database: Database, call: KeyedCall, *, patience: float = 0.0) -> Reply:
    """Return the answer that is recorded within `patience` seconds, or else 202."""
    give_up = time.monotonic() + patience
    while True:
        with database.transaction() as connection:
            known = idempotency_keys.find_idempotency_key(connection, call)
            if known is None:
                raise OrderNotFound
            if known.answer is not None:
                return Reply(known.order_id, known.answer)
            if time.monotonic() >= give_up:
                idempotency_keys.mark_accepted(connection, call)
                return Reply(known.order_id, _render_accepted(connection, known.order_id))
        time.sleep(POLL_EVERY)


def _render_accepted(connection: Connection, order_id: UUID) -> Answer:
    order = orders.find_order(connection, order_id)
    if order is None:
        raise OrderNotFound
    return render_order(order, 202)
