"""Payments, refunds, charges and the ledger as plain Python. Money is an integer in minor units."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from payments.errors import (
    PaymentClosed,
    PaymentConflict,
    ProviderMismatch,
    RefundConflict,
    RefundExceedsPayment,
    RefundFailed,
    UnexpectedPaymentState,
)

# JavaScript's numbers hold integers up to here exactly.
LARGEST_AMOUNT = 2**53 - 1


class PaymentStatus(StrEnum):
    """Where a payment stands, in Stripe's vocabulary."""

    PROCESSING = "processing"
    REQUIRES_ACTION = "requires_action"
    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_CAPTURE = "requires_capture"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


PROCESSING = PaymentStatus.PROCESSING
REQUIRES_ACTION = PaymentStatus.REQUIRES_ACTION
REQUIRES_PAYMENT_METHOD = PaymentStatus.REQUIRES_PAYMENT_METHOD
REQUIRES_CAPTURE = PaymentStatus.REQUIRES_CAPTURE
SUCCEEDED = PaymentStatus.SUCCEEDED
CANCELED = PaymentStatus.CANCELED

NEXT = {
    PROCESSING: {REQUIRES_ACTION, REQUIRES_CAPTURE, REQUIRES_PAYMENT_METHOD, CANCELED},
    REQUIRES_ACTION: {REQUIRES_CAPTURE, REQUIRES_PAYMENT_METHOD, CANCELED},
    REQUIRES_PAYMENT_METHOD: {CANCELED},
    REQUIRES_CAPTURE: {SUCCEEDED, CANCELED},
    SUCCEEDED: {CANCELED},
    CANCELED: set(),
}

# How long a payment that is not settled is left alone before the sweep looks at it.
UNANSWERED_FOR = timedelta(seconds=10)
WAITING_FOR_CUSTOMER = timedelta(seconds=30)


class Outcome(StrEnum):
    """What the customer told the bank."""

    APPROVED = "approved"
    DECLINED = "declined"


class RefundStatus(StrEnum):
    """Where a refund stands; a pending one may or may not have reached the provider."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True)
class Terms:
    """What an order asks to be paid, by whom and how; they never change."""

    customer: str
    amount: int
    currency: str
    payment_method: str


@dataclass(frozen=True)
class Charge:
    """A payment as the provider's book has it."""

    status: PaymentStatus
    amount_captured: int = 0
    amount_refunded: int = 0
    decline_code: str | None = None
    next_action: Mapping[str, Any] | None = None

    @property
    def is_given_back(self) -> bool:
        """Tell whether nothing is held and nothing kept any more."""
        return self.status is CANCELED or 0 < self.amount_captured == self.amount_refunded


@dataclass(frozen=True)
class Change:
    """A charge that the provider says something happened to; `payment_id` is ours, if it was told one."""

    reference: str
    payment_id: UUID | None
    charge: Charge


@dataclass(frozen=True)
class Refund:
    """Money that goes back to the customer, all of what was captured or a part."""

    id: UUID
    payment_id: UUID
    amount: int
    status: RefundStatus
    decline_code: str | None
    created_at: datetime
    updated_at: datetime

    def require_terms(self, payment: "Payment", amount: int) -> None:
        """Raise RefundConflict unless the refund was asked for on these terms."""
        if (self.payment_id, self.amount) != (payment.id, amount):
            raise RefundConflict

    def require_not_failed(self) -> None:
        """Raise RefundFailed if the provider refused it for good."""
        if self.status is RefundStatus.FAILED:
            raise RefundFailed(self.decline_code)


