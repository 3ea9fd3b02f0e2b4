"""Delete expired rows; any number of replicas may do this at the same time."""

from auth.repository.signing_keys import delete_expired_signing_keys
from auth.repository.sweep import EXPIRED, delete_expired
from shared import outbox
from shared.database import Database

EVERY = 60.0  # Seconds.
BATCH = 1000  # Rows in one transaction.


def sweep(database: Database, *, batch: int = BATCH) -> None:
    """Delete expired tokens, sessions, counters, places, messages and keys, and guests who cannot return."""
    for table in EXPIRED:
        deleted = batch
        while deleted == batch:
            with database.transaction() as connection:
                deleted = delete_expired(connection, table, batch)
    deleted = batch
    while deleted == batch:
        with database.transaction() as connection:
            deleted = outbox.delete_old_messages(connection, batch)
    with database.transaction() as connection:
        delete_expired_signing_keys(connection)
