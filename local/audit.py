"""Check a running shop's books across its services, a line for each rule: `make audit`.

It only reads, each database in one REPEATABLE READ transaction. It looks at the shop of `make run` that has
its state in STATE, or at the five databases that AUDIT_URL_AUTH, AUDIT_URL_CATALOG and so on name.
The exit code is 1 if something does not add up, and 2 if it could not look.
"""

import json
import os
import sys
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import namedtuple_row

from local.postgres import Server
from local.settings import SERVICES
from local.stack import description_in
from shared.service import package_of

DATABASES = tuple(package_of(service) for service in SERVICES)
CONFIRMED = frozenset({"confirmed", "paid", "shipped", "delivered", "refunded"})
PAID = CONFIRMED - {"confirmed"}
SHOWN = 5  # Breaches of one rule that are named; all are counted.

# What a rule is about, and whether the rule holds for it.
Fact = tuple[str, bool]


class CannotLook(Exception):
    """Say in one sentence why the books cannot be read."""


class Finding(NamedTuple):
    """What came of a rule: how much was looked at, and what breaks it."""

    rule: str
    checked: int
    broken: int
    examples: list[str]


# Rules that one database can answer for, all in one statement: `what` a row is about, and whether it `holds`.
RULES: list[tuple[str, str, LiteralString]] = [
    (
        "stock: no product has fewer units than are reserved, nor fewer than none",
        "catalog",
        """
        SELECT format('product %s: %s on hand, %s reserved', id, on_hand, reserved) AS what,
               reserved BETWEEN 0 AND on_hand AS holds
        FROM products
        """,
    ),
    (
        "stock: what is reserved is what the holds add up to",
        "catalog",
        """
        SELECT format('product %s: %s reserved, %s held', id, reserved, held) AS what,
               reserved = held AS holds
        FROM products CROSS JOIN LATERAL (
            SELECT coalesce(sum(quantity), 0) AS held
            FROM reservation_lines JOIN reservations USING (order_id)
            WHERE product_id = products.id AND state = 'held') AS lines
        """,
    ),
    (
        # Stock is counted down from what the source said. Another source than the bundled one may correct
        # itself below what is held here, and then this cannot be told any more.
        "stock: what is gone was sold",
        "catalog",
        """
        SELECT format('product %s: %s gone, %s sold', id, source_on_hand - on_hand, sold) AS what,
               source_on_hand - on_hand = sold AS holds
        FROM products CROSS JOIN LATERAL (
            SELECT coalesce(sum(quantity), 0) AS sold
            FROM reservation_lines JOIN reservations USING (order_id)
            WHERE product_id = products.id AND state = 'committed') AS lines
        WHERE source_on_hand IS NOT NULL AND (SELECT source LIKE 'sample %' FROM source_copy)
        """,
    ),
    (
        "stock: no hold has outlived its time",
        "catalog",
        """
        SELECT format('order %s: held until %s', order_id, expires_at) AS what,
               expires_at > now() - interval '1 minute' AS holds
        FROM reservations WHERE state = 'held'
        """,
    ),
    (
        "ledger: each entry sums to zero",
        "payments",
        """
        SELECT format('entry %s: %s', id, coalesce(sum(amount)::text, 'no lines')) AS what,
               sum(amount) = 0 AS holds
        FROM ledger_entries LEFT JOIN ledger_lines ON entry_id = id
        GROUP BY id
        """,
    ),
    (
        "ledger: all of it sums to zero, in each currency",
        "payments",
        """
        SELECT format('%s: %s', coalesce(currency, 'no entry'), sum(amount)) AS what, sum(amount) = 0 AS holds
        FROM ledger_lines LEFT JOIN ledger_entries ON entry_id = id
        GROUP BY currency
        """,
    ),
    (
        "ledger: each payment's entries are what it took and gave back",
        "payments",
        """
        SELECT format('payment %s: %s booked, %s captured, %s refunded', id, booked, amount_captured,
                      amount_refunded) AS what,
               booked = amount_captured - amount_refunded AS holds
        FROM payments CROSS JOIN LATERAL (
            SELECT coalesce(sum(ledger_lines.amount), 0) AS booked
            FROM ledger_entries JOIN ledger_lines ON entry_id = ledger_entries.id
            WHERE payment_id = payments.id AND account = 'receivable') AS entries
        """,
    ),
    (
        "payments: no order has two",
        "payments",
        """
        SELECT format('order %s: %s payments', order_id, count(*)) AS what, count(*) = 1 AS holds
        FROM payments GROUP BY order_id
        """,
    ),
    (
        "payments: none is without its charge, and no charge without its payment",
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
        # A pending order has its two minutes, and half a minute more to be picked up and undone.
        "orders: none is stuck",
        "orders",
        """
        SELECT format('order %s: %s since %s, next step %s', id, status, created_at,
                      coalesce(next_step, 'none')) AS what,
               CASE WHEN next_step IS NULL THEN status NOT IN ('pending', 'confirmed')
                    ELSE deadline > now() - interval '30 seconds' END AS holds
        FROM orders
        """,
    ),
    (
        "logs: no token and no password's hash is in the last 100000 records",
        "logs",
        r"""
        SELECT format('record %s of %s', id, service) AS what,
               concat(message, attributes)
                   !~ 'eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.|\$argon2id?\$|sfr_[\w-]{43}' AS holds
        FROM (SELECT * FROM log_records ORDER BY time DESC LIMIT 100000) AS latest
        """,
    ),
]

