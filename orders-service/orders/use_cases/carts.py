"""Carts. The catalogue prices a cart each time it is shown."""

import logging
from dataclasses import dataclass

from orders.clients import CatalogClient
from orders.domain import LARGEST_ID, MOST_LINES, CartLine, Offer, StoredCart, find_room
from orders.errors import CartFull, ProductNotFound
from orders.repository import carts
from shared.context import Caller
from shared.database import Connection, Database
from shared.errors import Unavailable

log = logging.getLogger(__name__)

CROWDED = (
    MOST_LINES // 2
)  # Above this number of lines, a cart is locked while a line is added, to count them.


@dataclass(frozen=True)
class Cart:
    """A priced cart; `offers` is None while the catalogue is unavailable."""

    version: int
    lines: tuple[CartLine, ...]
    offers: dict[int, Offer] | None
    currency: str | None


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
    log.info("Guest cart merged", extra={"cart.lines": len(fitting)})


def read_cart(database: Database, catalog: CatalogClient, caller: Caller) -> Cart:
    """Return the caller's cart at current prices."""
    return _price(catalog, open_cart(database, caller))


def put_in_cart(
    database: Database, catalog: CatalogClient, caller: Caller, variant_id: int, quantity: int
) -> Cart:
    """Set a variant's quantity in the caller's cart; raise ProductNotFound or CartFull."""
    _check_id(variant_id)
    variants = {line.product_id for line in open_cart(database, caller).lines} | {variant_id}
    if len(variants) > MOST_LINES:
        raise CartFull
    offers, currency = catalog.read_offers(variants)
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
        return Cart(cart.version, cart.lines, offers, currency)
    # Another call has added a variant in the meantime.
    return _price(catalog, cart)


def remove_from_cart(database: Database, catalog: CatalogClient, caller: Caller, variant_id: int) -> Cart:
    """Remove a variant from the caller's cart, if it is there; raise ProductNotFound for an impossible id."""
    _check_id(variant_id)
    with database.transaction() as connection:
        take_cart(connection, caller)
        carts.remove_items(connection, caller.sub, [variant_id])
        cart = carts.read_cart(connection, caller.sub)
    return _price(catalog, cart)


def open_cart(database: Database, caller: Caller) -> StoredCart:
    """Return the caller's cart."""
    # Only merging a guest's cart takes more than one statement.
    begin = database.autocommit if caller.guest is None else database.transaction
    with begin() as connection:
        return take_cart(connection, caller)


def _price(catalog: CatalogClient, cart: StoredCart) -> Cart:
    if not cart.lines:
        return Cart(cart.version, (), {}, None)
    try:
        offers, currency = catalog.read_offers(line.product_id for line in cart.lines)
    except Unavailable:
        return Cart(cart.version, cart.lines, None, None)
    return Cart(cart.version, cart.lines, offers, currency)


def _check_id(variant_id: int) -> None:
    """Raise ProductNotFound for an id that no variant can have; a path may contain any number."""
    if not 1 <= variant_id <= LARGEST_ID:
        raise ProductNotFound
