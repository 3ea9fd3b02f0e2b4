"""Admin use cases: the options and the variants of a product."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from catalog.domain import MAX_ID
from catalog.errors import (
    ImageNotFound,
    LastVariant,
    OptionValuesInvalid,
    ProductNotFound,
    StockHeld,
    TooManyVariants,
    VariantNotFound,
    VariantRequired,
    VersionConflict,
)
from catalog.repository import images, stock
from catalog.repository import variants as repository
from catalog.use_cases.skus import claim_skus
from catalog.variants import (
    MAX_VARIANTS,
    NewVariant,
    Option,
    OptionValues,
    Variant,
    check_combinations,
    check_values,
    make_title,
    sort_variants,
)
from shared.database import Connection, Database

log = logging.getLogger(__name__)


def check_id(product_id: int) -> None:
    """Raise ProductNotFound for a number that the column cannot have, although a path can."""
    if product_id > MAX_ID:
        raise ProductNotFound


def add_variant(database: Database, product_id: int, variant: NewVariant) -> Variant:
    """Add a further variant to a product.

    Raises ProductNotFound, OptionValuesInvalid, VariantExists, TooManyVariants, ImageNotFound, SkuTaken or
    ImportRunning.
    """
    with database.transaction() as connection:
        claim_skus(connection, [variant.values])
        options, known = _lock(connection, product_id)
        number = add_variants(connection, product_id, options, known, [variant])[0]
        repository.touch_product(connection, product_id)
        added = _require(repository.list_variants(connection, product_id), number)
    log.info("A variant was added", extra={"product.id": product_id, "variant.id": number})
    return added


def add_variants(
    connection: Connection,
    product_id: int,
    options: Sequence[Option],
    known: Sequence[Variant],
    variants: Sequence[NewVariant],
) -> list[int]:
    """Add further variants to a locked product with these known ones; return their ids."""
    if len(known) + len(variants) > MAX_VARIANTS:
        raise TooManyVariants
    for variant in variants:
        check_values(options, variant.option_values)
        _check_image(connection, product_id, variant.values)
    taken = [(each.id, each.option_values) for each in known]
    check_combinations([*taken, *[(0, variant.option_values) for variant in variants]])
    return [
        repository.insert_variant(connection, product_id, options, variant.values, variant.on_hand)
        for variant in variants
    ]


def change_variant(
    database: Database, product_id: int, variant_id: int, version: int, changes: Mapping[str, Any]
) -> Variant:
    """Change a variant that still has this version.

    Copies of the source do not overwrite the changed SKU and price. Raises ProductNotFound, VariantNotFound,
    VersionConflict, OptionValuesInvalid, VariantExists, ImageNotFound, SkuTaken or ImportRunning.
    """
    with database.transaction() as connection:
        if "sku" in changes:
            claim_skus(connection, [changes], exclude=variant_id)
        options, known = _lock(connection, product_id)
        variant = _require(known, variant_id)
        if variant.version != version:
            raise VersionConflict(version=variant.version)
        differing = {name: value for name, value in changes.items() if getattr(variant, name) != value}
        if "option_values" in differing:
            values = differing["option_values"]
            check_values(options, values)
            others = [(each.id, each.option_values) for each in known if each.id != variant_id]
            check_combinations([*others, (variant_id, values)])
            differing["variant_title"] = make_title(options, values)
        _check_image(connection, product_id, differing)
        if differing:
            repository.update_variant(connection, variant_id, differing)
        changed = _require(repository.list_variants(connection, product_id), variant_id)
    log.info(
        "A variant was changed",
        extra={"product.id": product_id, "variant.id": variant_id, "fields": sorted(differing)},
    )
    return changed


def withdraw_variant(database: Database, product_id: int, variant_id: int) -> None:
    """Stop the sale of a variant; its reservations and orders keep it.

    Raises ProductNotFound, VariantNotFound or LastVariant.
    """
    with database.transaction() as connection:
        _options, known = _lock(connection, product_id)
        _require(known, variant_id)
        if len(known) == 1:
            raise LastVariant
        repository.withdraw_variant(connection, variant_id)
        if variant_id != product_id:
            repository.touch_product(connection, product_id)
    log.info("A variant was withdrawn", extra={"product.id": product_id, "variant.id": variant_id})


def change_options(
    connection: Connection,
    product_id: int,
    options: Sequence[Option] | None,
    values: Mapping[int, OptionValues | None],
) -> None:
    """Change the options of a locked product together with the values of these variants.

    The other variants keep their values. Raises VariantNotFound, OptionValuesInvalid or VariantExists.
    """
    current, known = _lock(connection, product_id)
    options = current if options is None else options
    if unknown := values.keys() - {variant.id for variant in known}:
        raise VariantNotFound(f"The product has no variant {min(unknown)}.")
    after = {variant.id: values.get(variant.id, variant.option_values) for variant in known}
    for number, given in after.items():
        try:
            check_values(options, given)
        except OptionValuesInvalid as error:
            error.extra["variant_id"] = number
            raise
    check_combinations(after.items())
    # The titles follow the order of the options.
    moved = {
        variant.id: after[variant.id]
        for variant in known
        if (variant.option_values, variant.title)
        != (after[variant.id], make_title(options, after[variant.id]))
    }
    repository.store_options(connection, product_id, options, moved)


def list_managed(database: Database, product_id: int) -> list[Variant]:
    """Return the variants of a product in the order of the options' values; raise ProductNotFound."""
    with database.autocommit() as connection:
        found = _find(connection, product_id)
        return sort_variants(repository.read_options(connection, product_id), found)


