"""orders-service over HTTP."""

from uuid import UUID

from apiflask import APIBlueprint
from flask import Request, Response, request

from orders import use_cases
from orders.checkout import Checkout
from orders.clients import CatalogClient
from orders.errors import IdempotencyKeyMissing
from orders.schemas import (
    CartOut,
    EventOut,
    EventPage,
    OrderIn,
    OrderOut,
    OrderPage,
    OrderQuery,
    QuantityIn,
)
from orders.use_cases import Cart
from shared.background import Background
from shared.context import require_caller
from shared.database import Database
from shared.pages import decode_id, encode_id

LONGEST_KEY = 255


def cart_routes(database: Database, catalog: CatalogClient) -> APIBlueprint:
    """Return the routes of a person's cart."""
    routes = APIBlueprint("cart", __name__)

    @routes.get("/cart")
    @routes.output(CartOut)
    def show_cart() -> CartOut:
        """Show the cart, priced just now."""
        return _show(use_cases.read_cart(database, catalog, require_caller()))

    @routes.put("/cart/items/<int:product_id>")
    @routes.input(QuantityIn)
    @routes.output(CartOut)
    @routes.doc(responses=[409])
    def put_item(product_id: int, json_data: QuantityIn) -> CartOut:
        """Put so many of a product into the cart."""
        caller = require_caller()
        return _show(use_cases.put_in_cart(database, catalog, caller, product_id, json_data.quantity))

    @routes.delete("/cart/items/<int:product_id>")
    @routes.output(CartOut)
    def remove_item(product_id: int) -> CartOut:
        """Take a product out of the cart."""
        return _show(use_cases.remove_from_cart(database, catalog, require_caller(), product_id))

    return routes


def order_routes(database: Database, checkout: Checkout, background: Background) -> APIBlueprint:
    """Return the routes of orders."""
    routes = APIBlueprint("orders", __name__)

    @routes.post("/orders")
    @routes.input(OrderIn)
    @routes.output(OrderOut, status_code=201)
    @routes.doc(responses={202: "It is still being worked on, and finishes by itself.", 402: "", 409: ""})
    def place_order(json_data: OrderIn) -> Response:
        """Place an order: hold the stock, authorize the payment, confirm."""
        key = _read_key(request)
        placed = use_cases.place_order(
            database, checkout, require_caller(), key, request.get_data(), json_data
        )
        background.nudge()
        response = Response(placed.answer.body, placed.answer.status, content_type=placed.answer.content_type)
        response.headers["Location"] = f"/orders/{placed.order_id}"
        if placed.is_replayed:
            response.headers["Idempotent-Replayed"] = "true"
        return response

    @routes.get("/orders")
    @routes.input(OrderQuery, location="query")
    @routes.output(OrderPage)
    def list_orders(query_data: OrderQuery) -> OrderPage:
        """List one's own orders, newest first; an admin sees everybody's."""
        before = decode_id(query_data.cursor)
        orders, last = use_cases.list_orders(database, require_caller(), query_data, before)
        return OrderPage(data=[OrderOut.of(order) for order in orders], next=encode_id(last))

    @routes.get("/orders/<uuid:order_id>")
    @routes.output(OrderOut)
    def show_order(order_id: UUID) -> OrderOut:
        """Show an order."""
        return OrderOut.of(use_cases.find_order(database, require_caller(), order_id))

    @routes.get("/orders/<uuid:order_id>/events")
    @routes.output(EventPage)
    def list_events(order_id: UUID) -> EventPage:
        """Tell an order's story."""
        events = use_cases.read_events(database, require_caller(), order_id)
        return EventPage(
            data=[
                EventOut(
                    id=event.id,
                    time=event.time,
                    kind=event.kind,
                    from_=event.from_status,
                    to=event.to_status,
                    actor=event.actor,
                    detail=event.detail,
                )
                for event in events
            ]
        )

    return routes


def _show(cart: Cart) -> CartOut:
    return CartOut.of(cart.lines, cart.offers, cart.currency)


def _read_key(request: Request) -> str:
    key = request.headers.get("Idempotency-Key", "")
    if not 1 <= len(key) <= LONGEST_KEY or "\0" in key:
        raise IdempotencyKeyMissing
    return key
