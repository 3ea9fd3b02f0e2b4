"""What an admin does with products."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, text, update
from sqlalchemy.exc import OperationalError

from catalog.domain import ManagedProduct, Product
from catalog.repository.arrays import as_texts
from catalog.repository.edits import NONE, mark_edited
from catalog.repository.products import PRODUCT, to_product
from catalog.tables import FOR_SALE, local_product_ids, products

MANAGED = [*PRODUCT, products.c.on_hand, products.c.reserved, products.c.edited]
LOCK_NOT_AVAILABLE = "55P03"
SKU_PATIENCE = 2.0  # Seconds to wait for others who give skus to products.
CHUNK = 1000  # Rows that an export fetches at once.


def lock_skus(connection: Connection) -> bool:
    """Keep others from giving skus to products until the transaction ends; tell whether it could be had.

    Two products of the source may swap their skus from one batch of a copy to the next, so that no index can
    keep them apart. Whoever gives one here looks for it first, one after the other.
    """
    connection.execute(text(f"SET LOCAL lock_timeout = '{SKU_PATIENCE}s'"))
    try:
        connection.execute(text("SELECT pg_advisory_xact_lock(5714003)"))
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) == LOCK_NOT_AVAILABLE:
            return False
        raise
    connection.execute(text("SET LOCAL lock_timeout TO DEFAULT"))
    return True


def find_sku(connection: Connection, sku: str, *, besides: int | None = None) -> int | None:
    """Return the product on sale that has this sku, if there is another one than `besides`."""
    query = select(products.c.id).where(FOR_SALE, products.c.sku == sku)
    if besides is not None:
        query = query.where(products.c.id != besides)
    return connection.execute(query.order_by(products.c.id).limit(1)).scalar()


def insert_product(connection: Connection, values: Mapping[str, Any], on_hand: int) -> int:
    """Put a product of the shop's own on sale, and return its id; without a sku it is named after that."""
    number: int = connection.execute(select(local_product_ids.next_value())).scalar_one()
    row = {"sku": f"P-{number}", **values, "on_hand": on_hand, "source_on_hand": on_hand}
    connection.execute(insert(products).values(id=number, **row))
    return number


def find_managed(connection: Connection, product_id: int) -> ManagedProduct | None:
    """Return the product as an admin sees it, if it is for sale."""
    row = connection.execute(select(*MANAGED).where(FOR_SALE, products.c.id == product_id)).first()
    return _managed(row) if row else None


def lock_managed(connection: Connection, product_id: int) -> ManagedProduct | None:
    """Return the product, which nobody else changes until the transaction ends."""
    query = select(*MANAGED).where(FOR_SALE, products.c.id == product_id)
    row = connection.execute(query.with_for_update(key_share=True)).first()
    return _managed(row) if row else None


def update_product(connection: Connection, product_id: int, changes: Mapping[str, Any]) -> None:
    """Change these columns, and keep copies of the source from changing them back."""
    connection.execute(
        update(products)
        .where(products.c.id == product_id)
        .values(
            **changes,
            edited=mark_edited(*changes),
            version=products.c.version + 1,
            updated_at=func.now(),
        )
    )


def give_back(connection: Connection, product_id: int, names: Iterable[str]) -> None:
    """Let the source decide about these again."""
    edit = func.unnest(products.c.edited).table_valued("name")
    others = select(func.array_agg(edit.c.name)).where(edit.c.name != func.all(as_texts(names)))
    connection.execute(
        update(products)
        .where(products.c.id == product_id)
        .values(edited=func.coalesce(others.scalar_subquery(), NONE))
    )


def remove_product(connection: Connection, product_id: int) -> bool:
    """Take the product off sale for good; tell whether it was for sale."""
    removed = connection.execute(
        update(products)
        .where(FOR_SALE, products.c.id == product_id)
        .values(
            removed_at=func.now(),
            edited=mark_edited("removed"),
            version=products.c.version + 1,
            updated_at=func.now(),
        )
    )
    return removed.rowcount == 1


def stream_products(connection: Connection) -> Iterator[Product]:
    """Yield what is for sale by id, from a cursor of the server's, so that memory stays flat."""
    query = select(*PRODUCT).where(FOR_SALE).order_by(products.c.id)
    streamed = connection.execution_options(stream_results=True, max_row_buffer=CHUNK).execute(query)
    for row in streamed.yield_per(CHUNK):
        yield to_product(row)


def _managed(row: Row[Any]) -> ManagedProduct:
    return ManagedProduct(to_product(row), row.on_hand, row.reserved, tuple(sorted(row.edited)))
