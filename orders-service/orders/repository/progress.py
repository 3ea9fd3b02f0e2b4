"""The progress of orders: the leases on their work, and the changes that each step makes.

A transaction that changes an order and its work locks the order first and then the work, so that two of them
cannot deadlock.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, TextClause, bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.types import Text

from orders.domain import CONTINUED, SETTLED, Line, NewEvent, Order, Progress, Refusal, Step, Work
from orders.errors import LeaseLost
from orders.repository.orders import LEASE, dump_refusal, find_order
from orders.tables import order_events, order_work, orders
from orders.totals import Adjustment
from shared.idempotency import Answer

ACTOR = "orders-service"

# Claims due work without a lease. Steps that only a newer release knows are left to its replicas.
CLAIM = """
    WITH due AS (
        SELECT order_id FROM order_work
        WHERE next_step = ANY (:steps) AND next_attempt_at <= now()
            AND (lease_until IS NULL OR lease_until < now())
        ORDER BY next_attempt_at LIMIT :most FOR UPDATE SKIP LOCKED
    )
    UPDATE order_work AS work SET lease_token = :lease, lease_until = now() + :lasts
    FROM due JOIN orders ON orders.id = due.order_id
    WHERE work.order_id = due.order_id
    RETURNING work.order_id, next_step, attempts, work.request_id, work.traceparent,
        coalesce(amount, items_amount) AS amount
"""
CLAIM_WORK = text(CLAIM).bindparams(bindparam("steps", type_=ARRAY(Text)), lasts=LEASE)
CONTINUED_STEPS, SETTLED_STEPS = [*CONTINUED, Step.AWAIT_PAYMENT], [*SETTLED]

# Columns of an order that a step may change. A missing value leaves its column unchanged.
CHANGING = {
    "status": "text",
    "reason": "text",
    "currency": "text",
    "items_amount": "bigint",
    "adjustments": "jsonb",
    "tax_amount": "bigint",
    "amount": "bigint",
    "amount_refunded": "bigint",
    "payment_id": "uuid",
    "payment_status": "text",
    "refusal": "jsonb",
}
# An order whose lease was lost is not in `ours`, and nothing is written for it. The steps are sent as one
# JSON document, which takes this process less time than an array per column.
RECORD = """
    WITH told AS MATERIALIZED (
        SELECT * FROM json_to_recordset(CAST(:steps AS json)) AS step (
            id uuid, next_step text, is_kept boolean, wait double precision, attempts int,
            deadline timestamptz, story json, is_changed boolean, {columns})
    ), ours AS MATERIALIZED (
        SELECT orders.id, orders.status AS old_status, orders.customer
        FROM orders JOIN order_work AS work ON work.order_id = orders.id
        WHERE orders.id = ANY (CAST(:ids AS uuid[])) AND work.lease_token = :lease
        ORDER BY orders.id FOR NO KEY UPDATE OF orders, work
    ), step AS MATERIALIZED (
        SELECT * FROM told JOIN ours USING (id)
    ), done AS (
        DELETE FROM order_work USING step WHERE order_id = step.id AND step.next_step IS NULL
    ), going_on AS (
        UPDATE order_work AS work
        SET next_step = step.next_step, attempts = step.attempts, deadline = step.deadline,
            next_attempt_at = now() + step.wait * interval '1 second',
            lease_token = CASE WHEN is_kept THEN lease_token END,
            lease_until = CASE WHEN is_kept THEN now() + :lasts END
        FROM step WHERE order_id = step.id AND step.next_step IS NOT NULL
    ), changed AS (
        UPDATE orders SET updated_at = :now, {changes}
        FROM step WHERE orders.id = step.id AND is_changed
    ), events AS (
        INSERT INTO order_events (order_id, kind, from_status, to_status, actor, detail)
        SELECT step.id, event.kind, step.old_status, coalesce(event.status, step.old_status), :actor,
            event.detail
        FROM step, ROWS FROM (json_to_recordset(step.story) AS (kind text, detail text, status text))
            WITH ORDINALITY AS event (kind, detail, status, place)
        ORDER BY step.id, event.place
    ){more}
    SELECT id FROM ours
