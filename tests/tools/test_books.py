"""The check of the books, on real databases with purchases as the services write them, except for one fault.

Every test of a breach expects exactly the rules that break.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import namedtuple_row

from local.postgres import Server
from shared.ids import new_id
from tools import books
from tools.books import BooksUnreadable, find_databases

PRICE, STOCK = 1299, 40

ENOUGH = "stock: no product has negative stock or more units reserved than on hand"
RESERVED = "stock: reserved units equal the sum of the held reservations"
SOLD = "stock: units that left the stock were sold"
LAPSED = "stock: no reservation is held past its expiry"
HOLD_CONFIRMED = "stock: each committed reservation belongs to a confirmed order"
ENTRIES = "ledger: each entry moves a positive amount between the two accounts"
BOOKED = "ledger: each payment's entries equal its captured minus its refunded amount"
TWO_PAYMENTS = "payments: no order has two payments"
CHARGE_THERE = "payments: each payment has its charge, and each charge its payment"
CHARGE_SAME = "payments: each payment equals the provider's charge record"
PAYMENT_CONFIRMED = "payments: each belongs to an order, and each captured payment to a confirmed order"
STUCK = "orders: no order is stuck"
CUSTOMER = "orders: each order belongs to a user"
PAID = "orders: each paid order has exactly one captured payment of its amount"
DELIVERABLE = "orders: each paid order has one committed reservation of its lines, unless restocked"
PARENTS = "orders: each sold variant belongs to its line's product"
REFUND_SUMS = "orders: the refunded amount equals the sum of the refunds"
REFUNDED = "orders: an order is refunded exactly when its whole amount was refunded"
TOTALS = "orders: an order's total is its items and its adjustments"
LINE_TOTALS = "orders: the parts of the lines add up to the parts of the order"
COUPON_USES = "orders: the uses of a coupon are the orders that use it"
MAILS = "orders: each confirmed order with an email address has exactly one confirmation mail"
REFUND_MADE = "orders: payments-service made exactly the refunds of each order"
REFUND_BOOKED = "ledger: each successful refund is booked exactly once"
PAYMENT_SUMS = "payments: refunded and pending amounts equal the sum of the refunds"
OVERDUE = "payments: no payment is overdue for the sweep"
PROVIDER_REFUNDS = "payments: the provider made exactly our refunds"
CANCELLED = "orders: no cancelled order has a captured payment or a reservation"
SECRETS = "logs: the last 100000 records contain no token and no password hash"

TABLES = {
    "auth": "users",
    "catalog": "products, reservations, reservation_lines",
    "orders": "orders, order_work, order_lines, order_events, idempotency_keys, refunds, coupons,"
    " coupon_customers, coupon_uses, outbox",
    "payments": "payments, refunds, ledger_entries, simulated_charges, simulated_refunds",
    "logs": "records, audit_records",
}


class Shop:
    """The five databases, and the rows that the services would write."""

    def __init__(self, urls: dict[str, str]) -> None:
        self.urls = urls
        self.connections = {
            name: psycopg.connect(url, autocommit=True, row_factory=namedtuple_row)
            for name, url in urls.items()
        }
        for connection in self.connections.values():
            connection.execute("SET session_replication_role = replica")  # No trigger runs.
        self.open()

    def open(self) -> None:
        """Write a shop with one order that was paid, one that was cancelled, and three in progress."""
        self.user = self.run(
            "auth", "INSERT INTO users (username, role) VALUES ('guest', 'guest') RETURNING id"
        )
        self.run("catalog", "UPDATE source_copy SET source = 'sample 0123'")
        self.run(
            "catalog",
            """
            INSERT INTO products (id, sku, title, category, unit_amount, description, on_hand, source_on_hand)
            VALUES (1, 'A', 'A', 'a', %(price)s, '', %(stock)s, %(stock)s),
                   (2, 'B', 'B', 'a', %(price)s, '', %(stock)s, %(stock)s)
            """,
            price=PRICE,
            stock=STOCK,
        )
        self.sell()
        self.price(self.cancel(), 2500, is_used=False)
        pending = self.order("pending", next_step="reserve")
        self.hold(pending, "held")
        confirmed = self.order("confirmed", next_step="capture")
        self.hold(confirmed, "committed")
        self.payment(confirmed, "requires_capture")
        self.order("pending", next_step="reserve")

    @contextmanager
    def transactions(self) -> Iterator[None]:
        """Write only for this object's own connections to see, and take all of it back in the end."""
        user = self.user
        for connection in self.connections.values():
            connection.execute("BEGIN")
        yield
        for connection in self.connections.values():
            connection.execute("ROLLBACK")
        self.user = user

    @contextmanager
    def read(self, database: str) -> Iterator[psycopg.Connection[Any]]:
        """Let the check read rows that are not committed."""
        yield self.connections[database]

    def run(self, database: str, statement: str, **values: Any) -> Any:
        """Run a statement; return the first value of its answer, if it has one."""
        cursor = self.connections[database].execute(statement.encode(), values)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None

    def allow(self, database: str, table: str) -> None:
        """Drop a table's checks and uniqueness, so that it takes what the service could never write."""
        dropped = self.connections[database].execute(
            """
            SELECT conname FROM pg_constraint
            WHERE conrelid = %s::regclass AND contype IN ('c', 'u')
            """,
            [table],
        )
        for (name,) in dropped.fetchall():
            self.run(database, f"ALTER TABLE {table} DROP CONSTRAINT {name}")

    def empty(self) -> None:
        """Remove what was written."""
        for database, tables in TABLES.items():
            self.run(database, f"TRUNCATE {tables} CASCADE")

    def close(self) -> None:
        """Give the connections back."""
        for connection in self.connections.values():
            connection.close()

    def add_variant(self, number: int, *, parent: int) -> None:
        """Write a further variant of a product."""
        self.run("catalog", "ALTER TABLE products ADD COLUMN IF NOT EXISTS parent_id bigint")
        self.run(
            "catalog",
            """
            INSERT INTO products (id, parent_id, sku, title, category, unit_amount, description, on_hand,
                                  source_on_hand, removed_at)
            VALUES (%(id)s, %(parent)s, %(sku)s, '', '', %(price)s, '', %(stock)s, %(stock)s, 'infinity')
            """,
            id=number,
            parent=parent,
            sku=f"A-{number}",
            price=PRICE,
            stock=STOCK,
        )

    def order(
        self,
        status: str,
        *,
        next_step: str | None = None,
        age: str = "1 second",
        variant: int = 1,
        parent: int | None = None,
    ) -> UUID:
        """Write an order of two units of a variant."""
        order_id = new_id()
        self.run(
            "orders",
            """
            INSERT INTO orders (id, customer, status, reason, payment_method, shipping_address, currency,
                                items_amount, request_id, traceparent, created_at, updated_at)
            VALUES (%(id)s, %(customer)s, %(status)s, 'a reason', 'pm_card_visa', '{}', 'USD', %(amount)s,
                    'r', 't', now() - %(age)s::interval, now() - %(age)s::interval)
            """,
            id=order_id,
            customer=str(self.user),
            status=status,
            amount=2 * PRICE,
            age=age,
        )
        if next_step:
            self.run(
                "orders",
                """
                INSERT INTO order_work (order_id, next_step, deadline, request_id, traceparent)
                VALUES (%(id)s, %(next_step)s, now() - %(age)s::interval + interval '2 minutes', 'r', 't')
                """,
                id=order_id,
                next_step=next_step,
                age=age,
            )
        self.run(
            "orders",
            """
            INSERT INTO order_lines (order_id, product_id, quantity, unit_amount, parent_id)
            VALUES (%(id)s, %(variant)s, 2, %(price)s, %(parent)s)
            """,
            id=order_id,
            price=PRICE,
            variant=variant,
            parent=parent,
        )
        return order_id

    def hold(self, order_id: UUID, state: str, *, variant: int = 1) -> None:
        """Write the order's hold, and move the units."""
        self.run(
            "catalog",
            """
            INSERT INTO reservations (order_id, customer, currency, state, expires_at)
            VALUES (%(id)s, %(customer)s, 'USD', %(state)s, now() + interval '15 minutes')
            """,
            id=order_id,
            customer=str(self.user),
            state=state,
        )
        self.run(
            "catalog",
            """
            INSERT INTO reservation_lines (order_id, product_id, quantity, sku, title, unit_amount)
            VALUES (%(id)s, %(variant)s, 2, 'A', 'A', %(price)s)
            """,
            id=order_id,
            price=PRICE,
            variant=variant,
        )
        column, sign = {"held": ("reserved", "+"), "committed": ("on_hand", "-")}.get(
            state, ("on_hand", "+ 0 *")
        )
        moved = f"UPDATE products SET {column} = {column} {sign} 2 WHERE id = %(variant)s"
        self.run("catalog", moved, variant=variant)

    def payment(self, order_id: UUID, status: str, *, captured: bool = False) -> UUID:
        """Write the order's payment, the provider's charge, and what was booked."""
        payment_id = new_id()
        values = {
            "id": payment_id,
            "order": order_id,
            "customer": str(self.user),
            "status": status,
            "amount": 2 * PRICE,
            "captured": 2 * PRICE if captured else 0,
            "refunded": 2 * PRICE if captured and status == "canceled" else 0,
            "released": status == "canceled",
        }
        self.run(
            "payments",
            """
            INSERT INTO payments (id, order_id, status, customer, amount, currency, provider, payment_method,
                                  amount_captured, amount_refunded)
            VALUES (%(id)s, %(order)s, %(status)s, %(customer)s, %(amount)s, 'USD', 'simulated',
                    'pm_card_visa', %(captured)s, %(refunded)s)
            """,
            **values,
        )
        self.run(
            "payments",
            """
            INSERT INTO simulated_charges (key, amount, currency, payment_method, released, amount_captured,
                                           amount_refunded)
            VALUES (%(id)s::text, %(amount)s, 'USD', 'pm_card_visa', %(released)s, %(captured)s, %(refunded)s)
            """,
            **values,
        )
        if values["captured"]:
            self.book(payment_id, "capture", 2 * PRICE)
        if values["refunded"]:
            self.book(payment_id, "cancel", -2 * PRICE)
        self.run(
            "orders",
            """
            UPDATE orders SET payment_id = %(id)s, payment_status = %(status)s, amount_refunded = %(refunded)s
            WHERE id = %(order)s
            """,
            **values,
        )
        return payment_id

    def refund(self, order_id: UUID, amount: int, *, restock: bool = False) -> UUID:
        """Write a refund in all three books, and give the units back if they are to be."""
        values = {"id": new_id(), "order": order_id, "amount": amount, "restock": restock}
        payment_id = self.run("payments", "SELECT id FROM payments WHERE order_id = %(order)s", **values)
        values["payment"] = payment_id
        statements = [
            (
                "orders",
                """
                INSERT INTO refunds (id, order_id, amount, restock, status, actor)
                VALUES (%(id)s, %(order)s, %(amount)s, %(restock)s, 'succeeded', 'admin')
                """,
            ),
            (
                "orders",
                """
                UPDATE orders SET amount_refunded = amount_refunded + %(amount)s,
                    status = CASE WHEN amount_refunded + %(amount)s = items_amount THEN 'refunded'
                                  ELSE status END
                WHERE id = %(order)s
                """,
            ),
            (
                "payments",
                """
                INSERT INTO refunds (id, payment_id, amount, status)
                VALUES (%(id)s, %(payment)s, %(amount)s, 'succeeded')
                """,
            ),
            (
                "payments",
                "UPDATE payments SET amount_refunded = amount_refunded + %(amount)s WHERE id = %(payment)s",
            ),
            (
                "payments",
                """
                INSERT INTO simulated_refunds (key, charge_key, amount)
                VALUES (%(id)s::text, %(payment)s::text, %(amount)s)
                """,
            ),
            (
                "payments",
                """
                UPDATE simulated_charges SET amount_refunded = amount_refunded + %(amount)s
                WHERE key = %(payment)s::text
                """,
            ),
        ]
        for database, statement in statements:
            self.run(database, statement, **values)
        self.book(payment_id, f"refund:{values['id']}", -amount)
        if restock:
            self.run(
                "catalog", "UPDATE reservations SET state = 'released' WHERE order_id = %(id)s", id=order_id
            )
            self.run("catalog", "UPDATE products SET on_hand = on_hand + 2 WHERE id = 1")
        return UUID(str(values["id"]))

    def book(self, payment_id: UUID, movement: str, amount: int) -> None:
        """Write an entry of what came in, or went out if it is negative."""
        self.run(
            "payments",
            """
            INSERT INTO ledger_entries (payment_id, movement, currency, debit, credit, amount)
            VALUES (%(id)s, %(movement)s, 'USD', %(debit)s, %(credit)s, %(amount)s)
            """,
            id=payment_id,
            movement=movement,
            debit="receivable" if amount > 0 else "sales",
            credit="sales" if amount > 0 else "receivable",
            amount=abs(amount),
        )

    def sell(self, *, variant: int = 1, parent: int | None = None) -> UUID:
        """Write an order that went all the way."""
        order_id = self.order("paid", variant=variant, parent=parent)
        self.hold(order_id, "committed", variant=variant)
        self.payment(order_id, "succeeded", captured=True)
        return order_id

    def cancel(self) -> UUID:
        """Write an order whose card was declined."""
        order_id = self.order("cancelled")
        self.hold(order_id, "released")
        self.payment(order_id, "canceled")
        return order_id

    def price(self, order_id: UUID, amount: int, *, is_used: bool = True) -> None:
        """Write all parts of an order's total: 2598 - 598 + 500, of which 399 are taxes."""
        parts = [
            {"kind": "discount", "amount": -598, "included": False},
            {"kind": "shipping", "amount": amount - 2000, "included": False},
            {"kind": "tax", "amount": 399, "included": True},
        ]
        values = {"id": order_id, "amount": amount, "parts": json.dumps(parts), "uses": int(is_used)}
        for statement in (
            """
            UPDATE orders SET coupon = 'A', amount = %(amount)s, tax_amount = 399,
                adjustments = CAST(%(parts)s AS jsonb) WHERE id = %(id)s
            """,
            "UPDATE order_lines SET discount_amount = 598, tax_rate = 1900, tax_amount = 319"
            " WHERE order_id = %(id)s",
            """
            WITH used AS (INSERT INTO coupons (code, key, amount, uses)
                          VALUES ('A', %(id)s::text, 598, %(uses)s) RETURNING id),
                counted AS (INSERT INTO coupon_customers SELECT id, 'ada', %(uses)s FROM used)
            INSERT INTO coupon_uses (order_id, coupon_id, customer, returned_at)
            SELECT %(id)s, id, 'ada', CASE %(uses)s WHEN 0 THEN now() END FROM used
            """,
        ):
            self.run("orders", statement, **values)
        for statement in (
            "UPDATE payments SET amount = %(amount)s, amount_captured = least(amount_captured, %(amount)s)"
            " WHERE order_id = %(id)s",
            """
            UPDATE simulated_charges SET amount = %(amount)s,
                amount_captured = least(amount_captured, %(amount)s)
            WHERE key = (SELECT id::text FROM payments WHERE order_id = %(id)s)
            """,
            """
            UPDATE ledger_entries SET amount = %(amount)s
            WHERE payment_id = (SELECT id FROM payments WHERE order_id = %(id)s)
            """,
        ):
            self.run("payments", statement, **values)

    def log(self, message: str, *, table: str = "records") -> None:
        """Write a log record, or one of the audit trail."""
        # The service has a partition for each day.
        self.run("logs", "CREATE TABLE IF NOT EXISTS of_any_day PARTITION OF records DEFAULT")
        self.run(
            "logs",
            f"""
            INSERT INTO {table} (id, time, observed_time, service, severity_number, message, attributes)
            VALUES (uuidv7(), now(), now(), 'auth-service', 9, %(message)s, '{{}}')
            """,
            message=message,
        )

    def check(self) -> tuple[list[books.Finding], int]:
        """Check the books over the test's own connections, which see uncommitted rows."""
        return books.check_databases(self.read)

    def broken(self) -> set[str]:
        """Return the broken rules."""
        return {finding.rule for finding in self.check()[0] if finding.broken}


