"""Cancel, ship, deliver and refund placed orders."""

import logging
import time
from dataclasses import replace
from uuid import UUID

from orders.checkout import Checkout
from orders.domain import NewEvent, Order, Refund, Refusal, Status, Step, Work
from orders.errors import LeaseLost, OrderNotFound
from orders.repository import idempotency_keys, orders, progress, refunds
from orders.use_cases.orders import PATIENCE, require_order
from orders.use_cases.replies import POLL_EVERY, Reply, await_answer, replay_answer
from shared import context
from shared.context import Caller, Context
from shared.database import Connection, Database
from shared.idempotency import KeyedCall
from shared.ids import new_id

log = logging.getLogger(__name__)

LONGEST = 5.0  # Seconds that a call waits for an order to be undone or refunded.


def cancel_order(database: Database, checkout: Checkout, caller: Caller, order_id: UUID) -> Order:
    """Cancel an order at any step, refund its payment and release its stock.

    Returns the order after 5 s at most: cancelled, or still being cancelled. A repeated call changes nothing.
    Raises OrderNotFound, OrderNotCancellable, RefundInProgress.
    """
    give_up = time.monotonic() + LONGEST
    lease = new_id()
    with database.transaction() as connection:
        order = _lock_order(connection, caller, order_id)
        is_first = not order.is_undone
        if is_first:
            order.check_cancel()
            order = _begin_undo(connection, caller, order)
            order = _take_over(connection, order, Step.CANCEL_PAYMENT, lease)
        elif order.next_step is not None:
            # The cancellation is in progress, or waits for a retry.
            progress.wake_order(connection, order_id)
    if is_first:
        try:
            order = checkout.run(order, lease, patience=PATIENCE)
        except LeaseLost:
            log.warning("Another thread has taken over the order")
    while order.status is not Status.CANCELLED and time.monotonic() < give_up:
        time.sleep(POLL_EVERY)
        with database.transaction() as connection:
            order = require_order(orders.find_order(connection, order_id), caller)
    return order


def ship_order(database: Database, caller: Caller, order_id: UUID) -> Order:
    """Record that an order was shipped; idempotent. Raises OrderNotFound, OrderNotShippable."""
    with database.transaction() as connection:
        order = _lock_order(connection, caller, order_id)
        return _move_order(connection, caller, order, order.ship())


def deliver_order(database: Database, caller: Caller, order_id: UUID) -> Order:
    """Record that an order was delivered; idempotent. Raises OrderNotFound, OrderNotDeliverable."""
    with database.transaction() as connection:
        order = _lock_order(connection, caller, order_id)
        return _move_order(connection, caller, order, order.deliver())


def refund_order(
    database: Database,
    checkout: Checkout,
    caller: Caller,
    call: KeyedCall,
    order_id: UUID,
    amount: int | None,
    *,
    restock: bool,
) -> Reply:
    """Refund an order, and with `restock` return its units to the stock.

    `amount` is in minor units; None is the whole remainder. The refund is recorded first, so any thread can
    finish it. A repeated call with the same key gets the same answer. Raises OrderNotFound,
    OrderNotRefundable, RefundInProgress, RefundExceedsOrder, RestockNeedsFullRefund, IdempotencyKeyReused,
    IdempotencyInProgress.
    """
    give_up = time.monotonic() + LONGEST
    lease = new_id()
    with database.transaction() as connection:
        is_new = idempotency_keys.insert_idempotency_key(connection, call, order_id)
        if is_new:
            order = _lock_order(connection, caller, order_id)
            wanted = order.check_refund(amount, restock=restock)
            refund = Refund(new_id(), order_id, wanted, restock, caller.sub)
            refunds.insert_refund(connection, refund)
            requested = NewEvent("refund_requested", f"{wanted} {order.currency}")
            order = progress.change_order(connection, order, requested, actor=caller.sub)
            order = _take_over(connection, order, Step.REFUND, lease)
    if not is_new:
        return replay_answer(database, call)
    try:
        checkout.run(order, lease, patience=PATIENCE)
    except LeaseLost:
        log.warning("Another thread has taken over the order")
    return await_answer(database, call, patience=give_up - time.monotonic())


def wake_order(database: Database, order_id: UUID) -> None:
    """Make an order due now, because its payment has changed; raise OrderNotFound."""
    with database.autocommit() as connection:
        if not progress.wake_order(connection, order_id):
            raise OrderNotFound


def _lock_order(connection: Connection, caller: Caller, order_id: UUID) -> Order:
    context.bind({"order.id": str(order_id)})
    return require_order(orders.lock_order(connection, order_id), caller)


def _begin_undo(connection: Connection, caller: Caller, order: Order) -> Order:
    # Clerks, too: clients of earlier releases know this reason. The event names the person.
    by = "customer" if order.customer in caller.subjects else "admin"
    refusal = Refusal(f"cancelled_by_{by}", "order_cancelled", "The order was cancelled.")
    requested = NewEvent("cancel_requested", refusal.reason)
    return progress.change_order(connection, order, requested, actor=caller.sub, refusal=refusal)


def _take_over(connection: Connection, order: Order, step: Step, lease: UUID) -> Order:
    """Replace the order's work with this step, under this lease, for the current request."""
    request = context.current() or Context()
    deadline = order.work.deadline if order.work else None
    work = Work(step, request.request_id, request.trace.traceparent, deadline=deadline)
    progress.take_over_order(connection, order.id, work, lease)
    return replace(order, work=work)


def _move_order(connection: Connection, caller: Caller, order: Order, status: Status) -> Order:
    if status is order.status:
        return order
    moved = progress.change_order(connection, order, NewEvent(status), actor=caller.sub, status=status)
    context.bind({"order.status": status})
    return moved
