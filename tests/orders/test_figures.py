"""The metrics of orders."""

from orders.use_cases.figures import read_figures
from tests.orders.conftest import run_sql


def read(database):
    return {
        (figure.name, *labels): value
        for figure in read_figures(database)
        for labels, value in figure.values.items()
    }


def test_without_orders_all_figures_are_0(app, database):
    figures = read(database)
    assert figures["orders", "paid"] == figures["orders", "pending"] == 0
    assert figures["orders_oldest_unfinished_seconds", "pending"] == 0
    assert figures["orders_oldest_refund_seconds",] == 0


def test_orders_are_counted_by_status(app, database, paid, buyer):
    buyer.order("declined", card="pm_card_chargeDeclined")
    figures = read(database)
    assert figures["orders", "paid"] == 1
    assert figures["orders", "cancelled"] == 1
    assert figures["orders", "shipped"] == 0


def test_only_an_unfinished_order_has_an_age(app, database, paid):
    run_sql(database, "UPDATE orders SET created_at = now() - interval '1 hour'")
    assert read(database)["orders_oldest_unfinished_seconds", "pending"] == 0
    run_sql(database, "UPDATE orders SET status = 'confirmed'")
    figures = read(database)
    assert 3600 <= figures["orders_oldest_unfinished_seconds", "confirmed"] < 3700
    assert figures["orders_oldest_unfinished_seconds", "pending"] == 0


def test_a_pending_refund_has_an_age(app, database, paid):
    run_sql(
        database,
        """
        INSERT INTO refunds (id, order_id, amount, restock, status, actor, created_at)
        SELECT uuidv7(), id, 1, false, 'pending', 'boss', now() - interval '1 hour' FROM orders
        """,
    )
    assert 3600 <= read(database)["orders_oldest_refund_seconds",] < 3700


def test_the_figures_are_among_the_metrics(start_orders, paid):
    # A replica caches its figures, so this reads those of a new replica.
    assert 'orders{status="paid"} 1.0' in start_orders().test_client().get("/metrics").text
