"""Orders with their lines and events: place, find and list them."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    Text,
    TextClause,
    bindparam,
    func,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError

from orders.domain import Event, Line, Order, Refusal, Status, Step, Waiting, Work
from orders.errors import OrderRefused, find_status
from orders.repository.coupons import HAS_ORDERED, make_key, to_coupon
from orders.tables import CONTACT_WORDS, order_events, order_lines, order_work, orders, pricing
from orders.totals import Adjustment
from shared.idempotency import KeyedCall
from shared.ids import first_id

LEASE = timedelta(seconds=10)
# The clocks of replicas may differ by this much.
SKEW = timedelta(minutes=1)
NUMBER = re.compile("#?[0-9]{1,18}")

# Statements that run for every order are built once: building one takes longer than sending it.
WORK = {field.name: f"work_{field.name}" for field in fields(Work)}
FIND_ORDER = (
    select(
        orders,
        *(order_work.c[name].label(label) for name, label in WORK.items()),
        select(pricing.c.version).scalar_subquery().label("rules_version"),
    )
    .outerjoin(order_work, order_work.c.order_id == orders.c.id)
    .where(orders.c.id == bindparam("id"))
)
LOCK_ORDER = select(orders.c.id).where(orders.c.id == bindparam("id")).with_for_update(key_share=True)
FIND_LINES = (
    select(order_lines)
    .where(order_lines.c.order_id.in_(bindparam("ids", expanding=True)))
    .order_by(order_lines.c.product_id)
)
# An order of the cart binds the cart's version, unless an earlier order that was not cancelled has bound it.
# Two orders of the same cart wait for each other here, and the second one sees the first one's row.
BIND_CART = """, bound AS (
        UPDATE carts SET ordered_version = version, order_id = taken.order_id
        FROM taken
        WHERE owner = :customer AND version = :cart_version
            AND (ordered_version IS DISTINCT FROM version
                 OR EXISTS (SELECT FROM orders WHERE orders.id = carts.order_id AND status = 'cancelled'))
        RETURNING taken.order_id
    )"""
PLACE = """
    WITH taken AS (
        INSERT INTO idempotency_keys (principal, route, key, fingerprint, order_id)
        VALUES (:principal, :route, :key, :fingerprint, :id)
        ON CONFLICT DO NOTHING
        RETURNING order_id
    ){bound}, placed AS (
        INSERT INTO orders (id, customer, status, email, payment_method, shipping_address, billing_address,
                            note, expected_amount, coupon, shipping_method, request_id, traceparent,
                            created_at, updated_at, cart_version)
        SELECT order_id, :customer, :status, :email, :payment_method, CAST(:shipping_address AS jsonb),
            CAST(:billing_address AS jsonb), :note, :expected_amount, {code}, :shipping_method, :request_id,
            :traceparent, :created_at, :updated_at, :cart_version
        FROM {source}
        RETURNING id, number
    ), lines AS (
        INSERT INTO order_lines (order_id, product_id, quantity, parent_id, only_variant)
        SELECT placed.id, line.product_id, line.quantity, line.parent_id, line.only_variant
        FROM placed, unnest(CAST(:products AS bigint[]), CAST(:quantities AS bigint[]),
                            CAST(:parents AS bigint[]), CAST(:only_variants AS boolean[]))
            AS line (product_id, quantity, parent_id, only_variant)
    ), work AS (
        INSERT INTO order_work (order_id, next_step, lease_token, lease_until, deadline, request_id,
                                traceparent, network)
        SELECT id, :next_step, :lease, now() + :lasts, :deadline, :request_id, :traceparent, :network
        FROM placed
    ), told AS (
        INSERT INTO order_events (order_id, kind, to_status, actor)
        SELECT id, 'placed', :status, :customer FROM placed
    )
    SELECT (SELECT number FROM placed) AS number, (SELECT version FROM pricing) AS rules_version{told}
