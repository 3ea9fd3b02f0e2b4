"""What payments-service does, a function each.

A provider is asked between two transactions and never inside one. The row is committed as `processing` before
the first question, so that after a crash the question can be asked again under the same key.
"""

import logging
from uuid import UUID

from payments import repository
from payments.clients import Provider
from payments.domain import (
    CANCELED,
    PROCESSING,
    REQUIRES_CAPTURE,
    REQUIRES_PAYMENT_METHOD,
    Charge,
    ClosedOrder,
    LedgerEntry,
    Payment,
    Terms,
    find_movements,
)
from payments.errors import CardDeclined, PaymentClosed, PaymentMethodUnsupported, PaymentNotFound
from shared.database import Database

log = logging.getLogger(__name__)


def authorize_payment(database: Database, provider: Provider, order_id: UUID, terms: Terms) -> Payment:
    """Return the order's only payment, its money held if the bank agrees.

    Raises CardDeclined, PaymentMethodUnsupported, PaymentConflict for other terms than the first time, and
    PaymentClosed if the order was cancelled meanwhile or before.
    """
    if not provider.accepts(terms.payment_method):
        raise PaymentMethodUnsupported
    with database.transaction() as connection:
        repository.insert_payment(connection, order_id, terms, provider.name)
        found = repository.find_payment_of_order(connection, order_id)
    payment = _require_open(found)
    payment.require_terms(terms)
    payment = _require_open(_settle_payment(database, provider, payment))
    if payment.status is REQUIRES_PAYMENT_METHOD:
        raise CardDeclined(payment.id, payment.decline_code)
    return payment


def capture_payment(database: Database, provider: Provider, order_id: UUID) -> Payment:
    """Return the order's payment with its money taken, once.

    Raises PaymentNotFound, PaymentClosed, and UnexpectedPaymentState for a payment that was declined.
    """
    with database.transaction() as connection:
        found = repository.find_payment_of_order(connection, order_id)
    payment = _require_open(_settle_payment(database, provider, _require_open(found)))
    if payment.status is REQUIRES_CAPTURE:
        payment = _require_open(_record_charge(database, payment, provider.capture(payment)))
    payment.require_captured()
    return payment


def cancel_payment(database: Database, provider: Provider, order_id: UUID) -> Payment | ClosedOrder:
    """Return the order's payment with all money given back, or the order closed if it had none."""
    with database.transaction() as connection:
        repository.close_order(connection, order_id)
        found = repository.find_payment_of_order(connection, order_id)
    if not isinstance(found, Payment):
        return ClosedOrder(order_id)
    # A payment in `processing` may or may not have reached the provider. Asking again makes sure that it has,
    # and that nobody who asked before can still be holding money after this.
    payment = _settle_payment(database, provider, found)
    if payment.status is not CANCELED:
        payment = _record_charge(database, payment, provider.release(payment))
    payment.require_canceled()
    return payment


def find_payment(database: Database, payment_id: UUID, *, customer: str | None) -> Payment:
    """Return the payment; raise PaymentNotFound unless it is this customer's. None stands for anybody's."""
    with database.transaction() as connection:
        payment = repository.find_payment(connection, payment_id, customer=customer)
    if payment is None:
        raise PaymentNotFound
    return payment


def list_payments(
    database: Database, *, customer: str | None, before: UUID | None, limit: int
) -> tuple[list[Payment], UUID | None]:
    """Return a page of payments, newest first, and the id before which the next page begins, if any."""
    with database.transaction() as connection:
        page = repository.read_payments(connection, customer=customer, before=before, limit=limit + 1)
    return page[:limit], page[limit - 1].id if len(page) > limit else None


def list_ledger(
    database: Database, *, before: UUID | None, limit: int
) -> tuple[list[LedgerEntry], UUID | None]:
    """Return a page of entries, newest first, and the id before which the next page begins, if any."""
    with database.transaction() as connection:
        page = repository.read_ledger(connection, before=before, limit=limit + 1)
    return page[:limit], page[limit - 1].id if len(page) > limit else None


def _settle_payment(database: Database, provider: Provider, payment: Payment) -> Payment:
    """Get the provider's answer to a payment that has none yet: the first time, or after a crash."""
    if payment.status is not PROCESSING:
        return payment
    return _record_charge(database, payment, provider.authorize(payment))


def _record_charge(database: Database, payment: Payment, charge: Charge) -> Payment:
    """Bring our payment to where the provider's charge stands, and book what moved, in one transaction."""
    with database.transaction() as connection:
        before = repository.lock_payment(connection, payment.id)
        after = before.follow(charge)
        if after != before:
            repository.save_payment(connection, after)
        for movement in find_movements(before, after):
            repository.book_movement(connection, after, movement)
    if after != before:
        log.info("The payment is %s", after.status, extra={"payment.id": str(after.id)})
    return after


def _require_open(found: Payment | ClosedOrder | None) -> Payment:
    if found is None:
        raise PaymentNotFound
    if isinstance(found, ClosedOrder) or found.status is CANCELED:
        raise PaymentClosed
    return found