# The lines of an order and of its hold as a text, by which the two are compared.
LINES: LiteralString = """(
    SELECT string_agg(format('%s x %s at %s', quantity, product_id, unit_amount), ', ' ORDER BY product_id)
    FROM {} AS line WHERE line.order_id = {}) AS lines
"""


@dataclass(frozen=True)
class Books:
    """What the databases say of the orders; the `settled` ones stood still while the rest was read."""

    orders: Mapping[UUID, Any]
    settled: frozenset[UUID]
    customers: frozenset[str]
    holds: Mapping[UUID, Any]
    payments: Mapping[UUID, list[Any]]

    def settled_orders(self, *, statuses: Container[str] | None = None) -> Iterator[Any]:
        """Return the orders that have nothing left to do, in all states or in these."""
        for order in self.orders.values():
            if order.id in self.settled and (statuses is None or order.status in statuses):
                yield order

    def is_moving(self, order_id: UUID) -> bool:
        """Tell whether an order is in the middle of something, so that its parts may differ for now."""
        return order_id in self.orders and order_id not in self.settled


def audit(urls: Mapping[str, str]) -> tuple[list[Finding], int]:
    """Check every rule; return what came of each, and how many orders were left out for being in motion.

    Raises CannotLook.
    """
    # The databases cannot be read at one moment, but the orders can be read before and after the others: an
    # order that had nothing left to do, and is the same both times, had nothing done for it in between.
    with _reading(urls, "orders") as orders:
        before = {row.id: row.updated_at for row in orders.execute("SELECT id, updated_at FROM orders")}
    findings = []
    with _reading(urls, "auth") as auth:
        customers = frozenset(row.id for row in auth.execute("SELECT id::text FROM users"))
    with _reading(urls, "catalog") as catalog:
        findings += _check_rules(catalog, "catalog")
        holds = _read_holds(catalog)
    with _reading(urls, "payments") as payments:
        findings += _check_rules(payments, "payments")
        payments_of = _read_payments(payments)
    with _reading(urls, "orders") as orders:
        findings += _check_rules(orders, "orders")
        after = _read_orders(orders)
    with _reading(urls, "logs") as logs:
        findings += _check_rules(logs, "logs")
    settled = frozenset(
        order.id
        for order in after.values()
        if order.next_step is None and before.get(order.id) == order.updated_at
    )
    findings += _compare(Books(after, settled, customers, holds, payments_of))
    return sorted(findings), len(after) - len(settled)


def _compare(books: Books) -> list[Finding]:
    rules = {
        "orders: each belongs to a user": _check_customers,
        "orders: each paid one has one captured payment of its amount": _check_paid_for,
        "orders: each paid one has one committed hold of its lines": _check_sold,
        "orders: each cancelled one has neither": _check_cancelled,
        "stock: each committed hold belongs to a confirmed order": _check_holds,
        "payments: each belongs to an order, each captured one to a confirmed one": _check_payments,
        "payments: the provider's book says the same": _check_charges,
    }
    return [_sum_up(rule, check(books)) for rule, check in rules.items()]