"""
# An order with a coupon takes a use of it, within the coupon's limits. Two orders wait for each other at
# these rows, and the second one sees the use of the first. The trigger that returns a use locks in the same
# order. The other conditions are those of `Coupon.check_use`.
USE_COUPON = """, wanted AS MATERIALIZED (
        SELECT coupons.id, {source}.order_id FROM coupons, {source}
        WHERE key = :coupon_key AND deleted_at IS NULL AND active
            AND (starts IS NULL OR starts <= now()) AND (ends IS NULL OR now() < ends)
            AND NOT (first_order_only AND {ordered})
    ), counted AS (
        INSERT INTO coupon_customers AS known (coupon_id, customer, uses)
        SELECT id, :coupon_customer, 1 FROM wanted
        ON CONFLICT (coupon_id, customer) DO UPDATE SET uses = known.uses + 1
            WHERE known.uses < coalesce((SELECT limit_per_customer FROM coupons
                                         WHERE coupons.id = known.coupon_id), known.uses + 1)
        RETURNING coupon_id
    ), used AS (
        UPDATE coupons SET uses = uses + 1 FROM counted, wanted
        WHERE coupons.id = counted.coupon_id AND uses < coalesce(use_limit, uses + 1)
        RETURNING coupons.*, wanted.order_id
    ), noted AS (
        INSERT INTO coupon_uses (order_id, coupon_id, customer)
        SELECT order_id, id, :coupon_customer FROM used
    )"""
TOLD_COUPON = ", (SELECT to_json(used) FROM used) AS coupon"
# The database refuses a key whose order does not exist, which undoes all that the statement has written.
NO_ORDER = "idempotency_keys_order_id_fkey"
COUNT_WAITING = text("""
    WITH waiting AS (
        SELECT orders.customer = :customer AS is_customers, work.network = :network AS is_networks,
            (SELECT sum(quantity) FROM order_lines WHERE order_lines.order_id = orders.id) AS units
        FROM order_work AS work JOIN orders ON orders.id = work.order_id
        WHERE next_step = :step AND work.order_id <> :id
            AND (orders.customer = :customer OR work.network = :network)
    )
    SELECT count(*) FILTER (WHERE is_customers) AS customer_orders,
        coalesce(sum(units) FILTER (WHERE is_customers), 0)::bigint AS customer_units,
        count(*) FILTER (WHERE is_networks) AS network_orders,
        coalesce(sum(units) FILTER (WHERE is_networks), 0)::bigint AS network_units
    FROM waiting
""").bindparams(bindparam("network", type_=Text))
FIND_KNOWN = text("""
    SELECT customer FROM unnest(CAST(:customers AS text[])) AS asked (customer)
    WHERE EXISTS (SELECT FROM orders WHERE orders.customer = asked.customer)
        OR EXISTS (SELECT FROM cart_items WHERE owner = asked.customer)
        OR EXISTS (SELECT FROM idempotency_keys WHERE principal = asked.customer)
