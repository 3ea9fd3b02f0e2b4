"""Payments in numbers."""

from sqlalchemy import Connection, extract, func, select

from payments.domain import PROCESSING
from payments.repository.payments import IS_PAYMENT
from payments.tables import payments, refunds


def count_payments(connection: Connection) -> dict[str, int]:
    """Return how many payments there are of each status."""
    counted = select(payments.c.status, func.count()).where(IS_PAYMENT).group_by(payments.c.status)
    return dict(iter(connection.execute(counted)))


def count_refunds(connection: Connection) -> dict[str, int]:
    """Return how many refunds there are of each status."""
    counted = select(refunds.c.status, func.count()).group_by(refunds.c.status)
    return dict(iter(connection.execute(counted)))


def read_oldest_unanswered(connection: Connection) -> float:
    """Return the seconds since the oldest payment began about which the provider was asked; 0 if none."""
    oldest = select(extract("epoch", func.now() - func.min(payments.c.updated_at)))
    return float(connection.execute(oldest.where(payments.c.status == PROCESSING)).scalar() or 0)
