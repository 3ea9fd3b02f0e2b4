"""Background work: events, interrupted payments, reconciliation with the provider, and old rows."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from payments.clients import Provider
from payments.domain.payments import REQUIRES_ACTION, REQUIRES_CAPTURE, SUCCEEDED, Change, Payment
from payments.repository import idempotency_keys, jobs, payments
from payments.use_cases.provider_sync import log_fields, sync_payment
from shared.database import Database
from shared.errors import Problem

log = logging.getLogger(__name__)

RECONCILE_EVERY = timedelta(minutes=1)
# Younger charges and payments may not have reached both sides yet.
RECONCILE_AGE = timedelta(seconds=30)
# The largest interval of one round, so that a round after a long downtime stays short.
RECONCILE_WINDOW = timedelta(minutes=15)

DELETE_EVERY = timedelta(hours=1)
KEYS_KEPT_FOR = timedelta(hours=48)
EVENTS_KEPT_FOR = timedelta(days=30)


def handle_event(
    database: Database, event_id: str, *, reference: str | None = None, payment_id: UUID | None = None
) -> bool:
    """Schedule a check of the payment that an event concerns; return whether there is one.

    An event is only a hint. The check reads the current charge, so the order of events does not matter.
    """
    with database.transaction() as connection:
        if not jobs.insert_event(connection, event_id):
            return False
        ids = [payment_id] if payment_id else []
        return payments.schedule_checks(connection, reference=reference, ids=ids) > 0


def check_due_payments(database: Database, provider: Provider, wake: Callable[[UUID], None]) -> None:
    """Check every payment whose check is due, after an interruption or an event."""
    while True:
        with database.autocommit() as connection:
            payment = payments.claim_due_payment(connection, provider.name)
        if payment is None:
            return
        try:
            after = sync_payment(database, provider, payment)
        except Problem as problem:
            # The claim has postponed the next check.
            log.warning("A payment could not be checked: %s", problem.code, extra=log_fields(payment))
            continue
        if after.status is not payment.status:
            log.info("The payment is %s", after.status, extra=log_fields(after))
            wake(after.order_id)


def reconcile(database: Database, provider: Provider) -> None:
    """Compare the provider's charges since the last round with our payments; check those that differ."""
    with database.autocommit() as connection:
        claim = jobs.claim_job(connection, "reconcile", every=RECONCILE_EVERY)
    if claim is None:
        return
    position, cutoff = claim.position, claim.now - RECONCILE_AGE
    until = min(cutoff, position + RECONCILE_WINDOW)
    if until <= position:
        return
    changes: dict[tuple[UUID, str], Change] = {}
    for change in list(provider.read_changes(position, until)):
        if change.payment_id is None:
            _report("The provider has a charge without a payment id", change)
        else:
            # The newest change comes first.
            changes.setdefault((change.payment_id, change.reference), change)
    named = {payment_id for payment_id, _reference in changes}
    with database.transaction() as connection:
        ours = payments.read_payments_by_id(connection, named)
        charged = payments.read_charged_ids(connection, provider.name, position, until)
    different = {
        payment_id
        for (payment_id, _reference), change in changes.items()
        if _differs(provider, change, ours.get(payment_id), cutoff)
    }
    with database.transaction() as connection:
        payments.schedule_checks(connection, ids=different | (charged - named))
        jobs.move_job(connection, "reconcile", until)


def delete_old_rows(database: Database) -> None:
    """Delete idempotency keys and events that are too old to be sent again."""
    with database.transaction() as connection:
        if jobs.claim_job(connection, "forget", every=DELETE_EVERY) is not None:
            idempotency_keys.delete_idempotency_keys(connection, KEYS_KEPT_FOR)
            jobs.delete_events(connection, EVENTS_KEPT_FOR)


def _differs(provider: Provider, change: Change, payment: Payment | None, cutoff: datetime) -> bool:
    """Return whether a payment that is unchanged since `cutoff` may differ from its charge."""
    if payment is None:
        _report("The provider has a charge of an unknown payment", change)
        return False
    if change.reference != (payment.provider_reference or str(payment.id)):
        _release_stray(provider, change, payment)
        return False
    if payment.updated_at > cutoff:
        return False
    try:
        is_behind = payment.follow(change.charge) != payment
    except Problem:
        return True
    return is_behind or (payment.is_canceled and not change.charge.is_released)


def _release_stray(provider: Provider, change: Change, payment: Payment) -> None:
    """Release the money of a second charge; a payment stores the reference of only one charge."""
    if (
        change.charge.status in {REQUIRES_ACTION, REQUIRES_CAPTURE, SUCCEEDED}
        and not change.charge.is_released
    ):
        _report("The provider has a second charge of a payment; releasing it", change, payment)
        provider.release(replace(payment, provider_reference=change.reference))


def _report(message: str, change: Change, payment: Payment | None = None) -> None:
    about = {"payment.reference": change.reference, "payment.provider_status": str(change.charge.status)}
    log.warning(message, extra={**about, **(log_fields(payment) if payment else {})})
