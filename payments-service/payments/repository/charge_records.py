"""The charge records of the simulated provider.

They stand for data outside the shop: no other table refers to them, and no other module reads them.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Connection, Row, Text, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert

from payments.domain.payments import (
    CANCELED,
    REQUIRES_ACTION,
    REQUIRES_CAPTURE,
    REQUIRES_PAYMENT_METHOD,
    SUCCEEDED,
    Change,
    Charge,
    Payment,
    Refund,
)
from payments.tables import simulated_charges as charges
from payments.tables import simulated_faults, simulated_refunds
from shared.ids import first_id

# The statements of every checkout are built once, because building one takes longer than sending it.
BY_KEY = select(charges).where(charges.c.key == bindparam("charge_key"))
INSERT = insert(charges).on_conflict_do_nothing().returning(charges)
CAPTURE = (
    update(charges)
    .where(
        charges.c.key == bindparam("charge_key"),
        charges.c.decline_code.is_(None),
        ~charges.c.released,
        ~charges.c.awaits_customer,
    )
    .values(amount_captured=charges.c.amount)
    .returning(charges)
)
# Locks charges in the order of their keys, so that concurrent batches cannot deadlock.
CAPTURABLE = (
    select(charges.c.key)
    .where(
        charges.c.key == func.any(bindparam("charge_keys", type_=ARRAY(Text))),
        charges.c.decline_code.is_(None),
        ~charges.c.released,
        ~charges.c.awaits_customer,
    )
    .order_by(charges.c.key)
    .with_for_update()
    .cte("capturable")
)
CAPTURE_BATCH = (
    update(charges)
    .where(charges.c.key == CAPTURABLE.c.key)
    .values(amount_captured=charges.c.amount)
    .returning(charges)
)


def insert_charge(
    connection: Connection, payment: Payment, decline_code: str | None, *, awaits_customer: bool
) -> Charge:
    """Insert a charge unless its key exists; return the stored charge."""
    values = {**_describe(payment), "decline_code": decline_code, "awaits_customer": awaits_customer}
    return _charge_or_find(connection, payment, connection.execute(INSERT, values).first())


def answer_bank(connection: Connection, payment: Payment, decline_code: str | None) -> Charge:
    """Record the customer's answer to the bank; `decline_code` is None for an approval."""
    row = connection.execute(
        update(charges)
        .where(charges.c.key == str(payment.id), charges.c.awaits_customer, ~charges.c.released)
        .values(awaits_customer=False, decline_code=decline_code)
        .returning(charges)
    ).first()
    return _charge_or_find(connection, payment, row)


def capture_charge(connection: Connection, payment: Payment) -> Charge:
    """Capture a charge if its money is held; return the charge."""
    row = connection.execute(CAPTURE, {"charge_key": str(payment.id)}).first()
    return _charge_or_find(connection, payment, row)


def capture_charges(connection: Connection, payments: Iterable[Payment]) -> dict[UUID, Charge]:
    """Capture the charges whose money is held; return them by payment id."""
    keys = [str(payment.id) for payment in payments]
    rows = connection.execute(CAPTURE_BATCH, {"charge_keys": keys})
    return {UUID(row.key): _charge(row) for row in rows}


def release_charge(connection: Connection, payment: Payment) -> Charge:
    """Return all money of a charge; a missing charge is stored as released and can never hold any."""
    row = connection.execute(
        insert(charges)
        .values(**_describe(payment), released=True)
        .on_conflict_do_update(
            index_elements=["key"],
            set_={
                "released": True,
                "awaits_customer": False,
                "amount_refunded": charges.c.amount_captured,
            },
        )
        .returning(charges)
    ).one()
    return _charge(row)


def refund_charge(connection: Connection, payment: Payment, refund: Refund) -> bool:
    """Refund part of a charge, once per refund id; return whether the charge had enough money."""
    key = str(payment.id)
    row = connection.execute(BY_KEY.with_for_update(), {"charge_key": key}).one()
    same_refund = select(simulated_refunds).where(simulated_refunds.c.key == str(refund.id))
    if connection.execute(same_refund).first():
        return True
    if row.released or row.amount_refunded + refund.amount > row.amount_captured:
        return False
    values = {"key": str(refund.id), "charge_key": key, "amount": refund.amount}
    connection.execute(insert(simulated_refunds).values(values))
    refunded = row.amount_refunded + refund.amount
    connection.execute(update(charges).where(charges.c.key == key).values(amount_refunded=refunded))
    return True


def find_charge(connection: Connection, payment: Payment) -> Charge | None:
    """Return the charge of a payment, or None."""
    row = connection.execute(BY_KEY, {"charge_key": str(payment.id)}).first()
    return _charge(row) if row else None


def read_charges(connection: Connection, since: datetime, until: datetime) -> list[Change]:
    """Return the charges of the payments created in this interval; the keys contain the time."""
    first, end = str(first_id(since)), str(first_id(until))
    rows = connection.execute(select(charges).where(charges.c.key >= first, charges.c.key < end))
    return [Change(row.key, UUID(row.key), _charge(row)) for row in rows]


def trigger_fault(connection: Connection, payment: Payment, step: str) -> bool:
    """Return True the first time that a charge reaches this step, so that each fault occurs once."""
    inserted = connection.execute(
        insert(simulated_faults)
        .values(key=str(payment.id), step=step)
        .on_conflict_do_nothing()
        .returning(simulated_faults.c.step)
    )
    return inserted.first() is not None


def _describe(payment: Payment) -> dict[str, Any]:
    return {
        "key": str(payment.id),
        "amount": payment.amount,
        "currency": payment.currency,
        "payment_method": payment.payment_method,
    }


def _charge_or_find(connection: Connection, payment: Payment, row: Row[Any] | None) -> Charge:
    """Return the changed charge, or the stored charge if none was changed."""
    return _charge(row or connection.execute(BY_KEY, {"charge_key": str(payment.id)}).one())


def _charge(row: Row[Any]) -> Charge:
    if row.released:
        status = CANCELED
    elif row.decline_code:
        status = REQUIRES_PAYMENT_METHOD
    elif row.awaits_customer:
        status = REQUIRES_ACTION
    else:
        status = SUCCEEDED if row.amount_captured else REQUIRES_CAPTURE
    # There is no bank, so the customer answers in the shop.
    action = {"type": "confirm", "path": f"/payments/{row.key}/confirm"} if row.awaits_customer else None
    return Charge(status, row.amount_captured, row.amount_refunded, row.decline_code, action)
