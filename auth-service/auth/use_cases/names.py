"""Names that look alike belong to one user."""

from auth.domain.credentials import derive_skeletons
from auth.repository import names
from shared.database import Database

BATCH = 500  # Names in one transaction.


def claim_older_names(database: Database, *, batch: int = BATCH) -> None:
    """Add the missing skeletons of names that older code registered, before or during the upgrade."""
    added = batch
    while added == batch:
        with database.transaction() as connection:
            unclaimed = names.lock_unclaimed(connection, batch)
            added = len(unclaimed)
            if unclaimed:
                skeletons = {user_id: derive_skeletons(name) for user_id, name in unclaimed.items()}
                names.add_skeletons(connection, skeletons)
