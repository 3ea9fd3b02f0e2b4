"""Shipping methods and tax rates, which an admin keeps."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from orders.domain import StoredTaxRate
from orders.errors import ShippingMethodExists, ShippingMethodNotFound, TaxRateExists, TaxRateNotFound
from orders.repository import rules
from orders.totals import ShippingMethod
from shared.database import Database
from shared.errors import ValidationFailed

log = logging.getLogger(__name__)


def list_methods(database: Database) -> list[ShippingMethod]:
    """Return the shipping methods in the order in which customers see them."""
    with database.autocommit() as connection:
        return rules.list_methods(connection)


def add_method(database: Database, values: Mapping[str, Any]) -> ShippingMethod:
    """Add a shipping method; raise ShippingMethodExists or ValidationFailed."""
    method = rules.to_method(values)
    _check_method(method)
    with database.autocommit() as connection:
        if not rules.insert_method(connection, values):
            raise ShippingMethodExists
    log.info("Shipping method %s added", method.code)
    return method


def change_method(database: Database, code: str, changes: Mapping[str, Any]) -> ShippingMethod:
    """Change a shipping method; raise ShippingMethodNotFound or ValidationFailed."""
    _check_code(code)
    with database.transaction() as connection:
        known = rules.lock_method(connection, code)
        if known is None:
            raise ShippingMethodNotFound
        method = rules.to_method({**asdict(known), **changes})
        _check_method(method)
        if changes:
            rules.update_method(connection, code, changes)
    log.info("Shipping method %s changed", code)
    return method


def remove_method(database: Database, code: str) -> None:
    """Remove a shipping method; raise ShippingMethodNotFound."""
    _check_code(code)
    with database.autocommit() as connection:
        if not rules.delete_method(connection, code):
            raise ShippingMethodNotFound
    log.info("Shipping method %s removed", code)


def list_rates(database: Database) -> list[StoredTaxRate]:
    """Return the tax rates by country, region and class."""
    with database.autocommit() as connection:
        return rules.list_rates(connection)


def add_rate(database: Database, values: Mapping[str, Any]) -> StoredTaxRate:
    """Add a tax rate; raise TaxRateExists or ValidationFailed."""
    if values["region"] is not None:
        _check_regions([values["region"]], [values["country"]], "region")
    with database.autocommit() as connection:
        added = rules.insert_rate(connection, values)
    if added is None:
        raise TaxRateExists
    log.info("Tax rate %s added", added.rate.code)
    return added


def change_rate(database: Database, rate_id: UUID, changes: Mapping[str, Any]) -> StoredTaxRate:
    """Change the title or the rate of a tax rate; raise TaxRateNotFound."""
    with database.transaction() as connection:
        if changes:
            rules.update_rate(connection, rate_id, changes)
        changed = rules.lock_rate(connection, rate_id)
        if changed is None:
            raise TaxRateNotFound
    log.info("Tax rate %s changed", changed.rate.code)
    return changed


def remove_rate(database: Database, rate_id: UUID) -> None:
    """Remove a tax rate; raise TaxRateNotFound."""
    with database.autocommit() as connection:
        if not rules.delete_rate(connection, rate_id):
            raise TaxRateNotFound
    log.info("Tax rate removed", extra={"tax_rate.id": str(rate_id)})


def _check_code(code: str) -> None:
    """Raise ShippingMethodNotFound for a code that PostgreSQL cannot store; a path may contain any text."""
    if "\0" in code:
        raise ShippingMethodNotFound


def _check_method(method: ShippingMethod) -> None:
    if (method.price is None) == (not method.prices):
        raise ValidationFailed(
            [{"location": "json", "field": "price", "detail": "give either price or prices"}]
        )
    starts = [(step.from_weight_grams, step.from_amount) for step in method.prices]
    kinds = {(weight is None, amount is None) for weight, amount in starts}
    if not kinds <= {(False, True)} and not kinds <= {(True, False)}:
        detail = "each step needs from_weight_grams, or each needs from_amount"
        raise ValidationFailed([{"location": "json", "field": "prices", "detail": detail}])
    if len(set(starts)) < len(starts):
        raise ValidationFailed(
            [{"location": "json", "field": "prices", "detail": "two steps begin at the same place"}]
        )
    _check_regions(method.regions, method.countries, "regions")


def _check_regions(regions: tuple[str, ...] | list[str], countries: Any, field: str) -> None:
    if countries and any(region.partition("-")[0] not in countries for region in regions):
        raise ValidationFailed(
            [{"location": "json", "field": field, "detail": "is not a region of the country"}]
        )
