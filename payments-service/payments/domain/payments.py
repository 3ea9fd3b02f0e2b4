"""Payments, refunds, and the charges that the provider reports."""

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

# The largest integer that a JavaScript number represents exactly.
LARGEST_AMOUNT = 2**53 - 1


class PaymentStatus(StrEnum):
    """The status of a payment, in Stripe's vocabulary."""

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

NEXT_STATUSES = {
    PROCESSING: {REQUIRES_ACTION, REQUIRES_CAPTURE, REQUIRES_PAYMENT_METHOD, CANCELED},
    REQUIRES_ACTION: {REQUIRES_CAPTURE, REQUIRES_PAYMENT_METHOD, CANCELED},
    REQUIRES_PAYMENT_METHOD: {CANCELED},
    REQUIRES_CAPTURE: {SUCCEEDED, CANCELED},
    SUCCEEDED: {CANCELED},
    CANCELED: set(),
}

# How long the sweep waits before it checks an unfinished payment.
PROVIDER_CHECK_DELAY = timedelta(seconds=10)
CUSTOMER_CHECK_DELAY = timedelta(seconds=30)


class Outcome(StrEnum):
    """The customer's answer to the bank."""

    APPROVED = "approved"
    DECLINED = "declined"


class RefundStatus(StrEnum):
    """The status of a refund; a pending refund may or may not have reached the provider."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True)
class Terms:
    """Who pays how much for an order, and how; the terms never change."""

    customer: str
    amount: int
    currency: str
    payment_method: str


@dataclass(frozen=True)
class Charge:
    """The state of a payment at the provider."""

    status: PaymentStatus
    amount_captured: int = 0
    amount_refunded: int = 0
    decline_code: str | None = None
    next_action: Mapping[str, Any] | None = None

    @property
    def is_released(self) -> bool:
        """Report whether the provider has returned all held or captured money."""
        return self.status is CANCELED or 0 < self.amount_captured == self.amount_refunded


@dataclass(frozen=True)
class Change:
    """A charge in the provider's list of changes; `payment_id` is None if the charge carries none."""

    reference: str
    payment_id: UUID | None
    charge: Charge


@dataclass(frozen=True)
class Refund:
    """A full or partial refund of the captured money."""

    id: UUID
    payment_id: UUID
    amount: int
    status: RefundStatus
    decline_code: str | None
    created_at: datetime
    updated_at: datetime

    def require_terms(self, payment: "Payment", amount: int) -> None:
        """Raise RefundConflict unless the refund has this payment and amount."""
        if (self.payment_id, self.amount) != (payment.id, amount):
            raise RefundConflict

    def require_not_failed(self) -> None:
        """Raise RefundFailed if the provider has refused the refund permanently."""
        if self.status is RefundStatus.FAILED:
            raise RefundFailed(self.decline_code)