@pytest.fixture(scope="module")
def standing_shop(make_database: Callable[[str], str]) -> Iterator[Shop]:
    """A shop for all tests, with its five databases."""
    shop = Shop({name: make_database(f"{name}-service") for name in books.DATABASES})
    yield shop
    shop.close()


@pytest.fixture
def shop(standing_shop: Shop) -> Iterator[Shop]:
    """The shop in transactions that are rolled back after the test."""
    with standing_shop.transactions():
        yield standing_shop


@pytest.fixture
def committed_shop(standing_shop: Shop) -> Iterator[Shop]:
    """The shop for tests in which other connections must see the rows."""
    yield standing_shop
    standing_shop.empty()
    standing_shop.open()


def test_correct_books_break_no_rule(shop: Shop) -> None:
    findings, moving = books.check_books(shop.urls)
    assert [finding for finding in findings if finding.broken] == []
    assert moving == 3
    assert shop.check() == (findings, moving)


def test_every_rule_checks_at_least_one_fact(shop: Shop, confirm: Callable[..., UUID]) -> None:
    shop.log("Order placed")
    confirm()
    shop.refund(shop.sell(), 1)
    shop.run("payments", "UPDATE payments SET look_at = now() WHERE status = 'requires_capture'")
    shop.run("orders", "UPDATE orders SET cart_version = 7 WHERE status = 'paid'")
    findings, _ = shop.check()
    assert [finding.rule for finding in findings if not finding.checked] == []


