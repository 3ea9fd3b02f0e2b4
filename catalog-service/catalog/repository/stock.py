"""How many there are of each product, and how many of them are held.

    on_hand - shortfall = source_on_hand - sold

`source_on_hand` is what there would be had nothing been sold: by the source's word, or by the last count
here. The source may take away what is promised already; on_hand then stays at what is reserved, and
`shortfall` says how much of that is only on paper, until holds end or more comes in.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, bindparam, column, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import IntegrityError

from catalog.domain import Product, Stock
from catalog.errors import StockInconsistent
from catalog.repository.arrays import IDS
from catalog.repository.edits import mark_edited
from catalog.repository.products import PRODUCT, to_product
from catalog.tables import FOR_SALE, products

OWNED = products.c.on_hand - products.c.shortfall


def settle(owned: Any, reserved: Any) -> dict[str, Any]:
    """Return the columns of a product of which so many are there and so many are promised."""
    return {"on_hand": func.greatest(owned, reserved), "shortfall": func.greatest(reserved - owned, 0)}


QUANTITIES = bindparam("quantities", type_=ARRAY(BigInteger))
UNITS = (
    func.unnest(IDS, QUANTITIES)
    .table_valued(column("id", BigInteger), column("quantity", BigInteger))
    .render_derived(name="units")
)
SALES, HOLDS = (bindparam(name, type_=BigInteger) for name in ("sales", "holds"))

# Whoever needs several locks takes them in the order of the ids, so that no two wait for each other.
LOCK = (
    select(products.c.id)
    .where(products.c.id == func.any(IDS))
    .order_by(products.c.id)
    .with_for_update(key_share=True)
)
LOCK_PRODUCTS: Select[Any] = LOCK.with_only_columns(*PRODUCT, products.c.removed_at)
# Of a product that had to be waited for, the update makes a row of what it was before, and then another of
# what it is by now. The constraints look at both, and what is settled meets them.
LOCKED = LOCK.cte("locked")
STILL_RESERVED = products.c.reserved + HOLDS * UNITS.c.quantity
MOVE_UNITS = (
    update(products)
    .where(products.c.id == LOCKED.c.id, products.c.id == UNITS.c.id)
    .values(reserved=STILL_RESERVED, **settle(OWNED - SALES * UNITS.c.quantity, STILL_RESERVED))
)


def lock_products(connection: Connection, ids: Iterable[int]) -> list[Product]:
    """Keep others from changing these products until the transaction ends; return those for sale, by id."""
    rows = connection.execute(LOCK_PRODUCTS, {"ids": list(ids)})
    return [to_product(row) for row in rows if row.removed_at is None]


def move_units(
    connection: Connection, quantities: Mapping[int, int], *, sold: int = 0, reserved: int = 0
) -> None:
    """Add each product's quantity, times these factors, to what was sold and to what is reserved.

    Raises StockInconsistent if the database refuses what would come of it.
    """
    try:
        connection.execute(MOVE_UNITS, {**_arrays(quantities), "sales": sold, "holds": reserved})
    except IntegrityError as error:
        raise StockInconsistent from error


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


def _arrays(quantities: Mapping[int, int]) -> dict[str, list[int]]:
    return {"ids": list(quantities.keys()), "quantities": list(quantities.values())}


def _stock_of(product_id: int) -> Any:
    return select(
        products.c.id.label("product_id"),
        products.c.on_hand,
        products.c.reserved,
        products.c.shortfall,
    ).where(FOR_SALE, products.c.id == product_id)