""".replace("{columns}", ", ".join(f"{name} {kind}" for name, kind in CHANGING.items())).replace(
    "{changes}", ", ".join(f"{name} = coalesce(step.{name}, orders.{name})" for name in CHANGING)
)
PRICED = """, priced AS (
        UPDATE order_lines AS line
        SET sku = new.sku, title = new.title, unit_amount = new.unit_amount, parent_id = new.parent_id,
            discount_amount = new.discount_amount, tax_rate = new.tax_rate, tax_amount = new.tax_amount
        FROM ours, json_to_recordset(CAST(:lines AS json)) AS new (product_id bigint, sku text, title text,
            unit_amount bigint, parent_id bigint, discount_amount bigint, tax_rate int, tax_amount bigint)
        WHERE line.order_id = ours.id AND line.product_id = new.product_id
    )"""
# The rest of the cart is computed from the locked rows. Every statement locks them in this order.
BOUGHT = """, bought AS MATERIALIZED (
        SELECT item.owner, item.product_id, item.quantity - line.quantity AS rest
        FROM ours
            JOIN order_lines AS line ON line.order_id = ours.id
            JOIN cart_items AS item ON item.owner = ours.customer AND item.product_id = line.product_id
        ORDER BY item.owner, item.product_id FOR UPDATE OF item
    ), kept AS (
        UPDATE cart_items AS item SET quantity = bought.rest, updated_at = now()
        FROM bought WHERE item.owner = bought.owner AND item.product_id = bought.product_id AND rest > 0
    ), emptied AS (
        DELETE FROM cart_items AS item USING bought
        WHERE item.owner = bought.owner AND item.product_id = bought.product_id AND rest <= 0
    )"""
# A coupon in a cart is for one order.
SPENT = """, spent AS (
        UPDATE carts SET coupon = NULL FROM ours JOIN orders USING (id)
        WHERE owner = ours.customer AND carts.coupon = orders.coupon
    )"""
# One call places an order, and one call at a time refunds it, so at most one key has no answer yet.
ANSWERED = """, answered AS (
        UPDATE idempotency_keys AS key
        SET status = :answered, content_type = :answer_type, body = :answer_body
        FROM ours WHERE key.order_id = ours.id AND key.status IS NULL
    )"""


@dataclass(frozen=True)
class Unsettled:
    """An order whose stock must be committed, or whose payment must be captured."""

    order_id: UUID
    next_step: Step
    attempts: int
    request_id: str
    traceparent: str
    needs_payment: bool


def claim_due_order(connection: Connection) -> tuple[Order, UUID] | None:
    """Claim a due order for the checkout; return it with its lease."""
    lease = uuid4()
    claimed = connection.execute(CLAIM_WORK, {"steps": CONTINUED_STEPS, "most": 1, "lease": lease}).first()
    # A separate statement reads the order, because it sees all that was recorded before the lease was taken.
    order = find_order(connection, claimed.order_id) if claimed else None
    return (order, lease) if order and order.work else None


def claim_unsettled_orders(connection: Connection, most: int) -> tuple[list[Unsettled], UUID]:
    """Claim up to `most` due orders for settlement; return them with their lease."""
    lease = uuid4()
    rows = connection.execute(CLAIM_WORK, {"steps": SETTLED_STEPS, "most": most, "lease": lease})
    claimed = [
        Unsettled(
            row.order_id,
            Step(row.next_step),
            row.attempts,
            row.request_id,
            row.traceparent,
            needs_payment=row.amount != 0,
        )
        for row in rows
    ]
    return claimed, lease


def record_progress(
    connection: Connection, steps: Sequence[Progress], lease: UUID, *, now: datetime
) -> set[UUID]:
    """Record the progress of orders with one statement; return the ids of those still under the lease."""
    return _record(connection, steps, lease, now, "", {})


def record_step(
    connection: Connection,
    step: Progress,
    lease: UUID,
    *,
    now: datetime,
    lines: Sequence[Line] = (),
    empties_cart: bool = False,
    spends_coupon: bool = False,
    answer: Answer | None = None,
) -> None:
    """Record the progress of one order with one statement; raise LeaseLost if it is not under the lease.

    The same statement records the prices of the `lines`, removes the ordered units from the customer's cart
    with `empties_cart` and the coupon with `spends_coupon`, and stores the `answer` to the call that waits
    for this step.
    """
    more = ""
    values: dict[str, Any] = {}
    if lines:
        more += PRICED
        values["lines"] = json.dumps([vars(line) for line in lines])
    if empties_cart:
        more += BOUGHT
    if spends_coupon:
        more += SPENT
    if answer:
        more += ANSWERED
        values |= {"answered": answer.status, "answer_type": answer.content_type, "answer_body": answer.body}
    if not _record(connection, [step], lease, now, more, values):
        raise LeaseLost


def change_order(connection: Connection, order: Order, new: NewEvent, *, actor: str, **changes: Any) -> Order:
    """Change an order that the transaction has locked, and record the event; return the changed order."""
    values = {name: dump_refusal(value) if name == "refusal" else value for name, value in changes.items()}
    changed = update(orders).where(orders.c.id == order.id).values(**values, updated_at=func.now())
    updated_at = connection.execute(changed.returning(orders.c.updated_at)).scalar_one()
    after = replace(order, **changes, updated_at=updated_at)
    event = {**vars(new), "actor": actor}
    statuses = {"from_status": order.status, "to_status": after.status}
    connection.execute(insert(order_events).values(order_id=order.id, **event, **statuses))
    return after


def take_over_order(connection: Connection, order_id: UUID, work: Work, lease: UUID) -> None:
    """Replace the work of an order that the transaction has locked, and any lease on it."""
    row = {
        **vars(work),
        "lease_token": lease,
        "lease_until": func.now() + LEASE,
        "next_attempt_at": func.now(),
    }
    connection.execute(
        insert(order_work)
        .values(order_id=order_id, **row)
        .on_conflict_do_update(index_elements=[order_work.c.order_id], set_=row)
    )


def release_lease(connection: Connection, order: Order, lease: UUID, *, wait: timedelta) -> None:
    """Release the lease; any thread may claim the order after `wait`."""
    connection.execute(
        update(order_work)
        .where(order_work.c.order_id == order.id, order_work.c.lease_token == lease)
        .values(
            lease_token=None,
            lease_until=None,
            next_attempt_at=func.now() + wait,
            attempts=order_work.c.attempts + 1 if wait else order_work.c.attempts,
        )
    )


def wake_order(connection: Connection, order_id: UUID) -> bool:
    """Make the order's work due now, if it has any; return whether the order exists."""
    woken = (
        update(order_work)
        .where(order_work.c.order_id == order_id)
        .values(next_attempt_at=func.now(), attempts=0)
    )
    known = select(orders.c.id).where(orders.c.id == order_id).add_cte(woken.cte("woken"))
    return connection.execute(known).first() is not None


