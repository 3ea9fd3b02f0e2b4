"""Names that look alike belong to one user."""

from auth.domain import derive_skeletons
from auth.repository import names
from shared.database import Database

BATCH = 500  # Names of one transaction.


def claim_older_names(database: Database, *, batch: int = BATCH) -> None:
    """Add the skeletons of names that code without skeletons registered, before this release or beside it."""
    added = batch
    while added == batch:
        with database.transaction() as connection:
            unclaimed = names.lock_unclaimed(connection, batch)
            added = len(unclaimed)
            if unclaimed:
                skeletons = {user_id: derive_skeletons(name) for user_id, name in unclaimed.items()}
                names.add_skeletons(connection, skeletons)
