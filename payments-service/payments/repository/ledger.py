"""The ledger: entries are added, and never changed."""

from uuid import UUID

from sqlalchemy import Connection, select, text

from payments.domain import Account, LedgerEntry, Line, Movement, Payment
from payments.tables import ledger_entries, ledger_lines

BOOK = text(
    """
    WITH entry AS (
        INSERT INTO ledger_entries (payment_id, movement, currency)
        VALUES (:payment_id, :movement, :currency) RETURNING id)
    INSERT INTO ledger_lines (entry_id, account, amount)
    SELECT entry.id, line.account, line.amount
    FROM entry, unnest(CAST(:accounts AS text[]), CAST(:amounts AS bigint[])) AS line (account, amount)
    """
)


def book_movement(connection: Connection, payment: Payment, movement: Movement) -> None:
    """Add an entry; the database refuses a second one of that name, or one out of balance."""
    connection.execute(
        BOOK,
        {
            "payment_id": payment.id,
            "movement": movement.name,
            "currency": payment.currency,
            "accounts": [line.account.value for line in movement.lines],
            "amounts": [line.amount for line in movement.lines],
        },
    )


def read_ledger(connection: Connection, *, before: UUID | None, limit: int) -> list[LedgerEntry]:
    """Return up to `limit` entries older than `before`, newest first, each with its lines."""
    query = select(ledger_entries).order_by(ledger_entries.c.id.desc()).limit(limit)
    if before:
        query = query.where(ledger_entries.c.id < before)
    entries = {row.id: LedgerEntry(**row._mapping, lines=[]) for row in connection.execute(query)}
    lines = select(ledger_lines).where(ledger_lines.c.entry_id.in_(entries)).order_by(ledger_lines.c.account)
    for entry_id, account, amount in connection.execute(lines):
        entries[entry_id].lines.append(Line(Account(account), amount))
    return list(entries.values())
