"""Routes of the cart."""

from apiflask import APIBlueprint

from orders.clients import PaymentsClient
from orders.domain import Delivery
from orders.errors import CartFull, CouponNotUsable, ProductNotFound, ShippingMethodUnavailable
from orders.schemas.carts import CartCouponIn, CartOut, DeliveryIn, QuantityIn
from orders.use_cases import carts
from orders.use_cases.guests import take_over_guest
from shared.context import require_caller
from shared.errors import ServiceUnreachable
from shared.openapi import document_errors


def cart_routes(desk: carts.CartDesk, payments: PaymentsClient) -> APIBlueprint:
    """Return the routes of the caller's cart."""
    routes = APIBlueprint("cart", __name__)

    @routes.get("/cart")
    @routes.output(CartOut)
    def show_cart() -> CartOut:
        """Show the cart at current prices.

        The `problem` of a line is `unavailable`, `insufficient_stock`, `price_changed` or null. The price has
        changed from `previous_unit_amount`; setting the quantity again accepts the new one. `POST /orders`
        with this `version` orders exactly this cart. When a guest signs in, the guest's cart and orders move
        to the account.
        """
        caller = require_caller()
        take_over_guest(desk.database, payments, caller)
        return _show(carts.read_cart(desk, caller))

    @routes.put("/cart/items/<int:variant_id>")
    @routes.input(QuantityIn)
    @routes.output(CartOut)
    @routes.doc(responses=document_errors(ProductNotFound, CartFull, ServiceUnreachable))
    def put_item(variant_id: int, json_data: QuantityIn) -> CartOut:
        """Set the quantity of a variant in the cart, at its current price.

        The first variant of a product has the product's number.
        """
        caller = require_caller()
        return _show(carts.put_in_cart(desk, caller, variant_id, json_data.quantity))

    @routes.delete("/cart/items/<int:variant_id>")
    @routes.output(CartOut)
    @routes.doc(responses=document_errors(ProductNotFound))
    def remove_item(variant_id: int) -> CartOut:
        """Remove a variant from the cart."""
        return _show(carts.remove_from_cart(desk, require_caller(), variant_id))

    @routes.put("/cart/coupon")
    @routes.input(CartCouponIn)
    @routes.output(CartOut)
    @routes.doc(responses=document_errors(CouponNotUsable("unknown", "WELCOME10")))
    def put_coupon(json_data: CartCouponIn) -> CartOut:
        """Set the coupon of the cart, or remove it with null."""
        return _show(carts.put_coupon(desk, require_caller(), json_data.code))

    @routes.put("/cart/delivery")
    @routes.input(DeliveryIn)
    @routes.output(CartOut)
    @routes.doc(responses=document_errors(ShippingMethodUnavailable))
    def put_delivery(json_data: DeliveryIn) -> CartOut:
        """Set where the cart would go, as far as it is known, and its shipping method.

        The `shipping_options` of the cart are the methods that fit.
        """
        return _show(carts.put_delivery(desk, require_caller(), Delivery(**json_data.model_dump())))

    return routes


def _show(cart: carts.Cart) -> CartOut:
    stored = cart.stored
    return CartOut.of(
        stored,
        cart.offers,
        cart.currency,
        cart.quote,
        coupon_problem=cart.coupon_problem.detail if cart.coupon_problem else None,
        delivery_problem=cart.delivery_problem.detail if cart.delivery_problem else None,
    )
