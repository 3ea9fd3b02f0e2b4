"""Shipping methods and tax rates, and their version, which each change of them replaces."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, select, text, update
from sqlalchemy.dialects.postgresql import insert

from orders.domain import StoredTaxRate
from orders.tables import pricing, shipping_methods, tax_rates
from orders.totals import PriceStep, Rules, ShippingMethod, TaxRate

READ_VERSION = select(pricing.c.version)
# One statement, so that the version is the one of the rules.
READ_RULES = text("""
    SELECT version,
        (SELECT coalesce(json_agg(to_jsonb(known) - 'created_at'), '[]') FROM shipping_methods AS known)
            AS methods,
        (SELECT coalesce(json_agg(to_jsonb(known) - 'created_at' - 'id'), '[]') FROM tax_rates AS known)
            AS rates
    FROM pricing
""")
METHODS = shipping_methods.c
METHOD = [column for column in METHODS if column.name != "created_at"]
RATE = [column for column in tax_rates.c if column.name != "created_at"]
LISTS = ("countries", "regions", "postal_codes", "excluded_tax_classes")


def read_version(connection: Connection) -> UUID:
    """Return the version of the shop's rules."""
    version: UUID = connection.execute(READ_VERSION).scalar_one()
    return version


def read_rules(connection: Connection, *, prices_include_tax: bool) -> Rules:
    """Return the shop's rules and their version."""
    row = connection.execute(READ_RULES).one()
    return Rules(
        version=row.version,
        methods=tuple(to_method(each) for each in row.methods),
        rates=tuple(TaxRate(**each) for each in row.rates),
        prices_include_tax=prices_include_tax,
    )


def list_methods(connection: Connection) -> list[ShippingMethod]:
    """Return the shipping methods in the order in which customers see them."""
    rows = connection.execute(select(*METHOD).order_by(METHODS.position, METHODS.code))
    return [to_method({**row._mapping}) for row in rows]


def lock_method(connection: Connection, code: str) -> ShippingMethod | None:
    """Return the shipping method with this code, or None, locked until the transaction ends."""
    row = connection.execute(select(*METHOD).where(METHODS.code == code).with_for_update()).first()
    return to_method({**row._mapping}) if row else None


def insert_method(connection: Connection, values: Mapping[str, Any]) -> bool:
    """Add a shipping method; return False if its code is taken."""
    statement = insert(shipping_methods).values(dict(values)).on_conflict_do_nothing()
    return connection.execute(statement.returning(METHODS.code)).first() is not None


def update_method(connection: Connection, code: str, values: Mapping[str, Any]) -> None:
    """Change a shipping method."""
    connection.execute(update(shipping_methods).where(METHODS.code == code).values(dict(values)))


def delete_method(connection: Connection, code: str) -> bool:
    """Remove a shipping method; return whether there was one. Its orders keep what they paid."""
    return connection.execute(delete(shipping_methods).where(METHODS.code == code)).rowcount == 1


def list_rates(connection: Connection) -> list[StoredTaxRate]:
    """Return the tax rates by country, region and class."""
    order = (tax_rates.c.country, tax_rates.c.region.nulls_first(), tax_rates.c.tax_class.nulls_first())
    return [_to_stored_rate({**row._mapping}) for row in connection.execute(select(*RATE).order_by(*order))]


def lock_rate(connection: Connection, rate_id: UUID) -> StoredTaxRate | None:
    """Return the tax rate with this id, or None, locked until the transaction ends."""
    row = connection.execute(select(*RATE).where(tax_rates.c.id == rate_id).with_for_update()).first()
    return _to_stored_rate({**row._mapping}) if row else None


def insert_rate(connection: Connection, values: Mapping[str, Any]) -> StoredTaxRate | None:
    """Add a tax rate and return it; None if there is one for its place and class."""
    statement = insert(tax_rates).values(dict(values)).on_conflict_do_nothing().returning(*RATE)
    row = connection.execute(statement).first()
    return _to_stored_rate({**row._mapping}) if row else None


def update_rate(connection: Connection, rate_id: UUID, values: Mapping[str, Any]) -> None:
    """Change the title and the rate of a tax rate."""
    connection.execute(update(tax_rates).where(tax_rates.c.id == rate_id).values(dict(values)))


def delete_rate(connection: Connection, rate_id: UUID) -> bool:
    """Remove a tax rate; return whether there was one."""
    return connection.execute(delete(tax_rates).where(tax_rates.c.id == rate_id)).rowcount == 1


def to_method(row: Mapping[str, Any]) -> ShippingMethod:
    """Return the shipping method of a row."""
    lists = {name: tuple(row[name]) for name in LISTS}
    prices = tuple(PriceStep(**step) for step in row["prices"])
    return ShippingMethod(**{**row, **lists, "prices": prices})


def _to_stored_rate(row: Mapping[str, Any]) -> StoredTaxRate:
    values = dict(row)
    return StoredTaxRate(values.pop("id"), TaxRate(**values))
