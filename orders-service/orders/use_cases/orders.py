"""Place and read orders."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from orders.checkout import Checkout
from orders.clients import PaymentsClient
from orders.domain import PENDING_FOR, Event, Line, Order, Status, Step, StoredCart, Work, sum_lines
from orders.errors import (
    CartAlreadyOrdered,
    CartChanged,
    CartEmpty,
    CouponNotUsable,
    LeaseLost,
    OrderNotFound,
    OrderRefused,
)
from orders.repository import carts, idempotency_keys, orders
from orders.schemas.answers import render_placed
from orders.schemas.orders import OrderIn, OrderQuery
from orders.use_cases.carts import CartDesk, open_cart
from orders.use_cases.coupons import find_coupon, name_customer
from orders.use_cases.guests import take_over_guest
from orders.use_cases.quotes import choose_coupon, choose_method, quote_order
from orders.use_cases.replies import Reply, await_answer, replay_answer
from shared import context
from shared.context import Caller, Context
from shared.database import Database
from shared.errors import ValidationFailed
from shared.idempotency import KeyedCall
from shared.ids import new_id
from shared.roles import CLERKS

# Seconds. No step starts later than this, and no step lasts longer than 2.5 s, so a call ends within 5 s.
PATIENCE = 2.5


@dataclass(frozen=True)
class Purchase:
    """A call to place an order, and the network that it came from."""

    caller: Caller
    network: str
    call: KeyedCall
    wanted: OrderIn


def place_order(desk: CartDesk, checkout: Checkout, payments: PaymentsClient, purchase: Purchase) -> Reply:
    """Place an order and run its checkout for up to 5 s.

    A repeated call with the same key gets the same answer. Raises ValidationFailed for a guest's order
    without an email address, or for an order without a payment method that is not free, CartEmpty,
    CartChanged, CartAlreadyOrdered, CouponNotUsable, IdempotencyKeyReused, IdempotencyInProgress. Without a
    payment method also what a quote raises.
    """
    database = desk.database
    take_over_guest(database, payments, purchase.caller)
    is_anonymous = purchase.caller.role == "guest" and purchase.wanted.email is None
    is_unpaid = purchase.wanted.payment_method is None
    # A repeated call gets its answer, also one that was made before a guest needed an email address.
    if (is_anonymous or is_unpaid) and not _is_known(database, purchase.call):
        if is_anonymous:
            raise ValidationFailed(
                [{"location": "json", "field": "email", "detail": "is required in the order of a guest"}]
            )
        _require_free(desk, purchase)
    call, lease = purchase.call, new_id()
    place = _place_cart if purchase.wanted.items is None else _place_items
    order = place(database, purchase, lease)
    if order is None:
        return replay_answer(database, call)
    context.bind({"order.id": str(order.id)})
    try:
        order = checkout.run(order, lease, patience=PATIENCE, is_new=True)
    except LeaseLost:
        # The thread that took over the order, for example a cancellation, records the answer.
        return await_answer(database, call, patience=PATIENCE)
    if order.status is Status.PENDING:
        return await_answer(database, call)
    return Reply(order.id, render_placed(order))


def _is_known(database: Database, call: KeyedCall) -> bool:
    with database.transaction() as connection:
        return idempotency_keys.find_idempotency_key(connection, call) is not None


def _require_free(desk: CartDesk, purchase: Purchase) -> None:
    """Raise ValidationFailed if the order would cost anything, before there is an order."""
    if quote_order(desk, purchase.caller, purchase.wanted, is_order=True).quote.totals.amount:
        detail = "is required unless the order costs nothing"
        raise ValidationFailed([{"location": "json", "field": "payment_method", "detail": detail}])


def find_order(database: Database, caller: Caller, order_id: UUID) -> Order:
    """Return an order that the caller may see; raise OrderNotFound."""
    with database.transaction() as connection:
        return require_order(orders.find_order(connection, order_id), caller)


def require_order(order: Order | None, caller: Caller) -> Order:
    """Return the order; raise OrderNotFound if it is None or belongs to another customer."""
    if order is None or not (sees_all(caller) or order.customer in caller.subjects):
        raise OrderNotFound
    return order


def sees_all(caller: Caller) -> bool:
    """Return whether the caller may see the orders of all customers.

    An integrator has no orders of its own; the access rules admit it only to the routes of its scopes.
    """
    return caller.role in CLERKS or caller.is_integrator


def read_events(database: Database, caller: Caller, order_id: UUID) -> list[Event]:
    """Return the events of an order that the caller may see; raise OrderNotFound."""
    find_order(database, caller, order_id)
    with database.transaction() as connection:
        return orders.read_events(connection, order_id)


def find_known_customers(database: Database, customers: list[str]) -> list[str]:
    """Return the customers that have a cart, an order or an idempotency key."""
    with database.autocommit() as connection:
        return orders.find_known_customers(connection, customers)


def list_orders(
    database: Database, payments: PaymentsClient, caller: Caller, query: OrderQuery, before: UUID | None
) -> tuple[list[Order], UUID | None]:
    """Return a page of the orders that the caller may see, and the next page's cursor."""
    take_over_guest(database, payments, caller)
    customers: tuple[str, ...] | None = caller.subjects
    if sees_all(caller):
        customers = None if query.user is None else (query.user,)
    with database.transaction() as connection:
        page = orders.read_page(
            connection,
            customers=customers,
            wanted=query.q,
            status=query.status,
            since=query.since,
            until=query.until,
            before=before,
            limit=query.limit + 1,
        )
    more = len(page) > query.limit
    return page[: query.limit], page[query.limit - 1].id if more else None


