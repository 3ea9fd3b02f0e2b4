"""Metrics of all orders, so every replica reports the same values."""

from orders.domain import Status
from orders.repository import figures
from shared.database import Database
from shared.metrics import Figure


def read_figures(database: Database) -> list[Figure]:
    """Return the number of orders by status, and the age of the oldest unfinished orders and refunds."""
    with database.transaction() as connection:
        counts = figures.count_orders(connection)
        oldest = figures.read_oldest_orders(connection)
        oldest_refund = figures.read_oldest_refund(connection)
    return [
        Figure("orders", "Orders by status.", ("status",), {(each,): counts.get(each, 0) for each in Status}),
        Figure(
            "orders_oldest_unfinished_seconds",
            "Age of the oldest order in an unfinished status.",
            ("status",),
            {(status,): oldest.get(status, 0.0) for status in figures.UNFINISHED},
        ),
        Figure(
            "orders_oldest_refund_seconds",
            "Age of the oldest pending refund.",
            (),
            {(): oldest_refund},
        ),
    ]