@pytest.mark.parametrize("amounts", [[1], [1, 2 * PRICE - 1], [2 * PRICE]])
@pytest.mark.parametrize("restock", [False, True])
def test_refunds_break_no_rule(shop: Shop, amounts: list[int], restock: bool) -> None:
    order = shop.sell()
    for amount in amounts:
        shop.refund(order, amount, restock=restock and amount != 1)
    assert shop.broken() == set()


def test_a_cancel_after_a_partial_refund_breaks_no_rule(shop: Shop) -> None:
    order = shop.sell()
    shop.refund(order, 1)
    payment = shop.run("payments", "SELECT id FROM payments WHERE order_id = %(id)s", id=order)
    shop.run(
        "orders",
        "UPDATE orders SET status = 'cancelled', reason = 'r', amount_refunded = %(all)s WHERE id = %(id)s",
        all=2 * PRICE,
        id=order,
    )
    shop.run("catalog", "UPDATE reservations SET state = 'released' WHERE order_id = %(id)s", id=order)
    shop.run("catalog", "UPDATE products SET on_hand = on_hand + 2 WHERE id = 1")
    for change in (
        "UPDATE payments SET status = 'canceled', amount_refunded = %(all)s WHERE id::text = %(id)s",
        "UPDATE simulated_charges SET released = true, amount_refunded = %(all)s WHERE key = %(id)s",
    ):
        shop.run("payments", change, all=2 * PRICE, id=str(payment))
    shop.book(payment, "cancel", 1 - 2 * PRICE)
    assert shop.broken() == set()


