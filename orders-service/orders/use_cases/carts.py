"""Carts: what people mean to buy, priced by the catalogue each time it is shown."""

import logging
from dataclasses import dataclass

from orders.clients import CatalogClient
from orders.domain import LARGEST_ID, MOST_LINES, CartLine, Offer, find_room
from orders.errors import CartFull, ProductNotFound
from orders.repository import carts
from shared.context import Caller
from shared.database import Connection, Database
from shared.errors import Unavailable

log = logging.getLogger(__name__)

CROWDED = MOST_LINES // 2  # Lines from which on a cart is locked while another is put in, to count them.


@dataclass(frozen=True)
class Cart:
    """A cart, and what the catalogue says of it; `offers` is None while the catalogue is away."""

    lines: tuple[CartLine, ...]
    offers: dict[int, Offer] | None
    currency: str | None


def take_cart(connection: Connection, caller: Caller) -> tuple[CartLine, ...]:
    """Return what is in the caller's cart, with what they put into one as a guest, which becomes theirs."""
    if caller.guest_sub is not None and caller.guest_sub != caller.sub:
        guest = carts.take_items(connection, caller.guest_sub)
        if guest:
            carts.lock_cart(connection, caller.sub)
            fitting = find_room(carts.read_cart(connection, caller.sub), guest)
            if fitting:
                carts.add_items(connection, caller.sub, fitting)
            log.info("A guest's cart was taken over", extra={"cart.lines": len(fitting)})
    lines = carts.read_cart(connection, caller.sub)
    if caller.role != "guest" and any(line.is_guest for line in lines):
        carts.adopt_cart(connection, caller.sub)
    return lines


def read_cart(database: Database, catalog: CatalogClient, caller: Caller) -> Cart:
    """Return the caller's cart, priced just now."""
    return _price(catalog, open_cart(database, caller))


def put_in_cart(
    database: Database, catalog: CatalogClient, caller: Caller, product_id: int, quantity: int
) -> Cart:
    """Set a product's quantity in the caller's cart; raise ProductNotFound or CartFull."""
    _check_id(product_id)
    before = {line.product_id: line for line in open_cart(database, caller)}
    if len(before.keys() | {product_id}) > MOST_LINES:
        raise CartFull
    offers, currency = catalog.read_offers(before.keys() | {product_id})
    if product_id not in offers:
        raise ProductNotFound
    line = CartLine(product_id, quantity, offers[product_id].unit_amount, caller.role == "guest")
    if len(before) < CROWDED:
        with database.autocommit() as connection:
            carts.put_item(connection, caller.sub, line)
    else:
        with database.transaction() as connection:
            carts.lock_cart(connection, caller.sub)
            carts.put_item(connection, caller.sub, line)
            if len(carts.read_cart(connection, caller.sub)) > MOST_LINES:
                raise CartFull
    return Cart(tuple({**before, product_id: line}.values()), offers, currency)


def remove_from_cart(database: Database, catalog: CatalogClient, caller: Caller, product_id: int) -> Cart:
    """Take a product out of the caller's cart, whether it was in it or not; raise ProductNotFound."""
    _check_id(product_id)
    with database.transaction() as connection:
        take_cart(connection, caller)
        carts.remove_items(connection, caller.sub, [product_id])
        lines = carts.read_cart(connection, caller.sub)
    return _price(catalog, lines)


def open_cart(database: Database, caller: Caller) -> tuple[CartLine, ...]:
    """Return what is in the caller's cart."""
    # Only taking over a guest's cart is more than one statement.
    begin = database.autocommit if caller.guest_sub is None else database.transaction
    with begin() as connection:
        return take_cart(connection, caller)


def _price(catalog: CatalogClient, lines: tuple[CartLine, ...]) -> Cart:
    if not lines:
        return Cart((), {}, None)
    try:
        offers, currency = catalog.read_offers(line.product_id for line in lines)
    except Unavailable:
        return Cart(lines, None, None)
    return Cart(lines, offers, currency)


def _check_id(product_id: int) -> None:
    """Raise ProductNotFound for a number that no product can have; a path may hold any."""
    if not 1 <= product_id <= LARGEST_ID:
        raise ProductNotFound
