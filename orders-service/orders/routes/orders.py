"""Routes to place, read and cancel orders."""

from uuid import UUID

from apiflask import APIBlueprint
from flask import Response, request

from orders.checkout import Checkout
from orders.clients import PaymentsClient
from orders.domain import Status
from orders.errors import (
    CartAlreadyOrdered,
    CartChanged,
    CartEmpty,
    CursorExpired,
    OrderNotCancellable,
    OrderNotFound,
    RefundInProgress,
)
from orders.schemas.answers import CHECKOUT_REFUSALS
from orders.schemas.feed import decode_position, encode_position
from orders.schemas.orders import (
    EXAMPLE_ID,
    EventOut,
    EventPage,
    OrderIn,
    OrderOut,
    OrderPage,
    OrderQuery,
)
from orders.use_cases import changes, feed, orders
from orders.use_cases.carts import CartDesk
from shared.client_address import find_network, read_address
from shared.context import require_caller
from shared.database import Database
from shared.idempotency import KEY_ERRORS, KEYED, read_call, to_response
from shared.openapi import document_errors, refer
from shared.pages import decode_id, encode_id

UNFINISHED = refer(OrderOut, "The work on the order continues in the background.")


def order_routes(desk: CartDesk, checkout: Checkout, payments: PaymentsClient) -> APIBlueprint:
    """Return the routes by which customers place orders, and cancel them as clerks do."""
    routes = APIBlueprint("orders", __name__)
    database = desk.database

    @routes.post("/orders")
    @routes.input(OrderIn)
    @routes.output(OrderOut, status_code=201)
    @routes.doc(
        responses={
            202: UNFINISHED,
            **document_errors(
                *CHECKOUT_REFUSALS,
                CartEmpty,
                CartChanged(cart_version=8),
                CartAlreadyOrdered(order_id=EXAMPLE_ID),
                *KEY_ERRORS,
            ),
        },
        extensions=KEYED,
    )
    def place_order(json_data: OrderIn) -> Response:
        """Place an order: hold its stock, authorize its payment, and confirm it.

        Without `items`, it orders the cart; each version of a cart can be ordered once. The ordered units are
        removed from the cart when the order is confirmed. An order with `items` does not change the cart. An
        order that is `awaiting_payment` waits for the customer to authenticate to the bank; the payment has
        the next action.
        """
        network = find_network(read_address(request.headers.get("X-Forwarded-For"), request.remote_addr))
        purchase = orders.Purchase(require_caller(), network, read_call("POST /orders"), json_data)
        reply = orders.place_order(desk, checkout, payments, purchase)
        response = to_response(reply.answer, is_replayed=reply.is_replayed)
        response.headers["Location"] = f"/orders/{reply.order_id}"
        return response

    @routes.post("/orders/<uuid:order_id>/cancel")
    @routes.output(OrderOut)
    @routes.doc(
        responses={
            202: UNFINISHED,
            **document_errors(OrderNotFound, OrderNotCancellable, RefundInProgress),
        }
    )
    def cancel_order(order_id: UUID) -> tuple[OrderOut, int]:
        """Cancel an order that has not shipped: refund its payment and release its stock.

        A repeated call changes nothing.
        """
        order = changes.cancel_order(database, checkout, require_caller(), order_id)
        return OrderOut.of(order), 200 if order.status is Status.CANCELLED else 202

    return routes


def reading_routes(database: Database, payments: PaymentsClient) -> APIBlueprint:
    """Return the routes that show customers their own orders, and clerks and integrators all orders."""
    routes = APIBlueprint("order_reading", __name__, tag="Orders")

    @routes.get("/orders")
    @routes.input(OrderQuery, location="query")
    @routes.output(OrderPage)
    @routes.doc(responses=document_errors(CursorExpired))
    def list_orders(query_data: OrderQuery) -> OrderPage:
        """List the caller's orders, newest first; clerks, admins and integrators get all orders.

        `q` finds orders by number, email address and name. `updated_since` lists changed orders for a program
        that polls. It misses no change, and may show an order again that has not changed.
        """
        caller, since = require_caller(), query_data.updated_since
        if since is not None:
            after = decode_position(query_data.cursor)
            page, end = feed.read_changes(database, payments, caller, query_data, since=since, after=after)
            return OrderPage(data=[OrderOut.of(order) for order in page], next=encode_position(end))
        before = decode_id(query_data.cursor)
        page, last = orders.list_orders(database, payments, caller, query_data, before)
        return OrderPage(data=[OrderOut.of(order) for order in page], next=encode_id(last))

    @routes.get("/orders/<uuid:order_id>")
    @routes.output(OrderOut)
    @routes.doc(responses=document_errors(OrderNotFound))
    def show_order(order_id: UUID) -> OrderOut:
        """Show an order."""
        return OrderOut.of(orders.find_order(database, require_caller(), order_id))

    @routes.get("/orders/<uuid:order_id>/events")
    @routes.output(EventPage)
    @routes.doc(responses=document_errors(OrderNotFound))
    def list_events(order_id: UUID) -> EventPage:
        """List the events of an order."""
        events = orders.read_events(database, require_caller(), order_id)
        return EventPage(data=[EventOut.of(event) for event in events])

    return routes