def test_a_free_order_without_a_payment_breaks_no_rule(shop: Shop) -> None:
    order = shop.order("paid")
    shop.hold(order, "committed")
    shop.run("orders", "UPDATE orders SET items_amount = 0 WHERE id = %(id)s", id=order)
    assert shop.broken() == set()


def test_an_order_that_waits_for_its_customer_breaks_no_rule(shop: Shop) -> None:
    order = shop.order("awaiting_payment", next_step="await_payment")
    shop.hold(order, "held")
    payment = shop.payment(order, "requires_action")
    shop.run(
        "payments",
        "UPDATE simulated_charges SET awaits_customer = true WHERE key = %(id)s::text",
        id=payment,
    )
    assert shop.broken() == set()


REFUND_BREACHES = [
    ("orders", "DELETE FROM refunds", {REFUND_SUMS, REFUND_MADE}),
    ("orders", "UPDATE refunds SET amount = 2", {REFUND_SUMS, REFUND_MADE}),
    ("orders", "UPDATE refunds SET status = 'failed'", {REFUND_SUMS, REFUND_MADE}),
    ("orders", "UPDATE refunds SET id = uuidv7()", {REFUND_MADE}),
    ("orders", "UPDATE refunds SET restock = true", {DELIVERABLE}),
    ("orders", "UPDATE orders SET status = 'refunded' WHERE amount_refunded = 1", {REFUNDED}),
    (
        "orders",
        """
        INSERT INTO refunds (id, order_id, amount, restock, actor)
        SELECT uuidv7(), order_id, 1, false, 'admin' FROM refunds
        """,
        {REFUND_SUMS},
    ),
    ("payments", "DELETE FROM refunds", {PAYMENT_SUMS, REFUND_BOOKED, PROVIDER_REFUNDS, REFUND_MADE}),
    (
        "payments",
        "UPDATE refunds SET amount = 2",
        {PAYMENT_SUMS, REFUND_BOOKED, PROVIDER_REFUNDS, REFUND_MADE},
    ),
    (
        "payments",
        "UPDATE refunds SET status = 'failed'",
        {PAYMENT_SUMS, REFUND_BOOKED, PROVIDER_REFUNDS, REFUND_MADE},
    ),
    ("payments", "UPDATE payments SET amount_refunding = 1 WHERE amount_refunded = 1", {PAYMENT_SUMS}),
    ("payments", "UPDATE ledger_entries SET movement = 'other' WHERE movement ~ 'refund'", {REFUND_BOOKED}),
    ("payments", "DELETE FROM simulated_refunds", {PROVIDER_REFUNDS}),
    ("payments", "UPDATE simulated_refunds SET amount = 2", {PROVIDER_REFUNDS}),
    (
        "payments",
        "INSERT INTO simulated_refunds SELECT 'another', charge_key, 1 FROM simulated_refunds",
        {PROVIDER_REFUNDS},
    ),
]


@pytest.mark.parametrize(("database", "change", "rules"), REFUND_BREACHES)
def test_a_refund_that_differs_between_the_books(
    shop: Shop, database: str, change: str, rules: set[str]
) -> None:
    shop.refund(shop.sell(), 1)
    shop.run(database, change)
    assert shop.broken() == rules


def test_money_that_went_back_with_an_order_that_is_not_refunded(shop: Shop) -> None:
    order = shop.sell()
    shop.refund(order, 2 * PRICE)
    shop.run("orders", "UPDATE orders SET status = 'shipped' WHERE id = %(id)s", id=order)
    assert shop.broken() == {REFUNDED}


def test_a_restocked_order_whose_units_were_not_given_back(shop: Shop) -> None:
    order = shop.sell()
    shop.refund(order, 2 * PRICE)
    shop.run("orders", "UPDATE refunds SET restock = true")
    assert shop.broken() == {DELIVERABLE}


def test_a_cancelled_order_that_does_not_know_what_was_refunded(shop: Shop) -> None:
    order = shop.order("cancelled")
    shop.payment(order, "canceled", captured=True)
    shop.run("orders", "UPDATE orders SET amount_refunded = 0 WHERE id = %(id)s", id=order)
    assert shop.broken() == {CANCELLED}


def test_a_payment_that_the_sweep_missed(shop: Shop) -> None:
    shop.run("payments", "UPDATE payments SET look_at = now() - interval '3 minutes'")
    assert shop.broken() == {OVERDUE}


def test_a_cancelled_sale_breaks_no_rule(shop: Shop) -> None:
    order = shop.order("cancelled")
    shop.hold(order, "released")
    shop.payment(order, "canceled", captured=True)
    assert shop.broken() == set()


def test_more_reserved_than_there_is(shop: Shop) -> None:
    shop.allow("catalog", "products")
    shop.run("catalog", "UPDATE products SET on_hand = 1, source_on_hand = 5 WHERE id = 1")
    assert shop.broken() == {ENOUGH}


def test_less_than_nothing_on_hand(shop: Shop) -> None:
    shop.allow("catalog", "products")
    shop.run("catalog", "UPDATE products SET on_hand = -1, source_on_hand = -1 WHERE id = 2")
    assert shop.broken() == {ENOUGH}


def test_less_than_nothing_reserved(shop: Shop) -> None:
    shop.allow("catalog", "products")
    shop.run("catalog", "UPDATE products SET reserved = -1 WHERE id = 2")
    assert shop.broken() == {ENOUGH, RESERVED}


@pytest.mark.parametrize("reserved", [1, 3])
def test_reserved_units_that_no_order_holds_and_held_ones_that_are_not_reserved(
    shop: Shop, reserved: int
) -> None:
    shop.run("catalog", "UPDATE products SET reserved = %(reserved)s WHERE id = 1", reserved=reserved)
    assert shop.broken() == {RESERVED}


@pytest.mark.parametrize("change", ["- 1", "+ 1"])
def test_units_that_went_without_a_sale_and_sales_without_units(shop: Shop, change: str) -> None:
    shop.run("catalog", f"UPDATE products SET on_hand = on_hand {change} WHERE id = 1")
    assert shop.broken() == {SOLD}


