"""Carts. The catalogue prices a cart each time it is shown."""

import logging
from dataclasses import dataclass, replace
from typing import Any

from orders.clients import CatalogClient
from orders.domain import LARGEST_ID, MOST_LINES, CartLine, Delivery, Offer, StoredCart, find_room
from orders.errors import CartFull, CouponNotUsable, ProductNotFound, ShippingMethodUnavailable
from orders.repository import carts
from orders.rule_book import RuleBook
from orders.totals import Destination, Quote, quote_order
from orders.use_cases.coupons import find_coupon
from shared.context import Caller
from shared.database import Connection, Database
from shared.errors import Unavailable

log = logging.getLogger(__name__)

CROWDED = (
    MOST_LINES // 2
)  # Above this number of lines, a cart is locked while a line is added, to count them.


@dataclass(frozen=True)
class Cart:
    """A cart at current prices.

    `offers` is None while the catalogue is unavailable. `quote` is None then, and while an item is not for
    sale. A coupon or a shipping method that the cart cannot have is not in the quote; its problem says why.
    """

    stored: StoredCart
    offers: dict[int, Offer] | None
    currency: str | None
    quote: Quote | None = None
    coupon_problem: CouponNotUsable | None = None
    delivery_problem: ShippingMethodUnavailable | None = None


@dataclass(frozen=True)
class CartDesk:
    """What prices a cart: the catalogue's offers, and the shop's rules."""

    database: Database
    catalog: CatalogClient
    rule_book: RuleBook

    def price(self, caller: Caller, cart: StoredCart) -> Cart:
        """Return a cart at current prices."""
        if not cart.lines:
            return Cart(cart, {}, None)
        try:
            offers, currency = self.catalog.read_offers(line.product_id for line in cart.lines)
        except Unavailable:
            return Cart(cart, None, None)
        return self.quote(caller, cart, offers, currency)

    def quote(self, caller: Caller, cart: StoredCart, offers: dict[int, Offer], currency: str) -> Cart:
        """Return a cart at the prices of these offers."""
        known = [(offers.get(line.product_id), line.quantity) for line in cart.lines]
        items = [offer.to_item(quantity) for offer, quantity in known if offer]
        if len(items) < len(known):
            return Cart(cart, offers, currency)
        rules = self.rule_book.read(cart.rules_version)
        destination = find_destination(cart.delivery.destination, self.rule_book)
        coupon, coupon_problem, delivery_problem = None, None, None
        method = cart.delivery.shipping_method
        if cart.coupon is not None:
            try:
                coupon = find_coupon(self.database, cart.coupon, caller.sub)
                coupon.find_discounts(items)
            except CouponNotUsable as problem:
                coupon, coupon_problem = None, problem
        try:
            quote = quote_order(items, coupon, destination, method, rules)
        except ShippingMethodUnavailable as problem:
            delivery_problem = problem
            quote = quote_order(items, coupon, destination, None, rules)
        return Cart(cart, offers, currency, quote, coupon_problem, delivery_problem)


def find_destination(destination: Destination | None, rule_book: RuleBook) -> Destination | None:
    """Return the destination, or while it is not known the shop's country, if the shop has one."""
    if destination is None and rule_book.shop_country:
        return Destination(rule_book.shop_country)
    return destination


def take_cart(connection: Connection, caller: Caller) -> StoredCart:
    """Return the caller's cart; the cart that they filled as a guest is merged into it."""
    if caller.guest is not None:
        _take_guest_cart(connection, caller.guest, caller.sub)
    cart = carts.read_cart(connection, caller.sub)
    if caller.role != "guest" and any(line.is_guest for line in cart.lines):
        carts.adopt_cart(connection, caller.sub)
    return cart


