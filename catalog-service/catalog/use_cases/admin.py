"""Admin use cases: products and stock."""

import logging
from collections.abc import Generator, Mapping, Set
from typing import Any, TypeVar

from catalog.domain import FIRST_LOCAL_ID, MAX_ID, ManagedProduct, Product, Stock
from catalog.errors import (
    ImportRunning,
    NotFromSource,
    ProductNotFound,
    SkuTaken,
    SlugTaken,
    StockHeld,
    VersionConflict,
)
from catalog.repository import admin as repository
from catalog.repository import offers, pages, stock
from catalog.repository.categories import claim_keys
from catalog.repository.slugs import set_slug
from shared.database import Connection, Database

log = logging.getLogger(__name__)

T = TypeVar("T")


def create_product(database: Database, values: Mapping[str, Any], on_hand: int) -> ManagedProduct:
    """Add a product of the shop's own; raise SkuTaken or ImportRunning."""
    with database.transaction() as connection:
        _claim_sku(connection, values)
        number = repository.insert_product(connection, _store_category(connection, values), on_hand)
        product = _require(repository.find_managed(connection, number))
    log.info("A product was added", extra={"product.id": number})
    return product


def change_product(
    database: Database, product_id: int, version: int, changes: Mapping[str, Any], follow_source: Set[str]
) -> ManagedProduct:
    """Change fields of a product if it still has this version, and return other fields to the source.

    Copies of the source do not overwrite the changed fields. The fields in `follow_source` take the values of
    the last copy at once and follow the source again. Raises ProductNotFound, VersionConflict, SkuTaken,
    SlugTaken, ImportRunning or NotFromSource.
    """
    _check_id(product_id)
    with database.transaction() as connection:
        offer = pages.find_offer(connection, product_id) if follow_source else None
        skus = changes if offer is None or "sku" not in follow_source else {"sku": offer.sku}
        if "sku" in skus:
            _claim_sku(connection, skus, exclude=product_id)
        known = _require(repository.find_managed(connection, product_id, lock=True))
        if known.product.version != version:
            raise VersionConflict(version=known.product.version)
        if follow_source and product_id >= FIRST_LOCAL_ID:
            raise NotFromSource
        differing = {name: value for name, value in changes.items() if getattr(known.product, name) != value}
        if differing:
            _set_slug(connection, product_id, differing)
            columns = {name: value for name, value in differing.items() if name != "slug"}
            repository.update_product(connection, product_id, _store_category(connection, columns))
        if follow_source:
            repository.clear_edits(connection, product_id, follow_source)
            offers.copy_offers(connection, [offer] if offer else [])
        product = _require(repository.find_managed(connection, product_id))
    log.info("A product was changed", extra={"product.id": product_id, "fields": sorted(differing)})
    return product


def remove_product(database: Database, product_id: int) -> None:
    """Remove a product permanently; its reservations and orders keep it. Raises ProductNotFound."""
    _check_id(product_id)
    with database.transaction() as connection:
        if not repository.remove_product(connection, product_id):
            raise ProductNotFound
    log.info("A product was removed", extra={"product.id": product_id})


def count_stock(database: Database, product_id: int, on_hand: int) -> Stock:
    """Set the units on hand, which include units held for orders but not sold ones.

    Copies of the source do not overwrite a counted stock. Raises ProductNotFound or StockHeld.
    """
    _check_id(product_id)
    with database.transaction() as connection:
        known = _require(stock.find_stock(connection, product_id, lock=True))
        if on_hand < known.reserved:
            raise StockHeld(on_hand=known.on_hand, reserved=known.reserved)
        stock.record_count(connection, product_id, on_hand)
        counted = _require(stock.find_stock(connection, product_id))
    log.info(
        "Stock was counted",
        extra={"product.id": product_id, "stock.before": known.on_hand, "stock.after": on_hand},
    )
    return counted


def show_stock(database: Database, product_id: int) -> Stock:
    """Return the stock of a product; raise ProductNotFound."""
    _check_id(product_id)
    with database.transaction() as connection:
        return _require(stock.find_stock(connection, product_id))


def export_products(database: Database) -> Generator[Product]:
    """Yield the products for sale by id, from one snapshot."""
    with database.snapshot() as connection:
        yield from repository.stream_products(connection)


def _claim_sku(connection: Connection, values: Mapping[str, Any], *, exclude: int | None = None) -> None:
    if not repository.lock_skus(connection):
        raise ImportRunning
    owner = repository.find_sku(connection, values["sku"], exclude=exclude) if "sku" in values else None
    if owner is not None:
        raise SkuTaken(product_id=owner)


def _store_category(connection: Connection, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with the key of the category in place of its path."""
    if "category" not in values:
        return dict(values)
    return {**values, "category": claim_keys(connection, [values["category"]])[values["category"]]}


def _set_slug(connection: Connection, product_id: int, values: Mapping[str, Any]) -> None:
    if "slug" not in values:
        return
    owner = set_slug(connection, product_id, values["slug"])
    if owner is not None:
        raise SlugTaken(product_id=owner)


def _check_id(product_id: int) -> None:
    # A path can contain any number, but the column cannot.
    if product_id > MAX_ID:
        raise ProductNotFound


def _require(found: T | None) -> T:
    if found is None:
        raise ProductNotFound
    return found