def test_a_source_that_corrects_itself_makes_no_breach(shop: Shop) -> None:
    shop.run("catalog", "UPDATE products SET on_hand = on_hand - 1, source_on_hand = source_on_hand - 1")
    assert shop.broken() == set()


def test_units_that_the_source_took_from_under_a_hold_are_no_breach(shop: Shop) -> None:
    # It has none any more, neither of those that are held nor of those that were sold.
    shop.run(
        "catalog",
        """
        UPDATE products SET source_on_hand = 0, on_hand = reserved,
                            shortfall = reserved + source_on_hand - on_hand WHERE id = 1
        """,
    )
    assert shop.broken() == set()


def test_units_that_are_short_and_for_sale_all_the_same(shop: Shop) -> None:
    shop.run("catalog", "UPDATE products SET on_hand = on_hand + 1, shortfall = 1 WHERE id = 2")
    assert shop.broken() == {SOLD}


def test_a_hold_that_outlived_its_time(shop: Shop) -> None:
    shop.run(
        "catalog", "UPDATE reservations SET expires_at = now() - interval '61 seconds' WHERE state = 'held'"
    )
    assert shop.broken() == {LAPSED}


@pytest.mark.parametrize("change", ["debit = 'fees'", "credit = 'gifts'"])
def test_an_entry_of_another_account(shop: Shop, change: str) -> None:
    shop.run("payments", f"UPDATE ledger_entries SET {change}")
    assert ENTRIES in shop.broken()


def test_an_entry_the_wrong_way_round(shop: Shop) -> None:
    shop.run("payments", "UPDATE ledger_entries SET debit = credit, credit = debit")
    assert shop.broken() == {BOOKED}


def test_an_entry_that_is_not_there(shop: Shop) -> None:
    shop.run("payments", "DELETE FROM ledger_entries")
    assert shop.broken() == {BOOKED}


def test_money_that_was_booked_twice(shop: Shop) -> None:
    payment = shop.run("payments", "SELECT payment_id FROM ledger_entries")
    shop.book(payment, "capture again", 2 * PRICE)
    assert shop.broken() == {BOOKED}


@pytest.mark.parametrize(
    ("status", "next_step", "age"),
    [
        ("pending", "reserve", "151 seconds"),
        ("confirmed", "capture", "151 seconds"),
        ("pending", None, "1 second"),
        ("confirmed", None, "1 second"),
        ("awaiting_payment", None, "1 second"),
        ("awaiting_payment", "await_payment", "151 seconds"),
        ("paid", "refund", "151 seconds"),
        ("cancelled", "release", "1 second"),
    ],
)
def test_an_order_that_is_stuck(shop: Shop, status: str, next_step: str | None, age: str) -> None:
    shop.order(status, next_step=next_step, age=age)
    assert shop.broken() == {STUCK}


def test_an_order_that_is_about_to_be_undone_is_left_alone(shop: Shop) -> None:
    shop.order("pending", next_step="reserve", age="140 seconds")
    assert shop.broken() == set()


def test_an_order_of_an_unknown_user(shop: Shop) -> None:
    shop.user = new_id()
    shop.sell()
    assert shop.broken() == {CUSTOMER}


def test_an_old_order_of_a_deleted_guest_is_no_breach(shop: Shop) -> None:
    shop.user = new_id()
    shop.sell()
    shop.run("orders", "UPDATE orders SET created_at = created_at - interval '61 days'")
    assert shop.broken() == set()


def test_a_paid_order_without_a_payment(shop: Shop) -> None:
    shop.hold(shop.order("paid"), "committed")
    assert shop.broken() == {PAID}


@pytest.mark.parametrize("status", ["paid", "shipped", "delivered", "refunded"])
def test_a_paid_order_whose_money_was_never_taken(shop: Shop, status: str) -> None:
    order = shop.order(status)
    shop.hold(order, "committed")
    shop.payment(order, "requires_capture")
    assert shop.broken() == {PAID} | ({REFUNDED} if status == "refunded" else set())


@pytest.mark.parametrize(
    ("change", "rules"), [("items_amount = 1", {PAID}), ("amount_refunded = 1", {PAID, REFUND_SUMS})]
)
def test_a_paid_order_whose_payment_is_of_another_sum(shop: Shop, change: str, rules: set[str]) -> None:
    shop.run("orders", f"UPDATE orders SET {change} WHERE status = 'paid'")
    assert shop.broken() == rules


@pytest.fixture
def totals(shop: Shop) -> None:
    """A paid order with all parts of a total."""
    shop.price(shop.sell(), 2500)


@pytest.mark.usefixtures("totals")
def test_an_order_with_a_discount_shipping_and_taxes_breaks_no_rule(shop: Shop) -> None:
    assert shop.broken() == set()


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        ("UPDATE orders SET amount = 2501", {TOTALS, PAID}),
        ("UPDATE orders SET tax_amount = 400", {TOTALS}),
        ("UPDATE orders SET adjustments = '[]', amount = 2598", {TOTALS, LINE_TOTALS, PAID}),
        ("UPDATE order_lines SET discount_amount = 597", {LINE_TOTALS}),
        ("UPDATE order_lines SET tax_amount = 400", {LINE_TOTALS}),
        ("UPDATE order_lines SET tax_rate = NULL", {LINE_TOTALS}),
        ("UPDATE coupons SET uses = 2", {COUPON_USES}),
        ("UPDATE coupon_customers SET uses = 0", {COUPON_USES}),
        ("UPDATE coupon_uses SET returned_at = now()", {COUPON_USES}),
        ("DELETE FROM coupon_uses", {COUPON_USES}),
        ("UPDATE orders SET coupon = NULL", {COUPON_USES}),
    ],
)
@pytest.mark.usefixtures("totals")
def test_a_part_of_a_total_that_is_wrong(shop: Shop, change: str, rules: set[str]) -> None:
    ours = "(SELECT id FROM orders WHERE status = 'paid' AND coupon = 'A')"
    table = change.split()[2 if change.startswith("DELETE") else 1]
    of_table = {
        "orders": f"id IN {ours}",
        "coupons": "uses = 1",
        "coupon_customers": "uses = 1",
    }
    shop.run("orders", f"{change} WHERE {of_table.get(table, f'order_id IN {ours}')}")
    assert shop.broken() == rules


