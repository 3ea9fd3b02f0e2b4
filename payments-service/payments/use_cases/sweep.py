"""What is done without being asked: events are heard, loose ends taken up, two books compared."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from payments.clients import Provider
from payments.domain import REQUIRES_ACTION, REQUIRES_CAPTURE, SUCCEEDED, Change, Payment
from payments.repository import jobs, keys, payments
from payments.use_cases.records import look_at
from shared.database import Database
from shared.errors import Problem

log = logging.getLogger(__name__)

RECONCILE_EVERY = timedelta(minutes=1)
# What is younger may still be on its way from one book into the other.
YOUNGEST = timedelta(seconds=30)
# A window holds no more than this, so that after a long night one round stays one round.
LONGEST = timedelta(minutes=15)

FORGET_EVERY = timedelta(hours=1)
KEYS_LAST = timedelta(hours=48)
EVENTS_LAST = timedelta(days=30)


def take_notice(
    database: Database, event_id: str, *, reference: str | None = None, payment_id: UUID | None = None
) -> bool:
    """Have the payment looked at that an event is about; tell whether there is something to do.

    An event says only that something happened: how things stand is asked, and so its order does not matter.
    """
    with database.transaction() as connection:
        if not jobs.insert_event(connection, event_id):
            return False
        found = payments.ask_for_look(connection, reference=reference, ids=[payment_id] if payment_id else [])
    return found > 0


def look_after_payments(database: Database, provider: Provider, wake: Callable[[UUID], None]) -> None:
    """Take up every payment that was left in the middle of something, or that an event was about."""
    while True:
        with database.autocommit() as connection:
            payment = payments.claim_due_payment(connection, provider.name)
        if payment is None:
            return
        try:
            after = look_at(database, provider, payment)
        except Problem as problem:
            # It stays claimed for a while, and is looked at again then.
            log.warning("A payment could not be settled: %s", problem.code, extra=_ids(payment))
            continue
        if after.status is not payment.status:
            log.info("The payment is %s", after.status, extra=_ids(after))
            wake(after.order_id)


def reconcile(database: Database, provider: Provider) -> None:
    """Compare the provider's book with ours for the time since the last round, and look at what differs."""
    with database.autocommit() as connection:
        claim = jobs.claim_job(connection, "reconcile", every=RECONCILE_EVERY)
    if claim is None:
        return
    position, settled = claim.position, claim.now - YOUNGEST
    until = min(settled, position + LONGEST)
    if until <= position:
        return
    theirs: dict[tuple[UUID, str], Change] = {}
    for change in list(provider.read_changes(position, until)):
        if change.payment_id is None:
            _report("The provider has a charge that is not ours", change)
        else:
            # The newest comes first.
            theirs.setdefault((change.payment_id, change.reference), change)
    named = {payment_id for payment_id, _reference in theirs}
    with database.transaction() as connection:
        ours = payments.read_payments_by_id(connection, named)
        charged = payments.read_charged(connection, provider.name, position, until)
    different = {
        payment_id
        for (payment_id, _reference), change in theirs.items()
        if _differs(provider, change, ours.get(payment_id), settled)
    }
    with database.transaction() as connection:
        payments.ask_for_look(connection, ids=different | (charged - named))
        jobs.move_job(connection, "reconcile", until)


def forget(database: Database) -> None:
    """Delete keys and events that nobody will repeat any more."""
    with database.transaction() as connection:
        if jobs.claim_job(connection, "forget", every=FORGET_EVERY) is not None:
            keys.forget_keys(connection, KEYS_LAST)
            jobs.forget_events(connection, EVENTS_LAST)


def _differs(provider: Provider, change: Change, payment: Payment | None, settled: datetime) -> bool:
    """Tell whether a charge may say something that its payment, untouched since `settled`, does not know."""
    if payment is None:
        _report("The provider has a charge of a payment that is not there", change)
        return False
    if change.reference != (payment.provider_reference or str(payment.id)):
        _release_stray(provider, change, payment)
        return False
    if payment.updated_at > settled:
        return False
    try:
        is_behind = payment.follow(change.charge) != payment
    except Problem:
        return True
    return is_behind or (payment.is_canceled and not change.charge.is_given_back)


def _release_stray(provider: Provider, change: Change, payment: Payment) -> None:
    """Give back what a second charge of a payment holds or took: only the one that we know is asked for."""
    if (
        change.charge.status in {REQUIRES_ACTION, REQUIRES_CAPTURE, SUCCEEDED}
        and not change.charge.is_given_back
    ):
        _report("The provider has a second charge of a payment, which is released", change, payment)
        provider.release(replace(payment, provider_reference=change.reference))


def _report(message: str, change: Change, payment: Payment | None = None) -> None:
    about = {"payment.reference": change.reference, "payment.provider_status": str(change.charge.status)}
    log.warning(message, extra={**about, **(_ids(payment) if payment else {})})


def _ids(payment: Payment) -> dict[str, str]:
    return {"payment.id": str(payment.id), "order.id": str(payment.order_id)}
