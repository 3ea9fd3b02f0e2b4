"""What nobody needs any more is thrown away, by one replica at a time."""

import logging
from collections.abc import Callable
from datetime import timedelta

from orders.repository import carts, jobs, keys
from shared.database import Connection, Database

log = logging.getLogger(__name__)

EVERY = timedelta(hours=1)
KEYS_KEPT = timedelta(hours=48)  # An answer is given again for 24 h at least, however late it came.
CARTS_KEPT = timedelta(days=90)
BATCH = 1000  # Rows of one transaction.


def sweep_leftovers(database: Database) -> None:
    """Forget old idempotency keys and guests' carts that nobody has touched for long, once an hour."""
    with database.transaction() as connection:
        if not jobs.take_turn(connection, "sweep", every=EVERY):
            return
    old_keys = _sweep(database, lambda at: keys.delete_old_keys(at, age=KEYS_KEPT, limit=BATCH))
    _sweep(database, lambda at: carts.delete_empty_carts(at, age=CARTS_KEPT, limit=BATCH))
    stale_lines = _sweep(database, lambda at: carts.delete_stale_carts(at, age=CARTS_KEPT, limit=BATCH))
    log.info("Swept %d idempotency keys and %d lines of guests' carts", old_keys, stale_lines)


def _sweep(database: Database, delete_some: Callable[[Connection], int]) -> int:
    total = 0
    while True:
        with database.transaction() as connection:
            count = delete_some(connection)
        total += count
        if count < BATCH:
            return total