@pytest.fixture
def confirm(shop: Shop) -> Callable[..., UUID]:
    """Confirm the paid order, and return its id; `mails` is how often, `email` is its address."""

    def confirm(*, mails: int = 1, email: str | None = "ada@example.com", age: str = "1 minute") -> UUID:
        order = UUID(str(shop.run("orders", "SELECT id FROM orders WHERE status = 'paid'")))
        shop.run("orders", "UPDATE orders SET email = %(email)s WHERE id = %(id)s", email=email, id=order)
        shop.run("orders", "UPDATE outbox_endpoints SET created_at = now() - interval '1 year'")
        shop.run(
            "orders",
            """
            INSERT INTO order_events (order_id, time, kind, from_status, to_status, actor)
            VALUES (%(id)s, now() - %(age)s::interval, 'payment_authorized', 'pending', 'confirmed', 'x')
            """,
            id=order,
            age=age,
        )
        for _ in range(mails):
            shop.run(
                "orders",
                """
                INSERT INTO outbox (channel, endpoint, subject, kind, recipient, data)
                VALUES ('mail', 'mail', %(id)s, 'order_confirmed', %(email)s, '{}')
                """,
                id=str(order),
                email=email,
            )
        return order

    return confirm


def test_a_confirmed_order_with_one_mail(shop: Shop, confirm: Callable[..., UUID]) -> None:
    confirm()
    assert shop.broken() == set()
    # Sent again by hand.
    repeated = "INSERT INTO outbox (channel, endpoint, subject, kind, data, resend_of)"
    shop.run("orders", f"{repeated} SELECT channel, endpoint, subject, kind, data, id FROM outbox")
    assert shop.broken() == set()


def test_a_confirmed_order_without_a_mail(shop: Shop, confirm: Callable[..., UUID]) -> None:
    confirm(mails=0)
    assert shop.broken() == {MAILS}


def test_a_confirmed_order_with_two_mails(shop: Shop, confirm: Callable[..., UUID]) -> None:
    confirm(mails=2)
    assert shop.broken() == {MAILS}


def test_an_order_without_an_address_with_a_mail(shop: Shop, confirm: Callable[..., UUID]) -> None:
    confirm(email=None, mails=1)
    assert shop.broken() == {MAILS}


@pytest.mark.parametrize("given", [{"email": None}, {"age": "40 days"}], ids=str)
def test_a_confirmed_order_needs_no_mail_without_an_address_or_long_after(
    shop: Shop, confirm: Callable[..., UUID], given: dict[str, Any]
) -> None:
    confirm(mails=0, **given)
    assert shop.broken() == set()


def test_an_order_that_was_confirmed_before_the_outbox_needs_no_mail(
    shop: Shop, confirm: Callable[..., UUID]
) -> None:
    confirm(mails=0)
    shop.run("orders", "UPDATE outbox_endpoints SET created_at = now()")
    assert shop.broken() == set()


def test_a_paid_order_that_shows_another_payment(shop: Shop) -> None:
    shop.run("orders", "UPDATE orders SET payment_id = uuidv7() WHERE status = 'paid'")
    assert shop.broken() == {PAID}


def test_an_order_with_two_payments(shop: Shop) -> None:
    order = shop.sell()
    shop.allow("payments", "payments")
    shop.payment(order, "succeeded", captured=True)
    assert shop.broken() == {TWO_PAYMENTS, PAID}


@pytest.mark.parametrize("state", ["held", "released"])
def test_a_paid_order_whose_stock_was_never_sold(shop: Shop, state: str) -> None:
    order = shop.order("paid")
    shop.hold(order, state)
    shop.payment(order, "succeeded", captured=True)
    assert shop.broken() == {DELIVERABLE}


def test_a_paid_order_without_a_hold(shop: Shop) -> None:
    shop.payment(shop.order("paid"), "succeeded", captured=True)
    assert shop.broken() == {DELIVERABLE}


def test_a_paid_order_in_another_currency_than_its_payment_and_its_hold(shop: Shop) -> None:
    shop.run("orders", "UPDATE orders SET currency = 'EUR' WHERE status = 'paid'")
    assert shop.broken() == {PAID, DELIVERABLE}


def test_a_paid_order_whose_hold_is_in_another_currency(shop: Shop) -> None:
    shop.run("catalog", "UPDATE reservations SET currency = 'EUR' WHERE state = 'committed'")
    assert shop.broken() == {DELIVERABLE}


@pytest.mark.parametrize("change", ["product_id = 2", "quantity = 1", "unit_amount = 1"])
def test_a_paid_order_whose_hold_is_for_something_else(shop: Shop, change: str) -> None:
    order = shop.sell()
    shop.run("orders", f"UPDATE order_lines SET {change} WHERE order_id = %(id)s", id=order)
    assert shop.broken() == {DELIVERABLE}


def test_sold_variants_with_their_products_break_no_rule(shop: Shop) -> None:
    shop.add_variant(501, parent=1)
    for variant, parent in ((1, 1), (1, None), (501, 1)):
        shop.sell(variant=variant, parent=parent)
    # The products of lines whose stock was never held are only what the customers named.
    refused = shop.order("cancelled", variant=501, parent=99)
    shop.run("orders", "UPDATE order_lines SET unit_amount = NULL WHERE order_id = %(id)s", id=refused)
    assert shop.broken() == set()


@pytest.mark.parametrize(("variant", "parent"), [(1, 2), (1, 501), (501, None), (501, 501), (501, 2)])
def test_a_sold_variant_of_a_line_with_another_product(shop: Shop, variant: int, parent: int | None) -> None:
    shop.add_variant(501, parent=1)
    shop.sell(variant=variant, parent=parent)
    assert shop.broken() == {PARENTS}


def test_a_variant_that_was_sold_and_another_one_of_its_product_that_was_held(shop: Shop) -> None:
    shop.add_variant(501, parent=1)
    order = shop.order("paid", variant=501, parent=1)
    shop.hold(order, "committed", variant=1)
    shop.payment(order, "succeeded", captured=True)
    assert shop.broken() == {DELIVERABLE}


def test_units_of_a_variant_that_left_the_stock_of_another_one_of_its_product(shop: Shop) -> None:
    shop.add_variant(501, parent=1)
    shop.sell(variant=501, parent=1)
    shop.run("catalog", "UPDATE products SET on_hand = on_hand + 2 WHERE id = 501")
    shop.run("catalog", "UPDATE products SET on_hand = on_hand - 2 WHERE id = 1")
    assert shop.broken() == {SOLD}


