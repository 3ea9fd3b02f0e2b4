"""Use cases for sales: plan, show and cancel one, and write prices at their times."""

import logging
from datetime import datetime, timedelta

from catalog.domain import MAX_ID, ProductSales, Sale
from catalog.errors import SaleNotFound, VariantNotFound
from catalog.repository import prices
from catalog.repository import sales as repository
from catalog.repository.stock import lock_rows
from shared.database import Connection, Database
from shared.errors import ValidationFailed

log = logging.getLogger(__name__)

# One transaction writes this many prices, and a round has this many transactions, so that no lock is long and
# the service can stop between rounds.
BATCH, BATCHES = 200, 20
MAX_WAITS = 4  # Locked products that a round waits for, one after the other.
KEPT = timedelta(days=400)  # How long a replaced price stays in the history.
MAX_PRUNED = 5_000  # Old prices that one transaction deletes.


def put_sale(
    database: Database,
    product_id: int,
    variant_id: int,
    unit_amount: int,
    starts: datetime | None,
    ends: datetime | None,
) -> Sale:
    """Plan a sale of a variant in place of an earlier one, and start it if it starts now.

    Raises VariantNotFound, or ValidationFailed if it ends before it starts or its price is not lower.
    """
    with database.transaction() as connection:
        regular_amount = _require_variant(connection, product_id, variant_id)
        if unit_amount >= regular_amount:
            raise _refuse("unit_amount", "It must be lower than the price without the sale.")
        if not repository.put_sale(connection, variant_id, unit_amount, starts, ends):
            raise _refuse("ends", "It must be in the future, and after the start.")
        _settle(connection, variant_id)
        sale = repository.find_sale(connection, variant_id)
    if sale is None:
        raise SaleNotFound
    log.info("A sale was planned", extra={"product.id": variant_id, "sale.amount": unit_amount})
    return sale


def show_sale(database: Database, product_id: int, variant_id: int) -> Sale | None:
    """Return the planned or running sale of a variant, or None; raise VariantNotFound."""
    with database.transaction() as connection:
        _require_variant(connection, product_id, variant_id)
        return repository.find_sale(connection, variant_id)


def summarize_sales(database: Database, ids: list[int]) -> list[ProductSales]:
    """Return the running and the planned sales of these products; a product without a sale has none."""
    with database.autocommit() as connection:
        return repository.summarize_sales(connection, ids)


def cancel_sale(database: Database, product_id: int, variant_id: int) -> None:
    """Cancel the sale of a variant; a running one ends now. Raises VariantNotFound or SaleNotFound."""
    with database.transaction() as connection:
        _require_variant(connection, product_id, variant_id)
        if not repository.delete_sale(connection, variant_id):
            raise SaleNotFound
        _settle(connection, variant_id)
    log.info("A sale was cancelled", extra={"product.id": variant_id})


def write_due_prices(database: Database) -> int:
    """Start and end the sales that are due, in batches that replicas share; return how many were due.

    A product that orders keep locked is written afterwards, alone, so that it delays no other product.
    """
    count = 0
    for _ in range(BATCHES):
        with database.transaction() as connection:
            due = repository.claim_due(connection, BATCH)
            if due:
                repository.write_prices(connection, due)
        count += len(due)
        if len(due) < BATCH:
            count += _write_locked(database)
            break
    if count:
        log.info("Sales were started and ended", extra={"sales": count})
    return count


def prune_prices(database: Database) -> int:
    """Delete the history of prices that is older than needed, in batches; return the number of prices."""
    count = deleted = 0
    for _ in range(BATCHES):
        with database.transaction() as connection:
            deleted = prices.delete_old_prices(connection, age=KEPT, limit=MAX_PRUNED)
        count += deleted
        if deleted < MAX_PRUNED:
            break
    return count


def _write_locked(database: Database) -> int:
    """Write prices of some products that were locked, and wait for each; return how many were due."""
    count = 0
    with database.autocommit() as connection:
        locked = repository.list_due(connection, MAX_WAITS)
    for number in locked:
        with database.transaction() as connection:
            if repository.claim_sale(connection, number):
                repository.write_prices(connection, [number])
                count += 1
    return count


def _settle(connection: Connection, variant_id: int) -> None:
    lock_rows(connection, [variant_id])
    repository.write_prices(connection, [variant_id])


def _require_variant(connection: Connection, product_id: int, variant_id: int) -> int:
    """Return the variant's price without a sale; raise VariantNotFound."""
    # A path can contain any number, but the column cannot.
    if max(product_id, variant_id) > MAX_ID:
        raise VariantNotFound
    amount = repository.find_regular_amount(connection, product_id, variant_id)
    if amount is None:
        raise VariantNotFound
    return amount


def _refuse(field: str, detail: str) -> ValidationFailed:
    return ValidationFailed(errors=[{"location": "json", "field": field, "detail": detail}])
