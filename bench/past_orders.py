"""Paid orders of the past, as rows that the databases generate."""

from datetime import UTC, datetime

from bench.shop import Shop

# A UUIDv7 of the order's time and number, so that all three databases generate the same one.
ORDER_ID = """(lpad(to_hex((extract(epoch FROM time) * 1000)::bigint), 12, '0') || '70008000'
    || lpad(to_hex(n), 12, '0'))::uuid"""
PAYMENT_ID = ORDER_ID.replace("70008000", "70009000")
ROWS = {
    "orders": """
        INSERT INTO orders (id, customer, status, payment_method, shipping_address, currency, items_amount,
                            payment_id, payment_status, request_id, traceparent, created_at, updated_at)
        SELECT {order_id}, gen_random_uuid(), 'paid', 'pm_card_visa', '{{"name": "A", "country": "US"}}',
               'USD', 1000, {payment_id}, 'succeeded', 'past', 'past', time, time FROM {numbers};
        INSERT INTO order_lines (order_id, product_id, quantity, sku, title, unit_amount)
        SELECT {order_id}, 1 + n % 100, 1, 'PAST', 'A product of the past', 1000 FROM {numbers};
        INSERT INTO order_events (order_id, time, kind, from_status, to_status, actor)
        SELECT {order_id}, time, kind, 'pending', 'paid', 'orders-service'
        FROM {numbers}, unnest('{{placed,payment_authorized,payment_captured}}'::text[]) AS kind
    """,
    "catalog": """
        INSERT INTO reservations (order_id, customer, currency, state, expires_at, created_at)
        SELECT {order_id}, 'past', 'USD', 'committed', time, time FROM {numbers};
        INSERT INTO reservation_lines (order_id, product_id, quantity, sku, title, unit_amount)
        SELECT {order_id}, 1 + n % 100, 1, 'PAST', 'A product of the past', 1000 FROM {numbers}
    """,
    "payments": """
        INSERT INTO payments (id, order_id, status, customer, amount, currency, provider, payment_method,
                              amount_captured, created_at)
        SELECT {payment_id}, {order_id}, 'succeeded', gen_random_uuid(), 1000, 'USD', 'simulated',
               'pm_card_visa', 1000, time FROM {numbers};
        INSERT INTO ledger_entries (id, payment_id, movement, currency, created_at, debit, credit, amount)
        SELECT {order_id}, {payment_id}, 'capture', 'USD', time, 'receivable', 'sales', 1000 FROM {numbers};
        INSERT INTO simulated_charges (key, amount, currency, payment_method, amount_captured, created_at)
        SELECT {payment_id}::text, 1000, 'USD', 'pm_card_visa', 1000, time FROM {numbers}
    """,
}


def write_past_orders(shop: Shop, count: int) -> None:
    """Add a number of paid orders, one a minute up to today, with their rows in all three databases."""
    today = datetime.now(UTC).isoformat()
    numbers = (
        f"generate_series(1, {count}) AS n, "
        f"LATERAL (SELECT timestamptz '{today}' - n * interval '1 minute' AS time) AS moments"
    )
    for database, statements in ROWS.items():
        rows = statements.format(order_id=ORDER_ID, payment_id=PAYMENT_ID, numbers=numbers)
        # Triggers and foreign keys would check each row, which takes minutes.
        shop.run_sql(database, f"SET session_replication_role = replica; {rows}")
        shop.run_sql(database, "VACUUM ANALYZE")
