"""The payments that customers see and confirm, and the ones that clerks and admins see."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

from payments.clients import Provider
from payments.domain.ledger import LedgerEntry
from payments.domain.payments import REQUIRES_ACTION, REQUIRES_PAYMENT_METHOD, Outcome, Payment
from payments.errors import CardDeclined, PaymentNotFound
from payments.repository import idempotency_keys, ledger, payments
from payments.schemas import PaymentOut
from payments.use_cases.provider_sync import record_charge, require_provider
from shared import context
from shared.context import Caller
from shared.database import Connection, Database
from shared.errors import CONTENT_TYPE, Problem, Unavailable, describe
from shared.idempotency import Answer, IdempotencyInProgress, IdempotencyKeyReused, KeyedCall
from shared.roles import CLERKS


def find_payment(database: Database, caller: Caller, payment_id: UUID) -> Payment:
    """Return a payment of the caller, or any payment for a clerk or an admin; raise PaymentNotFound."""
    with database.autocommit() as connection:
        payment = payments.find_payment(connection, payment_id, customers=_customers_of(caller))
    if payment is None:
        raise PaymentNotFound
    return payment


def list_payments(
    database: Database, caller: Caller, *, before: UUID | None, limit: int
) -> tuple[list[Payment], UUID | None]:
    """Return a page of the caller's payments, newest first, and the id before which the next page begins.

    A clerk or an admin gets all payments.
    """
    with database.autocommit() as connection:
        page = payments.read_payments(
            connection, customers=_customers_of(caller), before=before, limit=limit + 1
        )
    return page[:limit], page[limit - 1].id if len(page) > limit else None


def list_ledger(
    database: Database, *, before: UUID | None, limit: int
) -> tuple[list[LedgerEntry], UUID | None]:
    """Return a page of entries, newest first, and the id before which the next page begins."""
    with database.transaction() as connection:
        page = ledger.read_ledger(connection, before=before, limit=limit + 1)
    return page[:limit], page[limit - 1].id if len(page) > limit else None


@dataclass(frozen=True)
class Confirmed:
    """The response to a confirmation, and whether it is a replay."""

    answer: Answer
    is_replayed: bool = False


def confirm_payment(
    database: Database,
    provider: Provider,
    wake: Callable[[UUID], None],
    caller: Caller,
    payment_id: UUID,
    outcome: Outcome,
    call: KeyedCall,
) -> Confirmed:
    """Confirm a payment that awaits its customer; a retry with the same key gets the same response.

    Raises PaymentNotFound, PaymentClosed, UnexpectedPaymentState if the payment awaits no customer,
    IdempotencyKeyReused, IdempotencyInProgress and ProviderUnavailable. None of them is stored.
    """
    with database.transaction() as connection:
        if caller.guest is not None:
            idempotency_keys.copy_idempotency_keys(connection, caller.guest, caller.sub)
        is_new = idempotency_keys.claim_idempotency_key(connection, call)
        if is_new is None:
            return Confirmed(_find_answer(connection, call), is_replayed=True)
        payment = payments.find_payment(connection, payment_id, customers=caller.subjects)
        if payment is None:
            raise PaymentNotFound
        if is_new:
            payment.require_open()
            payment.require_awaiting_customer()
    require_provider(provider, payment)
    # An earlier call may have confirmed the payment and lost only its response.
    try:
        charge = provider.confirm(payment, outcome) if payment.status is REQUIRES_ACTION else None
    except Unavailable:
        with database.autocommit() as connection:
            idempotency_keys.release_idempotency_key(connection, call)
        raise
    with database.transaction() as connection:
        after = record_charge(connection, payment, charge) if charge else payment
        answer = _render(after)
        idempotency_keys.store_answer(connection, call, answer)
    if after.status is not payment.status:
        wake(after.order_id)
    return Confirmed(answer)


def reassign_payments(database: Database, order_ids: Iterable[UUID], customer: str) -> int:
    """Assign the payments of a guest's orders to the customer; return their number."""
    with database.autocommit() as connection:
        return payments.reassign_payments(connection, order_ids, customer)


def _customers_of(caller: Caller) -> tuple[str, ...] | None:
    """Return the customers whose payments the caller may see; None means all customers."""
    return None if caller.role in CLERKS else caller.subjects


def _find_answer(connection: Connection, call: KeyedCall) -> Answer:
    known = idempotency_keys.find_idempotency_key(connection, call)
    if known is not None and known.fingerprint != call.fingerprint:
        raise IdempotencyKeyReused
    if known is None or known.status is None:
        raise IdempotencyInProgress
    return Answer(known.status, known.content_type, known.body)


def _render(payment: Payment) -> Answer:
    if payment.status is REQUIRES_PAYMENT_METHOD:
        return _render_problem(CardDeclined(payment.id, payment.decline_code))
    return Answer(200, "application/json", PaymentOut.of(payment).model_dump_json().encode())


def _render_problem(problem: Problem) -> Answer:
    work = context.current()
    body = describe(
        problem.status, problem.code, problem.detail, work.request_id if work else None, problem.extra
    )
    return Answer(problem.status, CONTENT_TYPE, json.dumps(body).encode())
