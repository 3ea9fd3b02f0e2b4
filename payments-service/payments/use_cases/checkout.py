"""What orders-service asks for, addressed by the order's id; each may be repeated."""

from dataclasses import dataclass
from uuid import UUID

from payments.clients import Provider
from payments.domain import (
    PROCESSING,
    REQUIRES_CAPTURE,
    REQUIRES_PAYMENT_METHOD,
    ClosedOrder,
    Payment,
    Refund,
    RefundStatus,
    Terms,
)
from payments.errors import (
    UNSUPPORTED,
    CaptureFailed,
    CardDeclined,
    PaymentMethodUnsupported,
    PaymentNotFound,
    ProviderUnavailable,
    RefundConflict,
)
from payments.repository import payments, refunds
from payments.use_cases.records import (
    cancel,
    record_charge,
    require_payment,
    require_saved,
    settle_payment,
    settle_refund,
)
from shared.database import Database


def find_payment_of_order(database: Database, order_id: UUID) -> Payment:
    """Return the order's payment; raise PaymentNotFound, also for an order closed without one."""
    with database.autocommit() as connection:
        found = payments.find_payment_of_order(connection, order_id)
    if not isinstance(found, Payment):
        raise PaymentNotFound
    return found


def authorize_payment(database: Database, provider: Provider, order_id: UUID, terms: Terms) -> Payment:
    """Return the order's only payment, its money held if the bank agrees, or waiting for the customer.

    Raises CardDeclined, PaymentMethodUnsupported, PaymentConflict for other terms than the first time,
    PaymentClosed if the order was cancelled meanwhile or before, and ProviderUnavailable.
    """
    if not provider.accepts(terms.payment_method):
        raise PaymentMethodUnsupported
    with database.autocommit() as connection:
        found = payments.open_payment(connection, order_id, terms, provider.name)
    payment = require_payment(found)
    payment.require_terms(terms)
    payment = settle_payment(database, provider, payment)
    payment.require_open()
    if payment.status is PROCESSING:
        raise ProviderUnavailable
    if payment.status is REQUIRES_PAYMENT_METHOD:
        if payment.decline_code == UNSUPPORTED:
            raise PaymentMethodUnsupported
        raise CardDeclined(payment.id, payment.decline_code)
    return payment


def capture_payment(database: Database, provider: Provider, order_id: UUID) -> Payment:
    """Return the order's payment with its money taken, once.

    Raises PaymentNotFound, PaymentClosed, UnexpectedPaymentState for a payment that was declined or waits for
    its customer, CaptureFailed if it never will be, and ProviderUnavailable.
    """
    with database.autocommit() as connection:
        found = payments.find_payment_of_order(connection, order_id)
    if isinstance(found, Payment):
        _require_kept(found)
    payment = settle_payment(database, provider, require_payment(found))
    if payment.status is REQUIRES_CAPTURE:
        charge = provider.capture(payment)
        with database.autocommit() as connection:
            payment = record_charge(connection, payment, charge)
    _require_kept(payment)
    payment.require_open()
    if payment.status in {PROCESSING, REQUIRES_CAPTURE}:
        raise ProviderUnavailable
    payment.require_captured()
    return payment


def cancel_payment(database: Database, provider: Provider, order_id: UUID) -> Payment | ClosedOrder:
    """Return the order's payment with all money given back, or the order closed if it had none."""
    with database.autocommit() as connection:
        found = payments.close_payment(connection, order_id)
    if isinstance(found, ClosedOrder) or found.is_canceled:
        return found
    return cancel(database, provider, found)


@dataclass(frozen=True)
class Refunded:
    """A refund that succeeded, and the payment after it."""

    refund: Refund
    payment: Payment


def refund_payment(
    database: Database, provider: Provider, order_id: UUID, refund_id: UUID, amount: int
) -> Refunded:
    """Give back a part of what was captured, once for a refund's id.

    Raises PaymentNotFound, PaymentClosed, UnexpectedPaymentState for a payment that was not captured,
    RefundConflict, RefundExceedsPayment, RefundFailed and ProviderUnavailable.
    """
    with database.transaction() as connection:
        found = payments.find_payment_of_order(connection, order_id, lock=True)
        refund = refunds.find_refund(connection, refund_id)
        if refund and isinstance(found, Payment):
            payment = found
            refund.require_terms(payment, amount)
        else:
            before = require_payment(found)
            claimed = before.claim_refund(amount)
            refund = refunds.insert_refund(connection, refund_id, claimed, amount)
            if refund is None:
                # Another payment's refund took the same id at this moment.
                raise RefundConflict
            payment = require_saved(payments.save_payment(connection, before, claimed, seen=before.look_at))
    refund.require_not_failed()
    if refund.status is RefundStatus.PENDING:
        payment = settle_refund(database, provider, payment, refund)
    return Refunded(refund, payment)


def _require_kept(payment: Payment) -> None:
    """Raise CaptureFailed if the provider gave the money back without having been asked."""
    if payment.is_canceled and not payment.is_closing:
        raise CaptureFailed("authorization_released")