def _check_customers(books: Books) -> Iterator[Fact]:
    for order in books.settled_orders():
        # A guest is forgotten after 90 days, and can order for 30 of them.
        known = order.customer in books.customers or order.is_old
        yield f"order {order.id}: {order.customer}", known


def _check_paid_for(books: Books) -> Iterator[Fact]:
    for order in books.settled_orders(statuses=PAID):
        wanted = (
            "succeeded",
            order.items_amount,
            order.amount_refunded,
            order.currency,
            order.customer,
            order.payment_id,
        )
        payments = [
            (each.status, each.amount_captured, each.amount_refunded, each.currency, each.customer, each.id)
            for each in books.payments.get(order.id, [])
        ]
        found = ", ".join(f"{status} {captured}" for status, captured, *_ in payments) or "none"
        what = f"order {order.id}: {order.status}, {order.items_amount} {order.currency}, payment: {found}"
        yield what, payments == [wanted]


def _check_sold(books: Books) -> Iterator[Fact]:
    for order in books.settled_orders(statuses=PAID):
        hold = books.holds.get(order.id)
        found = f"{hold.state} {hold.lines}" if hold else "none"
        what = f"order {order.id}: {order.status} {order.lines}, hold: {found}"
        wanted = ("committed", order.currency, order.lines)
        yield what, hold is not None and (hold.state, hold.currency, hold.lines) == wanted


def _check_cancelled(books: Books) -> Iterator[Fact]:
    for order in books.settled_orders(statuses={"cancelled"}):
        hold = books.holds.get(order.id)
        held = hold.state if hold and hold.state in {"held", "committed"} else None
        kept = [
            each.status
            for each in books.payments.get(order.id, [])
            if each.status != "canceled" or each.amount_captured != each.amount_refunded
        ]
        what = f"order {order.id}: hold {held or 'none'}, payment {', '.join(kept) or 'none'}"
        yield what, held is None and not kept


def _check_holds(books: Books) -> Iterator[Fact]:
    for hold in books.holds.values():
        if hold.state == "committed":
            yield _relate("hold", hold.order_id, books, CONFIRMED)


def _check_payments(books: Books) -> Iterator[Fact]:
    for payment in _all_payments(books):
        statuses = CONFIRMED if payment.status == "succeeded" else None
        yield _relate(f"payment {payment.id}", payment.order_id, books, statuses)


def _relate(what: str, order_id: UUID, books: Books, statuses: frozenset[str] | None) -> Fact:
    """Tell whether the order is there, and in one of these states if any are given.

    An order's row is written before anything is held for it, and before anything is taken for it the order is
    confirmed. Both hold at every moment, also for an order in motion; only one being cancelled may be both.
    """
    order = books.orders.get(order_id)
    if order is None:
        return f"{what}: there is no order {order_id}", False
    is_undone = order.status == "cancelled" and books.is_moving(order_id)
    return (
        f"{what}: order {order_id} is {order.status}",
        statuses is None or order.status in statuses or is_undone,
    )


def _check_charges(books: Books) -> Iterator[Fact]:
    for payment in _all_payments(books):
        if payment.key is None or books.is_moving(payment.order_id):
            continue
        ours = (
            payment.amount,
            payment.currency,
            payment.decline_code,
            payment.amount_captured,
            payment.amount_refunded,
            payment.status == "canceled",
        )
        theirs = (
            payment.charge_amount,
            payment.charge_currency,
            payment.charge_decline_code,
            payment.charge_captured,
            payment.charge_refunded,
            payment.released,
        )
        yield f"payment {payment.id}: {payment.status} {ours}, charge {theirs}", ours == theirs


def _all_payments(books: Books) -> Iterator[Any]:
    return (payment for payments in books.payments.values() for payment in payments)


def _sum_up(rule: str, facts: Iterable[Fact]) -> Finding:
    checked, broken = 0, []
    for what, holds in facts:
        checked += 1
        if not holds:
            broken.append(what)
    return Finding(rule, checked, len(broken), broken[:SHOWN])


def _check_rules(connection: psycopg.Connection[Any], database: str) -> list[Finding]:
    summary: LiteralString = """
        SELECT count(*) AS checked, count(*) FILTER (WHERE holds IS NOT TRUE) AS broken,
               coalesce((array_agg(what) FILTER (WHERE holds IS NOT TRUE))[:{}], '{{}}') AS examples
        FROM ({}) AS facts
    """
    findings = []
    for rule, owner, facts in RULES:
        if owner == database:
            statement = sql.SQL(summary).format(sql.Literal(SHOWN), sql.SQL(facts))
            findings.append(Finding(rule, *connection.execute(statement).fetchall()[0]))
    return findings


