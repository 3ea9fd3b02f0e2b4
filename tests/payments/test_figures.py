"""What Prometheus is told of payments."""

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
    orders.cancel(new_id())  # There was nothing to cancel: that is no payment.
    figures = read(database)
    assert figures["payments", "succeeded"] == figures["payments", "requires_capture"] == 1
    assert figures["payments", "canceled"] == 0
    assert figures["payments_refunds", "succeeded"] == 1
    assert figures["payments_oldest_unanswered_seconds",] == 0


def test_a_payment_that_the_provider_does_not_answer_for_grows_old(orders, database, books, order_id):
    orders.authorize(order_id)
    books.write("UPDATE payments SET status = 'processing', updated_at = now() - interval '1 hour'")
    assert 3600 <= read(database)["payments_oldest_unanswered_seconds",] < 3700
