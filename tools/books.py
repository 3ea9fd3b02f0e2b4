"""Check a running shop's books across its services and print a line for each rule: `make audit`.

The check only reads, each database in one REPEATABLE READ transaction. It reads the shop of `make run` whose
state is in STATE, or the five databases that AUDIT_URL_AUTH, AUDIT_URL_CATALOG and so on name.
The exit code is 1 if a rule is broken, and 2 if a database could not be read.
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

from local.postgres import Server
from local.settings import SERVICES
from local.stack import description_in
from shared.service import package_of
from tools.book_comparisons import COMPARISONS, Books, Fact
from tools.book_rules import NEW_TABLES, RULES

DATABASES = tuple(package_of(service) for service in SERVICES)
SHOWN = 5  # Breaches that are printed per rule; all are counted.

# Opens the database of that name for reading.
Read = Callable[[str], AbstractContextManager[psycopg.Connection[Any]]]


class BooksUnreadable(Exception):
    """The books cannot be read; the message says why in one sentence."""


class Finding(NamedTuple):
    """The result of a rule: how many facts were checked, and which of them break it."""

    rule: str
    checked: int
    broken: int
    examples: list[str]


# Text forms in which the lines of orders and reservations, and the refunds of two services, are compared.
# The product_id of a line is the number of what was sold, which is a variant's.
LINES: LiteralString = """(
    SELECT string_agg(format('%s x %s at %s', quantity, product_id, unit_amount), ', ' ORDER BY product_id)
    FROM {} AS line WHERE line.order_id = {}) AS lines
"""
REFUNDS: LiteralString = """(
    SELECT array_agg(format('%s of %s', amount, id))
    FROM refunds AS refund WHERE refund.{} = {} AND refund.status = 'succeeded') AS refunds
"""
# The variants that were sold, each with its product: null is the same number.
PARENTS: LiteralString = """(
    SELECT array_agg(ARRAY[product_id, coalesce(parent_id, product_id)] ORDER BY product_id)
    FROM order_lines AS line WHERE line.order_id = orders.id AND unit_amount IS NOT NULL) AS parents
"""


def check_books(urls: Mapping[str, str]) -> tuple[list[Finding], int]:
    """Check every rule; return the findings, and the number of orders left out because they were in progress.

    Raises BooksUnreadable.
    """
    return check_databases(partial(_reading, urls))


def check_databases(read: Read) -> tuple[list[Finding], int]:
    """Check every rule, as `check_books` does, in databases that `read` opens."""
    # Five databases have no common snapshot, so the orders are read before and after the others. An order
    # that has no work both times and was not updated in between did not change in any database meanwhile.
    # Both conditions are needed: a restock ends an order's work without an update of the order.
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
        parents = _read_parents(catalog)
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
    books = Books(after, settled, customers, holds, parents, payments_of)
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
        if owner == database and _has_tables(connection, rule):
            statement = sql.SQL(summary).format(sql.Literal(SHOWN), sql.SQL(facts))
            findings.append(Finding(rule, *connection.execute(statement).fetchall()[0]))
    return findings


def _has_tables(connection: psycopg.Connection[Any], rule: str) -> bool:
    """Return whether the database has what a rule needs; one of an earlier release may not."""
    table = NEW_TABLES.get(rule)
    found = connection.execute("SELECT to_regclass(%s) IS NOT NULL AS found", [table]).fetchone()
    return table is None or bool(found and found.found)


def _read_orders(connection: psycopg.Connection[Any]) -> dict[UUID, Any]:
    lines = sql.SQL(LINES).format(sql.Identifier("order_lines"), sql.Identifier("orders", "id"))
    refunds = sql.SQL(REFUNDS).format(sql.Identifier("order_id"), sql.Identifier("orders", "id"))
    rows = connection.execute(
        sql.SQL(
            """
            SELECT id, status, work.next_step, updated_at, customer, amount_refunded, currency, payment_id,
                   -- An order of a release without totals has the amount of its items.
                   coalesce((to_jsonb(orders) ->> 'amount')::bigint, items_amount) AS amount,
                   created_at < now() - interval '60 days' AS is_old, {}, {}, {},
                   EXISTS (SELECT FROM refunds AS refund WHERE refund.order_id = orders.id
                           AND refund.status = 'succeeded' AND refund.restock) AS is_restocked
            FROM orders LEFT JOIN order_work AS work ON work.order_id = orders.id
            """
        ).format(lines, sql.SQL(PARENTS), refunds)
    )
    return {row.id: row for row in rows}


def _read_holds(connection: psycopg.Connection[Any]) -> dict[UUID, Any]:
    lines = sql.SQL(LINES).format(
        sql.Identifier("reservation_lines"), sql.Identifier("reservations", "order_id")
    )
    rows = connection.execute(sql.SQL("SELECT order_id, state, currency, {} FROM reservations").format(lines))
    return {row.order_id: row for row in rows}


def _read_parents(connection: psycopg.Connection[Any]) -> dict[int, int]:
    """Return the product of each further variant."""
    # In a database that is not migrated yet, `parent_id` is the null of `without`.
    rows = connection.execute(
        """
        SELECT variant.id, variant.parent_id
        FROM (SELECT NULL::bigint AS parent_id) AS without,
            LATERAL (SELECT id, parent_id FROM products) AS variant
        WHERE variant.parent_id IS NOT NULL
        """
    )
    return {row.id: row.parent_id for row in rows}


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
    """Open a database for reading, in the snapshot of the first statement."""
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
        raise BooksUnreadable(f"The database of {name} could not be read: {reason}") from None


def find_databases(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the five databases' URLs, from the environment or else from a running stack's description.

    Raises BooksUnreadable.
    """
    names = {database: f"AUDIT_URL_{database.upper()}" for database in DATABASES}
    given = {database: environment[name] for database, name in names.items() if environment.get(name)}
    if given:
        missing = [name for database, name in names.items() if database not in given]
        if missing:
            raise BooksUnreadable(f"Set {' and '.join(missing)} too, or none of them.")
        return given
    state = Path(environment.get("STATE") or ".local").expanduser().absolute()
    try:
        postgres = json.loads(description_in(state).read_text(encoding="utf-8"))["postgres"]
        password = Path(postgres["superuser_password_file"]).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise BooksUnreadable(f"No shop runs with its state in {state}. Start one with `make run`.") from None
    except OSError as error:
        raise BooksUnreadable(f"{error.filename} cannot be read: {error.strerror}.") from None
    server = Server(postgres["port"], password, postgres["pid"])
    return {database: server.url(database=database) for database in DATABASES}


def main() -> int:
    """Check the books, print a line for each rule, and a summary."""
    try:
        findings, moving = check_books(find_databases(os.environ))
    except BooksUnreadable as error:
        print(f"The books cannot be checked: {error}")
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