def _take_guest_cart(connection: Connection, guest: str, customer: str) -> None:
    before = carts.read_cart(connection, guest)
    ordered = carts.find_ordered_version(connection, guest)
    taken = carts.take_items(connection, guest)
    if not taken:
        return
    carts.lock_cart(connection, customer)
    own = carts.read_cart(connection, customer).lines
    fitting = find_room(own, taken)
    if fitting:
        carts.add_items(connection, customer, fitting)
    if ordered and ordered[0] == before.version and not own:
        # The guest has ordered this version, and it must not be ordered twice while the payment is undecided.
        carts.bind_cart(connection, customer, ordered[1])
    carts.take_choices(connection, guest, customer)
    log.info("Guest cart merged", extra={"cart.lines": len(fitting)})


def read_cart(desk: CartDesk, caller: Caller) -> Cart:
    """Return the caller's cart at current prices."""
    return desk.price(caller, open_cart(desk.database, caller))


def put_in_cart(desk: CartDesk, caller: Caller, variant_id: int, quantity: int) -> Cart:
    """Set a variant's quantity in the caller's cart; raise ProductNotFound or CartFull."""
    database = desk.database
    _check_id(variant_id)
    variants = {line.product_id for line in open_cart(database, caller).lines} | {variant_id}
    if len(variants) > MOST_LINES:
        raise CartFull
    offers, currency = desk.catalog.read_offers(variants)
    if variant_id not in offers:
        raise ProductNotFound
    offer = offers[variant_id]
    line = CartLine(variant_id, quantity, offer.unit_amount, caller.role == "guest", offer.parent_id)
    is_crowded = len(variants) > CROWDED
    begin = database.transaction if is_crowded else database.autocommit
    with begin() as connection:
        if is_crowded:
            carts.lock_cart(connection, caller.sub)
        carts.put_item(connection, caller.sub, line)
        cart = carts.read_cart(connection, caller.sub)
        if len(cart.lines) > MOST_LINES:
            raise CartFull
    if {line.product_id for line in cart.lines} <= variants:
        return desk.quote(caller, cart, offers, currency)
    # Another call has added a variant in the meantime.
    return desk.price(caller, cart)


def remove_from_cart(desk: CartDesk, caller: Caller, variant_id: int) -> Cart:
    """Remove a variant from the caller's cart, if it is there; raise ProductNotFound for an impossible id."""
    _check_id(variant_id)
    with desk.database.transaction() as connection:
        take_cart(connection, caller)
        carts.remove_items(connection, caller.sub, [variant_id])
        cart = carts.read_cart(connection, caller.sub)
    return desk.price(caller, cart)


def put_coupon(desk: CartDesk, caller: Caller, code: str | None) -> Cart:
    """Set the coupon of the caller's cart, or remove it with None; raise CouponNotUsable."""
    cart = open_cart(desk.database, caller)
    if code is not None:
        coupon = find_coupon(desk.database, code, caller.sub)
        code = coupon.code
        tried = desk.price(caller, replace(cart, coupon=code))
        if tried.coupon_problem:
            raise tried.coupon_problem
    return _put_choice(desk, caller, coupon=code)


def put_delivery(desk: CartDesk, caller: Caller, delivery: Delivery) -> Cart:
    """Set where the caller's cart would go, and how; raise ShippingMethodUnavailable."""
    cart = open_cart(desk.database, caller)
    if delivery.shipping_method is not None:
        tried = desk.price(caller, replace(cart, delivery=delivery))
        if tried.delivery_problem:
            raise tried.delivery_problem
    return _put_choice(desk, caller, delivery=vars(delivery))


def _put_choice(desk: CartDesk, caller: Caller, **choice: Any) -> Cart:
    with desk.database.transaction() as connection:
        carts.put_choice(connection, caller.sub, **choice)
        cart = carts.read_cart(connection, caller.sub)
    return desk.price(caller, cart)


def open_cart(database: Database, caller: Caller) -> StoredCart:
    """Return the caller's cart."""
    # Only merging a guest's cart takes more than one statement.
    begin = database.autocommit if caller.guest is None else database.transaction
    with begin() as connection:
        return take_cart(connection, caller)


def _check_id(variant_id: int) -> None:
    """Raise ProductNotFound for an id that no variant can have; a path may contain any number."""
    if not 1 <= variant_id <= LARGEST_ID:
        raise ProductNotFound
