"""Metrics of all payments in the database, so that every replica reports the same values."""

from payments.domain.payments import PaymentStatus, RefundStatus
from payments.repository import figures
from shared.database import Database
from shared.metrics import Figure


def read_figures(database: Database) -> list[Figure]:
    """Return payments and refunds by status, and the age of the oldest payment without a response."""
    with database.transaction() as connection:
        payments = figures.count_payments(connection)
        refunds = figures.count_refunds(connection)
        unanswered = figures.read_oldest_unanswered(connection)
    return [
        Figure(
            "payments",
            "Payments, by status.",
            ("status",),
            {(status,): payments.get(status, 0) for status in PaymentStatus},
        ),
        Figure(
            "payments_refunds",
            "Refunds, by status.",
            ("status",),
            {(status,): refunds.get(status, 0) for status in RefundStatus},
        ),
        Figure(
            "payments_oldest_unanswered_seconds",
            "Age of the oldest payment without a response from the provider.",
            (),
            {(): unanswered},
        ),
    ]
