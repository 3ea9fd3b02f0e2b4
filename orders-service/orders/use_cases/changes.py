"""What becomes of an order after it was placed: cancelled, shipped, delivered, refunded."""

import logging
import time
from dataclasses import replace
from uuid import UUID

from orders.checkout import Checkout
from orders.domain import Order, Refund, Refusal, Status, Step, Told, Work
from orders.errors import LeaseLost, OrderNotFound
from orders.repository import keys, orders, progress, refunds
from orders.use_cases.orders import PATIENCE, require_order
from orders.use_cases.replies import GLANCE, Reply, answer_again, answer_first
from shared import context
from shared.context import Caller, Context
from shared.database import Connection, Database
from shared.idempotency import KeyedCall
from shared.ids import new_id

log = logging.getLogger(__name__)

LONGEST = 5.0  # Seconds that a caller waits for an order to be undone or refunded.


def cancel_order(database: Database, checkout: Checkout, caller: Caller, order_id: UUID) -> Order:
    """Give an order up, whatever is being done for it just now, and everything back.

    Returns it as it stands after 5 s at the latest: cancelled, or on its way there; again, the same. Raises
    OrderNotFound, OrderNotCancellable, RefundInProgress.
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
            # Somebody is giving it up already, or waits to try again.
            progress.wake_order(connection, order_id)
    if is_first:
        try:
            order = checkout.run(order, lease, patience=PATIENCE)
        except LeaseLost:
            log.warning("Somebody else has taken the order over")
    while order.status is not Status.CANCELLED and time.monotonic() < give_up:
        time.sleep(GLANCE)
        with database.transaction() as connection:
            order = require_order(orders.find_order(connection, order_id), caller)
    return order


def ship_order(database: Database, caller: Caller, order_id: UUID) -> Order:
    """Record that an order was sent; again, nothing. Raises OrderNotFound, OrderNotShippable."""
    with database.transaction() as connection:
        order = _lock_order(connection, caller, order_id)
        return _move_order(connection, caller, order, order.ship())


def deliver_order(database: Database, caller: Caller, order_id: UUID) -> Order:
    """Record that an order has arrived; again, nothing. Raises OrderNotFound, OrderNotDeliverable."""
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
    """Give money back for an order, and with `restock` its units to the stock; `amount` None is all of it.

    The refund is written down first, and finished by whoever comes to it. The same key again gives the same
    answer. Raises OrderNotFound, OrderNotRefundable, RefundInProgress, RefundExceedsOrder,
    RestockNeedsFullRefund, IdempotencyKeyReused, IdempotencyInProgress.
    """
    give_up = time.monotonic() + LONGEST
    lease = new_id()
    with database.transaction() as connection:
        is_new = keys.insert_key(connection, call, order_id)
        if is_new:
            order = _lock_order(connection, caller, order_id)
            wanted = order.check_refund(amount, restock=restock)
            refund = Refund(new_id(), order_id, wanted, restock, caller.sub)
            refunds.insert_refund(connection, refund)
            told = Told("refund_requested", f"{wanted} {order.currency}")
            order = progress.change_order(connection, order, told, actor=caller.sub)
            order = _take_over(connection, order, Step.REFUND, lease)
    if not is_new:
        return answer_again(database, call)
    try:
        checkout.run(order, lease, patience=PATIENCE)
    except LeaseLost:
        log.warning("Somebody else has taken the order over")
    return answer_first(database, call, patience=give_up - time.monotonic())


def wake_order(database: Database, order_id: UUID) -> None:
    """Go on with an order at once, since something has changed for it; raise OrderNotFound."""
    with database.autocommit() as connection:
        if not progress.wake_order(connection, order_id):
            raise OrderNotFound


def _lock_order(connection: Connection, caller: Caller, order_id: UUID) -> Order:
    context.bind({"order.id": str(order_id)})
    return require_order(orders.lock_order(connection, order_id), caller)


def _begin_undo(connection: Connection, caller: Caller, order: Order) -> Order:
    by = "customer" if order.customer in caller.subjects else "admin"
    refusal = Refusal(f"cancelled_by_{by}", 409, "order_cancelled", "The order was cancelled meanwhile.")
    told = Told("cancel_requested", refusal.reason)
    return progress.change_order(connection, order, told, actor=caller.sub, refusal=refusal)


def _take_over(connection: Connection, order: Order, step: Step, lease: UUID) -> Order:
    """Let this be what is to be done for an order, for the request at hand."""
    request = context.current() or Context()
    deadline = order.work.deadline if order.work else None
    work = Work(step, request.request_id, request.trace.traceparent, deadline=deadline)
    progress.take_order_over(connection, order.id, work, lease)
    return replace(order, work=work)


def _move_order(connection: Connection, caller: Caller, order: Order, status: Status) -> Order:
    if status is order.status:
        return order
    moved = progress.change_order(connection, order, Told(status), actor=caller.sub, status=status)
    context.bind({"order.status": status})
    return moved
