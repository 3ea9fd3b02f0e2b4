"""Sign-offs that auth-service reads from its own database."""

from collections.abc import Collection

from auth.repository.sessions import is_signed_off
from shared.database import Database
from shared.errors import DatabaseUnavailable, SignOffsUnavailable


class StoredSignOffs:
    """A `SignOffs` for requests to auth-service; it keeps no copy, so it is never out of date."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def has_any(self, ids: Collection[str]) -> bool:
        """Return whether one of the ids is signed off; raise SignOffsUnavailable without the database."""
        try:
            with self._database.autocommit() as connection:
                return is_signed_off(connection, ids)
        except DatabaseUnavailable as error:
            raise SignOffsUnavailable from error

    def check(self) -> str | None:
        """Raise SignOffsUnavailable if the list cannot be read."""
        self.has_any(())
        return None

    def refresh(self) -> None:
        """Do nothing, because there is no copy to refresh."""
