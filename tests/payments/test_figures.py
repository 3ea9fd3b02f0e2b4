"""The metrics of payments."""

from payments.use_cases.figures import read_figures
from shared.ids import new_id


def read(database):
    return {
        (figure.name, *labels): value
        for figure in read_figures(database)
        for labels, value in figure.values.items()
    }


def test_payments_and_refunds_are_counted_by_status(orders, database, order_id):
    orders.authorize(order_id)
    orders.capture(order_id)
    orders.refund(order_id, 100)
    orders.authorize(new_id())
    orders.cancel(new_id())  # An order that is closed without a payment is not counted.
    figures = read(database)
    assert figures["payments", "succeeded"] == figures["payments", "requires_capture"] == 1
    assert figures["payments", "canceled"] == 0
    assert figures["payments_refunds", "succeeded"] == 1
    assert figures["payments_oldest_unanswered_seconds",] == 0


def test_the_age_of_the_oldest_payment_without_a_response_is_reported(orders, database, tables, order_id):
    orders.authorize(order_id)
    tables.write("UPDATE payments SET status = 'processing', updated_at = now() - interval '1 hour'")
    assert 3600 <= read(database)["payments_oldest_unanswered_seconds",] < 3700
