"""Double-entry bookkeeping: each entry debits one account and credits another by the same amount."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from payments.domain.payments import Payment, Refund


class Account(StrEnum):
    """The accounts of the ledger: money that the provider owes the shop, and sales."""

    RECEIVABLE = "receivable"
    SALES = "sales"


@dataclass(frozen=True)
class Movement:
    """Money that moves between two accounts; the name is unique within the payment."""

    name: str
    debit: Account
    credit: Account
    amount: int


@dataclass(frozen=True)
class LedgerEntry:
    """A movement as the ledger stores it."""

    id: UUID
    payment_id: UUID
    movement: str
    currency: str
    created_at: datetime
    debit: str
    credit: str
    amount: int


def find_movements(before: Payment, after: Payment, refund: Refund | None = None) -> list[Movement]:
    """Return the movements between two states of a payment: money in, then money out.

    Money out belongs to `refund` if given, otherwise to the cancellation of the payment.
    """
    captured = after.amount_captured - before.amount_captured
    refunded = after.amount_refunded - before.amount_refunded
    movements = []
    if captured:
        movements.append(Movement("capture", Account.RECEIVABLE, Account.SALES, captured))
    if refunded:
        name = f"refund:{refund.id}" if refund else "cancel"
        movements.append(Movement(name, Account.SALES, Account.RECEIVABLE, refunded))
    return movements
