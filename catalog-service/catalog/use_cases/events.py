"""Events of the stock that the outbox holds."""

from shared import outbox
from shared.database import Database

BATCH = 1000  # Messages per transaction.


def sweep_events(database: Database) -> None:
    """Delete events of more than 30 days ago. Replicas that do so at the same time skip each other's rows."""
    while True:
        with database.transaction() as connection:
            if outbox.delete_old_messages(connection, BATCH) < BATCH:
                return
