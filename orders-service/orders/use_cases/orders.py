"""Placing orders, and reading them."""

from datetime import UTC, datetime
from uuid import UUID

from orders.checkout import Checkout
from orders.domain import PENDING_FOR, Event, Line, Order, Status, Step, Work, sum_lines
from orders.errors import CartEmpty, LeaseLost, OrderNotFound
from orders.repository import orders
from orders.schemas.orders import OrderIn, OrderQuery, render_placed
from orders.use_cases.carts import open_cart
from orders.use_cases.replies import Reply, answer_again, answer_first
from shared import context
from shared.context import Caller, Context
from shared.database import Database
from shared.idempotency import KeyedCall
from shared.ids import new_id

# No step begins later than this, and no call lasts longer than 2.5 s, so that 5 s are not passed.
PATIENCE = 2.5


def place_order(
    database: Database, checkout: Checkout, caller: Caller, call: KeyedCall, wanted: OrderIn
) -> Reply:
    """Place an order and take it through its checkout as far as 5 s allow.

    The same key again gives the same answer. Raises CartEmpty, IdempotencyKeyReused, IdempotencyInProgress.
    """
    lease = new_id()
    order = _make_order(caller, wanted, _choose_lines(database, caller, wanted))
    # An empty cart may have been ordered by the first call with this key.
    if not order.lines:
        return answer_again(database, call, otherwise=CartEmpty)
    with database.autocommit() as connection:
        is_new = orders.place_order(connection, call, order, lease)
    if not is_new:
        return answer_again(database, call)
    context.bind({"order.id": str(order.id)})
    try:
        order = checkout.run(order, lease, patience=PATIENCE, is_new=True)
    except LeaseLost:
        # Whoever took the order over, as a cancellation does, brings it to its answer.
        return answer_first(database, call, patience=PATIENCE)
    if order.status is Status.PENDING:
        return answer_first(database, call)
    return Reply(order.id, render_placed(order))


def find_order(database: Database, caller: Caller, order_id: UUID) -> Order:
    """Return the caller's order, or anybody's for an admin; raise OrderNotFound."""
    with database.transaction() as connection:
        return require_order(orders.find_order(connection, order_id), caller)


def require_order(order: Order | None, caller: Caller) -> Order:
    """Return an order that the caller may see; raise OrderNotFound for somebody else's, or none."""
    if order is None or (caller.role != "admin" and order.customer != caller.sub):
        raise OrderNotFound
    return order


def read_events(database: Database, caller: Caller, order_id: UUID) -> list[Event]:
    """Return the story of an order that the caller may see; raise OrderNotFound."""
    find_order(database, caller, order_id)
    with database.transaction() as connection:
        return orders.read_events(connection, order_id)


def list_orders(
    database: Database, caller: Caller, query: OrderQuery, before: UUID | None
) -> tuple[list[Order], UUID | None]:
    """Return a page of the caller's orders, or of everybody's for an admin, and where the next one begins."""
    customer = query.user if caller.role == "admin" else caller.sub
    with database.transaction() as connection:
        page = orders.read_page(
            connection,
            customer=customer,
            status=query.status,
            since=query.since,
            until=query.until,
            before=before,
            limit=query.limit + 1,
        )
    more = len(page) > query.limit
    return page[: query.limit], page[query.limit - 1].id if more else None


def _choose_lines(database: Database, caller: Caller, wanted: OrderIn) -> tuple[Line, ...]:
    chosen = wanted.items if wanted.items is not None else open_cart(database, caller)
    return sum_lines((item.product_id, item.quantity) for item in chosen)


def _make_order(caller: Caller, wanted: OrderIn, lines: tuple[Line, ...]) -> Order:
    request = context.current() or Context()
    request_id, traceparent = request.request_id, request.trace.traceparent
    now = datetime.now(UTC)
    return Order(
        id=new_id(),
        customer=caller.sub,
        status=Status.PENDING,
        reason=None,
        email=wanted.email,
        payment_method=wanted.payment_method,
        shipping_address=wanted.shipping_address.model_dump(),
        currency=None,
        items_amount=None,
        amount_refunded=0,
        payment_id=None,
        payment_status=None,
        refusal=None,
        request_id=request_id,
        traceparent=traceparent,
        created_at=now,
        updated_at=now,
        lines=lines,
        work=Work(Step.RESERVE, request_id, traceparent, deadline=now + PENDING_FOR),
    )
