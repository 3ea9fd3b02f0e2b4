"""The metadata keys by which customers can filter the list of products."""

import logging
from collections.abc import Iterable, Sequence

from catalog.repository import metadata_keys as repository
from shared.database import Connection, Database
from shared.errors import ValidationFailed

log = logging.getLogger(__name__)


def list_keys(database: Database) -> list[str]:
    """Return the marked keys by name."""
    with database.autocommit() as connection:
        return repository.read_keys(connection)


def mark_keys(database: Database, keys: Sequence[str]) -> list[str]:
    """Mark these keys and no others; return them by name."""
    with database.transaction() as connection:
        repository.store_keys(connection, keys)
        marked = repository.read_keys(connection)
    log.info("Metadata keys were marked for filters", extra={"keys": marked})
    return marked


def require_marked(connection: Connection, keys: Iterable[str]) -> None:
    """Raise ValidationFailed unless all these keys are marked for filters."""
    unmarked = sorted(set(keys) - set(repository.read_keys(connection)))
    if unmarked:
        detail = "This metadata key is not marked for filters."
        raise ValidationFailed(
            errors=[{"location": "query", "field": f"meta.{key}", "detail": detail} for key in unmarked]
        )
