"""Quotes: what an order would cost."""

from orders import totals
from orders.domain import Line, Offer, Priced, StoredCart, find_place
from orders.errors import CartChanged, CartEmpty, CheckoutRefused
from orders.schemas.orders import OrderIn
from orders.schemas.quotes import QuoteIn
from orders.use_cases.carts import CartDesk, find_destination, open_cart
from orders.use_cases.coupons import find_coupon, name_customer
from shared.context import Caller


def quote_order(
    desk: CartDesk, caller: Caller, wanted: OrderIn | QuoteIn, *, is_order: bool = False
) -> Priced:
    """Return what the items, or the caller's cart, would cost as an order.

    Raises CartEmpty, CartChanged, CheckoutRefused if an item is not for sale, CouponNotUsable,
    ShippingMethodUnavailable, and with `is_order` ShippingMethodRequired.
    """
    cart = open_cart(desk.database, caller) if wanted.items is None else None
    quantities = _count(wanted, cart)
    offers, currency = desk.catalog.read_offers(quantities)
    _require_offers(quantities, offers)
    if wanted.items is not None:
        _require_only_variants([item.to_line() for item in wanted.items], offers)
    code = choose_coupon(wanted, cart)
    coupon = find_coupon(desk.database, code, name_customer(caller, wanted.email)) if code else None
    destination = cart.delivery.destination if cart else None
    if wanted.shipping_address is not None:
        address = wanted.shipping_address
        destination = find_place(address.country, address.region, address.postal_code)
    priced = totals.quote_order(
        [offers[number].to_item(quantity) for number, quantity in quantities.items()],
        coupon,
        find_destination(destination, desk.rule_book),
        choose_method(wanted, cart),
        desk.rule_book.read(cart.rules_version if cart else None),
        is_order=is_order,
    )
    return Priced(priced, offers, quantities, currency, cart.version if cart else None)


def choose_coupon(wanted: OrderIn | QuoteIn, cart: StoredCart | None) -> str | None:
    """Return the code of the coupon: the one that the call names, if any or null, or else the cart's."""
    return wanted.coupon if cart is None or "coupon" in wanted.model_fields_set else cart.coupon


def choose_method(wanted: OrderIn | QuoteIn, cart: StoredCart | None) -> str | None:
    """Return the code of the shipping method: the one that the call names, or else the cart's."""
    if cart is None or "shipping_method" in wanted.model_fields_set:
        return wanted.shipping_method
    return cart.delivery.shipping_method


def _count(wanted: OrderIn | QuoteIn, cart: StoredCart | None) -> dict[int, int]:
    if cart is None:
        quantities: dict[int, int] = {}
        for item in wanted.items or ():
            quantities[item.number] = quantities.get(item.number, 0) + item.quantity
        return quantities
    if not cart.lines:
        raise CartEmpty
    if wanted.cart_version not in {None, cart.version}:
        raise CartChanged(cart_version=cart.version)
    return {line.product_id: line.quantity for line in cart.lines}


def _require_offers(quantities: dict[int, int], offers: dict[int, Offer]) -> None:
    missing = [
        {"variant_id": number, "requested": quantity, "available": 0}
        for number, quantity in quantities.items()
        if number not in offers
    ]
    if missing:
        raise CheckoutRefused(
            "product_unavailable",
            "product_unavailable",
            "A product is not for sale; see lines.",
            lines=missing,
        )


def _require_only_variants(lines: list[Line], offers: dict[int, Offer]) -> None:
    """Raise CheckoutRefused if a line names a product that has several variants."""
    wrong = [
        {"product_id": line.product_id}
        for line in lines
        if line.must_be_only_variant and not offers[line.product_id].is_only_variant
    ]
    if wrong:
        raise CheckoutRefused(
            "variant_required",
            "variant_required",
            "A product has several variants; name one of them as variant_id. See lines.",
            lines=wrong,
        )
