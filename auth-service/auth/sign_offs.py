"""What is signed off, as auth-service itself knows it: from its database."""

from collections.abc import Collection

from auth.repository.sessions import is_signed_off
from shared.database import Database
from shared.errors import DatabaseUnavailable, SignOffsUnavailable


class StoredSignOffs:
    """A `SignOffs` for the tokens that are shown to auth-service: no copy, so that nothing in it is late."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def has_any(self, ids: Collection[str]) -> bool:
        """Tell whether one of the ids is signed off; raise SignOffsUnavailable if the database is away."""
        try:
            with self._database.autocommit() as connection:
                return is_signed_off(connection, ids)
        except DatabaseUnavailable as error:
            raise SignOffsUnavailable from error

    def check(self) -> str | None:
        """Raise SignOffsUnavailable unless the list can be read."""
        self.has_any(())
        return None

    def refresh(self) -> None:
        """Do nothing: nothing is kept that could be old."""