@dataclass(frozen=True)
class Payment:
    """The only payment of an order. A transition returns the new state of the payment, or raises.

    A closing payment is being canceled and allows no other transition. `amount_refunding` is reserved for
    pending refunds. The sweep checks the payment at `look_at`.
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
        """Return how much money can still be refunded."""
        return self.amount_captured - self.amount_refunded - self.amount_refunding

    @property
    def check_delay(self) -> timedelta | None:
        """Return the time until the sweep's next check; None if the payment needs no check."""
        if self.status is PROCESSING or self.amount_refunding or (self.is_closing and not self.is_canceled):
            return PROVIDER_CHECK_DELAY
        return CUSTOMER_CHECK_DELAY if self.status is REQUIRES_ACTION else None

    @property
    def is_canceled(self) -> bool:
        """Report whether all money was returned, and none will be captured."""
        return self.status is CANCELED

    def require_open(self) -> None:
        """Raise PaymentClosed if the payment is canceled or being canceled."""
        if self.is_closing or self.is_canceled:
            raise PaymentClosed

    def require_terms(self, terms: Terms) -> None:
        """Raise PaymentConflict unless the payment has these terms."""
        if terms != Terms(self.customer, self.amount, self.currency, self.payment_method):
            raise PaymentConflict

    def require_captured(self) -> None:
        """Raise UnexpectedPaymentState unless the money was captured."""
        if self.status is not SUCCEEDED:
            raise UnexpectedPaymentState(self.status, SUCCEEDED)

    def require_awaiting_customer(self) -> None:
        """Raise UnexpectedPaymentState unless the bank is waiting for the customer."""
        if self.status is not REQUIRES_ACTION:
            raise UnexpectedPaymentState(self.status, REQUIRES_CAPTURE)

    def await_customer(self, next_action: Mapping[str, Any]) -> "Payment":
        """Record that the bank requires authentication; raise UnexpectedPaymentState."""
        return self._move_to(REQUIRES_ACTION, next_action=next_action)

    def authorize(self) -> "Payment":
        """Record that the money is held; raise UnexpectedPaymentState."""
        return self._move_to(REQUIRES_CAPTURE)

    def decline(self, decline_code: str) -> "Payment":
        """Record that the bank declined; raise UnexpectedPaymentState."""
        return self._move_to(REQUIRES_PAYMENT_METHOD, decline_code=decline_code)

    def capture(self, amount: int) -> "Payment":
        """Record the capture; raise UnexpectedPaymentState, or ProviderMismatch for a different amount."""
        captured = self._move_to(SUCCEEDED, amount_captured=amount)
        if amount != self.amount:
            raise ProviderMismatch
        return captured

    def cancel(self, amount_refunded: int) -> "Payment":
        """Record the cancel; raise UnexpectedPaymentState, or ProviderMismatch for a different amount."""
        canceled = self._move_to(CANCELED, amount_refunded=amount_refunded)
        if amount_refunded != self.amount_captured:
            raise ProviderMismatch
        return canceled

    def reserve_refund(self, amount: int) -> "Payment":
        """Reserve money for a refund.

        Raises PaymentClosed, UnexpectedPaymentState and RefundExceedsPayment.
        """
        self.require_open()
        self.require_captured()
        if amount > self.refundable:
            raise RefundExceedsPayment(self.refundable)
        return replace(self, amount_refunding=self.amount_refunding + amount)

    def finish_refund(self, amount: int, *, succeeded: bool) -> "Payment":
        """Record the result of a refund and free its reservation."""
        left = self.amount_refunding - amount
        refunded = self.amount_refunded + (amount if succeeded else 0)
        return replace(self, amount_refunding=left, amount_refunded=refunded)

    def follow(self, charge: Charge) -> "Payment":
        """Return the payment after it has caught up with the provider's charge, step by step.

        The provider's responses may arrive in any order: an outdated charge changes nothing.
        """
        payment = self
        if payment.status in {PROCESSING, REQUIRES_ACTION}:
            payment = payment._follow_authorization(charge)
        if payment.status is REQUIRES_CAPTURE and charge.amount_captured:
            payment = payment.capture(charge.amount_captured)
        # A fully refunded payment keeps the status `succeeded` unless the shop is canceling it.
        is_over = charge.status is CANCELED or (charge.is_released and payment.is_closing)
        if is_over and not payment.is_canceled:
            payment = payment.cancel(charge.amount_refunded)
        return payment

    def _follow_authorization(self, charge: Charge) -> "Payment":
        if charge.decline_code:
            return self.decline(charge.decline_code)
        if charge.amount_captured or charge.status in {REQUIRES_CAPTURE, SUCCEEDED}:
            return self.authorize()
        if charge.next_action and self.status is PROCESSING:
            return self.await_customer(charge.next_action)
        return self

    def _move_to(self, status: PaymentStatus, **changes: Any) -> "Payment":
        if status not in NEXT_STATUSES[self.status]:
            raise UnexpectedPaymentState(self.status, status)
        return replace(self, **{"next_action": None, **changes}, status=status)


@dataclass(frozen=True)
class ClosedOrder:
    """An order that was closed before its payment began, and can never be charged."""

    order_id: UUID
