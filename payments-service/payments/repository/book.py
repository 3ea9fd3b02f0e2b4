"""The book of the simulated provider. Nothing of ours refers to it: a real provider's is elsewhere."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Connection, Row, Text, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert

from payments.domain import (
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

# What every checkout sends is built once: building a statement takes longer than sending it.
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
# Many at once, locked in the order of their keys, so that no two who do the same wait for each other.
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
CAPTURE_TOGETHER = (
    update(charges)
    .where(charges.c.key == CAPTURABLE.c.key)
    .values(amount_captured=charges.c.amount)
    .returning(charges)
)


def insert_charge(
    connection: Connection, payment: Payment, decline_code: str | None, *, awaits_customer: bool
) -> Charge:
    """Write a charge into the book, unless that key has one; return the one it has."""
    values = {**_describe(payment), "decline_code": decline_code, "awaits_customer": awaits_customer}
    return _charge_or_read(connection, payment, connection.execute(INSERT, values).first())


def answer_bank(connection: Connection, payment: Payment, decline_code: str | None) -> Charge:
    """End a charge's waiting for its customer."""
    row = connection.execute(
        update(charges)
        .where(charges.c.key == str(payment.id), charges.c.awaits_customer, ~charges.c.released)
        .values(awaits_customer=False, decline_code=decline_code)
        .returning(charges)
    ).first()
    return _charge_or_read(connection, payment, row)


def capture_charge(connection: Connection, payment: Payment) -> Charge:
    """Take the money of a charge, if it is held."""
    row = connection.execute(CAPTURE, {"charge_key": str(payment.id)}).first()
    return _charge_or_read(connection, payment, row)


def capture_charges(connection: Connection, payments: Iterable[Payment]) -> dict[UUID, Charge]:
    """Take the money of charges that hold it; return those, by the payment's id."""
    keys = [str(payment.id) for payment in payments]
    rows = connection.execute(CAPTURE_TOGETHER, {"charge_keys": keys})
    return {UUID(row.key): _charge(row) for row in rows}


def release_charge(connection: Connection, payment: Payment) -> Charge:
    """Give back what a charge holds or took; one that is not there will not hold anything any more."""
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
    """Give a part back, once for a refund; tell whether that was possible."""
    key = str(payment.id)
    row = connection.execute(BY_KEY.with_for_update(), {"charge_key": key}).one()
    known = select(simulated_refunds).where(simulated_refunds.c.key == str(refund.id))
    if connection.execute(known).first():
        return True
    if row.released or row.amount_refunded + refund.amount > row.amount_captured:
        return False
    values = {"key": str(refund.id), "charge_key": key, "amount": refund.amount}
    connection.execute(insert(simulated_refunds).values(values))
    refunded = row.amount_refunded + refund.amount
    connection.execute(update(charges).where(charges.c.key == key).values(amount_refunded=refunded))
    return True


def find_charge(connection: Connection, payment: Payment) -> Charge | None:
    """Return a charge as it stands, if there is one."""
    row = connection.execute(BY_KEY, {"charge_key": str(payment.id)}).first()
    return _charge(row) if row else None


def read_charges(connection: Connection, since: datetime, until: datetime) -> list[Change]:
    """Return the charges that were asked for in this time, which their keys tell."""
    first, end = str(first_id(since)), str(first_id(until))
    rows = connection.execute(select(charges).where(charges.c.key >= first, charges.c.key < end))
    return [Change(row.key, UUID(row.key), _charge(row)) for row in rows]


def show_fault(connection: Connection, payment: Payment, step: str) -> bool:
    """Tell whether a fault at this step of a charge has its turn: it has one."""
    shown = connection.execute(
        insert(simulated_faults)
        .values(key=str(payment.id), step=step)
        .on_conflict_do_nothing()
        .returning(simulated_faults.c.step)
    )
    return shown.first() is not None


def _describe(payment: Payment) -> dict[str, Any]:
    return {
        "key": str(payment.id),
        "amount": payment.amount,
        "currency": payment.currency,
        "payment_method": payment.payment_method,
    }


def _charge_or_read(connection: Connection, payment: Payment, row: Row[Any] | None) -> Charge:
    """Return the charge that was changed, or the one that stands as it was."""
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
    # The customer answers at the shop itself, as there is no bank.
    action = {"type": "confirm", "path": f"/payments/{row.key}/confirm"} if row.awaits_customer else None
    return Charge(status, row.amount_captured, row.amount_refunded, row.decline_code, action)
