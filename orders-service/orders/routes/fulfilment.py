"""Routes to ship, deliver and refund orders."""

from uuid import UUID

from apiflask import APIBlueprint
from flask import Response

from orders.checkout import Checkout
from orders.errors import (
    OrderNotDeliverable,
    OrderNotFound,
    OrderNotRefundable,
    OrderNotShippable,
    RefundExceedsOrder,
    RefundInProgress,
    RestockNeedsFullRefund,
)
from orders.routes.orders import UNFINISHED
from orders.schemas.orders import OrderOut, RefundIn
from orders.use_cases import changes
from shared.context import require_caller
from shared.database import Database
from shared.idempotency import KEY_ERRORS, KEYED, read_call, to_response
from shared.openapi import document_errors


def fulfilment_routes(database: Database) -> APIBlueprint:
    """Return the routes by which a clerk or an integrator ships and delivers."""
    routes = APIBlueprint("fulfilment", __name__)

    @routes.post("/orders/<uuid:order_id>/ship")
    @routes.output(OrderOut)
    @routes.doc(responses=document_errors(OrderNotFound, OrderNotShippable))
    def ship_order(order_id: UUID) -> OrderOut:
        """Record that a paid order was shipped. A repeated call changes nothing."""
        return OrderOut.of(changes.ship_order(database, require_caller(), order_id))

    @routes.post("/orders/<uuid:order_id>/deliver")
    @routes.output(OrderOut)
    @routes.doc(responses=document_errors(OrderNotFound, OrderNotDeliverable))
    def deliver_order(order_id: UUID) -> OrderOut:
        """Record that a shipped order was delivered. A repeated call changes nothing."""
        return OrderOut.of(changes.deliver_order(database, require_caller(), order_id))

    return routes


def refund_routes(database: Database, checkout: Checkout) -> APIBlueprint:
    """Return the route by which a clerk refunds."""
    routes = APIBlueprint("refunds", __name__, tag="Fulfilment")

    @routes.post("/orders/<uuid:order_id>/refund")
    @routes.input(RefundIn)
    @routes.output(OrderOut)
    @routes.doc(
        responses={
            202: UNFINISHED,
            **document_errors(
                OrderNotFound,
                OrderNotRefundable,
                RefundInProgress,
                RefundExceedsOrder(refundable=12980),
                RestockNeedsFullRefund(refundable=12980),
                *KEY_ERRORS,
            ),
        },
        extensions=KEYED,
    )
    def refund_order(order_id: UUID, json_data: RefundIn) -> Response:
        """Refund a part of an order or the whole remainder, which can also restock the items."""
        # A key belongs to one order: the same key for a different order is a different call.
        call = read_call(f"POST /orders/{order_id}/refund")
        reply = changes.refund_order(
            database,
            checkout,
            require_caller(),
            call,
            order_id,
            json_data.amount,
            restock=json_data.restock,
        )
        return to_response(reply.answer, is_replayed=reply.is_replayed)

    return routes