@dataclass(frozen=True)
class Payment:
    """The one payment of an order. A step returns the payment as it is afterwards, or is refused.

    A closing one is being canceled, and takes no other step any more. `amount_refunding` is claimed by
    refunds that have no answer yet.
    """

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
    updated_at: datetime
    next_action: Mapping[str, Any] | None = None
    provider_reference: str | None = None
    is_closing: bool = False
    amount_refunding: int = 0
    look_at: datetime | None = None

    @property
    def refundable(self) -> int:
        """Return how much of the money can still go back."""
        return self.amount_captured - self.amount_refunded - self.amount_refunding

    @property
    def look_after(self) -> timedelta | None:
        """Return how long the payment may stay as it is before somebody looks; None stands for ever."""
        if self.status is PROCESSING or self.amount_refunding or (self.is_closing and not self.is_canceled):
            return UNANSWERED_FOR
        return WAITING_FOR_CUSTOMER if self.status is REQUIRES_ACTION else None

    @property
    def is_canceled(self) -> bool:
        """Tell whether all money was given back, and none will be taken."""
        return self.status is CANCELED

    def require_open(self) -> None:
        """Raise PaymentClosed if the payment was canceled, or is about to be."""
        if self.is_closing or self.is_canceled:
            raise PaymentClosed

    def require_terms(self, terms: Terms) -> None:
        """Raise PaymentConflict unless the payment was made on these terms."""
        if terms != Terms(self.customer, self.amount, self.currency, self.payment_method):
            raise PaymentConflict

    def require_captured(self) -> None:
        """Raise UnexpectedPaymentState unless the money is ours."""
        if self.status is not SUCCEEDED:
            raise UnexpectedPaymentState(self.status, SUCCEEDED)

    def require_waiting(self) -> None:
        """Raise UnexpectedPaymentState unless the customer is asked to answer the bank."""
        if self.status is not REQUIRES_ACTION:
            raise UnexpectedPaymentState(self.status, REQUIRES_CAPTURE)

    def require_action(self, next_action: Mapping[str, Any]) -> "Payment":
        """Note that the bank asks for the customer; raise UnexpectedPaymentState."""
        return self._become(REQUIRES_ACTION, next_action=next_action)

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

    def claim_refund(self, amount: int) -> "Payment":
        """Set money aside for a refund; raise PaymentClosed, UnexpectedPaymentState, RefundExceedsPayment."""
        self.require_open()
        self.require_captured()
        if amount > self.refundable:
            raise RefundExceedsPayment(self.refundable)
        return replace(self, amount_refunding=self.amount_refunding + amount)

    def finish_refund(self, amount: int, *, succeeded: bool) -> "Payment":
        """Note what became of a refund that money was set aside for."""
        left = self.amount_refunding - amount
        refunded = self.amount_refunded + (amount if succeeded else 0)
        return replace(self, amount_refunding=left, amount_refunded=refunded)

    def follow(self, charge: Charge) -> "Payment":
        """Return the payment brought, step by step, to where the provider's charge stands.

        Answers may arrive in any order: an older one than what is known already changes nothing.
        """
        payment = self
        if payment.status in {PROCESSING, REQUIRES_ACTION}:
            payment = payment._hear_bank(charge)
        if payment.status is REQUIRES_CAPTURE and charge.amount_captured:
            payment = payment.capture(charge.amount_captured)
        # A captured payment that was refunded to the last cent still succeeded, unless it is canceled here.
        is_over = charge.status is CANCELED or (charge.is_given_back and payment.is_closing)
        if is_over and not payment.is_canceled:
            payment = payment.cancel(charge.amount_refunded)
        return payment

    def _hear_bank(self, charge: Charge) -> "Payment":
        if charge.decline_code:
            return self.decline(charge.decline_code)
        if charge.amount_captured or charge.status in {REQUIRES_CAPTURE, SUCCEEDED}:
            return self.authorize()
        if charge.next_action and self.status is PROCESSING:
            return self.require_action(charge.next_action)
        return self

    def _become(self, status: PaymentStatus, **changes: Any) -> "Payment":
        if status not in NEXT[self.status]:
            raise UnexpectedPaymentState(self.status, status)
        return replace(self, **{"next_action": None, **changes}, status=status)


@dataclass(frozen=True)
class ClosedOrder:
    """An order that was closed before it was asked to pay, and will not be charged any more."""

    order_id: UUID


class Account(StrEnum):
    """Where money is: what the provider owes us, and what we sold."""

    RECEIVABLE = "receivable"
    SALES = "sales"


@dataclass(frozen=True)
class Movement:
    """Money to be booked from one account to another; its name is unique within the payment."""

    name: str
    debit: Account
    credit: Account
    amount: int


@dataclass(frozen=True)
class Line:
    """One side of an entry: a debit is positive, a credit negative."""

    account: str
    amount: int


@dataclass(frozen=True)
class LedgerEntry:
    """A movement as it was booked."""

    id: UUID
    payment_id: UUID
    movement: str
    currency: str
    created_at: datetime
    debit: str
    credit: str
    amount: int

    @property
    def lines(self) -> list[Line]:
        """Return both sides, by account; they sum to zero."""
        sides = [Line(self.debit, self.amount), Line(self.credit, -self.amount)]
        return sorted(sides, key=lambda line: line.account)


def find_movements(before: Payment, after: Payment, refund: Refund | None = None) -> list[Movement]:
    """Return what moved between two states of a payment: first what came in, then what went out.

    What went out belongs to `refund`, or else to the payment's cancel.
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