def _place_items(database: Database, purchase: Purchase, lease: UUID) -> Order | None:
    """Place an order of the call's items and return it; None if the call's key is taken."""
    order = _make_order(purchase, (item.to_line() for item in purchase.wanted.items or ()))
    return _insert_order(database, purchase, order, lease)


def _insert_order(database: Database, purchase: Purchase, order: Order, lease: UUID) -> Order | None:
    customer = name_customer(purchase.caller, purchase.wanted.email)
    try:
        with database.autocommit() as connection:
            return orders.place_order(connection, purchase.call, order, lease, coupon_customer=customer)
    except OrderRefused:
        if order.coupon is not None:
            find_coupon(database, order.coupon, customer)
            if order.cart_version is None:
                # A use has been given back since.
                raise CouponNotUsable("used_up", order.coupon) from None
        raise


def _place_cart(database: Database, purchase: Purchase, lease: UUID) -> Order | None:
    """Place an order of the caller's cart and return it; None if the call's key is taken.

    Raises CartEmpty, CartChanged, CartAlreadyOrdered.
    """
    while True:
        cart = open_cart(database, purchase.caller)
        if not cart.lines or purchase.wanted.cart_version not in {None, cart.version}:
            _refuse_cart(database, purchase, cart)
            return None
        order = _make_order(purchase, (line.to_order_line() for line in cart.lines), cart)
        try:
            return _insert_order(database, purchase, order, lease)
        except OrderRefused:
            with database.autocommit() as connection:
                ordered = carts.find_ordered_version(connection, purchase.caller.sub)
            if ordered and ordered[0] == cart.version:
                raise CartAlreadyOrdered(order_id=str(ordered[1])) from None
            # The cart changed between the two statements, so the next round reads it again.


def _refuse_cart(database: Database, purchase: Purchase, cart: StoredCart) -> None:
    """Raise the reason why the cart cannot be ordered, unless the first call with this key ordered it."""
    version = purchase.wanted.cart_version
    with database.transaction() as connection:
        if idempotency_keys.find_idempotency_key(connection, purchase.call) is not None:
            return
        ordered = carts.find_ordered_version(connection, purchase.caller.sub)
    if ordered and version == ordered[0]:
        raise CartAlreadyOrdered(order_id=str(ordered[1]))
    if version is None or version == cart.version:
        raise CartEmpty
    raise CartChanged(cart_version=cart.version)


def _make_order(purchase: Purchase, lines: Iterable[Line], cart: StoredCart | None = None) -> Order:
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
        billing_address=wanted.billing_address.model_dump() if wanted.billing_address else None,
        note=wanted.note,
        expected_amount=wanted.expected_amount,
        coupon=choose_coupon(wanted, cart),
        shipping_method=choose_method(wanted, cart),
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
        cart_version=cart.version if cart else None,
        lines=sum_lines(lines),
        work=Work(
            Step.RESERVE, request_id, traceparent, deadline=now + PENDING_FOR, network=purchase.network
        ),
    )
