"""What Prometheus is told of payments: of all of them, so that each replica says the same."""

from payments.domain import PaymentStatus, RefundStatus
from payments.repository import figures
from shared.database import Database
from shared.metrics import Figure


def read_figures(database: Database) -> list[Figure]:
    """Return what became of payments and refunds, and how long the provider has left one unanswered."""
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
            "Age of the oldest payment about which the provider has not answered.",
            (),
            {(): unanswered},
        ),
    ]
