"""Remove what is over; any number of replicas may do so at once."""

from auth.repository.keys import delete_dead_keys
from auth.repository.sweep import OVER, remove_over
from shared.database import Database

EVERY = 60.0  # Seconds.
BATCH = 1000  # Rows of one transaction.


def sweep(database: Database, *, batch: int = BATCH) -> None:
    """Remove tokens, sessions, counters and places whose time is over, and guests who cannot come back."""
    for table in OVER:
        removed = batch
        while removed == batch:
            with database.transaction() as connection:
                removed = remove_over(connection, table, batch)
    with database.transaction() as connection:
        delete_dead_keys(connection)
