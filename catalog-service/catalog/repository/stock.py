"""SQL for the stock of variants: units on hand and units reserved.

    on_hand - shortfall = source_on_hand - sold

`source_on_hand` is the stock without any sales, as the source reported it or as an admin last counted it. The
source may withdraw units that are already reserved. Then `on_hand` stays at `reserved`, and `shortfall` is
the number of reserved units that do not exist, until reservations end or new units arrive.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import BigInteger, Connection, bindparam, column, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import IntegrityError

from catalog.errors import StockInconsistent
from catalog.repository.arrays import IDS
from catalog.repository.edits import mark_edited
from catalog.tables import products

OWNED = products.c.on_hand - products.c.shortfall


def settle(owned: Any, reserved: Any) -> dict[str, Any]:
    """Return the stock columns of a product with these numbers of owned and reserved units."""
    return {"on_hand": func.greatest(owned, reserved), "shortfall": func.greatest(reserved - owned, 0)}


QUANTITIES = bindparam("quantities", type_=ARRAY(BigInteger))
UNITS = (
    func.unnest(IDS, QUANTITIES)
    .table_valued(column("id", BigInteger), column("quantity", BigInteger))
    .render_derived(name="units")
)
SALES, HOLDS = (bindparam(name, type_=BigInteger) for name in ("sales", "holds"))

# The rows of variants and of their products, whose summary of variants a trigger may update. Locks are always
# taken in the order of the ids, to avoid deadlocks.
_PARENTS = select(products.c.parent_id).where(
    products.c.id == func.any(IDS), products.c.parent_id.is_not(None)
)
LOCK = (
    select(products.c.id)
    .where(products.c.id == func.any(func.array_cat(IDS, func.array(_PARENTS.scalar_subquery()))))
    .order_by(products.c.id)
    .with_for_update(key_share=True)
)
# If the lock had to wait, PostgreSQL computes the updated row from the old version first and then from the
# current one, and checks the constraints on both. The values of `settle` satisfy them in either case.
LOCKED = LOCK.cte("locked")
STILL_RESERVED = products.c.reserved + HOLDS * UNITS.c.quantity
MOVE_UNITS = (
    update(products)
    .where(products.c.id == LOCKED.c.id, products.c.id == UNITS.c.id)
    .values(reserved=STILL_RESERVED, **settle(OWNED - SALES * UNITS.c.quantity, STILL_RESERVED))
)


def lock_rows(connection: Connection, ids: Iterable[int]) -> None:
    """Lock the rows with these numbers, and the rows of their products, until the transaction ends."""
    connection.execute(LOCK, {"ids": list(ids)})


def move_units(
    connection: Connection, quantities: Mapping[int, int], *, sold: int = 0, reserved: int = 0
) -> None:
    """Add each product's quantity, multiplied by these factors, to its sold and its reserved units.

    Raises StockInconsistent if the result violates a constraint.
    """
    values = {"ids": list(quantities.keys()), "quantities": list(quantities.values())}
    try:
        connection.execute(MOVE_UNITS, {**values, "sales": sold, "holds": reserved})
    except IntegrityError as error:
        raise StockInconsistent from error


def record_count(connection: Connection, variant_id: int, on_hand: int) -> None:
    """Set the units on hand of a variant, and mark its stock as edited."""
    connection.execute(
        update(products)
        .where(products.c.id == variant_id)
        .values(
            source_on_hand=products.c.source_on_hand + on_hand - OWNED,
            edited=mark_edited("stock"),
            **settle(on_hand, products.c.reserved),
        )
    )
