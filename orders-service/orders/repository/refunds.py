"""Refunds, recorded before payments-service is called."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects.postgresql import insert

from orders.domain import Refund
from orders.tables import refunds

COLUMNS = [refunds.c.id, refunds.c.order_id, refunds.c.amount, refunds.c.restock, refunds.c.actor]


def insert_refund(connection: Connection, refund: Refund) -> None:
    """Add a pending refund."""
    connection.execute(insert(refunds).values(vars(refund)))


def read_pending_refund(connection: Connection, order_id: UUID) -> Refund:
    """Return the order's pending refund, which exists while its next step is to refund."""
    query = select(*COLUMNS).where(refunds.c.order_id == order_id, refunds.c.status == "pending")
    return Refund(**connection.execute(query).one()._mapping)


def finish_refund(connection: Connection, refund: Refund, status: str, error: str | None = None) -> None:
    """Record the result of a refund."""
    values: dict[str, Any] = {"status": status, "error": error, "updated_at": func.now()}
    connection.execute(update(refunds).where(refunds.c.id == refund.id).values(values))
