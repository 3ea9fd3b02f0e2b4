"""Delete expired rows, one replica at a time."""

import logging
from collections.abc import Callable
from datetime import timedelta

from orders.repository import carts, idempotency_keys, jobs, links
from shared import outbox
from shared.database import Connection, Database

log = logging.getLogger(__name__)

EVERY = timedelta(hours=1)
KEYS_KEPT = timedelta(hours=48)  # Clients may replay an answer for 24 h, and an answer may be late.
CARTS_KEPT = timedelta(days=90)
BATCH = 1000  # Rows per transaction.


def sweep_leftovers(database: Database) -> None:
    """Delete old idempotency keys, links, messages, empty carts and stale guest carts, once an hour."""
    with database.transaction() as connection:
        if not jobs.take_turn(connection, "sweep", every=EVERY):
            return
    old_keys = _sweep(
        database, lambda at: idempotency_keys.delete_idempotency_keys(at, age=KEYS_KEPT, limit=BATCH)
    )
    _sweep(database, lambda at: carts.delete_empty_carts(at, age=CARTS_KEPT, limit=BATCH))
    stale_lines = _sweep(database, lambda at: carts.delete_stale_carts(at, age=CARTS_KEPT, limit=BATCH))
    _sweep(database, lambda at: links.delete_expired_links(at, BATCH))
    _sweep(database, lambda at: outbox.delete_old_messages(at, BATCH))
    log.info("Deleted %d idempotency keys and %d lines of guest carts", old_keys, stale_lines)


def _sweep(database: Database, delete_some: Callable[[Connection], int]) -> int:
    total = 0
    while True:
        with database.transaction() as connection:
            count = delete_some(connection)
        total += count
        if count < BATCH:
            return total
