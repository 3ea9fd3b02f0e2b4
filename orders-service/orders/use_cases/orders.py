"""Placing orders, and reading them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from orders.checkout import Checkout
from orders.clients import PaymentsClient
from orders.domain import PENDING_FOR, CartLine, Event, Order, Status, Step, StoredCart, Work, sum_lines
from orders.errors import CartAlreadyOrdered, CartChanged, CartEmpty, LeaseLost, OrderNotFound
from orders.repository import carts, keys, orders
from orders.schemas.orders import ItemIn, OrderIn, OrderQuery, render_placed
from orders.use_cases.carts import open_cart
from orders.use_cases.guests import take_over_guest
from orders.use_cases.replies import Reply, answer_again, answer_first
from shared import context
from shared.context import Caller, Context
from shared.database import Database
from shared.idempotency import KeyedCall
from shared.ids import new_id

# No step begins later than this, and no call lasts longer than 2.5 s, so that 5 s are not passed.
PATIENCE = 2.5


@dataclass(frozen=True)
class Purchase:
    """What a caller wants to buy, by which call, and from which network."""

    caller: Caller
    network: str
    call: KeyedCall
    wanted: OrderIn


def place_order(
    database: Database, checkout: Checkout, payments: PaymentsClient, purchase: Purchase
) -> Reply:
    """Place an order and take it through its checkout as far as 5 s allow.

    The same key again gives the same answer. Raises CartEmpty, CartChanged, CartAlreadyOrdered,
    IdempotencyKeyReused, IdempotencyInProgress.
    """
    take_over_guest(database, payments, purchase.caller)
    call, lease = purchase.call, new_id()
    place = _place_cart if purchase.wanted.items is None else _place_items
    order = place(database, purchase, lease)
    if order is None:
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
    """Return an order that the caller may see; raise OrderNotFound for another customer's, or none."""
    if order is None or (caller.role != "admin" and order.customer not in caller.subjects):
        raise OrderNotFound
    return order


def read_events(database: Database, caller: Caller, order_id: UUID) -> list[Event]:
    """Return the story of an order that the caller may see; raise OrderNotFound."""
    find_order(database, caller, order_id)
    with database.transaction() as connection:
        return orders.read_events(connection, order_id)


def find_known_customers(database: Database, customers: list[str]) -> list[str]:
    """Return which of these customers have a cart, an order, or a call whose answer is kept."""
    with database.autocommit() as connection:
        return orders.find_known_customers(connection, customers)


def list_orders(
    database: Database, payments: PaymentsClient, caller: Caller, query: OrderQuery, before: UUID | None
) -> tuple[list[Order], UUID | None]:
    """Return a page of the caller's orders, or of all orders for an admin, and where the next one begins."""
    take_over_guest(database, payments, caller)
    customers: tuple[str, ...] | None = caller.subjects
    if caller.role == "admin":
        customers = None if query.user is None else (query.user,)
    with database.transaction() as connection:
        page = orders.read_page(
            connection,
            customers=customers,
            status=query.status,
            since=query.since,
            until=query.until,
            before=before,
            limit=query.limit + 1,
        )
    more = len(page) > query.limit
    return page[: query.limit], page[query.limit - 1].id if more else None


def _place_items(database: Database, purchase: Purchase, lease: UUID) -> Order | None:
    """Return the placed order of the items that the call names; None if its key was taken before."""
    order = _make_order(purchase, purchase.wanted.items or ())
    with database.autocommit() as connection:
        return order if orders.place_order(connection, purchase.call, order, lease) else None


def _place_cart(database: Database, purchase: Purchase, lease: UUID) -> Order | None:
    """Return the placed order of the caller's cart; None if the call's key was taken before.

    Raises CartEmpty, CartChanged, CartAlreadyOrdered.
    """
    while True:
        cart = open_cart(database, purchase.caller)
        if not cart.lines or purchase.wanted.cart_version not in {None, cart.version}:
            _refuse_cart(database, purchase, cart)
            return None
        order = _make_order(purchase, cart.lines, cart.version)
        try:
            with database.transaction() as connection:
                return order if orders.place_order(connection, purchase.call, order, lease) else None
        except CartChanged:
            with database.autocommit() as connection:
                ordered = carts.find_ordered_version(connection, purchase.caller.sub)
            if ordered and ordered[0] == cart.version:
                raise CartAlreadyOrdered(order_id=str(ordered[1])) from None
            # The cart was changed between the two statements. It is read again, and so is its version.


def _refuse_cart(database: Database, purchase: Purchase, cart: StoredCart) -> None:
    """Raise why a cart cannot be ordered, unless it was ordered by the first call with this key."""
    version = purchase.wanted.cart_version
    with database.transaction() as connection:
        if keys.find_key(connection, purchase.call) is not None:
            return
        ordered = carts.find_ordered_version(connection, purchase.caller.sub)
    if ordered and version == ordered[0]:
        raise CartAlreadyOrdered(order_id=str(ordered[1]))
    if version is None or version == cart.version:
        raise CartEmpty
    raise CartChanged(cart_version=cart.version)


def _make_order(
    purchase: Purchase, items: Iterable[ItemIn | CartLine], cart_version: int | None = None
) -> Order:
    wanted, request = purchase.wanted, context.current() or Context()
    request_id, traceparent = request.request_id, request.trace.traceparent
    now = datetime.now(UTC)
    return Order(
        id=new_id(),
        customer=purchase.caller.sub,
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
        cart_version=cart_version,
        lines=sum_lines((item.product_id, item.quantity) for item in items),
        work=Work(
            Step.RESERVE, request_id, traceparent, deadline=now + PENDING_FOR, network=purchase.network
        ),
    )
