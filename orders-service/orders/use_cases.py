"""What orders-service does, a function each; the checkout itself stands in `checkout`."""

import hashlib
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from orders import repository
from orders.checkout import Checkout
from orders.clients import CatalogClient
from orders.domain import LARGEST_ID, Answer, Event, Line, Offer, Order, Status, Step, sum_lines
from orders.errors import (
    CartEmpty,
    CartFull,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    OrderNotFound,
    ProductNotFound,
)
from orders.schemas import MOST_LINES, OrderIn, OrderOut, OrderQuery
from shared import context
from shared.context import Caller, Context
from shared.database import Database
from shared.errors import Unavailable
from shared.ids import new_id

log = logging.getLogger(__name__)

PLACE_ORDER = "POST /orders"
PENDING_FOR = timedelta(minutes=2)  # An order that is still pending after this is undone.
# No step begins later than this, and no call lasts longer than 2.5 s, so that 5 s are not passed.
PATIENCE = 2.5


@dataclass(frozen=True)
class Placed:
    """The answer to a call that places an order, and whether it was given before."""

    order_id: UUID
    answer: Answer
    is_replayed: bool = False


def place_order(
    database: Database, checkout: Checkout, caller: Caller, key: str, body: bytes, wanted: OrderIn
) -> Placed:
    """Place an order and take it through its checkout as far as 5 s allow.

    The same key again gives the same answer. Raises CartEmpty, IdempotencyKeyReused, IdempotencyInProgress.
    """
    fingerprint = hashlib.sha256(body).hexdigest()
    order_id, lease = new_id(), new_id()
    with database.transaction() as connection:
        if repository.insert_key(connection, caller.sub, PLACE_ORDER, key, fingerprint, order_id):
            order = _make_order(order_id, caller, wanted, repository.read_cart(connection, caller.sub))
            repository.insert_order(connection, order, lease)
        else:
            order = None
    if order is None:
        return _answer_again(database, caller, key, fingerprint)
    context.bind({"order.id": str(order.id)})
    log.info("Order placed")
    checkout.run_until_answered(order, lease, patience=PATIENCE)
    return _answer_first(database, order.id)


def _make_order(order_id: UUID, caller: Caller, wanted: OrderIn, cart: tuple[Line, ...]) -> Order:
    lines = (
        sum_lines((line.product_id, line.quantity) for line in cart)
        if wanted.items is None
        else sum_lines((item.product_id, item.quantity) for item in wanted.items)
    )
    if not lines:
        raise CartEmpty
    work = context.current() or Context()
    now = datetime.now(UTC)
    return Order(
        id=order_id,
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
        next_step=Step.RESERVE,
        refusal=None,
        attempts=0,
        deadline=now + PENDING_FOR,
        request_id=work.request_id,
        traceparent=work.trace.traceparent,
        created_at=now,
        updated_at=now,
        lines=lines,
    )


def _answer_first(database: Database, order_id: UUID) -> Placed:
    with database.transaction() as connection:
        answer = repository.find_answer(connection, order_id)
        if answer is None:
            repository.mark_accepted(connection, order_id)
            answer = _render_accepted(repository.find_order(connection, order_id))
    return Placed(order_id, answer)


def _answer_again(database: Database, caller: Caller, key: str, fingerprint: str) -> Placed:
    with database.transaction() as connection:
        known = repository.find_key(connection, caller.sub, PLACE_ORDER, key)
        if known is None:
            # The first call was refused just now, before its order existed.
            raise IdempotencyInProgress
        if known.fingerprint != fingerprint:
            raise IdempotencyKeyReused
        answer = repository.find_answer(connection, known.order_id)
        if answer is not None:
            return Placed(known.order_id, answer, is_replayed=True)
        if not known.is_accepted:
            raise IdempotencyInProgress
        return Placed(known.order_id, _render_accepted(repository.find_order(connection, known.order_id)))


def _render_accepted(order: Order | None) -> Answer:
    if order is None:
        raise OrderNotFound
    return Answer(202, "application/json", OrderOut.of(order).model_dump_json().encode())


def find_order(database: Database, caller: Caller, order_id: UUID) -> Order:
    """Return the caller's order, or anybody's for an admin; raise OrderNotFound."""
    with database.transaction() as connection:
        order = repository.find_order(connection, order_id)
    if order is None or (caller.role != "admin" and order.customer != caller.sub):
        raise OrderNotFound
    return order


def read_events(database: Database, caller: Caller, order_id: UUID) -> list[Event]:
    """Return the story of an order that the caller may see; raise OrderNotFound."""
    find_order(database, caller, order_id)
    with database.transaction() as connection:
        return repository.read_events(connection, order_id)


def list_orders(
    database: Database, caller: Caller, query: OrderQuery, before: UUID | None
) -> tuple[list[Order], UUID | None]:
    """Return a page of the caller's orders, or of everybody's for an admin, and where the next one begins."""
    customer = query.user if caller.role == "admin" else caller.sub
    with database.transaction() as connection:
        page = repository.read_page(
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


@dataclass(frozen=True)
class Cart:
    """A cart, and what the catalogue says of it; `offers` is None while the catalogue is away."""

    lines: tuple[Line, ...]
    offers: dict[int, Offer] | None
    currency: str | None


def read_cart(database: Database, catalog: CatalogClient, caller: Caller) -> Cart:
    """Return the caller's cart, priced just now."""
    with database.transaction() as connection:
        lines = repository.read_cart(connection, caller.sub)
    if not lines:
        return Cart((), {}, None)
    try:
        offers, currency = catalog.read_offers(line.product_id for line in lines)
    except Unavailable:
        return Cart(lines, None, None)
    return Cart(lines, offers, currency)


def put_in_cart(
    database: Database, catalog: CatalogClient, caller: Caller, product_id: int, quantity: int
) -> Cart:
    """Set a product's quantity in the caller's cart; raise ProductNotFound or CartFull."""
    if product_id > LARGEST_ID:
        raise ProductNotFound
    offers, _currency = catalog.read_offers([product_id])
    if product_id not in offers:
        raise ProductNotFound
    with database.transaction() as connection:
        repository.put_cart_item(connection, caller.sub, Line(product_id, quantity))
        if len(repository.read_cart(connection, caller.sub)) > MOST_LINES:
            raise CartFull
    return read_cart(database, catalog, caller)


def remove_from_cart(database: Database, catalog: CatalogClient, caller: Caller, product_id: int) -> Cart:
    """Take a product out of the caller's cart, whether it was in it or not; raise ProductNotFound."""
    if product_id > LARGEST_ID:
        raise ProductNotFound
    with database.transaction() as connection:
        repository.remove_cart_items(connection, caller.sub, [product_id])
    return read_cart(database, catalog, caller)
