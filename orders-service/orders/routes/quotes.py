"""The route that prices an order."""

from apiflask import APIBlueprint

from orders.errors import CartChanged, CartEmpty, CouponNotUsable, ShippingMethodUnavailable
from orders.schemas.answers import UNAVAILABLE
from orders.schemas.quotes import QuoteIn, QuoteOut
from orders.use_cases import quotes
from orders.use_cases.carts import CartDesk
from shared.context import require_caller
from shared.errors import ServiceUnreachable
from shared.openapi import document_errors


def quote_routes(desk: CartDesk) -> APIBlueprint:
    """Return the route by which customers learn what an order would cost."""
    routes = APIBlueprint("quotes", __name__)

    @routes.post("/orders/quote")
    @routes.input(QuoteIn)
    @routes.output(QuoteOut)
    @routes.doc(
        responses=document_errors(
            UNAVAILABLE,
            CartEmpty,
            CartChanged(cart_version=7),
            CouponNotUsable("unknown", "WELCOME10"),
            ShippingMethodUnavailable,
            ServiceUnreachable,
        )
    )
    def quote_order(json_data: QuoteIn) -> QuoteOut:
        """Show what an order would cost, and the shipping methods that it could have.

        Nothing is reserved. Send `amount` to `POST /orders` as `expected_amount` to pay exactly this.
        """
        return QuoteOut.of(quotes.quote_order(desk, require_caller(), json_data))

    return routes