def _read_orders(connection: psycopg.Connection[Any]) -> dict[UUID, Any]:
    lines = sql.SQL(LINES).format(sql.Identifier("order_lines"), sql.Identifier("orders", "id"))
    rows = connection.execute(
        sql.SQL(
            """
            SELECT id, status, next_step, updated_at, customer, items_amount, amount_refunded, currency,
                   payment_id, created_at < now() - interval '60 days' AS is_old, {} FROM orders
            """
        ).format(lines)
    )
    return {row.id: row for row in rows}


def _read_holds(connection: psycopg.Connection[Any]) -> dict[UUID, Any]:
    lines = sql.SQL(LINES).format(
        sql.Identifier("reservation_lines"), sql.Identifier("reservations", "order_id")
    )
    rows = connection.execute(sql.SQL("SELECT order_id, state, currency, {} FROM reservations").format(lines))
    return {row.order_id: row for row in rows}


def _read_payments(connection: psycopg.Connection[Any]) -> dict[UUID, list[Any]]:
    """Return each order's payments with their charges."""
    rows = connection.execute(
        """
        SELECT id, order_id, status, customer, payments.amount, payments.currency, payments.decline_code,
               payments.amount_captured, payments.amount_refunded, key, released,
               charge.amount AS charge_amount, charge.currency AS charge_currency,
               charge.decline_code AS charge_decline_code, charge.amount_captured AS charge_captured,
               charge.amount_refunded AS charge_refunded
        FROM payments LEFT JOIN simulated_charges AS charge ON provider = 'simulated' AND key = id::text
        """
    )
    payments = defaultdict(list)
    for row in rows:
        payments[row.order_id].append(row)
    return payments


@contextmanager
def _reading(urls: Mapping[str, str], name: str) -> Iterator[psycopg.Connection[Any]]:
    """Open a database for reading; all that is read stands as it stood at the first statement."""
    try:
        with psycopg.connect(
            urls[name],
            options="-c default_transaction_read_only=on -c timezone=UTC",
            connect_timeout=5,
            row_factory=namedtuple_row,
        ) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            yield connection
    except psycopg.Error as error:
        reason = str(error).strip() or type(error).__name__
        raise CannotLook(f"The database of {name} could not be read: {reason}") from None


def find_databases(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the five databases' URLs, from the environment or else from a running stack's own description.

    Raises CannotLook.
    """
    names = {database: f"AUDIT_URL_{database.upper()}" for database in DATABASES}
    given = {database: environment[name] for database, name in names.items() if environment.get(name)}
    if given:
        missing = [name for database, name in names.items() if database not in given]
        if missing:
            raise CannotLook(f"{' and '.join(missing)} must be set too, or none of them.")
        return given
    state = Path(environment.get("STATE") or ".local").expanduser().absolute()
    try:
        postgres = json.loads(description_in(state).read_text(encoding="utf-8"))["postgres"]
        password = Path(postgres["superuser_password_file"]).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise CannotLook(f"No shop runs with its state in {state}; start one with `make run`.") from None
    except OSError as error:
        raise CannotLook(f"{error.filename} cannot be read: {error.strerror}.") from None
    server = Server(postgres["port"], password, postgres["pid"])
    return {database: server.url(database=database) for database in DATABASES}


def main() -> int:
    """Audit, print a line for each rule, and sum up."""
    try:
        findings, moving = audit(find_databases(os.environ))
    except CannotLook as error:
        print(f"Cannot look: {error}")
        return 2
    for finding in findings:
        word = "BREACH" if finding.broken else "ok"
        numbers = f"{finding.broken} of {finding.checked}" if finding.broken else str(finding.checked)
        print(f"{word:6}  {finding.rule} ({numbers})")
        for example in finding.examples:
            print(f"          {example}")
        if finding.broken > len(finding.examples):
            print(f"          … and {finding.broken - len(finding.examples)} more")
    breaches = sum(1 for finding in findings if finding.broken)
    left_out = f"; {moving} orders are in progress" if moving else ""
    print(f"\n{len(findings)} rules, {breaches} broken{left_out}.")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
