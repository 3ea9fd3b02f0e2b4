"""The payment of an order: authorize, capture, cancel, refund. Every function is idempotent."""

from dataclasses import dataclass
from uuid import UUID

from payments.clients import Provider
from payments.domain.payments import (
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
from payments.use_cases.provider_sync import (
    complete_authorization,
    complete_cancel,
    complete_refund,
    record_charge,
    require_payment,
    require_saved,
)
from shared.database import Database


def find_payment_of_order(database: Database, order_id: UUID) -> Payment:
    """Return the payment of an order; raise PaymentNotFound, also for an order closed without a payment."""
    with database.autocommit() as connection:
        found = payments.find_payment_of_order(connection, order_id)
    if not isinstance(found, Payment):
        raise PaymentNotFound
    return found


def authorize_payment(database: Database, provider: Provider, order_id: UUID, terms: Terms) -> Payment:
    """Authorize the payment of an order; return it with its money held, or awaiting the customer.

    Raises CardDeclined, PaymentMethodUnsupported, PaymentConflict if the order has a payment with different
    terms, PaymentClosed if the order is canceled, and ProviderUnavailable.
    """
    if not provider.accepts(terms.payment_method):
        raise PaymentMethodUnsupported
    with database.autocommit() as connection:
        found = payments.open_payment(connection, order_id, terms, provider.name)
    payment = require_payment(found)
    payment.require_terms(terms)
    payment = complete_authorization(database, provider, payment)
    payment.require_open()
    if payment.status is PROCESSING:
        raise ProviderUnavailable
    if payment.status is REQUIRES_PAYMENT_METHOD:
        if payment.decline_code == UNSUPPORTED:
            raise PaymentMethodUnsupported
        raise CardDeclined(payment.id, payment.decline_code)
    return payment


def capture_payment(database: Database, provider: Provider, order_id: UUID) -> Payment:
    """Capture the payment of an order; return it.

    Raises PaymentNotFound, PaymentClosed, UnexpectedPaymentState for a payment that was declined or awaits
    its customer, CaptureFailed if the capture failed permanently, and ProviderUnavailable.
    """
    with database.autocommit() as connection:
        found = payments.find_payment_of_order(connection, order_id)
    if isinstance(found, Payment):
        _require_not_released(found)
    payment = complete_authorization(database, provider, require_payment(found))
    if payment.status is REQUIRES_CAPTURE:
        charge = provider.capture(payment)
        with database.autocommit() as connection:
            payment = record_charge(connection, payment, charge)
    _require_not_released(payment)
    payment.require_open()
    if payment.status in {PROCESSING, REQUIRES_CAPTURE}:
        raise ProviderUnavailable
    payment.require_captured()
    return payment


def cancel_payment(database: Database, provider: Provider, order_id: UUID) -> Payment | ClosedOrder:
    """Return all money of an order; return its payment, or a ClosedOrder if it had none."""
    with database.autocommit() as connection:
        found = payments.close_payment(connection, order_id)
    if isinstance(found, ClosedOrder) or found.is_canceled:
        return found
    return complete_cancel(database, provider, found)


@dataclass(frozen=True)
class Refunded:
    """A successful refund, and the payment after it."""

    refund: Refund
    payment: Payment


def refund_payment(
    database: Database, provider: Provider, order_id: UUID, refund_id: UUID, amount: int
) -> Refunded:
    """Refund part of the captured money, once per refund id.

    Raises PaymentNotFound, PaymentClosed, UnexpectedPaymentState for a payment that is not captured,
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
            reserved = before.reserve_refund(amount)
            refund = refunds.insert_refund(connection, refund_id, reserved, amount)
            if refund is None:
                # A concurrent refund of a different payment uses the same id.
                raise RefundConflict
            saved = payments.save_payment(connection, before, reserved, look_at_seen=before.look_at)
            payment = require_saved(saved)
    refund.require_not_failed()
    if refund.status is RefundStatus.PENDING:
        payment = complete_refund(database, provider, payment, refund)
    return Refunded(refund, payment)


def _require_not_released(payment: Payment) -> None:
    """Raise CaptureFailed if the provider released the money on its own."""
    if payment.is_canceled and not payment.is_closing:
        raise CaptureFailed("authorization_released")
