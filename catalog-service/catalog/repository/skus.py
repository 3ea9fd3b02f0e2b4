"""SQL for the assignment of SKUs."""

from sqlalchemy import Connection, and_, func, or_, select, text

from catalog.repository.locks import wait_for_lock
from catalog.tables import FOR_SALE, IS_FURTHER, IS_SOLD, products

SKU_LOCK_TIMEOUT = 2.0  # Seconds to wait for other transactions that assign SKUs.

_parent = products.alias("parent")
# The variants for sale. A further variant's product is looked up for the few rows with the SKU only.
_IS_FURTHER_FOR_SALE = and_(
    IS_FURTHER,
    select(_parent.c.id).where(_parent.c.id == products.c.parent_id, _parent.c.removed_at.is_(None)).exists(),
)
SOLD_VARIANTS = and_(IS_SOLD, or_(FOR_SALE, _IS_FURTHER_FOR_SALE))


def lock_skus(connection: Connection) -> bool:
    """Lock the assignment of SKUs until the transaction ends; return whether the lock was acquired.

    A unique index is no option, because two products of the source may swap their SKUs across batches of a
    copy. Each transaction that assigns a SKU checks first that it is free, and this lock serialises them.
    """
    return wait_for_lock(
        connection, text("SELECT pg_advisory_xact_lock(5714003)"), {}, seconds=SKU_LOCK_TIMEOUT
    )


def find_sku(connection: Connection, sku: str, *, exclude: int | None = None) -> int | None:
    """Return the product of a variant for sale with this SKU, other than the variant `exclude`, or None."""
    product = func.coalesce(products.c.parent_id, products.c.id)
    query = select(product).where(SOLD_VARIANTS, products.c.sku == sku)
    if exclude is not None:
        query = query.where(products.c.id != exclude)
    return connection.execute(query.order_by(products.c.id).limit(1)).scalar()
