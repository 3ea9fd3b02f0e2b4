"""Calls to the provider, and the recording of their results. The other use cases build on this module."""

import logging
from datetime import datetime

from payments.clients import Provider
from payments.domain.ledger import find_movements
from payments.domain.payments import (
    PROCESSING,
    REQUIRES_ACTION,
    Charge,
    ClosedOrder,
    Payment,
    Refund,
    RefundStatus,
)
from payments.errors import PaymentClosed, PaymentNotFound, ProviderUnavailable, RefundFailed
from payments.repository import payments, refunds
from shared import context
from shared.database import Connection, Database

log = logging.getLogger(__name__)


def complete_authorization(database: Database, provider: Provider, payment: Payment) -> Payment:
    """Authorize a payment that has no result yet, also after a crash; return other payments unchanged."""
    require_provider(provider, payment)
    if payment.status is not PROCESSING:
        return payment

    def save_reference(reference: str) -> str:
        with database.autocommit() as connection:
            saved = payments.save_reference(connection, payment.id, reference)
        if saved is None:
            raise PaymentClosed
        return saved

    charge = provider.authorize(payment, save_reference)
    with database.autocommit() as connection:
        return record_charge(connection, payment, charge)


def record_charge(connection: Connection, seen: Payment, charge: Charge) -> Payment:
    """Update our payment to the provider's charge, and add the ledger entries.

    `seen` is the payment before the call to the provider.
    """
    before = seen
    while True:
        after = _save(connection, before, before.follow(charge), look_at_seen=seen.look_at)
        if after is not None:
            return after
        # A concurrent request has changed the payment.
        before = payments.read_payment(connection, seen.id)


def complete_refund(database: Database, provider: Provider, payment: Payment, refund: Refund) -> Payment:
    """Make a pending refund and record its result; raise RefundFailed if the provider refuses it."""
    require_provider(provider, payment)
    failure: RefundFailed | None = None
    try:
        provider.refund(payment, refund)
    except RefundFailed as error:
        failure = error
    with database.transaction() as connection:
        before = payments.lock_payment(connection, payment.id)
        status = RefundStatus.FAILED if failure else RefundStatus.SUCCEEDED
        code = failure.decline_code if failure else None
        if refunds.finish_refund(connection, refund.id, status, code):
            finished = before.finish_refund(refund.amount, succeeded=failure is None)
            saved = _save(connection, before, finished, look_at_seen=before.look_at, refund=refund)
            after = require_saved(saved)
        else:
            after = before
    if failure:
        raise failure
    return after


def complete_cancel(database: Database, provider: Provider, payment: Payment) -> Payment:
    """Return all held or captured money of a closing payment, after its pending refunds."""
    require_provider(provider, payment)
    for refund in _read_pending_refunds(database, payment):
        try:
            complete_refund(database, provider, payment, refund)
        except RefundFailed:
            log.info("The cancel returns the money of the failed refund", extra=log_fields(payment))
        with database.transaction() as connection:
            # The refund has scheduled a new check, which the cancel makes unnecessary.
            payment = payments.read_payments_by_id(connection, [payment.id])[payment.id]
    charge = provider.release(payment)
    with database.autocommit() as connection:
        canceled = record_charge(connection, payment, charge)
    if not canceled.is_canceled:
        raise ProviderUnavailable
    return canceled


def sync_payment(database: Database, provider: Provider, payment: Payment) -> Payment:
    """Finish the interrupted steps of a payment, and update it to the provider's charge."""
    if payment.is_closing and not payment.is_canceled:
        return complete_cancel(database, provider, payment)
    if payment.status is PROCESSING:
        return complete_authorization(database, provider, payment)
    for refund in _read_pending_refunds(database, payment):
        try:
            complete_refund(database, provider, payment, refund)
        except RefundFailed:
            log.info(
                "The provider refused the refund", extra={**log_fields(payment), "refund.id": str(refund.id)}
            )
    charge = provider.find(payment)
    if charge is None:
        log.warning("The provider does not know this payment", extra=log_fields(payment))
        charge = Charge(payment.status)
    elif payment.is_canceled and not charge.is_released:
        log.warning("The provider still had money of a canceled payment", extra=log_fields(payment))
        charge = provider.release(payment)
    with database.autocommit() as connection:
        after = record_charge(connection, payment, charge)
    if payment.status not in {REQUIRES_ACTION, after.status}:
        log.warning("The provider changed a payment without a request", extra=log_fields(payment))
    return after


def require_payment(found: Payment | ClosedOrder | None) -> Payment:
    """Return the payment of an order; raise PaymentNotFound, or PaymentClosed if it is closed."""
    if found is None:
        raise PaymentNotFound
    if isinstance(found, ClosedOrder):
        raise PaymentClosed
    found.require_open()
    return found


def require_saved(saved: Payment | None) -> Payment:
    """Return a payment that was saved under a lock; raise RuntimeError, which rolls the transaction back."""
    if saved is None:
        raise RuntimeError("A locked payment changed before it was saved.")
    return saved


def require_provider(provider: Provider, payment: Payment) -> None:
    """Raise ProviderUnavailable for a payment that began with a different provider."""
    if payment.provider != provider.name:
        raise ProviderUnavailable(
            f"The payment belongs to the provider {payment.provider}, which is not in use."
        )


def log_fields(payment: Payment) -> dict[str, str]:
    """Return the ids of a payment as fields of a log record."""
    return {"payment.id": str(payment.id), "order.id": str(payment.order_id)}


def _read_pending_refunds(database: Database, payment: Payment) -> list[Refund]:
    if not payment.amount_refunding:
        return []
    with database.autocommit() as connection:
        return refunds.read_pending_refunds(connection, payment.id)


def _save(
    connection: Connection,
    before: Payment,
    after: Payment,
    *,
    look_at_seen: datetime | None,
    refund: Refund | None = None,
) -> Payment | None:
    """Save a payment with its ledger entries; return None if the stored payment differs from `before`."""
    movements = find_movements(before, after, refund)
    saved = payments.save_payment(connection, before, after, movements, look_at_seen=look_at_seen)
    if saved is not None and saved.status != before.status:
        context.bind({"payment.id": str(saved.id), "payment.status": saved.status})
    return saved
