"""What an admin does with products."""

import logging
from collections.abc import Generator, Mapping, Set
from typing import Any, TypeVar

from catalog.domain import FIRST_LOCAL_ID, LARGEST_ID, ManagedProduct, Product, Stock
from catalog.errors import (
    ImportRunning,
    NotFromSource,
    ProductNotFound,
    SkuTaken,
    StockHeld,
    VersionConflict,
)
from catalog.repository import admin as repository
from catalog.repository import offers, pages, stock
from shared.database import Connection, Database

log = logging.getLogger(__name__)

T = TypeVar("T")


def create_product(database: Database, values: Mapping[str, Any], on_hand: int) -> ManagedProduct:
    """Put a product of the shop's own on sale; raise SkuTaken or ImportRunning."""
    with database.transaction() as connection:
        _claim_sku(connection, values)
        number = repository.insert_product(connection, values, on_hand)
        product = _require(repository.find_managed(connection, number))
    log.info("A product was added", extra={"product.id": number})
    return product


def change_product(
    database: Database, product_id: int, version: int, changes: Mapping[str, Any], given_back: Set[str]
) -> ManagedProduct:
    """Change some of a product, if it is as the caller saw it, and give some of it back to the source.

    What is changed is not overwritten by copies of the source; what is `given_back` is at once as its last
    copy has it, and follows it again. Raises ProductNotFound, VersionConflict, SkuTaken, ImportRunning or
    NotFromSource.
    """
    _check_id(product_id)
    with database.transaction() as connection:
        offer = pages.find_offer(connection, product_id) if given_back else None
        skus = changes if offer is None or "sku" not in given_back else {"sku": offer.sku}
        if "sku" in skus:
            _claim_sku(connection, skus, besides=product_id)
        known = _require(repository.lock_managed(connection, product_id))
        if known.product.version != version:
            raise VersionConflict(version=known.product.version)
        if given_back and product_id >= FIRST_LOCAL_ID:
            raise NotFromSource
        differing = {name: value for name, value in changes.items() if getattr(known.product, name) != value}
        if differing:
            repository.update_product(connection, product_id, differing)
        if given_back:
            repository.give_back(connection, product_id, given_back)
            offers.copy_offers(connection, [offer] if offer else [])
        product = _require(repository.find_managed(connection, product_id))
    log.info("A product was changed", extra={"product.id": product_id, "fields": sorted(differing)})
    return product


def remove_product(database: Database, product_id: int) -> None:
    """Take a product off sale for good; its holds and orders keep it. Raises ProductNotFound."""
    _check_id(product_id)
    with database.transaction() as connection:
        if not repository.remove_product(connection, product_id):
            raise ProductNotFound
    log.info("A product was taken off sale", extra={"product.id": product_id})


def count_stock(database: Database, product_id: int, on_hand: int) -> Stock:
    """Let there be so many units on hand, what is held for orders among them; sold ones are gone.

    Copies of the source leave a counted stock alone. Raises ProductNotFound or StockHeld.
    """
    _check_id(product_id)
    with database.transaction() as connection:
        known = _require(stock.lock_stock(connection, product_id))
        if on_hand < known.reserved:
            raise StockHeld(on_hand=known.on_hand, reserved=known.reserved)
        stock.record_count(connection, product_id, on_hand)
        counted = _require(stock.read_stock(connection, product_id))
    log.info(
        "Stock was counted",
        extra={"product.id": product_id, "stock.before": known.on_hand, "stock.after": on_hand},
    )
    return counted


def show_stock(database: Database, product_id: int) -> Stock:
    """Return what there is of a product; raise ProductNotFound."""
    _check_id(product_id)
    with database.transaction() as connection:
        return _require(stock.read_stock(connection, product_id))


def export_products(database: Database) -> Generator[Product]:
    """Yield what is for sale by id, as it is at one moment."""
    with database.snapshot() as connection:
        yield from repository.stream_products(connection)


def _claim_sku(connection: Connection, values: Mapping[str, Any], *, besides: int | None = None) -> None:
    if not repository.lock_skus(connection):
        raise ImportRunning
    owner = repository.find_sku(connection, values["sku"], besides=besides) if "sku" in values else None
    if owner is not None:
        raise SkuTaken(product_id=owner)


def _check_id(product_id: int) -> None:
    # A path may hold any number, and the column's type may not.
    if product_id > LARGEST_ID:
        raise ProductNotFound


def _require(found: T | None) -> T:
    if found is None:
        raise ProductNotFound
    return found
