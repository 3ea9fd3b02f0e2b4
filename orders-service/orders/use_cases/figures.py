"""What Prometheus is told of orders: of all of them, so that each replica says the same."""

from orders.domain import Status
from orders.repository import figures
from shared.database import Database
from shared.metrics import Figure


def read_figures(database: Database) -> list[Figure]:
    """Return how many orders there are, and how old the oldest ones are that should be done by now."""
    with database.transaction() as connection:
        counts = figures.count_orders(connection)
        oldest = figures.read_oldest_orders(connection)
        oldest_refund = figures.read_oldest_refund(connection)
    return [
        Figure(
            "orders", "Orders, by status.", ("status",), {(each,): counts.get(each, 0) for each in Status}
        ),
        Figure(
            "orders_oldest_unfinished_seconds",
            "Age of the oldest order of a status that does not last.",
            ("status",),
            {(status,): oldest.get(status, 0.0) for status in figures.UNFINISHED},
        ),
        Figure(
            "orders_oldest_refund_seconds",
            "Age of the oldest refund that is not done.",
            (),
            {(): oldest_refund},
        ),
    ]
