"""Routes of the cart."""

from apiflask import APIBlueprint

from orders.clients import CatalogClient, PaymentsClient
from orders.errors import CartFull, ProductNotFound
from orders.schemas.carts import CartOut, QuantityIn
from orders.use_cases import carts
from orders.use_cases.guests import take_over_guest
from shared.context import require_caller
from shared.database import Database
from shared.errors import ServiceUnreachable
from shared.openapi import document_errors


def cart_routes(database: Database, catalog: CatalogClient, payments: PaymentsClient) -> APIBlueprint:
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
        take_over_guest(database, payments, caller)
        return _show(carts.read_cart(database, catalog, caller))

    @routes.put("/cart/items/<int:variant_id>")
    @routes.input(QuantityIn)
    @routes.output(CartOut)
    @routes.doc(responses=document_errors(ProductNotFound, CartFull, ServiceUnreachable))
    def put_item(variant_id: int, json_data: QuantityIn) -> CartOut:
        """Set the quantity of a variant in the cart, at its current price.

        The first variant of a product has the product's number.
        """
        caller = require_caller()
        return _show(carts.put_in_cart(database, catalog, caller, variant_id, json_data.quantity))

    @routes.delete("/cart/items/<int:variant_id>")
    @routes.output(CartOut)
    @routes.doc(responses=document_errors(ProductNotFound))
    def remove_item(variant_id: int) -> CartOut:
        """Remove a variant from the cart."""
        return _show(carts.remove_from_cart(database, catalog, require_caller(), variant_id))

    return routes


def _show(cart: carts.Cart) -> CartOut:
    return CartOut.of(cart.lines, cart.offers, cart.currency, cart.version)
