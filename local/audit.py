"""Check a running shop's books across its services, a line for each rule: `make audit`.

It only reads, each database in one REPEATABLE READ transaction. It looks at the shop of `make run` that has
its state in STATE, or at the five databases that AUDIT_URL_AUTH, AUDIT_URL_CATALOG and so on name.
The exit code is 1 if something does not add up, and 2 if it could not look.
"""

import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import namedtuple_row

from local.audit_books import COMPARISONS, Books, Fact
from local.audit_rules import RULES
from local.postgres import Server
from local.settings import SERVICES
from local.stack import description_in
from shared.service import package_of

DATABASES = tuple(package_of(service) for service in SERVICES)
SHOWN = 5  # Breaches of one rule that are named; all are counted.

# Opens the database with this name for reading.
Read = Callable[[str], AbstractContextManager[psycopg.Connection[Any]]]


class CannotLook(Exception):
    """Say in one sentence why the books cannot be read."""


class Finding(NamedTuple):
    """What came of a rule: how much was looked at, and what breaks it."""

    rule: str
    checked: int
    broken: int
    examples: list[str]


# The lines of an order and of its hold as a text, and refunds here and there, by which they are compared.
LINES: LiteralString = """(
    SELECT string_agg(format('%s x %s at %s', quantity, product_id, unit_amount), ', ' ORDER BY product_id)
    FROM {} AS line WHERE line.order_id = {}) AS lines
"""
REFUNDS: LiteralString = """(
    SELECT array_agg(format('%s of %s', amount, id))
    FROM refunds AS refund WHERE refund.{} = {} AND refund.status = 'succeeded') AS refunds
"""


def audit(urls: Mapping[str, str]) -> tuple[list[Finding], int]:
    """Check every rule; return what came of each, and how many orders were left out for being in motion.

    Raises CannotLook.
    """
    return look_over(partial(_reading, urls))


def look_over(read: Read) -> tuple[list[Finding], int]:
    """Do the same as `audit` with databases that `read` opens."""
    # The databases cannot be read at one moment, but the orders can be read before and after the others: an
    # order without work both times, that nothing changed in between, had nothing done for it in between.
    # Both are needed: giving units back to the stock ends an order's work and does not change the order.
    idle = """
        SELECT id, updated_at FROM orders
        WHERE NOT EXISTS (SELECT FROM order_work WHERE order_work.order_id = orders.id)
    """
    with read("orders") as orders:
        before = {row.id: row.updated_at for row in orders.execute(idle)}
    findings = []
    with read("auth") as auth:
        customers = frozenset(row.id for row in auth.execute("SELECT id::text FROM users"))
    with read("catalog") as catalog:
        findings += _check_rules(catalog, "catalog")
        holds = _read_holds(catalog)
    with read("payments") as payments:
        findings += _check_rules(payments, "payments")
        payments_of = _read_payments(payments)
    with read("orders") as orders:
        findings += _check_rules(orders, "orders")
        after = _read_orders(orders)
    with read("logs") as logs:
        findings += _check_rules(logs, "logs")
    settled = frozenset(
        order.id
        for order in after.values()
        if order.next_step is None and before.get(order.id) == order.updated_at
    )
    books = Books(after, settled, customers, holds, payments_of)
    findings += [_sum_up(rule, check(books)) for rule, check in COMPARISONS.items()]
    return sorted(findings), len(after) - len(settled)


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
    refunds = sql.SQL(REFUNDS).format(sql.Identifier("order_id"), sql.Identifier("orders", "id"))
    rows = connection.execute(
        sql.SQL(
            """
            SELECT id, status, work.next_step, updated_at, customer, items_amount, amount_refunded, currency,
                   payment_id, created_at < now() - interval '60 days' AS is_old, {}, {},
                   EXISTS (SELECT FROM refunds AS refund WHERE refund.order_id = orders.id
                           AND refund.status = 'succeeded' AND refund.restock) AS is_restocked
            FROM orders LEFT JOIN order_work AS work ON work.order_id = orders.id
            """
        ).format(lines, refunds)
    )
    return {row.id: row for row in rows}


def _read_holds(connection: psycopg.Connection[Any]) -> dict[UUID, Any]:
    lines = sql.SQL(LINES).format(
        sql.Identifier("reservation_lines"), sql.Identifier("reservations", "order_id")
    )
    rows = connection.execute(sql.SQL("SELECT order_id, state, currency, {} FROM reservations").format(lines))
    return {row.order_id: row for row in rows}


def _read_payments(connection: psycopg.Connection[Any]) -> dict[UUID, list[Any]]:
    """Return each order's payments with their refunds and charges."""
    refunds = sql.SQL(REFUNDS).format(sql.Identifier("payment_id"), sql.Identifier("payments", "id"))
    rows = connection.execute(
        sql.SQL(
            """
            SELECT id, order_id, status, customer, payments.amount, payments.currency, payments.decline_code,
                   payments.amount_captured, payments.amount_refunded, key, released, awaits_customer, {},
                   charge.amount AS charge_amount, charge.currency AS charge_currency,
                   charge.decline_code AS charge_decline_code, charge.amount_captured AS charge_captured,
                   charge.amount_refunded AS charge_refunded
            FROM payments LEFT JOIN simulated_charges AS charge ON provider = 'simulated' AND key = id::text
            """
        ).format(refunds)
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
