"""The ledger. The statement that changes a payment adds its entries, and nothing changes them later."""

from uuid import UUID

from sqlalchemy import Connection, select

from payments.domain.ledger import LedgerEntry
from payments.tables import ledger_entries


def read_ledger(connection: Connection, *, before: UUID | None, limit: int) -> list[LedgerEntry]:
    """Return up to `limit` entries older than `before`, newest first."""
    query = select(ledger_entries).order_by(ledger_entries.c.id.desc()).limit(limit)
    if before:
        query = query.where(ledger_entries.c.id < before)
    return [LedgerEntry(**row._mapping) for row in connection.execute(query)]
