"""Counts and ages of orders, for metrics."""

from sqlalchemy import Connection, extract, func, select

from orders.domain import Status
from orders.tables import orders, refunds

UNFINISHED = (Status.PENDING, Status.AWAITING_PAYMENT, Status.CONFIRMED)


def count_orders(connection: Connection) -> dict[str, int]:
    """Return the number of orders by status."""
    counted = select(orders.c.status, func.count()).group_by(orders.c.status)
    return dict(iter(connection.execute(counted)))


def read_oldest_orders(connection: Connection) -> dict[str, float]:
    """Return the age in seconds of the oldest order of each unfinished status."""
    oldest = (
        select(orders.c.status, extract("epoch", func.now() - func.min(orders.c.created_at)))
        .where(orders.c.status.in_(UNFINISHED))
        .group_by(orders.c.status)
    )
    return {status: float(age) for status, age in connection.execute(oldest)}


def read_oldest_refund(connection: Connection) -> float:
    """Return the age in seconds of the oldest pending refund; 0 without one."""
    oldest = select(extract("epoch", func.now() - func.min(refunds.c.created_at)))
    return float(connection.execute(oldest.where(refunds.c.status == "pending")).scalar() or 0)
