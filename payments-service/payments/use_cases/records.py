"""How the provider's answers come into our books. All else in `use_cases` stands on this."""

import logging
from datetime import datetime

from payments.clients import Provider
from payments.domain import (
    PROCESSING,
    REQUIRES_ACTION,
    Charge,
    ClosedOrder,
    Payment,
    Refund,
    RefundStatus,
    find_movements,
)
from payments.errors import PaymentClosed, PaymentNotFound, ProviderUnavailable, RefundFailed
from payments.repository import payments, refunds
from shared import context
from shared.database import Connection, Database

log = logging.getLogger(__name__)


def settle_payment(database: Database, provider: Provider, payment: Payment) -> Payment:
    """Get the provider's answer to a payment that has none yet: the first time, or after a crash."""
    require_provider(provider, payment)
    if payment.status is not PROCESSING:
        return payment

    def remember(reference: str) -> str:
        with database.autocommit() as connection:
            kept = payments.save_reference(connection, payment.id, reference)
        if kept is None:
            raise PaymentClosed
        return kept

    charge = provider.authorize(payment, remember)
    with database.autocommit() as connection:
        return record_charge(connection, payment, charge)


def record_charge(connection: Connection, seen: Payment, charge: Charge) -> Payment:
    """Bring our payment to where the provider's charge stands, and book what moved.

    `seen` is the payment as it was before the provider was asked.
    """
    before = seen
    while True:
        after = _save(connection, before, before.follow(charge), look_seen=seen.look_at)
        if after is not None:
            return after
        # Somebody else changed it while the provider was asked.
        before = payments.read_payment(connection, seen.id)


def settle_refund(database: Database, provider: Provider, payment: Payment, refund: Refund) -> Payment:
    """Get the provider's answer to a refund that has none yet; raise RefundFailed if it is no."""
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
            saved = _save(connection, before, finished, look_seen=before.look_at, refund=refund)
            after = require_saved(saved)
        else:
            after = before
    if failure:
        raise failure
    return after


def cancel(database: Database, provider: Provider, payment: Payment) -> Payment:
    """Give back all money of a payment that is closing: what is held, or what is left of what was taken."""
    require_provider(provider, payment)
    for refund in _read_pending(database, payment):
        try:
            settle_refund(database, provider, payment, refund)
        except RefundFailed:
            log.info("The release returns the money of a failed refund too", extra=_ids(payment))
        with database.transaction() as connection:
            # The refund has set another time for a look, which the release makes needless.
            payment = payments.read_payments_by_id(connection, [payment.id])[payment.id]
    charge = provider.release(payment)
    with database.autocommit() as connection:
        canceled = record_charge(connection, payment, charge)
    if not canceled.is_canceled:
        raise ProviderUnavailable
    return canceled


def look_at(database: Database, provider: Provider, payment: Payment) -> Payment:
    """Find out how a payment stands, whatever it was left at, and finish what was begun."""
    if payment.is_closing and not payment.is_canceled:
        return cancel(database, provider, payment)
    if payment.status is PROCESSING:
        return settle_payment(database, provider, payment)
    for refund in _read_pending(database, payment):
        try:
            settle_refund(database, provider, payment, refund)
        except RefundFailed:
            log.info("The provider refused the refund", extra={**_ids(payment), "refund.id": str(refund.id)})
    charge = provider.find(payment)
    if charge is None:
        log.warning("The provider does not know this payment", extra=_ids(payment))
        charge = Charge(payment.status)
    elif payment.is_canceled and not charge.is_given_back:
        log.warning("The provider still had money of a canceled payment", extra=_ids(payment))
        charge = provider.release(payment)
    with database.autocommit() as connection:
        after = record_charge(connection, payment, charge)
    if payment.status not in {REQUIRES_ACTION, after.status}:
        log.warning("The provider moved a payment without having been asked", extra=_ids(payment))
    return after


def require_payment(found: Payment | ClosedOrder | None) -> Payment:
    """Return the payment of an order; raise PaymentNotFound, or PaymentClosed if it may take no step."""
    if found is None:
        raise PaymentNotFound
    if isinstance(found, ClosedOrder):
        raise PaymentClosed
    found.require_open()
    return found


def require_saved(saved: Payment | None) -> Payment:
    """Return a locked payment that was saved; raise RuntimeError, so that the whole transaction is undone."""
    if saved is None:
        raise RuntimeError("A locked payment is not any more as it was read.")
    return saved


def require_provider(provider: Provider, payment: Payment) -> None:
    """Raise ProviderUnavailable for a payment that another provider has, from before this one was chosen."""
    if payment.provider != provider.name:
        raise ProviderUnavailable(
            f"The payment is with the provider {payment.provider}, which is not in use."
        )


def _read_pending(database: Database, payment: Payment) -> list[Refund]:
    if not payment.amount_refunding:
        return []
    with database.autocommit() as connection:
        return refunds.read_pending_refunds(connection, payment.id)


def _save(
    connection: Connection,
    before: Payment,
    after: Payment,
    *,
    look_seen: datetime | None,
    refund: Refund | None = None,
) -> Payment | None:
    """Write a payment and book what moved; None if it is not any more as it was before."""
    movements = find_movements(before, after, refund)
    saved = payments.save_payment(connection, before, after, movements, seen=look_seen)
    if saved is not None and saved.status != before.status:
        context.bind({"payment.id": str(saved.id), "payment.status": saved.status})
    return saved


def _ids(payment: Payment) -> dict[str, str]:
    return {"payment.id": str(payment.id), "order.id": str(payment.order_id)}
