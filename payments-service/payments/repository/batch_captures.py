"""Captures of many payments by one statement."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Connection,
    Text,
    Uuid,
    bindparam,
    case,
    column,
    func,
    literal,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from payments.domain.ledger import Account
from payments.domain.payments import REQUIRES_CAPTURE, SUCCEEDED, ClosedOrder, Payment
from payments.repository.payments import to_payment_or_closed
from payments.tables import MOMENT, ledger_entries, payments

BY_ORDERS = select(payments).where(payments.c.order_id == func.any(bindparam("order_ids", type_=ARRAY(Uuid))))
CAPTURED = (
    func.unnest(bindparam("ids", type_=ARRAY(Uuid)), bindparam("look_at_seen", type_=ARRAY(MOMENT)))
    .table_valued(column("id", Uuid), column("look_at", MOMENT), joins_implicitly=True)
    .render_derived(name="captured")
)
# Locks payments in the order of their ids, so that concurrent batches cannot deadlock.
CAPTURABLE = (
    select(payments.c.id)
    .where(
        payments.c.id == func.any(bindparam("ids", type_=ARRAY(Uuid))),
        payments.c.status == REQUIRES_CAPTURE,
        ~payments.c.is_closing,
    )
    .order_by(payments.c.id)
    .with_for_update(key_share=True)
    .cte("capturable")
)
CAPTURE = (
    update(payments)
    .where(payments.c.id == CAPTURABLE.c.id, payments.c.id == CAPTURED.c.id)
    .values(
        status=SUCCEEDED,
        amount_captured=payments.c.amount,
        look_at=case(
            (payments.c.look_at.is_not_distinct_from(CAPTURED.c.look_at), null()), else_=payments.c.look_at
        ),
        updated_at=func.now(),
    )
    .returning(payments.c.id, payments.c.currency, payments.c.amount)
    .cte("saved")
)
INSERT_ENTRIES = insert(ledger_entries).from_select(
    ["payment_id", "currency", "amount", "movement", "debit", "credit"],
    select(
        CAPTURE.c.id,
        CAPTURE.c.currency,
        CAPTURE.c.amount,
        literal("capture", Text),
        literal(Account.RECEIVABLE.value, Text),
        literal(Account.SALES.value, Text),
    ),
)
CAPTURE_WITH_ENTRIES = select(CAPTURE.c.id).add_cte(INSERT_ENTRIES.cte("entries"))


def read_payments_of_orders(
    connection: Connection, order_ids: Iterable[UUID]
) -> dict[UUID, Payment | ClosedOrder]:
    """Return the payments of these orders, or ClosedOrder, by order id."""
    rows = connection.execute(BY_ORDERS, {"order_ids": list(order_ids)})
    return {row.order_id: to_payment_or_closed(row) for row in rows}


def save_captures(connection: Connection, captured: Iterable[Payment]) -> set[UUID]:
    """Save full captures with their ledger entries; return the ids of the payments that were capturable.

    A check that was scheduled since the caller read a payment is kept.
    """
    batch = list(captured)
    values = {
        "ids": [payment.id for payment in batch],
        "look_at_seen": [payment.look_at for payment in batch],
    }
    return set(connection.execute(CAPTURE_WITH_ENTRIES, values).scalars())
