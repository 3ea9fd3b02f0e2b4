"""SQL for sales. A statement locks a sale before its product, and a product after its parent's row."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, DateTime, and_, case, delete, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from catalog.domain import ProductSales, Sale
from catalog.repository.arrays import IDS
from catalog.repository.locks import wait_for_lock
from catalog.repository.prices import REGULAR_AMOUNT
from catalog.repository.stock import LOCK
from catalog.tables import FOR_SALE, IS_SOLD, products, sales

LOCK_TIMEOUT = 0.5  # Seconds to wait for a product that orders or an import keep locked.

parent = products.alias("parent")
ROW_OF_PRODUCT = func.coalesce(products.c.parent_id, products.c.id)
IS_DUE = sales.c.due_at <= func.now()
HAS_BEGUN = sales.c.starts_at <= func.now()
HAS_ENDED = sales.c.ends_at <= func.now()

FIND_SALE = (
    select(sales, REGULAR_AMOUNT.label("regular_amount"))
    .join(products, products.c.id == sales.c.product_id)
    .where(sales.c.product_id == func.any(IDS))
)
# The members of ProductSales, in their order.
SUMMARIZE = (
    select(
        ROW_OF_PRODUCT,
        sales.c.has_started,
        func.count(),
        func.min(sales.c.unit_amount),
        func.min(sales.c.starts_at),
        func.min(sales.c.ends_at),
    )
    .join(products, products.c.id == sales.c.product_id)
    .where(IS_SOLD, or_(products.c.id == func.any(IDS), products.c.parent_id == func.any(IDS)))
    .group_by(ROW_OF_PRODUCT, sales.c.has_started)
    .order_by(ROW_OF_PRODUCT, sales.c.has_started.desc())
)
# A row that is locked already is left for a later round, so that a batch waits for no other transaction.
CLAIM = (
    select(sales.c.product_id)
    .join(products, products.c.id == sales.c.product_id)
    .join(parent, parent.c.id == ROW_OF_PRODUCT)
    .where(IS_DUE)
    .order_by(sales.c.due_at, sales.c.product_id)
    .with_for_update(of=[sales, products, parent], key_share=True, skip_locked=True)
)
LIST_DUE = select(sales.c.product_id).where(IS_DUE).order_by(func.random())
CLAIM_SALE = (
    select(sales.c.product_id)
    .where(IS_DUE, sales.c.product_id == func.any(IDS))
    .with_for_update(skip_locked=True)
)
_running = and_(sales.c.product_id == products.c.id, HAS_BEGUN, func.coalesce(~HAS_ENDED, literal(True)))
_wanted = select(sales.c.unit_amount).where(_running).scalar_subquery()
WRITE_PRICES = (
    update(products)
    .where(products.c.id == func.any(IDS), products.c.sale_amount.is_distinct_from(_wanted))
    # The price is named so that the triggers on it run; they compute it. A sale keeps the version, so that a
    # change based on an earlier read still succeeds.
    .values(sale_amount=_wanted, unit_amount=products.c.unit_amount, updated_at=func.now())
)
DELETE_ENDED = delete(sales).where(sales.c.product_id == func.any(IDS), HAS_ENDED)
RECORD_STARTS = (
    update(sales)
    .where(sales.c.product_id == func.any(IDS), sales.c.has_started != HAS_BEGUN)
    .values(has_started=HAS_BEGUN)
)


def find_regular_amount(connection: Connection, product_id: int, variant_id: int) -> int | None:
    """Return a variant's price without a sale, or None if this product does not sell such a variant."""
    query = (
        select(REGULAR_AMOUNT)
        .join(parent, parent.c.id == ROW_OF_PRODUCT)
        .where(
            products.c.id == variant_id,
            parent.c.id == product_id,
            parent.c.removed_at.is_(None),
            IS_SOLD,
            or_(FOR_SALE, products.c.parent_id.is_not(None)),
        )
    )
    return connection.execute(query).scalar()


def find_sale(connection: Connection, variant_id: int) -> Sale | None:
    """Return the sale of a variant, or None."""
    row = connection.execute(FIND_SALE, {"ids": [variant_id]}).first()
    if row is None:
        return None
    return Sale(row.unit_amount, row.regular_amount, row.starts_at, row.ends_at, row.has_started)


def summarize_sales(connection: Connection, ids: list[int]) -> list[ProductSales]:
    """Return the sales of these products, by product; the running ones come first."""
    return [ProductSales(*row) for row in connection.execute(SUMMARIZE, {"ids": ids})]


def put_sale(
    connection: Connection, variant_id: int, unit_amount: int, starts: datetime | None, ends: datetime | None
) -> bool:
    """Plan a sale in place of an earlier one; return False, and change nothing, if it would end first.

    A start in the past, or none, means now. A running sale that goes on keeps its start.
    """
    begins: Any = func.greatest(literal(starts, DateTime(timezone=True)), func.now())
    if ends is not None and not connection.execute(select(begins < ends)).scalar():
        return False
    statement = insert(sales).values(
        product_id=variant_id, unit_amount=unit_amount, starts_at=begins, ends_at=ends
    )
    new = statement.excluded
    goes_on = and_(sales.c.has_started, new.starts_at <= func.now())
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["product_id"],
            set_={
                "unit_amount": new.unit_amount,
                "starts_at": case(
                    (goes_on, func.least(sales.c.starts_at, new.starts_at)), else_=new.starts_at
                ),
                "ends_at": new.ends_at,
            },
        )
    )
    return True


def delete_sale(connection: Connection, variant_id: int) -> bool:
    """Delete the sale of a variant; return whether there was one."""
    return connection.execute(delete(sales).where(sales.c.product_id == variant_id)).rowcount == 1


def claim_due(connection: Connection, limit: int) -> list[int]:
    """Lock sales that are due, with their products, and return their numbers; locked ones are left out."""
    return list(connection.execute(CLAIM.limit(limit)).scalars())


def list_due(connection: Connection, limit: int) -> list[int]:
    """Return some of the sales that are due, in random order, so that none of them is always the last."""
    return list(connection.execute(LIST_DUE.limit(limit)).scalars())


def claim_sale(connection: Connection, variant_id: int) -> bool:
    """Lock a sale that is due, and wait for its product; if that takes too long, return False."""
    if connection.execute(CLAIM_SALE, {"ids": [variant_id]}).first() is None:
        return False
    return wait_for_lock(connection, LOCK, {"ids": [variant_id]}, seconds=LOCK_TIMEOUT)


def write_prices(connection: Connection, ids: list[int]) -> int:
    """Start and end sales, so that locked products agree with their sales; return how many changed."""
    changed = connection.execute(WRITE_PRICES, {"ids": ids}).rowcount
    connection.execute(DELETE_ENDED, {"ids": ids})
    connection.execute(RECORD_STARTS, {"ids": ids})
    return changed
