"""Refunds, under the caller's ids."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.dialects.postgresql import insert

from payments.domain.payments import Payment, Refund, RefundStatus
from payments.tables import refunds


def find_refund(connection: Connection, refund_id: UUID) -> Refund | None:
    """Return the refund with this id, or None."""
    row = connection.execute(select(refunds).where(refunds.c.id == refund_id)).first()
    return _refund(row) if row else None


def insert_refund(connection: Connection, refund_id: UUID, payment: Payment, amount: int) -> Refund | None:
    """Insert a pending refund; return None if its id exists."""
    values = {"id": refund_id, "payment_id": payment.id, "amount": amount, "status": RefundStatus.PENDING}
    row = connection.execute(
        insert(refunds).values(values).on_conflict_do_nothing().returning(refunds)
    ).first()
    return _refund(row) if row else None


def finish_refund(
    connection: Connection, refund_id: UUID, status: RefundStatus, decline_code: str | None
) -> bool:
    """Record the result of a refund; return whether the refund was still pending."""
    done = connection.execute(
        update(refunds)
        .where(refunds.c.id == refund_id, refunds.c.status == RefundStatus.PENDING)
        .values(status=status, decline_code=decline_code, updated_at=func.now())
    )
    return done.rowcount == 1


def read_pending_refunds(connection: Connection, payment_id: UUID) -> list[Refund]:
    """Return the pending refunds of a payment."""
    query = select(refunds).where(
        refunds.c.payment_id == payment_id, refunds.c.status == RefundStatus.PENDING
    )
    return [_refund(row) for row in connection.execute(query)]


def _refund(row: Row[Any]) -> Refund:
    return Refund(**{**row._mapping, "status": RefundStatus(row.status)})
