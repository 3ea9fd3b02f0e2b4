"""Rules of the books that hold within one database, one statement each."""

from typing import LiteralString

TOTALS = "orders: an order's total is its items and its adjustments"
LINE_TOTALS = "orders: the parts of the lines add up to the parts of the order"
COUPON_USES = "orders: the uses of a coupon are the orders that use it"
MAILS = "orders: each confirmed order with an email address has exactly one confirmation mail"
# Rules about tables that a database of an earlier release does not have.
NEW_TABLES = {**dict.fromkeys((TOTALS, LINE_TOTALS, COUPON_USES), "coupons"), MAILS: "outbox"}

# The rule, its database, and its facts: `what` a row is about, and whether it `holds`.
RULES: list[tuple[str, str, LiteralString]] = [
    (
        "stock: no product has negative stock or more units reserved than on hand",
        "catalog",
        """
        SELECT format('product %s: %s on hand, %s reserved', id, on_hand, reserved) AS what,
               reserved BETWEEN 0 AND on_hand AS holds
        FROM products
        """,
    ),
    (
        "stock: reserved units equal the sum of the held reservations",
        "catalog",
        """
        SELECT format('product %s: %s reserved, %s held', id, reserved, held) AS what,
               reserved = held AS holds
        FROM (
            SELECT id, reserved, coalesce(sum(quantity), 0) AS held
            FROM products LEFT JOIN (
                reservation_lines JOIN reservations ON reservations.order_id = reservation_lines.order_id
                    AND state = 'held') ON product_id = id
            GROUP BY id) AS books
        """,
    ),
    (
        # Stock is counted down from the source's number, or from the last stock count. Units that the source
        # withdrew although they were reserved are short; while any are, no unit is for sale.
        "stock: units that left the stock were sold",
        "catalog",
        """
        SELECT format('product %s: %s gone, %s sold, %s short', id, source_on_hand - on_hand + shortfall,
                      sold, shortfall) AS what,
               source_on_hand - on_hand + shortfall = sold AND (shortfall = 0 OR on_hand = reserved) AS holds
        FROM (
            SELECT id, source_on_hand, on_hand, reserved, shortfall, coalesce(sum(quantity), 0) AS sold
            FROM products LEFT JOIN (
                reservation_lines JOIN reservations ON reservations.order_id = reservation_lines.order_id
                    AND state = 'committed') ON product_id = id
            GROUP BY id) AS books
        WHERE source_on_hand IS NOT NULL
        """,
    ),
    (
        "stock: no reservation is held past its expiry",
        "catalog",
        """
        SELECT format('order %s: held until %s', order_id, expires_at) AS what,
               expires_at > now() - interval '1 minute' AS holds
        FROM reservations WHERE state = 'held'
        """,
    ),
    (
        "ledger: each entry moves a positive amount between the two accounts",
        "payments",
        """
        SELECT format('entry %s: %s from %s to %s', id, amount, credit, debit) AS what,
               amount > 0 AND (debit, credit) IN (('receivable', 'sales'), ('sales', 'receivable')) AS holds
        FROM ledger_entries
        """,
    ),
    (
        "ledger: each payment's entries equal its captured minus its refunded amount",
        "payments",
        """
        SELECT format('payment %s: %s booked, %s captured, %s refunded', id, booked, amount_captured,
                      amount_refunded) AS what,
               booked = amount_captured - amount_refunded AS holds
        FROM payments CROSS JOIN LATERAL (
            SELECT coalesce(sum(CASE WHEN debit = 'receivable' THEN ledger_entries.amount
                                     WHEN credit = 'receivable' THEN -ledger_entries.amount END), 0) AS booked
            FROM ledger_entries WHERE payment_id = payments.id) AS entries
        """,
    ),
    (
        "ledger: each successful refund is booked exactly once",
        "payments",
        """
        SELECT format('refund %s of payment %s: %s, %s booked', coalesce(refunds.id::text, movement),
                      coalesce(refunds.payment_id, booked.payment_id), coalesce(status, 'none'),
                      coalesce(booked.amount::text, 'none')) AS what,
               (status = 'succeeded') = (movement IS NOT NULL)
                   AND coalesce(booked.amount = refunds.amount AND credit = 'receivable', true) AS holds
        FROM refunds FULL JOIN (SELECT * FROM ledger_entries WHERE movement LIKE 'refund:%') AS booked
            ON booked.payment_id = refunds.payment_id AND movement = 'refund:' || refunds.id
        """,
    ),
    (
        "payments: refunded and pending amounts equal the sum of the refunds",
        "payments",
        """
        SELECT format('payment %s: %s, %s refunded, %s being refunded, refunds of %s, %s pending', id, status,
                      amount_refunded, amount_refunding, refunded, pending) AS what,
               CASE WHEN status = 'canceled' THEN amount_refunded >= refunded
                    ELSE amount_refunded = refunded END AND amount_refunding = pending AS holds
        FROM payments CROSS JOIN LATERAL (
            SELECT coalesce(sum(amount) FILTER (WHERE refunds.status = 'succeeded'), 0) AS refunded,
                   coalesce(sum(amount) FILTER (WHERE refunds.status = 'pending'), 0) AS pending
            FROM refunds WHERE payment_id = payments.id) AS sums
        """,
    ),
    (
        "payments: no payment is overdue for the sweep",
        "payments",
        """
        SELECT format('payment %s: %s, to be looked at %s', id, status, look_at) AS what,
               look_at > now() - interval '2 minutes' AS holds
        FROM payments WHERE look_at IS NOT NULL
        """,
    ),
    (
        # A refund whose answer was lost is pending here until the next attempt.
        "payments: the provider made exactly our refunds",
        "payments",
        """
        SELECT format('refund %s: %s of %s here, %s at the provider', coalesce(ours.id::text, key),
                      coalesce(status, 'none'), ours.amount, coalesce(theirs.amount::text, 'none')) AS what,
               CASE WHEN status = 'succeeded' THEN ours.amount = theirs.amount
                    WHEN status = 'pending' THEN coalesce(ours.amount = theirs.amount, true)
                    ELSE key IS NULL END AS holds
        FROM (SELECT refunds.* FROM refunds JOIN payments ON payment_id = payments.id
              WHERE provider = 'simulated') AS ours
            FULL JOIN simulated_refunds AS theirs ON key = ours.id::text
        """,
    ),
    (
        "payments: no order has two payments",
        "payments",
        """
        SELECT format('order %s: %s payments', order_id, count(*)) AS what, count(*) = 1 AS holds
        FROM payments GROUP BY order_id
        """,
    ),
    (
        "payments: each payment has its charge, and each charge its payment",
        "payments",
        """
        SELECT coalesce('payment ' || id || ': no charge', 'charge ' || key || ': no payment') AS what,
               id IS NOT NULL AND key IS NOT NULL AS holds
        FROM (SELECT * FROM payments WHERE provider = 'simulated') AS ours
            FULL JOIN simulated_charges ON key = id::text
        WHERE status IS DISTINCT FROM 'processing'
        """,
    ),
    (
        # An order in checkout or waiting for its customer has a deadline. Any other order has two minutes
        # from its last update. Each gets half a minute more until a replica picks it up.
        "orders: no order is stuck",
        "orders",
        """
        SELECT format('order %s: %s since %s, next step %s', id, status, updated_at,
                      coalesce(next_step, 'none')) AS what,
               CASE WHEN next_step IS NULL THEN status NOT IN ('pending', 'awaiting_payment', 'confirmed')
                    WHEN status = 'cancelled' THEN false
                    WHEN status IN ('pending', 'awaiting_payment')
                        THEN deadline > now() - interval '30 seconds'
                    ELSE updated_at > now() - interval '150 seconds' END AS holds
        FROM orders LEFT JOIN order_work ON order_id = id
        """,
    ),
    (
        "orders: no version of a cart is ordered twice",
        "orders",
        """
        SELECT format('cart of %s at %s: %s orders', customer, cart_version, count(*)) AS what,
               count(*) FILTER (WHERE status <> 'cancelled') <= 1 AS holds
        FROM orders WHERE cart_version IS NOT NULL GROUP BY customer, cart_version
        """,
    ),
    (
        "orders: the refunded amount equals the sum of the refunds",
        "orders",
        """
        SELECT format('order %s: %s, %s refunded, refunds of %s, %s pending', id, status, amount_refunded,
                      refunded, pending) AS what,
               CASE WHEN status = 'cancelled' THEN amount_refunded >= refunded
                    ELSE amount_refunded = refunded END AND pending = 0 AS holds
        FROM orders CROSS JOIN LATERAL (
            SELECT coalesce(sum(amount) FILTER (WHERE refunds.status = 'succeeded'), 0) AS refunded,
                   count(*) FILTER (WHERE refunds.status = 'pending') AS pending
            FROM refunds WHERE order_id = orders.id) AS sums
        WHERE NOT EXISTS (SELECT FROM order_work WHERE order_id = orders.id)
        """,
    ),
    (
        "orders: an order is refunded exactly when its whole amount was refunded",
        "orders",
        """
        SELECT format('order %s: %s, %s of %s refunded', id, status, amount_refunded, total) AS what,
               (status = 'refunded') = (amount_refunded = total AND total > 0)
                   AND amount_refunded <= total AS holds
        FROM orders, LATERAL (
            SELECT coalesce((to_jsonb(orders) ->> 'amount')::bigint, items_amount) AS total) AS totals
        WHERE status IN ('paid', 'shipped', 'delivered', 'refunded')
            AND NOT EXISTS (SELECT FROM order_work WHERE order_id = id)
        """,
    ),
    (
        # A tax that is included is a part of the other amounts.
        TOTALS,
        "orders",
        """
        SELECT format('order %s: %s, of items %s and %s, taxes %s', id, amount, items_amount, adjustments,
                      tax_amount) AS what,
               amount = items_amount + added AND tax_amount = taxes AND amount >= 0 AS holds
        FROM orders CROSS JOIN LATERAL (
            SELECT coalesce(sum(part.amount) FILTER (WHERE NOT included), 0) AS added,
                   coalesce(sum(part.amount) FILTER (WHERE kind = 'tax'), 0) AS taxes
            FROM jsonb_to_recordset(adjustments) AS part (kind text, amount bigint, included boolean)) AS sums
        WHERE amount IS NOT NULL
        """,
    ),
    (
        # Only shipping is outside the lines: its tax, and the discount of a coupon for free shipping.
        LINE_TOTALS,
        "orders",
        """
        SELECT format('order %s: items %s, lines %s less %s with taxes %s; %s', id, items_amount, units,
                      discounts, taxes, adjustments) AS what,
               items_amount = units AND is_each_right AND taxes <= tax_amount
                   AND (ships OR taxes = tax_amount)
                   AND (discount = -discounts OR (discounts = 0 AND discount = -shipping)) AS holds
        FROM orders CROSS JOIN LATERAL (
            SELECT coalesce(sum(quantity * unit_amount), 0) AS units,
                   coalesce(sum(discount_amount), 0) AS discounts,
                   coalesce(sum(order_lines.tax_amount), 0) AS taxes,
                   bool_and(discount_amount BETWEEN 0 AND quantity * unit_amount
                            AND order_lines.tax_amount >= 0
                            AND (tax_rate IS NOT NULL OR order_lines.tax_amount = 0)) AS is_each_right
            FROM order_lines WHERE order_id = orders.id) AS lines
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(part.amount) FILTER (WHERE kind = 'discount'), 0) AS discount,
                   coalesce(sum(part.amount) FILTER (WHERE kind = 'shipping'), 0) AS shipping,
                   count(*) FILTER (WHERE kind = 'shipping') > 0 AS ships
            FROM jsonb_to_recordset(adjustments) AS part (kind text, amount bigint)) AS sums
        WHERE amount IS NOT NULL
        """,
    ),
    (
        COUPON_USES,
        "orders",
        """
        SELECT format('coupon %s: %s uses, %s orders, %s by customers', code, uses, used, counted) AS what,
               uses = used AND uses = counted AS holds
        FROM coupons CROSS JOIN LATERAL (
            SELECT count(*) AS used FROM coupon_uses
            WHERE coupon_id = coupons.id AND returned_at IS NULL) AS of_orders
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(coupon_customers.uses), 0) AS counted FROM coupon_customers
            WHERE coupon_id = coupons.id) AS of_customers
        UNION ALL
        SELECT format('order %s: %s with the coupon %s, %s', orders.id, status, coupon,
                      CASE WHEN order_id IS NULL THEN 'no use' WHEN returned_at IS NULL THEN 'used'
                           ELSE 'given back' END),
               coupon IS NOT NULL AND order_id IS NOT NULL
                   AND (status = 'cancelled') = (returned_at IS NOT NULL)
        FROM orders FULL JOIN coupon_uses ON order_id = orders.id
        WHERE coupon IS NOT NULL OR order_id IS NOT NULL
        """,
    ),
    (
        # Mails are kept for 30 days. What was confirmed before the upgrade that added the outbox has none.
        MAILS,
        "orders",
        """
        SELECT format('order %s: %s confirmed with an address, %s mails', coalesce(confirmed.id, mailed.id),
                      coalesce(confirmations, 0), coalesce(mails, 0)) AS what,
               confirmations IS NOT DISTINCT FROM mails AS holds
        FROM (
            SELECT orders.id::text, count(*) AS confirmations
            FROM order_events JOIN orders ON orders.id = order_id
                JOIN outbox_endpoints ON name = 'mail' AND time > outbox_endpoints.created_at
            WHERE to_status = 'confirmed' AND from_status IS DISTINCT FROM to_status AND email IS NOT NULL
                AND time > now() - interval '29 days'
            GROUP BY 1) AS confirmed
        FULL JOIN (
            SELECT subject AS id, count(*) AS mails
            FROM outbox
            WHERE channel = 'mail' AND kind = 'order_confirmed' AND resend_of IS NULL
                AND created_at > now() - interval '29 days'
            GROUP BY 1) AS mailed ON mailed.id = confirmed.id
        """,
    ),
    (
        "logs: the last 100000 records contain no token and no password hash",
        "logs",
        r"""
        SELECT format('record %s of %s', id, service) AS what,
               concat(message, attributes)
                   !~ 'eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.|\$argon2id?\$|sfr_[\w-]{43}' AS holds
        FROM (
            SELECT id, service, message, attributes
            FROM (SELECT * FROM records UNION ALL SELECT * FROM audit_records) AS everything
            ORDER BY time DESC LIMIT 100000
        ) AS latest
        """,
    ),
]