def test_a_cancelled_order_that_still_holds_stock(shop: Shop) -> None:
    shop.hold(shop.order("cancelled"), "held")
    assert shop.broken() == {CANCELLED}


def test_a_cancelled_order_whose_stock_is_gone(shop: Shop) -> None:
    shop.hold(shop.order("cancelled"), "committed")
    assert shop.broken() == {CANCELLED, HOLD_CONFIRMED}


def test_a_cancelled_order_whose_money_is_held(shop: Shop) -> None:
    shop.payment(shop.order("cancelled"), "requires_capture")
    assert shop.broken() == {CANCELLED}


def test_a_cancelled_order_whose_money_was_kept(shop: Shop) -> None:
    shop.payment(shop.order("cancelled"), "succeeded", captured=True)
    assert shop.broken() == {CANCELLED, PAYMENT_CONFIRMED}


def test_a_cancelled_payment_of_which_something_was_kept(shop: Shop) -> None:
    payment = shop.payment(shop.order("cancelled"), "canceled", captured=True)
    shop.allow("payments", "simulated_charges")
    for table, key in (("payments", "id"), ("simulated_charges", "key::uuid")):
        shop.run(
            "payments",
            f"UPDATE {table} SET amount_refunded = amount_refunded - 1 WHERE {key} = %(id)s",
            id=payment,
        )
    shop.book(payment, "correction", 1)
    assert shop.broken() == {CANCELLED}


@pytest.mark.parametrize("status", [None, "pending"])
def test_stock_that_was_sold_without_a_confirmed_order(shop: Shop, status: str | None) -> None:
    shop.hold(shop.order(status, next_step="commit") if status else new_id(), "committed")
    assert shop.broken() == {HOLD_CONFIRMED}


@pytest.mark.parametrize("status", [None, "pending"])
def test_money_that_was_taken_without_a_confirmed_order(shop: Shop, status: str | None) -> None:
    order = shop.order(status, next_step="capture") if status else new_id()
    shop.payment(order, "succeeded", captured=True)
    assert shop.broken() == {PAYMENT_CONFIRMED}


def test_money_that_is_held_without_an_order(shop: Shop) -> None:
    shop.payment(new_id(), "requires_capture")
    assert shop.broken() == {PAYMENT_CONFIRMED}


def test_a_payment_that_the_provider_does_not_know(shop: Shop) -> None:
    shop.run("payments", "DELETE FROM simulated_charges WHERE amount_captured > 0")
    assert shop.broken() == {CHARGE_THERE}


def test_a_payment_that_the_provider_is_just_being_asked_for_is_no_breach(shop: Shop) -> None:
    payment = shop.payment(shop.order("pending", next_step="reserve"), "processing")
    shop.run("payments", "DELETE FROM simulated_charges WHERE key = %(id)s::text", id=payment)
    assert shop.broken() == set()


def test_an_order_that_was_closed_before_it_had_a_payment_is_no_breach(shop: Shop) -> None:
    order = shop.order("cancelled")
    shop.run("payments", "INSERT INTO payments (order_id, status) VALUES (%(id)s, 'canceled')", id=order)
    shop.run("catalog", "INSERT INTO reservations (order_id, state) VALUES (%(id)s, 'closed')", id=order)
    assert shop.broken() == set()


def test_a_charge_without_a_payment(shop: Shop) -> None:
    shop.run(
        "payments",
        """
        INSERT INTO simulated_charges (key, amount, currency, payment_method)
        VALUES ('k', 1, 'USD', 'pm_card_visa')
        """,
    )
    assert shop.broken() == {CHARGE_THERE}


@pytest.mark.parametrize(
    "change",
    [
        "amount_captured = 0",
        "amount_refunded = 1",
        "amount = amount + 1",
        "currency = 'EUR'",
        "released = true",
        "decline_code = 'x'",
    ],
)
def test_a_provider_with_other_numbers(shop: Shop, change: str) -> None:
    shop.allow("payments", "simulated_charges")
    shop.run("payments", f"UPDATE simulated_charges SET {change} WHERE amount_captured > 0")
    assert shop.broken() == {CHARGE_SAME}


def test_a_charge_that_is_ahead_of_an_order_in_motion_is_no_breach(shop: Shop) -> None:
    order = shop.order("confirmed", next_step="capture")
    shop.hold(order, "committed")
    payment = shop.payment(order, "requires_capture")
    shop.run(
        "payments",
        "UPDATE simulated_charges SET amount_captured = amount WHERE key = %(id)s::text",
        id=payment,
    )
    assert shop.broken() == set()


def test_a_confirmed_order_that_is_being_cancelled_is_no_breach(shop: Shop) -> None:
    order = shop.order("confirmed", next_step="release")
    shop.hold(order, "committed")
    shop.payment(order, "canceled", captured=True)
    assert shop.broken() == set()


@pytest.mark.parametrize(
    "message",
    [
        "Bearer eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl",
        "hash $argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA",
        "sfr_" + "Zm9vYmFy" * 5 + "Zm9",
    ],
)
@pytest.mark.parametrize("table", ["records", "audit_records"])
def test_a_secret_in_a_log_record(shop: Shop, message: str, table: str) -> None:
    shop.log("eyJ is how a token begins", table=table)
    assert shop.broken() == set()
    shop.log(message, table=table)
    assert shop.broken() == {SECRETS}