def _record(
    connection: Connection,
    steps: Sequence[Progress],
    lease: UUID,
    now: datetime,
    more: str,
    values: dict[str, Any],
) -> set[UUID]:
    row = {
        "lease": lease,
        "actor": ACTOR,
        "now": now,
        "ids": [step.order_id for step in steps],
        "steps": json.dumps([_describe(step) for step in steps], default=_to_json),
        **values,
    }
    return set(connection.execute(_make_record(more), row).scalars())


def _describe(step: Progress) -> dict[str, Any]:
    return {
        "id": step.order_id,
        "next_step": step.next_step,
        "is_kept": step.keeps_lease,
        "wait": step.wait.total_seconds(),
        "attempts": step.attempts,
        "deadline": step.deadline,
        # The last event has the order's new status.
        "story": [
            {**vars(event), "status": step.changes.get("status") if event is step.events[-1] else None}
            for event in step.events
        ],
        "is_changed": bool(step.changes),
        **step.changes,
    }


def _to_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Adjustment):
        return vars(value)
    return dump_refusal(value) if isinstance(value, Refusal) else str(value)


@cache
def _make_record(more: str) -> TextClause:
    """Return the statement; each of the few variants is built once."""
    return text(RECORD.replace("{more}", more)).bindparams(lasts=LEASE)
