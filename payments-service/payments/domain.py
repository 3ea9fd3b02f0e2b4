"""Payments, charges and the ledger as plain Python. Money is an integer in minor units."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from payments.errors import PaymentConflict, ProviderMismatch, UnexpectedPaymentState

# JavaScript's numbers hold integers up to here exactly.
LARGEST_AMOUNT = 2**53 - 1


class PaymentStatus(StrEnum):
    """Where a payment stands, in Stripe's vocabulary."""

    PROCESSING = "processing"
    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_CAPTURE = "requires_capture"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


PROCESSING = PaymentStatus.PROCESSING
REQUIRES_PAYMENT_METHOD = PaymentStatus.REQUIRES_PAYMENT_METHOD
REQUIRES_CAPTURE = PaymentStatus.REQUIRES_CAPTURE
SUCCEEDED = PaymentStatus.SUCCEEDED
CANCELED = PaymentStatus.CANCELED

# A payment in `processing` has to hear the provider's answer first, and nothing follows `canceled`.
NEXT = {
    PROCESSING: {REQUIRES_CAPTURE, REQUIRES_PAYMENT_METHOD},
    REQUIRES_PAYMENT_METHOD: {CANCELED},
    REQUIRES_CAPTURE: {SUCCEEDED, CANCELED},
    SUCCEEDED: {CANCELED},
    CANCELED: set(),
}


@dataclass(frozen=True)
class Terms:
    """What an order asks to be paid, by whom and how; they never change."""

    customer: str
    amount: int
    currency: str
    payment_method: str


@dataclass(frozen=True)
class Charge:
    """A payment as the provider's book has it. A released one was given back, whatever had been taken."""

    decline_code: str | None
    amount_captured: int
    amount_refunded: int
    is_released: bool


@dataclass(frozen=True)
class Payment:
    """The one payment of an order. A step returns the payment as it is afterwards, or is refused."""

    id: UUID
    order_id: UUID
    status: PaymentStatus
    customer: str
    amount: int
    currency: str
    provider: str
    payment_method: str
    decline_code: str | None
    amount_captured: int
    amount_refunded: int
    created_at: datetime

    def require_terms(self, terms: Terms) -> None:
        """Raise PaymentConflict unless the payment was made on these terms."""
        if terms != Terms(self.customer, self.amount, self.currency, self.payment_method):
            raise PaymentConflict

    def require_captured(self) -> None:
        """Raise UnexpectedPaymentState unless the money is ours."""
        if self.status is not SUCCEEDED:
            raise UnexpectedPaymentState(self.status, SUCCEEDED)

    def require_canceled(self) -> None:
        """Raise UnexpectedPaymentState unless all money was given back."""
        if self.status is not CANCELED:
            raise UnexpectedPaymentState(self.status, CANCELED)

    def authorize(self) -> "Payment":
        """Note that the money is held; raise UnexpectedPaymentState."""
        return self._become(REQUIRES_CAPTURE)

    def decline(self, decline_code: str) -> "Payment":
        """Note that the bank said no; raise UnexpectedPaymentState."""
        return self._become(REQUIRES_PAYMENT_METHOD, decline_code=decline_code)

    def capture(self, amount: int) -> "Payment":
        """Note that the money is ours; raise UnexpectedPaymentState, or ProviderMismatch for another sum."""
        captured = self._become(SUCCEEDED, amount_captured=amount)
        if amount != self.amount:
            raise ProviderMismatch
        return captured

    def cancel(self, amount_refunded: int) -> "Payment":
        """Note that all was given back; raise UnexpectedPaymentState, or ProviderMismatch for another sum."""
        canceled = self._become(CANCELED, amount_refunded=amount_refunded)
        if amount_refunded != self.amount_captured:
            raise ProviderMismatch
        return canceled

    def follow(self, charge: Charge) -> "Payment":
        """Return the payment brought, step by step, to where the provider's charge stands.

        Answers may arrive in any order: an older one than what is known already changes nothing.
        """
        payment = self
        if payment.status is PROCESSING:
            declined = charge.decline_code
            payment = payment.decline(declined) if declined else payment.authorize()
        if payment.status is REQUIRES_CAPTURE and charge.amount_captured:
            payment = payment.capture(charge.amount_captured)
        if payment.status is not CANCELED and charge.is_released:
            payment = payment.cancel(charge.amount_refunded)
        return payment

    def _become(self, status: PaymentStatus, **changes: Any) -> "Payment":
        if status not in NEXT[self.status]:
            raise UnexpectedPaymentState(self.status, status)
        return replace(self, status=status, **changes)


@dataclass(frozen=True)
class ClosedOrder:
    """An order that was closed before it was asked to pay, and will not be charged any more."""

    order_id: UUID


class Account(StrEnum):
    """Where money is: what the provider owes us, and what we sold."""

    RECEIVABLE = "receivable"
    SALES = "sales"


@dataclass(frozen=True)
class Line:
    """One side of an entry: a debit is positive, a credit negative."""

    account: Account
    amount: int


@dataclass(frozen=True)
class Movement:
    """Money to be booked; its name is unique within the payment."""

    name: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class LedgerEntry:
    """A movement as it was booked."""

    id: UUID
    payment_id: UUID
    movement: str
    currency: str
    created_at: datetime
    lines: list[Line]


def find_movements(before: Payment, after: Payment) -> list[Movement]:
    """Return what moved between two states of a payment: first what came in, then what went out."""
    captured = after.amount_captured - before.amount_captured
    refunded = after.amount_refunded - before.amount_refunded
    movements = []
    if captured:
        movements.append(_movement("capture", captured))
    if refunded:
        movements.append(_movement("cancel", -refunded))
    return movements


def _movement(name: str, received: int) -> Movement:
    return Movement(name, (Line(Account.RECEIVABLE, received), Line(Account.SALES, -received)))
