"""Refunds, by the caller's own ids."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.dialects.postgresql import insert

from payments.domain import Payment, Refund, RefundStatus
from payments.tables import refunds


def find_refund(connection: Connection, refund_id: UUID) -> Refund | None:
    """Return the refund of that id."""
    row = connection.execute(select(refunds).where(refunds.c.id == refund_id)).first()
    return _refund(row) if row else None


def insert_refund(connection: Connection, refund_id: UUID, payment: Payment, amount: int) -> Refund | None:
    """Begin a refund, unless there is one of that id."""
    values = {"id": refund_id, "payment_id": payment.id, "amount": amount, "status": RefundStatus.PENDING}
    row = connection.execute(
        insert(refunds).values(values).on_conflict_do_nothing().returning(refunds)
    ).first()
    return _refund(row) if row else None


def finish_refund(
    connection: Connection, refund_id: UUID, status: RefundStatus, decline_code: str | None
) -> bool:
    """Note what became of a refund; tell whether that was not known yet."""
    done = connection.execute(
        update(refunds)
        .where(refunds.c.id == refund_id, refunds.c.status == RefundStatus.PENDING)
        .values(status=status, decline_code=decline_code, updated_at=func.now())
    )
    return done.rowcount == 1


def read_pending_refunds(connection: Connection, payment_id: UUID) -> list[Refund]:
    """Return the payment's refunds that have no answer yet."""
    query = select(refunds).where(
        refunds.c.payment_id == payment_id, refunds.c.status == RefundStatus.PENDING
    )
    return [_refund(row) for row in connection.execute(query)]


def _refund(row: Row[Any]) -> Refund:
    return Refund(**{**row._mapping, "status": RefundStatus(row.status)})