""")


@cache
def _make_place(*, from_cart: bool, with_coupon: bool) -> TextClause:
    """Return the statement; each of the few variants is built once."""
    bound, source = (BIND_CART, "bound") if from_cart else ("", "taken")
    code, told = "NULL", ""
    if with_coupon:
        bound += USE_COUPON.replace("{source}", source).replace("{ordered}", HAS_ORDERED)
        source, code, told = "used", "code", TOLD_COUPON
    statement = PLACE
    for name, part in {"bound": bound, "source": source, "code": code, "told": told}.items():
        statement = statement.replace(f"{{{name}}}", part)
    nullable: dict[str, Any] = {
        "cart_version": BigInteger,
        "note": Text,
        "expected_amount": BigInteger,
        "shipping_method": Text,
        "payment_method": Text,
    }
    types = [bindparam(name, type_=kind) for name, kind in nullable.items()]
    return text(statement).bindparams(*types, lasts=LEASE)


def place_order(
    connection: Connection, call: KeyedCall, order: Order, lease: UUID, *, coupon_customer: str = ""
) -> Order | None:
    """Insert an order with its lines, work and first event; return it with its number, under the lease.

    Also returns its coupon, of which it takes a use for `coupon_customer`, and the version of the shop's
    rules. Inserts nothing and returns None if the call's key was already taken; waits for a concurrent
    transaction that takes it. The connection must commit each statement. Raises, and inserts nothing,
    OrderRefused if the cart has a newer version or was already ordered, or if the coupon cannot be used.
    """
    work = order.work
    if work is None:
        raise ValueError("A new order needs a first step.")
    values = {
        **vars(call),
        **vars(order),
        "shipping_address": json.dumps(order.shipping_address),
        "billing_address": json.dumps(order.billing_address) if order.billing_address else None,
        "products": [line.product_id for line in order.lines],
        "quantities": [line.quantity for line in order.lines],
        "parents": [line.parent_id for line in order.lines],
        "only_variants": [line.only_variant for line in order.lines],
        "lease": lease,
        "next_step": work.next_step,
        "deadline": work.deadline,
        "network": work.network,
    }
    if order.coupon is not None:
        values |= {"coupon_key": make_key(order.coupon), "coupon_customer": coupon_customer}
    statement = _make_place(from_cart=order.cart_version is not None, with_coupon=order.coupon is not None)
    try:
        row = connection.execute(statement, values).one()
    except IntegrityError as error:
        broken = getattr(error.orig, "diag", None)
        if broken is None or broken.constraint_name != NO_ORDER:
            raise
        raise OrderRefused from None
    if row.number is None:
        return None
    placed = replace(order, number=row.number, rules_version=row.rules_version)
    if order.coupon is None:
        return placed
    terms = to_coupon(row.coupon)
    return replace(placed, coupon=terms.code, coupon_terms=terms)


def find_order(connection: Connection, order_id: UUID) -> Order | None:
    """Return the order with this id."""
    row = connection.execute(FIND_ORDER, {"id": order_id}).first()
    if row is None:
        return None
    work = {name: getattr(row, label) for name, label in WORK.items()}
    order = replace(_with_lines(connection, [row])[0], rules_version=row.rules_version)
    return replace(order, work=Work(**work)) if work["next_step"] else order


def find_orders(connection: Connection, ids: Sequence[UUID]) -> list[Order]:
    """Return the orders with these ids, in this order and without their work."""
    rows = {row.id: row for row in connection.execute(select(orders).where(orders.c.id.in_(ids)))}
    return _with_lines(connection, [rows[order_id] for order_id in ids])


def lock_order(connection: Connection, order_id: UUID) -> Order | None:
    """Return the order with this id, locked until the transaction ends."""
    # A separate statement reads the order, because it sees the work that was recorded while this one waited.
    locked = connection.execute(LOCK_ORDER, {"id": order_id}).first()
    return find_order(connection, order_id) if locked else None


def read_page(
    connection: Connection,
    *,
    customers: Sequence[str] | None,
    wanted: str | None = None,
    status: Status | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: UUID | None = None,
    limit: int,
) -> list[Order]:
    """Return orders, newest first and without their work; `customers` None means all customers.

    `wanted` is a number, an id, or the beginnings of words of the email address and the names. An id starts
    with its creation time, so the index on ids also finds times.
    """
    query = select(orders).order_by(orders.c.id.desc()).limit(limit)
    if customers is not None:
        query = query.where(orders.c.customer.in_(customers))
    if wanted is not None:
        query = query.where(_matches(wanted))
    if status is not None:
        query = query.where(orders.c.status == status)
    if since is not None:
        query = query.where(orders.c.created_at >= since, orders.c.id >= first_id(since, -SKEW))
    if until is not None:
        query = query.where(orders.c.created_at < until, orders.c.id < first_id(until, SKEW))
    if before is not None:
        query = query.where(orders.c.id < before)
    return _with_lines(connection, connection.execute(query).all())


def _matches(wanted: str) -> ColumnElement[bool]:
    if NUMBER.fullmatch(wanted):
        return orders.c.number == int(wanted.removeprefix("#"))
    try:
        return orders.c.id == UUID(wanted)
    except ValueError:
        pass
    words = [word.replace("\\", "\\\\").replace("'", "''") for word in wanted.split()]
    query = " & ".join(f"'{word}':*" for word in words)
    return CONTACT_WORDS.op("@@")(func.to_tsquery(literal_column("'simple'"), query))


def find_placed_orders(connection: Connection, customer: str, *, limit: int) -> list[UUID]:
    """Return the ids of a customer's orders that are no longer pending: their payments are known."""
    query = select(orders.c.id).where(orders.c.customer == customer, orders.c.status != Status.PENDING)
    return list(connection.execute(query.limit(limit)).scalars())