@pytest.fixture
def paused_check(committed_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """A check that has read the orders once and waits in the catalogue; call it to continue."""
    answers: list[Any] = []
    has_begun, may_go_on = threading.Event(), threading.Event()
    check_rules = books._check_rules

    def check_and_wait(connection: psycopg.Connection[Any], database: str) -> Any:
        findings = check_rules(connection, database)
        if database == "catalog":
            has_begun.set()
            assert may_go_on.wait(20)
        return findings

    monkeypatch.setattr(books, "_check_rules", check_and_wait)
    thread = threading.Thread(
        target=lambda: answers.append(books.check_books(committed_shop.urls)), daemon=True
    )
    thread.start()
    assert has_begun.wait(20)

    def go_on() -> Any:
        may_go_on.set()
        thread.join()
        return answers[0]

    return go_on


def test_an_order_that_is_placed_during_the_check_is_left_out(
    committed_shop: Shop, paused_check: Callable[[], Any]
) -> None:
    committed_shop.sell()
    findings, moving = paused_check()
    assert [finding for finding in findings if finding.broken] == []
    assert moving == 3 + 1


def test_an_order_that_changes_during_the_check_is_left_out(
    committed_shop: Shop, paused_check: Callable[[], Any]
) -> None:
    order = committed_shop.run("orders", "SELECT id FROM orders WHERE status = 'paid'")
    payment = committed_shop.run("payments", "SELECT id FROM payments WHERE status = 'succeeded'")
    committed_shop.run("catalog", "UPDATE products SET on_hand = on_hand + 2 WHERE id = 1")
    committed_shop.run(
        "catalog", "UPDATE reservations SET state = 'released' WHERE order_id = %(id)s", id=order
    )
    given_back = "amount_refunded = amount_captured WHERE amount_captured > 0"
    committed_shop.run("payments", f"UPDATE payments SET status = 'canceled', {given_back}")
    committed_shop.run("payments", f"UPDATE simulated_charges SET released = true, {given_back}")
    committed_shop.book(payment, "cancel", -2 * PRICE)
    committed_shop.run(
        "orders",
        "UPDATE orders SET status = 'cancelled', updated_at = clock_timestamp() WHERE id = %(id)s",
        id=order,
    )
    findings, moving = paused_check()
    assert [finding for finding in findings if finding.broken] == []
    assert moving == 3 + 1


def test_a_cart_that_is_ordered_twice_is_a_breach_unless_one_order_was_cancelled(shop: Shop) -> None:
    shop.cancel()
    shop.run("orders", "UPDATE orders SET cart_version = 7 WHERE status IN ('paid', 'cancelled')")
    assert shop.broken() == set()
    shop.sell()
    shop.run("orders", "UPDATE orders SET cart_version = 7 WHERE status = 'paid'")
    assert shop.broken() == {"orders: no version of a cart is ordered twice"}


def test_an_order_whose_last_step_is_done_during_the_check_is_left_out(shop: Shop) -> None:
    order = shop.order("refunded", next_step="restock")
    shop.hold(order, "committed")
    shop.payment(order, "succeeded", captured=True)
    shop.refund(order, 2 * PRICE)
    shop.run("orders", "UPDATE refunds SET restock = true")

    @contextmanager
    def read(database: str) -> Iterator[psycopg.Connection[Any]]:
        """Restock the order after the catalogue was read."""
        yield shop.connections[database]
        if database == "catalog":
            shop.run("orders", "DELETE FROM order_work WHERE order_id = %(id)s", id=order)

    findings, moving = books.check_databases(read)
    assert [finding for finding in findings if finding.broken] == []
    assert moving == 3 + 1


def test_a_breach_is_named_and_counted(shop: Shop) -> None:
    for _ in range(7):
        shop.hold(shop.order("paid"), "committed")
    finding = next(finding for finding in shop.check()[0] if finding.rule == PAID)
    assert (finding.checked, finding.broken, len(finding.examples)) == (8, 7, books.SHOWN)


def as_environment(urls: dict[str, str]) -> dict[str, str]:
    return {f"AUDIT_URL_{name.upper()}": url for name, url in urls.items()}


def run_main(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> int:
    for name in (*(f"AUDIT_URL_{database.upper()}" for database in books.DATABASES), "STATE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return books.main()


def test_correct_books_print_a_line_per_rule_and_exit_0(standing_shop: Shop, monkeypatch, capsys) -> None:
    assert run_main(monkeypatch, as_environment(standing_shop.urls)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"ok      {PAID} (1)" in lines
    assert lines[-1] == "30 rules, 0 broken; 3 orders are in progress."


def test_a_breach_prints_its_counts_and_exits_1(committed_shop: Shop, monkeypatch, capsys) -> None:
    committed_shop.run("catalog", "UPDATE products SET reserved = 3 WHERE id = 1")
    assert run_main(monkeypatch, as_environment(committed_shop.urls)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"BREACH  {RESERVED} (1 of 2)" in lines
    assert "          product 1: 3 reserved, 2 held" in lines
    assert lines[-1] == "30 rules, 1 broken; 3 orders are in progress."


def test_a_stopped_shop_cannot_be_checked(tmp_path: Path, monkeypatch, capsys) -> None:
    assert run_main(monkeypatch, {"STATE": str(tmp_path)}) == 2
    assert "No shop runs" in capsys.readouterr().out


def test_an_unreachable_database_is_not_a_breach(standing_shop: Shop, monkeypatch, capsys) -> None:
    url = standing_shop.urls["payments"]
    gone = {"payments": url.rpartition("/")[0] + "/gone"}
    assert run_main(monkeypatch, as_environment(standing_shop.urls | gone)) == 2
    printed = capsys.readouterr().out
    assert printed.startswith("The books cannot be checked: The database of payments could not be read: ")
    password = url.split("@")[0].rpartition(":")[2]
    assert password not in printed


def test_a_missing_table_is_not_a_breach(standing_shop: Shop, monkeypatch) -> None:
    wrong = {"catalog": standing_shop.urls["auth"]}
    assert run_main(monkeypatch, as_environment(standing_shop.urls | wrong)) == 2


def test_a_single_database_url_is_refused_with_the_names_of_the_missing_ones() -> None:
    with pytest.raises(BooksUnreadable, match=r"Set AUDIT_URL_AUTH and .* too"):
        find_databases({"AUDIT_URL_ORDERS": "postgresql://"})


def test_a_running_stack_is_found_by_its_state(tmp_path: Path, postgres: Server) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "password").write_text(f"{postgres.superuser_password}\n")
    described = {
        "port": postgres.port,
        "pid": postgres.pid,
        "superuser_password_file": str(tmp_path / "password"),
    }
    (tmp_path / "run" / "stack.json").write_text(json.dumps({"postgres": described}))
    urls = find_databases({"STATE": str(tmp_path)})
    assert urls == {name: postgres.url(database=name) for name in books.DATABASES}


def test_the_check_cannot_write(standing_shop: Shop) -> None:
    with books._reading(standing_shop.urls, "catalog") as connection, suppress(BooksUnreadable):
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("UPDATE products SET on_hand = 0")
        connection.rollback()


def test_a_database_is_read_in_one_snapshot(committed_shop: Shop) -> None:
    with books._reading(committed_shop.urls, "catalog") as connection:
        count = "SELECT count(*) FROM reservations"
        before = connection.execute(count).fetchall()
        committed_shop.hold(committed_shop.order("pending", next_step="reserve"), "held")
        assert connection.execute(count).fetchall() == before
