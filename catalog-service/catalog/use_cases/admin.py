"""Admin use cases: products."""

import logging
from collections.abc import Generator, Mapping, Sequence, Set
from typing import Any, TypeVar

from catalog.domain import FIRST_LOCAL_ID, ExportedProduct, ManagedProduct
from catalog.errors import NotFromSource, ProductNotFound, SlugTaken, VariantRequired, VersionConflict
from catalog.repository import admin as repository
from catalog.repository import exports, offers, pages
from catalog.repository import variants as variant_rows
from catalog.repository.categories import claim_keys
from catalog.repository.slugs import set_slug
from catalog.schemas.fields import SOLD
from catalog.use_cases.skus import claim_skus
from catalog.use_cases.source_variants import copy_variants
from catalog.use_cases.variants import add_variants, change_options, check_id
from catalog.variants import NewVariant, Option, OptionValues, check_values
from shared.database import Connection, Database

log = logging.getLogger(__name__)

T = TypeVar("T")


def create_product(
    database: Database,
    values: Mapping[str, Any],
    variants: Sequence[NewVariant],
    options: Sequence[Option] = (),
) -> ManagedProduct:
    """Add a product of the shop's own with these variants.

    Raises OptionValuesInvalid, VariantExists, TooManyVariants, SkuTaken or ImportRunning.
    """
    first, *further = variants
    check_values(options, first.option_values)
    values = {**values, **first.values}
    with database.transaction() as connection:
        claim_skus(connection, [values, *[variant.values for variant in further]])
        values = _store_category(connection, values)
        number = repository.insert_product(connection, values, options, first.on_hand)
        known = variant_rows.list_variants(connection, number)
        add_variants(connection, number, options, known, further)
        product = _require(repository.find_managed(connection, number))
    log.info("A product was added", extra={"product.id": number})
    return product


def change_product(
    database: Database,
    product_id: int,
    version: int,
    changes: Mapping[str, Any],
    follow_source: Set[str] = frozenset(),
    options: Sequence[Option] | None = None,
    option_values: Mapping[int, OptionValues | None] | None = None,
) -> ManagedProduct:
    """Change fields of a product if it still has this version, and return other fields to the source.

    Copies of the source do not overwrite the changed fields. The fields in `follow_source` take the values of
    the last copy at once and follow the source again. New options come with the values that variants then
    have. Raises ProductNotFound, VersionConflict, VariantRequired, SkuTaken, SlugTaken, ImportRunning,
    NotFromSource, or the errors of new options.
    """
    check_id(product_id)
    with database.transaction() as connection:
        offer = pages.find_offer(connection, product_id) if follow_source else None
        skus = changes
        # The copy itself compares the SKUs of variants.
        if offer and not offer.variants and "sku" in follow_source:
            skus = {"sku": offer.sku}
        if "sku" in skus:
            claim_skus(connection, [skus], exclude=product_id)
        known = _require(repository.find_managed(connection, product_id, lock=True))
        if known.product.version != version:
            raise VersionConflict(version=known.product.version)
        if follow_source and product_id >= FIRST_LOCAL_ID:
            raise NotFromSource
        if known.further_variants and changes.keys() & {*SOLD}:
            raise VariantRequired
        differing = {name: value for name, value in changes.items() if known.fields[name] != value}
        if differing:
            _set_slug(connection, product_id, differing)
            columns = {name: value for name, value in differing.items() if name != "slug"}
            repository.update_product(connection, product_id, _store_category(connection, columns))
        if options is not None or option_values:
            change_options(connection, product_id, options, option_values or {})
            variant_rows.touch_product(connection, product_id)
        if follow_source:
            repository.clear_edits(connection, product_id, follow_source)
            if "options" in follow_source:
                for variant in variant_rows.list_variants(connection, product_id):
                    repository.clear_edits(connection, variant.id, {"option_values"})
            if offer:
                copy_variants(connection, offer, offers.find_taken_skus(connection, offer.skus))
        product = _require(repository.find_managed(connection, product_id))
    log.info("A product was changed", extra={"product.id": product_id, "fields": sorted(differing)})
    return product


def remove_product(database: Database, product_id: int) -> None:
    """Remove a product permanently; its reservations and orders keep it. Raises ProductNotFound."""
    check_id(product_id)
    with database.transaction() as connection:
        if not repository.remove_product(connection, product_id):
            raise ProductNotFound
    log.info("A product was removed", extra={"product.id": product_id})


def export_products(database: Database) -> Generator[ExportedProduct]:
    """Yield the products for sale by id, from one snapshot."""
    with database.snapshot() as connection:
        yield from exports.stream_products(connection)


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


def _require(found: T | None) -> T:
    if found is None:
        raise ProductNotFound
    return found