def reassign_orders(connection: Connection, ids: Sequence[UUID], customer: str) -> int:
    """Assign these orders to the customer; return how many there are."""
    # Settlement locks orders in the same order, so the two cannot deadlock.
    locked = select(orders.c.id).where(orders.c.id.in_(ids)).order_by(orders.c.id)
    connection.execute(locked.with_for_update(key_share=True))
    moved = update(orders).where(orders.c.id.in_(ids)).values(customer=customer)
    return connection.execute(moved).rowcount


def count_waiting(connection: Connection, order: Order) -> tuple[Waiting, Waiting]:
    """Count what would wait for payment with this order: for its customer, and from its network."""
    network = order.work.network if order.work else None
    values = {
        "id": order.id,
        "customer": order.customer,
        "network": network,
        "step": Step.AWAIT_PAYMENT,
    }
    row = connection.execute(COUNT_WAITING, values).one()
    own = sum(line.quantity for line in order.lines)
    customer = Waiting(row.customer_orders + 1, row.customer_units + own)
    # An order that an older replica placed has no network.
    return customer, Waiting(row.network_orders + 1, row.network_units + own) if network else customer


def find_known_customers(connection: Connection, customers: Sequence[str]) -> list[str]:
    """Return the customers that have a cart, an order or an idempotency key."""
    return list(connection.execute(FIND_KNOWN, {"customers": list(customers)}).scalars())


def read_events(connection: Connection, order_id: UUID) -> list[Event]:
    """Return the order's events, oldest first."""
    columns = [order_events.c[field.name] for field in fields(Event)]
    query = select(*columns).where(order_events.c.order_id == order_id).order_by(order_events.c.id)
    return [Event(**row._mapping) for row in connection.execute(query)]


def dump_refusal(refusal: Refusal) -> dict[str, Any]:
    """Return a refusal as it is stored in `orders.refusal`.

    `status` is for replicas of the release before, which read exactly these five members.
    """
    return {**asdict(refusal), "status": find_status(refusal.reason)}


def load_refusal(stored: Mapping[str, Any]) -> Refusal:
    """Return a stored refusal, whose HTTP status follows from its reason."""
    return Refusal(stored["reason"], stored["code"], stored["detail"], stored.get("extra", {}))


def _with_lines(connection: Connection, rows: Sequence[Row[Any]]) -> list[Order]:
    lines: dict[UUID, list[Line]] = {}
    for found in connection.execute(FIND_LINES, {"ids": [row.id for row in rows]}) if rows else ():
        values = {**found._mapping}
        lines.setdefault(values.pop("order_id"), []).append(Line(**values))
    return [to_order(row, tuple(lines.get(row.id, ()))) for row in rows]


def to_order(row: Any, lines: tuple[Line, ...]) -> Order:
    """Return the order of a row of `orders`, with these lines."""
    values = {column.name: row._mapping[column.name] for column in orders.c}
    changed = {
        "status": Status(row.status),
        "refusal": load_refusal(row.refusal) if row.refusal else None,
        "lines": lines,
        "adjustments": tuple(Adjustment(**each) for each in row.adjustments),
        # An order of a release before has no totals but those of its items.
        "amount": row.items_amount if row.amount is None else row.amount,
        "tax_amount": 0 if row.tax_amount is None and row.items_amount is not None else row.tax_amount,
    }
    return Order(**{**values, **changed})