def find_only_variant(database: Database, product_id: int) -> int:
    """Return the id of the only variant of a product; raise ProductNotFound or VariantRequired."""
    with database.autocommit() as connection:
        first, *others = _find(connection, product_id)
    if others:
        raise VariantRequired
    return first.id


def show_stock(database: Database, product_id: int, variant_id: int) -> Variant:
    """Return a variant with its stock; raise ProductNotFound or VariantNotFound."""
    with database.autocommit() as connection:
        return _require(_find(connection, product_id), variant_id)


def count_stock(database: Database, product_id: int, variant_id: int, on_hand: int) -> Variant:
    """Set the units on hand, which include units held for orders but not sold ones.

    Copies of the source do not overwrite a counted stock. Raises ProductNotFound, VariantNotFound or
    StockHeld.
    """
    check_id(product_id)
    with database.transaction() as connection:
        stock.lock_rows(connection, [variant_id] if variant_id <= MAX_ID else [])
        known = _require(_find(connection, product_id), variant_id)
        if on_hand < known.reserved:
            raise StockHeld(on_hand=known.on_hand, reserved=known.reserved)
        stock.record_count(connection, variant_id, on_hand)
        counted = _require(repository.list_variants(connection, product_id), variant_id)
    log.info(
        "Stock was counted",
        extra={
            "product.id": product_id,
            "variant.id": variant_id,
            "stock.before": known.on_hand,
            "stock.after": on_hand,
        },
    )
    return counted


def _lock(connection: Connection, product_id: int) -> tuple[tuple[Option, ...], list[Variant]]:
    """Lock a product; return its options and its variants."""
    check_id(product_id)
    row = repository.lock_product(connection, product_id)
    if row is None:
        raise ProductNotFound
    return repository.to_options(row.options), repository.list_variants(connection, product_id)


def _check_image(connection: Connection, product_id: int, values: Mapping[str, Any]) -> None:
    """Raise ImageNotFound unless the image of a variant is one of its product's."""
    image_id = values.get("image_id")
    if image_id is not None and not images.has_image(connection, product_id, image_id):
        raise ImageNotFound


def _find(connection: Connection, product_id: int) -> list[Variant]:
    check_id(product_id)
    found = repository.list_variants(connection, product_id)
    if not found:
        raise ProductNotFound
    return found


def _require(variants: Iterable[Variant], variant_id: int) -> Variant:
    for variant in variants:
        if variant.id == variant_id:
            return variant
    raise VariantNotFound
