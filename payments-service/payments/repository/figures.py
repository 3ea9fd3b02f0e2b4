"""Counts of payments and refunds for the metrics."""

from sqlalchemy import Connection, extract, func, select

from payments.domain.payments import PROCESSING
from payments.repository.payments import IS_PAYMENT
from payments.tables import payments, refunds


def count_payments(connection: Connection) -> dict[str, int]:
    """Return the number of payments by status."""
    counted = select(payments.c.status, func.count()).where(IS_PAYMENT).group_by(payments.c.status)
    return dict(iter(connection.execute(counted)))


def count_refunds(connection: Connection) -> dict[str, int]:
    """Return the number of refunds by status."""
    counted = select(refunds.c.status, func.count()).group_by(refunds.c.status)
    return dict(iter(connection.execute(counted)))


def read_oldest_unanswered(connection: Connection) -> float:
    """Return the age in seconds of the oldest payment without the provider's response; 0 if none."""
    oldest = select(extract("epoch", func.now() - func.min(payments.c.updated_at)))
    return float(connection.execute(oldest.where(payments.c.status == PROCESSING)).scalar() or 0)
