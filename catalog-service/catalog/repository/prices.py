"""SQL for prices without the running sale, and for the history of prices.

Triggers of migration 0010 keep the rules. A writer may set `unit_amount`; while a sale runs, the trigger then
changes the price to return to. `set_regular_amount` does the same, and also for the price of the sale itself.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    case,
    delete,
    exists,
    func,
    literal,
    select,
    tuple_,
)

from catalog.tables import prices, products

IS_ON_SALE = products.c.sale_amount.is_not(None)
# The price without the running sale, which imports, exports and copies of the source read and write.
REGULAR_AMOUNT: ColumnElement[int] = func.coalesce(products.c.regular_amount, products.c.unit_amount)


def describe(name: str) -> ColumnElement[Any]:
    """Return a described column of products, with the price that applies without the running sale."""
    return REGULAR_AMOUNT if name == "unit_amount" else products.c[name]


def set_regular_amount(amount: ColumnElement[Any]) -> dict[str, Any]:
    """Return the columns to set so that this is the price, or while a sale runs the price to return to."""
    return {
        "unit_amount": case((IS_ON_SALE, products.c.unit_amount), else_=amount),
        "regular_amount": case((IS_ON_SALE, amount)),
    }


def keep_sale(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return these columns so that a price among them is the one that applies without the running sale."""
    if "unit_amount" not in values:
        return dict(values)
    return {**values, **set_regular_amount(literal(values["unit_amount"], BigInteger))}


def delete_old_prices(connection: Connection, *, age: timedelta, limit: int) -> int:
    """Delete prices that a later price replaced longer ago than `age`; return their number."""
    later = prices.alias()
    oldest = func.now() - age
    old = (
        select(prices.c.product_id, prices.c.valid_from)
        .where(
            prices.c.valid_from < oldest,
            exists().where(
                later.c.product_id == prices.c.product_id,
                later.c.valid_from > prices.c.valid_from,
                later.c.valid_from < oldest,
            ),
        )
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    key = tuple_(prices.c.product_id, prices.c.valid_from)
    return connection.execute(delete(prices).where(key == tuple_(*old.c))).rowcount
