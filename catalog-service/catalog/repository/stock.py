"""How many there are of each product, and how many of them are held.

    on_hand - shortfall = source_on_hand - sold

`source_on_hand` is what there would be had nothing been sold: by the source's word, or by the last count
here. The source may take away what is promised already; on_hand then stays at what is reserved, and
`shortfall` says how much of that is only on paper, until holds end or more comes in.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Result, func, select, update

from catalog.domain import Product, Stock
from catalog.repository.arrays import any_of, as_table
from catalog.repository.edits import mark_edited
from catalog.repository.products import PRODUCT, STOCK, to_product
from catalog.tables import FOR_SALE, products

OWNED = products.c.on_hand - products.c.shortfall


def lock_products(connection: Connection, ids: Iterable[int]) -> list[Product]:
    """Keep others from changing these products until the transaction ends; return those for sale, by id.

    Whoever needs several locks takes them in the order of the ids, so that no two wait for each other.
    """
    query = (
        select(*PRODUCT, products.c.removed_at)
        .where(products.c.id == any_of(ids))
        .order_by(products.c.id)
        .with_for_update(key_share=True)
    )
    rows: Result[Any] = connection.execute(query)
    return [to_product(row) for row in rows if row.removed_at is None]


def hold_units(connection: Connection, quantities: Mapping[int, int]) -> set[int]:
    """Reserve each product's quantity where so many are left; return the products where it was."""
    wanted = as_table(quantities)
    held = connection.execute(
        update(products)
        .where(products.c.id == wanted.c.id, wanted.c.quantity <= STOCK)
        .values(reserved=products.c.reserved + wanted.c.quantity)
        .returning(products.c.id)
    )
    return set(held.scalars())


def move_units(
    connection: Connection, quantities: Mapping[int, int], *, sold: int = 0, reserved: int = 0
) -> None:
    """Add each product's quantity, times these factors, to what was sold and to what is reserved."""
    lock_products(connection, quantities)
    moved = as_table(quantities)
    owned = OWNED - sold * moved.c.quantity
    still_reserved = products.c.reserved + reserved * moved.c.quantity
    connection.execute(
        update(products)
        .where(products.c.id == moved.c.id)
        .values(reserved=still_reserved, **settle(owned, still_reserved))
    )


def lock_stock(connection: Connection, product_id: int) -> Stock | None:
    """Return what there is of a product on sale, which nobody else changes until the transaction ends."""
    row = connection.execute(_stock_of(product_id).with_for_update(key_share=True)).first()
    return Stock(**row._mapping) if row else None


def read_stock(connection: Connection, product_id: int) -> Stock | None:
    """Return what there is of a product on sale."""
    row = connection.execute(_stock_of(product_id)).first()
    return Stock(**row._mapping) if row else None


def record_count(connection: Connection, product_id: int, on_hand: int) -> None:
    """Let there be so many of a product; what the source says of its stock counts no more."""
    connection.execute(
        update(products)
        .where(products.c.id == product_id)
        .values(
            source_on_hand=products.c.source_on_hand + on_hand - OWNED,
            edited=mark_edited("stock"),
            **settle(on_hand, products.c.reserved),
        )
    )


def settle(owned: Any, reserved: Any) -> dict[str, Any]:
    """Return the columns of a product of which so many are there and so many are promised."""
    return {"on_hand": func.greatest(owned, reserved), "shortfall": func.greatest(reserved - owned, 0)}


def _stock_of(product_id: int) -> Any:
    return select(
        products.c.id.label("product_id"),
        products.c.on_hand,
        products.c.reserved,
        products.c.shortfall,
    ).where(FOR_SALE, products.c.id == product_id)
